"""What the transformers of batch systems share: a script, a submission, and looking until the job has ended.

A system says in a few hooks how its commands are called, and reads what they answer.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import shlex
import shutil
import time
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TextIO

from jobspec import steps
from jobspec.actions import Action, CommandAction, FileAction, Launch
from jobspec.environ import KEPT
from jobspec.errors import JobEnded, StepFailed
from jobspec.job import Job
from jobspec.stage import PRIVATE, write_file
from jobspec.transformer._base import ASKING, TransformerBase, call, offer_steps

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0  # seconds between two looks at a job
PATIENCE = 120.0  # seconds without an answer: a scheduler that restarts is back by then


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job has ended: its exit code, and a word for it where there was none (cancelled, out of time)."""

    code: int
    why: str = ""


class Scheduler(TransformerBase):
    """A batch system with a command line.

    program: the command that must be on the PATH. probe: one that answers where the system can be reached.
    launcher: whether `launch_line` starts the tasks on all nodes; else they are processes of one host. gone: what
    `look` says, on stderr, of a job that the system has forgotten.
    """

    program: ClassVar[str] = ""
    probe: ClassVar[tuple[str, ...]] = ()
    launcher: ClassVar[bool] = False
    gone: ClassVar[tuple[str, ...]] = ()
    groups = True

    def __init__(self) -> None:
        self._outputs: dict[str, Path] = {}

    @abstractmethod
    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        """The command that submits a script; what it prints goes to the file `output` unless that is ""."""

    @abstractmethod
    def look(self, job: str) -> CommandAction:
        """The command that says how a job is."""

    @abstractmethod
    def read_look(self, job: str, answer: str) -> Ended | None:
        """What the answer says: how the job has ended, or None while it lives. Raises StepFailed."""

    def forgotten(self, job: str) -> Ended:
        """How a job has ended that `look` does not find any more. Raises JobEnded where nobody knows."""
        raise JobEnded(f"job {job} has ended, and {self.name} does not know any more how", job)

    def why_not(self) -> str:
        if not shutil.which(self.program):
            return f"there is no {self.program} command on the PATH"
        if self.probe:
            try:
                call(CommandAction(self.probe), timeout=ASKING)
            except StepFailed as error:
                return f"{self.name} can't be reached ({error})"
        return ""

    def stages(self) -> str | None:
        # Jobs start where they were submitted, so that is on a file system that the nodes share; /tmp seldom is.
        try:
            return str(Path.cwd())
        except OSError:  # it has been removed
            return None

    def refuse_tasks(self, job: Job) -> str:
        if not self.launcher and job.nodes and job.nodes.least > 1:
            return "tasks on several nodes need a launcher of one's own: use a batch script"
        return ""

    def launch_line(self, launch: Launch) -> tuple[str, ...]:
        """The command that starts the tasks of a job on its nodes, inside of it."""
        return launch.argv

    def within(self, launch: Launch) -> list[CommandAction]:
        if self.launcher:
            return [CommandAction(self.launch_line(launch))]
        tasks = launch.job.tasks
        return [CommandAction(launch.argv, environment=task_variables(rank, tasks)) for rank in range(tasks)]

    def file(self, launch: Launch) -> FileAction | None:
        """The script that starts the tasks; None where there is one."""
        if launch.batch:
            return None
        content = f"#!/bin/sh\nexec {shlex.join(self.launch_line(launch))}\n" if self.launcher else processes(launch)
        return FileAction(f"{launch.stage}/{name_of(launch)}.sh", True, content)

    def command(self, launch: Launch) -> CommandAction:
        file = self.file(launch)
        output = f"{launch.stage}/{name_of(launch)}.out" if launch.watch else ""
        return self.submission(launch, file.path if file else launch.argv[0], output)

    def follow(self, job: str, *, watch: bool) -> CommandAction:
        return self.look(job)

    def actions(self, launch: Launch, *, follow: bool) -> list[Action]:
        file = self.file(launch)
        return [*([file] if file else []), *super().actions(launch, follow=follow)]

    def submit(self, launch: Launch) -> str:
        if launch.batch:
            Path(launch.argv[0]).chmod(PRIVATE)
        if file := self.file(launch):
            write_file(Path(launch.stage), Path(file.path).name, file.content.encode(), executable=True)
        job = super().submit(launch)
        if launch.watch:
            self._outputs[job] = Path(f"{launch.stage}/{name_of(launch)}.out")
        return job

    def wait(self, job: str, output: TextIO | None) -> int:
        tail = _Tail(self._outputs.get(job), output)
        pause, silent = FIRST_PAUSE, 0.0  # silent: since when it does not answer
        while True:
            try:
                ended = self._looked(job)
                silent = 0.0
            except JobEnded:
                raise
            except StepFailed as error:
                now = time.monotonic()
                silent = silent or now
                if now - silent >= PATIENCE:
                    raise StepFailed(f"job {job} is not waited for any more, and may go on: {error}", job) from None
                ended = None
            if ended is not None:
                break
            tail.copy()
            time.sleep(pause)
            pause = min(pause * 1.3, LONGEST_PAUSE)
        tail.copy(last=True)
        if ended.why:
            raise JobEnded(f"job {job} ended: {ended.why}", job)
        return ended.code

    def _looked(self, job: str) -> Ended | None:
        try:
            answer = call(self.look(job))
        except StepFailed as error:
            if any(text in str(error) for text in self.gone):
                return self.forgotten(job)
            raise
        return self.read_look(job, answer)

    def where(self) -> str:
        return " ".join([self.name, *(f"{name}={os.environ[name]}" for name in sorted(KEPT & os.environ.keys()))])

    def ended(self, where: str, jobs: list[str]) -> bool:
        return where == self.where() and all(self._is_over(job) for job in jobs)

    def _is_over(self, job: str) -> bool:
        try:
            return self.read_look(job, call(self.look(job), timeout=ASKING)) is not None
        except StepFailed as error:
            return any(text in str(error) for text in self.gone)


