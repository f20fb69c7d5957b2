"""Run a jobspec: check everything, then do step after step; the first that fails ends the run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from jobspec.actions import Launch
from jobspec.errors import JobEnded, StepFailed, TransformerUnavailable
from jobspec.leftover import leave_note, remove_leftovers
from jobspec.planning import Plan, Unit, plan
from jobspec.results import FAILED, OK, PLANNED, SKIPPED, Result, StepResult
from jobspec.spec import Task
from jobspec.stage import Stage
from jobspec.steps import SetStep
from jobspec.transformer import TransformerBase, guarded

__all__ = ["FAILED", "OK", "PLANNED", "SKIPPED", "Plan", "Result", "Run", "StepResult", "dry_run", "plan", "run"]
_STAGE = "STAGE"  # how a dry run says the path of a directory that it does not make
_JOB = "JOBID"  # and the id of a job that it does not start


@dataclass(slots=True)
class _Started:
    id: str
    transformer: TransformerBase
    after: list[_Started]
    watch: bool = False
    ended: bool = False

    def succeeded(self) -> None:
        """It has ended, and so has what it came after; what is still to be shown is left to that."""
        self.ended, open_ = True, [self]
        for job in open_:
            for before in job.after:
                if not before.ended and not before.watch:
                    before.ended = True
                    open_.append(before)


class Run:
    """What the steps of one run share: the settings, the stages, and the jobs that were started."""

    def __init__(self, plan: Plan, *, dry: bool = False, output: TextIO | None = None) -> None:
        self.plan = plan
        self.transformer = plan.transformer
        self.dry = dry
        self.output = output or sys.stdout
        self.settings: dict[str, Any] = {"stage": "", "sharedfs": False}
        self.stages: dict[str, Stage] = {}
        self._jobs: dict[str, _Started] = {}  # by id; an id that is used again is of the later job
        self._all: list[_Started] = []
        self._of_task: dict[str, list[_Started]] = {}

    @cached_property
    def here(self) -> TransformerBase:
        """What runs the local tasks."""
        from jobspec.transformer.local import Transformer

        return self.transformer if isinstance(self.transformer, Transformer) else Transformer()

    @property
    def pending(self) -> list[str]:
        """The ids of the jobs that nobody waited for yet."""
        return [job.id for job in self._all if not job.ended and job.transformer is self.transformer]

    @property
    def watched(self) -> list[str]:
        """Of those, the ones whose output is to be shown at the end."""
        return [job.id for job in self._all if not job.ended and job.watch]

    def set(self, key: str, value: str | bool | None) -> None:
        """Change a setting; None puts it back to its default."""
        self.settings[key] = value if value is not None else (False if key == "sharedfs" else "")

    @property
    def stage(self) -> Stage:
        """The stage as it is set now, made when it is first needed."""
        named = self.settings["stage"]
        if named not in self.stages:
            self.stages[named] = Stage(named, self.transformer.stages())
        return self.stages[named]

    def path(self, name: str = "") -> str:
        """The path of a file of the stage, or of the stage itself."""
        base = (self.settings["stage"] or _STAGE) if self.dry else str(self.stage.path)
        return f"{base}/{name}" if name else base

    def launch(self, argv: tuple[str, ...], task: Task, *, batch: bool, watch: bool) -> Launch:
        """Work for the transformer, with the task's resources and attributes."""
        attributes, stage = task.attributes, self.path()
        environment = {**attributes.environment, "JOBSPEC_STAGE": stage}
        after = tuple(job.id for job in self._before(task) if not job.ended) if self.transformer.chains else ()
        return Launch(argv, self.plan.job(task), batch, watch, attributes.cwd, environment, stage, after)

    def started(self, task: Task, job: str, transformer: TransformerBase | None = None) -> None:
        """Remember a job that was started; "" is none."""
        if job:
            entry = _Started(job, transformer or self.transformer, self._before(task), task.attributes.watch)
            self._jobs[job] = entry
            self._all.append(entry)
            self._of_task.setdefault(task.name, []).append(entry)

    def wait(self, job: str, *, watch: bool) -> None:
        """Wait until a job has ended. Raises StepFailed where it did not succeed."""
        entry = self._jobs[job]
        try:
            code = entry.transformer.wait(job, self.output if watch else None)
        except JobEnded:
            entry.ended = True
            raise
        if not code:
            entry.succeeded()
            return
        entry.ended = True
        raise StepFailed(f"job {job} ended with exit code {code}", job)

    def ready(self, unit: Unit) -> None:
        """Wait for what a task depends on, unless the scheduler does it. Raises StepFailed."""
        if not (self.transformer.chains and unit.simple):
            for job in self._before(unit.task):
                if not job.ended:
                    self.wait(job.id, watch=job.watch)

    def _before(self, task: Task) -> list[_Started]:
        return [job for name in task.depends_on for job in self._of_task.get(name, ())]


