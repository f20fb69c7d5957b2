"""What a worker is for the hub, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from resource_secretary.errors import SecretaryError

if TYPE_CHECKING:
    from resource_secretary.asking import Answer

Kind = Literal["slow", "unreachable", "refused", "malformed", "lying"]


class WorkerFailed(SecretaryError):
    """A worker gave no answer that can be used.

    kind: slow (no answer in time), unreachable, refused (it was reached and said no, such as to the token), malformed
    (what it sent is no answer), or lying (an answer that contradicts itself, or is to another request).
    """

    def __init__(self, kind: Kind, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(reason)


class Worker(Protocol):
    """A secretary that can be asked. `name` is what the hub shows, unique among the workers."""

    @property
    def name(self) -> str: ...

    async def ask(self, request: str, timeout: float) -> Answer:
        """Its answer to a request (canonical text) within `timeout` seconds. Raises WorkerFailed, TimeoutError."""
        ...


@dataclass(frozen=True, slots=True)
class Rejected:
    """A worker whose answer does not count, and why. `seconds` is how long that took."""

    worker: str
    kind: Kind
    reason: str
    seconds: float
