"""From the neutral job to a request of `resources`, and what is lost or changed on the way.

A request has one scope for all of its amounts: per task (with `tasks`), or per node. The form that
is exact is taken; where none is, amounts per node, and a note says what is approximate. A CPU of
the job is read as a core.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from resources import Cores, Disk, Gpus, Licenses, Memory, Nodes, Resource, Tasks, WTime
from resources.resource import combine

from jobspec.job import UNLIMITED, Job, Where

_START = Where(1, 1)
# What a request has no word for, and why; where the job's files, mail and name go changes no answer.
_UNSAID = {
    "array": "the request is that of one element of the array",
    "begin": "a request has no start time",
    "burst_buffer": "a request holds no burst buffer",
    "constraint": "a request names no features",
    "deadline": "a request has no deadline",
    "dependency": "a request depends on no job",
    "exclude_hosts": "a request names no hosts",
    "exclusive": "a request can't ask for whole nodes, only for amounts",
    "gres": "a request knows of generic resources only GPUs",
    "hosts": "a request names no hosts, only their number",
    "placement": "a request says nothing about where on the nodes its tasks are",
    "qos": "a request names no quality of service",
    "queue": "a request names no queue",
    "reservation": "a request names no reservation",
    "threads_per_core": "a CPU is read as a core",
    "walltime_min_s": "a request has one walltime",
}
_Noter = Callable[[str, str], None]  # the field that it is about, the text


@dataclass(frozen=True, slots=True)
class Note:
    """What the request does not say, or says differently."""

    text: str
    where: Where


@dataclass(frozen=True, slots=True)
class _Amount:
    """So much of a kind, counted by `per`; `key` is the kind, with a GPU's type behind a colon."""

    key: str
    count: int
    per: Literal["task", "node", "job"]
    field: str


