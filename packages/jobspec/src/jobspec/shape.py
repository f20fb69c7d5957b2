"""From the resources of a task of a jobspec file to its neutral job."""

from __future__ import annotations

import math
from collections.abc import Iterator

from resources.errors import InputError
from resources.units import memory

from jobspec.errors import DocumentError
from jobspec.facts import tags_of
from jobspec.job import Constraint, Gpus, Job, Memory, Nodes
from jobspec.spec import Task, Vertex

_TYPES = ("node", "slot", "core", "gpu", "memory")
_Path = tuple[Vertex, ...]


def job_of(task: Task) -> Job:
    """What the task asks for: the slots that its label names, and `count` tasks on them (RFC 14, "Tasks").

    A slot is a vertex of type slot, or any vertex with the label: `count: 4` of it are four slots.
    Without slot or label the outermost vertex is it; in the nested form `schedule: true` marks it. Raises
    DocumentError with the place.
    """
    tags = tags_of(task.requires)
    common = {
        "name": _job_name(task),
        "walltime_s": task.attributes.duration_s,
        "constraint": Constraint("&".join(tags), tags) if tags else None,
    }
    if task.resources is None:
        tasks = _tasks(task, 1)
        return Job(tasks=tasks, **common)  # type: ignore[arg-type]
    for vertex in _all(task.resources):
        if vertex.type not in _TYPES:
            raise DocumentError(f"unknown type {vertex.type!r}; known: {', '.join(_TYPES)}", f"{vertex.place}.type")
    path = _slot(task.resources, task)
    slot = path[-1]
    slots = math.prod(vertex.count for vertex in path)
    tasks = _tasks(task, slots)
    inside = {kind: sum(amount for amount, _ in _amounts(slot, kind)) for kind in _TYPES}
    last_node = max((index for index, vertex in enumerate(path, 1) if vertex.type == "node"), default=0)
    above = math.prod(vertex.count for vertex in path[:last_node]) if last_node else 0
    if above and inside["node"]:
        raise DocumentError("a node holds nodes", slot.place)
    nodes = above or slots * inside["node"]
    if nodes > tasks and not above:
        raise DocumentError(f"{tasks} tasks can't span {nodes} nodes", f"{task.place}.count")
    node = next((vertex for vertex in _all(task.resources) if vertex.type == "node"), None)
    whole_nodes = slot.type == "node" and not inside["core"]
    return Job(
        nodes=Nodes(nodes, nodes) if nodes else None,
        tasks=tasks,
        cpus_per_task=_each(inside["core"], slots, tasks, task, "cores") or 1,
        gpus=_gpus(slot, slots, tasks, task),
        memory=next(
            (Memory(n, "task") for n in [_each(inside["memory"], slots, tasks, task, "bytes of memory")] if n), None
        ),
        exclusive=whole_nodes or slot.exclusive or (node is not None and node.exclusive),
        **common,  # type: ignore[arg-type]
    )


def fits_in(job: Job, group: Job) -> str:
    """Why a job can't run inside the job of its group; "" where it can, as far as the two say it."""
    nodes, of = (job.nodes.least if job.nodes else 1), (group.nodes.least if group.nodes else 1)
    if nodes > of:
        return f"it asks for {nodes} nodes, and its group for {of if group.nodes else 'no number of them'}"
    cores, have = job.tasks * job.cpus_per_task, group.tasks * group.cpus_per_task
    if cores > have and not group.exclusive:
        return f"it asks for {cores} cores, and its group for {have}"
    wanted, own = (sum(gpus.count * one.tasks for gpus in one.gpus) for one in (job, group))
    if wanted > own and not group.exclusive:
        return f"it asks for {wanted} GPUs, and its group for {own}"
    return ""


def _job_name(task: Task) -> str | None:
    if task.replica is None or not task.name:
        return task.name or None
    return f"{task.name}-{task.replica}"


def _gpus(slot: Vertex, slots: int, tasks: int, task: Task) -> tuple[Gpus, ...]:
    counts: dict[str, int] = {}
    for amount, model in _amounts(slot, "gpu"):
        counts[model] = counts.get(model, 0) + amount
    each = [(_each(count, slots, tasks, task, "GPUs"), model) for model, count in counts.items()]
    return tuple(Gpus(count, "task", model) for count, model in each if count)


def _all(vertex: Vertex) -> Iterator[Vertex]:
    yield vertex
    for inner in vertex.within:
        yield from _all(inner)


def _slot(top: Vertex, task: Task) -> _Path:
    paths = list(_paths(top, ()))
    if task.slot:
        fitting = [path for path in paths if path[-1].label == task.slot]
        wanted = f"the label {task.slot!r}"
    else:
        fitting = [path for path in paths if path[-1].slot] or [paths[0]]
        wanted = "type slot, or 'schedule: true'"
    if len(fitting) != 1:
        what = "no vertex has" if not fitting else "more than one vertex has"
        raise DocumentError(f"{what} {wanted}", f"{task.place}.slot")
    return fitting[0]


def _paths(vertex: Vertex, above: _Path) -> Iterator[_Path]:
    path = (*above, vertex)
    yield path
    for inner in vertex.within:
        yield from _paths(inner, path)


def _amounts(slot: Vertex, kind: str) -> Iterator[tuple[int, str]]:
    """How much of a kind each place below one slot holds, and which model; memory in bytes."""
    if slot.type == kind and kind not in {"node", "slot"}:
        yield _amount(slot, 1), slot.model
    for inner in slot.within:
        for path in _paths(inner, ()):
            if path[-1].type == kind:
                above = math.prod(vertex.count for vertex in path[:-1])
                yield _amount(path[-1], path[-1].count) * above, path[-1].model


def _amount(vertex: Vertex, count: int) -> int:
    if vertex.type != "memory":
        return count
    try:
        return memory(f"{count}{vertex.unit}")
    except InputError as error:
        raise DocumentError(error.message, f"{vertex.place}.unit") from None


def _tasks(task: Task, slots: int) -> int:
    if task.counted == "per_slot":
        return task.count * slots
    if task.count % slots:
        raise DocumentError(f"{task.count} tasks can't be shared evenly by {slots} slots", f"{task.place}.count.total")
    return task.count


def _each(amount: int, slots: int, tasks: int, task: Task, what: str) -> int:
    """The share of one task; a remainder would be lost in silence."""
    share, rest = divmod(amount * slots, tasks)
    if rest:
        raise DocumentError(f"the {amount} {what} of a slot can't be shared evenly by its tasks", f"{task.place}.count")
    return share
