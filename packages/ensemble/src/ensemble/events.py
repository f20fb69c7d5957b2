"""What happens: the events of a run, as plain data, and how the events of a job add up to an outcome.

The names are Flux's (RFC 21, "Job States and Events"); members of other queues report the same ones.
The outcomes are derived from them here, once, for every member.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# What every member reports of a job that runs, in this order; `exception` may come between.
COURSE = ("submit", "alloc", "start", "finish", "clean")
RAW = ("submit", "alloc", "start", "finish", "exception", "clean")
# The other events of RFC 21 ("Primary Events"); Flux has them, and a rule can wait for them.
FLUX_EVENTS = (
    "validate",
    "invalidate",
    "set-flags",
    "dependency-add",
    "dependency-remove",
    "depend",
    "jobspec-update",
    "resource-update",
    "annotations",
    "priority",
    "urgency",
    "alloc-request-fail",
    "prolog-start",
    "prolog-finish",
    "epilog-start",
    "epilog-finish",
    "release",
    "free",
    "memo",
    "flux-restart",
    "debug",
)
# What one attempt of a job adds up to. `lost`: the queue has no record of it any more.
OUTCOMES = ("success", "failed", "cancelled", "timeout", "exception", "lost")
# What a rule can wait for, as job-NAME. `requeue`: the queue runs it once more under the same id; `retry`: we do.
JOB_EVENTS = tuple(dict.fromkeys((*RAW, *OUTCOMES, "requeue", "retry", *FLUX_EVENTS)))
# What is counted of each group. `finished` is every end but `lost`.
COUNTED = ("submitted", "finished", *OUTCOMES, "retried", "requeued")


class Cause(NamedTuple):
    """What an exception of severity 0 means: the outcome, and whose fault it was.

    blame: `user` (it was asked for), `application`, `request` (it can never run as it is asked for) or
    `infrastructure` (the machine's: these have a budget of their own).
    """

    outcome: str
    blame: str


# Types of exceptions (RFC 21, "Exception Event") to their meaning; members use no others than these,
# but for what Flux itself may add.
CAUSES: Mapping[str, Cause] = {
    "cancel": Cause("cancelled", "user"),
    "timeout": Cause("timeout", "application"),
    "exec": Cause("exception", "application"),  # it could not be started
    "memory": Cause("failed", "application"),  # ended for using more memory than it was given
    "alloc": Cause("exception", "request"),  # no machine of this queue can hold it
    "submit": Cause("exception", "request"),  # the queue refused it
    "dependency": Cause("exception", "request"),
    "node-lost": Cause("exception", "infrastructure"),
    "preempted": Cause("exception", "infrastructure"),
    "allocation-end": Cause("exception", "infrastructure"),  # the allocation that it ran in reached its limit
    "boot": Cause("exception", "infrastructure"),  # a node or worker did not come up
    "lost": Cause("lost", "infrastructure"),
}
UNKNOWN_CAUSE = Cause("exception", "application")


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened at `time` (seconds since the epoch, as the member's clock has it).

    job: which attempt of which job, by the name that the engine gave it; empty for events of the ensemble.
    context: JSON data. `submit` has `id` (the queue's), `alloc` has `hosts` (a list), `finish` has `status` (as
        wait(2) encodes it), `exception` has `type` (see CAUSES), `severity` (0 ends the job) and `note`,
        `requeue` has `type` (of the exception that made the queue do so) and `note`.
    """

    name: str
    time: float
    job: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "time": self.time, "job": self.job, "context": dict(self.context)}


def cause(status: int | None, exception: str) -> Cause:
    """From the wait status (None: never ran) and the type of the first fatal exception ("": none)."""
    if exception:
        return CAUSES.get(exception, UNKNOWN_CAUSE)
    return Cause("success" if status == 0 else "failed", "application")


def outcome(status: int | None, exception: str) -> str:
    """One of OUTCOMES; arguments as of `cause`."""
    return cause(status, exception).outcome


def status_text(status: int) -> str:
    """A wait status in words: `exit code 2`, `killed by SIGKILL`."""
    number = status & 0x7F
    if not number:
        return f"exit code {status >> 8}"
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"killed by signal {number}"
