"""Read the output of jobs, while they run and afterwards, from the folder alone: no supervisor needs to live."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from ensemble.supervisor.lines import CHUNK, FILE, line_at

STREAMS = ("out", "err")


def pack_path(folder: Path, number: int) -> Path:
    """A file that holds the output of many jobs."""
    return folder / "out" / f"pack.{number}"


class Outputs:
    """Where the output of each job is. It follows events.jsonl as that grows, from the first question on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._fd = -1
        self._seen = 0  # bytes of the file
        self._rest = b""  # of them, the start of a line that is not complete
        self._at: dict[str, int] = {}  # job -> offset of its last line that tells a place

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self, name: str, stream: str, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from `offset` on, a negative one counts from the end. Empty: none, or none yet.

        Raises ValueError for a stream that is not `out` or `err`, and OSError.
        """
        which = STREAMS.index(stream)
        data = b""
        for _ in range(3):
            before = self._place(name)
            if before is None:
                return b""
            data = self._read(before[1], which, offset, limit)
            # While it runs its file may be packed at any moment. What was read is its own if it runs still.
            if before[0] == "F" or self._place(name) == before:
                break
        return data

    def where(self, name: str) -> str:
        """Where stderr is, for people: a file, or a part of one; empty where nothing is known of the job."""
        found = self._place(name)
        if found is None or found[1] is None:
            return ""
        place = found[1]
        if len(place) == 2:
            return str(self.folder / place[1])
        pack, offset, out, err = place
        return f"{pack_path(self.folder, pack)} (bytes {offset + out} to {offset + out + err})"

    def _read(self, place: list[Any] | None, which: int, offset: int, limit: int) -> bytes:
        if place is None:
            return b""
        if len(place) == 2:
            path, start, size = self.folder / place[which], 0, None
        else:
            path, start, size = (
                pack_path(self.folder, place[0]),
                place[1] + (place[2] if which else 0),
                place[2 + which],
            )
        with suppress(FileNotFoundError), path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size if size is None else size
            first = max(0, length + offset) if offset < 0 else min(offset, length)
            return os.pread(file.fileno(), min(limit, length - first), start + first)
        return b""

    def _place(self, name: str) -> tuple[str, list[Any] | None] | None:
        self._follow()
        at = self._at.get(name)
        if at is None:
            return None
        row = line_at(self._fd, at)
        return (row[0], row[10] if row[0] == "F" else row[3])

    def _follow(self) -> None:
        if self._fd < 0:
            try:
                self._fd = os.open(self.folder / FILE, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return
        while piece := os.pread(self._fd, CHUNK, self._seen):
            self._seen += len(piece)
            *lines, rest = (self._rest + piece).split(b"\n")
            at = self._seen - len(piece) - len(self._rest)
            for text in lines:
                if text[:5] in (b'["F",', b'["I",'):
                    self._at[text[6 : text.index(b'"', 6)].decode()] = at
                at += len(text) + 1
            self._rest = rest
