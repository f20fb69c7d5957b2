"""The count at the end: how much ran, what is only shown and why, what was skipped for want of what."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, cast

import pytest

from documents.page import Block, Page
from documents.run import Result

PROPERTY = "documents"  # of pytest's reports: they come here from its other processes, too


@dataclass
class Count:
    """Of one block, or of the sentences and tables of a page."""

    page: str
    commands: int = 0
    snippets: int = 0
    checked: int = 0
    mentioned: int = 0
    shown: str = ""
    skipped: str = ""


def count(page: Page, block: Block, result: Result) -> Count:
    """That of a block."""
    if result.shown:
        return Count(page.name, shown=f"{page.name}:{block.line}: {result.shown}")
    if result.skipped:
        return Count(page.name, skipped=result.skipped)
    if block.steer.file or block.steer.check:
        return Count(page.name, checked=1)
    if block.language == "python":
        return Count(page.name, snippets=1)
    return Count(page.name, commands=result.commands)


def lines(counts: list[Count]) -> list[str]:
    """For people, a line each."""
    shown = [one.shown for one in counts if one.shown]
    skipped = Counter(one.skipped for one in counts if one.skipped)
    found = [
        f"of {len({one.page for one in counts})} pages {sum(one.commands for one in counts)} commands, "
        f"{sum(one.snippets for one in counts)} Python snippets and {sum(one.checked for one in counts)} files and "
        f"fragments ran; {sum(one.mentioned for one in counts)} commands in sentences and tables exist; "
        f"{len(shown)} blocks are only shown; {skipped.total()} blocks were skipped"
    ]
    found += [f"  shown {one}" for one in shown]
    found += [f"  skipped {number}: {why}" for why, number in sorted(skipped.items())]
    return found


def tell(reporter: Any) -> None:
    """Write it below pytest's own summary, from the properties of its reports."""
    reports = [one for kind in reporter.stats.values() for one in kind if isinstance(one, pytest.TestReport)]
    counts = [
        Count(**cast(dict[str, Any], value))
        for report in reports
        if report.when == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if counts:
        reporter.section("documents")
        for line in lines(counts):
            reporter.line(line)


def kept(one: Count) -> tuple[str, dict[str, Any]]:
    """As a property of a report."""
    return PROPERTY, asdict(one)
