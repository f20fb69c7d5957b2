"""What a reader finds in a file: the job, and for every directive what its scheduler does with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from jobspec.errors import ScriptError
from jobspec.job import Job
from jobspec.profile import Profile

# obeyed; overridden by a later one of its kind; ignored by the scheduler (after the first command, "##", ...);
# inert: obeyed, and without effect on the job
State = Literal["obeyed", "overridden", "ignored", "inert"]


@dataclass(frozen=True, slots=True)
class Directive:
    """One option of one directive line, or one such line that is ignored.

    line, column: from 1. text: as it stands in the script. option: its name in its system, without dashes or
    abbreviation. fields: the fields of the Job that it went into; ("native",) where it went into `Job.native`.
    why: for a state other than obeyed; for an obeyed one what the neutral job can't hold of its value.
    """

    line: int
    column: int
    text: str
    option: str
    fields: tuple[str, ...] = ()
    state: State = "obeyed"
    why: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the scheduler refuses the script, or a warning; meant: what the author probably meant, or ""."""

    line: int
    column: int
    message: str
    meant: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A file as its scheduler reads it.

    jobs: one, or the components of a heterogeneous job; none where it is refused, and then `errors` says why.
    obeyed: the numbers (from 1) of the lines that hold nothing but directives which the scheduler obeys: they are
    taken out of the body. A file that is no script (a jobspec, a manifest) has its commands in `script`.
    """

    system: str
    jobs: tuple[Job, ...] = ()
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    directives: tuple[Directive, ...] = ()
    obeyed: frozenset[int] = frozenset()
    script: str | None = None

    @property
    def accepted(self) -> bool:
        return not self.errors


class Reader(Protocol):
    """What the reading module of a system has."""

    def read(self, text: str, profile: Profile) -> Reading:
        """The reading. Raises ScriptError (without the file's name) for the first thing that the scheduler refuses."""


def refused(system: str, error: ScriptError) -> Reading:
    """The reading of a script that its scheduler refuses."""
    return Reading(system, errors=(Problem(error.line, error.column, error.message, error.meant),))


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a script with their numbers from 1; only a line feed ends one."""
    return enumerate(text.split("\n"), 1)
