"""The exact set of indexes of a job array, for systems that take less than lists of ranges."""

from __future__ import annotations

from collections.abc import Iterable

from jobspec.errors import JobspecError
from jobspec.job import Array

Span = tuple[int, int, int]  # first, last, step
_MOST = 100_000


def size(span: Span) -> int:
    """How many indexes it has."""
    first, last, step = span
    return (last - first) // step + 1


def indexes(array: Array) -> list[int]:
    """All indexes in order. Raises JobspecError where there are more than anyone lists."""
    if sum(map(size, array.ranges)) > _MOST:
        raise JobspecError(f"an array of more than {_MOST} elements is too long to list; give it in parts")
    found: set[int] = set()
    for first, last, step in array.ranges:
        found.update(range(first, last + 1, step))
    return sorted(found)


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
