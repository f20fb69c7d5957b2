"""From the resources of a jobspec file to the neutral job of one of its tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator

from resources.errors import InputError
from resources.units import memory

from jobspec.document import Jobspec, Task, Vertex
from jobspec.errors import DocumentError
from jobspec.job import Gpus, Job, Memory, Nodes

_TYPES = ("node", "slot", "core", "gpu", "memory")
_Path = tuple[Vertex, ...]


def job_of(document: Jobspec, task: Task) -> Job:
    """What the task asks for: the slots that its label names, and `count` tasks on them (RFC 14, "Tasks").

    A slot is a vertex of type slot, or any vertex with the label: `count: 4` of it are four slots.
    Without slot or label the outermost vertex is it. Raises DocumentError with the place.
    """
    common = {"name": task.name or None, "walltime_s": document.duration_s}
    if document.resources is None:
        tasks = _tasks(task, 1)
        return Job(tasks=tasks, **common)  # type: ignore[arg-type]
    for vertex in _all(document.resources):
        if vertex.type not in _TYPES:
            raise DocumentError(f"unknown type {vertex.type!r}; known: {', '.join(_TYPES)}", f"{vertex.place}.type")
    path = _slot(document.resources, task)
    slot = path[-1]
    slots = math.prod(vertex.count for vertex in path)
    tasks = _tasks(task, slots)
    inside = {kind: sum(_amounts(slot, kind)) for kind in _TYPES}
    last_node = max((index for index, vertex in enumerate(path, 1) if vertex.type == "node"), default=0)
    above = math.prod(vertex.count for vertex in path[:last_node]) if last_node else 0
    if above and inside["node"]:
        raise DocumentError("a node holds nodes", slot.place)
    nodes = above or slots * inside["node"]
    if nodes > tasks and not above:
        raise DocumentError(f"{tasks} tasks can't span {nodes} nodes", f"{task.place}.count")
    node = next((vertex for vertex in _all(document.resources) if vertex.type == "node"), None)
    whole_nodes = slot.type == "node" and not inside["core"]
    return Job(
        nodes=Nodes(nodes, nodes) if nodes else None,
        tasks=tasks,
        cpus_per_task=_each(inside["core"], slots, tasks, task, "cores") or 1,
        gpus=tuple(Gpus(n, "task") for n in [_each(inside["gpu"], slots, tasks, task, "GPUs")] if n),
        memory=next(
            (Memory(n, "task") for n in [_each(inside["memory"], slots, tasks, task, "bytes of memory")] if n), None
        ),
        exclusive=whole_nodes or slot.exclusive or (node is not None and node.exclusive),
        **common,  # type: ignore[arg-type]
    )


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
        fitting = [path for path in paths if path[-1].type == "slot"] or [paths[0]]
        wanted = "type slot"
    if len(fitting) != 1:
        what = "no vertex has" if not fitting else "more than one vertex has"
        raise DocumentError(f"{what} {wanted}", f"{task.place}.slot")
    return fitting[0]


def _paths(vertex: Vertex, above: _Path) -> Iterator[_Path]:
    path = (*above, vertex)
    yield path
    for inner in vertex.within:
        yield from _paths(inner, path)


def _amounts(slot: Vertex, kind: str) -> Iterator[int]:
    """How much of a kind each place below one slot holds; memory in bytes."""
    if slot.type == kind and kind not in {"node", "slot"}:
        yield _amount(slot, 1)
    for inner in slot.within:
        for path in _paths(inner, ()):
            if path[-1].type == kind:
                yield _amount(path[-1], path[-1].count) * math.prod(vertex.count for vertex in path[:-1])


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
