"""Kubernetes, by kubectl: a Job whose script is in a ConfigMap. A pod sees nothing of the stage."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from jobspec.actions import Action, CommandAction, FileAction, Launch
from jobspec.errors import StepFailed
from jobspec.job import Environment, Job
from jobspec.stage import write_file
from jobspec.systems import writer
from jobspec.transformer._base import call
from jobspec.transformer._scheduler import Ended, Scheduler, name_of, offer_shared_steps, processes
from jobspec.writing import Saying, Script

_UNREAD = "#!/bin/sh\n# (the file that the step copy puts into the stage)\n"


class Transformer(Scheduler):
    name = "kubernetes"
    description = "the Kubernetes cluster that kubectl reaches"
    program, probe = "kubectl", ("kubectl", "version", "--request-timeout=5s")

    def __init__(self) -> None:
        super().__init__()
        self._run = secrets.token_hex(3)  # two runs of one file are two Jobs

    def stages(self) -> str | None:
        return None  # no pod looks into it

    def settle(self, pending: list[str]) -> bool:
        return True

    def abandon(self, pending: list[str]) -> bool:
        return True

    def refuse(self, job: Job) -> str:
        return "a Job's pods do not start tasks on one another" if job.nodes and job.nodes.least > 1 else ""

    def notes(self, job: Job) -> list[str]:
        return [] if self.profile.image else ["the profile names no image: pods run in the default one"]

    def _manifest(self, launch: Launch) -> FileAction:
        name = f"{launch.job.name or 'jobspec'}-{name_of(launch)[4:10]}-{self._run}"
        values = tuple((key, value) for key, value in launch.environment.items() if key != "JOBSPEC_STAGE")
        job = replace(
            launch.job, name=name, workdir=launch.cwd or None, environment=Environment("", all=False, values=values)
        )
        shebang, _, body = _script(launch).partition("\n")
        [file] = writer("kubernetes").write(Saying(job, "kubernetes", self.profile), Script(shebang, body))
        return FileAction(f"{launch.stage}/{name_of(launch)}.yaml", False, file.text)

    def submission(self, launch: Launch, script: str, output: str) -> CommandAction:
        return CommandAction(("kubectl", "create", "--output=name", f"--filename={self._manifest(launch).path}"))

    def file(self, launch: Launch) -> FileAction | None:
        return None

    def actions(self, launch: Launch, *, follow: bool) -> list[Action]:
        return [self._manifest(launch), *super().actions(launch, follow=follow)]

    def submit(self, launch: Launch) -> str:
        file = self._manifest(launch)
        write_file(Path(launch.stage), Path(file.path).name, file.content.encode(), executable=False)
        return super().submit(launch)

    def read_id(self, answer: str) -> str:
        return next((line for line in answer.split() if line.startswith("job.batch/")), "")

    def look(self, job: str) -> CommandAction:
        return CommandAction(("kubectl", "get", job, "--output=json"))

    def read_look(self, job: str, answer: str) -> Ended | None:
        try:
            found: Any = json.loads(answer)
            conditions = found["status"].get("conditions") or []
            true = {one["type"]: one for one in conditions if one.get("status") == "True"}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StepFailed(f"kubectl does not say how {job} is", job) from None
        if "Complete" in true:
            return Ended(0)
        if "Failed" in true:
            return Ended(1, str(true["Failed"].get("message") or true["Failed"].get("reason") or "failed"))
        return None

    def wait(self, job: str, output: TextIO | None) -> int:
        try:
            return super().wait(job, None)
        finally:
            if output is not None:
                output.write(_logs(job))


def _logs(job: str) -> str:
    try:
        return call(CommandAction(("kubectl", "logs", job)))
    except StepFailed as error:
        return f"(no logs: {error})\n"


def _script(launch: Launch) -> str:
    """What the pod runs: the script itself, or one that runs the command."""
    if not launch.script and not launch.argv[0].startswith(f"{launch.stage}/"):
        return processes(launch)
    if launch.script:
        text = launch.script
    else:
        try:
            text = Path(launch.argv[0]).read_text()
        except (OSError, ValueError):
            text = _UNREAD
    return text if text.startswith("#!") else f"#!/bin/sh\n{text}"


offer_shared_steps(Transformer)
