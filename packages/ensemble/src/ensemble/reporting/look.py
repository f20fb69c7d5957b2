"""One look at a run: the few numbers that a live view and `status` show, from an engine or from a run's directory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ensemble.events import OUTCOMES

if TYPE_CHECKING:
    from ensemble.engine import Engine
    from ensemble.rundir import RunDir

BAD = tuple(name for name in OUTCOMES if name != "success")


@dataclass(frozen=True, slots=True)
class Group:
    """How many jobs of a group there are in all, wait, run, and ended in each way."""

    name: str
    jobs: int
    pending: int
    running: int
    success: int
    failed: int


@dataclass(frozen=True, slots=True)
class Look:
    """groups in the order of their first submission; fired: how often rules fired."""

    groups: tuple[Group, ...] = ()
    fired: int = 0
    messages: tuple[str, ...] = field(default=())

    @property
    def ended(self) -> int:
        return sum(group.success + group.failed for group in self.groups)

    @property
    def total(self) -> Group:
        sums = [
            sum(getattr(g, key) for g in self.groups) for key in ("jobs", "pending", "running", "success", "failed")
        ]
        return Group("all", *sums)


def of_engine(engine: Engine, fired: int = 0, messages: tuple[str, ...] = ()) -> Look:
    """From an engine's own state, when somebody looks: nothing has to be counted at each event for it."""
    live = engine.running
    started = _started(engine)
    groups = []
    for name, jobs in engine.submitted.items():
        good = engine.metrics.counts.get(name, {}).get("success", 0)
        active = live.get(name, 0)
        running = min(active, started.get(name, 0))
        groups.append(Group(name, jobs, active - running, running, good, max(0, jobs - active - good)))
    return Look(tuple(groups), fired, messages)


def _started(engine: Engine) -> Counter[str]:
    return Counter(job.group for job in engine.jobs.values() if job.started is not None and not job.ended)


def of_rundir(run: RunDir) -> Look:
    """From a journal."""
    groups = tuple(
        Group(
            name,
            counts["jobs"],
            counts.get("pending", 0) + counts.get("held", 0),
            counts.get("running", 0),
            counts.get("success", 0),
            sum(counts.get(what, 0) for what in BAD),
        )
        for name, counts in run.counts().items()
    )
    fired = run.rows("SELECT count(*) FROM decisions WHERE action = 'trigger'")[0][0]
    return Look(groups, fired)
