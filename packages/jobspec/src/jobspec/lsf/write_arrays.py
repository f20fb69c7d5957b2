"""Arrays: `-J name[1-10:2,15]%5`. The indexes of LSF start at 1 and end at the site's MAX_JOB_ARRAY_SIZE."""

from __future__ import annotations

import re
from collections.abc import Iterable

from jobspec.job import Array
from jobspec.lsf.write_lines import directive
from jobspec.writing import File, Saying, Script

SUFFIX = ".lsf"
_SHIFTED = "the indexes of LSF start at 1 and end at the site's limit: they are shifted"
_MOST_SCRIPTS = 1000
_Ranges = list[tuple[int, int, int]]


def arrays(say: Saying, script: Script, lines: list[str]) -> list[File]:
    """The files: one, or one for each part of an array that LSF does not take whole."""
    array = say.job.array
    if array is None:
        return [_file(SUFFIX, script, lines)]
    name = re.sub(r"[\[\]]", "_", say.job.name or "")
    cap = (say.profile.array_cap or 0) - 1
    if name != (say.job.name or ""):
        say.approximate("name", "brackets are the indexes of an array to bsub")
    if say.same and cap < 1:
        say.exact("array")
        return [_file(SUFFIX, script, [directive(say, "J", name + array.text), *lines])]
    windows = _windows(array, cap)
    if not windows:
        say.drop("array", "it has too many indexes to be moved to those that LSF takes")
        return [_file(SUFFIX, script, lines)]
    say.exact("array")
    if len(windows) > 1:
        say.approximate("array", f"split into {len(windows)} scripts")
        if array.throttle:
            say.approximate("array", "the throttle holds for each of them")
    files = []
    for at, (shift, ranges) in enumerate(windows, 1):
        limit = f"%{array.throttle}" if array.throttle else ""
        head = directive(say, "J", f"{name}[{_ranges(ranges)}]{limit}")
        moved = _shifted(say, script, shift) if shift else script
        files.append(_file(SUFFIX if len(windows) == 1 else f".{at}{SUFFIX}", moved, [head, *lines]))
    return files


def _shifted(say: Saying, script: Script, shift: int) -> Script:
    """The script with the index in LSB_JOBINDEX that its body expects, before anything that reads it."""
    say.approximate("array", _SHIFTED)
    say.renumbered()
    counting = script.counting("LSB_JOBINDEX", shift)
    if counting is None:
        say.drop("array", f"no shell reads this script: it must add {shift} to LSB_JOBINDEX itself")
    return counting or script


def _windows(array: Array, cap: int) -> list[tuple[int, _Ranges]]:
    """(what to add to an index of LSF, its indexes) for each script; [] where there would be too many."""
    least = min(first for first, _, _ in array.ranges)
    most = max(last for _, last, _ in array.ranges)
    if least >= 1 and (cap < 1 or most <= cap):
        return [(0, list(array.ranges))]
    if cap < 1 or most - least < cap:
        shift = least - 1
        return [(shift, [(first - shift, last - shift, step) for first, last, step in array.ranges])]
    if (most - least) // cap >= _MOST_SCRIPTS or len(array.ranges) > _MOST_SCRIPTS:
        return []
    found: list[tuple[int, _Ranges]] = []
    for shift in range(least - 1, most, cap):
        inside = []
        for first, last, step in array.ranges:
            start = max(first, first + -(-(shift + 1 - first) // step) * step)
            stop = min(last, shift + cap)
            if start <= stop:
                inside.append((start - shift, stop - shift, step))
        if inside:
            found.append((shift, inside))
    return found


def _ranges(ranges: Iterable[tuple[int, int, int]]) -> str:
    return ",".join(
        str(first) if first == last else f"{first}-{last}" + (f":{step}" if step > 1 else "")
        for first, last, step in ranges
    )


def _file(suffix: str, script: Script, lines: list[str]) -> File:
    found = [line for line in lines if line]
    return File(suffix, script.text(found), head=len(found) + (1 if script.shebang else 0))
