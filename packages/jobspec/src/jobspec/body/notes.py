"""What is noted while a body is rewritten: edits, lines for the top, entries of the report."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from jobspec.body.commands import family
from jobspec.job import Job
from jobspec.report import Entry, Fate

_MOST_TEXT = 200
_NEWLINE = re.compile(r"\n")


class Notes:
    """Collects the edits of a body, the lines for its top and the entries."""

    def __init__(
        self, body: str, source: str, target: str, job: Job, numbers: Sequence[int] | None, modules: Mapping[str, str]
    ) -> None:
        self.body = body
        self.source, self.target = source, target
        self.job = job
        self.shim: list[str] = []
        self._numbers = numbers
        self._modules = modules
        self._family = family(body, job.shell)
        self._entries: list[Entry] = []
        self._edits: list[tuple[int, int, str]] = []
        self._starts: list[int] = []
        self._commands = 0
        self._assigned: dict[str, tuple[int, bool]] = {}
        self._read: dict[str, tuple[int, bool]] = {}

    def text(self) -> str:
        """The body with its edits."""
        if not self._edits:
            return self.body
        pieces: list[str] = []
        at = 0
        for start, end, new in sorted(self._edits):
            pieces += [self.body[at:start], new]
            at = end
        return "".join([*pieces, self.body[at:]])

    def entries(self) -> list[Entry]:
        """What is reported, in the order of the lines."""
        return sorted(self._entries, key=lambda entry: (entry.line, entry.column))

    def _report(self, at: int, text: str, fate: Fate, why: str = "", *, shaping: bool = False) -> None:
        row = self._row(at)
        line = self._numbers[row] if self._numbers and row < len(self._numbers) else row + 1
        shown = " ".join(text.split())[:_MOST_TEXT]
        self._entries.append(Entry(line, at - self._starts[row] + 1, shown, fate, why, "body", shaping))

    def _row(self, at: int) -> int:
        """The number of the body's line that a place is in, from 0."""
        if not self._starts:
            self._starts = [0, *(match.end() for match in _NEWLINE.finditer(self.body))]
        return bisect_right(self._starts, at) - 1

    def _before(self, at: int) -> str:
        """What stands before a place on its line, or the end of that."""
        start = max(0, at - _MOST_TEXT)
        return self.body[max(start, self.body.rfind("\n", start, at) + 1) : at]

    def _line(self, at: int) -> str:
        end = self.body.find("\n", at)
        return self.body[at : at + _MOST_TEXT if end < 0 else min(end, at + _MOST_TEXT)]
