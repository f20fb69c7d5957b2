"""Exact statistics: sums as whole numbers, and order statistics of sorted values."""

from __future__ import annotations

import sys
from bisect import bisect_left, insort
from math import inf
from typing import Any

LARGEST = sys.float_info.max
_FEW = 16  # so many new values are sorted in one by one


def bounded(value: float) -> float:
    """A result that no double holds is the largest that one does: no statistic is ever infinite."""
    return min(max(value, -LARGEST), LARGEST)


class Moments:
    """The sum of values and of their squares, without any rounding: whole multiples of a power of two.

    Every finite double is such a multiple, so sum, mean and variance are the correctly rounded ones after any
    number of values, a value can be taken out again, and the order of the values is of no matter. The two
    numbers have some hundred bits for usual values, and never more than about 4,400.
    """

    __slots__ = ("bits", "count", "squares", "total")

    def __init__(self) -> None:
        self.count = 0
        self.bits = 1  # values are multiples of 1 / 2**(bits - 1)
        self.total = 0
        self.squares = 0

    def add(self, value: float) -> None:
        number, denominator = value.as_integer_ratio()
        bits = denominator.bit_length()
        if bits != self.bits:
            number = self._scaled(number, bits)
        self.count += 1
        self.total += number
        self.squares += number * number

    def remove(self, value: float) -> None:
        """Take a value out that was added."""
        number, denominator = value.as_integer_ratio()
        bits = denominator.bit_length()
        if bits != self.bits:
            number = self._scaled(number, bits)
        self.count -= 1
        self.total -= number
        self.squares -= number * number

    def sum(self) -> float:
        return _divided(self.total, 1 << self.bits - 1)

    def mean(self) -> float:
        return self.total / (self.count << self.bits - 1)

    def variance(self) -> float:
        """The sample's (divided by n - 1); 0 for one value."""
        count = self.count
        if count < 2:
            return 0.0
        return _divided(count * self.squares - self.total * self.total, count * (count - 1) << 2 * (self.bits - 1))

    def state(self) -> list[Any]:
        return [self.count, self.bits, f"{self.total:x}", f"{self.squares:x}"]

    @classmethod
    def restored(cls, state: list[Any]) -> Moments:
        moments = cls()
        moments.count, moments.bits = state[0], state[1]
        moments.total, moments.squares = int(state[2], 16), int(state[3], 16)
        return moments

    def _scaled(self, number: int, bits: int) -> int:
        if bits < self.bits:
            return number << self.bits - bits
        self.total <<= bits - self.bits
        self.squares <<= 2 * (bits - self.bits)
        self.bits = bits
        return number


def _divided(number: int, by: int) -> float:
    try:
        return number / by
    except OverflowError:
        return LARGEST if number > 0 else -LARGEST


class Ordered:
    """Values in order, for exact quantiles. `fresh` takes new values; they are sorted in when somebody asks."""

    __slots__ = ("_begin", "fresh", "values")

    def __init__(self, values: list[float] | None = None) -> None:
        self.values: list[float] = values or []
        self.fresh: list[float] = []
        self._begin = 0  # of the nearest half, where it was the last time

    def settle(self) -> list[float]:
        """Sort the fresh values in; all values."""
        values, fresh = self.values, self.fresh
        if fresh:
            if len(fresh) <= _FEW:
                for value in fresh:
                    insort(values, value)
            else:
                values += fresh
                values.sort()
            fresh.clear()
        return values

    def remove(self, value: float) -> None:
        values = self.settle()
        del values[bisect_left(values, value)]

    def quantile(self, percent: int) -> float:
        """Interpolated between the two nearest values, as `statistics.quantiles(..., method="inclusive")` has it."""
        values = self.settle()
        place, rest = divmod(percent * (len(values) - 1), 100)
        return between(values[place], values[place + 1], rest) if rest else values[place]

    def mad(self) -> float:
        """The median of the distances from the median.

        The nearest k values to the median are neighbours in the order, so that the k-th smallest distance is
        found by bisection over where they begin, without looking at all values.
        """
        values = self.settle()
        middle, count = self.quantile(50), len(values)
        size = (count + 1) // 2
        begins = count - size + 1

        def leans_right(begin: int) -> bool:
            return values[begin + size - 1] - middle >= middle - values[begin]

        # It begins near where it did the last time, as a rule.
        low, high = max(self._begin - 1, 0), min(self._begin + 2, begins)
        if low >= high or (low and leans_right(low - 1)) or (high < begins and not leans_right(high)):
            low, high = 0, begins
        begin = bisect_left(range(begins), True, low, high, key=leans_right)
        self._begin = begin
        near = values[begin + size - 1] - middle if begin < begins else inf
        if begin and middle - values[begin - 1] <= near:
            begin -= 1
            near = middle - values[begin]
        if count % 2:
            return bounded(near)
        after = values[begin + size] - middle if begin + size < count else inf
        if begin:
            after = min(after, middle - values[begin - 1])
        return bounded(between(near, after, 50))


def between(low: float, high: float, percent: int) -> float:
    """The point at `percent` of the way; halfway is the mean of the two, rounded once."""
    if low == high:
        return low
    if percent == 50:
        half = (low + high) / 2
        return half if -LARGEST <= half <= LARGEST else low / 2 + high / 2
    way = high - low
    if way > LARGEST:
        return low * ((100 - percent) / 100) + high * (percent / 100)
    return min(low + way * (percent / 100), high)
