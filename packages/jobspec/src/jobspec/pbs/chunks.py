"""What chunks mean: `select=`, and the `nodes=` of old, as the server of PBS Pro converts it.

pbs_resources(7B) of PBS Professional 2021. A chunk is read as a node, as the server itself counts them (`nodect`);
where the chunks need not be on different hosts, a warning says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from resources.units import shown

from jobspec.job import Constraint, Gpus, Memory, Native, Nodes, Where
from jobspec.pbs import values
from jobspec.pbs.common import Fields
from jobspec.pbs.draft import Draft, Item
from jobspec.pbs.select import Chunk, Part, nodes, place, select
from jobspec.reading import Directive

_KB = 1024


def checked(draft: Draft, item: Item, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(draft, item, *arguments)
    except ValueError as error:
        raise draft.refuse(item, f"{item.key.split(' ', 1)[1]}: {error}") from None


def rounded(text: str) -> int:
    """A size; the scheduler rounds all of them up to the nearest kb."""
    return -(-values.size(text) // _KB) * _KB


def selected(draft: Draft, item: Item) -> list[dict[str, Any]]:
    chunks: list[Chunk] = checked(draft, item, lambda *_: select(item.said))
    arrangement = sharing = group = ""
    if placed := draft.last.get("l place"):
        arrangement, sharing, group = checked(draft, placed, lambda *_: place(placed.said))
        fields: Fields = ("nodes",)
        draft.set("placement", placed.said, placed)
        if sharing.startswith("excl"):
            draft.set("exclusive", True, placed)
            fields = (*fields, "exclusive") if arrangement else ("exclusive",)
        draft.note(placed, (*fields, "placement") if group else fields)
    why = ""
    if arrangement in {"", "free"} and sum(chunk.count for chunk in chunks) > 1:
        why = "each chunk is taken for a node; without place=scatter chunks may share a host"
        draft.warn(item, why)
    return [checked(draft, item, _chunk, chunk, arrangement == "pack", why) for chunk in chunks]


def _chunk(draft: Draft, item: Item, chunk: Chunk, pack: bool, why: str) -> dict[str, Any]:
    """The fields that one kind of chunk makes."""
    given = {part.name: part for part in chunk.parts}
    times = chunk.count if pack else 1
    count = 1 if pack else chunk.count
    native: list[Native] = []
    here: list[str] = ["nodes"]
    processes, cpus = _processes(draft, item, given, native, here, times)
    changes: dict[str, Any] = {
        "nodes": Nodes(count, count),
        "tasks": processes * count,
        "cpus_per_task": max(1, -(-cpus // processes)),
        "tasks_per_node": processes if "mpiprocs" in given and not pack else None,
    }
    if cpus != processes * changes["cpus_per_task"]:
        native.append(Native("l select", f"ncpus={cpus}"))
        uneven = f"{cpus} CPUs don't divide among {processes} processes: taken as {changes['cpus_per_task']} for each"
        draft.warn(item, uneven)
        why = f"{why}; {uneven}" if why else uneven
    if "ompthreads" in given:
        threads = values.whole(_said(given["ompthreads"]))
        native.append(Native("l select", f"ompthreads={threads}"))
        if threads != changes["cpus_per_task"]:
            _aside(draft, item, given["ompthreads"], ("native",))
    if "ngpus" in given:
        gpus = values.whole(_said(given["ngpus"])) * times
        changes["gpus"] = (Gpus(gpus, "node"),) if gpus else ()
        here.append("gpus")
    if "mem" in given:
        changes["memory"] = Memory(rounded(_said(given["mem"])) * times, "node")
        here.append("memory")
    if "host" in given:
        changes["hosts"] = _said(given["host"])
        here.append("hosts")
    features = _features(draft, item, chunk, native)
    if features:
        changes["constraint"] = features
        here.append("constraint")
    fields = tuple(dict.fromkeys(here))
    at = item.at + chunk.at
    text, column = (f"+{item.said[chunk.at : chunk.end]}", at - 1) if chunk.at else (item.text, item.column)
    draft.note(item, fields, text, column, why)
    asked = [name for name in (*fields, *changes) if name in changes and name != "tasks_per_node"]
    if changes["tasks_per_node"]:
        asked.append("tasks_per_node")
    changes["where"] = {name: Where(item.line, at) for name in asked}
    changes["native"] = native
    return changes


def _processes(
    draft: Draft, item: Item, given: Mapping[str, Part], native: list[Native], here: list[str], times: int
) -> tuple[int, int]:
    """MPI processes and CPUs of a chunk: pbs_resources(7B), mpiprocs: 1 if ncpus > 0, else 0."""
    cpus = values.whole(_said(given["ncpus"])) if "ncpus" in given else None
    processes = values.whole(_said(given["mpiprocs"])) if "mpiprocs" in given else 1 if cpus != 0 else 0
    here += ["tasks", "cpus_per_task"] + (["tasks_per_node"] if "mpiprocs" in given else [])
    if not processes:
        native.append(Native("l select", "mpiprocs=0"))
        if cpus == 0:
            native.append(Native("l select", "ncpus=0"))
    if cpus is None:
        if processes > 1:
            draft.warn(item, f"ncpus is not said: read as one for each of the {processes} processes of a chunk")
        cpus = max(processes, 1)
    processes = processes * times or 1
    return processes, max(cpus * times, 1)


def _said(part: Part) -> str:
    return values.unquoted(part.value or "")


_UNDERSTOOD = frozenset({"ncpus", "mpiprocs", "ompthreads", "ngpus", "mem", "host"})


def _features(draft: Draft, item: Item, chunk: Chunk, native: list[Native]) -> Constraint | None:
    """Strings and Booleans are what the nodes must have; numbers and sizes are the site's own resources."""
    texts, names, plain = [], [], True
    for part in chunk.parts:
        if part.name in _UNDERSTOOD:
            continue
        said = _said(part)
        if part.name in {"vmem", "hbmem"}:
            values.size(said)
        if part.name in {"vnode", "vmem", "hbmem", "vntype"} or said[0].isdecimal():
            native.append(Native("l select", part.text))
            near = {"vnode": ("hosts",), "vmem": ("memory",), "hbmem": ("memory",)}.get(part.name, ())
            _aside(draft, item, part, ("native", *near))
            continue
        texts.append(part.text)
        plain &= said.lower() not in {"false", "f", "n", "no"} and said[0] != "^" and said[0] != "!"
        names.append(part.name if said.lower() in {"true", "t", "y", "yes"} else f"{part.name}={said}")
        if values.template(said):
            draft.warn(item, f"{part.text}: it is taken as it stands", values.FILL_IN)
    return Constraint(":".join(texts), tuple(names) if plain else ()) if texts else None


