"""Chunks: `select=` and `nodes=`, taken apart.

qsub(1B) of PBS Pro, "Requesting Resources and Placing Jobs"; pbs_resources(7B), "BACKWARD COMPATIBILITY"; Torque's
"Requesting Resources" (nodes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resources.units import shown

from jobspec.pbs.values import split_list

_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,254}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\[\]-]{0,254}", re.ASCII)
_MOST = 10_000  # kinds of chunks or nodes that are read
ARRANGEMENTS = frozenset({"free", "pack", "scatter", "vscatter"})
SHARING = frozenset({"excl", "exclhost", "shared"})


@dataclass(frozen=True, slots=True)
class Part:
    """One `name=value` of a chunk, or a name alone (value None); at: its offset in the text."""

    name: str
    value: str | None
    at: int

    @property
    def text(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """So many chunks of the same kind; at, end: its offsets in the text."""

    count: int
    parts: tuple[Part, ...]
    at: int
    end: int


def select(text: str) -> list[Chunk]:
    """`[N:]name=value[:name=value...][+...]`. Raises ValueError."""
    chunks, at = [], 0
    for kind in _kinds(split_list(text, "+")):
        parts = split_list(kind, ":")
        count, start = 1, at
        if _COUNT.fullmatch(parts[0]):
            count = int(parts[0])
            start += len(parts[0]) + 1
            parts = parts[1:]
        if not count or not kind:
            raise ValueError(f"{shown(kind or text)} is no [N:]chunk")
        found = []
        for part in parts:
            name, equals, value = part.partition("=")
            if not _NAME.fullmatch(name) or not equals or not value or "=" in value:
                raise ValueError(f"{shown(part)} in a chunk is no name=value")
            found.append(Part(name, value, start))
            start += len(part) + 1
        names = [part.name for part in found]
        if len(set(names)) < len(names):
            raise ValueError(f"{shown(kind)} names a resource twice")
        chunks.append(Chunk(count, tuple(found), at, at + len(kind)))
        at += len(kind) + 1
    return chunks


def nodes(text: str) -> tuple[list[Chunk], list[str]]:
    """`{count|host}[:ppn=P][:property...][+...][#suffix...]` and the suffixes. Raises ValueError.

    A host is the part "host" of its chunk.
    """
    spec, *suffixes = text.split("#")
    chunks, at = [], 0
    for kind in _kinds(spec.split("+")):
        first, *parts = kind.split(":")
        if _COUNT.fullmatch(first):
            count, found = int(first), list[Part]()
        elif "=" in first:
            count, found, parts = 1, [], [first, *parts]
        else:
            count, found = 1, [Part("host", first, at)]
        if not count or (found and not _HOST.fullmatch(first)):
            raise ValueError(f"{shown(kind or text)}: nodes are a count or a host, then ppn= and the like")
        start = at + (len(first) + 1 if found or _COUNT.fullmatch(first) else 0)
        for part in parts:
            name, equals, value = part.partition("=")
            if not _HOST.fullmatch(name) or (equals and not value):
                raise ValueError(f"{shown(part)} says nothing about a node")
            found.append(Part(name, value if equals else None, start))
            start += len(part) + 1
        chunks.append(Chunk(count, tuple(found), at, at + len(kind)))
        at += len(kind) + 1
    return chunks, suffixes


def _kinds(found: list[str]) -> list[str]:
    if len(found) > _MOST:
        raise ValueError(f"{len(found)} kinds of chunks are more than the {_MOST} that are read")
    return found


def place(text: str) -> tuple[str, str, str]:
    """Arrangement, sharing and grouping of `[free|pack|scatter|vscatter][:excl|shared|exclhost][:group=resource]`."""
    found = ["", "", ""]
    for part in text.split(":"):
        where = 0 if part in ARRANGEMENTS else 1 if part in SHARING else 2
        if found[where] or (where == 2 and not _NAME.fullmatch(part.removeprefix("group="))):
            raise ValueError(
                f"{shown(text)} is no [free|pack|scatter|vscatter][:excl|exclhost|shared][:group=resource]"
            )
        if where == 2 and not part.startswith("group="):
            raise ValueError(f"{shown(part)} is no part of a placement")
        found[where] = part
    return found[0], found[1], found[2]
