"""Jobspecs (RFC 25): what Flux lists of one, and one for a demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxburst.demand import Demand


def jobspec(demand: Demand, system: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A jobspec (RFC 25) that asks for this. system: its `attributes.system`, with the duration at least."""
    inner = [{"type": kind, "count": n} for kind, n in (("core", demand.cores), ("gpu", demand.gpus)) if n]
    vertex: dict[str, Any] = {"type": "slot", "count": demand.slots, "with": inner, "label": "task"}
    if demand.nodes:
        vertex = {"type": "node", "count": demand.nodes, "exclusive": demand.exclusive, "with": [vertex]}
    task = {"command": ["run"], "slot": "task", "count": {"per_slot": 1}}
    attributes = {"system": {"duration": 0.0, **(system or {})}}
    return {"resources": [vertex], "tasks": [task], "attributes": attributes, "version": 1}


def described(spec: object) -> dict[str, Any]:
    """What Flux lists of a jobspec beside it: its name, place, time and size, where it says (RFC 14, RFC 25)."""
    system = _member(spec, "attributes", "system")
    tasks = _member(spec, "tasks")
    task = tasks[0] if isinstance(tasks, list) and tasks else None
    command = _member(task, "command")
    named = _member(system, "job", "name")
    if named is None and isinstance(command, list) and command and isinstance(command[0], str):
        named = command[0].rpartition("/")[2] or command[0]
    texts = {"name": named, **{key: _member(system, key) for key in ("cwd", "queue", "project", "bank")}}
    made: dict[str, Any] = {key: value for key, value in texts.items() if isinstance(value, str)}
    duration = _member(system, "duration")
    if isinstance(duration, (int, float)):
        made["duration"] = float(duration)
    return {**made, **_sizes(spec, task, _member(system, "shell", "options", "per-resource"))}


def _sizes(spec: object, task: object, per_resource: object) -> dict[str, int]:
    counts: dict[str, Any] = {}
    exclusive = False
    for vertex in _vertices(_member(spec, "resources")):
        counts[vertex.get("type", "")] = vertex.get("count")
        exclusive = exclusive or (vertex.get("type") == "node" and bool(vertex.get("exclusive")))
    nodes, slots, cores = (counts.get(kind, 0) for kind in ("node", "slot", "core"))
    if not (all(isinstance(count, int) for count in (nodes, slots, cores)) and slots and cores):
        return {}
    slots *= nodes or 1
    made = {"nnodes": nodes} if nodes else {}
    if not (nodes and exclusive):
        made["ncores"] = slots * cores
    total, each = _member(task, "count", "total"), _member(per_resource, "count") or 1
    match _member(per_resource, "type"):
        case "node":
            ntasks = nodes * each
        case "core":
            ntasks = 0 if nodes else slots * cores * each
        case _:
            ntasks = total if isinstance(total, int) else slots
    return {**made, "ntasks": ntasks} if ntasks else made


def _vertices(level: object) -> Iterator[Mapping[str, Any]]:
    while isinstance(level, list):
        below = None
        for vertex in level:
            if isinstance(vertex, Mapping):
                yield vertex
                below = vertex.get("with", below)
        level = below


def _member(value: object, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
