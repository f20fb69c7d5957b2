"""Grid Engine: qsub(1), qstat(1), qacct(1)."""

from __future__ import annotations

import re
import time

from jobspec.actions import CommandAction, Launch
from jobspec.errors import JobEnded, StepFailed
from jobspec.job import Job
from jobspec.transformer._base import ASKING, call
from jobspec.transformer._scheduler import Ended, offer_shared_steps
from jobspec.transformer._written import Written

_ID = re.compile(r"(?:Your job )?([0-9]{1,18})(?:\s|\.|$)")
_FIELD = re.compile(r"^(failed|exit_status) {1,20}(.{1,200})$", re.MULTILINE)
_ERROR = re.compile(r"^error reason[^:]{0,30}: {0,20}(.{1,200})$", re.MULTILINE)
ACCOUNTING = 15.0  # seconds that the record of a job may take to appear


class Transformer(Written):
    name = system = "gridengine"
    description = "the Grid Engine cell whose qsub is on the PATH"
    program, probe = "qsub", ("qconf", "-sh")
    gone = ("do not exist",)

    def refuse(self, job: Job) -> str:
        why = super().refuse(job)
        if "parallel" not in why:
            return why
        try:
            there = call(CommandAction(("qconf", "-spl")), timeout=ASKING).split()
        except StepFailed:
            return why
        return f"{why}; qconf knows: {', '.join(there[:20]) or 'none'}"

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        here = [] if launch.cwd else ["-cwd"]
        # Without -shell n the arguments would be joined to one shell line.
        argv = ("qsub", "-terse", "-b", "y", "-shell", "n", *self.options(launch, output), *here, script)
        return CommandAction(argv, environment=launch.environment)

    def read_id(self, answer: str) -> str:
        found = _ID.match(answer.strip())
        return found[1] if found else ""

    def look(self, job: str) -> CommandAction:
        return CommandAction(("qstat", "-j", job))

    def read_look(self, job: str, answer: str) -> Ended | None:
        error = _ERROR.search(answer)
        return Ended(1, f"Grid Engine can't start it: {error[1].strip()}") if error else None

    def forgotten(self, job: str) -> Ended:
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


offer_shared_steps(Transformer)
