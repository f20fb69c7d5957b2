"""A lead in memory: declared hosts that join and leave, a queue, a first-fit scheduler, and a clock to be set.

For tests, demonstrations and benchmarks. Everything happens when it is told, or asked: the same calls at the same
times give the same answers. What it leaves out of a real Flux: constraints (RFC 31), queues, and the refusal of jobs
that no declared host could ever run, which stay pending here.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fluxburst.demand import Demand
from fluxburst.errors import HandleError
from fluxburst.handles.events import in_order
from fluxburst.handles.hosts import Host, Hosts, Size
from fluxburst.handles.specs import described, jobspec
from fluxburst.jobs import Job, read_job
from fluxburst.selection import not_waiting

if TYPE_CHECKING:
    from resources.documents import Inventory

_DEPEND, _SCHED = 2, 8


@dataclass(frozen=True, slots=True)
class Running:
    """A job that has started, what it holds of each host, and when it ends by itself."""

    job: Job
    holds: Mapping[Host, Size]
    end: float


class FakeHandle:
    """A lead with these declared hosts: name to (cores, GPUs). up: those that are there from the start.

    clock: seconds since the epoch, if not its own, which stands at `now` until `advance`. trouble: what every question
    fails with while it is set. running: by job id; ended: "completed", "failed" or "canceled" by job id. Jobs start
    in the order of the queue, on the first hosts that hold them; one that does not fit is passed over.
    """

    def __init__(
        self, hosts: Mapping[str, Size], up: Collection[str] = (), *, clock: Callable[[], float] | None = None
    ) -> None:
        self.now, self.trouble = 1_000_000_000.0, ""
        self.clock = clock or (lambda: self.now)
        self.running: dict[str, Running] = {}
        self.ended: dict[str, str] = {}
        self._hosts = Hosts(hosts)
        self._pending: dict[int, Job] = {}
        self._queue, self._changed = tuple[Job, ...](), False
        self._ends: list[tuple[float, str]] = []
        self._after: dict[str, list[int]] = {}  # who waits for the end of a job
        self._room, self._stuck = False, frozenset[Demand]()  # whether to look for starts; what did not fit last time
        self._last = 0
        for name in up:
            self.join(name)

    # What a test, or a simulated provider, does

    def advance(self, seconds: float) -> None:
        """Let its own clock go on, and happen what happens until then."""
        self.now += seconds
        self.settle()

    def submit(
        self,
        demand: Demand,
        duration: float = 60.0,
        *,
        urgency: int = 16,
        after: str = "",
        system: Mapping[str, Any] | None = None,
    ) -> str:
        """Add a job, and give its id. after: a job that must end before it may start. system: attributes besides."""
        self._last += 1
        spec = jobspec(demand, {"duration": float(duration), "burstable": 1, **(system or {})})
        info = {"id": self._last, "userid": 0, "urgency": urgency, "t_submit": self.clock(), "spec": spec}
        if after and after not in self.ended:
            self._after.setdefault(after, []).append(self._last)
            info |= {"state": _DEPEND, "dependencies": [f"after:{after}"]}
        else:
            info |= {"state": _SCHED, "priority": urgency}
        self._put({**info, **described(spec)})
        self.settle()
        return str(self._last)

    def alter(self, job: str, urgency: int | None = None, **system: object) -> None:
        """Change the urgency of a pending job, where 0 holds it, or attributes of its jobspec."""
        info = dict(self._pending[int(job)].info)
        if urgency is not None:
            info |= {"urgency": urgency} if info["state"] == _DEPEND else {"urgency": urgency, "priority": urgency}
        attributes = {"system": {**info["spec"]["attributes"]["system"], **system}}
        info["spec"] = {**info["spec"], "attributes": attributes}
        self._put({**info, **described(info["spec"])})
        self.settle()

    def cancel(self, job: str) -> None:
        """End a job, whether it waits or runs."""
        self.settle()
        if job in self.running:
            self._end(self.running[job], "canceled")
        elif int(job) in self._pending:
            self._gone(job, "canceled")
        self.settle()

    def join(self, host: str, real: Size | None = None) -> None:
        """A host's broker is there. real: what it found, if not what is declared. Raises FluxBurstError."""
        self.settle()
        self._hosts.set(host, up=True, real=real)
        self._room = True
        self.settle()

    def leave(self, host: str) -> None:
        """A host's broker is gone, and what ran there fails. A drain of it stays. Raises FluxBurstError."""
        self.settle()
        self._hosts.set(host, up=False)
        for one in [one for one in self.running.values() if self._hosts[host] in one.holds]:
            self._end(one, "failed")
        self.settle()

    # What a controller asks

    def jobs(self) -> Sequence[Job]:
        self._answer()
        if self._changed:
            queue, self._changed = in_order(self._pending), False
            self._queue = self._queue if queue == self._queue else queue
        return self._queue

    def inventory(self) -> Inventory:
        self._answer()
        return self._hosts.inventory()

    def sizes(self, hosts: Collection[str]) -> Mapping[str, Size]:
        self._answer()
        return {name: self._hosts[name].real for name in hosts if name in self._hosts and self._hosts[name].up}

    def drains(self) -> Mapping[str, str]:
        self._answer()
        return self._hosts.drains()

    def drain(self, hosts: Collection[str], reason: str) -> None:
        self._answer()
        if missing := sorted(host for host in hosts if host not in self._hosts):
            raise HandleError(f"the lead has no host {', '.join(missing)}")
        for host in set(hosts) - self._hosts.drains().keys():
            self._hosts.drain(host, reason)

    def undrain(self, hosts: Collection[str]) -> None:
        self._answer()
        for host in self._hosts.drains().keys() & set(hosts):
            self._hosts.drain(host, None)
            self._room = True
        self.settle()

    # What happens

    def settle(self) -> None:
        """End what has ended by now, in the order of time, and start what can start."""
        now = self.clock()
        while self._ends and self._ends[0][0] <= now:
            end, job = heapq.heappop(self._ends)
            if job in self.running:
                self._end(self.running[job], "completed")
                self._start(end)
        self._start(now)

    def _answer(self) -> None:
        if self.trouble:
            raise HandleError(self.trouble)
        if self._ends and self._ends[0][0] <= self.clock():
            self.settle()

    def _put(self, info: dict[str, Any]) -> None:
        job = read_job(info, strict=False)
        if job != self._pending.get(info["id"]):
            self._pending[info["id"]] = job
            self._changed, self._room = True, self._room or job.demand not in self._stuck

    def _end(self, one: Running, outcome: str) -> None:
        self._hosts.release(one.holds)
        del self.running[one.job.id]
        self._room = True
        self._gone(one.job.id, outcome)

    def _gone(self, job: str, outcome: str) -> None:
        self.ended[job] = outcome
        if self._pending.pop(int(job), None):
            self._changed = True
        for number in self._after.pop(job, ()):
            if waiting := self._pending.get(number):
                freed = {"state": _SCHED, "priority": waiting.info["urgency"], "dependencies": []}
                self._put({**waiting.info, **freed})

    def _start(self, at: float) -> None:
        """Start what fits, in the order of the queue; where one did not fit, none of its like does."""
        if not self._room:
            return
        self._room = False
        waiting = [job for job in in_order(self._pending) if not not_waiting(job)]
        shapes, stuck = {job.demand for job in waiting}, set[Demand | None]()
        for job in waiting:
            if len(stuck) == len(shapes):
                break
            if job.demand in stuck:
                continue
            if job.demand is None or (held := self._hosts.place(job.demand)) is None:
                stuck.add(job.demand)
                continue
            del self._pending[int(job.id)]
            self.running[job.id] = Running(job, held, at + job.info["duration"])
            heapq.heappush(self._ends, (self.running[job.id].end, job.id))
            self._changed = True
        self._stuck = frozenset(one for one in stuck if one is not None)
