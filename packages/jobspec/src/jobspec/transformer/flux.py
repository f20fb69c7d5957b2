"""Flux, by its command line: flux-submit(1), flux-batch(1), flux-job(1), flux-archive(1)."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from jobspec import steps
from jobspec.actions import Action, CommandAction, Launch
from jobspec.errors import DocumentError, StepFailed
from jobspec.job import Job
from jobspec.transformer._base import TransformerBase, call

if TYPE_CHECKING:
    from jobspec.runner import Run


class Transformer(TransformerBase):
    name = "flux"
    description = "the Flux instance that this process can reach"

    def __init__(self) -> None:
        self.spread = False  # whether the stage was copied to other nodes

    def why_not(self) -> str:
        if not shutil.which("flux"):
            return "there is no flux command on the PATH"
        try:
            call(CommandAction(("flux", "getattr", "size")))
        except StepFailed as error:
            return f"no Flux instance is reachable ({error})"
        return ""

    def refuse(self, job: Job) -> str:
        return "exclusive needs a number of nodes" if job.exclusive and not job.nodes else ""

    def notes(self, job: Job) -> list[str]:
        # RFC 25, "Resources": version 1 has nodes, slots, cores and gpus.
        return ["the job asks for memory, which Flux can't be asked for"] if job.memory else []

    def command(self, launch: Launch) -> CommandAction:
        job = launch.job
        argv = ["flux", "batch" if launch.batch else "submit", f"-n{job.tasks}", f"-c{job.cpus_per_task}"]
        if job.nodes:
            argv.append(f"-N{job.nodes.least}")
        argv += [f"-g{gpus.count}" for gpus in job.gpus]
        if job.exclusive:
            argv.append("--exclusive")
        if isinstance(job.walltime_s, int):
            argv.append(f"-t{job.walltime_s}s")
        if job.name:
            argv.append(f"--job-name={job.name}")
        if launch.cwd:
            argv.append(f"--cwd={launch.cwd}")
        if launch.batch and launch.watch:
            argv.append("--output=kvs")  # a batch job's output goes to a file unless it is told otherwise
        return CommandAction((*argv, "--", *launch.argv), environment=launch.environment)

    def follow(self, job: str, *, watch: bool) -> CommandAction:
        return CommandAction(("flux", "job", "attach" if watch else "status", job))

    def clear(self, stage: str) -> None:
        if self.spread:
            call(CommandAction(("flux", "exec", "-r", "all", "-x", _rank(), "rm", "-rf", "--", stage)))


class StageStep(steps.StepBase):
    """Copy a file of the stage to the same place on every other node; nothing to do where `sharedfs` is set."""

    name = "stage"
    options: ClassVar[Mapping[str, str]] = {"filename": steps.TEXT}
    required = ("filename",)

    def check(self, staged: dict[str, bool]) -> None:
        if (name := self.filename()) not in staged:
            raise DocumentError(f"no step before puts {name!r} into the stage", f"{self.spec.place}.filename")

    def _commands(self, run: Run, rank: str, archive: str) -> list[CommandAction]:
        stage = run.path()
        others = ("flux", "exec", "-r", "all", "-x", rank)
        return [
            CommandAction(("flux", "archive", "create", f"--name={archive}", "-C", stage, "--", self.filename())),
            CommandAction((*others, "mkdir", "-p", "-m", "0700", "--", stage)),
            CommandAction((*others, "flux", "archive", "extract", "--overwrite", f"--name={archive}", "-C", stage)),
            CommandAction(("flux", "archive", "remove", f"--name={archive}")),
        ]

    def actions(self, run: Run) -> list[Action]:
        return [] if run.settings["sharedfs"] else [*self._commands(run, "RANK", "ARCHIVE")]

    def run(self, run: Run) -> str:
        if run.settings["sharedfs"] or call(CommandAction(("flux", "getattr", "size"))).strip() == "1":
            return ""
        for command in self._commands(run, _rank(), f"jobspec-{uuid.uuid4().hex}"):
            call(command)
        if isinstance(run.transformer, Transformer):
            run.transformer.spread = True
        return ""


def _rank() -> str:
    return call(CommandAction(("flux", "getattr", "rank"))).strip()


for _step in (
    steps.WriterStep,
    steps.CopyStep,
    steps.SetStep,
    steps.UnsetStep,
    StageStep,
    steps.SubmitStep,
    steps.BatchStep,
):
    Transformer.register_step(_step)
