"""No lead: for what the providers can be told without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.documents import Inventory

    from fluxburst.jobs import Job


class AbsentHandle:
    """A lead that can't be asked: nothing waits, and nothing is known of its nodes."""

    def jobs(self) -> Sequence[Job]:
        return ()

    def inventory(self) -> Inventory | None:
        return None
