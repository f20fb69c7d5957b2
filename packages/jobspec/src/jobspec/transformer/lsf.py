"""LSF: bsub(1), bjobs(1)."""

from __future__ import annotations

import re

from jobspec.actions import CommandAction, Launch
from jobspec.errors import JobEnded, StepFailed
from jobspec.job import Job
from jobspec.transformer._scheduler import Ended, Scheduler, gpus_per_task, offer_steps

_ID = re.compile(r"Job <([0-9]{1,18})> is submitted")


class Transformer(Scheduler):
    name = "lsf"
    description = "the LSF cluster whose bsub is on the PATH"
    program, probe = "bsub", ("lsid",)
    chains = True

    def notes(self, job: Job) -> list[str]:
        # The unit of a bare number and what it is counted by are settings of the site (lsb.params, lsf.conf).
        return ["the job asks for memory, whose unit each LSF site sets: it is not passed on"] if job.memory else []

    def refuse(self, job: Job) -> str:
        if job.nodes and job.tasks % job.nodes.least:
            return f"{job.tasks} tasks can't be spread evenly over {job.nodes.least} nodes"
        return ""

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        job = launch.job
        options = ["-J", job.name] if job.name else []
        nodes = job.nodes.least if job.nodes else 1
        span = "span[hosts=1]" if nodes == 1 else f"span[ptile={job.tasks // nodes}]"
        options += ["-n", str(job.tasks), "-R", span]
        if job.cpus_per_task > 1:
            options += ["-R", f"affinity[core({job.cpus_per_task})]"]
        if gpus := gpus_per_task(job):
            options += ["-gpu", f"num={gpus}/task"]
        if isinstance(job.walltime_s, int):
            minutes = -(-job.walltime_s // 60)
            options += ["-W", f"{minutes // 60}:{minutes % 60:02d}"]
        options += ["-x"] if job.exclusive else []
        options += ["-q", self.profile.default_queue] if self.profile.default_queue else []
        options += ["-P", self.profile.default_account] if self.profile.default_account else []
        if launch.after:
            # -ti: after a failure the job ends, where the site lets it; else it stays in the queue.
            options += ["-w", " && ".join(f"done({job})" for job in launch.after), "-ti"]
        options += ["-cwd", launch.cwd] if launch.cwd else []
        options += ["-oo", output] if output else []
        return CommandAction(("bsub", *options, script), environment=launch.environment)

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

    def unknown(self, job: str, error: StepFailed) -> Ended | None:
        if "is not found" in str(error):
            raise JobEnded(f"job {job} has ended, and LSF does not know any more how", job)
        raise error


offer_steps(Transformer)
