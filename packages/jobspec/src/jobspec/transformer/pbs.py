"""PBS Pro (OpenPBS) and Torque, told apart by what their qsub says: qsub(1B), qstat(1B)."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from jobspec.actions import CommandAction, FileAction, Launch
from jobspec.errors import JobEnded, StepFailed
from jobspec.job import Job
from jobspec.profile import Profile
from jobspec.transformer._base import ASKING, call
from jobspec.transformer._scheduler import Ended, Scheduler, clock, gpus_per_task, name_of, offer_steps, per_node

_STATE = re.compile(r"^\s{0,8}job_state = (\w)", re.MULTILINE)
_EXIT = re.compile(r"^\s{0,8}exit_status = (-?[0-9]{1,9})", re.MULTILINE | re.IGNORECASE)
_OVER = frozenset("FCX")  # finished (Pro), completed (Torque), a finished element of an array (Pro)
_SIGNAL = 256  # and a signal's number: how PBS says that a signal ended the job


class Transformer(Scheduler):
    name = "pbs"
    description = "the PBS Pro, OpenPBS or Torque whose qsub is on the PATH"
    program, probe = "qsub", ("qstat", "-B")
    chains = True

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

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        options = [*_common(launch.job, self.profile), *(_torque if self.torque else _pro)(launch.job)]
        if launch.after:
            options += ["-W", f"depend=afterok:{':'.join(launch.after)}"]
        if output:
            options += ["-j", "oe", "-o", output]
        return CommandAction(("qsub", *options, "-V", script), environment=launch.environment)

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

    def unknown(self, job: str, error: StepFailed) -> Ended | None:
        if "Unknown Job" in str(error) or "has finished" in str(error):
            raise JobEnded(f"job {job} has ended, and PBS does not know any more how (no job history)", job)
        raise error


def _common(job: Job, profile: Profile) -> list[str]:
    options = ["-N", re.sub(r"\s", "_", job.name)[:236]] if job.name else []
    if isinstance(job.walltime_s, int):
        options += ["-l", f"walltime={clock(job.walltime_s)}"]
    options += ["-q", profile.default_queue] if profile.default_queue else []
    return options + (["-A", profile.default_account] if profile.default_account else [])


def _pro(job: Job) -> list[str]:
    chunks = []
    for nodes, tasks in per_node(job):
        chunk = f"{nodes}:ncpus={tasks * job.cpus_per_task}:mpiprocs={tasks}"
        if job.memory:
            chunk += f":mem={-(-job.memory.bytes * tasks // 1024)}kb"
        if gpus := gpus_per_task(job) * tasks:
            chunk += f":ngpus={gpus}"
        chunks.append(chunk)
    place = "scatter" if job.nodes and job.nodes.least > 1 else "pack"
    return ["-l", f"select={'+'.join(chunks)}", "-l", f"place={place}{':excl' if job.exclusive else ''}"]


def _torque(job: Job) -> list[str]:
    nodes = []
    for count, tasks in per_node(job):
        node = f"{count}:ppn={tasks * job.cpus_per_task}"
        if gpus := gpus_per_task(job) * tasks:
            node += f":gpus={gpus}"
        nodes.append(node)
    options = ["-l", f"nodes={'+'.join(nodes)}"]
    options += ["-l", f"mem={-(-job.memory.bytes * job.tasks // 1024)}kb"] if job.memory else []
    return options + (["-n"] if job.exclusive else [])


offer_steps(Transformer)
