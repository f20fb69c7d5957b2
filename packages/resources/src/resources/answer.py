"""The answer to "does it fit": a verdict, what is short and where, and where it would go."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from resources.units import memory_shown, seconds_text

Verdict = Literal["READY", "BUSY", "INCOMPATIBLE", "UNKNOWN"]


class Shortage(NamedTuple):
    """One thing that a request needs and a provider lacks.

    kind: the kind of resource, or "hosts" or "tasks" where places are short.
    needed, available: amounts in the kind's unit (bytes, seconds, else a count).
    detail: what is short where it is no amount (a token, a GPU type).
    """

    kind: str
    needed: int
    available: int
    detail: str = ""

    @property
    def short(self) -> int:
        """By how much, in the kind's unit."""
        return self.needed - self.available

    def __str__(self) -> str:
        if self.detail and self.kind in {"token", "refused", "hosts"}:
            return self.detail
        if self.kind in {"hosts", "tasks"}:
            return f"{self.available} of {self.needed} {self.kind} find a place"
        amount = _UNITS.get(self.kind, str)
        of = f" of {self.detail}" if self.detail else ""
        return (
            f"{self.kind}{of} short by {amount(self.short)}"
            f" (needs {amount(self.needed)}, has {amount(max(self.available, 0))})"
        )

    def as_dict(self) -> dict[str, Any]:
        unit = {"memory": "bytes", "disk": "bytes", "walltime": "seconds"}.get(self.kind, "count")
        return {
            "kind": self.kind,
            "needed": self.needed,
            "available": self.available,
            "short": self.short,
            "unit": unit,
            "detail": self.detail or None,
        }


_UNITS = {"memory": memory_shown, "disk": memory_shown, "walltime": seconds_text}


class Place(NamedTuple):
    """Where a part of a request would go: a host by name and rank, and how many tasks there."""

    host: str
    rank: int
    tasks: int


class Answer(NamedTuple):
    """Does a request fit a provider?

    verdict: READY fits now, BUSY insufficient now, INCOMPATIBLE can never fit, UNKNOWN the provider
        did not say what is free.
    reason: one line for people. shortages: what is short on `best_host`, the host that comes closest.
    placement: where it would go; empty unless READY. fits: how many of the `copies` asked for fit now.
    """

    verdict: Verdict
    reason: str
    shortages: tuple[Shortage, ...] = ()
    best_host: str = ""
    placement: tuple[Place, ...] = ()
    copies: int = 1
    fits: int = 0

    def __bool__(self) -> bool:
        return self.verdict == "READY"

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "verdict": self.verdict,
            "fits": self.fits,
            "count": self.copies,
            "reason": self.reason,
            "best_host": self.best_host or None,
            "short": [shortage.as_dict() for shortage in self.shortages],
            "placement": [place._asdict() for place in self.placement],
        }
