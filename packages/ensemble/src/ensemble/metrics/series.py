"""The values of one thing over time, and every statistic of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from ensemble.metrics.exact import Moments, Ordered
from ensemble.metrics.sketch import Sketch
from ensemble.metrics.summary import STATISTIC
from ensemble.metrics.windows import Window, window_of

EXACT = 1000  # below so many values every statistic is exact
_BATCH = 1000  # so many values wait at most to be put into bins


class Series:
    """The values of one thing over time, in bounded memory. NaN and infinities are left out.

    count, sum, mean, variance, min, max and last are exact after any number of values: correctly rounded. Quantiles,
    iqr and mad are exact below EXACT values; from there on they have the error that
    `ensemble.metrics.sketch.Sketch` states: with e = `error` (0.5 % unless the values span many orders of magnitude)
    and D(x) the distance of x from the median of the first EXACT values, a quantile x is within e * D(x), iqr
    within e * (D(p25) + D(p75)), mad within e * (mad + 2 * D(median)).

    variance is the sample's (n - 1); quantiles are interpolated; mad is the median distance from the median.
    A result that no double holds is the largest one: no statistic is infinite or NaN.

    dropped: how many values were left out. windows: those that are watched, by their text.
    """

    __slots__ = ("_known", "_settle_at", "dropped", "last", "least", "moments", "most", "order", "windows")

    def __init__(self, windows: Iterable[str] = ()) -> None:
        self.dropped = 0
        self.moments = Moments()
        self.order: Ordered | Sketch = Ordered()
        self.least = self.most = self.last = 0.0
        self.windows: dict[str, Window] = {text: window_of(text) for text in windows}
        self._settle_at = EXACT
        self._known: dict[str, float] = {}  # statistics since the last value: many rules may read one

    @property
    def count(self) -> int:
        return self.moments.count

    @property
    def error(self) -> float:
        """e, as above; 0 while everything is exact."""
        return self.order.error if isinstance(self.order, Sketch) else 0.0

    def update(self, value: float, now: float = 0.0) -> bool:
        """Take a value in; False where it is no finite number and was left out. now: never less than before."""
        if type(value) is not float:
            try:
                value = float(value)
            except OverflowError:
                value = float("inf")
        if not isfinite(value):
            self.dropped += 1
            return False
        moments = self.moments
        if not moments.count:
            self.least = self.most = value
        elif value > self.most:
            self.most = value
        elif value < self.least:
            self.least = value
        moments.add(value)
        self.last = value
        self._known.clear()
        self.order.fresh.append(value)
        if moments.count >= self._settle_at:
            self._settle()
        if self.windows:
            for window in self.windows.values():
                window.add(value, now)
        return True

    def get(self, statistic: str, window: str = "", now: float = 0.0) -> float | None:
        """The statistic's value; None where there are no values (count and rate are 0 then).

        window: one that is watched, as MetricName has it; only those that are over a time need `now`.
        Raises KeyError for a statistic or a window that there is not.
        """
        if window:
            return self.windows[window].get(statistic, now)
        value = self._known.get(statistic)
        if value is None:
            if not self.moments.count:
                return 0 if statistic == "count" else None
            value = self._known[statistic] = STATISTIC[statistic](self)
        return value

    def watch(self, window: str) -> None:
        """Keep a window from now on; one that is kept stays as it is."""
        if window not in self.windows:
            self.windows[window] = window_of(window)

    def state(self) -> dict[str, Any]:
        """JSON data from which `restored` makes a series that goes on as this one would."""
        order = self.order
        return {
            "dropped": self.dropped,
            "moments": self.moments.state(),
            "ends": [self.least, self.most, self.last],
            "values": order.settle()[:] if isinstance(order, Ordered) else None,
            "sketch": order.state() if isinstance(order, Sketch) else None,
            "windows": {text: window.state() for text, window in self.windows.items()},
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Series:
        series = cls()
        series.dropped = state["dropped"]
        series.moments = Moments.restored(state["moments"])
        series.least, series.most, series.last = state["ends"]
        if state["sketch"]:
            series.order = Sketch.restored(state["sketch"])
            series._settle_at = series.count + _BATCH
        else:
            series.order = Ordered(list(state["values"]))
        for text, kept in state["windows"].items():
            series.windows[text] = window_of(text)
            series.windows[text].restore(kept)
        return series

    def _settle(self) -> None:
        order = self.order
        if isinstance(order, Sketch):
            order.settle()
        else:
            self.order = Sketch(order.quantile(50), order.settle())
        self._settle_at = self.count + _BATCH
