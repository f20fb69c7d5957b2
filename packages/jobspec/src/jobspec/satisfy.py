"""Whether an inventory can take what a file asks for: each task or group by itself, with reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from resources.answer import Answer, Verdict
from resources.documents import Group, Inventory
from resources.fitting import fit
from resources.resource import ZERO, Resource

from jobspec.facts import TAG, Fact, met
from jobspec.job import Job
from jobspec.merge import merged
from jobspec.request import Note
from jobspec.request import request as request_of
from jobspec.shape import fits_in, job_of
from jobspec.spec import Jobspec, Task

# From the best to the worst: a file has the worst verdict of what it asks for.
VERDICTS: tuple[Verdict, ...] = ("READY", "BUSY", "UNKNOWN", "INCOMPATIBLE")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One thing to place: what it is called in the file, what it needs, the facts that each of its hosts must have.

    never: why it can't run wherever it is placed, or "". notes: what a request can't say of it. whole: only hosts
    of which nothing is taken will do. parts: the components of a heterogeneous job, which `need` is large enough for.
    """

    name: str
    need: Resource
    facts: tuple[Fact, ...] = ()
    never: str = ""
    notes: tuple[Note, ...] = ()
    whole: bool = False
    parts: tuple[Wanted, ...] = ()


@dataclass(frozen=True, slots=True)
class Satisfied:
    """The answer for one thing. unknown: the facts that the inventory does not tell of hosts that matter."""

    wanted: Wanted
    answer: Answer
    unknown: tuple[Fact, ...] = ()

    def text(self) -> str:
        name = f" {self.wanted.name}" if self.wanted.name else ""
        return f"{self.answer.verdict}{name}: {self.answer.reason}"

    def as_dict(self) -> dict[str, Any]:
        row: dict[str, Any] = {"name": self.wanted.name or None, "request": str(self.wanted.need)}
        row["requires"] = [str(fact) for fact in self.wanted.facts]
        row |= self.answer.as_dict()
        row["unknown"] = [str(fact) for fact in self.unknown]
        row["notes"] = [note.text for note in self.wanted.notes]
        return row


def wanted_of_document(document: Jobspec) -> Iterator[Wanted]:
    """What a jobspec asks for: its tasks and groups; replicas once. Raises DocumentError."""
    for task in document.tasks:
        if not task.replica and not task.local:
            job = job_of(task)
            made = wanted_of_job(job, task.name or task.place)
            never = _never(task, job) if task.members else ""
            yield replace(made, facts=_distinct(_facts(task)), never=never)


def wanted_of_job(job: Job, name: str = "") -> Wanted:
    """What one job asks for. The features of its constraint are tags that its hosts must have."""
    tags = job.constraint.all_of if job.constraint else ()
    need, notes = request_of(replace(job, constraint=None if tags else job.constraint, exclusive=False))
    facts = tuple(Fact(TAG, tag, "") for tag in tags)
    return Wanted(name, need, facts, notes=tuple(notes), whole=bool(job.exclusive))


def wanted_of_jobs(jobs: tuple[Job, ...]) -> Wanted:
    """What a script asks for: one job, or the components of a heterogeneous one, which start together."""
    job, _ = merged(jobs)
    made = wanted_of_job(job, job.name or "")
    if len(jobs) == 1:
        return made
    parts = tuple(wanted_of_job(one, f"component {number}") for number, one in enumerate(jobs))
    return replace(made, facts=_distinct(fact for part in parts for fact in part.facts), parts=parts)


def _facts(task: Task) -> Iterator[Fact]:
    yield from task.requires
    for member in task.members or ():
        yield from _facts(member)


def _distinct(facts: Iterator[Fact]) -> tuple[Fact, ...]:
    return tuple({(fact.name, fact.value): fact for fact in facts}.values())


def _never(group: Task, job: Job) -> str:
    """Why a member can't run in its group, or ""."""
    for member in group.members or ():
        own = job_of(member)
        if not member.local and (why := fits_in(own, job)):
            return f"{member.name or member.place}: {why}"
        if member.members and (why := _never(member, own)):
            return why
    return ""


