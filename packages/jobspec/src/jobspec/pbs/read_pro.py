"""Reading a script as qsub and the server of PBS Pro (OpenPBS) read it.

qsub(1B) and pbs_resources(7B) of PBS Professional 2021. A chunk is read as a node, as the server itself counts them
(`nodect`); where the chunks need not be on different hosts, a warning says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from resources.units import shown

from jobspec.job import Constraint, Gpus, Job, Memory, Native, Nodes, Where
from jobspec.pbs import common, values
from jobspec.pbs.common import Fields
from jobspec.pbs.draft import Draft, Handler, Item, items, read_items
from jobspec.pbs.lexer import scan
from jobspec.pbs.options import PRO, options
from jobspec.pbs.select import Chunk, Part, nodes, place, select
from jobspec.profile import Profile
from jobspec.reading import Directive, Reading

SYSTEM = "pbspro"
_KB = 1024
# Host-level resources that are built in: in chunks only, or job-wide in the old syntax without select.
_OLD = ("ncpus", "mem", "vmem", "arch", "host", "vnode", "ngpus")
_CHUNK_ONLY = ("mpiprocs", "ompthreads", "naccelerators", "accelerator", "accelerator_model", "aoe", "hbmem", "vntype")
_READ_ONLY = ("nodect", "nchunk", "start_time")


def _array(draft: Draft, item: Item) -> Fields:
    return draft.set("array", values.range_(item.said), item)


def _project(draft: Draft, item: Item) -> Fields | str | None:
    """The account, unless -A says one."""
    if "A" in draft.last:
        return draft.keep(item)
    draft.native.append(Native("P", item.value))
    return common.HANDLERS["A"](draft, item)


def _minimum(draft: Draft, item: Item) -> Fields:
    return draft.set("walltime_min_s", values.duration(item.said), item)


def _maximum(draft: Draft, item: Item) -> Fields:
    if "l min_walltime" not in draft.last:
        raise ValueError("min_walltime must be given too")
    return draft.set("walltime_s", values.duration(item.said), item)


def _walltime(draft: Draft, item: Item) -> Fields | str:
    if "l max_walltime" in draft.last:
        return "PBS sets it, between min_walltime and max_walltime"
    return draft.set("walltime_s", values.duration(item.said), item)


def _read_only(draft: Draft, item: Item) -> Fields:
    raise ValueError("it is read-only")


def _chunk_only(draft: Draft, item: Item) -> Fields:
    raise ValueError("it can be requested only inside of a select statement")


def _per_process(draft: Draft, item: Item) -> Fields:
    """pmem: a limit per process. It is the job's memory where nothing else says one."""
    amount = values.size(item.said)
    if "l mem" in draft.last or ":mem=" in (draft.last["l select"].said if "l select" in draft.last else ""):
        return draft.keep(item, "memory")
    return draft.set("memory", Memory(amount, "task"), item)


def _cray(field: str) -> Handler:
    """Cray's mppwidth and the like: processing elements, and how they are spread."""

    def handler(draft: Draft, item: Item) -> Fields:
        count = values.positive(item.said)
        draft.native.append(Native(item.key, item.value))
        if field == "memory":
            return draft.set(field, Memory(values.size(item.said), "task"), item)
        return draft.set(field, count, item)

    return handler


def cray_memory(draft: Draft, item: Item) -> Fields:
    """mppmem, per processing element."""
    draft.native.append(Native(item.key, item.value))
    return draft.set("memory", Memory(values.size(item.said), "task"), item)


