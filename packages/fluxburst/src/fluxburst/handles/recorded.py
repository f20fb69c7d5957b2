"""A lead that is a recorded queue file, with an inventory where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fluxburst.jobs import Job, read_queue

if TYPE_CHECKING:
    from resources.documents import Inventory


class RecordedHandle:
    """Reads the file again when it has changed; `-`, stdin, is read once."""

    def __init__(self, queue: str, inventory: Inventory | None = None) -> None:
        self._queue, self._inventory = queue, inventory
        self._read: tuple[object, tuple[Job, ...]] | None = None

    def jobs(self) -> Sequence[Job]:
        stamp = self._stamp()
        if self._read is None or self._read[0] != stamp:
            jobs = tuple(read_queue(self._queue))
            if self._read is not None and jobs == self._read[1]:
                jobs = self._read[1]
            self._read = stamp, jobs
        return self._read[1]

    def inventory(self) -> Inventory | None:
        return self._inventory

    def _stamp(self) -> object:
        if self._queue == "-":
            return "stdin"
        try:
            stat = Path(self._queue).stat()
        except (OSError, ValueError):
            return None  # reading it says what is wrong
        return stat.st_ino, stat.st_size, stat.st_mtime_ns
