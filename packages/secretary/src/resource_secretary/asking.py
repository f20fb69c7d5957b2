"""The answer to "does this request fit": the verdict, why, and what a hub needs to choose between many such answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["READY", "BUSY", "INCOMPATIBLE", "UNKNOWN"]


@dataclass(frozen=True, slots=True)
class Depth:
    """The queue of a manager: jobs that wait, jobs that run; cores that waiting jobs ask for, None where not told."""

    pending: int
    running: int
    pending_cores: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one secretary says to a request.

    verdict: READY fits now, BUSY fits when others have ended, INCOMPATIBLE never fits, UNKNOWN could not be found out.
    reasons: why it is not READY, one line each. manager: who was asked, such as `slurm`, or `host`. depth: its queue.
    start: when the manager expects such a job to start (RFC 3339, UTC), and wait: seconds until then; both None where
    it doesn't tell. cores, free_cores: of all nodes that are up; None where unknown. fits: how many such
    requests would fit one after the other on what is free now, None where not READY or not counted.
    observed_at, observed_on: when and from where this was seen.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    manager: str
    observed_at: str
    observed_on: str
    depth: Depth | None = None
    start: str | None = None
    wait: float | None = None
    cores: int | None = None
    free_cores: int | None = None
    fits: int | None = None
