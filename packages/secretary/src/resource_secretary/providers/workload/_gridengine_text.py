"""Read what Grid Engine's `qconf` prints: one setting a line, a long one going on after a backslash; queue_conf(5),
sge_pe(5), host_conf(5), complex(5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._batch import Queue, seconds, unknown_format, unread_queue, whole

Placement = Literal["one-host", "fill-up", "round-robin", "fixed", "unknown"]

# sge_pe(5), allocation_rule.
_RULES: dict[str, Placement] = {"$pe_slots": "one-host", "$fill_up": "fill-up", "$round_robin": "round-robin"}
_OVERRIDE = re.compile(r"\[([^=\]]+)=([^\]]*)\]")
_NO_LIMIT = ("INFINITY", "NONE", "UNDEFINED")
_LIMITS = (
    *("h_rt", "s_rt", "h_cpu", "s_cpu", "h_vmem", "s_vmem", "h_rss", "h_data", "slots", "pe_list", "qtype"),
    *("hostlist", "user_lists", "xuser_lists", "projects", "calendar", "complex_values"),
)
_PRODUCTS = re.compile(r"^\s*([A-Z][A-Za-z/ ]*?)\s+\(?(\d[\w.]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ParallelEnvironment:
    """A parallel environment, which jobs of several slots name. slots: of all its jobs together. allocation_rule: as
    configured. placement: one-host keeps all slots of a job on one host; fill-up fills a host before the next;
    round-robin takes a slot of each host in turn; fixed takes `per_host` slots of each (None for other rules). queues:
    those that offer it. control_slaves: whether tasks on other hosts are started and accounted by Grid Engine.
    """

    name: str
    slots: int
    allocation_rule: str
    placement: Placement
    per_host: int | None
    queues: tuple[str, ...]
    control_slaves: bool | None = None
    job_is_first_task: bool | None = None


@dataclass(frozen=True, slots=True)
class Complex:
    """An attribute that jobs can ask for with `-l name=value`. consumable: NO, YES (for each slot), JOB or HOST."""

    name: str
    shortcut: str
    type: str
    relation: str
    requestable: str
    consumable: str
    default: str
    urgency: str


def read_queue_names(text: str) -> tuple[tuple[str, ...], str, str]:
    """The queues, the product and its version, of `qconf -sql -help`: a queue a line, then `SGE 8.1.9`, `UGE 8.6.6` or
    `GE 6.2u5`, then `usage:`. Raises OutputError.
    """
    source = "qconf -sql -help"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    usage = next((number for number, line in enumerate(lines) if line.startswith("usage:")), len(lines))
    found = _PRODUCTS.match(lines[usage - 1]) if 0 < usage < len(lines) else None
    if not found:
        raise unknown_format(source, "", "queues, a product with its version, and its usage expected", text)
    queues = tuple(lines[: usage - 1])
    if any(len(name.split()) != 1 for name in queues):
        raise unknown_format(source, "", "names of queues expected", text)
    return queues, found[1].strip(), found[2]


def read_settings(text: str, first: str, source: str) -> list[dict[str, str]]:
    """The records of settings, each beginning with the setting `first`. Raises OutputError."""
    records: list[dict[str, str]] = []
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, _, value = line.strip().partition(" ")
        if key == first:
            records.append({})
        if not records or not re.fullmatch(r"[a-z_][\w]*", key):
            raise unknown_format(source, f"line {number}", f"the setting {first} expected, not {line[:40]!r}", text)
        records[-1][key] = " ".join(value.split())
    if not records:
        raise unknown_format(source, "", f"the setting {first} expected", text)
    return records


def _one(text: str, first: str, source: str) -> dict[str, str]:
    """The record of an answer that tells of one thing. Raises OutputError."""
    record, *more = read_settings(text, first, source)
    if more:
        raise unknown_format(source, "", f"{first} once expected", text)
    return record


def read_queues(settings: str, slots: dict[str, dict[str, int]], source: str) -> list[Queue]:
    """The queues of `qconf -sq`. slots: of each queue, as `read_slots` gives them. Raises OutputError."""
    queues = []
    for record in read_settings(settings, "qname", source):
        name = record["qname"]
        try:
            queues.append(_queue(name, record, slots.get(name)))
        except ValueError as error:
            queues.append(unread_queue(name, OutputError(source, name, str(error))))
    return queues


def _queue(name: str, record: dict[str, str], slots: dict[str, int] | None) -> Queue:
    limits = {key: record[key][:200] for key in _LIMITS if record.get(key, "NONE").upper() not in _NO_LIMIT}
    usable = None
    if slots is not None:
        limits |= {f"slots_{key}": str(slots[key]) for key in ("total", "used", "available") if key in slots}
        usable = slots.get("total", 0) > slots.get("manual_intervention", 0)
    return Queue(
        name=name,
        state="unknown" if usable is None else "up" if usable else "down",
        raw_state=""
        if slots is None
        else f"{slots.get('manual_intervention', 0)} of {slots.get('total', 0)} slots are off",
        enabled=usable,
        default=None,  # a job that names no queue goes to any that takes it
        max_walltime=_longest(record.get("h_rt", "INFINITY"), record.get("s_rt", "INFINITY")),
        limits=limits,
    )


def values_of(text: str) -> list[str]:
    """The values of a setting that some hosts have otherwise: `4,[host=8],[@group=2]` (queue_conf(5), FORMAT)."""
    general = _OVERRIDE.sub("", text).strip(", ")
    return [general, *(match[2].strip() for match in _OVERRIDE.finditer(text))]


def _longest(*settings: str) -> int | None:
    """Seconds that a job may run where it may run longest, by the hard and the soft limit. Raises ValueError."""
    limits = []
    for setting in settings:
        times = [value for value in values_of(setting) if value]
        if not any(value.upper() in _NO_LIMIT for value in times):
            limits.append(max(map(seconds, times)))
    return min(limits) if limits else None


def read_environment(text: str, queues: Sequence[dict[str, str]], source: str) -> ParallelEnvironment:
    """One parallel environment of `qconf -sp`. Raises OutputError."""
    record = _one(text, "pe_name", source)
    name = record.get("pe_name", "")
    rule = record.get("allocation_rule", "")
    try:
        if not name or not rule:
            raise ValueError("pe_name or allocation_rule is missing")
        slots = whole(record.get("slots", ""))
        per_host = whole(rule) if rule.isdecimal() else None
    except ValueError as error:
        raise OutputError(source, name, str(error)) from None
    return ParallelEnvironment(
        name=name,
        slots=slots,
        allocation_rule=rule,
        placement="fixed" if per_host is not None else _RULES.get(rule, "unknown"),
        per_host=per_host,
        queues=tuple(queue["qname"] for queue in queues if name in _words(queue.get("pe_list", ""))),
        control_slaves=_truth(record.get("control_slaves", "")),
        job_is_first_task=_truth(record.get("job_is_first_task", "")),
    )


def _words(setting: str) -> set[str]:
    return {word for value in values_of(setting) for word in re.split(r"[\s,]+", value)}


def _truth(text: str) -> bool | None:
    return {"TRUE": True, "FALSE": False}.get(text.upper())


def read_complexes(text: str, source: str) -> list[Complex]:
    """The lines of `qconf -sc`. Raises OutputError."""
    made = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if len(words) < 8:  # some forks have more columns behind
            raise unknown_format(source, f"line {number}", f"eight columns expected, not {line[:60]!r}", text)
        made.append(Complex(*words[:8]))
    if not made:  # Grid Engine has some of its own, which can't be removed
        raise unknown_format(source, "", "complexes expected", text)
    return made


def read_capacity(text: str, names: Sequence[str], source: str) -> int | None:
    """How many of a consumable a host has, by `complex_values` of `qconf -se`; None where it has none of the names.

    Raises OutputError.
    """
    record = _one(text, "hostname", source)
    for name in names:
        found = re.search(rf"(?:^|,)\s*{re.escape(name)}=(\d{{1,6}})(?![\w.])", record.get("complex_values", ""))
        if found:
            return int(found[1])
    return None
