"""Arrays of jobs: which files say exactly the indexes that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobspec.arrays import count, elements
from jobspec.errors import JobspecError
from jobspec.job import Array
from jobspec.writing import File, Saying, Script

_LARGEST = 200_000  # indexes that are put in order; more are said range by range
_FILES = 1000
Range = tuple[int, int, int]


def progressions(array: Array) -> list[Range]:
    """The set of indexes as arithmetic progressions (first, last, step), each index once."""
    if count(array.ranges) > _LARGEST:
        return [(first, last - (last - first) % step, step) for first, last, step in array.ranges]
    indexes = elements(array.ranges)
    found: list[Range] = []
    at = 0
    while at < len(indexes):
        if at + 1 == len(indexes):
            found.append((indexes[at], indexes[at], 1))
            break
        step = indexes[at + 1] - indexes[at]
        end = at + 1
        while end + 1 < len(indexes) and indexes[end + 1] - indexes[end] == step:
            end += 1
        if end == at + 1 and end + 1 < len(indexes) and indexes[end + 1] - indexes[end] == 1 and step > 1:
            end = at  # a single index before a run
        found.append((indexes[at], indexes[end], step if end > at else 1))
        at = end + 1
    return found


def listed(one: Range) -> list[str]:
    """A range without a step, as it is; with one, all of its indexes. Raises JobspecError for too many of them."""
    first, last, step = one
    if step == 1 or first == last:
        return [text((first, last, 1))]
    if (last - first) // step >= _LARGEST:
        raise JobspecError(f"{text(one)} has too many indexes for a list, and Torque's ranges have no step")
    return [str(index) for index in range(first, last + 1, step)]


def text(one: Range, throttle: int | None = None) -> str:
    first, last, step = one
    shown = str(first) if first == last else f"{first}-{last}" + (f":{step}" if step > 1 else "")
    return shown + (f"%{throttle}" if throttle else "")


def capped(ranges: list[Range], cap: int | None) -> list[tuple[Range, int]]:
    """The ranges in pieces with indexes below the cap, and what is to be added to the indexes of each."""
    if cap is None:
        return [(one, 0) for one in ranges]
    parts = sum(((last - first) // step + cap) // cap for first, last, step in ranges if last >= cap)
    if parts > _FILES:
        raise JobspecError(f"with an array_cap of {cap} the array would need {parts} files: {_FILES} are the most")
    return [piece for one in ranges for piece in _pieces(one, cap)]


def _pieces(one: Range, cap: int) -> Iterator[tuple[Range, int]]:
    first, last, step = one
    while first <= last:
        if last < cap:
            yield (first, last, step), 0
            return
        if first < cap and first + step < cap:
            end = first + (cap - 1 - first) // step * step
            yield (first, end, step), 0
        else:
            # shifted, so that the piece starts at 1 as arrays mostly do
            count = min((last - first) // step + 1, max((cap - 2) // step + 1, 1))
            end = first + (count - 1) * step
            yield (1, 1 + end - first, step), first - 1
        first = end + step


def shifted(say: Saying, script: Script, variable: str, offset: int) -> Script:
    """The script with the real index in the variable."""
    if not offset:
        return script
    say.renumbered()
    counting = script.counting(variable, offset, say.job.shell)
    if counting is None:
        say.drop("array", f"indexes are {offset} too small: no shell reads this script, which could add it")
        return script
    say.approximate("array", f"indexes above the largest one allowed are made in the script: {variable} + {offset}")
    return counting


def files(suffix: str, made: list[tuple[list[str], Script]], of: Callable[[Script, list[str]], str]) -> list[File]:
    """One file for each part; numbered where there are several."""
    if len(made) == 1:
        lines, script = made[0]
        return [File(suffix, of(script, lines), bool(script.shebang) + len(lines))]
    return [
        File(f".{number}{suffix}", of(script, lines), bool(script.shebang) + len(lines))
        for number, (lines, script) in enumerate(made, 1)
    ]
