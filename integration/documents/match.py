"""Whether output is as a page shows it: a line `...` stands for any lines, `…` within a line for any text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

ANY_LINES, ANY_TEXT = "...", "…"
VARIED = "\0"


def matches(expected: Sequence[str], seen: Sequence[str], varies: Sequence[str] = ()) -> bool:
    """Compare line by line, without blanks and empty lines at the ends.

    Where something varies, runs of blanks count as one: columns are as wide as what is in them.
    """
    return _match(_lines(expected, varies), _lines(seen, varies))


def _lines(lines: Sequence[str], varies: Sequence[str]) -> list[str]:
    kept = [plain(line, varies) for line in lines]
    while kept and not kept[-1]:
        kept.pop()
    return kept


def plain(line: str, varies: Sequence[str]) -> str:
    """A line without what may vary."""
    if not varies:
        return line.rstrip()
    for pattern in varies:
        line = re.sub(pattern, VARIED, line)
    indent = re.match(r" *", line)
    return (indent[0] if indent else "") + " ".join(line.split())


def _match(expected: list[str], seen: list[str]) -> bool:
    """By rows of a table: which beginnings of `seen` the beginning of `expected` so far stands for."""
    reached = {0}
    for line in expected:
        if line.strip() == ANY_LINES:
            reached = set(range(min(reached), len(seen) + 1))
        else:
            pattern = re.compile(".*".join(map(re.escape, line.split(ANY_TEXT))))
            reached = {at + 1 for at in reached if at < len(seen) and pattern.fullmatch(seen[at])}
        if not reached:
            return False
    return len(seen) in reached


def difference(expected: Sequence[str], seen: Sequence[str]) -> str:
    """What is shown against what was seen, as a diff."""
    lines = difflib.unified_diff(list(expected), list(seen), "shown", "seen", lineterm="", n=2)
    return "\n".join(f"    {line.rstrip()}" for line in lines) or "    (they differ in blanks only)"
