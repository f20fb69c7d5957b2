"""What is told of the keys of a jobspec while it is read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from jobspec.flux.builder import in_order
from jobspec.flux.document import Document
from jobspec.job import Job, Native, Where
from jobspec.reading import Directive, State

_LONGEST = 100


class Notes:
    """The directives, one for each key, and what only Flux has a word for.

    script: the text of a batch script in the jobspec. per_node: tasks on each node by an option of the shell.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.directives: list[Directive] = []
        self.natives: list[Native] = []
        self.where: dict[str, Where] = {}
        self.warnings: list[tuple[str, str]] = []
        self.script: str | None = None
        self.per_node = 0
        self.told: set[str] = set()

    def asks(self, path: str, value: Any, *fields: str) -> None:
        """A key that asks for fields of the job."""
        line, column = self._tell(path, value, fields)
        for field in fields:
            self.where.setdefault(field, Where(line, column))

    def inert(self, path: str, value: Any, why: str) -> None:
        """A key that asks for nothing."""
        self._tell(path, value, (), "inert", why)

    def native(self, path: str, value: str, *, once: bool = False) -> None:
        """A key, or what is special of it, that only a jobspec has. once: the key is told already."""
        self.natives.append(Native(path, value))
        if not once:
            self._tell(path, value, ("native",))

    def option(self, option: str, value: str | None, path: str) -> None:
        """A key that has an option of `flux batch`; path: "" where the key is told already."""
        self.natives.append(Native(option, value))
        if path:
            self._tell(path, value, ("native",))

    def _tell(
        self, path: str, value: Any, fields: tuple[str, ...], state: State = "obeyed", why: str = ""
    ) -> tuple[int, int]:
        line, column = self.document.place(path)
        self.told.add(path)
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        shown = f"{path}: {text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}"
        self.directives.append(Directive(line, column, shown, path, fields, state, why))
        return line, column

    def finished(self, job: Job, *, first: bool) -> Job:
        """The job with the places of its fields; the first one holds what only Flux has a word for."""
        natives = in_order(self.natives) if first else ()
        asked = {name: place for name, place in self.where.items() if getattr(job, name) is not None}
        return replace(job, where=asked, native=natives)
