"""Flux: flux-submit(1), flux-batch(1), flux-job(1), flux-archive(1).

These commands say what is done, and `--dry-run` shows them. Where the Python bindings of this Flux are installed,
submitting, waiting and asking go through them instead (`_flux_bindings`), with the same jobs.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TextIO

from resources.machine import hostname

from jobspec import steps
from jobspec.actions import Action, CommandAction, Launch
from jobspec.errors import DocumentError, StepFailed
from jobspec.job import Job
from jobspec.transformer._base import ASKING, TransformerBase, call, offer_steps

if TYPE_CHECKING:
    from jobspec.runner import Run
    from jobspec.transformer._flux_bindings import Bindings


_PAIR = re.compile(r"\{(?=\{)")


class Transformer(TransformerBase):
    name = "flux"
    description = "the Flux instance that this process can reach"
    chains = constraints = groups = True

    def why_not(self) -> str:
        if not shutil.which("flux"):
            return "there is no flux command on the PATH"
        try:
            call(CommandAction(("flux", "getattr", "size")), timeout=ASKING)
        except StepFailed as error:
            return f"no Flux instance is reachable ({error})"
        return ""

    @cached_property
    def _connected(self) -> tuple[Bindings | None, str]:
        """Flux's bindings; or why they are not used."""
        from jobspec.transformer._flux_bindings import connect

        return connect()

    @property
    def _bindings(self) -> Bindings | None:
        return self._connected[0]

    def remarks(self) -> list[str]:
        why = self._connected[1]
        return [f"its command line is used, since its Python bindings {why}"] if why else []

    def refuse(self, job: Job) -> str:
        return "exclusive needs a number of nodes" if job.exclusive and not job.nodes else ""

    def notes(self, job: Job) -> list[str]:
        # RFC 25, "Resources": version 1 has nodes, slots, cores and gpus.
        notes = ["the job asks for memory, which Flux can't be asked for"] if job.memory else []
        return notes + [f"Flux gives any GPU, not only {gpus.type}" for gpus in job.gpus if gpus.type]

    def command(self, launch: Launch) -> CommandAction:
        options = [*_options(launch), *(f"--dependency=afterok:{job}" for job in launch.after)]
        if launch.cwd:
            options.append(f"--cwd={launch.cwd}")
        if not launch.batch:
            return CommandAction(("flux", "submit", *options, "--", *_words(launch)), environment=launch.environment)
        if launch.watch:
            options.append("--output=kvs")  # a batch job's output goes to a file unless it is told otherwise
        # No "--" here: flux-batch(1) would take that for the script's name, and the script for its argument.
        return CommandAction(("flux", "batch", *options, *_words(launch)), environment=launch.environment)

    def within(self, launch: Launch) -> list[CommandAction]:
        return [CommandAction(("flux", "run", *_options(launch), "--", *_words(launch)))]

    def nest(self, launch: Launch, script: str) -> str:
        # An instance of its own, from stdin; attaching shows its output and ends with its exit code.
        end = "END_OF_GROUP"
        while end in script:
            end += "_"
        submit = shlex.join(("flux", "batch", *_options(launch), "--output=kvs"))
        return f"""id=$({submit} <<'{end}'
{script}{end}
) && exec flux job attach "$id\""""

    def follow(self, job: str, *, watch: bool) -> CommandAction:
        return CommandAction(("flux", "job", "attach" if watch else "status", job))

    def submit(self, launch: Launch) -> str:
        return (self._bindings and self._bindings.submit(launch, _words(launch))) or super().submit(launch)

    def wait(self, job: str, output: TextIO | None) -> int:
        return self._bindings.wait(job, output) if self._bindings else super().wait(job, output)

    def where(self) -> str:
        uri = os.environ.get("FLUX_URI")
        try:
            return f"{hostname()} {uri or self._attribute('local-uri')}"
        except StepFailed:
            return ""

    def _attribute(self, name: str) -> str:
        return self._bindings.attribute(name) if self._bindings else _attribute(name)

    def ended(self, where: str, jobs: list[str]) -> bool:
        if where != self.where():
            # An instance of this host whose socket is gone has ended, and its jobs with it.
            host, _, uri = where.partition(" ")
            return (
                host == hostname() and uri.startswith("local:///") and not Path(uri.removeprefix("local://")).exists()
            )
        if self._bindings:
            return self._bindings.ended(jobs)
        for job in jobs:
            try:
                if call(CommandAction(("flux", "jobs", "-n", "-o", "{state}", job))).strip() != "INACTIVE":
                    return False
            except StepFailed as error:
                if not str(error).endswith("unknown"):  # purged, since it has ended
                    return False
        return True

    def clear(self, stage: str) -> None:
        call(CommandAction(("flux", "exec", "-r", "all", "-x", _attribute("rank"), "rm", "-rf", "--", stage)))


def _options(launch: Launch) -> list[str]:
    job = launch.job
    options = [f"-n{job.tasks}", f"-c{job.cpus_per_task}"]
    if job.nodes:
        options.append(f"-N{job.nodes.least}")
    if gpus := sum(gpus.count for gpus in job.gpus):
        options.append(f"-g{gpus}")
    if job.exclusive:
        options.append("--exclusive")
    if isinstance(job.walltime_s, int):
        options.append(f"-t{job.walltime_s}s")
    if job.name:
        options.append(f"--job-name={job.name}")
    return options + [f"--requires={tag}" for tag in (job.constraint.all_of if job.constraint else ())]


def _words(launch: Launch) -> tuple[str, ...]:
    """The program and its arguments, so that they reach it as they stand.

    The job shell replaces `{{id}}` and the like in them (flux-submit(1), "MUSTACHE TEMPLATES"), and nothing
    escapes that: where braces come in pairs, a shell puts them together again. The name of a batch script is not
    among them.
    """
    if launch.batch or not any("{{" in word for word in launch.argv):
        return launch.argv
    # Words with braces are always in single quotes, and `''` between them ends and opens these.
    return ("/bin/sh", "-c", f"exec {_PAIR.sub(chr(123) + chr(39) * 2, shlex.join(launch.argv))}")


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
        if run.settings["sharedfs"] or _attribute("size") == "1":
            return ""
        for command in self._commands(run, _attribute("rank"), f"jobspec-{uuid.uuid4().hex}"):
            call(command)
        run.transformer.spread = True
        return ""


def _attribute(name: str) -> str:
    return call(CommandAction(("flux", "getattr", name))).strip()


offer_steps(Transformer)
Transformer.register_step(StageStep)
