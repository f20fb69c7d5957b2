"""What a transformer is: steps under names, and a handful of hooks that say a job to one scheduler."""

from __future__ import annotations

import subprocess
from typing import ClassVar, TextIO

from jobspec import steps
from jobspec.actions import Action, CommandAction, Launch
from jobspec.auth import AuthStep
from jobspec.environ import clean
from jobspec.errors import StepFailed
from jobspec.facts import Fact
from jobspec.job import Job
from jobspec.profile import DEFAULT, Profile
from jobspec.steps import StepBase

ASKING = 10.0  # seconds that a command may take which only asks whether somebody is there


class TransformerBase:
    """A mapping of steps to one way of running things.

    A scheduler with a command line defines `command`, `follow` and, where its answer is not the bare
    id, `read_id`; whatever runs work otherwise overrides `submit` and `wait`. Nothing here knows an engine.
    """

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    steps: ClassVar[dict[str, type[StepBase]]] = {}
    chains: ClassVar[bool] = False
    """Whether `command` tells the scheduler what the job comes after (`Launch.after`); else the run waits."""
    constraints: ClassVar[bool] = False
    """Whether `command` asks the scheduler for hosts with the job's tags (`Job.constraint`)."""
    groups: ClassVar[bool] = False
    """Whether a batch job can start tasks: then `within` says how."""
    profile: Profile = DEFAULT
    """The site's profile: queue, account, image, parallel environments, types of GPU."""
    spread: bool = False
    """Whether a step copied the stage to other nodes."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.steps = dict(cls.steps)  # each class registers its own

    @classmethod
    def register_step(cls, step: type[StepBase], name: str | None = None) -> None:
        """Offer a step, under its own name or another one."""
        if not (isinstance(step, type) and issubclass(step, StepBase)) or not (name or step.name):
            raise TypeError(f"{step!r} is no StepBase class with a name")
        cls.steps[name or step.name] = step

    def why_not(self) -> str:
        """Why it can't work on this machine now; "" where it can."""
        return ""

    def remarks(self) -> list[str]:
        """What a user should know of how it will work here. Asked once, when it is known that it can."""
        return []

    def refuse(self, job: Job) -> str:
        """Why it can't run this job at all; "" where it can. Asked before anything runs."""
        return ""

    def refuse_tasks(self, job: Job) -> str:
        """Why it can't start the tasks of this job itself (`submit`); "" where it can. Asked before anything runs."""
        return ""

    def notes(self, job: Job) -> list[str]:
        """What of the job it will not say or not enforce."""
        return []

    def has(self, fact: Fact) -> bool | None:
        """Whether a host has this; None where it can't say."""
        return None

    def command(self, launch: Launch) -> CommandAction:
        """The command that submits the work and prints its id."""
        raise NotImplementedError

    def follow(self, job: str, *, watch: bool) -> CommandAction:
        """The command that ends when the job has ended, with its exit code; with `watch` it prints the output."""
        raise NotImplementedError

    def read_id(self, answer: str) -> str:
        """The job's id in what `command` printed."""
        return answer.strip()

    def actions(self, launch: Launch, *, follow: bool) -> list[Action]:
        """The commands of a submission, as `--dry-run` shows them."""
        return [self.command(launch), *(self.waiting("JOBID", watch=launch.watch) if follow else [])]

    def waiting(self, job: str, *, watch: bool = False) -> list[Action]:
        """The commands that wait for a job, as `--dry-run` shows them."""
        return [] if type(self).follow is TransformerBase.follow else [self.follow(job, watch=watch)]

    def within(self, launch: Launch) -> list[CommandAction]:
        """The commands that a group's script runs at the same time for one task; each ends when its part has."""
        raise NotImplementedError

    def nest(self, launch: Launch, script: str) -> str:
        """How a group's script runs that of a group in it: shell text; by default in the same job."""
        return script

    def submit(self, launch: Launch) -> str:
        """Start the work; its id. Raises StepFailed."""
        command = self.command(launch)
        job = self.read_id(call(command))
        if not job:
            raise StepFailed(f"{command.argv[0]} printed no job id")
        return job

    def wait(self, job: str, output: TextIO | None) -> int:
        """Wait until the job has ended; its exit code. Its output goes to `output` meanwhile, where that is given."""
        command = self.follow(job, watch=output is not None)
        with subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=clean(),
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C at the terminal is for us
        ) as process:
            try:
                for line in process.stdout or ():
                    if output is not None:
                        output.write(line)
                        output.flush()
            except BaseException:
                # We were interrupted: the job goes on, and we don't wait for it. Asked politely, the follower
                # may pass the signal to the job and wait for its end, as `flux job attach` does.
                process.kill()
                raise
        return process.returncode

    def settle(self, pending: list[str]) -> bool:
        """The run has no more steps; `pending` are the jobs that it did not wait for.

        True where none of them can still need the stage. May raise StepFailed for one that failed.
        """
        return not pending

    def abandon(self, pending: list[str]) -> bool:
        """A step failed, or the run was interrupted; True where no job can still need the stage."""
        return not pending

    def stages(self) -> str | None:
        """The folder in which temporary stages are made; None is that of temporary files."""
        return None

    def where(self) -> str:
        """Which instance the ids of its jobs belong to; "" where they can't be asked for later."""
        return ""

    def ended(self, where: str, jobs: list[str]) -> bool:
        """Whether all of these jobs, of an earlier run in that instance, have ended for sure."""
        return False

    def clear(self, stage: str) -> None:
        """The stage is about to be removed here, and was spread: remove what was made of it elsewhere."""


def call(command: CommandAction, *, timeout: float | None = None) -> str:
    """Run a command to its end; what it printed. Raises StepFailed with what it said on stderr.

    timeout: seconds after which it is ended, for those that only ask.
    """
    try:
        done = subprocess.run(
            command.argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean() | dict(command.environment),
            cwd=command.cwd or None,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C at the terminal is for us
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StepFailed(f"{' '.join(command.argv[:2])}: no answer within {timeout:g} s") from None
    except (OSError, ValueError) as error:
        raise StepFailed(f"can't start {command.argv[0]}: {error}") from None
    if done.returncode:
        said = " ".join(done.stderr.split())[:300] or f"exit code {done.returncode}"
        raise StepFailed(f"{' '.join(command.argv[:2])}: {said}")
    return done.stdout


def offer_steps(transformer: type[TransformerBase]) -> None:
    """Register the steps that are the same everywhere; how a stage reaches other nodes is each one's own."""
    for step in (
        steps.WriterStep,
        steps.CopyStep,
        steps.SetStep,
        steps.UnsetStep,
        AuthStep,
        steps.SubmitStep,
        steps.BatchStep,
    ):
        transformer.register_step(step)
