"""The count at the end: how much ran, what is only shown and why, what was skipped for want of what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from documents.page import Block, Page
from documents.run import Result


@dataclass
class Tally:
    """Of blocks that were looked at."""

    commands: int = 0
    snippets: int = 0
    checked: int = 0
    mentioned: int = 0
    shown: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    pages: set[str] = field(default_factory=set)

    def count(self, page: Page, block: Block, result: Result) -> None:
        self.pages.add(page.name)
        if result.shown:
            self.shown.append(f"{page.name}:{block.line}: {result.shown}")
        elif result.skipped:
            self.skipped[result.skipped] += 1
        elif block.steer.file or block.steer.check:
            self.checked += 1
        elif block.language == "python":
            self.snippets += 1
        else:
            self.commands += result.commands

    def as_dict(self) -> dict[str, Any]:
        """What `add` takes, of plain types: a process that ran a part of the pages hands it to the one that tells."""
        plain = {"pages": list(self.pages), "skipped": dict(self.skipped)}
        return {one.name: getattr(self, one.name) for one in fields(self)} | plain

    def add(self, other: Mapping[str, Any]) -> None:
        for one in fields(self):
            if one.name in ("pages", "skipped"):
                getattr(self, one.name).update(other[one.name])
            else:
                setattr(self, one.name, getattr(self, one.name) + other[one.name])

    def lines(self, waiting: list[str]) -> list[str]:
        """For people, a line each."""
        said = (
            f"documents: of {len(self.pages)} pages {self.commands} commands, {self.snippets} Python snippets and "
            f"{self.checked} files and fragments ran; {self.mentioned} commands in sentences and tables exist; "
            f"{len(self.shown)} blocks are only shown; {sum(self.skipped.values())} were skipped"
        )
        found = [said, *(f"  shown {one}" for one in self.shown)]
        found += [f"  skipped {number}: {why}" for why, number in sorted(self.skipped.items())]
        return found + ([f"  not held to it yet: {', '.join(waiting)}"] if waiting else [])


TALLY = Tally()
