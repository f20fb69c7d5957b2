"""The size of a job on one slot of a graph: RFC 14, "Tasks"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from resources.errors import InputError
from resources.units import memory as memory_of

from jobspec.flux.graph import Count, Slots, Vertex
from jobspec.flux.notes import Notes
from jobspec.job import Gpus, Gres, Job, Memory, Nodes

_FIELDS = {"node": "nodes", "slot": "tasks", "core": "cpus_per_task", "gpu": "gpus", "socket": "cpus_per_task"}


def size(
    notes: Notes,
    common: Job,
    found: Slots,
    tasks: Sequence[dict[str, Any]],
    indexes: Sequence[int],
    *,
    per_node: int = 0,
    batch: bool = False,
) -> tuple[Job, list[Job]]:
    """The job of all tasks on a slot, and one for each of them alone.

    A range is held by its least number. per_node: tasks on each node by an option of the shell, 0 without it. A job
    of `flux batch` has a task for each slot.
    """
    nodes, count = found.nodes, found.count
    running = [_tasks(found, task["count"]) for task in tasks]
    total = sum(running)
    if batch:
        total = tasks[0]["count"].get("total", count.least)
    elif per_node and nodes:
        total = per_node * nodes.least
    in_slot = -(-total // count.least)
    cores = max(1, found.inside("core").least // in_slot)
    gpus = found.inside("gpu").least
    kept = _keep(notes, found)
    memory: Memory | None = kept.get("memory")
    if memory and memory.per == "slot" and total == count.least:
        kept["memory"] = Memory(memory.bytes, "task")
    job = replace(
        common,
        nodes=Nodes(nodes.least, nodes.most) if nodes else None,
        tasks=total,
        cpus_per_task=cores,
        gpus=_gpus(gpus, in_slot, count.least),
        exclusive=_exclusive(found),
        **kept,
    )
    for index, task in zip(indexes, tasks, strict=True):
        _tell_tasks(notes, found, index, task, in_slot)
    return job, [replace(job, tasks=number) for number in running]


def _tasks(found: Slots, count: dict[str, Any]) -> int:
    [(key, value)] = count.items()
    if key == "total":
        return int(value)
    if key == "per_slot":
        return int(value) * found.count.least
    inside = found.inside(value["type"]).least or (1 if value["type"] == "slot" else 0)
    return int(value["count"]) * max(inside, 1) * found.count.least


def _gpus(count: int, in_slot: int, slots: int) -> tuple[Gpus, ...]:
    if not count:
        return ()
    return (Gpus(count // in_slot, "task"),) if count % in_slot == 0 else (Gpus(count * slots, "job"),)


def _exclusive(found: Slots) -> bool:
    """Nodes in a slot are the job's alone unless it says otherwise; nodes around slots only where it says so.

    RFC 25 says so by its text on the node, and by its schema on the slot.
    """
    inside = [vertex for vertex, _ in found.slot.each() if vertex.type == "node"]
    around = [vertex for vertex in found.above if vertex.type == "node"]
    if inside:
        return all(vertex.exclusive is not False for vertex in inside) and found.slot.exclusive is not False
    return any(vertex.exclusive for vertex in around) or bool(around and found.slot.exclusive)


def _tell_tasks(notes: Notes, found: Slots, index: int, task: dict[str, Any], in_slot: int) -> None:
    path = f"tasks[{index}]"
    notes.inert(f"{path}.slot", task["slot"], "the name of a slot")
    notes.asks(f"{path}.count", task["count"], "tasks")
    cores = found.inside("core").least
    if in_slot > 1 and cores and cores % in_slot:
        notes.native(f"{path}.count", f"{in_slot} tasks share the {cores} cores of a slot", once=True)
    if "per_resource" in task["count"]:
        kind = task["count"]["per_resource"]["type"]
        if kind != "slot" and not found.inside(kind).least:
            notes.warnings.append((f"{path}.count", f"no {kind} is in the slot: counted by slot"))


def _keep(notes: Notes, found: Slots) -> dict[str, Any]:
    """The fields for what is neither node, slot, core nor GPU; and what can't be held at all, for the report."""
    kept: dict[str, Any] = {}
    gres: list[Gres] = []
    for vertex in found.above:
        _tell_vertex(notes, vertex, "nodes" if vertex.type == "node" else "")
    _tell_vertex(notes, found.slot, "tasks", "nodes" if found.inside("node").least else "tasks")
    around = any(vertex.type == "node" for vertex in found.above)
    todo = [(vertex, vertex.count, False) for vertex in reversed(found.slot.within)]
    while todo:
        vertex, count, in_node = todo.pop()
        field = _FIELDS.get(vertex.type, "")
        if vertex.type == "memory":
            amount = _memory(notes, vertex, count)
            if amount and "memory" not in kept:
                kept["memory"] = Memory(amount, "node" if in_node else "slot")
                field = "memory"
        elif not field and (in_node or around) and not vertex.within and not vertex.unit:
            gres.append(Gres(vertex.type, "", count.least))
            field = "gres"
        _tell_vertex(notes, vertex, *([field] if field else []))
        todo += [
            (inner, _from(count, inner, vertex), in_node or vertex.type == "node") for inner in vertex.within[::-1]
        ]
    if gres:
        kept["gres"] = tuple(gres)
    return kept


def _from(count: Count, inner: Vertex, outer: Vertex) -> Count:
    """How many of an inner vertex there are: on one node below a node, in one slot otherwise."""
    return inner.count if outer.type == "node" else count * inner.count


def _memory(notes: Notes, vertex: Vertex, count: Count) -> int | None:
    try:
        return memory_of(f"{count.least}{vertex.unit}")
    except InputError:
        notes.warnings.append((f"{vertex.path}.unit", f"{vertex.unit[:20]!r} is no unit of memory"))
        return None


def _tell_vertex(notes: Notes, vertex: Vertex, *fields: str) -> None:
    """One line for the count of a vertex, and one for each of its keys that no job has a field for."""
    path = f"{vertex.path}.count"
    if path in notes.told:
        return  # a vertex around several slots
    count = vertex.count
    shown = str(count.least) if count.fixed else f"{count.least} to {count.most or 'any number'}"
    text = f"{shown} x {vertex.type}" + (f" ({vertex.unit})" if vertex.unit else "")
    asked = tuple(dict.fromkeys(field for field in fields if field))
    if not asked:
        notes.native(path, text)
    else:
        notes.asks(path, text, *asked)
        if not count.fixed and not (count.every and "nodes" in asked):
            notes.native(path, f"a range: {shown}" + ("" if count.every else ", not every number of it"), once=True)
    if vertex.id:
        notes.native(f"{vertex.path}.id", vertex.id)
    if vertex.exclusive is not None:
        if vertex.type in {"node", "slot"}:
            notes.asks(f"{vertex.path}.exclusive", vertex.exclusive, "exclusive")
        else:
            notes.native(f"{vertex.path}.exclusive", str(vertex.exclusive).lower())
