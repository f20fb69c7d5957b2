"""The built-in policies. Each puts workers that are READY before those that are BUSY, but for `soonest`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from resource_secretary.asking import MOST_FITS
from resource_secretary.hub.policy import Candidate, Policy, cores_of

if TYPE_CHECKING:
    from resources.resource import Resource

Candidates = Sequence[Candidate]
Ranked = list[Candidate]


def _ready_first(candidates: Candidates, key: Callable[[Candidate], tuple[float, ...]]) -> Ranked:
    return sorted(candidates, key=lambda one: (not one.ready, key(one), one.worker))


def first_ready(request: Resource, candidates: Candidates, rng: random.Random) -> Ranked:
    """The one that said READY first."""
    return _ready_first(candidates, lambda one: (one.seconds,))


def chance(request: Resource, candidates: Candidates, rng: random.Random) -> Ranked:
    """Any of those that are READY, by a seeded generator: spreads the load of many hubs."""
    return _ready_first(rng.sample(list(candidates), len(candidates)), lambda one: (rng.random(),))


def soonest(request: Resource, candidates: Candidates, rng: random.Random) -> Ranked:
    """The one where it would start first, as its manager estimates; READY without an estimate starts at once."""

    def wait(one: Candidate) -> tuple[float, ...]:
        told = one.answer.wait
        unknown = 0.0 if one.ready else math.inf
        return (unknown if told is None else told, not one.ready, _waiting(one))

    return sorted(candidates, key=lambda one: (wait(one), one.worker))


def least_loaded(request: Resource, candidates: Candidates, rng: random.Random) -> Ranked:
    """The one with the smallest share of its cores in use or asked for by jobs that wait."""

    def load(one: Candidate) -> tuple[float, ...]:
        cores, free = one.answer.cores, one.answer.free_cores
        if not cores or free is None:
            return (math.inf,)
        return ((cores - free + _waiting(one)) / cores,)

    return _ready_first(candidates, load)


def least_waste(request: Resource, candidates: Candidates, rng: random.Random) -> Ranked:
    """The one that is left with the smallest share of free cores that no further request like this could use."""
    each = cores_of(request)

    def waste(one: Candidate) -> tuple[float, ...]:
        free, fits = one.answer.free_cores, one.answer.fits
        if not free or fits is None or not each:
            return (math.inf, *_left(one, each))
        return (0.0 if fits >= MOST_FITS else (free - fits * each) / free, *_left(one, each))

    return _ready_first(candidates, waste)


def best_fit(request: Resource, candidates: Candidates, rng: random.Random) -> Ranked:
    """The one that it fits tightest: the fewest cores stay free, so that the large ones are kept for large requests."""
    each = cores_of(request)
    return _ready_first(candidates, lambda one: _left(one, each))


def _left(one: Candidate, cores: int) -> tuple[float, ...]:
    free = one.answer.free_cores
    return (math.inf if free is None else free - cores,)


def _waiting(one: Candidate) -> float:
    """The cores that waiting jobs ask for; a job of which that is not told asks for one at least."""
    depth = one.answer.depth
    if depth is None:
        return 0
    return depth.pending if depth.pending_cores is None else depth.pending_cores


POLICIES: dict[str, Policy] = {
    "first-ready": first_ready,
    "random": chance,
    "soonest": soonest,
    "least-loaded": least_loaded,
    "least-waste": least_waste,
    "best-fit": best_fit,
}
