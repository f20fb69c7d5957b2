"""Nodes counted by what is free on each: a cluster of any size is as long as its different nodes are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from fluxburst.demand import Demand


class Free(NamedTuple):
    """What is free on a node, and whether nothing runs on it."""

    gpus: int
    cores: int
    idle: bool


class Move(NamedTuple):
    """So many nodes of one kind take so many units of a demand each."""

    free: Free
    nodes: int
    units: int


def holds(free: Free, demand: Demand) -> int:
    """How many units of a demand one node takes: one node-part at most, or as many slots as fit."""
    if demand.exclusive and not free.idle:
        return 0
    cores, gpus = demand.unit
    if demand.nodes:
        return 1 if cores <= free.cores and gpus <= free.gpus else 0
    return min(free.cores // cores if cores else free.gpus, free.gpus // gpus if gpus else free.cores)


class Nodes:
    """How many nodes there are of each kind."""

    def __init__(self, nodes: Iterable[tuple[Free, int]] = ()) -> None:
        self.counts: Counter[Free] = Counter()
        for free, count in nodes:
            self.add(free, count)

    def add(self, free: Free, count: int) -> None:
        """More nodes of a kind; nothing is kept of nodes that have nothing left."""
        if count and (free.cores or free.gpus):
            self.counts[free] += count

    def fill(self, demand: Demand, units: int) -> tuple[list[Move], int]:
        """Where up to `units` units would go, the fullest nodes first, and how many units are left over."""
        moves = []
        for free in sorted(self.counts):
            if not units:
                break
            each = holds(free, demand)
            if not each:
                continue
            count = self.counts[free]
            if full := min(count, units // each):
                moves.append(Move(free, full, each))
                units -= full * each
            if units and units < each and full < count:
                moves.append(Move(free, 1, units))
                units = 0
        return moves, units

    def take(self, demand: Demand, moves: Iterable[Move]) -> int:
        """Make the moves, and say how many nodes they use."""
        cores, gpus = demand.unit
        used = 0
        for free, count, units in moves:
            used += count
            self.counts[free] -= count
            if not self.counts[free]:
                del self.counts[free]
            if not demand.exclusive:
                self.add(Free(free.gpus - units * gpus, free.cores - units * cores, False), count)
        return used