def _aside(draft: Draft, item: Item, part: Part, fields: Fields) -> None:
    """An entry of its own for a part of the chunk that is not said with the rest."""
    draft.note(item, fields, part.text, item.at + part.at)


def node_spec(draft: Draft, item: Item) -> list[dict[str, Any]]:
    """The node specification of old: "BACKWARD COMPATIBILITY", "Node Specification Conversion"."""
    result: list[dict[str, Any]] = checked(draft, item, _converted)
    return result


def _converted(draft: Draft, item: Item) -> list[dict[str, Any]]:
    chunks, suffixes = nodes(item.said)
    sharing = [one for one in suffixes if one in {"excl", "shared"}]
    properties = [one for one in suffixes if one not in {"excl", "shared"}]
    total = sum(chunk.count for chunk in chunks)
    cpus, memory = draft.last.get("l ncpus"), draft.last.get("l mem")
    fields: Fields = ("nodes", "tasks", "cpus_per_task")
    draft.set("placement", f"scatter:{sharing[0]}" if sharing else "scatter", item)
    if "excl" in sharing:
        fields += draft.set("exclusive", True, item)
    each = values.whole(cpus.said) if cpus else None
    if cpus:
        if values.whole(cpus.said) % total:
            raise draft.refuse(cpus, f"ncpus={cpus.said} is not evenly divisible by {total} chunks")
        each = values.whole(cpus.said) // total
        draft.note(cpus, ("cpus_per_task",))
    if memory:
        draft.note(memory, ("memory",))
    vmem, gpus = draft.last.get("l vmem"), draft.last.get("l ngpus")
    for name in ("arch", "host", "vnode"):
        if other := draft.last.get(f"l {name}"):
            raise draft.refuse(other, f"{name}= can't be requested together with nodes=")
    components = []
    asked: dict[str, None] = dict.fromkeys(fields)
    for chunk in chunks:
        changes = _old_chunk(chunk, each, properties)
        if memory:
            changes["memory"] = Memory(-(-rounded(memory.said) // (total * _KB)) * _KB, "node")
            changes["where"]["memory"] = Where(memory.line, memory.column)
        if vmem:
            share = -(-rounded(vmem.said) // (total * _KB))
            changes["native"].append(Native("l select", f"vmem={share}kb"))
        if gpus and values.whole(gpus.said):
            changes["gpus"] = (Gpus(-(-values.whole(gpus.said) // total), "node"),)
            changes["where"]["gpus"] = Where(gpus.line, gpus.column)
        more = {name: None for name in ("hosts", "constraint", "tasks_per_node") if changes.get(name)}
        asked |= more
        for name in (*fields, *more):
            changes["where"].setdefault(name, Where(item.line, item.column))
        components.append(changes)
    draft.note(item, tuple(asked))
    if vmem:
        # In a chunk from now on, and named there.
        draft.directives.append(Directive(vmem.line, vmem.column, vmem.text, "l select", ("native", "memory")))
    if gpus:
        draft.note(gpus, ("gpus",))
    return components


def _old_chunk(chunk: Chunk, each: int | None, properties: list[str]) -> dict[str, Any]:
    processes: int | None = None
    cpus: int | None = None
    changes: dict[str, Any] = {"nodes": Nodes(chunk.count, chunk.count), "native": [], "where": {}}
    names = []
    for part in chunk.parts:
        if part.name == "host" and part.value:
            changes["hosts"] = part.value
        elif part.value is None:
            names.append(part.name)
        elif part.name == "ppn":
            processes = values.positive(part.value)
        elif part.name in {"ncpus", "cpp"}:
            cpus = values.positive(part.value)
        else:
            raise ValueError(f"{shown(part.text)} is no part of a node specification: ppn, ncpus, cpp or a property")
    tasks = processes or 1
    cpus = cpus or each or tasks
    changes["tasks"] = tasks * chunk.count
    changes["tasks_per_node"] = processes
    changes["cpus_per_task"] = max(1, -(-cpus // tasks))
    if cpus % tasks:
        changes["native"].append(Native("l select", f"ncpus={cpus}"))
    names += properties
    if names:
        changes["constraint"] = Constraint(":".join(f"{name}=true" for name in names), tuple(names))
    return changes
