"""How each statistic is taken from what a series or a window keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from ensemble.metrics.exact import Moments, Ordered, bounded
from ensemble.metrics.names import PERCENTILES
from ensemble.metrics.sketch import Sketch


class Summary(Protocol):
    """What statistics are taken from: at least one value, sums without rounding, and values in order."""

    @property
    def moments(self) -> Moments: ...
    @property
    def order(self) -> Ordered | Sketch: ...
    @property
    def last(self) -> float: ...
    @property
    def least(self) -> float: ...
    @property
    def most(self) -> float: ...


def _quantile(percent: int, of: Summary) -> float:
    value = of.order.quantile(percent)
    return value if of.least <= value <= of.most else min(max(value, of.least), of.most)


def _iqr(of: Summary) -> float:
    return bounded(_quantile(75, of) - _quantile(25, of))


STATISTIC: Mapping[str, Callable[[Summary], float]] = {
    "variance": lambda of: of.moments.variance(),
    "mean": lambda of: of.moments.mean(),
    "iqr": _iqr,
    "max": lambda of: of.most,
    "min": lambda of: of.least,
    "mad": lambda of: of.order.mad(),
    "median": partial(_quantile, 50),
    "count": lambda of: of.moments.count,
    "sum": lambda of: of.moments.sum(),
    "last": lambda of: of.last,
    **{name: partial(_quantile, int(name[1:])) for name in PERCENTILES},
}
