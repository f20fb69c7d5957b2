"""OAR: oarsub(1), oarstat(1)."""

from __future__ import annotations

import re
import shlex

from jobspec.actions import CommandAction, Launch
from jobspec.errors import StepFailed
from jobspec.transformer._scheduler import Ended, offer_shared_steps
from jobspec.transformer._written import Written

_ID = re.compile(r"^OAR_JOB_ID=([0-9]{1,18})", re.MULTILINE)
_STATE = re.compile(r"^\s{0,8}state = (\w{1,30})", re.MULTILINE)
# The raw status, and in brackets its exit code, signal and core dump.
_EXIT = re.compile(r"^\s{0,8}exit_code = [0-9]{1,9} \(([0-9]{1,3}),([0-9]{1,3}),", re.MULTILINE)


class Transformer(Written):
    name = system = "oar"
    description = "the OAR cluster whose oarsub is on the PATH"
    program, probe = "oarsub", ("oarstat", "--version")

    def words(self, line: str) -> list[str]:
        return line.split(None, 1)  # the value is all that follows, quotes included (oarsub(1), "-S")

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        # A job gets none of our environment, and its command is a line for a shell.
        variables = [f"{name}={value}" for name, value in launch.environment.items()]
        line = shlex.join(("env", *variables, script))
        return CommandAction(("oarsub", *self.options(launch, output), line))

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


offer_shared_steps(Transformer)
