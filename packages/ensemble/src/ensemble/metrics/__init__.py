"""Counts and streaming statistics of each group of jobs.

Names are `count.GROUP.WHAT` and `STATISTIC[WINDOW].GROUP-SERIES`; how exact each statistic is, is said at
`Series`. Nothing here looks at a clock: time is what the caller says, with each event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

from ensemble.errors import SpecError
from ensemble.metrics.names import (
    NAMED,
    OF_EACH_GROUP,
    PERCENTILES,
    STATISTICS,
    WINDOW_VALUES,
    MetricName,
    did_you_mean,
    parse_metric,
    window_seconds,
)
from ensemble.metrics.series import EXACT, Series
from ensemble.metrics.sketch import ERROR
from ensemble.metrics.windows import Tally

_HELD = {"max": "most", "min": "least", "last": "last", "count": "moments.count"}  # as attributes: quick to get

Getter = Callable[[], "float | None"]


class Metrics:
    """The metrics of a run by name: `metrics.get("mean.sleep-duration")`, `metrics.get("count.sleep.success")`.

    counts: group -> what -> how often. series: `GROUP-SERIES` -> Series. now: the latest time that was told.
    Events may come out of order by their times (clocks differ): what is told late counts as of `now`.
    """

    __slots__ = ("_jobs", "_tallies", "_watched", "_watched_of_jobs", "counts", "now", "series")

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {}
        self.series: dict[str, Series] = {}
        self.now = 0.0
        self._tallies: dict[str, dict[str, Tally]] = {}  # by the key of a count, then by the window
        self._watched: dict[str, list[str]] = {}  # windows by the key of a series
        self._watched_of_jobs: dict[str, list[str]] = {}
        self._jobs: dict[str, Metrics] = {}

    # What happens

    def increment(self, group: str, what: str, now: float = 0.0) -> str:
        """Count; the key of what was updated. now: the event's time, in seconds."""
        if now > self.now:
            self.now = now
        counts = self.counts.get(group)
        if counts is None:
            counts = self.counts[group] = {}
        counts[what] = counts.get(what, 0) + 1
        key = f"count.{group}.{what}"
        if self._tallies and key in self._tallies:
            for tally in self._tallies[key].values():
                tally.add(1.0, self.now)
        return key

    def add(self, group: str, series: str, value: float, now: float = 0.0) -> str:
        """Take a value in; the key of what was updated, empty where the value was left out. now: the event's time."""
        if now > self.now:
            self.now = now
        key = f"{group}-{series}"
        known = self.series.get(key)
        if known is None:
            known = self.series[key] = Series(self._watched.get(key, ()))
        return key if known.update(value, self.now) else ""

    def ages(self, group: str, values: Iterable[float], now: float = 0.0) -> str:
        """The ages of all jobs of a group that are pending now, in place of what was told before; the key."""
        self.advance(now)
        key = f"{group}-age"
        series = self.series[key] = Series()
        for value in values:
            series.update(value)
        return key

    def advance(self, now: float) -> None:
        """Time has passed: windows over a time end here."""
        if now > self.now:
            self.now = now

    # What is asked

    def watch(self, name: str | MetricName, *, per_job: bool = False) -> MetricName:
        """Keep what this name needs from now on: windows and rates are kept only if watched. It may be told twice.

        per_job: for the series of each job (`of_job`). Raises SpecError.
        """
        metric = parse_metric(name) if isinstance(name, str) else name
        if not metric.window:
            return metric
        key = metric.key
        if metric.what:
            self._tallies.setdefault(key, {}).setdefault(metric.window, Tally(window_seconds(metric.window)))
            return metric
        windows = (self._watched_of_jobs if per_job else self._watched).setdefault(key, [])
        text = _kept_as(metric)
        if text not in windows:
            windows.append(text)
        self._keep_watched()
        return metric

    def get(self, name: str | MetricName) -> float | None:
        """The value now; None for a series without values (its count and rate are 0).

        Raises SpecError for a name that is none, and for a window or rate that nobody watches.
        """
        metric = parse_metric(name) if isinstance(name, str) else name
        return self.getter(metric)()

    def getter(self, metric: MetricName) -> Getter:
        """What `get` does, as a function that is made once and asked often. What it reads may begin to be later.

        Raises SpecError for a window or rate that nobody watches.
        """
        if metric.window:
            kept = self._tallies.get(metric.key, ()) if metric.what else self._watched.get(metric.key, ())
            if (metric.window if metric.what else _kept_as(metric)) not in kept:
                raise SpecError(f"{metric} is kept only where a rule names it", "name")
        if metric.what:
            return self._count_getter(metric)
        series, key, statistic = self.series, metric.key, metric.statistic
        empty = 0 if statistic in ("count", "rate") else None
        if metric.window:
            text = _kept_as(metric)

            def windowed() -> float | None:
                found = series.get(key)
                return found.get(statistic, text, self.now) if found is not None else empty

            return windowed

        if attribute := _HELD.get(statistic):
            held = attrgetter(attribute)

            def direct() -> float | None:
                found = series.get(key)
                value: float | None = held(found) if found is not None and found.moments.count else empty
                return value

            return direct

        def plain() -> float | None:
            found = series.get(key)
            return found.get(statistic) if found is not None else empty

        return plain

    def _count_getter(self, metric: MetricName) -> Getter:
        group, what = metric.group, metric.what
        if metric.window:
            tallies, key = self._tallies, metric.key
            window, statistic = metric.window, metric.statistic
            return lambda: tallies[key][window].get(statistic, self.now)
        counts, none = self.counts, dict[str, int]()
        return lambda: counts.get(group, none).get(what, 0)

    # Of one job

    def of_job(self, job: str) -> Metrics:
        """The series of one job alone, under the same names; begun when first asked for, kept until `forget`."""
        metrics = self._jobs.get(job)
        if metrics is None:
            metrics = self._jobs[job] = Metrics()
            metrics._watched = self._watched_of_jobs  # the same one: what is watched later is for it too
        return metrics

    def forget(self, job: str) -> None:
        """The job has ended: its series go."""
        self._jobs.pop(job, None)

    # What is shown and kept

    def summaries(self) -> Iterator[tuple[str, dict[str, float]]]:
        """For each series with values its key and its statistics, in the order of the summary."""
        for key, series in self.series.items():
            values = {name: series.get(name) for name in STATISTICS}
            if series.count:
                yield key, {name: value for name, value in values.items() if value is not None}

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """statistic -> `GROUP-SERIES` -> value for STATISTICS, and last `count` -> group -> what -> how often."""
        summaries = list(self.summaries())
        found: dict[str, dict[str, Any]] = {name: {key: of[name] for key, of in summaries} for name in STATISTICS}
        found["count"] = {group: dict(counts) for group, counts in self.counts.items()}
        return found

    def __str__(self) -> str:
        return str(self.as_dict())

    def copy(self, last: Metrics | None = None) -> Metrics:
        """All there is but the series of single jobs, for another thread to read while this goes on.

        last: an earlier copy; series to which nothing has come since are taken over from it.
        """
        found = Metrics()
        found.now = self.now
        found.counts = {group: dict(counts) for group, counts in self.counts.items()}
        found._watched = {key: list(windows) for key, windows in self._watched.items()}
        for key, tallies in self._tallies.items():
            found._tallies[key] = {window: Tally(tally.seconds) for window, tally in tallies.items()}
            for window, tally in tallies.items():
                found._tallies[key][window].restore(tally.state())
        for key, series in self.series.items():
            old = last.series.get(key) if last and not key.endswith("-age") else None
            same = old and (old.count, old.dropped, *old.windows) == (series.count, series.dropped, *series.windows)
            found.series[key] = old if old and same else Series.restored(series.state())
        return found

    def state(self) -> dict[str, Any]:
        """All there is as JSON data: what `restore` makes of it goes on exactly as this does."""
        return {
            "now": self.now,
            "counts": {group: dict(counts) for group, counts in self.counts.items()},
            "series": {key: series.state() for key, series in self.series.items()},
            "tallies": {
                key: {window: tally.state() for window, tally in tallies.items()}
                for key, tallies in self._tallies.items()
            },
            "watched": {key: list(windows) for key, windows in self._watched.items()},
            "watched_of_jobs": {key: list(windows) for key, windows in self._watched_of_jobs.items()},
            "jobs": {
                job: {"now": of.now, "series": {key: series.state() for key, series in of.series.items()}}
                for job, of in self._jobs.items()
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what `state` was. What is watched here stays watched, and getters made before stay good."""
        self.now = state["now"]
        self.counts.clear()
        self.counts.update({group: dict(counts) for group, counts in state["counts"].items()})
        self.series.clear()
        self.series.update({key: Series.restored(kept) for key, kept in state["series"].items()})
        told = state["tallies"]
        for key, tallies in told.items():
            for window in tallies:
                self._tallies.setdefault(key, {}).setdefault(window, Tally(window_seconds(window)))
        for key, tallies in self._tallies.items():
            for window, tally in tallies.items():
                tally.restore(told.get(key, {}).get(window, {"times": [], "counts": []}))
        for watched, windows in (
            (self._watched, state["watched"]),
            (self._watched_of_jobs, state["watched_of_jobs"]),
        ):
            for key, texts in windows.items():
                watched[key] = list(dict.fromkeys((*texts, *watched.get(key, ()))))
        self._jobs.clear()
        for job, of in state["jobs"].items():
            metrics = self.of_job(job)
            metrics.now = of["now"]
            metrics.series.update({key: Series.restored(kept) for key, kept in of["series"].items()})
        self._keep_watched()

    def _keep_watched(self) -> None:
        for metrics in (self, *self._jobs.values()):
            for key, windows in metrics._watched.items():
                if key in metrics.series:
                    for text in windows:
                        metrics.series[key].watch(text)


def _kept_as(metric: MetricName) -> str:
    """The text of a series' window: a rate counts where other statistics keep values."""
    return f"rate{metric.window}" if metric.statistic == "rate" else metric.window


__all__ = [
    "ERROR",
    "EXACT",
    "NAMED",
    "OF_EACH_GROUP",
    "PERCENTILES",
    "STATISTICS",
    "WINDOW_VALUES",
    "Getter",
    "MetricName",
    "Metrics",
    "Series",
    "did_you_mean",
    "parse_metric",
]
