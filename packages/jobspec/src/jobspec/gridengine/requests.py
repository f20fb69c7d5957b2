"""What a job requests with -l: the resources that have a neutral meaning, and the rest as it stands."""

from __future__ import annotations

import re
from typing import Any, Literal, cast

from jobspec.gridengine import values
from jobspec.gridengine.checks import Given
from jobspec.gridengine.options import MEMORY_NAMES, ROLES, SHORTCUTS, TYPES
from jobspec.job import Constraint, Gpus, Memory, Native, Signal
from jobspec.profile import Profile

Notes = list[tuple[int, int, str]]
CANONICAL = {"walltime_s": "h_rt", "memory": "h_vmem", "gpus": "gpu", "gpu type": "gpu_type", "exclusive": "exclusive"}
_UNITS = {"KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_NOT = re.compile(r"!\(?([A-Za-z0-9._-]{1,255}(?:\|[A-Za-z0-9._-]{1,255}){0,1000})\)?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}", re.ASCII)


def role(request: str) -> str:
    """What a request is about, "" where only its site knows."""
    name, _, value = request.partition("=")
    name = SHORTCUTS.get(name, name)
    found = ROLES.get(name, "")
    # Of names that are a site's own, only those that hold a value of the kind.
    if found == "memory" and values.memory(value) is None:
        return ""
    if found == "walltime_s" and (values.seconds(value or "1") or 0) < 0:
        return ""
    if found == "gpus" and _count(value) is None:
        return ""
    if found == "gpu type" and not value:
        return ""
    if found == "exclusive" and value.lower() not in {"", "true", "1"}:
        return ""
    if not found and TYPES.get(name, "boolean") == "boolean" and value.lower() in {"", "true"}:
        return "constraint"
    return found


def _count(value: str) -> int | None:
    """A number of GPUs; a request without a value is for one."""
    if value.lower() in {"", "true"}:
        return 1
    amount = values.number(value)
    return int(amount) if amount is not None and 1 <= amount < 2**31 and amount == int(amount) else None


def requested(found: list[Given], job: dict[str, Any], native: list[Native], profile: Profile, notes: Notes) -> None:
    """Put the requests into the job."""
    hard: dict[str, list[Given]] = {}
    for one in found:
        if one.soft:
            native.append(Native("soft", f"-l {one.value}"))
            one.fields = ("native",)
        else:
            hard.setdefault(role(one.value), []).append(one)
    for one in hard.get("walltime_s", []):
        # Without a value it is TRUE, which qmaster takes for one second.
        amount = values.seconds(_value(one)) if _value(one) else 1
        job["walltime_s"] = "unlimited" if amount == float("inf") else int(cast("float", amount))
        one.fields = ("walltime_s",)
    _signal(hard.get("signal", []), job, native)
    _memory(hard.get("memory", []), job, native, profile, notes)
    _gpus(hard.get("gpus", []), hard.get("gpu type", []), job, native, notes)
    for one in hard.get("exclusive", []):
        job["exclusive"] = True
        _said(one, "exclusive", "exclusive", native)
    _hosts(hard, job, native)
    features = hard.get("constraint", [])
    if features:
        names = tuple(one.value.partition("=")[0] for one in features)
        job["constraint"] = Constraint(",".join(one.value for one in features), names)
        for one in features:
            one.fields = ("constraint",)
    _native(hard.get("", []), native)


def _value(one: Given) -> str:
    return one.value.partition("=")[2]


def _said(one: Given, what: str, field: str, native: list[Native]) -> None:
    """The field holds it; a name that is not the one we write is kept beside it."""
    one.fields = (field,)
    if one.value.partition("=")[0] != CANONICAL[what]:
        native.append(Native("l", one.value))


def _native(found: list[Given], native: list[Native]) -> None:
    for one in found:
        native.append(Native("l", one.value))
        one.fields = ("native",)


def _signal(found: list[Given], job: dict[str, Any], native: list[Native]) -> None:
    """A soft limit of time: SIGUSR1 so long before the hard one (queue_conf(5), s_rt)."""
    for one in found:
        soft, limit = values.seconds(_value(one)), job.get("walltime_s")
        if isinstance(limit, int) and soft is not None and 0 < soft < limit and "signal" not in job:
            job["signal"] = Signal("USR1", limit - int(soft))
            one.fields = ("signal",)
        else:
            _native([one], native)


def _memory(found: list[Given], job: dict[str, Any], native: list[Native], profile: Profile, notes: Notes) -> None:
    """The memory of a slot. Of several the limit counts; complex(5): a consumable is counted by slot."""
    if not found:
        return
    chosen = min(found, key=lambda one: MEMORY_NAMES.index(_full(one)))
    amount = _bytes(chosen, profile)
    per = profile.memory_per.get("gridengine")
    job["memory"] = Memory(amount, cast("Literal['slot', 'node', 'job', 'task']", per or "slot"))
    if not per:
        notes.append((chosen.line, chosen.column, f"ambiguous: {_full(chosen)} read as memory of each slot"))
    for one in found:
        one.fields = ("memory",) if _bytes(one, profile) == amount else ("native",)
    if len(found) > 1 or chosen.value.partition("=")[0] != CANONICAL["memory"]:
        native.extend(Native("l", one.value) for one in found)


def _full(one: Given) -> str:
    name = one.value.partition("=")[0]
    return SHORTCUTS.get(name, name)


def _bytes(one: Given, profile: Profile) -> int:
    text = _value(one)
    amount = cast("int", values.memory(text))
    # sge_types(5) counts bare numbers in bytes; a site's own resource may count in something else.
    unit = profile.memory_units.get("gridengine", "") if text.isdigit() else ""
    return amount * _UNITS.get(unit, 1)


def _gpus(found: list[Given], types: list[Given], job: dict[str, Any], native: list[Native], notes: Notes) -> None:
    if not found:
        return _native(types, native)
    chosen = found[0]
    kind = _value(types[0]) if types else ""
    job["gpus"] = (Gpus(cast("int", _count(_value(chosen))), "job", kind),)
    notes.append((chosen.line, chosen.column, f"ambiguous: {_full(chosen)} read as GPUs of the job"))
    _said(chosen, "gpus", "gpus", native)
    _native(found[1:], native)
    if types:
        _said(types[0], "gpu type", "gpus", native)
        _native(types[1:], native)
    return None


def _hosts(hard: dict[str, list[Given]], job: dict[str, Any], native: list[Native]) -> None:
    for one in hard.get("hosts", []):
        value = _value(one)
        without = _NOT.fullmatch(value)
        if _HOST.fullmatch(value) and "hosts" not in job:
            job["hosts"] = value
            one.fields = ("hosts",)
        elif without:
            job["exclude_hosts"] = without[1].replace("|", ",")
            one.fields = ("exclude_hosts",)
        else:
            _native([one], native)
    for one in hard.get("queue", []):
        if "queue" not in job and _value(one):
            job["queue"] = _value(one)
            one.fields = ("queue",)
        else:
            _native([one], native)
