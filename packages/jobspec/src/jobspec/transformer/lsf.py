"""LSF: bsub(1), bjobs(1)."""

from __future__ import annotations

import re

from jobspec.actions import CommandAction, Launch
from jobspec.errors import StepFailed
from jobspec.transformer._scheduler import Ended, offer_shared_steps
from jobspec.transformer._written import Written

_ID = re.compile(r"Job <([0-9]{1,18})> is submitted")


class Transformer(Written):
    name = system = "lsf"
    description = "the LSF cluster whose bsub is on the PATH"
    program, probe = "bsub", ("lsid",)
    chains = True
    gone = ("is not found",)

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        # -ti: what comes after a job that has failed ends, where the site lets it; else it stays in the queue.
        after = ["-w", " && ".join(f"done({job})" for job in launch.after), "-ti"] if launch.after else []
        argv = ("bsub", *self.options(launch, output), *after, script)
        return CommandAction(argv, environment=launch.environment)

    def read_id(self, answer: str) -> str:
        found = _ID.search(answer)
        return found[1] if found else ""

    def look(self, job: str) -> CommandAction:
        return CommandAction(("bjobs", "-noheader", "-o", "stat exit_code", job))

    def read_look(self, job: str, answer: str) -> Ended | None:
        state, _, code = answer.strip().partition(" ")
        if state == "DONE":
            return Ended(0)
        if state == "EXIT":
            return Ended(int(code)) if code.strip().isdigit() else Ended(1, "killed before it started")
        if not state:
            raise StepFailed(f"bjobs does not say how job {job} is", job)
        return None


offer_shared_steps(Transformer)
