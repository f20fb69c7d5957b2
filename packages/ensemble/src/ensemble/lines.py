"""Cut a stream of bytes into lines, and know where each one ended."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 1 << 20  # bytes of a line that are kept; the rest of it is left out

# A carriage return alone ends a line too, as progress bars have it; one at the very end may belong to a line feed.
_END = re.compile(rb"\n|\r(?!\Z)\n?")


class Lines:
    """offset: where the last line that was given ended. position: where the next bytes are expected."""

    __slots__ = ("_dropped", "_rest", "offset")

    def __init__(self) -> None:
        self.offset = 0
        self._rest = b""  # the start of a line that is not complete
        self._dropped = 0  # bytes of it that were left out

    @property
    def position(self) -> int:
        return self.offset + len(self._rest) + self._dropped

    def add(self, data: bytes) -> Iterator[bytes]:
        """The lines that are complete now, without their ends; `offset` is that of the one that was given last."""
        head = self._rest
        if head.endswith(b"\r"):
            head, data = head[:-1], b"\r" + data
        begin, place = self.offset + self._dropped + len(head), 0
        for match in _END.finditer(data):
            line = (head + data[place : match.start()])[:LONGEST]
            head, place = b"", match.end()
            self.offset, self._rest, self._dropped = begin + place, b"", 0
            yield line
        self._rest = head if len(head) == LONGEST else (head + data[place:])[:LONGEST]
        self._dropped = begin + len(data) - self.offset - len(self._rest)

    def end(self) -> Iterator[bytes]:
        """Nothing more will come: what is left is a line too."""
        if self._rest:
            self.offset, line = self.position, self._rest
            self._rest, self._dropped = b"", 0
            yield line.removesuffix(b"\r")
