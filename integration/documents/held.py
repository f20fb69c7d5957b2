"""Which documents there are, and which are not held to it yet."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from documents.page import Page, parse
from documents.programs import ROOT

PATTERNS = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "packages/*/README.md", "examples/**/README.md")
# Pages that are not held to it yet; empty in the end.
NOT_YET: tuple[str, ...] = ()


def pages(root: Path = ROOT) -> list[Page]:
    """Those that are held to it, by name."""
    return [parse(path, str(path.relative_to(root))) for path in _found(root) if not _not_yet(path, root)]


def waiting(root: Path = ROOT) -> list[str]:
    """The names of those that are not."""
    return [str(path.relative_to(root)) for path in _found(root) if _not_yet(path, root)]


def _found(root: Path) -> list[Path]:
    return sorted({path for pattern in PATTERNS for path in root.glob(pattern)})


def _not_yet(path: Path, root: Path) -> bool:
    return any(fnmatch(str(path.relative_to(root)), pattern) for pattern in NOT_YET)