def satisfy(wanted: Wanted, inventory: Inventory) -> Satisfied:
    """Whether the inventory can take it now, later, never, or does not say."""
    if wanted.never:
        return Satisfied(wanted, Answer("INCOMPATIBLE", wanted.never))
    if wanted.whole:
        return _satisfy_whole(wanted, inventory)
    if wanted.parts:
        return _satisfy_parts(wanted, inventory)
    if not wanted.facts:
        return Satisfied(wanted, fit(wanted.need, inventory))
    sure: list[Group] = []
    maybe: list[Group] = []
    lacking: dict[str, int] = {}
    unknown: dict[Fact, None] = {}
    for group in inventory.groups:
        found = {fact: met(fact, group.total) for fact in wanted.facts}
        absent = [str(fact) for fact, has in found.items() if has is False]
        for text in absent:
            lacking[text] = lacking.get(text, 0) + len(group.hosts)
        if absent:
            continue
        open_ = [fact for fact, has in found.items() if has is None]
        unknown |= dict.fromkeys(open_)
        (maybe if open_ else sure).append(group)
    answer = _fit(wanted.need, inventory, sure)
    told: tuple[Fact, ...] = ()
    if maybe and not answer:
        better = _fit(wanted.need, inventory, sure + maybe)
        if answer.verdict == "INCOMPATIBLE" != better.verdict:
            told = tuple(unknown)
            facts, count = ", ".join(map(str, told)), sum(len(group.hosts) for group in maybe)
            reason = f"of {count} hosts the inventory does not tell {facts}; else {better.reason}"
            answer = better._replace(verdict="UNKNOWN", reason=reason, placement=())
        elif not sure:
            answer = better
    if not answer and lacking:
        without = ", ".join(f"{count} hosts are without {text}" for text, count in lacking.items())
        answer = answer._replace(reason=f"{answer.reason}; {without}")
    return Satisfied(wanted, answer, told)


def _satisfy_whole(wanted: Wanted, inventory: Inventory) -> Satisfied:
    """Hosts of which something is taken hold nothing for a job that shares them with nobody."""
    groups = [replace(group, free=ZERO) if _in_use(group) else group for group in inventory.groups]
    found = satisfy(replace(wanted, whole=False), replace(inventory, groups=tuple(groups)))
    taken = sum(len(new.hosts) for new, old in zip(groups, inventory.groups, strict=True) if new is not old)
    answer = found.answer
    if taken and answer.verdict == "BUSY":
        answer = answer._replace(reason=f"{answer.reason}; whole hosts are asked for, and {taken} are in use")
    return Satisfied(wanted, answer, found.unknown)


def _in_use(group: Group) -> bool:
    # Memory tells nothing: the system has some of it where nobody else has any.
    free = group.free
    return free is not None and any(free.get(kind) != group.total.get(kind) for kind in ("cores", "threads", "gpus"))


def _satisfy_parts(wanted: Wanted, inventory: Inventory) -> Satisfied:
    """Room for one job that is large enough is room for all components; without it, each of them has its own answer."""
    together = satisfy(replace(wanted, parts=()), inventory)
    if together.answer:
        return replace(together, wanted=wanted)
    found = [satisfy(part, inventory) for part in wanted.parts]
    last = max(found, key=lambda one: VERDICTS.index(one.answer.verdict))
    if not last.answer:
        return Satisfied(wanted, last.answer._replace(reason=f"{last.wanted.name}: {last.answer.reason}"), last.unknown)
    reason = "each component fits now by itself; whether all do at once is not known"
    return Satisfied(wanted, last.answer._replace(verdict="UNKNOWN", reason=reason, placement=()))


def _fit(need: Resource, inventory: Inventory, groups: list[Group]) -> Answer:
    if not groups:
        return Answer("INCOMPATIBLE", "no host has all that is required")
    return fit(need, replace(inventory, groups=tuple(groups)))


def worst(answers: list[Satisfied]) -> Verdict:
    """The verdict of the whole file."""
    return max((one.answer.verdict for one in answers), key=VERDICTS.index, default="READY")
