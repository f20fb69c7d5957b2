"""HyperQueue: its `hq` command, or its Python package where there is no command. Each task is a task of HyperQueue."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from jobspec.actions import CommandAction, Launch
from jobspec.errors import JobEnded, StepFailed
from jobspec.job import Job
from jobspec.stage import PRIVATE
from jobspec.transformer._base import ASKING, call
from jobspec.transformer._scheduler import Ended, gpus_per_task, name_of, offer_shared_steps, task_variables
from jobspec.transformer._written import Written


class Transformer(Written):
    name = system = "hyperqueue"
    description = "the HyperQueue server of HQ_SERVER_DIR or of the home directory"
    program = "hq"

    def __init__(self) -> None:
        super().__init__()
        self._client: Any = None
        self._jobs: dict[str, Any] = {}
        self._files: dict[str, list[Path]] = {}

    def why_not(self) -> str:
        if shutil.which("hq"):
            try:
                call(CommandAction(("hq", "server", "info")), timeout=ASKING)
            except StepFailed as error:
                return f"no HyperQueue server is reachable ({error})"
            return ""
        if find_spec("hyperqueue") is None:
            return "there is no hq command on the PATH, and the package hyperqueue is not installed"
        folder = Path(os.environ.get("HQ_SERVER_DIR") or Path.home() / ".hq-server")
        if not (folder / "hq-current").exists():
            return f"no HyperQueue server has its directory at {folder}"
        try:
            self._connected()
        except StepFailed as error:
            return str(error)
        return ""

    def notes(self, job: Job) -> list[str]:
        unlimited = job.walltime_s and not shutil.which("hq")
        return [*super().notes(job), *(["the duration is not enforced without an hq command"] if unlimited else [])]

    def refuse(self, job: Job) -> str:
        return "a task of HyperQueue is on one node" if job.nodes and job.nodes.least > 1 else super().refuse(job)

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        # Each task is one of HyperQueue's, but a script gets what all of them need.
        array = launch.job.tasks if not launch.batch else 1
        one = replace(launch, job=launch.job if launch.batch else replace(launch.job, tasks=1))
        options = ["--output-mode=quiet", *self.options(one, "")]
        options += [f"--array=0-{array - 1}"] if array > 1 else []
        options += [f"--env={name}={value}" for name, value in launch.environment.items()]
        if output:
            options += [f"--stdout={output}.%{{TASK_ID}}", f"--stderr={output}.%{{TASK_ID}}"]
        return CommandAction(("hq", "submit", *options, "--", *launch.argv))

    def file(self, launch: Launch) -> None:
        return None

    def submit(self, launch: Launch) -> str:
        if launch.batch:
            Path(launch.argv[0]).chmod(PRIVATE)  # it is started as a program
        count = 1 if launch.batch else launch.job.tasks
        files = [Path(f"{launch.stage}/{name_of(launch)}.out.{number}") for number in range(count)]
        job = super().submit(launch) if shutil.which("hq") else self._submit(launch, files)
        if launch.watch:
            self._files[job] = files
        return job

    def look(self, job: str) -> CommandAction:
        return CommandAction(("hq", "job", "info", job, "--output-mode=json"))

    def read_look(self, job: str, answer: str) -> Ended | None:
        try:
            found: Any = json.loads(answer)
            stats = (found[0] if isinstance(found, list) else found)["info"]["task_stats"]
        except (ValueError, KeyError, TypeError, IndexError):
            raise StepFailed(f"hq does not say how job {job} is", job) from None
        if stats.get("running") or stats.get("waiting"):
            return None
        if stats.get("failed"):
            return Ended(1, "a task has failed")
        return Ended(1, "canceled") if stats.get("canceled") else Ended(0)

    def wait(self, job: str, output: TextIO | None) -> int:
        try:
            return self._wait(job) if job in self._jobs else super().wait(job, None)
        finally:
            for file in self._files.get(job, ()) if output is not None else ():
                if output is not None and file.exists():
                    output.write(file.read_text(errors="replace"))

    def _connected(self) -> Any:
        if self._client is None:
            try:
                self._client = import_module("hyperqueue").Client(os.environ.get("HQ_SERVER_DIR"))
            except BaseException as error:
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    raise
                raise StepFailed(f"no HyperQueue server is reachable ({error})".splitlines()[0]) from None
        return self._client

    def _submit(self, launch: Launch, files: list[Path]) -> str:
        make, ask = import_module("hyperqueue").Job, import_module("hyperqueue.ffi.protocol").ResourceRequest
        job, cwd = launch.job, launch.cwd or str(Path.cwd())
        extra: dict[str, Any] = {"gpus/nvidia": gpus_per_task(job)} if job.gpus else {}
        extra |= {"mem": -(-job.memory.bytes // 2**20)} if job.memory else {}
        cpus = job.cpus_per_task * (job.tasks if launch.batch else 1)
        made = make(default_workdir=cwd, name=job.name)
        for number, file in enumerate(files):
            made.program(
                list(launch.argv),
                env={**launch.environment, **task_variables(number, len(files))},
                stdout=str(file) if launch.watch else None,
                stderr=str(file) if launch.watch else None,
                resources=ask(cpus=cpus, resources=dict(extra)),
            )
        submitted = self._connected().submit(made)
        self._jobs[str(submitted.id)] = submitted
        return str(submitted.id)

    def _wait(self, job: str) -> int:
        submitted = self._jobs[job]
        # Not the client's own method, which draws a progress bar.
        if not self._connected().connection.wait_for_jobs((submitted.id,), lambda *_: None):
            return 0
        failed = self._connected().get_failed_tasks(submitted)
        why = next((str(task.error) for task in failed.values()), "a task has failed")
        raise JobEnded(f"job {job} ended: {' '.join(why.split())[:200]}", job)


offer_shared_steps(Transformer)
