"""Statistics of the last values only: the last n, or those of the last t seconds; and how often a second.

A window keeps its values and is exact. One over a time holds the newest WINDOW_VALUES (10,000) values at most.
A tally counts what happened within a time, exactly while that is at most WINDOW_VALUES different times; beyond
that neighbouring times are joined at the later one, so that nothing is lost from the count, but
it may be counted for longer by the time between the two.

Time is what the caller says, and must never go back. What happened at `now - t` is just over.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from ensemble.metrics.exact import Moments, Ordered
from ensemble.metrics.names import WINDOW_VALUES, window_seconds
from ensemble.metrics.summary import STATISTIC


class Window(Protocol):
    def add(self, value: float, now: float) -> None: ...
    def get(self, statistic: str, now: float) -> float | None: ...
    def state(self) -> Any: ...
    def restore(self, state: Any) -> None: ...


class Recent:
    """The last `size` values, those of the last `seconds` (0: of any time)."""

    __slots__ = ("_known", "_order", "_times", "_values", "moments", "seconds", "size")

    def __init__(self, size: int, seconds: int = 0) -> None:
        self.size, self.seconds = size, seconds
        self.moments = Moments()
        self._values: deque[float] = deque()
        self._times: deque[float] = deque()  # of the values; empty where there is no limit of time
        self._order: Ordered | None = None  # made when somebody asks for it, kept from then on
        self._known: dict[str, float] = {}

    @property
    def order(self) -> Ordered:
        if self._order is None:
            self._order = Ordered(sorted(self._values))
        return self._order

    @property
    def least(self) -> float:
        return self.order.settle()[0]

    @property
    def most(self) -> float:
        return self.order.settle()[-1]

    @property
    def last(self) -> float:
        return self._values[-1]

    def add(self, value: float, now: float) -> None:
        if self.seconds:
            self._expire(now)
        if len(self._values) == self.size:
            self._drop()
        if self.seconds:
            self._times.append(now)
        self._values.append(value)
        self.moments.add(value)
        if self._order is not None:
            self._order.fresh.append(value)
        self._known.clear()

    def get(self, statistic: str, now: float) -> float | None:
        if self.seconds:
            self._expire(now)
        if not self._values:
            return 0 if statistic == "count" else None
        value = self._known.get(statistic)
        if value is None:
            value = self._known[statistic] = STATISTIC[statistic](self)
        return value

    def state(self) -> dict[str, list[float]]:
        return {"values": list(self._values), "times": list(self._times)}

    def restore(self, state: dict[str, list[float]]) -> None:
        self._values, self._times = deque(state["values"]), deque(state["times"])
        self.moments = Moments()
        for value in self._values:
            self.moments.add(value)
        self._order = None
        self._known.clear()

    def _expire(self, now: float) -> None:
        times, over = self._times, now - self.seconds
        while times and times[0] <= over:
            self._drop()

    def _drop(self) -> None:
        value = self._values.popleft()
        if self._times:
            self._times.popleft()
        self.moments.remove(value)
        if self._order is not None:
            self._order.remove(value)
        self._known.clear()


class Tally:
    """How often something happened in the last `seconds`."""

    __slots__ = ("_counts", "_times", "seconds", "total")

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.total = 0
        self._times: deque[float] = deque()
        self._counts: deque[int] = deque()

    def add(self, value: float, now: float) -> None:
        """`value` is that of a series, and of no matter here."""
        times = self._times
        self._expire(now)
        self.total += 1
        if times and times[-1] == now:
            self._counts[-1] += 1
            return
        times.append(now)
        self._counts.append(1)
        if len(times) > WINDOW_VALUES:
            self._join()

    def get(self, statistic: str, now: float) -> float:
        """`rate`, a second; or `count`."""
        self._expire(now)
        return self.total / self.seconds if statistic == "rate" else self.total

    def state(self) -> dict[str, list[float]]:
        return {"times": list(self._times), "counts": list(self._counts)}

    def restore(self, state: dict[str, Any]) -> None:
        self._times, self._counts = deque(state["times"]), deque(state["counts"])
        self.total = sum(self._counts)

    def _expire(self, now: float) -> None:
        times, over = self._times, now - self.seconds
        while times and times[0] <= over:
            times.popleft()
            self.total -= self._counts.popleft()

    def _join(self) -> None:
        times, counts = list(self._times), list(self._counts)
        if len(times) % 2:
            times.insert(0, times[0])
            counts.insert(0, 0)
        self._times = deque(times[1::2])
        self._counts = deque(first + second for first, second in zip(counts[::2], counts[1::2], strict=True))


def window_of(text: str) -> Window:
    """An empty window: `100`, `60s`, or `rate` and the seconds: `rate60s`."""
    if text.startswith("rate"):
        return Tally(window_seconds(text[4:]))
    if seconds := window_seconds(text):
        return Recent(WINDOW_VALUES, seconds)
    return Recent(int(text))
