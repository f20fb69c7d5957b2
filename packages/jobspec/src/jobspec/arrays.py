"""The exact set of indexes of a job array, and ranges that have it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from jobspec.errors import JobspecError
from jobspec.job import Array

Span = tuple[int, int, int]  # first, last, step
_MOST = 100_000
_MERGED = 100_000  # elements: longer lists keep their text


def size(span: Span) -> int:
    """How many indexes it has."""
    first, last, step = span
    return (last - first) // step + 1


def count(ranges: Iterable[Span]) -> int:
    """How many indexes they have; one that is in several of them counts for each."""
    return sum(map(size, ranges))


def elements(ranges: Iterable[Span]) -> list[int]:
    """All their indexes in order, each once: look at `count` first."""
    found: set[int] = set()
    for first, last, step in ranges:
        found.update(range(first, last + 1, step))
    return sorted(found)


def indexes(array: Array) -> list[int]:
    """All indexes in order. Raises JobspecError where there are more than anyone lists."""
    if count(array.ranges) > _MOST:
        raise JobspecError(f"an array of more than {_MOST} elements is too long to list; give it in parts")
    return elements(array.ranges)


def spans(array: Array) -> list[Span]:
    """The same indexes as few ranges with a step, each index once."""
    if len(array.ranges) == 1:
        first, last, step = array.ranges[0]
        return [(first, first + (size(array.ranges[0]) - 1) * step, step)]
    found: list[Span] = []
    ordered, at = indexes(array), 0
    while at < len(ordered):
        first = last = ordered[at]
        step = ordered[at + 1] - first if at + 1 < len(ordered) else 1
        at += 1
        while at < len(ordered) and ordered[at] - last == step:
            last = ordered[at]
            at += 1
        found.append((first, last, step) if last > first else (first, first, 1))
    return found


def chunks(found: Iterable[Span], most: int) -> list[Span]:
    """Ranges of at most so many indexes."""
    result: list[Span] = []
    for first, last, step in found:
        start = first
        while start <= last:
            result.append((start, min(last, start + (most - 1) * step), step))
            start += most * step
    return result


def merge(ranges: Sequence[Span]) -> tuple[Span, ...]:
    """The same indexes once each and in order: one range if their distances are equal, else the runs of neighbours."""
    if len(ranges) == 1 or count(ranges) > _MERGED:
        return tuple(ranges)
    indexes = elements(ranges)
    steps = {after - before for before, after in itertools.pairwise(indexes)}
    if len(steps) < 2:
        return ((indexes[0], indexes[-1], steps.pop() if steps else 1),)
    found, start = [], indexes[0]
    for before, after in itertools.pairwise([*indexes, -1]):
        if after != before + 1:
            found.append((start, before, 1))
            start = after
    return tuple(found)


def once(ranges: Sequence[Span]) -> tuple[Span, ...]:
    """The ranges as they are; merged where an index is in more than one of them."""
    merged = merge(ranges)
    return tuple(ranges) if count(ranges) == count(merged) else merged
