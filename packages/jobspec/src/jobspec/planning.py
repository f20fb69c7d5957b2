"""From a jobspec and a transformer to steps that were all checked, before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from jobspec.errors import DocumentError
from jobspec.facts import TAG, Fact
from jobspec.grouping import GroupStep, HereStep, Part
from jobspec.job import Job
from jobspec.shape import fits_in, job_of
from jobspec.spec import Jobspec, StepSpec, Task
from jobspec.steps import StepBase, SubmitStep
from jobspec.transformer import TransformerBase, guarded

_STARTS = ("submit", "batch")


@dataclass(slots=True)
class Unit:
    """A task or a group, and its steps. simple: one step that starts it, so that a scheduler may do the waiting."""

    task: Task
    steps: list[StepBase] = field(default_factory=list)

    @property
    def simple(self) -> bool:
        return len(self.steps) == 1 and not self.task.local


@dataclass(slots=True)
class Plan:
    """A jobspec whose every step was checked for one transformer.

    left: where an interrupted run left its stage; running: the ids of the jobs that it left, nobody waits for them.
    """

    document: Jobspec
    transformer: TransformerBase
    units: list[Unit] = field(default_factory=list)
    jobs: dict[tuple[str, int | None], Job] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left: str = ""
    running: tuple[str, ...] = ()

    @property
    def steps(self) -> list[StepBase]:
        """All steps in order."""
        return [step for unit in self.units for step in unit.steps]

    def job(self, task: Task) -> Job:
        """What a task asks for."""
        return self.jobs[task.place, task.replica]

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def plan(document: Jobspec, transformer: TransformerBase, *, known: Collection[Fact] = ()) -> Plan:
    """Check all that can be checked before anything runs. Raises DocumentError with the place.

    known: facts that hosts have for certain, as an inventory says.
    """
    made = Plan(document, transformer)
    staged: dict[str, bool] = {}
    with guarded(transformer):
        for task in document.tasks:
            _check_job(made, task, None)
            unit = Unit(task)
            made.units.append(unit)
            if task.members is None:
                unit.steps += _steps(made, task, staged)
            else:
                unit.steps += _group(made, task, staged)
        for task in document.tasks:
            _check_facts(made, task, known)
    return made


def _check_job(made: Plan, task: Task, group: Job | None) -> None:
    made.jobs[task.place, task.replica] = job = job_of(task)
    transformer = made.transformer
    if group is not None:
        if not task.local and (why := fits_in(job, group)):
            raise DocumentError(why, task.place)
    elif not task.local:
        if why := transformer.refuse(job):
            raise DocumentError(f"{transformer.name} can't run it: {why}", task.place)
        for note in transformer.notes(job):
            made.note(note)
    for member in task.members or ():
        _check_job(made, member, job)


def _check_facts(made: Plan, task: Task, sure: Collection[Fact]) -> None:
    """Refuse what the transformer knows not to be there; say what it can't check."""
    known: dict[tuple[str, str], Fact] = {(fact.name, fact.value): fact for fact in task.requires}
    for fact in known.values():
        if fact in sure or (fact.name == TAG and made.transformer.constraints and not task.local):
            continue  # in the second case the scheduler looks for hosts that have it
        answer = made.transformer.has(fact)
        if answer is False:
            raise DocumentError(f"{fact} is required, and no host of {made.transformer.name} has it", fact.place)
        if answer is None:
            made.note(f"{fact.place}: {fact} is required, and {made.transformer.name} can't check it")
    for member in task.members or ():
        _check_facts(made, member, sure)


def _make(made: Plan, spec: StepSpec, task: Task, staged: dict[str, bool]) -> StepBase:
    transformer = made.transformer
    kind = transformer.steps.get(spec.name)
    if kind is None:
        known = ", ".join(sorted(transformer.steps)) or "none"
        raise DocumentError(f"{transformer.name} has no step {spec.name[:60]!r}; it has: {known}", f"{spec.place}.step")
    step = kind(spec, task)
    step.check(staged)
    if isinstance(step, SubmitStep) and not step.batch and (why := transformer.refuse_tasks(made.job(task))):
        raise DocumentError(f"{transformer.name} can't start its tasks: {why}", spec.place)
    return step


def _specs(task: Task) -> Iterator[StepSpec]:
    """The steps of a task; what prepares several replicas is done once."""
    return (spec for spec in task.transform if not task.replica or spec.name in _STARTS)


def _steps(made: Plan, task: Task, staged: dict[str, bool]) -> Iterator[StepBase]:
    for spec in _specs(task):
        if task.local and spec.name in _STARTS:
            step: StepBase = HereStep(spec, task)
            step.check(staged)
            yield step
        else:
            yield _make(made, spec, task, staged)


def _group(made: Plan, task: Task, staged: dict[str, bool]) -> Iterator[StepBase]:
    """What prepares the members, then the step that starts the group's script."""
    transformer = made.transformer
    if not transformer.groups:
        raise DocumentError(f"{transformer.name} has no batch jobs that start tasks: it can't run groups", task.place)
    if why := transformer.refuse_tasks(made.job(task)):
        raise DocumentError(f"{transformer.name} can't start its tasks: {why}", task.place)
    parts: list[Part] = []
    yield from _members(made, task, staged, parts)
    yield GroupStep(StepSpec("batch", {}, task.place), task, parts)


def _members(made: Plan, group: Task, staged: dict[str, bool], parts: list[Part]) -> Iterator[StepBase]:
    for task in group.members or ():
        if task.members is not None:
            inner: list[Part] = []
            yield from _members(made, task, staged, inner)
            parts.append(Part(task, None, tuple(inner)))
            continue
        starts = [spec for spec in task.transform if spec.name in _STARTS]
        last = task.transform[-1]
        if len(starts) != 1 or last is not starts[0] or last.name != "submit" or last.options.keys() - {"filename"}:
            text = "in a group the last step, and no other, may be submit, with a filename at most"
            raise DocumentError(text, starts[0].place if starts else task.place)
        for spec in _specs(task):
            if spec is not last:
                yield _make(made, spec, task, staged)
        start = SubmitStep(last, task)
        start.check(staged)
        parts.append(Part(task, start, ()))
