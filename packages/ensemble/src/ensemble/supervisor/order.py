"""Which job is next.

First come, first served; where the first does not fit now, later ones that fit may go before it, so that no core
is idle for long. After OVERTAKE seconds nobody overtakes the first any more, so that it runs in the end.
Of jobs that need the same, none overtakes another.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any

from resources import InfeasibleRequest, InsufficientResources, Pool, Resource

from ensemble.supervisor.task import WAITING, Task

OVERTAKE = 60.0  # seconds
LOOKAHEAD = 32  # different needs that are looked at behind one that does not fit


class Queue:
    """Jobs that wait, each kind of need in a line of its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: dict[str, tuple[Resource, deque[Task]]] = {}
        self._heads: list[tuple[int, str]] = []  # heap: number of the first in line, its need
        self._blocked: tuple[int, float] = (-1, 0.0)  # the first of all that did not fit, and since when

    def put(self, task: Task, need: Resource) -> None:
        text = need.text
        line = self._lines.get(text)
        if line is None:
            line = self._lines[text] = (need, deque())
            heappush(self._heads, (task.number, text))
        line[1].append(task)

    def __bool__(self) -> bool:
        return bool(self._heads)

    def fitting(self, pool: Pool) -> Iterator[tuple[Task, Any]]:
        """Jobs that can start now, with what the pool grants them; with an InfeasibleRequest those that never can."""
        passed: list[tuple[int, str]] = []
        try:
            while self._heads and len(passed) < LOOKAHEAD:
                number, text = heappop(self._heads)
                need, waiting = self._lines[text]
                while waiting and waiting[0].state != WAITING:
                    waiting.popleft()
                if not waiting:
                    del self._lines[text]
                    continue
                if waiting[0].number != number:
                    heappush(self._heads, (waiting[0].number, text))
                    continue
                granted: Any
                try:
                    granted = pool.alloc(need)
                except InfeasibleRequest as error:
                    granted = error
                except InsufficientResources:
                    passed.append((number, text))
                    if len(passed) == 1 and self._is_patient_no_more(number):
                        return
                    continue
                heappush(self._heads, (number, text))  # its number is put right when it is looked at next
                yield waiting.popleft(), granted
        finally:
            for entry in passed:
                heappush(self._heads, entry)

    def _is_patient_no_more(self, number: int) -> bool:
        now = self._clock()
        if self._blocked[0] != number:
            self._blocked = (number, now)
        return now - self._blocked[1] > OVERTAKE
