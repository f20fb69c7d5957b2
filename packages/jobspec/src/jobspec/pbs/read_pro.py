"""Reading a script as qsub and the server of PBS Pro (OpenPBS) read it: qsub(1B), pbs_resources(7B) of 2021."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobspec.job import Gpus, Job, Memory, Native, Where
from jobspec.pbs import common, values
from jobspec.pbs.chunks import checked, node_spec, rounded, selected
from jobspec.pbs.common import Fields
from jobspec.pbs.draft import Draft, Handler, Item, items, read_items
from jobspec.pbs.lexer import scan
from jobspec.pbs.options import PRO, options
from jobspec.profile import Profile
from jobspec.reading import Reading

SYSTEM = "pbspro"
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
    if "J" in draft.last and "l min_walltime" in draft.last:
        raise draft.refuse(draft.last["l min_walltime"], "min_walltime can't be set on job arrays")
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
        return selected(draft, last["l select"])
    if item := last.get("l place"):
        raise draft.refuse(item, "place= may not be used without select=")
    if "l nodes" in last:
        return node_spec(draft, last["l nodes"])
    for name in _OLD:
        if item := last.get(f"l {name}"):
            checked(draft, item, _old, name)
    return []


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