@dataclass(slots=True)
class _Layout:
    """Tasks and nodes; `nodes` is None where it is left to the scheduler."""

    tasks: int
    nodes: int | None

    def per_task(self, amount: _Amount) -> int | None:
        """The same amount as each task has it, None where it can't be said exactly."""
        count, divisor = amount.count, 0
        if amount.per == "task" or (self.tasks == 1 and self.nodes in {None, 1}):
            return count
        if self.nodes is None:
            divisor = self.tasks if amount.per == "job" else 0
        elif self.tasks % self.nodes == 0:
            divisor = self.tasks // self.nodes if amount.per == "node" else self.tasks
        return count // divisor if divisor and count % divisor == 0 else None

    def per_node(self, amount: _Amount) -> int:
        """The amount on each of the nodes, rounded up."""
        nodes = self.nodes or 1
        if amount.per == "node":
            return amount.count
        return -(-self.tasks // nodes) * amount.count if amount.per == "task" else -(-amount.count // nodes)


def request(job: Job) -> tuple[Resource, list[Note]]:
    """The request, and the notes in the order of the file."""
    notes: list[Note] = []

    def note(field: str, text: str) -> None:
        notes.append(Note(text, job.where.get(field, _START)))

    layout = _layout(job, note)
    amounts = _amounts(job, note)
    shares = [layout.per_task(amount) for amount in amounts]
    leaves: list[Resource] = []
    if None in shares:
        _note_per_node(layout, amounts, shares, note)
        shares = [layout.per_node(amount) for amount in amounts]
        leaves += [Nodes(layout.nodes)] if layout.nodes not in {None, 1} else []
    elif layout.tasks > 1 or layout.nodes not in {None, 1}:
        leaves += [Nodes(layout.nodes)] if layout.nodes else []
        leaves.append(Tasks(layout.tasks))
        for amount in amounts:
            if layout.nodes != 1 and amount.per == "job":
                text = f"{_what(amount)} of the whole job: shared out evenly to its {layout.tasks} tasks"
                note(amount.field, text)
    leaves += _leaves(amounts, [share or 0 for share in shares])
    if job.walltime_s == UNLIMITED:
        note("walltime_s", "unlimited time: the request has no walltime")
    elif job.walltime_s is not None:
        leaves.append(WTime(job.walltime_s))
    licenses: dict[str, int] = {}
    for name, count in job.licenses:
        licenses[name] = licenses.get(name, 0) + count
    if licenses:
        leaves.append(Licenses(licenses))
    for field, why in _UNSAID.items():
        if getattr(job, field):
            note(field, why)
    notes.sort(key=lambda entry: (entry.where.line, entry.where.column))
    return combine(leaves), notes


def _layout(job: Job, note: _Noter) -> _Layout:
    nodes = job.nodes.least or None if job.nodes else None
    if job.nodes and job.nodes.most != job.nodes.least:
        upper = job.nodes.most if job.nodes.most is not None else "any number"
        note("nodes", f"from {job.nodes.least} to {upper} nodes: the request takes the least")
    if nodes is None and job.tasks_per_node:
        nodes = -(-job.tasks // job.tasks_per_node)
        if nodes > 1:
            text = f"at most {job.tasks_per_node} tasks on a node, and no number of nodes: read as {nodes} nodes"
            note("tasks_per_node", text)
    return _Layout(job.tasks, nodes)


def _amounts(job: Job, note: _Noter) -> list[_Amount]:
    amounts = [_Amount("cores", job.cpus_per_task, "task", "cpus_per_task")]
    # Several scopes agree with one another by now: the narrowest says it all.
    gpus = next((found for per in ("task", "node", "job") if (found := [g for g in job.gpus if g.per == per])), [])
    amounts += [_Amount(f"gpus:{one.type}", one.count, one.per, "gpus") for one in gpus]
    if job.memory:
        size, per = job.memory.bytes, job.memory.per
        if size == 0:
            note("memory", "all of the node's memory: a request names amounts")
        elif per == "cpu":
            amounts.append(_Amount("memory", size * job.cpus_per_task, "task", "memory"))
        elif per == "gpu":
            total = sum(one.count for one in gpus)
            amounts.append(_Amount("memory", size * total, gpus[0].per if gpus else "task", "memory"))
        else:
            # A slot is what a task is given on systems that count in slots.
            amounts.append(_Amount("memory", size, "task" if per == "slot" else per, "memory"))
    if job.disk_per_node:
        amounts.append(_Amount("disk", job.disk_per_node, "node", "disk_per_node"))
    return amounts


def _note_per_node(layout: _Layout, amounts: list[_Amount], shares: list[int | None], note: _Noter) -> None:
    """Why amounts per node, and what is approximate in them."""
    for amount, share in zip(amounts, shares, strict=True):
        if share is not None:
            continue
        what = _what(amount)
        if layout.nodes is None:
            text = f"{what} per {amount.per} and no number of nodes: read as all {layout.tasks} tasks on one node"
            note(amount.field, text)
        elif amount.per == "job" and layout.nodes > 1:
            text = f"{amount.count} {what} of the whole job: read as {layout.per_node(amount)} on each node"
            note(amount.field, text)
    if layout.nodes and layout.tasks % layout.nodes:
        text = f"{layout.tasks} tasks on {layout.nodes} nodes: each node is asked for what the fullest needs"
        note("tasks", text)


def _what(amount: _Amount) -> str:
    kind = amount.key.partition(":")[0]
    return "GPUs" if kind == "gpus" else kind


def _leaves(amounts: list[_Amount], counts: list[int]) -> list[Resource]:
    leaves: list[Resource] = []
    gpus: dict[str, int] = {}
    for amount, count in zip(amounts, counts, strict=True):
        if amount.key == "cores":
            leaves.append(Cores(count))
        elif amount.key == "memory":
            leaves.append(Memory(f"{count}B"))
        elif amount.key == "disk":
            leaves.append(Disk(f"{count}B"))
        else:
            kind = amount.key.partition(":")[2]
            gpus[kind] = gpus.get(kind, 0) + count
    return leaves + ([Gpus(gpus)] if gpus else [])
