"""Counts and streaming statistics of each group of jobs.

A series keeps its values while there are fewer than EXACT of them, and every statistic is exact.
From there on it is river's streaming statistics with bounded memory: count, mean, variance, min and
max stay exact, iqr and mad become estimates (P-square quantiles).
"""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from math import fsum, isfinite
from statistics import fmean, median
from typing import Any

from ensemble.errors import SpecError
from ensemble.events import COUNTED

EXACT = 1000
STATISTICS = ("variance", "mean", "iqr", "max", "min", "mad")  # the order of the summary
_SERIES = {"duration": "duration", "pending": "pending", "pending-time": "pending"}
_ON_SERIES = re.compile(r"(?P<statistic>[a-z]+)\.(?P<group>[^.]+?)-(?P<series>pending-time|pending|duration)")
_COUNT = re.compile(r"count\.(?P<group>[^.]+)\.(?P<what>[^.]+)")


@dataclass(frozen=True, slots=True)
class MetricName:
    """`count.GROUP.WHAT`, or `STATISTIC.GROUP-SERIES`; `series` is empty for the first."""

    statistic: str
    group: str
    what: str = ""
    series: str = ""

    @property
    def key(self) -> str:
        """What is updated as one: a count, or a series with all its statistics."""
        return f"{self.group}-{self.series}" if self.series else f"count.{self.group}.{self.what}"


def parse_metric(text: object) -> MetricName:
    """Raises SpecError that says what was meant."""
    if isinstance(text, str):
        if match := _COUNT.fullmatch(text):
            if match["what"] not in COUNTED:
                raise SpecError(f"no count {match['what']!r}{did_you_mean(match['what'], COUNTED)}", "name")
            return MetricName("count", match["group"], what=match["what"])
        if match := _ON_SERIES.fullmatch(text):
            if match["statistic"] not in (*STATISTICS, "count"):
                hint = did_you_mean(match["statistic"], STATISTICS)
                raise SpecError(f"no statistic {match['statistic']!r}{hint}", "name")
            return MetricName(match["statistic"], match["group"], series=_SERIES[match["series"]])
    raise SpecError(
        f"no metric {text!r}; write count.GROUP.success, or mean.GROUP-duration (also -pending;"
        f" {', '.join(STATISTICS)}, count)",
        "name",
    )


def did_you_mean(word: str, known: tuple[str, ...] | list[str]) -> str:
    """`; did you mean 'x'?`, or what there is."""
    if close := get_close_matches(word, known, n=1):
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(known)}" if known else ""


class Series:
    """The values of one thing over time. NaN and infinities are left out."""

    __slots__ = ("_known", "_sorted", "_streams", "_values", "count")

    def __init__(self) -> None:
        self.count = 0
        self._values: list[float] = []
        self._sorted: list[float] = []
        self._streams: dict[str, Any] | None = None
        self._known: dict[str, float] = {}  # statistics since the last update: many rules may read one

    def update(self, value: float) -> bool:
        """Take a value in; False where it is no finite number and was left out."""
        if not isfinite(value):
            return False
        self.count += 1
        self._known.clear()
        if self._streams is not None:
            for stream in self._streams.values():
                stream.update(value)
            return True
        self._values.append(value)
        insort(self._sorted, value)
        if self.count >= EXACT:
            self._stream()
        return True

    def get(self, statistic: str) -> float | None:
        """The statistic's value; None where there are no values yet."""
        if statistic == "count":
            return self.count
        if not self.count:
            return None
        if statistic not in self._known:
            streams = self._streams
            self._known[statistic] = float(streams[statistic].get()) if streams else _exact(statistic, self._sorted)
        return self._known[statistic]

    def _stream(self) -> None:
        # Imported here: river brings numpy and scipy, and most runs never need it.
        from river import stats

        kinds = {"variance": stats.Var, "mean": stats.Mean, "iqr": stats.IQR}
        kinds |= {"max": stats.Max, "min": stats.Min, "mad": stats.MAD}
        self._streams = {name: kinds[name]() for name in STATISTICS}
        for value in self._values:
            for stream in self._streams.values():
                stream.update(value)
        self._values, self._sorted = [], []


def _exact(statistic: str, ordered: list[float]) -> float:
    """From the sorted values. variance is the sample's; quartiles are interpolated; mad is about the median."""
    match statistic:
        case "min":
            return ordered[0]
        case "max":
            return ordered[-1]
        case "mean":
            return fmean(ordered)
        case "variance":
            mean = fmean(ordered)
            return fsum((value - mean) ** 2 for value in ordered) / (len(ordered) - 1) if len(ordered) > 1 else 0.0
        case "mad":
            middle = median(ordered)
            return median(abs(value - middle) for value in ordered)
        case "iqr":
            return _quantile(ordered, 3) - _quantile(ordered, 1)
    raise ValueError(f"no statistic {statistic!r}")


def _quantile(ordered: list[float], quarters: int) -> float:
    """Interpolated between the two nearest values, as `statistics.quantiles(..., method="inclusive")` has it."""
    place, rest = divmod(quarters * (len(ordered) - 1), 4)
    if not rest:
        return ordered[place]
    return (ordered[place] * (4 - rest) + ordered[place + 1] * rest) / 4


class Metrics:
    """The metrics of a run by name: `metrics.get("mean.sleep-duration")`, `metrics.get("count.sleep.success")`."""

    __slots__ = ("counts", "series")

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {}
        self.series: dict[str, Series] = {}

    def get(self, name: str | MetricName) -> float | None:
        """The value now; None for a series without values. Raises SpecError for a name that is none."""
        metric = parse_metric(name) if isinstance(name, str) else name
        if not metric.series:
            return self.counts.get(metric.group, {}).get(metric.what, 0)
        series = self.series.get(metric.key)
        return series.get(metric.statistic) if series else None

    def increment(self, group: str, what: str) -> str:
        """Count; the key of what was updated."""
        counts = self.counts.setdefault(group, {})
        counts[what] = counts.get(what, 0) + 1
        return f"count.{group}.{what}"

    def add(self, group: str, series: str, value: float) -> str:
        """Take a value in; the key of what was updated, empty where the value was left out."""
        key = f"{group}-{series}"
        return key if self.series.setdefault(key, Series()).update(value) else ""

    def summaries(self) -> Iterator[tuple[str, dict[str, float]]]:
        """For each series with values its key and its statistics, in the order of the summary."""
        for key, series in self.series.items():
            values = {name: series.get(name) for name in STATISTICS}
            yield key, {name: value for name, value in values.items() if value is not None}

    def as_dict(self) -> dict[str, Any]:
        return {"count": {group: dict(counts) for group, counts in self.counts.items()}, **dict(self.summaries())}
