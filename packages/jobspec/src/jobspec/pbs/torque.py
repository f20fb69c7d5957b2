"""What Torque and Moab ask for in the same words: nodes=, procs=, the extensions of -l and -W x=, arrays.

Torque 4 to 6, "Requesting Resources"; Moab Workload Manager, "Resource Manager Extensions".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from resources.units import shown

from jobspec.job import Array, Constraint, Gpus, Job, Memory, Native, Nodes, Where
from jobspec.pbs import common, values
from jobspec.pbs.common import Fields
from jobspec.pbs.draft import Draft, Handler, Item
from jobspec.pbs.read_pro import CRAY
from jobspec.pbs.select import Chunk, Part, nodes

# Policies by which no other job gets onto the nodes.
_ALONE = frozenset({"singlejob", "singletask"})


def _array(draft: Draft, item: Item) -> Fields:
    return draft.set("array", values.request(item.said), item)


def _moab_array(draft: Draft, item: Item) -> Fields:
    """`name.[indexes]%limit`: msub names the array in the same option."""
    name, bracket, rest = item.said.partition("[")
    listed, closed, limit = rest.partition("]")
    if not bracket:
        return _array(draft, item)
    if not closed or (limit and not limit.startswith("%")):
        raise ValueError(f"{shown(item.said)} is no name.[indexes]%limit")
    read = values.request(listed + limit)
    if name.rstrip("."):
        draft.native.append(Native("t", name))
    return draft.set("array", Array(item.said, read.ranges, read.throttle), item)


def _workdir(draft: Draft, item: Item) -> Fields:
    """-d; and -w where there is no -d."""
    if item.key == "w":
        if "d" in draft.last:
            return draft.keep(item)
        draft.native.append(Native("w", item.value))
    if not item.said:
        raise ValueError("the value is empty")
    return draft.set("workdir", item.said, item)


def _exclusive(draft: Draft, item: Item) -> Fields:
    draft.native.append(Native(item.key, item.value))
    return draft.set("exclusive", True, item)


def _policy(draft: Draft, item: Item) -> Fields:
    if item.said.lower() in _ALONE:
        return _exclusive(draft, item)
    return draft.keep(item, "exclusive")


def _extension(draft: Draft, item: Item) -> Fields | None:
    """-W x=NAME:value;NAME:value"""
    at = item.at
    for part in values.unquoted(item.said.replace('\\"', "")).strip("\"'").split(";"):
        name, _, value = part.partition(":")
        one = Item(f"W x {name.upper()}", value, part, item.line, at)
        handler = _EXTENSIONS.get(name.upper(), common.keep)
        fields = handler(draft, one)
        draft.note(one, fields if isinstance(fields, tuple) else ("native",))
        at += len(part) + 1
    return None


def _marked(field: str, resource: str) -> Handler:
    """A field, and which of the ways of saying it was used; the resource of -l goes before."""

    def handler(draft: Draft, item: Item) -> Fields:
        if not item.said:
            raise ValueError("the value is empty")
        if resource in draft.last:
            return draft.keep(item)
        draft.native.append(Native(item.key, item.value))
        return draft.set(field, item.said, item)

    return handler


def _flags(draft: Draft, item: Item) -> Fields:
    name, _, value = item.said.partition(":")
    if name.upper() == "ADVRES" and value and "l advres" not in draft.last:
        draft.native.append(Native(item.key, item.value))
        return draft.set("reservation", value, item)
    return draft.keep(item)


_EXTENSIONS: Mapping[str, Handler] = {
    "NACCESSPOLICY": _policy,
    "QOS": _marked("qos", "l qos"),
    "ADVRES": _marked("reservation", "l advres"),
    "FLAGS": _flags,
}


def _as_it_stands(field: str) -> Handler:
    def handler(draft: Draft, item: Item) -> Fields:
        if not item.said:
            raise ValueError("the value is empty")
        return draft.set(field, item.said, item)

    return handler


def _not_here(draft: Draft, item: Item) -> Fields:
    raise draft.refuse(
        item, f"{item.key[2:]}= is a resource of PBS Pro", "did you mean nodes=N:ppn=P, or --from pbspro?"
    )


_RESOURCES = ("nodes", "procs", "ncpus", "mem", "pmem", "feature")
HANDLERS: Mapping[str, Handler] = {
    **common.HANDLERS,
    **CRAY,
    **{f"l {name}": common.later for name in _RESOURCES},
    **{f"l {name}": _not_here for name in ("select", "place", "mpiprocs", "ompthreads")},
    "t": _array,
    "d": _workdir,
    "w": _workdir,
    "n": _exclusive,
    "L": common.near("tasks", "memory"),
    "b": common.inert("it only concerns how long qsub tries to reach the server"),
    "x": common.inert("it only concerns interactive jobs"),
    "l vmem": common.size("memory"),
    "l qos": _as_it_stands("qos"),
    "l advres": _as_it_stands("reservation"),
    "l naccesspolicy": _policy,
    "l depend": common.HANDLERS["W depend"],
    "W x": _extension,
}
MOAB_HANDLERS: Mapping[str, Handler] = {**HANDLERS, "t": _moab_array}


def jobs(draft: Draft) -> tuple[Job, ...]:
    """The job, or its components. Raises ScriptError for what the server refuses."""
    components = _shape(draft)
    _memory(draft)
    job = draft.job()
    if not components:
        return (job,)
    return tuple(
        replace(job, where={**job.where, **places}, **changes)
        for changes, places in ((one, one.pop("where")) for one in components)
    )


def _memory(draft: Draft) -> None:
    """mem is the job's, pmem a process's; where both are said, the job's counts."""
    whole, each = draft.last.get("l mem"), draft.last.get("l pmem")
    for item, per in ((whole, "job"), (each, "task")):
        if not item:
            continue
        try:
            amount = values.size(item.said)
        except ValueError as error:
            raise draft.refuse(item, f"{item.key[2:]}: {error}") from None
        if per == "task" and whole:
            draft.note(item, draft.keep(item, "memory"))
        else:
            draft.note(item, draft.set("memory", Memory(amount, per), item))  # type: ignore[arg-type]