def dry_run(made: Plan) -> Result:
    """What `run` would do: the files and the commands, nothing done."""
    run_ = Run(made, dry=True)
    results = []
    with guarded(made.transformer):
        for unit in made.units:
            waits = [] if made.transformer.chains and unit.simple else run_._before(unit.task)
            for step in unit.steps:
                actions = [action for job in waits for action in made.transformer.waiting(job.id)]
                waits = []
                actions += step.actions(run_)
                results.append(StepResult(step.spec.name, step.spec.place, PLANNED, actions=tuple(actions)))
                if isinstance(step, SetStep):
                    step.run(run_)
            if unit.task.name and not unit.task.local and not unit.task.replica:
                run_.started(unit.task, f"{_JOB}({unit.task.name})")
    return Result(made.transformer.name, tuple(results), notes=tuple(made.notes))


def run(
    made: Plan, *, keep: bool = False, report: Callable[[StepResult], None] | None = None, output: TextIO | None = None
) -> Result:
    """Do the steps. `report` gets each result at once; `output` gets what watched jobs print.

    Raises TransformerUnavailable before anything is done. A step that fails makes a false Result. Where it is
    interrupted, `made.left` says where the stage was left, and `made.running` for which jobs.
    """
    transformer = made.transformer
    with guarded(transformer):
        if why := transformer.why_not():
            raise TransformerUnavailable(f"{transformer.name} can't be used: {why}")
        for remark in transformer.remarks():
            made.note(remark)
    remove_leftovers(transformer)
    run_ = Run(made, output=output)
    results: list[StepResult] = []
    reason, free = "", False
    try:
        with guarded(transformer):
            reason = _units(run_, results, report) or _follow(run_)
            if not reason:
                try:
                    free = transformer.settle(run_.pending)
                except StepFailed as error:
                    reason = str(error)
    finally:
        if not free:
            free = transformer.abandon(run_.pending)
            made.running = () if free else tuple(run_.pending)
        if run_.here is not transformer:
            run_.here.abandon([])
        made.left = str(_leave(run_, keep=keep, free=free) or "")
    return Result(transformer.name, tuple(results), made.left, reason, tuple(made.notes))


def _units(run_: Run, results: list[StepResult], report: Callable[[StepResult], None] | None) -> str:
    """Do the steps until one fails; why it failed."""
    for unit in run_.plan.units:
        first = True
        for step in unit.steps:
            spec, status = step.spec, SKIPPED if step.skipped else OK
            try:
                if first:
                    run_.ready(unit)
                result = StepResult(spec.name, spec.place, status, step.run(run_))
            except StepFailed as error:
                result = StepResult(spec.name, spec.place, FAILED, error.job, str(error))
            first = False
            results.append(result)
            if report:
                report(result)
            if result.reason:
                return f"{spec.place}: {result.reason}"
    return ""


def _follow(run_: Run) -> str:
    """Show what the watched jobs print, one after the other; why the first of them failed."""
    reason = ""
    for job in run_.watched:
        try:
            run_.wait(job, watch=True)
        except StepFailed as error:
            reason = reason or str(error)
    return reason


def _leave(run_: Run, *, keep: bool, free: bool) -> Path | None:
    """Remove the temporary stage unless it is needed; the stage that is left."""
    left = None
    for stage in run_.stages.values():
        if keep or not free or not stage.temporary:
            left = left or stage.path
            if stage.temporary and not keep:
                with suppress(StepFailed):  # the note is for later runs only
                    leave_note(stage, run_.transformer, run_.pending)
            stage.release()
            continue
        try:
            if run_.transformer.spread:
                run_.transformer.clear(str(stage.path))
        except StepFailed as error:
            run_.plan.note(f"the copies of the stage are left on other nodes: {error}")
        stage.remove()
    return left
