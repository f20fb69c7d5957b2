"""Which of the two dialects a script with `#PBS` lines is written in: PBS Pro's or Torque's."""

from __future__ import annotations

import re
from typing import Literal

from jobspec.pbs.lexer import BLANKS

Dialect = Literal["pbspro", "torque"]

_OPTION = rf"(?:^|(?<=[{BLANKS}]))-"
_RESOURCE = rf"(?:^|(?<=[{BLANKS}]))-l[{BLANKS}\"']{{0,40}}(?:[^{BLANKS}]{{0,2000}}?,)?"
# What only one of them has, surest first: qsub(1B) and the lists of resources of both.
_SIGNS: tuple[tuple[Dialect, re.Pattern[str], str], ...] = (
    ("pbspro", re.compile(rf"{_RESOURCE}(select=[^{BLANKS},]{{0,60}})"), "select= is PBS Pro's"),
    ("pbspro", re.compile(rf"{_RESOURCE}(place=[a-z:]{{0,40}})"), "place= is PBS Pro's"),
    ("torque", re.compile(rf"{_RESOURCE}(nodes=[^{BLANKS},]{{0,200}}:gpus=)"), "gpus= of a node is Torque's"),
    (
        "pbspro",
        re.compile(rf"{_RESOURCE}(nodes=[^{BLANKS},]{{0,200}}:(?:ncpus|cpp)=)"),
        "ncpus= of a node is PBS Pro's",
    ),
    ("torque", re.compile(rf"{_OPTION}(t[{BLANKS}]{{0,40}}[0-9])"), "-t is Torque's option for arrays"),
    ("pbspro", re.compile(rf"{_OPTION}(J[{BLANKS}]{{0,40}}[0-9])"), "-J is PBS Pro's option for arrays"),
    ("torque", re.compile(rf"{_OPTION}([dDwTKLnbFi])(?=[{BLANKS}]|$|/)"), "only Torque has the option"),
    ("torque", re.compile(rf"{_OPTION}(W[{BLANKS}]{{0,40}}x=)"), "-W x= is Torque's way to ask Moab"),
    (
        "torque",
        re.compile(rf"{_RESOURCE}((?:procs|qos|feature|partition|advres|naccesspolicy|gres|resfailpolicy)=)"),
        "the resource is Torque's or Moab's",
    ),
    (
        "torque",
        re.compile(rf"{_RESOURCE}(walltime=[0-9]{{1,6}}(?::[0-9]{{1,6}}){{3}})"),
        "only Torque's times have days",
    ),
    ("torque", re.compile(rf"{_RESOURCE}(nodes=)"), "nodes= is Torque's (PBS Pro: select=)"),
    ("pbspro", re.compile(rf"{_OPTION}([PR][{BLANKS}]{{0,40}}[^{BLANKS}])"), "-P and -R are PBS Pro's"),
    ("pbspro", re.compile(rf"{_OPTION}(k[{BLANKS}]{{0,40}}[eo]{{0,4}}d)"), "-k with d is PBS Pro's"),
    (
        "pbspro",
        re.compile(rf"{_RESOURCE}((?:ncpus|mpiprocs|ngpus|vnode|filesystems|storage|jobfs)=)"),
        "the resource is PBS Pro's, or made for it",
    ),
    ("torque", re.compile(rf"{_RESOURCE}((?:pmem|vmem|pvmem)=)"), "limits on memory of this kind are Torque's custom"),
)
_BODY: tuple[tuple[Dialect, str], ...] = (("pbspro", "PBS_ARRAY_INDEX"), ("torque", "PBS_ARRAYID"))
_LONGEST, _MOST = 1000, 300  # characters of a line and directive lines that are looked at
ASSUMED = "nothing decides between PBS Pro and Torque: PBS Pro is assumed, the one that is still developed"


def dialect(text: str) -> tuple[Dialect, int, str]:
    """The dialect, the line that shows it (0: none does) and what it shows."""
    lines = _directives(text)
    for name, sign, meaning in _SIGNS:
        for number, line in lines:
            if match := sign.search(line):
                return name, number, f"{match[1]!r}: {meaning}" if len(match[1]) > 1 else f"-{match[1]}: {meaning}"
    for name, variable in _BODY:
        at = text.find(variable)
        if at >= 0:
            return name, text.count("\n", 0, at) + 1, f"the variable {variable}"
    return "pbspro", 0, ASSUMED


def _directives(text: str) -> list[tuple[int, str]]:
    """The directive lines without their prefix, with their numbers."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        start = line.lstrip()
        if not start or (number == 1 and start[0] == ":"):
            continue
        if start[0] != "#":
            break
        if start.startswith(("#PBS", "#MSUB")):
            rest = start[4:_LONGEST]
            if len(found) == _MOST:
                break
            found.append((number, rest if " #" not in rest else rest.partition(" #")[0]))
    return found
