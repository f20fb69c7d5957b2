"""Where a queue is read from: a lead is anything that lists its jobs and says what of it is free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from resources.documents import Inventory

    from fluxburst.jobs import Job


class Handle(Protocol):
    """What this package asks a lead."""

    def jobs(self) -> Sequence[Job]:
        """The jobs that are not finished, in the order of the queue."""
        ...

    def inventory(self) -> Inventory | None:
        """The lead's nodes and what is free of them; None where that is not known."""
        ...
