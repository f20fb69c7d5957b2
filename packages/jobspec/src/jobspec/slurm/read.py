"""Slurm's batch scripts, read as sbatch 22.05 reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby

from jobspec.errors import ScriptError
from jobspec.profile import Profile
from jobspec.reading import Directive, Reading
from jobspec.slurm.arguments import CHECKED_LAST, Given, read_options, read_value
from jobspec.slurm.build import build, fields_of
from jobspec.slurm.foreign import foreign_lines, foreign_options
from jobspec.slurm.lexer import PREFIXES, check_script, components, header
from jobspec.slurm.warn import warnings

# Read by the burst buffer plug-ins of slurmctld in the script as it is: such lines stay in the body.
BURST_BUFFER = ("#BB ", "#DW ")
_LOOKS_ALIKE = re.compile(r"^[ \t]{0,200}#{1,20}[ \t]{0,20}SBATCH.*", re.IGNORECASE | re.MULTILINE | re.ASCII)
# What the components of a heterogeneous job have in common: a later one begins with what the ones before it said.
CARRIED = frozenset(
    (
        *("account", "acctg-freq", "array", "begin", "chdir", "comment", "deadline", "delay-boot", "dependency"),
        *("error", "export", "export-file", "get-user-env", "gid", "hint", "hold", "input", "job-name"),
        "kill-on-invalid-dep",
        *("mcs-label", "mem", "nice", "no-kill", "open-mode", "output", "priority", "profile", "propagate", "qos"),
        *("reboot", "requeue", "reservation", "signal", "time", "time-min", "uid", "wait-all-nodes", "wckey"),
    )
)


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script. Raises ScriptError for the first thing that sbatch or slurmctld refuses."""
    check_script(text)
    lines, buffers = {}, {}
    for number, line in header(text):
        if line.startswith(PREFIXES):
            lines[number] = line
        elif line.startswith(BURST_BUFFER):
            buffers[number] = line
    parts = [read_options(words, profile) for words in components(lines)]
    prefix, foreign = foreign_lines(text)
    if foreign and not any(given.option.name == "ignore-pbs" for part in parts for given in part):
        translated = foreign_options(prefix, foreign)
        obeyed = {*lines, *(number for number, _ in foreign)}
    else:
        translated = []
        obeyed = set(lines)
    jobs, directives = [], list[Directive]()
    last: dict[str, Given] = {}
    for given in parts:
        last = {key: one for key, one in last.items() if key in CARRIED}
        again = [replace(one) for one in translated]  # merging changes them, and each component has its own
        for one in (*given, *again):
            _merge(last, one)
        for one in last.values():
            if one.value is None and one.option.name in CHECKED_LAST:
                read_value(one)
        _check(last, profile, len(parts) > 1)
        jobs.append(build(last))
        # Every component obeys the foreign lines; they are told of once.
        directives += _directives(given if directives else [*given, *again], last, lines)
    aside = list(_ignored(text, obeyed))
    if buffers:
        jobs[0] = replace(jobs[0], burst_buffer=(*jobs[0].burst_buffer, *buffers.values()))
        aside += [Directive(number, 1, line, line[1:3], ("burst_buffer",)) for number, line in buffers.items()]
    if aside:
        directives += aside
        directives.sort(key=lambda one: (one.line, one.column))
    found = warnings(parts)
    return Reading("slurm", tuple(jobs), warnings=found, directives=tuple(directives), obeyed=frozenset(obeyed))


def _merge(last: dict[str, Given], given: Given) -> None:
    key = given.option.key
    before = last.pop(key, None)  # so that the order is that of the last occurrences
    if before is not None and key == "mail-type":
        given.value = given.value | before.value
    elif before is not None and key == "gres" and given.foreign:  # the accelerators of a `#PBS -l` are added
        given.text = f"{before.text},{given.text}" if before.text else given.text
        before.joined = True
    last[key] = given


def _check(last: Mapping[str, Given], profile: Profile, heterogeneous: bool) -> None:
    if heterogeneous and "array" in last and last["array"].value:
        raise _at(last["array"], "a heterogeneous job can be no array")
    if "clusters" in last:
        given = last["clusters"]
        names = [name for name in (given.text or "").split(",") if name]
        missing = [name for name in names if name not in (profile.clusters or ())]
        if not names or missing:
            text = f"--clusters: no cluster {', '.join(missing)[:60]!r} is known here"
            raise _at(given, text, "the profile's `clusters` may name it")


def _at(given: Given, message: str, meant: str = "") -> ScriptError:
    return ScriptError(message, given.line, given.column, meant=meant)


def _directives(given: list[Given], last: Mapping[str, Given], lines: Mapping[int, str]) -> Iterator[Directive]:
    for _, group in groupby(given, lambda one: (one.line, one.column, one.foreign)):
        several = list(group)
        first = several[0]
        found = [_directive(one, last, lines) for one in several]
        if not first.foreign:
            yield from found
            continue
        obeyed = [one for one in found if one.state == "obeyed"] or found
        fields = tuple(dict.fromkeys(field for one in obeyed for field in one.fields))
        option = first.foreign.split()[1].lstrip("-")
        yield Directive(first.line, first.column, first.source, option, fields, obeyed[0].state, obeyed[0].why)


def _directive(given: Given, last: Mapping[str, Given], lines: Mapping[int, str]) -> Directive:
    option = given.option
    text = given.source
    if given.last == given.line and not given.foreign:
        text = lines[given.line][given.column - 1 : given.end - 1]
    if option.inert:
        return Directive(given.line, given.column, text, option.name, (), "inert", option.inert)
    winner = last[option.key]
    if winner is not given and not given.joined and option.key != "mail-type":
        why = f"line {winner.line} overrides it"
        return Directive(given.line, given.column, text, option.name, option.fields, "overridden", why)
    return Directive(given.line, given.column, text, option.name, fields_of(given))


def _ignored(text: str, obeyed: set[int]) -> Iterator[Directive]:
    """The lines that look like directives, and are none."""
    number, counted = 1, 0
    for match in _LOOKS_ALIKE.finditer(text):
        number += text.count("\n", counted, match.start())
        counted = match.start()
        if number in obeyed:
            continue
        line = match[0]
        indent = len(line) - len(line.lstrip())
        if line.startswith(PREFIXES):
            why = "it comes after the first command, where sbatch has stopped reading"
        elif indent and line.lstrip().startswith(PREFIXES):
            why = "it is indented: a directive starts in the first column"
        else:
            why = "a comment: directives start with exactly #SBATCH"
        yield Directive(number, indent + 1, line.strip()[:200], "", (), "ignored", why)
