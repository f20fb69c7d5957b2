"""What a job asks for, read from its jobspec (Flux RFC 25, Job Specification Version 1).

Counts may be ranges (RFC 14 dictionaries, RFC 45 strings, RFC 22 idsets): the least that the job
accepts is its demand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fluxburst.errors import JobError
from fluxburst.job_options import NONE, Wishes, read_wishes

if TYPE_CHECKING:
    from resources import Resource

LARGEST_COUNT = 10_000_000  # nodes, slots, cores or GPUs; no machine comes near
_RANGE = re.compile(
    r"(?P<min>[1-9][0-9]{0,18})"
    r"(?:\+|-(?P<max>[1-9][0-9]{0,18}))?(?::[1-9][0-9]{0,18}(?::[+*^])?)?"  # RFC 45
    r"(?:,[1-9][0-9]{0,18}(?:-[1-9][0-9]{0,18})?){0,1000}",  # RFC 22
    re.ASCII,
)
_KEYS = {
    "node": {"type", "count", "unit", "with", "exclusive"},  # Flux itself writes `exclusive` on nodes
    "slot": {"type", "count", "unit", "with", "label", "exclusive"},
    "core": {"type", "count", "unit"},
    "gpu": {"type", "count", "unit"},
}


@dataclass(frozen=True, slots=True)
class Demand:
    """The shape of a job's demand; jobs of one shape share their explanation.

    nodes: how many different nodes, 0 where the slots may lie anywhere. slots: per node, or in all where
    nodes is 0. cores, gpus: per slot. exclusive: its nodes are shared with nobody. constrained: it may run
    on certain hosts only (RFC 31); hosts: which, where a list of hosts is all that it says. wishes: what it
    says of its own burst.
    """

    nodes: int
    slots: int
    cores: int
    gpus: int
    exclusive: bool = False
    constrained: bool = False
    hosts: tuple[str, ...] = ()
    wishes: Wishes = NONE

    def __hash__(self) -> int:
        wishes = self.wishes  # most jobs have none, and queues are long
        own = (self.nodes, self.slots, self.cores, self.gpus, self.exclusive, self.hosts)
        return hash((own, wishes)) if wishes.given else hash(own)

    @property
    def units(self) -> int:
        """How many equal parts are to be placed: nodes, each on another one, or slots."""
        return self.nodes or self.slots

    @property
    def unit(self) -> tuple[int, int]:
        """Cores and GPUs of one part."""
        slots = self.slots if self.nodes else 1
        return self.cores * slots, self.gpus * slots

    @property
    def request(self) -> Resource:
        """The same as a `resources` request: amounts per node, or per task where tasks are placed freely."""
        from resources import ZERO, Cores, Gpus, Nodes, Tasks

        cores, gpus = self.unit
        where: Resource = ZERO
        if self.nodes:
            where = Nodes(self.nodes)
        elif self.slots > 1:
            where = Tasks(self.slots)
        amounts = (Cores(cores) if cores else ZERO) & (Gpus(gpus) if gpus else ZERO)
        return where & amounts

    def __str__(self) -> str:
        notes = [word for word, true in (("exclusive", self.exclusive), ("constrained", self.constrained)) if true]
        if self.wishes.given:
            notes.append(str(self.wishes))
        return f"{self.request}{' (' + ', '.join(notes) + ')' if notes else ''}"


def read_demand(spec: object) -> Demand:
    """The demand of a jobspec. Raises JobError with the place in it."""
    document = _mapping(spec, "spec")
    version = document.get("version")
    if version != 1 or isinstance(version, bool):
        raise JobError(f"jobspec version 1 (RFC 25) is read, not {_shown(version)}", "spec.version")
    attributes = document.get("attributes")
    system = _mapping(attributes, "spec.attributes").get("system") if attributes is not None else None
    own = _mapping(system, "spec.attributes.system") if system is not None else {}
    constraints = own.get("constraints")
    _check_tasks(document.get("tasks"))
    exclusive, nodes = False, 0
    vertex, place = _vertex(document.get("resources"), "spec.resources", ("node", "slot"))
    if vertex["type"] == "node":
        nodes = _count(vertex, place)
        exclusive = _flag(vertex, place)
        vertex, place = _vertex(vertex.get("with"), f"{place}.with", ("slot",))
    slots = _count(vertex, place)
    exclusive = exclusive or (_flag(vertex, place) and nodes > 0)
    amounts = _amounts(vertex.get("with"), f"{place}.with")
    return Demand(
        nodes,
        slots,
        amounts.get("core", 0),
        amounts.get("gpu", 0),
        exclusive,
        bool(constraints),
        _hostlist(constraints) if constraints else (),
        read_wishes(own.get("burst")),
    )


def read_duration(spec: Mapping[str, Any]) -> float:
    """The seconds that a job may run (RFC 25: `attributes.system.duration`), 0 without a limit. Raises JobError."""
    attributes = spec.get("attributes")
    system = attributes.get("system") if isinstance(attributes, Mapping) else None
    value = system.get("duration") if isinstance(system, Mapping) else None
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e15:
        raise JobError(f"seconds from 0 up belong here, not {_shown(value)}", "spec.attributes.system.duration")
    return float(value)


def _hostlist(constraints: object) -> tuple[str, ...]:
    """The hosts of a constraint that is nothing but a list of hosts (RFC 31 `hostlist`, RFC 29); else none."""
    if not isinstance(constraints, Mapping) or set(constraints) != {"hostlist"}:
        return ()
    listed = constraints["hostlist"]
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        return ()
    return tuple(listed)


def _amounts(value: object, place: str) -> dict[str, int]:
    """What a slot holds: cores, GPUs, or both, each once."""
    amounts: dict[str, int] = {}
    for index, item in enumerate(_list(value, place, most=2)):
        vertex = _checked(item, f"{place}[{index}]", ("core", "gpu"))
        if vertex["type"] in amounts:
            raise JobError(f"{vertex['type']} occurs twice", f"{place}[{index}]")
        amounts[vertex["type"]] = _count(vertex, f"{place}[{index}]")
    return amounts


def _check_tasks(value: object) -> None:
    for task in _list(value, "spec.tasks", most=1):
        command = _mapping(task, "spec.tasks[0]").get("command")
        if not (isinstance(command, (str, list)) and command):
            raise JobError(f"a command is a text or a list of texts, not {_shown(command)}", "spec.tasks[0].command")


def _vertex(value: object, place: str, types: tuple[str, ...]) -> tuple[Mapping[str, Any], str]:
    (item,) = _list(value, place, most=1)
    return _checked(item, f"{place}[0]", types), f"{place}[0]"


def _checked(item: object, place: str, types: tuple[str, ...]) -> Mapping[str, Any]:
    vertex = _mapping(item, place)
    kind = vertex.get("type")
    if not isinstance(kind, str) or kind not in types:
        raise JobError(f"a {' or '.join(types)} belongs here, not {_shown(kind)}", f"{place}.type")
    for key in vertex:
        if key not in _KEYS[kind]:
            raise JobError(f"jobspec version 1 has no {_shown(key)} in a {kind}", place)
    return vertex


def _count(vertex: Mapping[str, Any], place: str) -> int:
    """The least count. RFC 25 has integers; RFC 14 ranges are what later schedulers accept."""
    value, least = vertex.get("count"), None
    if isinstance(value, int) and not isinstance(value, bool):
        least = value
    elif isinstance(value, Mapping):
        least = (
            _count({"count": value.get("min")}, f"{place}.count.min") if not isinstance(value.get("min"), dict) else 0
        )
        most = value.get("max", least)
        if isinstance(most, bool) or not isinstance(most, int) or most < least:
            raise JobError(f"max is {least} or more, not {_shown(most)}", f"{place}.count")
    elif isinstance(value, str) and len(value) <= 10_000:
        text = value[1:-1] if value.startswith("[") and value.endswith("]") else value
        if match := _RANGE.fullmatch(text):
            least = int(match["min"])
            if match["max"] and int(match["max"]) < least:
                raise JobError(f"the range {_shown(value)} ends before it starts", f"{place}.count")
    if least is None or not 1 <= least <= LARGEST_COUNT:
        raise JobError(f"a count is 1 to {LARGEST_COUNT} or a range, not {_shown(value)}", f"{place}.count")
    return least


def _flag(vertex: Mapping[str, Any], place: str) -> bool:
    value = vertex.get("exclusive", False)
    if not isinstance(value, bool):
        raise JobError(f"true or false, not {_shown(value)}", f"{place}.exclusive")
    return value


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise JobError(f"an object belongs here, not {_shown(value)}", place)
    return value


def _list(value: object, place: str, *, most: int) -> list[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        entries = "one entry" if most == 1 else f"1 to {most} entries"
        raise JobError(f"a list of {entries} belongs here, not {_shown(value)}", place)
    return value


def _shown(value: object) -> str:
    from resources.units import shown

    return shown(value)
