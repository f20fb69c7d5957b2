"""Moab, the scheduler that stands over a resource manager such as Torque, asked through `showq` and `mdiag` as XML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from resource_secretary.asking import Depth
from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.providers.workload import _moab_xml
from resource_secretary.providers.workload._batch import Job, Node, Queue, chosen, depth_of, inventory_of
from resource_secretary.providers.workload._marks import lacking
from resource_secretary.values import Count, JobId, Name

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

_VERSION = re.compile(r"version\s+(\d\S*)")


@dataclass(frozen=True, slots=True)
class Moab:
    """version: "" where the client doesn't tell. nodes: that are configured."""

    version: str
    nodes: int


@dataclass(frozen=True, slots=True)
class Start:
    """When a job would start: seconds from now; None where Moab gives no estimate."""

    wait: float | None


class MoabProvider(Offering):
    category = "workload"
    name = "moab"
    description = "Moab Workload Manager: what is free, jobs and why they are blocked, when a job would start."
    fresh_for = 60.0
    variables = ("MOABHOMEDIR",)

    def probe(self) -> Active[Moab] | Absent | Unreachable:
        missing = lacking(self.system, every=("showq", "mdiag"))  # Maui and Slurm have a showq too
        if missing:
            return Absent(missing)
        answer = self.system.run("showq", "--xml")
        if not answer.ok:
            return answer.unreachable()
        cluster = _moab_xml.read_cluster(answer.stdout)
        told = self.system.run("showq", "--version")
        version = _VERSION.search(f"{told.stdout}\n{told.stderr}")
        return Active(Moab(version[1] if version else "", cluster.nodes))

    @secretary_tool
    def cluster(self) -> _moab_xml.MoabCluster:
        """How many nodes are up and idle, and how many processors are up and idle."""
        return _moab_xml.read_cluster(self._ask("showq", "--xml"))

    @secretary_tool
    def queues(self) -> list[Queue]:
        """The classes (queues) that nodes serve; the resource manager below, such as Torque, tells their limits."""
        nodes = self._nodes()
        lost = next((node.reason for node in nodes if node.reason.startswith("unread")), "")
        found = _moab_xml.classes(nodes)
        if lost and not found:
            raise OutputError("mdiag -n --xml", "", f"no class in it; {lost}")
        return found

    @secretary_tool
    def nodes(self, state: Literal["any", "up", "down", "drained", "unknown"] = "any") -> list[Node]:
        """The nodes with processors and memory, and what of them is free.
        state: those in this state only."""
        return [node for node in self._nodes() if state in ("any", node.state)]

    @secretary_tool
    def jobs(
        self,
        user: Name | None = None,
        queue: Name | None = None,
        state: Literal["any", "pending", "held", "running", "suspended"] = "any",
    ) -> list[Job]:
        """The jobs that run (active), wait for their turn (eligible: pending) or can't start (blocked: held).
        user: those of this user only.
        queue: those of this class only.
        state: those in this state only."""
        return chosen(self._jobs(), user, queue, state)

    @secretary_tool
    def my_jobs(self) -> list[Job]:
        """The jobs of this user that wait or run."""
        return chosen(self._jobs(), self.system.user())

    @secretary_tool
    def job(self, id: JobId) -> Job:
        """One job that waits or runs.
        id: of Moab or of the resource manager, with or without the server's name."""
        for job in self._jobs():
            if id in (job.id, job.id.partition(".")[0]):
                return job
        raise OutputError("showq --xml", id, "no such job waits or runs")

    @secretary_tool
    def start(self, processors: Count, walltime: Count) -> Start:
        """When a job would start that is submitted now.
        processors: how many it asks for.
        walltime: seconds that it asks for."""
        return Start(_moab_xml.read_start(self._ask("showstart", f"{processors}@{walltime}")))

    @secretary_tool
    def depth(self) -> Depth:
        """How many jobs wait and run, and how many processors those that wait ask for."""
        return depth_of(self._jobs(), "showq --xml")

    def inventory(self) -> Inventory:
        """Every node: processors as cores, and memory."""
        return inventory_of(self._nodes(), "mdiag -n --xml", self.system)

    def estimated_start(self, need: Resource) -> float | None:
        """By `showstart`, for the processors of all tasks or nodes and the walltime of the request."""
        cores, walltime = need.get("cores"), need.get("walltime")
        seconds = getattr(walltime, "T", None)
        if cores is None or not seconds:
            return None
        several = need.get("tasks") or need.get("nodes")
        wait = self.start(cores.N * (several.N if several is not None else 1), int(seconds)).wait
        now = datetime.fromisoformat(self.system.now()).timestamp()
        return None if wait is None else now + wait

    def _nodes(self) -> list[Node]:
        return _moab_xml.read_nodes(self._ask("mdiag", "-n", "--xml"))

    def _jobs(self) -> list[Job]:
        return [job for job in _moab_xml.read_jobs(self._ask("showq", "--xml")) if job.state != "finished"]

    def _ask(self, *words: str) -> str:
        return self.system.run(*words).text()
