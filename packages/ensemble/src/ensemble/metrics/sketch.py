"""Quantiles of any number of values in bounded memory, with an error that is guaranteed.

The method is that of DDSketch (Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", PVLDB 12(12), 2019, section 2): bins whose edges grow by a constant factor, so that any
value of a bin stands for every other one with a bounded relative error. Two things differ. What is put into
bins is the distance from a centre, the median of the values so far, so that the error is relative to the
spread of the values and not to their size. And where there are too many bins, all are joined two by two, as
in UDDSketch (Epicoco et al., "UDDSketch: accurate tracking of quantiles in data streams", IEEE Access 8, 2020):
the error doubles, is known, and holds for every quantile.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from math import ceil, exp, log
from typing import Any

from ensemble.metrics.exact import LARGEST, between, bounded

ERROR = 0.005
BINS = 4096
_WIDTH = log((1 + ERROR) / (1 - ERROR))  # of a bin, as a logarithm
_OFFSET = 1 << 17  # above -log(the smallest double) / _WIDTH: keys are positive, 0 is the centre
_HALF = log(2)
_TOP = log(LARGEST)
_MANY = 64  # after so many new values at once, places are looked up anew


class Sketch:
    """Bins of distances from `centre`.

    With e = `error`, D(x) = |x - centre|, and up to the rounding of doubles:

    - a quantile between two neighbouring values is within e * max(D) of the two; where a quantile is one value x,
      within e * D(x)
    - mad is within e * (mad + 2 * D(median)), with the larger D of the two in the middle for an even count

    e is ERROR while there are at most BINS bins, and about doubles each time that these are joined. Distances must
    span a factor of exp(20) = 5e8, densely and on both sides of the centre, before that happens.

    keys, counts and points are parallel: the bin's signed number, how many values, and the value that stands for them.
    """

    __slots__ = ("_places", "_window", "centre", "count", "counts", "fresh", "keys", "level", "points")

    def __init__(self, centre: float, values: Iterable[float] = ()) -> None:
        self.centre = centre
        self.level = 0  # how often bins were joined
        self.count = 0
        self.keys: list[int] = []
        self.counts: list[int] = []
        self.points: list[float] = []
        self.fresh = list(values)
        # Where the last answers were found: [bin, values below it] for each quantile, and [first, last bin,
        # values inside] of the nearest half. New values move these by little, or they are looked up from the start.
        self._places: dict[int, list[int]] = {}
        self._window: list[int] = []
        self.settle()

    @property
    def error(self) -> float:
        """e, as above."""
        growth = exp(_WIDTH * 2**self.level)
        return (growth - 1) / (growth + 1)

    def settle(self) -> None:
        """Put the fresh values into bins."""
        fresh = self.fresh
        if not fresh:
            return
        if len(fresh) > _MANY:
            self._places.clear()
            self._window.clear()
        keys, counts, places, window, centre = self.keys, self.counts, self._places, self._window, self.centre
        for value in fresh:
            distance = value - centre
            if not -LARGEST <= distance <= LARGEST:
                key = ceil((log(abs(value / 2 - centre / 2)) + _HALF) / _WIDTH) + _OFFSET
                key = key if distance > 0 else -key
            elif distance > 0:
                key = ceil(log(distance) / _WIDTH) + _OFFSET
            elif distance < 0:
                key = -(ceil(log(-distance) / _WIDTH) + _OFFSET)
            else:
                key = 0
            if self.level:
                key = _joined(key, self.level)
            spot = bisect_left(keys, key)
            if spot == len(keys) or keys[spot] != key:
                self._insert(spot, key)
                if len(keys) > BINS:
                    self._join()
                    keys, counts = self.keys, self.counts
                    continue
            else:
                counts[spot] += 1
            for place in places.values():
                if spot < place[0]:
                    place[1] += 1
            if window and window[0] <= spot <= window[1]:
                window[2] += 1
        self.count += len(fresh)
        fresh.clear()

    def quantile(self, percent: int) -> float:
        """Interpolated between the two nearest values, as `Ordered.quantile`."""
        self.settle()
        place, rest = divmod(percent * (self.count - 1), 100)
        counts, points = self.counts, self.points
        found = self._places.setdefault(percent, [0, 0])
        spot, below = found
        while below > place:
            spot -= 1
            below -= counts[spot]
        while below + counts[spot] <= place:
            below += counts[spot]
            spot += 1
        found[:] = spot, below
        if rest and below + counts[spot] <= place + 1:
            return between(points[spot], points[spot + 1], rest)
        return points[spot]

    def mad(self) -> float:
        """The median of the distances from the median."""
        middle, count = self.quantile(50), self.count
        near, after = self._nearest(middle, (count + 1) // 2)
        return bounded(near if count % 2 else between(near, after, 50))

    def state(self) -> dict[str, Any]:
        self.settle()
        return {"centre": self.centre, "level": self.level, "keys": self.keys[:], "counts": self.counts[:]}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Sketch:
        sketch = cls(state["centre"])
        sketch.level = state["level"]
        sketch.keys, sketch.counts = list(state["keys"]), list(state["counts"])
        sketch.points = [sketch._point(key) for key in sketch.keys]
        sketch.count = sum(sketch.counts)
        return sketch

    def _nearest(self, middle: float, rank: int) -> tuple[float, float]:
        """The rank-th smallest distance from `middle`, and the next one."""
        counts, points, last = self.counts, self.points, len(self.counts) - 1
        if not self._window:
            spot = bisect_left(points, middle)
            spot = min(spot, last)
            self._window = [spot, spot, counts[spot]]
        low, high, inside = self._window
        while True:
            left = middle - points[low - 1] if low else None
            right = points[high + 1] - middle if high < last else None
            grow_left = left is not None and (right is None or left <= right)
            outside = left if grow_left else right
            shrink_left = middle - points[low] >= points[high] - middle
            farthest = middle - points[low] if shrink_left else points[high] - middle
            if inside < rank or (outside is not None and outside < farthest):
                if grow_left:
                    low -= 1
                    inside += counts[low]
                else:
                    high += 1
                    inside += counts[high]
            elif inside - (counts[low] if shrink_left else counts[high]) >= rank:
                if shrink_left:
                    inside -= counts[low]
                    low += 1
                else:
                    inside -= counts[high]
                    high -= 1
            else:
                break
        self._window[:] = low, high, inside
        return farthest, farthest if inside > rank or outside is None else outside

    def _insert(self, spot: int, key: int) -> None:
        """A new bin with one value; the caller counts that value at the places."""
        self.keys.insert(spot, key)
        self.counts.insert(spot, 1)
        self.points.insert(spot, self._point(key))
        for place in self._places.values():
            if spot <= place[0]:
                place[0] += 1
        if (window := self._window) and spot <= window[1]:
            window[1] += 1
            if spot <= window[0]:
                window[0] += 1

    def _join(self) -> None:
        """Twice the width for every bin, as often as it takes."""
        bins = dict(zip(self.keys, self.counts, strict=True))
        while len(bins) > BINS:
            self.level += 1
            wider: dict[int, int] = {}
            for key, count in bins.items():
                wide = _joined(key, 1)
                wider[wide] = wider.get(wide, 0) + count
            bins = wider
        self.keys, self.counts = list(bins), list(bins.values())
        self.points = [self._point(key) for key in self.keys]
        self._places.clear()
        self._window.clear()

    def _point(self, key: int) -> float:
        """What stands for a bin with edges l < h: 2lh / (l + h), off by at most (h - l) / (h + l) of any value."""
        if not key:
            return self.centre
        width = _WIDTH * 2**self.level
        top = ((abs(key) << self.level) - _OFFSET) * _WIDTH
        half = top + log(1 / (1 + exp(width)))  # the logarithm of half the point
        away = exp(min(half, _TOP)) if key > 0 else -exp(min(half, _TOP))
        near = self.centre + 2 * away
        return near if -LARGEST <= near <= LARGEST else bounded(2 * bounded(self.centre / 2 + away))


def _joined(key: int, times: int) -> int:
    """The number of the bin after so many joins: half of it, away from 0."""
    return -(-key >> times) if key > 0 else key >> times
