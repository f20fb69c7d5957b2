"""Nodes counted by what is free on each: a cluster of any size is as long as its different nodes are many."""

from __future__ import annotations

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
    gpus, cores, idle = free
    if demand.exclusive and not idle:
        return 0
    if demand.nodes:
        return int(cores >= demand.cores * demand.slots and gpus >= demand.gpus * demand.slots)
    return min(cores // demand.cores if demand.cores else gpus, gpus // demand.gpus if demand.gpus else cores)


class Nodes:
    """How many nodes there are of each kind."""

    def __init__(self) -> None:
        self._counts: dict[Free, int] = {}
        self._order: list[Free] | None = None  # the kinds in order, worked out when they are needed

    def add(self, free: Free, count: int) -> None:
        """More nodes of a kind; nothing is kept of nodes that have nothing left."""
        if count and (free.cores or free.gpus):
            if free not in self._counts:
                self._order = None
            self._counts[free] = self._counts.get(free, 0) + count

    def fill(self, demand: Demand, units: int) -> tuple[list[Move], int]:
        """Where up to `units` units would go, the fullest nodes first, and how many units are left over."""
        if self._order is None:
            self._order = sorted(self._counts)
        moves = []
        for free in self._order:
            each = holds(free, demand)
            if not each:
                continue
            count = self._counts[free]
            if full := min(count, units // each):
                moves.append(Move(free, full, each))
                units -= full * each
            if 0 < units < each and full < count:
                moves.append(Move(free, 1, units))
                units = 0
            if not units:
                break
        return moves, units

    def take(self, demand: Demand, moves: Iterable[Move]) -> int:
        """Make the moves, and say how many nodes they use."""
        cores, gpus = demand.unit
        used = 0
        for free, count, units in moves:
            used += count
            self._counts[free] -= count
            if not self._counts[free]:
                del self._counts[free]
                self._order = None
            if not demand.exclusive:
                self.add(Free(free.gpus - units * gpus, free.cores - units * cores, False), count)
        return used
