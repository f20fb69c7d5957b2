"""Read the log of LAMMPS, or what it prints, line by line while it runs.

A thermodynamic quantity is found by the name of its column in each form that `thermo_style` and `thermo_modify line`
have; the units are those of the input's `units` command:

- one, custom: a line of names, then a line of numbers for each step that is printed;
- multi: `---- Step 100 ---- CPU = 0.5 (sec) ----`, then `Name = number` several times in a line;
- yaml (since 24 Mar 2022): `keywords: ['Step', 'Temp', ]`, then `  - [0, 1.44, ]`.

A log has a table for each run; `Loop time of ...` ends it. Warnings may stand between its lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

_END = "Loop time of "
_SETUP = ("Setting up", "Per MPI rank memory allocation", "Memory usage per processor")
_TROUBLE = ("WARNING", "ERROR")
_MULTI = re.compile(r"-{4,} *Step +(?P<step>[0-9]+) -+ CPU = ")
_ASSIGNED = re.compile(r"(?P<name>\S+) += +(?P<number>\S+)")
_KEYWORDS = re.compile(r"\s*keywords: *\[(?P<names>.*)\]\s*")
_ROW = re.compile(r"\s*- \[(?P<numbers>.*)\]\s*")
_LOOP_TIME = re.compile(r"Loop time of (?P<seconds>\S+) on [0-9]+ procs? for [0-9]+ steps")


class Column:
    """One quantity. `name` is its column as LAMMPS heads it; with `thermo_modify colname` it may be any other."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self._place: int | None = None  # of the column in the table that is being read
        self._width = 0
        self._rows = 0  # of that table, so far

    def feed(self, line: str) -> float | None:
        """The quantity, where the line has it; NaN where LAMMPS printed that."""
        if line.startswith(_TROUBLE):
            return None
        if line.startswith((_END, *_SETUP)):
            self._place = None
            return None
        if match := _MULTI.match(line):
            return float(match["step"]) if self.name == "Step" else None
        if match := _KEYWORDS.fullmatch(line):
            self._head([name.strip(" '\"") for name in match["names"].split(",")])
            return None
        if match := _ROW.fullmatch(line):
            return self._row(match["numbers"].split(","))
        if " = " in line:
            return self._assigned(line)
        words = line.split()
        if (self._place is None or not self._rows) and self.name in words and not any(map(_is_number, words)):
            self._head(words)
            return None
        return self._row(words)

    def _head(self, names: list[str]) -> None:
        self._place = names.index(self.name) if self.name in names else None
        self._width = len(names)
        self._rows = 0

    def _row(self, words: list[str]) -> float | None:
        if self._place is None or len(words) != self._width:
            return None
        # In yaml the last one is empty, behind a comma.
        numbers = [_number(word) if word.strip() else 0.0 for word in words]
        if None in numbers:
            return None
        self._rows += 1
        return numbers[self._place]

    def _assigned(self, line: str) -> float | None:
        if self.name == "Step":  # it stands in the line of dashes already
            return None
        for match in _ASSIGNED.finditer(line):
            if match["name"] == self.name:
                return _number(match["number"])
        return None


class Step(Column):
    """The time step."""

    name = "Step"


class Temperature(Column):
    name = "Temp"


class Pressure(Column):
    name = "Press"


class Energy(Column):
    """The total energy, of the whole system or for each atom as `thermo_modify norm` has it."""

    name = "TotEng"


def loop_time(line: str) -> float | None:
    """Seconds of wall-clock time that a run took, without its set-up; one value for each `run` of an input."""
    match = _LOOP_TIME.match(line)
    return _number(match["seconds"]) if match else None


def _is_number(word: str) -> bool:
    return _number(word) is not None


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


READERS: Mapping[str, object] = {
    "step": Step,
    "temperature": Temperature,
    "pressure": Pressure,
    "energy": Energy,
    "loop_time": loop_time,
}
