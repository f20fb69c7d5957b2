"""Job arrays in the words of sbatch, in several scripts where the site's largest index is too small."""

from __future__ import annotations

from collections.abc import Iterator

from jobspec.job import Array
from jobspec.slurm.texts import held_array
from jobspec.writing import Saying

_MOST_FILES = 1000


def split_array(say: Saying) -> Iterator[tuple[str, str, int]]:
    """(suffix, --array, what is to be added to its indexes) for each file; without an array one, with ""."""
    array = say.job.array
    if array is None:
        yield "", "", 0
        return
    cap = say.profile.array_cap
    last = max((end for _, end, _ in array.ranges), default=0)
    if cap is None or last < cap or last // cap >= _MOST_FILES:
        say.exact("array")
        if cap is not None and last >= cap:
            say.approximate("array", f"index {last} is above the site's largest, {cap - 1}")
        yield "", _text(array.text if say.same else held_array(array.ranges), array), 0
        return
    chunks = [(number, found) for number in range(last // cap + 1) if (found := _chunk(array, number * cap, cap))]
    throttle = f", each with at most {array.throttle} at once" if array.throttle and len(chunks) > 1 else ""
    say.approximate("array", f"the site's largest index is {cap - 1}: {len(chunks)} arrays with offsets{throttle}")
    for position, (number, ranges) in enumerate(chunks, 1):
        suffix = f".{position}" if len(chunks) > 1 else ""
        yield suffix, _text(held_array(ranges), array), number * cap


def _text(indexes: str, array: Array) -> str:
    return f"{indexes}%{array.throttle}" if array.throttle else indexes


def _chunk(array: Array, start: int, cap: int) -> tuple[tuple[int, int, int], ...]:
    """The indexes from `start` on, `cap` of them, counted from it."""
    found = []
    for first, last, step in array.ranges:
        low = first if first >= start else first + -(-(start - first) // step) * step
        high = min(last, start + cap - 1)
        if low <= high:
            found.append((low - start, high - start - (high - low) % step, step))
    return tuple(found)
