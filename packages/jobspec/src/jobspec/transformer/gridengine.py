"""Grid Engine: qsub(1), qstat(1), qacct(1)."""

from __future__ import annotations

import re
import time

from jobspec.actions import CommandAction, Launch
from jobspec.errors import JobEnded, StepFailed
from jobspec.job import Job
from jobspec.transformer._base import ASKING, call
from jobspec.transformer._scheduler import Ended, Scheduler, offer_steps

_ID = re.compile(r"(?:Your job )?([0-9]{1,18})(?:\s|\.|$)")
_FIELD = re.compile(r"^(failed|exit_status) {1,20}(.{1,200})$", re.MULTILINE)
_ERROR = re.compile(r"^error reason[^:]{0,30}: {0,20}(.{1,200})$", re.MULTILINE)
ACCOUNTING = 15.0  # seconds that the record of a job may take to appear


class Transformer(Scheduler):
    name = "gridengine"
    description = "the Grid Engine cell whose qsub is on the PATH"
    program, probe = "qsub", ("qconf", "-sh")

    def notes(self, job: Job) -> list[str]:
        # Which complex holds memory, and whether it is for each slot, is a setting of the site.
        notes = ["the job asks for memory, which each Grid Engine site counts its own way"] if job.memory else []
        return [f"{note}: it is not passed on" for note in notes + (["the job asks for GPUs"] if job.gpus else [])]

    def refuse(self, job: Job) -> str:
        if job.nodes and job.nodes.least > 1:
            return "Grid Engine is asked for slots, not for nodes"
        return "" if _slots(job) == 1 or self._environment() else self._candidates()

    def _environment(self) -> str:
        known = self.profile.parallel_environments
        return known.get("smp", "") or known.get("mpi", "")

    def _candidates(self) -> str:
        try:
            there = call(CommandAction(("qconf", "-spl")), timeout=ASKING).split()
        except StepFailed:
            there = []
        names = f"; there are: {', '.join(there[:20])}" if there else ""
        return (
            f"several slots need a parallel environment: say parallel_environments: {{smp: NAME}} in a profile{names}"
        )

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        job = launch.job
        # Without -shell n the arguments would be joined to one shell line.
        options = ["-terse", "-b", "y", "-shell", "n", "-V"]
        options += ["-N", _name(job.name)] if job.name else []
        options += ["-pe", self._environment(), str(_slots(job))] if _slots(job) > 1 else []
        options += ["-l", f"h_rt={job.walltime_s}"] if isinstance(job.walltime_s, int) else []
        options += ["-l", "exclusive=true"] if job.exclusive else []
        options += ["-q", self.profile.default_queue] if self.profile.default_queue else []
        options += ["-P", self.profile.default_account] if self.profile.default_account else []
        options += ["-wd", launch.cwd] if launch.cwd else ["-cwd"]
        options += ["-j", "y", "-o", output] if output else []
        return CommandAction(("qsub", *options, script), environment=launch.environment)

    def read_id(self, answer: str) -> str:
        found = _ID.match(answer.strip())
        return found[1] if found else ""

    def look(self, job: str) -> CommandAction:
        return CommandAction(("qstat", "-j", job))

    def read_look(self, job: str, answer: str) -> Ended | None:
        error = _ERROR.search(answer)
        return Ended(1, f"Grid Engine can't start it: {error[1].strip()}") if error else None

    def unknown(self, job: str, error: StepFailed) -> Ended | None:
        if "do not exist" not in str(error):
            raise error
        until = time.monotonic() + ACCOUNTING
        while True:
            try:
                return _accounted(job, call(CommandAction(("qacct", "-j", job))))
            except StepFailed as why:
                if time.monotonic() > until:
                    raise JobEnded(f"job {job} has ended, and qacct does not say how ({why})", job) from None
            time.sleep(0.5)


def _accounted(job: str, answer: str) -> Ended:
    fields = {name: value.strip() for name, value in _FIELD.findall(answer)}
    failed, code = fields.get("failed", ""), fields.get("exit_status", "")
    if not code.split(" ")[0].isdigit():
        raise StepFailed(f"qacct has no exit status of job {job}", job)
    number = int(code.split(" ")[0])
    # 100: "assumedly after job", which a signal ended (accounting(5)).
    if failed and failed.split(" ")[0] not in ("0", "100"):
        return Ended(number or 1, f"failed {failed}")
    return Ended(number)


def _slots(job: Job) -> int:
    return job.tasks * job.cpus_per_task


def _name(name: str) -> str:
    """A name as -N takes it: no digit first, and none of the characters of sge_types(1), "object_name"."""
    text = re.sub(r"[\s/:'@\\*?]", "_", name)
    return f"j{text}" if text[0].isdigit() else text


offer_steps(Transformer)
