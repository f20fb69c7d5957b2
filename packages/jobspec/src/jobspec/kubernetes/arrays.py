"""Indexed completions: the index of a pod, from 0, and the index that the array gives it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jobspec import arrays
from jobspec.job import Array

MOST = 100_000  # completions of an Indexed Job ("Jobs", .spec.completions)


@dataclass(frozen=True, slots=True)
class Indexes:
    """count: of the elements; expression: shell arithmetic for the index, from a variable that counts from 0."""

    count: int
    expression: str


def indexes(array: Array, variable: str) -> Indexes | None:
    """The elements of an array in increasing order; None where there are too many, or none."""
    ranges = [one for one in array.ranges if one[1] >= one[0] and one[2] > 0]
    count = arrays.count(ranges)
    if not 0 < count <= MOST:
        return None
    if len(ranges) > 1:
        elements = arrays.elements(ranges)
        ranges, count = list(_runs(elements)), len(elements)
    return Indexes(count, _expression(ranges, variable))


def _runs(elements: list[int]) -> Iterator[tuple[int, int, int]]:
    """The longest runs of equal steps."""
    start = 0
    while start < len(elements):
        end = start + 1
        step = elements[end] - elements[start] if end < len(elements) else 1
        while end < len(elements) and elements[end] - elements[end - 1] == step:
            end += 1
        if end == start + 2 and end < len(elements):  # a pair is no run: its second may start one
            end, step = start + 1, 1
        yield elements[start], elements[end - 1], step
        start = end


def _expression(ranges: Iterable[tuple[int, int, int]], variable: str) -> str:
    parts, before = [], 0
    *others, last = ranges
    for one in others:
        size = arrays.size(one)
        parts.append(f"{variable} < {before + size} ? {_one(one, before, variable)} : ")
        before += size
    return "".join(parts) + _one(last, before, variable)


def _one(one: tuple[int, int, int], before: int, variable: str) -> str:
    first, last, step = one
    if first == last:
        return str(first)
    # The index of the range's own first element is taken off once, in the constant.
    scaled = variable if step == 1 else f"{variable} * {step}"
    constant = first - before * step
    if not constant:
        return scaled
    return f"{scaled} {'+' if constant > 0 else '-'} {abs(constant)}"
