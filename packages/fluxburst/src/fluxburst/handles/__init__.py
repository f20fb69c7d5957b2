"""Where a queue is read from: a lead is anything that lists its jobs and says what of it is free."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from resources.documents import Inventory

    from fluxburst.jobs import Job


class Handle(Protocol):
    """What a plan asks a lead."""

    def jobs(self) -> Sequence[Job]:
        """The jobs that wait, in the order of the queue. The very same object as before if nothing has changed."""
        ...

    def inventory(self) -> Inventory | None:
        """The lead's nodes and what is free of them; None where that is not known."""
        ...


class LiveHandle(Handle, Protocol):
    """What bursting asks besides: a lead whose nodes can be taken out of service. Each raises HandleError."""

    def sizes(self, hosts: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """(cores, GPUs) that the brokers of these hosts found themselves; without those that do not tell."""
        ...

    def drains(self) -> Mapping[str, str]:
        """The reason of every drained host."""
        ...

    def drain(self, hosts: Collection[str], reason: str) -> None:
        """Have no more jobs start on these hosts. A host that is drained already keeps its reason."""
        ...

    def undrain(self, hosts: Collection[str]) -> None:
        """Undo drains."""
        ...
