"""Cobalt, the resource manager of Argonne's machines until 2023: its own `qstat`, `nodelist` and `partlist`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from resource_secretary.asking import Depth
from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.workload import _cobalt_text, _marks
from resource_secretary.providers.workload._batch import Job, Queue, chosen, depth_of
from resource_secretary.run import printable
from resource_secretary.values import JobId, Name

_VERSION = re.compile(r"Cobalt\W+([\w.$-]+)")
_FIELDS = "JobID:JobName:User:WallTime:Nodes:Procs:State:Queue:Location:SubmitTime:StartTime"


@dataclass(frozen=True, slots=True)
class Cobalt:
    version: str
    queues: tuple[str, ...]


class CobaltProvider(BaseProvider):
    category = "workload"
    name = "cobalt"
    description = "Cobalt: queues and their limits, nodes or partitions, jobs."
    fresh_for = 60.0
    variables = ("COBALT_CONFIG_FILES",)

    def probe(self) -> Active[Cobalt] | Absent | Unreachable:
        missing = _marks.lacking(self.system, every=("qstat",), marks=_marks.COBALT_COMMANDS, files=_marks.COBALT_FILES)
        if missing:
            return Absent(missing)
        told = self.system.run("qstat", "--version")
        if not told.ok:
            return told.unreachable()
        version = _VERSION.search(f"{told.stdout}\n{told.stderr}")
        if not version:
            said = printable(" ".join(f"{told.stdout} {told.stderr}".split()))[:100] or "nothing"
            return Absent(f"qstat --version with Cobalt; it says {said}")
        answer = self.system.run("qstat", "-Q", "-l")
        if not answer.ok:
            return answer.unreachable()
        queues = _cobalt_text.read_queues(answer.stdout)
        return Active(Cobalt(version[1].strip("$").removeprefix("Version"), tuple(queue.name for queue in queues)))

    @secretary_tool
    def queues(self) -> list[Queue]:
        """The queues with state and limits (of time, jobs, nodes and users)."""
        return _cobalt_text.read_queues(self._ask("qstat", "-Q", "-l"))

    @secretary_tool
    def nodes(self, state: Literal["any", "up", "down", "unknown"] = "any") -> list[_cobalt_text.Place]:
        """The nodes, or the partitions of a Blue Gene, with state, queues and how long one is free for backfill.
        state: those in this state only."""
        return [place for place in self._places() if state in ("any", place.state)]

    @secretary_tool
    def jobs(
        self,
        user: Name | None = None,
        queue: Name | None = None,
        state: Literal["any", "pending", "held", "running", "suspended"] = "any",
    ) -> list[Job]:
        """The jobs that wait or run. Cobalt gives out whole nodes.
        user: those of this user only.
        queue: those in this queue only.
        state: those in this state only."""
        return chosen(self._jobs(), user, queue, state)

    @secretary_tool
    def my_jobs(self) -> list[Job]:
        """The jobs of this user that wait or run."""
        return chosen(self._jobs(), self.system.user())

    @secretary_tool
    def job(self, id: JobId) -> Job:
        """One job that waits or runs.
        id: its number."""
        for job in self._jobs():
            if job.id == id:
                return job
        raise OutputError("qstat -l", id, "no such job waits or runs")

    @secretary_tool
    def depth(self) -> Depth:
        """How many jobs wait and run."""
        depth = depth_of(self._jobs(), "qstat -l")
        return Depth(depth.pending, depth.running)  # jobs ask for nodes

    def _places(self) -> list[_cobalt_text.Place]:
        if self.system.which("nodelist"):
            answer = self.system.run("nodelist")
            # On a Blue Gene it says that partlist is the one to ask, and ends with 0.
            if "partlist" not in f"{answer.stdout[:200]}{answer.stderr[:200]}" or not self.system.which("partlist"):
                return _cobalt_text.read_places(answer.text(), "nodelist")
        return _cobalt_text.read_places(self._ask("partlist"), "partlist")

    def _jobs(self) -> list[Job]:
        # The header is named: a site or a user may have another one in a file or in QSTAT_HEADER.
        found = _cobalt_text.read_jobs(self._ask("qstat", "--header", _FIELDS, "-l"))
        return [job for job in found if job.state != "finished"]

    def _ask(self, *words: str) -> str:
        return self.system.run(*words).text()