class _Tail:
    """What a job has written so far, copied as it comes."""

    def __init__(self, path: Path | None, output: TextIO | None) -> None:
        self.path, self.output = (path if output is not None else None), output
        self.at = 0
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def copy(self, *, last: bool = False) -> None:
        if self.path is None or self.output is None:
            return
        try:
            with self.path.open("rb") as file:
                file.seek(self.at)
                data = file.read()
        except FileNotFoundError:
            data = b""  # not started yet, or nothing was printed
        self.at += len(data)
        if text := self.decoder.decode(data, final=last):
            self.output.write(text)
            self.output.flush()


def task_variables(rank: int, tasks: int) -> dict[str, str]:
    """What tells a task which of them it is, where no launcher does."""
    return {"JOBSPEC_TASK_RANK": str(rank), "JOBSPEC_TASK_COUNT": str(tasks)}


def name_of(launch: Launch) -> str:
    """The same name for the same work, so that a dry run shows what a run does."""
    words = "\0".join((*launch.argv, repr(launch.job), *map("=".join, sorted(launch.environment.items()))))
    return f"job-{hashlib.sha256(words.encode(errors='surrogatepass')).hexdigest()[:12]}"


def processes(launch: Launch) -> str:
    """A script that runs the tasks at once on the host where it is, and ends with the first bad exit code."""
    command, tasks = shlex.join(launch.argv), launch.job.tasks
    if tasks == 1:
        return f"#!/bin/sh\nexec {command}\n"
    return f"""#!/bin/sh
JOBSPEC_TASK_COUNT={tasks}; export JOBSPEC_TASK_COUNT
all= code=0 rank=0
while [ "$rank" -lt {tasks} ]; do
  JOBSPEC_TASK_RANK=$rank {command} </dev/null &
  all="$all $!" rank=$((rank + 1))
done
for one in $all; do wait "$one" || code=$?; done
exit "$code"
"""


def gpus_per_task(job: Job) -> int:
    """GPUs of each task, whatever their type."""
    return sum(gpus.count for gpus in job.gpus)


def offer_shared_steps(transformer: type[TransformerBase]) -> None:
    """Register the shared steps; a stage lies on a file system that all nodes see, so there is nothing to copy."""
    offer_steps(transformer)
    transformer.register_step(SharedStage)


class SharedStage(steps.EmptyStep):
    """`stage` where the file system is shared."""

    name = "stage"