def _shape(draft: Draft) -> list[dict[str, Any]]:
    last = draft.last
    spec, procs, cpus, feature = (last.get(f"l {name}") for name in ("nodes", "procs", "ncpus", "feature"))
    if spec and cpus:
        raise draft.refuse(cpus, "nodes= and ncpus= can't both be requested", "did you mean nodes=1:ppn=?")
    item = spec or procs or cpus or feature
    components: list[dict[str, Any]] = []
    try:
        if procs:
            item = procs
            count = values.positive(procs.said)
            if spec:
                draft.note(procs, draft.keep(procs, "tasks"))
            else:
                draft.note(procs, draft.set("tasks", count, procs))
        if cpus:
            item = cpus
            count = values.whole(cpus.said)
            if procs or not count:
                draft.note(cpus, draft.keep(cpus, "cpus_per_task"))
            else:
                draft.note(cpus, draft.set("cpus_per_task", count, cpus))
        if spec:
            item = spec
            components = _nodes(spec)
            draft.note(spec, tuple(dict.fromkeys(name for one in components for name in one.pop("fields"))))
        if feature:
            item = feature
            _feature(draft, feature, components)
    except ValueError as error:
        if item is None:
            raise
        raise draft.refuse(item, f"{item.key[2:]}: {error}") from None
    return components


def _feature(draft: Draft, item: Item, components: list[dict[str, Any]]) -> None:
    """-l feature=, beside the properties of the nodes."""
    if not item.said:
        raise ValueError("the value is empty")
    if values.template(item.said):
        draft.warn(item, f"{item.text[:80]}: it is taken as it stands", values.FILL_IN)
    names = tuple(item.said.split(":")) if not set(item.said) & set("|&!<>=") else ()
    plain = Constraint(f"feature={item.said}", names)
    draft.note(item, draft.set("constraint", plain, item))
    for one in components:
        own = one.get("constraint")
        if own:
            both = (*own.all_of, *names) if names else ()
            one["constraint"] = Constraint(f"{own.text} feature={item.said}", both)


def _nodes(item: Item) -> list[dict[str, Any]]:
    chunks, suffixes = nodes(item.said)
    if suffixes:
        raise ValueError(f"#{suffixes[0]} is PBS Pro's")
    found: list[dict[str, Any]] = []
    hosts: list[list[str]] = []
    for chunk in chunks:
        changes = _spec(chunk, item)
        before = found[-1] if found else None
        if before and changes.get("hosts") and _alike(before, changes):
            # host1:ppn=2+host2:ppn=2 is one kind of node, twice.
            count = before["nodes"].least + 1
            before.update(
                nodes=Nodes(count, count),
                tasks=before["tasks"] + changes["tasks"],
            )
            hosts[-1].append(changes["hosts"])
        else:
            found.append(changes)
            hosts.append([changes["hosts"]] if "hosts" in changes else [])
    for changes, names in zip(found, hosts, strict=True):
        if names:
            changes["hosts"] = ",".join(names)
    return found


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    same = ("tasks_per_node", "gpus", "constraint")
    return bool(one.get("hosts")) and all(one.get(name) == other.get(name) for name in same)


def _spec(chunk: Chunk, item: Item) -> dict[str, Any]:
    """One node_spec: `{count|host}[:ppn=P][:gpus=G][:property...]`; ppn counts virtual processors, one by default."""
    changes: dict[str, Any] = {"nodes": Nodes(chunk.count, chunk.count), "tasks": chunk.count}
    names: list[str] = []
    for part in chunk.parts:
        if part.name == "host" and part.value:
            changes["hosts"] = part.value
        elif part.value is None:
            names.append(part.name)
        elif part.name == "ppn":
            changes["tasks_per_node"] = values.positive(part.value)
            changes["tasks"] = chunk.count * changes["tasks_per_node"]
        elif part.name == "gpus":
            count = values.whole(part.value)
            changes["gpus"] = (Gpus(count, "node"),) if count else ()
        else:
            names.append(_unknown(part))
    if names:
        changes["constraint"] = Constraint(":".join(names), tuple(names))
    changes["fields"] = tuple(changes)
    changes["where"] = {name: Where(item.line, item.column) for name in changes["fields"]}
    return changes


def _unknown(part: Part) -> str:
    raise ValueError(f"{shown(part.text)} is no part of a node: ppn=, gpus= or a property")
