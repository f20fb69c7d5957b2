"""The options of a script as they come in, and the job that they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from jobspec.errors import ScriptError
from jobspec.flux.options import KINDS, REPEATED, Given, filled
from jobspec.job import Job, Native, Where
from jobspec.reading import Directive, Problem, State

_LAST_WINS = "a later one overrides it"


class Builder:
    """The options given so far, and what each of them becomes."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self.allowed = allowed
        self.last: dict[str, Given] = {}
        self.repeated: dict[str, list[Given]] = {}
        self.directives: list[Directive] = []
        self.warnings: list[Problem] = []

    def take(self, given: Given) -> None:
        """Keep an option; an earlier one that it overrides is told."""
        if given.option in REPEATED:
            name = "env" if given.option.startswith("env-") else given.option
            self.repeated.setdefault(name, []).append(given)
            return
        before = self.last.get(given.option)
        if before:
            self.tell(before, (), "overridden", f"{_LAST_WINS} (line {given.line})")
        self.last[given.option] = given

    def ignore(self, line: int, column: int, text: str, why: str) -> None:
        self.directives.append(Directive(line, column, text[:200], "", (), "ignored", why))

    def tell(self, given: Given, fields: tuple[str, ...], state: State = "obeyed", why: str = "") -> None:
        self.directives.append(Directive(given.line, given.column, given.text, given.option, fields, state, why))

    def override(self, field: str, line: int) -> None:
        """Whatever asked for the field so far is overridden by the option of a line."""
        for index, one in enumerate(self.directives):
            if one.fields == (field,) and one.state == "obeyed":
                self.directives[index] = replace(one, fields=(), state="overridden", why=f"{_LAST_WINS} (line {line})")

    def warn(self, given: Given, message: str, meant: str = "") -> None:
        self.warnings.append(Problem(given.line, given.column, message, meant))

    def native(self, job: Job, given: Given) -> Job:
        self.tell(given, ("native",))
        flag = KINDS.get(given.option) == "flag" or (given.option == "dump" and not given.value)
        return replace(job, native=(*job.native, Native(given.option, None if flag else given.value)))

    def set(self, job: Job, given: Given, **changes: object) -> Job:
        """The job with these fields, which the option asks for."""
        self.tell(given, tuple(changes))
        where = {**job.where, **dict.fromkeys(changes, Where(given.line, given.column))}
        return replace(job, where=where, **changes)  # type: ignore[arg-type]


def in_order(natives: Iterable[Native]) -> tuple[Native, ...]:
    """Options by their names; those of one name, and all rules for the environment, keep their order."""
    return tuple(sorted(natives, key=lambda one: "env" if one.option.startswith("env") else one.option))


def refuse(given: Given, message: str, meant: str = "") -> ScriptError:
    """The error that an option is."""
    return ScriptError(message, given.line, given.column, meant=meant or filled(given.value))
