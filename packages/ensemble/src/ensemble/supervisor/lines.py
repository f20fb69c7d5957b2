"""The lines of events.jsonl, which are what clients are told, too: JSON arrays whose first item is the kind.

| line | meaning |
|---|---|
| ["H", version, host, boot, time] | a supervisor started |
| ["S", number, spec] | a spec that the jobs below refer to |
| ["A", name, token, id, time, number] | a job was taken in |
| ["I", name, time, [out, err]] | it is going to be started now, with its output there |
| ["P", name, time, [pid, ...]] | it was started; the first leads the process group |
| ["X", name, time, type, note] | an exception of severity 0 |
| ["F", name, token, id, submitted, allocated, started, exceptions, ended, status, place] | its end, with all of it |

Times are seconds since the epoch and never go back, status is as wait(2) has it, null where it isn't known; times
are null for what did not happen; exceptions are [time, type, note]. place: null (no output), [out, err] (two
files), or [pack, offset, bytes of out, bytes of err]. Files are relative to the folder, or absolute.
The line "C" that clients are sent is like "F", of a job that may not have ended (ended is null, and there is no place).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

VERSION = 1
FILE = "events.jsonl"
CHUNK = 1 << 20


def line(*items: Any) -> bytes:
    """One line."""
    return _dumps(items).encode() + b"\n"


def begun(name: str, time: float, place: Sequence[str]) -> bytes:
    """Line "I". The lines that each job has are put together by hand, for speed; names need no escapes."""
    return f'["I","{name}",{time!r},{_dumps(place)}]\n'.encode()


def processes(name: str, time: float, pids: Sequence[int]) -> bytes:
    """Line "P"."""
    return f'["P","{name}",{time!r},[{",".join(map(str, pids))}]]\n'.encode()


_dumps = json.JSONEncoder(separators=(",", ":")).encode  # ASCII: what can't be decoded in a name comes through


class Log:
    """The file, opened to be written by one process. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.end = os.fstat(self.fd).st_size
        self._left = b""
        self._lines: list[bytes] = []
        self._cut()

    def _cut(self) -> None:
        """Take away a last line that was never finished."""
        at = self.end
        while at:
            start = max(0, at - CHUNK)
            found = os.pread(self.fd, at - start, start).rfind(b"\n")
            if found >= 0:
                at = start + found + 1
                break
            at = start
        if at != self.end:
            os.ftruncate(self.fd, at)
            self.end = at

    def read(self) -> Iterator[tuple[int, bytes]]:
        """All lines, each with its offset. Raises ValueError where one is none of ours."""
        with os.fdopen(os.dup(self.fd), "rb") as file:
            file.seek(0)
            at = 0
            for text in file:
                if text[:2] != b'["' or text[3:5] != b'",':
                    raise ValueError(f"{FILE} was spoilt at byte {at}")
                yield at, text
                at += len(text)

    def add(self, text: bytes) -> int:
        """Put a line behind the others, and give its offset. It is written by the next `commit`."""
        at = self.end
        self._lines.append(text)
        self.end += len(text)
        return at

    def commit(self) -> None:
        """Write what was added. After an OSError it may be called again."""
        if self._lines:
            self._left += b"".join(self._lines)
            self._lines.clear()
        while self._left:
            self._left = self._left[os.write(self.fd, self._left) :]

    def at(self, offset: int) -> list[Any]:
        """The line there."""
        return line_at(self.fd, offset)


def line_at(fd: int, offset: int) -> list[Any]:
    """The line that starts at an offset of an open file. Raises ValueError where there is none."""
    text, size = b"", 1024
    while not text.endswith(b"\n"):
        piece = os.pread(fd, size, offset + len(text))
        if not piece:
            raise ValueError(f"no line at byte {offset}")
        text, size = text + piece.partition(b"\n")[0], CHUNK
        if b"\n" in piece:
            break
    row = json.loads(text)
    if not isinstance(row, list):
        raise ValueError(f"no JSON array at byte {offset}")  # noqa: TRY004 - it is about data, not about types
    return row
