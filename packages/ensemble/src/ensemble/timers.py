"""What is due when: a heap of times that the engine set, in the order of time and then of setting."""

from __future__ import annotations

import heapq
from typing import Any


class Timers:
    """`kind` and `key` say what is due; nothing is ever taken out before its time."""

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

    def state(self) -> list[Any]:
        return [self._count, sorted(self._heap)]

    def restore(self, state: list[Any]) -> None:
        self._count = state[0]
        self._heap = [(time, count, kind, key) for time, count, kind, key in state[1]]
