"""What is due when: a heap of times that the engine set, in the order of time and then of setting."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class Timers:
    """`kind` and `key` say what is due; what is past is taken out in its time, or before that by `thin`."""

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str, str]] = []
        self._count = 0

    def set(self, time: float, kind: str, key: str = "") -> None:
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, kind, key))

    @property
    def next(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> tuple[float, str, str] | None:
        """The first that is due: its time, kind and key; taken out."""
        if not self._heap or self._heap[0][0] > now:
            return None
        time, _, kind, key = heapq.heappop(self._heap)
        return time, kind, key

    def thin(self, live: int, is_past: Callable[[str, str], bool]) -> None:
        """Take out what is past (kind, key), where most may be: there are many more than `live` jobs."""
        if len(self._heap) > 2 * live + 1000:
            self._heap = [one for one in self._heap if not is_past(one[2], one[3])]
            heapq.heapify(self._heap)

    def state(self) -> list[Any]:
        return [self._count, sorted(self._heap)]

    def restore(self, state: list[Any]) -> None:
        self._count = state[0]
        self._heap = [(time, count, kind, key) for time, count, kind, key in state[1]]
