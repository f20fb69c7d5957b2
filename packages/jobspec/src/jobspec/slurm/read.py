"""Slurm's batch scripts, read as sbatch 22.05 reads them."""

from __future__ import annotations

import re

from jobspec.errors import ScriptError
from jobspec.profile import Profile
from jobspec.reading import Directive, Problem, Reading
from jobspec.slurm.arguments import Given, read_options
from jobspec.slurm.build import build
from jobspec.slurm.lexer import PREFIXES, check_script, components, header

_LOOKS_ALIKE = re.compile(r"^[ \t]{0,200}#{1,20}[ \t]{0,20}SBATCH.*", re.IGNORECASE | re.MULTILINE | re.ASCII)


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script. Raises ScriptError for the first thing that sbatch or slurmctld refuses."""
    check_script(text)
    lines = [(number, line) for number, line in header(text) if line.startswith(PREFIXES)]
    parts = components(lines)
    found = [read_options(words, profile) for words in parts]
    numbers = dict(lines)
    directives: list[Directive] = []
    jobs = []
    carried: dict[str, Given] = {}
    for options in found:
        last = dict(carried)
        for given in options:
            _merge(last, given)
        jobs.append(build(last))
        directives += [_directive(given, last, numbers) for given in options]
    return Reading("slurm", tuple(jobs), directives=tuple(directives), obeyed=frozenset(numbers))


def _merge(last: dict[str, Given], given: Given) -> None:
    key = given.option.key
    before = last.pop(key, None)  # so that the order is that of the last occurrences
    if before is not None and key == "mail-type":
        given.value = given.value | before.value
    last[key] = given


def _directive(given: Given, last: dict[str, Given], lines: dict[int, str]) -> Directive:
    option = given.option
    text = lines[given.line][given.column - 1 : given.end - 1] if given.last == given.line else given.source
    if option.inert:
        return Directive(given.line, given.column, text, option.name, (), "inert", option.inert)
    winner = last[option.key]
    if winner is not given and option.key != "mail-type":
        why = f"line {winner.line} overrides it"
        return Directive(given.line, given.column, text, option.name, option.fields, "overridden", why)
    return Directive(given.line, given.column, text, option.name, option.fields)
