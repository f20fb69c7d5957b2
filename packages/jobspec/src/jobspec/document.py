"""A jobspec file, version 1: what it holds, and how it is read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resources.errors import InputError
from resources.units import seconds, shown

from jobspec.errors import DocumentError
from jobspec.safeyaml import load_yaml

_TOP = ("version", "resources", "task", "tasks", "attributes")
_VERTEX = ("type", "count", "unit", "label", "exclusive", "with")
_TASK = ("name", "slot", "count", "command", "transform", "scripts", "resources")


@dataclass(frozen=True, slots=True)
class Vertex:
    """One kind of resource, and what each of them holds (`with`)."""

    type: str
    count: int
    place: str
    unit: str = ""
    label: str = ""
    exclusive: bool = False
    within: tuple[Vertex, ...] = ()


@dataclass(frozen=True, slots=True)
class StepSpec:
    """A step as it is written: its name, its options, and its place in the file."""

    name: str
    options: Mapping[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class Task:
    """What to run: `count` tasks for each slot (`per_slot`) or in all (`total`), and the steps that lead there."""

    place: str
    name: str = ""
    slot: str = ""
    count: int = 1
    counted: str = "per_slot"
    command: tuple[str, ...] = ()
    transform: tuple[StepSpec, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Jobspec:
    """A whole file. `duration_s` is None where there is no limit."""

    tasks: tuple[Task, ...]
    resources: Vertex | None = None
    duration_s: int | None = None
    cwd: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, Any] = field(default_factory=dict)


def load(text: str) -> Jobspec:
    """Read a jobspec file (YAML or JSON). Raises DocumentError with the dotted path of what is wrong."""
    top = _mapping(load_yaml(text), "", _TOP)
    if top.get("version") != 1 or isinstance(top["version"], bool):
        raise DocumentError(f"must be 1, not {shown(top.get('version'))}", "version")
    if ("task" in top) == ("tasks" in top):
        raise DocumentError("a jobspec has either a task or a list of tasks")
    if "task" in top:
        tasks = [_task(top["task"], "task")]
    else:
        tasks = [_task(entry, f"tasks[{index}]") for index, entry in enumerate(_list(top["tasks"], "tasks"))]
    attributes = _mapping(top.get("attributes") or {}, "attributes", ("system", "user"))
    system = _mapping(attributes.get("system") or {}, "attributes.system", ("duration", "cwd", "environment"))
    return Jobspec(
        tasks=tuple(tasks),
        resources=_resources(top["resources"]) if "resources" in top else None,
        duration_s=_duration(system.get("duration", 0)),
        cwd=_cwd(system.get("cwd")),
        environment=_environment(system.get("environment") or {}),
        user=_mapping(attributes.get("user") or {}, "attributes.user"),
    )


def _task(value: object, place: str) -> Task:
    entry = _mapping(value, place, _TASK)
    if entry.get("resources"):
        raise DocumentError(
            "facts that a host must have can't be checked yet; without them the task runs", f"{place}.resources"
        )
    counts = _mapping(entry.get("count", {"per_slot": 1}), f"{place}.count", ("per_slot", "total"))
    if len(counts) != 1:
        raise DocumentError("has either per_slot or total", f"{place}.count")
    (counted, count) = next(iter(counts.items()))
    command = tuple(
        text_of(word, f"{place}.command[{index}]", empty=True)
        for index, word in enumerate(_list(entry.get("command", []), f"{place}.command"))
    )
    if command and not command[0]:
        raise DocumentError("the program's name is empty", f"{place}.command[0]")
    steps = _list(entry.get("transform", [{"step": "submit"}]), f"{place}.transform")
    return Task(
        place=place,
        name=text_of(entry["name"], f"{place}.name") if "name" in entry else "",
        slot=text_of(entry["slot"], f"{place}.slot") if "slot" in entry else "",
        count=_whole(count, f"{place}.count.{counted}"),
        counted=counted,
        command=command,
        transform=tuple(_step(step, f"{place}.transform[{index}]") for index, step in enumerate(steps)),
        scripts=_scripts(entry.get("scripts", []), f"{place}.scripts"),
    )


def _step(value: object, place: str) -> StepSpec:
    entry = _mapping(value, place)
    if "step" not in entry:
        raise DocumentError("names no step", place)
    options = {key: option for key, option in entry.items() if key != "step"}
    return StepSpec(text_of(entry["step"], f"{place}.step"), options, place)


def _scripts(value: object, place: str) -> dict[str, str]:
    scripts: dict[str, str] = {}
    for index, item in enumerate(_list(value, place)):
        here = f"{place}[{index}]"
        entry = _mapping(item, here, ("name", "content"))
        for key in ("name", "content"):
            if key not in entry:
                raise DocumentError(f"has no {key}", here)
        name = text_of(entry["name"], f"{here}.name")
        if name in scripts:
            raise DocumentError(f"a second script named {shown(name)}", f"{here}.name")
        scripts[name] = text_of(entry["content"], f"{here}.content", empty=True)
    return scripts


def _resources(value: object) -> Vertex:
    # RFC 14 writes a list; one vertex is what is read.
    if isinstance(value, list):
        if len(value) != 1:
            raise DocumentError(f"must be one vertex, not {len(value)}", "resources")
        return _vertex(value[0], "resources[0]")
    return _vertex(value, "resources")


def _vertex(value: object, place: str) -> Vertex:
    entry = _mapping(value, place, _VERTEX)
    if "type" not in entry:
        raise DocumentError("has no type", place)
    return Vertex(
        type=text_of(entry["type"], f"{place}.type"),
        count=_whole(entry.get("count", 1), f"{place}.count"),
        place=place,
        unit=text_of(entry["unit"], f"{place}.unit") if "unit" in entry else "",
        label=text_of(entry["label"], f"{place}.label") if "label" in entry else "",
        exclusive=flag_of(entry.get("exclusive", False), f"{place}.exclusive"),
        within=tuple(
            _vertex(inner, f"{place}.with[{index}]")
            for index, inner in enumerate(_list(entry.get("with", []), f"{place}.with"))
        ),
    )


def _duration(value: object) -> int | None:
    try:
        return seconds(value, "duration") or None  # RFC 14: a duration of 0 is no limit
    except InputError as error:
        raise DocumentError(error.message, "attributes.system.duration") from None


def _cwd(value: object) -> str:
    if value is None:
        return ""
    path = text_of(value, "attributes.system.cwd")
    if not path.startswith("/"):
        raise DocumentError(f"must be an absolute path, not {shown(path)}", "attributes.system.cwd")
    return path


def _environment(value: object) -> dict[str, str]:
    place = "attributes.system.environment"
    result = {}
    for name, entry in _mapping(value, place).items():
        if not name or "=" in name or "\0" in name:
            raise DocumentError(f"{shown(name)} is no name of a variable", place)
        result[name] = text_of(entry, f"{place}.{name}", empty=True)
    return result


def _mapping(value: object, place: str, known: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DocumentError(f"must be a mapping, not {shown(value)}", place)
    if known:
        for key in value:
            if key not in known:
                raise DocumentError(f"unknown key {shown(key)}; known: {', '.join(known)}", place)
    return value


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise DocumentError(f"must be a list, not {shown(value)}", place)
    return value


def _whole(value: object, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise DocumentError(f"must be a whole number from 1 up, not {shown(value)}", place)
    return value


def text_of(value: object, place: str, *, empty: bool = False) -> str:
    """The value, which must be text without NUL. Raises DocumentError."""
    if not isinstance(value, str) or "\0" in value or not (value or empty):
        raise DocumentError(f"must be text, not {shown(value)}", place)
    return value


def flag_of(value: object, place: str) -> bool:
    """The value, which must be true or false. Raises DocumentError."""
    if not isinstance(value, bool):
        raise DocumentError(f"must be true or false, not {shown(value)}", place)
    return value
