"""The names of metrics: `count.GROUP.WHAT`, `STATISTIC[WINDOW].GROUP-SERIES`, `rate[WINDOW].GROUP.WHAT`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ensemble.errors import SpecError
from ensemble.events import COUNTED

STATISTICS = ("variance", "mean", "iqr", "max", "min", "mad")  # the order of the summary
PERCENTILES = tuple(f"p{number}" for number in range(1, 100))
NAMED = (*STATISTICS, "median", "count", "sum", "last", "rate")
OF_EACH_GROUP = ("duration", "pending", "age")  # series that every group has; the others are its application's
ALIASES = {"pending-time": "pending"}
RATE_WINDOW = "60s"  # of a rate that names none
WINDOW_VALUES = 10_000  # at most so many values are kept for one window

_WORDS = (
    "count.GROUP.success, mean.GROUP-duration, p90.GROUP-pending, mean[100].GROUP-duration or rate[60s].GROUP.success"
)
_HEAD = re.compile(r"(?P<statistic>[A-Za-z0-9_]+)(?:\[(?P<window>[^\]]*)\])?\.(?P<rest>.+)")
_COUNT = re.compile(r"(?P<group>[A-Za-z0-9_-]+)\.(?P<what>[^.]+)", re.ASCII)
_SERIES = re.compile(r"(?P<group>[A-Za-z0-9_-]+?)-(?P<series>pending-time|[A-Za-z][A-Za-z0-9_]*)", re.ASCII)
_SPAN = re.compile(r"(?:[0-9]{1,9}[dhms])+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MetricName:
    """A count (`what` is set) or a statistic of a series (`series` is set).

    statistic: one of NAMED or of PERCENTILES. window: empty, `100` for the last hundred values, `60s` for the last
    sixty seconds; a rate always has one. `str()` is the name as it is written, the shortest of those that are the same.
    """

    statistic: str
    group: str
    what: str = ""
    series: str = ""
    window: str = ""

    @property
    def key(self) -> str:
        """What is updated as one: a count, or a series with all its statistics."""
        return f"{self.group}-{self.series}" if self.series else f"count.{self.group}.{self.what}"

    def __str__(self) -> str:
        usual = not self.window or (self.statistic == "rate" and self.window == RATE_WINDOW)
        of = f"{self.group}-{self.series}" if self.series else f"{self.group}.{self.what}"
        return f"{self.statistic}{'' if usual else f'[{self.window}]'}.{of}"


def parse_metric(text: object) -> MetricName:
    """Raises SpecError that says what was meant. Whether the group has such a series is not known here."""
    head = _HEAD.fullmatch(text) if isinstance(text, str) else None
    if not head:
        raise _unreadable(text)
    statistic, rest = head["statistic"], head["rest"]
    if count := _COUNT.fullmatch(rest):
        if statistic not in ("count", "rate"):
            hint = did_you_mean(statistic, ("count", "rate"))
            raise SpecError(f"{text!r}: {count['what']!r} is counted, it has no {statistic!r}{hint}", "name")
        if count["what"] not in COUNTED:
            raise SpecError(f"no count {count['what']!r}{did_you_mean(count['what'], COUNTED)}", "name")
        window = _window(head["window"], statistic, seconds=True)
        return MetricName(statistic, count["group"], what=count["what"], window=window)
    named = _SERIES.fullmatch(rest)
    if not named:
        raise _unreadable(text)
    if statistic not in NAMED and statistic not in PERCENTILES:
        if re.fullmatch("p[0-9]+", statistic):
            raise SpecError(f"no quantile {statistic!r}; there are p1 to p99, min and max", "name")
        raise SpecError(f"no statistic {statistic!r}{did_you_mean(statistic, NAMED)}", "name")
    series = ALIASES.get(named["series"], named["series"])
    window = _window(head["window"], statistic, seconds=statistic == "rate")
    if series == "age" and window:
        raise SpecError(f"{text!r}: ages are those of now, they have no windows and no rate", "name")
    return MetricName(statistic, named["group"], series=series, window=window)


def window_seconds(window: str) -> int:
    """The length of a window in seconds; 0 for one that counts values."""
    return int(window[:-1]) if window.endswith("s") else 0


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?`, or what there is."""
    if close := get_close_matches(word, known, n=1):
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(known)}" if known else ""


def _unreadable(text: object) -> SpecError:
    return SpecError(f"no metric {text!r}; write {_WORDS} ({', '.join(NAMED)}, p1 to p99)", "name")


def _window(text: str | None, statistic: str, *, seconds: bool) -> str:
    """As MetricName has it. seconds: a number of values makes no sense here."""
    if text is None:
        return RATE_WINDOW if statistic == "rate" else ""
    if re.fullmatch("[0-9]{1,9}", text, re.ASCII) and int(text):
        if seconds:
            raise SpecError(f"{statistic}[{text}] is over a time; did you mean {statistic}[{text}s]?", "name")
        if int(text) > WINDOW_VALUES:
            raise SpecError(f"a window holds at most {WINDOW_VALUES} values, not {text}", "name")
        return str(int(text))
    if _SPAN.fullmatch(text):
        from resources.errors import InputError
        from resources.units import seconds as read

        try:
            length = read(text, "the window")
        except InputError as error:
            raise SpecError(str(error), "name") from error
        if length:
            return f"{length}s"
    raise SpecError(
        f"no window [{text}]; write [100] for the last values, [60s], [15m], [2h] or [1d] for a time", "name"
    )
