"""Torque, asked through `qstat` and `pbsnodes`, as XML where they write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from resource_secretary.asking import Depth
from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.providers.workload import _marks, _pbs_types, _torque_xml
from resource_secretary.providers.workload._batch import Job, Node, Queue, chosen, depth_of, inventory_of, job_number
from resource_secretary.providers.workload._pbs_text import read_text
from resource_secretary.run import printable
from resource_secretary.values import JobId, Name

if TYPE_CHECKING:
    from resources.documents import Inventory

_VERSION = re.compile(r"^version:\s*(\d\S*)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Torque:
    """version: of the client. server: its name. state: as the server tells it, such as Active or Idle. default_queue:
    "" where the server has none."""

    version: str
    server: str
    state: str
    default_queue: str


class TorqueProvider(Offering):
    category = "workload"
    name = "torque"
    description = "Torque resource manager: queues, nodes and what is free on them, jobs and why they wait."
    fresh_for = 60.0
    variables = ("PBS_SERVER", "PBS_DEFAULT", "PBS_HOME")

    def probe(self) -> Active[Torque] | Absent | Unreachable:
        missing = _marks.lacking(
            self.system, every=("qstat", "pbsnodes"), marks=_marks.TORQUE_COMMANDS, files=_marks.TORQUE_FILES
        )
        if missing:
            return Absent(missing)
        told = self.system.run("qstat", "--version")
        if not told.ok:
            return told.unreachable()
        version = _VERSION.search(f"{told.stdout}\n{told.stderr}")  # it goes to stderr
        if not version:
            said = printable(" ".join(f"{told.stdout} {told.stderr}".split()))[:100] or "nothing"
            return Absent(f"qstat --version with Version: and a number; it says {said}")
        answer = self.system.run("qstat", "-B", "-f")
        if not answer.ok:
            return answer.unreachable()
        server = _pbs_types.server(read_text(answer.stdout, "Server", "qstat -B -f"), "qstat -B -f")
        return Active(Torque(version[1], server.name, server.state, server.default_queue))

    @secretary_tool
    def queues(self) -> list[Queue]:
        """The queues with state and limits, and which is the default one."""
        answer = self.system.run("qstat", "-Q", "-f")
        records = read_text(answer.text(), "Queue", "qstat -Q -f")
        return _pbs_types.queues(records, self._server().default_queue, "qstat -Q -f")

    @secretary_tool
    def nodes(self, state: Literal["any", "up", "down", "drained", "unknown"] = "any") -> list[Node]:
        """The nodes with state, processors, memory (as the node measures it) and GPUs, and what of them is free.
        state: those in this state only."""
        return [node for node in self._nodes() if state in ("any", node.state)]

    @secretary_tool
    def jobs(
        self,
        user: Name | None = None,
        queue: Name | None = None,
        state: Literal["any", "pending", "held", "running", "suspended"] = "any",
    ) -> list[Job]:
        """The jobs that wait or run, with what they asked for and why they wait; the jobs of an array one by one.
        user: those of this user only.
        queue: those in this queue only.
        state: those in this state only."""
        return chosen(self._jobs(), user, queue, state)

    @secretary_tool
    def my_jobs(self) -> list[Job]:
        """The jobs of this user that wait or run, and why they wait."""
        return chosen(self._jobs(), self.system.user())

    @secretary_tool
    def job(self, id: JobId) -> Job:
        """One job, also one that ended so lately that the server still has it.
        id: as qstat shows it, with or without the server's name."""
        number = job_number(id)
        for record in _torque_xml.read_records(self.system.run("qstat", "-x", number).text(), "Job", "qstat -x"):
            if record.name == number or record.name.startswith(f"{number}."):
                return _pbs_types.job(record, "qstat -x")
        raise OutputError("qstat -x", id, "the answer has no such job")

    @secretary_tool
    def depth(self) -> Depth:
        """How many jobs wait and run, and how many processors those that wait ask for."""
        return depth_of(self._jobs(), "qstat -t -x")

    def inventory(self) -> Inventory:
        """Every node; processors that a job has are not free, memory is what the node measures as free."""
        return inventory_of(self._nodes(), "pbsnodes -x", self.system)

    def _nodes(self) -> list[Node]:
        found = _torque_xml.nodes(self.system.run("pbsnodes", "-x").text(), "pbsnodes -x")
        if not found:  # a server without nodes says so, and pbsnodes ends with 1
            raise OutputError("pbsnodes -x", "", "it tells of no node")
        return found

    def _jobs(self) -> list[Job]:
        records = _torque_xml.read_records(self.system.run("qstat", "-t", "-x").text(), "Job", "qstat -t -x")
        return [job for job in _pbs_types.jobs(records, "qstat -t -x") if job.state != "finished"]

    def _server(self) -> _pbs_types.Server:
        text = self.system.run("qstat", "-B", "-f").text()
        return _pbs_types.server(read_text(text, "Server", "qstat -B -f"), "qstat -B -f")
