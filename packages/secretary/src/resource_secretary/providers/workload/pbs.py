"""PBS: OpenPBS and PBS Professional, asked through `qstat` and `pbsnodes`, as JSON where they write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from resource_secretary.asking import Depth
from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.providers.workload import _marks, _pbs_types
from resource_secretary.providers.workload._batch import Job, Node, Queue, chosen, inventory_of, job_number
from resource_secretary.providers.workload._pbs_json import Record, read_records
from resource_secretary.providers.workload._pbs_text import read_text
from resource_secretary.run import printable
from resource_secretary.values import JobId, Name

if TYPE_CHECKING:
    from resources.documents import Inventory

_VERSION = re.compile(r"^pbs_version\s*=\s*(\S+)", re.MULTILINE)
_NO_JSON = re.compile(r"invalid option|illegal option|usage:|conflicting options", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pbs:
    """version: of the client. server: its name. state: as the server tells it, such as Active. default_queue: "" where
    the server has none."""

    version: str
    server: str
    state: str
    default_queue: str


class PbsProvider(Offering):
    category = "workload"
    name = "pbs"
    description = "PBS (OpenPBS, PBS Professional): queues, nodes and what is free on them, jobs and why they wait."
    fresh_for = 60.0
    variables = ("PBS_CONF_FILE", "PBS_SERVER", "PBS_DEFAULT", "PBS_EXEC")

    def probe(self) -> Active[Pbs] | Absent | Unreachable:
        missing = _marks.lacking(
            self.system,
            every=("qstat", "pbsnodes"),
            marks=_marks.PBS_COMMANDS,
            files=_marks.pbs_files(self.system),
        )
        if missing:
            return Absent(missing)
        told = self.system.run("qstat", "--version")
        if not told.ok:
            return told.unreachable()
        version = _VERSION.search(f"{told.stdout}\n{told.stderr}")
        if not version:
            said = printable(" ".join(f"{told.stdout} {told.stderr}".split()))[:100] or "nothing"
            return Absent(f"qstat --version with pbs_version; it says {said}")
        answer = self.system.run("qstat", "-B", "-f")
        if not answer.ok:
            return answer.unreachable()
        server = _pbs_types.server(read_text(answer.stdout, "Server", "qstat -B -f"), "qstat -B -f")
        return Active(Pbs(version[1], server.name, server.state, server.default_queue))

    @secretary_tool
    def queues(self) -> list[Queue]:
        """The queues with state and limits, and which is the default one. A routing queue hands its jobs to others, and
        a queue may take jobs from those only: it is closed then."""
        records = self._records("qstat", "Queue", "-Q", "-f")
        return _pbs_types.queues(records, self._server().default_queue, "qstat -Q -f")

    @secretary_tool
    def nodes(self, state: Literal["any", "up", "down", "drained", "unknown"] = "any") -> list[Node]:
        """The nodes (vnodes) with state, CPUs, memory and GPUs, and what of them is free.
        state: those in this state only."""
        return [node for node in self._nodes() if state in ("any", node.state)]

    @secretary_tool
    def jobs(
        self,
        user: Name | None = None,
        queue: Name | None = None,
        state: Literal["any", "pending", "held", "running", "suspended"] = "any",
    ) -> list[Job]:
        """The jobs that wait or run, with what they asked for and why they wait.
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
        """One job, also one that has ended where the server keeps a history.
        id: as qstat shows it, with or without the server's name."""
        number = job_number(id)
        for record in self._records("qstat", "Jobs", "-x", "-f", about=number):
            if record.name == number or record.name.startswith(f"{number}."):
                return _pbs_types.job(record, "qstat -x -f")
        raise OutputError("qstat -x -f", id, "the answer has no such job")

    @secretary_tool
    def depth(self) -> Depth:
        """How many jobs wait and run."""
        depth = self._server().depth
        if depth is None:
            raise OutputError("qstat -B -f", "", "state_count is missing")
        return depth

    def inventory(self) -> Inventory:
        """Every host; what PBS has assigned is not free. Vnodes of one host count together."""
        return inventory_of(self._nodes(), "pbsnodes -a", self.system)

    def _nodes(self) -> list[Node]:
        found = _pbs_types.nodes(self._records("pbsnodes", "nodes", "-a"), "pbsnodes -a")
        if not found:  # a server without nodes says so, and pbsnodes ends with 1
            raise OutputError("pbsnodes -a", "", "it tells of no node")
        return found

    def _jobs(self) -> list[Job]:
        found = _pbs_types.jobs(self._records("qstat", "Jobs", "-f"), "qstat -f")
        return [job for job in found if job.state != "finished"]

    def _server(self) -> _pbs_types.Server:
        text = self.system.run("qstat", "-B", "-f").text()
        return _pbs_types.server(read_text(text, "Server", "qstat -B -f"), "qstat -B -f")

    def _records(
        self, command: str, section: Literal["Jobs", "Queue", "nodes"], *options: str, about: str = ""
    ) -> list[Record]:
        """The records as JSON; as text where the client is too old to write JSON (before 14), or it can't be read."""
        last = [about] if about else []
        answer = self.system.run(command, *options, "-F", "json", *last)
        if answer.ok:
            try:
                return read_records(answer.stdout, section, answer.command)
            except OutputError:
                text = self.system.run(command, *options, *last)
                if not text.ok:
                    raise
        elif _NO_JSON.search(answer.stderr):
            text = self.system.run(command, *options, *last)
        else:
            text = answer
        return read_text(text.text(), section, text.command)
