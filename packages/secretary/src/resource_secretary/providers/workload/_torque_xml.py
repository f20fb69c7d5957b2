"""Read the XML of Torque's `pbsnodes -x` and `qstat -x`: a record's elements are its attributes, some of them lists of
`key=value` (pbsnodes(8), "status"). A record that is no XML loses only itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._batch import Node, elements, reason_of, size, unread_node, whole
from resource_secretary.providers.workload._pbs_json import Record
from resource_secretary.providers.workload._pbs_types import node_state

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SLOT = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?(?:/\S+)?")
_STATUS = re.compile(r"(?:^|,)\s*([a-z_]+)=")
_GPU = re.compile(r"gpu\[\d+\]=")
_NAME = {"Job": "Job_Id", "Node": "name"}


def read_records(text: str, tag: str, source: str) -> list[Record]:
    """The jobs (`Job`) or nodes (`Node`); none where Torque prints nothing. Raises OutputError."""
    if not text.strip():
        return []
    records: dict[str, Record] = {}
    for number, (raw, element) in enumerate(elements(text, source, tag), 1):
        found = re.search(rf"<{_NAME[tag]}>([^<]*)<", raw)
        name = found[1].strip() if found else f"{tag} {number}"
        if isinstance(element, OutputError):
            record = Record(name, {}, reason_of(element)[:300])
        else:
            name = (element.findtext(_NAME[tag]) or "").strip()
            record = Record(name or f"{tag} {number}", _flat(element), "" if name else f"{_NAME[tag]} is missing")
        twice = record.name in records
        records[record.name] = Record(record.name, {}, "it occurs more than once") if twice else record
    return list(records.values())


def _flat(element: Element, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for child in element:
        key = f"{prefix}{child.tag}"
        if key == "Variable_List":
            continue
        if len(child):
            flat.update(_flat(child, f"{key}."))
        elif key in flat and flat[key] != (child.text or "").strip():
            flat[key] = "(repeated)"
        else:
            flat[key] = (child.text or "").strip()
    return flat


def nodes(text: str, source: str) -> list[Node]:
    """The nodes of `pbsnodes -x`. Raises OutputError."""
    made = []
    for record in read_records(text, "Node", source):
        try:
            made.append(_node(record))
        except ValueError as error:  # OutputError is one
            made.append(unread_node(record.name, error))
    return made


def _node(record: Record) -> Node:
    if record.problem or "(repeated)" in record.attributes.values():
        raise ValueError(record.problem or "an attribute occurs more than once")
    raw = record.attributes.get("state", "")
    state = node_state(raw)
    words = {word.strip() for word in raw.split(",")}
    cores = whole(record.attributes.get("np", "")) if "np" in record.attributes else None
    used = len(_slots(record.attributes.get("jobs", "")))
    takes_none = state != "up" or bool(words & {"job-exclusive", "busy"})
    status = read_status(record.attributes.get("status", ""))
    memory = size(status["physmem"]) if "physmem" in status else None
    gpus = whole(record.attributes.get("gpus") or "0")
    return Node(
        name=record.name,
        state=state,
        raw_state=raw,
        cores=cores,
        free_cores=None if cores is None or state == "unknown" else 0 if takes_none else max(0, cores - used),
        memory=memory,
        free_memory=0 if takes_none and memory is not None else _free_memory(status, memory),
        gpus={"": gpus} if gpus else {},
        free_gpus=_free_gpus(record.attributes.get("gpu_status", ""), gpus, takes_none),
        features=tuple(part for part in record.attributes.get("properties", "").split(",") if part),
        reason=(record.attributes.get("note", "") or status.get("message", ""))[:300],
    )


def read_status(text: str) -> dict[str, str]:
    """`key=value,key=value`; a value may have commas in it, so a value ends where the next key begins."""
    found = list(_STATUS.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)][: len(found)]
    return {match[1]: text[match.end() : end].strip() for match, end in zip(found, ends, strict=True)}


def _slots(text: str) -> set[int]:
    """The slots in use, of `0/1.server, 1/1.server` (2 to 4) and `1-2/7.server,0,3/9.server` (since 5).

    Raises ValueError.
    """
    slots: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _SLOT.fullmatch(part)
        if not match:
            raise ValueError(f"jobs: {part[:40]!r} is no slot of a job")
        slots.update(range(int(match[1]), min(int(match[2] or match[1]), int(match[1]) + 10_000) + 1))
    return slots


def _free_memory(status: dict[str, str], memory: int | None) -> int | None:
    """What is free now: availmem and totmem count swap too (pbs_mom(8)), so at least what is left without all swap."""
    if memory is None or "availmem" not in status or "totmem" not in status:
        return None
    swap = max(0, size(status["totmem"]) - memory)
    return max(0, min(memory, size(status["availmem"]) - swap))


def _free_gpus(text: str, gpus: int, takes_none: bool) -> dict[str, int] | None:
    if not gpus or takes_none:
        return {"": 0} if gpus else {}
    states = _GPU.split(text)[1:]
    if len(states) != gpus:
        return None
    return {"": sum("gpu_state=Unallocated" in state for state in states)}
