"""Run a jobspec: check everything, then do step after step; the first that fails ends the run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from jobspec.actions import Action, Launch
from jobspec.document import Jobspec, Task
from jobspec.errors import DocumentError, StepFailed, TransformerUnavailable
from jobspec.job import Job
from jobspec.shape import job_of
from jobspec.stage import Stage
from jobspec.steps import SetStep, StepBase
from jobspec.transformer import TransformerBase

OK, SKIPPED, FAILED, PLANNED = "ok", "skipped", "failed", "planned"
_STAGE = "STAGE"  # how a dry run says the path of a directory that it does not make


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of a step: `status` is ok, skipped, failed, or planned in a dry run; `job` the id that it started."""

    step: str
    place: str
    status: str
    job: str = ""
    reason: str = ""
    actions: tuple[Action, ...] = ()

    def text(self) -> str:
        words = ["=> step", self.step, self.job, "" if self.status == PLANNED else self.status.upper()]
        lines = [" ".join(word for word in words if word)]
        return "\n".join(lines + [f"   {action.text()}" for action in self.actions])

    def as_dict(self) -> dict[str, Any]:
        row = {"step": self.step, "place": self.place, "status": self.status, "job": self.job or None}
        row["reason"] = self.reason or None
        return row | ({"actions": [action.as_dict() for action in self.actions]} if self.status == PLANNED else {})


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run. `stage` is where the stage was left, "" where it is gone; `reason` says why the run failed."""

    transformer: str
    steps: tuple[StepResult, ...]
    stage: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.reason

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": bool(self),
            "transformer": self.transformer,
            "steps": [step.as_dict() for step in self.steps],
            "stage": self.stage or None,
            "reason": self.reason or None,
            "notes": list(self.notes),
        }


@dataclass(slots=True)
class Plan:
    """A jobspec whose every step was checked for one transformer."""

    document: Jobspec
    transformer: TransformerBase
    steps: list[StepBase] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Run:
    """What the steps of one run share: the settings, the stages, and the jobs that nobody waited for."""

    def __init__(self, plan: Plan, *, dry: bool = False, output: TextIO | None = None) -> None:
        self.plan = plan
        self.transformer = plan.transformer
        self.dry = dry
        self.output = output or sys.stdout
        self.settings: dict[str, Any] = {"stage": "", "sharedfs": False}
        self.pending: list[str] = []
        self.stages: dict[str, Stage] = {}

    def set(self, key: str, value: str | bool | None) -> None:
        """Change a setting; None puts it back to its default."""
        self.settings[key] = value if value is not None else (False if key == "sharedfs" else "")

    @property
    def stage(self) -> Stage:
        """The stage as it is set now, made when it is first needed."""
        named = self.settings["stage"]
        if named not in self.stages:
            self.stages[named] = Stage(named)
        return self.stages[named]

    def path(self, name: str = "") -> str:
        """The path of a file of the stage, or of the stage itself."""
        base = (self.settings["stage"] or _STAGE) if self.dry else str(self.stage.path)
        return f"{base}/{name}" if name else base

    def launch(self, argv: tuple[str, ...], task: Task, *, batch: bool, watch: bool) -> Launch:
        """Work for the transformer, with the task's resources and the file's attributes."""
        document, stage = self.plan.document, self.path()
        environment = {**document.environment, "JOBSPEC_STAGE": stage}
        return Launch(argv, self.plan.jobs[task.place], batch, watch, document.cwd, environment, stage)


def plan(document: Jobspec, transformer: TransformerBase) -> Plan:
    """Check all that can be checked before anything runs. Raises DocumentError with the place."""
    made = Plan(document, transformer)
    staged: dict[str, bool] = {}
    for task in document.tasks:
        made.jobs[task.place] = job = job_of(document, task)
        if why := transformer.refuse(job):
            raise DocumentError(f"{transformer.name} can't run it: {why}", task.place)
        made.notes += [note for note in transformer.notes(job) if note not in made.notes]
        for spec in task.transform:
            kind = transformer.steps.get(spec.name)
            if kind is None:
                known = ", ".join(sorted(transformer.steps)) or "none"
                raise DocumentError(
                    f"{transformer.name} has no step {spec.name[:60]!r}; it has: {known}", f"{spec.place}.step"
                )
            step = kind(spec, task)
            step.check(staged)
            made.steps.append(step)
    return made


def dry_run(made: Plan) -> Result:
    """What `run` would do: the files and the commands, nothing done."""
    run_ = Run(made, dry=True)
    results = []
    for step in made.steps:
        actions = tuple(step.actions(run_))
        results.append(StepResult(step.spec.name, step.spec.place, PLANNED, actions=actions))
        if isinstance(step, SetStep):
            step.run(run_)
    return Result(made.transformer.name, tuple(results), notes=tuple(made.notes))


def run(
    made: Plan, *, keep: bool = False, report: Callable[[StepResult], None] | None = None, output: TextIO | None = None
) -> Result:
    """Do the steps. `report` gets each result at once; `output` gets what watched jobs print.

    Raises TransformerUnavailable before anything is done. A step that fails makes a false Result.
    """
    if why := made.transformer.why_not():
        raise TransformerUnavailable(f"{made.transformer.name} can't be used: {why}")
    run_ = Run(made, output=output)
    results: list[StepResult] = []
    reason, free = "", False
    try:
        reason = _steps(run_, results, report)
        if not reason:
            try:
                free = made.transformer.settle(run_.pending)
            except StepFailed as error:
                reason = str(error)
    finally:
        if not free:
            free = made.transformer.abandon(run_.pending)
        left = _leave(run_, keep=keep or not free)
    return Result(made.transformer.name, tuple(results), str(left or ""), reason, tuple(made.notes))


def _steps(run_: Run, results: list[StepResult], report: Callable[[StepResult], None] | None) -> str:
    """Do the steps until one fails; why it failed."""
    for step in run_.plan.steps:
        spec = step.spec
        try:
            result = StepResult(spec.name, spec.place, SKIPPED if step.skipped else OK, step.run(run_))
        except StepFailed as error:
            result = StepResult(spec.name, spec.place, FAILED, error.job, str(error))
        results.append(result)
        if report:
            report(result)
        if result.reason:
            return f"{spec.place}: {result.reason}"
    return ""


def _leave(run_: Run, *, keep: bool) -> Path | None:
    """Remove the temporary stage unless it is needed; the stage that is left."""
    left = None
    for stage in run_.stages.values():
        if keep or not stage.temporary:
            left = left or stage.path
            continue
        try:
            run_.transformer.clear(str(stage.path))
        except StepFailed as error:
            run_.plan.notes.append(f"the copies of the stage are left on other nodes: {error}")
        stage.remove()
    return left
