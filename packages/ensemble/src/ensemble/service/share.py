"""Fair share: who of several ensembles may send the next jobs to a cluster that takes so many at a time.

Weighted max-min fairness by what each has in the queue (submitted and not ended): the next place goes to the one that
has the least for its weight. An ensemble that comes late has its share as soon as places become free; one that has
nothing to send leaves its share to the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

STEP = 250  # places that are given at a time, while there are many


class Taker(Protocol):
    """One that sends jobs. in_queue: sent and not ended; waiting: what it would send; each changes with `grant`."""

    weight: int

    @property
    def in_queue(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    def grant(self, count: int) -> None: ...


def share(takers: Iterable[Taker], capacity: int) -> None:
    """Give out the free places of a cluster; capacity 0 is no limit."""
    everyone = list(takers)
    wanting = [taker for taker in everyone if taker.waiting]
    free = capacity - sum(taker.in_queue for taker in everyone) if capacity else sum(t.waiting for t in wanting)
    while free > 0 and wanting:
        taker = min(wanting, key=lambda one: (one.in_queue + 1) / one.weight)
        step = max(1, min(STEP, free // (4 * len(wanting))))
        if len(wanting) == 1:
            step = free
        given = min(step, free, taker.waiting)
        taker.grant(given)
        free -= given
        if not taker.waiting:
            wanting.remove(taker)
