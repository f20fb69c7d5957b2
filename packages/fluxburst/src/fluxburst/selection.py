"""Which jobs may burst and which plugin is asked first: the defaults, and what any selector leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxburst.jobs import Job
    from fluxburst.plugins import BurstPlugin


def is_burstable(jobinfo: Mapping[str, Any]) -> bool:
    """Whether `burstable` is truthy in the jobspec's `attributes.system`; missing keys mean no."""
    value: Any = jobinfo
    for key in ("spec", "attributes", "system", "burstable"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return bool(value)


def in_order(plugins: Mapping[str, BurstPlugin]) -> Iterator[tuple[str, BurstPlugin]]:
    """The plugins as they were loaded."""
    yield from plugins.items()


def not_waiting(job: Job) -> str:
    """Why a job does not wait for resources, "" where it does.

    Only SCHED jobs do (RFC 21); those of priority 0 are held and never offered to the scheduler.
    """
    if job.state == "DEPEND":
        return "it waits for a dependency, not for nodes"
    if job.state != "SCHED":
        return f"it is not waiting for nodes (state {job.state})"
    return "" if job.priority else "it is held"


def too_young(job: Job, delay: float, now: float) -> str:
    """How long a job has waited for nodes, where that is less than the delay; "" where it is enough.

    now: seconds since the epoch; 0 where time plays no part.
    """
    if not now or (waited := now - job.waits_since) >= delay:
        return ""
    return f"has waited {max(0, int(waited))} of {delay:g} s"
