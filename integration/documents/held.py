"""Which documents there are, and which are not held to it yet."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from documents.page import Page, parse
from documents.programs import ROOT

PATTERNS = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "packages/*/README.md", "examples/**/README.md")
# Parts that run side by side; what is in none of them is the part "".
PARTS = {
    "bursting": ("docs/bursting*.md",),
    "readmes": ("README.md", "packages/*", "examples/*"),
}


def pages(part: str | None = None, root: Path = ROOT) -> list[Page]:
    """All of them (of one part), by name."""
    found = sorted({path for pattern in PATTERNS for path in root.glob(pattern)})
    return [parse(path, str(path.relative_to(root))) for path in found if part in (None, _part(path, root))]


def _part(path: Path, root: Path) -> str:
    name = str(path.relative_to(root))
    return next((part for part, patterns in PARTS.items() if any(fnmatch(name, one) for one in patterns)), "")
