"""What sbatch takes without a word, and its author probably did not mean."""

from __future__ import annotations

import re
from collections.abc import Iterable

from jobspec.reading import Problem
from jobspec.slurm.arguments import Given

_MINUTES = re.compile(r"[0-9]{1,9}:[0-9]{2}", re.ASCII)
_VARIABLE = re.compile(r"\$[A-Za-z_{(]|^~/")


def warnings(parts: Iterable[list[Given]]) -> tuple[Problem, ...]:
    """One for each trap, in the order of the script."""
    found = []
    for part in parts:
        for given in part:
            text = given.text
            if given.option.inert or text is None:
                continue
            for message, meant in _traps(given, text):
                found.append(Problem(given.line, given.column, message, meant))
    return tuple(found)


def _traps(given: Given, text: str) -> Iterable[tuple[str, str]]:
    name = given.option.name
    if name in {"time", "time-min"} and _MINUTES.fullmatch(text):
        yield (
            f"--{name}={text} is {given.value // 60} minutes"
            if given.value != "unlimited"
            else (f"--{name}={text} is no limit at all"),
            f"--{name}={text}:00 for hours and minutes",
        )
    elif given.source.startswith("--tasks="):
        yield f"--tasks={text} is --tasks-per-node={text}", f"--ntasks={text}"
    elif given.source.startswith("-") and given.source[2:3] == "=" and text.startswith("="):
        yield f"a short option takes its value without '=': {name} is {text!r}", f"{given.source[:2]} {text[1:]}"
    elif text.startswith("--") and given.line != given.last:
        yield f"--{name} has no value, and took that of line {given.last}", ""
    if name in {"job-name", "output", "error", "input", "chdir"} and _VARIABLE.search(text):
        yield f"--{name}: sbatch expands no variables and no ~", ""
