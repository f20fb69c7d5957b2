"""What happens: the events of a run, as plain data, and how the events of a job add up to an outcome.

The names are Flux's (RFC 21, "Job States and Events"): submit, alloc, start, finish, exception, clean.
The outcomes are derived from them here, once, for every member.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RAW = ("submit", "alloc", "start", "finish", "exception", "clean")  # what members report of a job
OUTCOMES = ("success", "failed", "cancelled", "timeout", "exception")  # what one of them adds up to
JOB_EVENTS = tuple(dict.fromkeys((*RAW, *OUTCOMES)))  # what a rule can wait for, as job-NAME
COUNTED = ("finished", *OUTCOMES)  # what is counted of each group

# Flux's exception types (RFC 21, Exception Event) that are outcomes of their own.
_BY_EXCEPTION = {"cancel": "cancelled", "timeout": "timeout"}


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened at `time` (seconds since the epoch, as the member's clock has it).

    job: which job, by the name that the engine gave it; empty for events of the ensemble itself,
        which are start, heartbeat, custom (what a custom function returned) and stop.
    context: JSON data. finish has `status` (as wait(2) encodes it), exception has `type`,
        `severity` (0 ends the job) and `note`.
    """

    name: str
    time: float
    job: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "time": self.time, "job": self.job, "context": dict(self.context)}


def outcome(status: int | None, exception: str) -> str:
    """One of OUTCOMES, from the wait status (None: never ran) and the type of the fatal exception ("": none)."""
    if exception:
        return _BY_EXCEPTION.get(exception, "exception")
    return "success" if status == 0 else "failed"


def status_text(status: int) -> str:
    """A wait status in words: `exit code 2`, `killed by SIGKILL`."""
    number = status & 0x7F
    if not number:
        return f"exit code {status >> 8}"
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"killed by signal {number}"
