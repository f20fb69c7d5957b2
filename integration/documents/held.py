"""Which documents there are, and which are not held to it yet."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from documents.page import Page, parse
from documents.programs import ROOT

PATTERNS = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "packages/*/README.md", "examples/**/README.md")
# Pages that are not held to it yet; empty in the end.
NOT_YET = (
    "README.md",
    "packages/*/README.md",
)
# Parts that run side by side; what is in none of them is the part "".
PARTS = {
    "bursting": ("docs/bursting*.md",),
    "readmes": ("README.md", "packages/*", "examples/*"),
}


def pages(part: str | None = None, root: Path = ROOT) -> list[Page]:
    """Those that are held to it (of one part), by name."""
    found = [path for path in _found(root) if not _is(path, root, NOT_YET)]
    if part is not None:
        found = [path for path in found if _part(path, root) == part]
    return [parse(path, str(path.relative_to(root))) for path in found]


def waiting(root: Path = ROOT) -> list[str]:
    """The names of those that are not."""
    return [str(path.relative_to(root)) for path in _found(root) if _is(path, root, NOT_YET)]


def _found(root: Path) -> list[Path]:
    return sorted({path for pattern in PATTERNS for path in root.glob(pattern)})


def _part(path: Path, root: Path) -> str:
    return next((part for part, patterns in PARTS.items() if _is(path, root, patterns)), "")


def _is(path: Path, root: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(str(path.relative_to(root)), pattern) for pattern in patterns)
