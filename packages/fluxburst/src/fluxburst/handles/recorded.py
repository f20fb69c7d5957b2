"""A lead that is a recorded queue file, with an inventory where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fluxburst.jobs import Job, read_queue

if TYPE_CHECKING:
    from resources.documents import Inventory


class RecordedHandle:
    """Reads the file anew at every look, as a lead is asked anew."""

    def __init__(self, queue: str, inventory: Inventory | None = None) -> None:
        self._queue, self._inventory = queue, inventory

    def jobs(self) -> Sequence[Job]:
        return read_queue(self._queue)

    def inventory(self) -> Inventory | None:
        return self._inventory