CRAY: Mapping[str, Handler] = {
    "l mppwidth": _cray("tasks"),
    "l mppnppn": _cray("tasks_per_node"),
    "l mppdepth": _cray("cpus_per_task"),
    "l mppmem": cray_memory,
}
_HANDLERS: Mapping[str, Handler] = {
    **common.HANDLERS,
    **CRAY,
    **{f"l {name}": common.later for name in ("select", "place", "nodes", *_OLD)},
    **{f"l {name}": _chunk_only for name in _CHUNK_ONLY},
    **{f"l {name}": _read_only for name in _READ_ONLY},
    "f": common.inert("it only concerns how qsub talks to the server"),
    "J": _array,
    "P": _project,
    "l walltime": _walltime,
    "l min_walltime": _minimum,
    "l max_walltime": _maximum,
    "l pmem": _per_process,
    "W block": common.inert("it only concerns how long qsub waits"),
    "W pwd": common.inert("it only concerns how qsub asks for a password"),
}


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script. Raises ScriptError for the first thing that qsub or the server refuses."""
    header = scan(text, ("#PBS",))
    draft = Draft(SYSTEM)
    read_items(draft, list(items(options(header, PRO))), _HANDLERS, common.keep)
    _checks(draft)
    components = _resources(draft)
    job = draft.job()
    jobs = tuple(_with(job, one) for one in components) if components else (job,)
    found = sorted([*draft.directives, *header.ignored], key=lambda one: (one.line, one.column))
    return Reading(SYSTEM, jobs, (), tuple(draft.warnings), tuple(found), header.obeyed)


def _checks(draft: Draft) -> None:
    if "I" in draft.last and "J" in draft.last:
        raise draft.refuse(draft.last["J"], "job arrays cannot be interactive")
    if "X" in draft.last and "I" not in draft.last:
        raise draft.refuse(draft.last["X"], "-X can be used with interactive jobs only")


def _with(job: Job, changes: dict[str, Any]) -> Job:
    extra: list[Native] = changes.pop("native")
    places: dict[str, Where] = changes.pop("where")
    native = tuple(sorted([*job.native, *extra], key=lambda one: (one.option, one.value or "")))
    return replace(job, native=native, where={**job.where, **places}, **changes)


def _resources(draft: Draft) -> list[dict[str, Any]]:
    """What select, place or the old syntax asks for: the changes for each component."""
    last = draft.last
    if "l select" in last:
        for name in ("nodes", "ncpus", "mem", "vmem", "arch", "host", "vnode"):
            if item := last.get(f"l {name}"):
                why = f"{name}= is old syntax, which can't be mixed with select="
                raise draft.refuse(item, why, f"did you mean {name}= inside of the select statement?")
        if item := last.get("l ngpus"):
            draft.note(item, draft.keep(item, "gpus"))
        return _selected(draft, last["l select"])
    if item := last.get("l place"):
        raise draft.refuse(item, "place= may not be used without select=")
    if "l nodes" in last:
        return _node_spec(draft, last["l nodes"])
    for name in _OLD:
        if item := last.get(f"l {name}"):
            _checked(draft, item, _old, name)
    return []


def _checked(draft: Draft, item: Item, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(draft, item, *arguments)
    except ValueError as error:
        raise draft.refuse(item, f"{item.key.split(' ', 1)[1]}: {error}") from None


def _old(draft: Draft, item: Item, name: str) -> None:
    """The resource specification of old: one chunk on one host."""
    if name == "ncpus":
        fields = draft.set("cpus_per_task", max(values.whole(item.said), 1), item)
        if item.said == "0":
            fields = draft.keep(item)
    elif name == "mem":
        fields = draft.set("memory", Memory(rounded(item.said), "job"), item)
    elif name == "ngpus":
        count = values.whole(item.said)
        fields = draft.set("gpus", (Gpus(count, "job"),) if count else (), item)
    elif name == "vmem":
        values.size(item.said)
        fields = draft.keep(item, "memory")
    else:
        fields = draft.keep(item, "hosts" if name != "arch" else "constraint")
    draft.note(item, fields)


def rounded(text: str) -> int:
    """A size; the scheduler rounds all of them up to the nearest kb."""
    return -(-values.size(text) // _KB) * _KB


def _selected(draft: Draft, item: Item) -> list[dict[str, Any]]:
    chunks: list[Chunk] = _checked(draft, item, lambda *_: select(item.said))
    arrangement = sharing = group = ""
    if placed := draft.last.get("l place"):
        arrangement, sharing, group = _checked(draft, placed, lambda *_: place(placed.said))
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
    return [_checked(draft, item, _chunk, chunk, arrangement == "pack", why) for chunk in chunks]


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
    processes = max(processes, 1) * times
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


def _node_spec(draft: Draft, item: Item) -> list[dict[str, Any]]:
    """The node specification of old: "BACKWARD COMPATIBILITY", "Node Specification Conversion"."""
    result: list[dict[str, Any]] = _checked(draft, item, _converted)
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
        for name in ("hosts", "constraint", "tasks_per_node"):
            if changes.get(name):
                fields += (name,)
        for name in fields:
            changes["where"].setdefault(name, Where(item.line, item.column))
        components.append(changes)
    draft.note(item, tuple(dict.fromkeys(fields)))
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
