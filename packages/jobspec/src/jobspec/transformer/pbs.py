"""PBS Pro (OpenPBS) and Torque, told apart by what their qsub says: qsub(1B), qstat(1B)."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from jobspec.actions import CommandAction, FileAction, Launch
from jobspec.errors import StepFailed
from jobspec.transformer._base import ASKING, call
from jobspec.transformer._scheduler import Ended, name_of, offer_shared_steps
from jobspec.transformer._written import Written

_STATE = re.compile(r"^\s{0,8}job_state = (\w)", re.MULTILINE)
_EXIT = re.compile(r"^\s{0,8}exit_status = (-?[0-9]{1,9})", re.MULTILINE | re.IGNORECASE)
_OVER = frozenset("FCX")  # finished (Pro), completed (Torque), a finished element of an array (Pro)
_SIGNAL = 256  # and a signal's number: how PBS says that a signal ended the job


class Transformer(Written):
    name = "pbs"
    description = "the PBS Pro, OpenPBS or Torque whose qsub is on the PATH"
    program, probe = "qsub", ("qstat", "-B")
    chains = True
    gone = ("Unknown Job", "has finished")

    def __init__(self) -> None:
        super().__init__()
        self._torque: bool | None = None

    @property
    def torque(self) -> bool:
        """Whether it is Torque; without a qsub it is taken for PBS Pro."""
        if self._torque is None:
            try:
                said = call(CommandAction(("qsub", "--version")), timeout=ASKING)
                self._torque = "pbs_version" not in said
            except StepFailed:
                self._torque = False
        return self._torque

    def file(self, launch: Launch) -> FileAction | None:
        # Jobs start in the home directory, and PBS Pro has no option for another one.
        inner = super().file(launch)
        go = f"cd {shlex.quote(launch.cwd or '.')} || exit\n"
        if not launch.cwd:
            go = 'cd "$PBS_O_WORKDIR" || exit\n'
        if inner is None:
            content = f"#!/bin/sh\n{go}exec {shlex.join(launch.argv)}\n"
            return FileAction(f"{launch.stage}/{name_of(launch)}.sh", True, content)
        return replace(inner, content=inner.content.replace("\n", f"\n{go}", 1))

    def dialect(self) -> str:
        return "torque" if self.torque else "pbspro"

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        after = ["-W", f"depend=afterok:{':'.join(launch.after)}"] if launch.after else []
        return CommandAction(("qsub", *self.options(launch, output), *after, script), environment=launch.environment)

    def look(self, job: str) -> CommandAction:
        return CommandAction(("qstat", *(("-f", "-1") if self.torque else ("-x", "-f")), job))

    def read_look(self, job: str, answer: str) -> Ended | None:
        state, code = _STATE.search(answer), _EXIT.search(answer)
        if not state:
            raise StepFailed(f"qstat does not say how job {job} is", job)
        if state[1] not in _OVER:
            return None
        if not code:
            return Ended(1, "deleted before it started")
        number = int(code[1])
        if number < 0:  # Administrator's Guide, "Job Exit Status Codes"
            return Ended(1, f"PBS could not run it (exit status {number})")
        return Ended(number - _SIGNAL + 128 if number > _SIGNAL else number)


offer_shared_steps(Transformer)
