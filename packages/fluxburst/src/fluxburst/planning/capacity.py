"""Nodes counted by what is free on each: a cluster of any size is as long as its different nodes are many."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from math import inf
from typing import NamedTuple

MARGIN = 60.0  # seconds of a lease that no job is planned for: a node boots and joins before it works


class Free(NamedTuple):
    """What is free on a node, whether nothing runs on it, and seconds until it ends."""

    gpus: int
    cores: int
    idle: bool
    left: float = inf


class Ask(NamedTuple):
    """A demand as nodes see it.

    whole: each unit takes a node of its own. gpus, cores: of one unit. least: seconds that its nodes must be there,
    0 where that is not known. most: seconds within which they must end.
    """

    whole: bool
    gpus: int
    cores: int
    exclusive: bool = False
    least: float = 0.0
    most: float = inf


class Move(NamedTuple):
    """So many nodes of one kind take so many units of a demand each."""

    free: Free
    nodes: int
    units: int


def usable(left: float) -> float:
    """How long a job may run on nodes that end in so many seconds."""
    return left - min(MARGIN, left / 10) if left != inf else inf


def in_time(left: float, ask: Ask) -> bool:
    """Whether nodes that end in so many seconds last as long as a demand needs, and no longer than it allows."""
    return left <= ask.most and (not ask.least or usable(left) >= ask.least)


def parts(gpus: int, cores: int, ask: Ask) -> int:
    """How many units of a demand so many GPUs and cores hold: one at most where each takes a node."""
    if cores < ask.cores or gpus < ask.gpus:
        return 0
    if ask.whole:
        return 1
    by_cores = cores // ask.cores if ask.cores else gpus
    return min(by_cores, gpus // ask.gpus) if ask.gpus else by_cores


def holds(free: Free, ask: Ask) -> int:
    """How many units of a demand one node takes."""
    if ask.exclusive and not free.idle:
        return 0
    if (ask.least or ask.most != inf) and not in_time(free.left, ask):
        return 0
    return parts(free.gpus, free.cores, ask)


class Nodes:
    """How many nodes there are of each kind. reach: no node has more GPUs, none more cores than that."""

    def __init__(self) -> None:
        self.size = 0
        self.reach = (0, 0)
        self._counts: dict[Free, int] = {}
        self._gpus: list[int] = []  # the numbers of GPUs that occur, in order
        self._levels: dict[int, list[Free]] = {}  # the kinds of each, in order
        self._idle: list[Free] = []  # the idle ones of them, in order

    def add(self, free: Free, count: int) -> None:
        """More nodes of a kind; nothing is kept of nodes that have nothing left."""
        if not count or not (free.cores or free.gpus):
            return
        self.size += count
        if free in self._counts:
            self._counts[free] += count
            return
        self._counts[free] = count
        self.reach = max(self.reach[0], free.gpus), max(self.reach[1], free.cores)
        if free.gpus in self._levels:
            insort(self._levels[free.gpus], free)
        else:
            insort(self._gpus, free.gpus)
            self._levels[free.gpus] = [free]
        if free.idle:
            insort(self._idle, free)

    def fill(self, ask: Ask, units: int) -> tuple[list[Move], int]:
        """Where up to `units` units would go, the fullest nodes first, and how many units are left over."""
        moves: list[Move] = []
        if ask.exclusive:
            return moves, self._fill(self._idle, 0, ask, units, moves)
        for gpus in self._gpus[bisect_left(self._gpus, ask.gpus) :] if ask.gpus else self._gpus:
            kinds = self._levels[gpus]
            start = bisect_left(kinds, (gpus, ask.cores)) if kinds[0][1] < ask.cores else 0
            if start < len(kinds):
                units = self._fill(kinds, start, ask, units, moves)
                if not units:
                    break
        return moves, units

    def _fill(self, kinds: list[Free], start: int, ask: Ask, units: int, moves: list[Move]) -> int:
        for at in range(start, len(kinds)):
            free = kinds[at]
            each = holds(free, ask)
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
        return units

    def take(self, ask: Ask, moves: Iterable[Move]) -> int:
        """Make the moves, and say how many nodes they use."""
        used = 0
        for free, count, units in moves:
            used += count
            self._remove(free, count)
            if not ask.exclusive:
                self.add(Free(free.gpus - units * ask.gpus, free.cores - units * ask.cores, False, free.left), count)
        return used

    def _remove(self, free: Free, count: int) -> None:
        self.size -= count
        self._counts[free] -= count
        if self._counts[free]:
            return
        del self._counts[free]
        kinds = self._levels[free.gpus]
        del kinds[bisect_left(kinds, free)]
        if free.idle:
            del self._idle[bisect_left(self._idle, free)]
        if not kinds:
            del self._levels[free.gpus]
            del self._gpus[bisect_left(self._gpus, free.gpus)]

    def lower_reach(self) -> None:
        """Work out anew how far a node reaches; `reach` is not lowered by what is taken."""
        self.reach = self._gpus[-1] if self._gpus else 0, max((k[-1].cores for k in self._levels.values()), default=0)

    @property
    def idle(self) -> int:
        """How many nodes nothing runs on."""
        return sum(self._counts[free] for free in self._idle)
