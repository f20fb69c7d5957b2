"""A job while it is being read: what the options say so far, and what became of each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobspec.errors import ScriptError
from jobspec.job import Environment, Job, Mail, Native, Where
from jobspec.pbs import values
from jobspec.pbs.options import Given
from jobspec.reading import Directive, Problem

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,254}", re.ASCII)
# Where the option is said several times, all of them count: "Variable_List is appended".
_ADDS_UP = frozenset({"v"})


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is asked for: an option, one resource of -l, one attribute of -W.

    key: "N", "l walltime", "W umask". value: None for a flag, or a resource without one. at: the value's column.
    """

    key: str
    value: str | None
    text: str
    line: int
    column: int
    at: int = 0

    @property
    def said(self) -> str:
        return self.value or ""


@dataclass(slots=True)
class Draft:
    """values: of fields of the Job. last: for each key its last item, the one that counts."""

    system: str
    last: dict[str, Item] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    where: dict[str, Where] = field(default_factory=dict)
    native: list[Native] = field(default_factory=list)
    directives: list[Directive] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def set(self, name: str, value: object, item: Item) -> tuple[str, ...]:
        """The field has this value, which the item asked for."""
        self.values[name] = value
        self.where[name] = Where(item.line, item.column)
        return (name,)

    def keep(self, item: Item, *too: str) -> tuple[str, ...]:
        """Only this system has it; `too`: fields that it comes near to."""
        self.native.append(Native(item.key, item.value))
        return ("native", *too)

    def note(self, item: Item, fields: tuple[str, ...], text: str = "", column: int = 0, why: str = "") -> None:
        """The item went into these fields; why: what of it they don't hold."""
        place = (item.line, column or item.column, text or item.text)
        self.directives.append(Directive(*place, item.key, fields, "obeyed", why))

    def inert(self, item: Item, why: str) -> None:
        """The item is obeyed, without effect on the job."""
        self.directives.append(Directive(item.line, item.column, item.text, item.key, (), "inert", why))

    def warn(self, item: Item, message: str, meant: str = "") -> None:
        self.warnings.append(Problem(item.line, item.column, message, meant))

    def refuse(self, item: Item, message: str, meant: str = "") -> ScriptError:
        """The error for a value that the scheduler refuses."""
        if not meant and values.template(item.said):
            meant = values.FILL_IN
        return ScriptError(message, item.line, item.column, meant=meant)

    def job(self) -> Job:
        """The job, once everything is said."""
        self._mail()
        self._environment()
        native = tuple(sorted(self.native, key=lambda one: (one.option, one.value or "")))
        return Job(system=self.system, native=native, where=self.where, **self.values)

    def _mail(self) -> None:
        user, types = self.values.pop("mail user", None), self.values.pop("mail types", None)
        if user is not None or types is not None:
            # qsub(1B), -m: without it mail is sent if the job is aborted.
            self.values["mail"] = Mail(user, ("FAIL",) if types is None else types)

    def _environment(self) -> None:
        everything, listed = self.values.pop("environment all", False), self.values.pop("environment list", [])
        if everything or listed:
            names = tuple(dict.fromkeys(name for name, value in listed if value is None))
            given = {name: value for name, value in listed if value is not None}
            text = ",".join([*(["ALL"] if everything else []), *names, *(f"{name}={given[name]}" for name in given)])
            self.values["environment"] = Environment(text, everything, names, tuple(given.items()))


# The fields that an item went into; a text says why it has no effect on the job; None: the resources are read later.
Handler = Callable[[Draft, Item], "tuple[str, ...] | str | None"]


def items(given: Iterable[Given]) -> Iterator[Item]:
    """What the options ask for, one by one. Raises ScriptError for a list with an empty part."""
    for one in given:
        if one.letter not in {"l", "W"} or one.value is None:
            yield Item(one.letter, one.value, one.text, one.line, one.column, one.at)
            continue
        parts = values.assignments(one.value) if one.letter == "W" else _parts(one.value)
        for offset, part in parts:
            name, equals, value = part.partition("=")
            if not _NAME.fullmatch(name) or (one.letter == "W" and not equals and name != "pwd"):
                raise ScriptError(f"illegal -{one.letter} value: {one.value[:60]!r}", one.line, one.column)
            alone = len(parts) == 1
            yield Item(
                f"{one.letter} {name.lower() if one.letter == 'l' else name}",
                values.unquoted(value) if equals else None,
                one.text if alone else f"-{one.letter} {part}",
                one.line,
                one.column if alone else one.at + offset,
                one.at + offset + len(name) + 1,
            )


def _parts(text: str) -> list[tuple[int, str]]:
    parts, at = [], 0
    for part in values.split_list(text):
        parts.append((at, part))
        at += len(part) + 1
    return parts


def read_items(draft: Draft, found: list[Item], handlers: Mapping[str, Handler], other: Handler) -> None:
    """Let the handler of each item's key say what it means; `other` takes resources and attributes without one."""
    draft.last = {item.key: item for item in found}
    for item in found:
        if not item.key:
            draft.inert(item, "it holds no option")
            continue
        last = draft.last[item.key]
        if last is not item and item.key not in _ADDS_UP:
            why = f"line {last.line} says it again"
            draft.directives.append(Directive(item.line, item.column, item.text, item.key, (), "overridden", why))
            continue
        handler = handlers.get(item.key, other)
        try:
            fields = handler(draft, item)
        except ValueError as error:
            if isinstance(error, ScriptError):
                raise
            option = f"-{item.key}" if " " not in item.key else item.key.split(" ", 1)[1]
            raise draft.refuse(item, f"{option}: {error}") from None
        if isinstance(fields, str):
            draft.inert(item, fields)
        elif fields is not None:
            draft.note(item, fields)
