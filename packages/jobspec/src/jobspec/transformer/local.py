"""Real processes on this host: nothing else is needed.

Each task of a job is a process; a batch job is one. There is no daemon: a run ends when the last
process that it started has ended. Walltime is enforced; cores and memory are not.
"""

from __future__ import annotations

import codecs
import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from resources import Resource
from resources.units import seconds_text

from jobspec import steps
from jobspec.actions import Action, CommandAction, Launch
from jobspec.environ import clean
from jobspec.errors import JobEnded, StepFailed
from jobspec.facts import Fact, met_here, this_machine
from jobspec.job import Job
from jobspec.stage import PRIVATE
from jobspec.transformer._base import TransformerBase, offer_steps

MOST_TASKS = 256  # processes of one job; more of them on one host is a slip
GRACE = 2.0  # seconds between the polite and the final signal
_LOOK = 0.05  # seconds between two looks at the output


@dataclass(slots=True)
class _Running:
    processes: list[subprocess.Popen[bytes]]
    output: Path
    started: float
    limit: int | None


class Transformer(TransformerBase):
    name = "local"
    description = "real processes on this host; needs nothing"
    groups = True

    def __init__(self) -> None:
        self._jobs: dict[str, _Running] = {}
        self._host: Resource | None = None

    def refuse(self, job: Job) -> str:
        return f"{job.tasks} tasks are more than the {MOST_TASKS} that one host gets" if job.tasks > MOST_TASKS else ""

    def notes(self, job: Job) -> list[str]:
        if job.nodes and job.nodes.least > 1:
            return [f"the job asks for {job.nodes.least} nodes; all its tasks run on this host"]
        return []

    def has(self, fact: Fact) -> bool | None:
        if self._host is None:
            self._host = this_machine()
        return met_here(fact, self._host)

    def command(self, launch: Launch) -> CommandAction:
        times = 1 if launch.batch else launch.job.tasks
        return CommandAction(launch.argv, launch.cwd, launch.environment, times)

    def waiting(self, job: str, *, watch: bool = False) -> list[Action]:
        return []

    def within(self, launch: Launch) -> list[CommandAction]:
        tasks = launch.job.tasks
        return [CommandAction(launch.argv, environment=_rank(rank, tasks)) for rank in range(tasks)]

    def submit(self, launch: Launch) -> str:
        command = self.command(launch)
        if launch.batch:
            Path(launch.argv[0]).chmod(PRIVATE)  # as schedulers do with the script that they are given
        # Not inherited by accident, and not a name that a script of the user's may have.
        number, path = tempfile.mkstemp(prefix="job-", suffix=".out", dir=launch.stage)
        limit = launch.job.walltime_s
        job = _Running([], Path(path), time.monotonic(), limit if isinstance(limit, int) else None)
        with os.fdopen(number, "ab", buffering=0) as out:
            for rank in range(command.times):
                try:
                    process = subprocess.Popen(
                        command.argv,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=subprocess.STDOUT,
                        cwd=command.cwd or None,
                        env=clean() | dict(command.environment) | _rank(rank, command.times),
                        start_new_session=True,  # so that its children can be ended with it
                    )
                except (OSError, ValueError) as error:
                    _end(job.processes)
                    why = error.strerror if isinstance(error, OSError) else str(error)
                    where = f" in {command.cwd}" if command.cwd else ""
                    raise StepFailed(f"can't start {command.argv[0]}{where}: {why}") from None
                job.processes.append(process)
        name = str(job.processes[0].pid)
        self._jobs[name] = job
        return name

    def wait(self, job: str, output: TextIO | None) -> int:
        entry = self._jobs[job]
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with entry.output.open("rb") as file:
            while True:
                running = [process for process in entry.processes if process.poll() is None]
                if output is not None and (new := decoder.decode(file.read(), final=not running)):
                    output.write(new)
                    output.flush()
                if not running:
                    break
                if entry.limit is not None and time.monotonic() - entry.started > entry.limit:
                    _end(running)
                    del self._jobs[job]
                    raise JobEnded(f"job {job} was ended at its time limit of {seconds_text(entry.limit)}", job)
                with suppress(subprocess.TimeoutExpired):
                    running[0].wait(_LOOK if output is not None or entry.limit is not None else None)
        del self._jobs[job]
        code = max(_exit_code(process) for process in entry.processes)
        if code and output is None and (last := _last_line(entry.output)):
            raise JobEnded(f"job {job} ended with exit code {code}; its last line: {last}", job)
        return code

    def settle(self, pending: list[str]) -> bool:
        failed: list[StepFailed] = []
        for job in pending:
            try:
                if code := self.wait(job, None):
                    raise JobEnded(f"job {job} ended with exit code {code}", job)
            except StepFailed as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return True

    def abandon(self, pending: list[str]) -> bool:
        for entry in self._jobs.values():
            _end(entry.processes)
        self._jobs.clear()
        return True


def _rank(rank: int, tasks: int) -> dict[str, str]:
    return {"JOBSPEC_TASK_RANK": str(rank), "JOBSPEC_TASK_COUNT": str(tasks)}


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    """As a shell says it: 128 and the signal's number where a signal ended the process."""
    code = process.returncode
    return code if code >= 0 else 128 - code


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """End processes and their children: first asked, then made."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
        until = time.monotonic() + GRACE
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(until - time.monotonic(), 0.01))


def _last_line(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(output.stat().st_size - 1000, 0))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else ""


offer_steps(Transformer)
# One host: whatever is in the stage is where the tasks are.
Transformer.register_step(steps.EmptyStep, name="stage")
