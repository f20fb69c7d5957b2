"""OAR: oarsub(1), oarstat(1)."""

from __future__ import annotations

import re
import shlex

from jobspec.actions import CommandAction, Launch
from jobspec.errors import StepFailed
from jobspec.job import Job
from jobspec.transformer._scheduler import Ended, Scheduler, clock, offer_steps

_ID = re.compile(r"^OAR_JOB_ID=([0-9]{1,18})", re.MULTILINE)
_STATE = re.compile(r"^\s{0,8}state = (\w{1,30})", re.MULTILINE)
# The raw status, and in brackets its exit code, signal and core dump.
_EXIT = re.compile(r"^\s{0,8}exit_code = [0-9]{1,9} \(([0-9]{1,3}),([0-9]{1,3}),", re.MULTILINE)


class Transformer(Scheduler):
    name = "oar"
    description = "the OAR cluster whose oarsub is on the PATH"
    program, probe = "oarsub", ("oarstat", "--version")

    def notes(self, job: Job) -> list[str]:
        asked = {"memory": job.memory, "GPUs": job.gpus}
        return [f"the job asks for {what}, which are properties of each OAR site" for what, has in asked.items() if has]

    def refuse(self, job: Job) -> str:
        if job.nodes and job.tasks % job.nodes.least:
            return f"{job.tasks} tasks can't be spread evenly over {job.nodes.least} nodes"
        return ""

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        job = launch.job
        nodes = job.nodes.least if job.nodes else 1
        request = f"/nodes={nodes}"
        if not job.exclusive:
            request += f"/core={job.tasks // nodes * job.cpus_per_task}"
        if isinstance(job.walltime_s, int):
            request += f",walltime={clock(job.walltime_s)}"
        options = ["-n", job.name] if job.name else []
        options += ["-l", request, *(["-d", launch.cwd] if launch.cwd else [])]
        options += ["-O", output, "-E", output] if output else []
        options += ["-q", self.profile.default_queue] if self.profile.default_queue else []
        options += ["--project", self.profile.default_account] if self.profile.default_account else []
        # A job gets none of our environment, and its command is a line for a shell.
        variables = [f"{name}={value}" for name, value in launch.environment.items()]
        return CommandAction(("oarsub", *options, shlex.join(("env", *variables, script))))

    def read_id(self, answer: str) -> str:
        found = _ID.search(answer)
        return found[1] if found else ""

    def look(self, job: str) -> CommandAction:
        return CommandAction(("oarstat", "-f", "-j", job))

    def read_look(self, job: str, answer: str) -> Ended | None:
        state, code = _STATE.search(answer), _EXIT.search(answer)
        if not state:
            raise StepFailed(f"oarstat does not say how job {job} is", job)
        if state[1] not in ("Terminated", "Error"):
            return None
        if code:
            return Ended(int(code[1]) or (128 + int(code[2]) if int(code[2]) else 0))
        return Ended(0) if state[1] == "Terminated" else Ended(1, "OAR says Error")


offer_steps(Transformer)
