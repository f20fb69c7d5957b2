"""What became of each directive of a script, and of each change to its body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

EXACT: Literal["exact"] = "exact"
APPROXIMATE: Literal["approximate"] = "approximate"
DROPPED: Literal["dropped"] = "dropped"
IGNORED: Literal["ignored"] = "ignored"  # the source scheduler itself does not obey it
Fate = Literal["exact", "approximate", "dropped", "ignored"]
FATES: tuple[Fate, ...] = (EXACT, APPROXIMATE, DROPPED, IGNORED)
# Of several things that are said of one field, the highest counts.
RANK: Mapping[Fate, int] = {EXACT: 0, APPROXIMATE: 1, DROPPED: 2}


def printable(text: str) -> str:
    """The text with what no terminal and no comment should get escaped."""
    return text if text.isprintable() else text.encode("unicode_escape", "replace").decode()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the report.

    line, column: the place in the source, from 1. text: the directive, launch line or variable as it stands
    there. why: what differs, or why it is lost; "" where it is exact. shaping: it asks for resources, time,
    order or identity, so `--strict` refuses its loss.
    """

    line: int
    column: int
    text: str
    fate: Fate
    why: str = ""
    kind: Literal["directive", "body"] = "directive"
    shaping: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "line": self.line,
            "column": self.column,
            "kind": self.kind,
            "text": self.text,
            "fate": self.fate,
            "why": self.why or None,
            "shaping": self.shaping,
        }
