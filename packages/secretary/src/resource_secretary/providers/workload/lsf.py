"""LSF, asked through `bjobs`, `bhosts`, `bqueues`, `lshosts` and `lsload`, as JSON where they write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from resource_secretary.asking import Depth
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.providers.workload import _lsf_text
from resource_secretary.providers.workload._batch import Job, Node, Queue, chosen, depth_of, inventory_of, job_number
from resource_secretary.providers.workload._marks import lacking
from resource_secretary.run import Ran
from resource_secretary.values import JobId, Name

if TYPE_CHECKING:
    from resources.documents import Inventory

_JOB = (
    "jobid jobindex stat user queue job_name slots nreq_slot exec_host submit_time start_time runtimelimit pend_reason"
)
_HOST = "HOST_NAME STATUS MAX NJOBS RUN SSUSP USUSP RSV"
_NO_JSON = re.compile(r"illegal option|invalid option|unknown option|usage:|bad field|not supported", re.IGNORECASE)
_NO_JOB = re.compile(r"No (?:unfinished |matching |pending |running )?job found", re.IGNORECASE)


class LsfProvider(Offering):
    category = "workload"
    name = "lsf"
    description = "LSF (IBM Spectrum LSF): queues, hosts and what is free on them, jobs and why they wait."
    fresh_for = 60.0
    variables = ("LSF_ENVDIR", "LSF_SERVERDIR", "LSF_BINDIR", "LSB_CONFDIR", "LSB_SHAREDIR")

    def probe(self) -> Active[_lsf_text.Lsid] | Absent | Unreachable:
        # Slurm has wrappers of the names bjobs, bsub and lsid; of the others it has none.
        missing = lacking(self.system, every=("lsid", "bjobs", "bhosts", "bqueues"))
        if missing:
            return Absent(missing)
        answer = self.system.run("lsid")
        if not answer.ok:
            return answer.unreachable()
        return Active(_lsf_text.read_lsid(answer.stdout))

    @secretary_tool
    def queues(self) -> list[Queue]:
        """The queues with state and limits, and which of them take jobs that name none."""
        params = self.system.run("bparams")
        defaults = _lsf_text.read_default_queues(params.stdout) if params.ok else None
        return _lsf_text.read_queues(self.system.run("bqueues", "-l").text(), defaults)

    @secretary_tool
    def nodes(self, state: Literal["any", "up", "down", "drained", "unknown"] = "any") -> list[Node]:
        """The hosts with job slots (as cores), memory and GPUs by model, and what of them is free. Free memory is
        measured; GPUs are null where this LSF does not tell them.
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
        """One job, also one that ended lately.
        id: its number, and the index of an array in brackets: 12, 12[3]."""
        number = job_number(id)
        answer = self.system.run("bjobs", "-a", "-o", _JOB, "-json", number)
        if not answer.ok and _NO_JSON.search(answer.stderr):
            answer = self.system.run("bjobs", "-a", "-w", number)
            found = _lsf_text.read_job_table(answer.text())
        else:
            found = _lsf_text.read_jobs(_lsf_text.read_json(answer.text(), "bjobs -json"), "bjobs -json")
        for job in found:
            if job.state == "unread":
                raise OutputError("bjobs", id, job.reason)
            return job
        raise CommandFailed(answer.command, answer.said if answer.stderr else "the answer has no such job")

    @secretary_tool
    def depth(self) -> Depth:
        """How many jobs wait and run, and how many slots those that wait ask for."""
        return depth_of(self._jobs(), "bjobs -u all")

    def inventory(self) -> Inventory:
        """Every host: job slots as cores. Memory that is free is what LSF measures."""
        return inventory_of(self._nodes(), "bhosts", self.system)

    def _nodes(self) -> list[Node]:
        answer = self.system.run("bhosts", "-o", _HOST, "-json")
        if not answer.ok and _NO_JSON.search(answer.stderr):
            batch = _lsf_text.read_table(self.system.run("bhosts", "-w").text(), "HOST_NAME", "bhosts -w")
        else:
            batch = _lsf_text.read_json(answer.text(), "bhosts -json")
        base = _lsf_text.read_base(self.system.run("lshosts", "-w").text())
        told = _lsf_text.read_table(self.system.run("lsload", "-w").text(), "HOST_NAME", "lsload -w")
        load = {record.get("HOST_NAME", ""): record for record in told}
        gpus = self.system.run("bhosts", "-w", "-gpu")
        return _lsf_text.read_hosts(batch, base, load, _lsf_text.read_gpus(gpus.stdout) if gpus.ok else None, "bhosts")

    def _jobs(self) -> list[Job]:
        answer = self.system.run("bjobs", "-u", "all", "-o", _JOB, "-json")
        if _none(answer):
            return []
        if not answer.ok and _NO_JSON.search(answer.stderr):
            answer = self.system.run("bjobs", "-u", "all", "-w")
            return [] if _none(answer) else _lsf_text.read_job_table(answer.text())
        return _lsf_text.read_jobs(_lsf_text.read_json(answer.text(), "bjobs -json"), "bjobs -json")


def _none(answer: Ran) -> bool:
    """Whether LSF says that there is no job: on stderr, with an exit code that depends on its version."""
    return not answer.problem and not answer.stdout.strip() and bool(_NO_JOB.search(answer.stderr))
