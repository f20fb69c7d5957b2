"""A jobspec file: which form it has, and how version 1 with `task` and `transform` is read and checked.

The nested form (named resources, groups) is read in `jobspec.nested`.
"""

from __future__ import annotations

from typing import Any

from resources.errors import InputError
from resources.units import seconds, shown

from jobspec.errors import DocumentError
from jobspec.facts import read_facts
from jobspec.safeyaml import load_yaml
from jobspec.spec import Attributes, Jobspec, StepSpec, Task, Vertex
from jobspec.values import command_of, flag_of, list_of, mapping_of, text_of, whole_of

_TOP = ("version", "resources", "task", "tasks", "attributes")
_VERTEX = ("type", "count", "unit", "label", "exclusive", "with")
_TASK = ("name", "slot", "count", "command", "transform", "scripts", "resources")
# What only the nested form has: any of it says which form a file is in.
_NESTED_TOP = {"name", "groups", "requires"}
_NESTED_TASK = {"group", "local", "requires", "depends_on", "replicas", "attributes", "steps"}
_NESTED_ATTRIBUTES = {"duration", "cwd", "environment", "watch"}


def load(text: str) -> Jobspec:
    """Read a jobspec file (YAML or JSON) of either form. Raises DocumentError with the dotted path of what is wrong."""
    if text.startswith("#!"):
        raise DocumentError("a batch script, and no jobspec: `jobspec convert --to jobspec FILE` makes one of it")
    if (data := load_yaml(text)) is None:
        raise DocumentError("the file is empty; a jobspec begins with `version: 1`")
    top = mapping_of(data, "")
    if "version" not in top:
        raise DocumentError("it is missing; a jobspec begins with `version: 1`", "version")
    version = top["version"]
    if version != 1 or isinstance(version, bool):
        raise DocumentError(f"must be 1, not {shown(version)}", "version")
    if _is_nested(top):
        from jobspec.nested import read

        return read(top)
    mapping_of(top, "", _TOP)
    if ("task" in top) == ("tasks" in top):
        raise DocumentError("a jobspec has either a task or a list of tasks")
    attributes = mapping_of(top.get("attributes") or {}, "attributes", ("system", "user"))
    system = mapping_of(attributes.get("system") or {}, "attributes.system", ("duration", "cwd", "environment"))
    common = read_attributes(system, "attributes.system", Attributes())
    resources = _resources(top["resources"]) if "resources" in top else None
    if "task" in top:
        tasks = [_task(top["task"], "task", resources, common)]
    else:
        entries = enumerate(list_of(top["tasks"], "tasks"))
        tasks = [_task(entry, f"tasks[{index}]", resources, common) for index, entry in entries]
    return Jobspec(tuple(tasks), user=mapping_of(attributes.get("user") or {}, "attributes.user"))


def _is_nested(top: dict[str, Any]) -> bool:
    resources, tasks, attributes = top.get("resources"), top.get("tasks"), top.get("attributes")
    if "task" in top:
        return False
    return bool(
        _NESTED_TOP & top.keys()
        or (isinstance(resources, dict) and "type" not in resources)
        or (isinstance(attributes, dict) and _NESTED_ATTRIBUTES & attributes.keys())
        or any(
            isinstance(task, dict) and (_NESTED_TASK & task.keys() or isinstance(task.get("resources"), str))
            for task in (tasks if isinstance(tasks, list) else ())
        )
    )


def _task(value: object, place: str, resources: Vertex | None, attributes: Attributes) -> Task:
    entry = mapping_of(value, place, _TASK)
    counts = mapping_of(entry.get("count", {"per_slot": 1}), f"{place}.count", ("per_slot", "total"))
    if len(counts) != 1:
        raise DocumentError("has either per_slot or total", f"{place}.count")
    (counted, count) = next(iter(counts.items()))
    return Task(
        place=place,
        name=text_of(entry["name"], f"{place}.name") if "name" in entry else "",
        slot=text_of(entry["slot"], f"{place}.slot") if "slot" in entry else "",
        count=whole_of(count, f"{place}.count.{counted}"),
        counted=counted,
        command=command_of(entry.get("command", []), f"{place}.command"),
        transform=read_steps(entry.get("transform", [{"step": "submit"}]), f"{place}.transform"),
        scripts=read_scripts(entry.get("scripts", []), f"{place}.scripts"),
        resources=resources,
        attributes=attributes,
        requires=read_facts(entry.get("resources"), f"{place}.resources"),
    )


def read_steps(value: object, place: str) -> tuple[StepSpec, ...]:
    """A list of `step: NAME` with its options. Raises DocumentError."""
    steps = []
    for index, item in enumerate(list_of(value, place)):
        here = f"{place}[{index}]"
        entry = mapping_of(item, here)
        if "step" not in entry:
            raise DocumentError("names no step", here)
        options = {key: option for key, option in entry.items() if key != "step"}
        steps.append(StepSpec(text_of(entry["step"], f"{here}.step"), options, here))
    return tuple(steps)


def read_scripts(value: object, place: str) -> dict[str, str]:
    """A list of `name` and `content`. Raises DocumentError."""
    scripts: dict[str, str] = {}
    for index, item in enumerate(list_of(value, place)):
        here = f"{place}[{index}]"
        entry = mapping_of(item, here, ("name", "content"))
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
        return vertex_of(value[0], "resources[0]")
    return vertex_of(value, "resources")


def vertex_of(value: object, place: str) -> Vertex:
    """A vertex of the resources of version 1, with what it holds. Raises DocumentError."""
    entry = mapping_of(value, place, _VERTEX)
    if "type" not in entry:
        raise DocumentError("has no type", place)
    kind = text_of(entry["type"], f"{place}.type")
    inside = enumerate(list_of(entry.get("with", []), f"{place}.with"))
    return Vertex(
        type=kind,
        count=whole_of(entry.get("count", 1), f"{place}.count"),
        place=place,
        unit=text_of(entry["unit"], f"{place}.unit") if "unit" in entry else "",
        label=text_of(entry["label"], f"{place}.label") if "label" in entry else "",
        exclusive=flag_of(entry.get("exclusive", False), f"{place}.exclusive"),
        within=tuple(vertex_of(inner, f"{place}.with[{index}]") for index, inner in inside),
        slot=kind == "slot",
    )


def read_attributes(entry: dict[str, Any], place: str, above: Attributes) -> Attributes:
    """Duration, cwd, environment and watch; what is not said is as above, variables are added. Raises DocumentError."""
    return Attributes(
        duration_s=_duration(entry["duration"], f"{place}.duration") if "duration" in entry else above.duration_s,
        cwd=_cwd(entry["cwd"], f"{place}.cwd") if entry.get("cwd") is not None else above.cwd,
        environment={**above.environment, **_environment(entry.get("environment") or {}, f"{place}.environment")},
        watch=flag_of(entry.get("watch", above.watch), f"{place}.watch"),
    )


def _duration(value: object, place: str) -> int | None:
    try:
        return seconds(value, "duration") or None  # RFC 14: a duration of 0 is no limit
    except InputError as error:
        raise DocumentError(error.message, place) from None


def _cwd(value: object, place: str) -> str:
    path = text_of(value, place)
    if not path.startswith("/"):
        raise DocumentError(f"must be an absolute path, not {shown(path)}", place)
    return path


def _environment(value: object, place: str) -> dict[str, str]:
    result = {}
    for name, entry in mapping_of(value, place).items():
        if not (name.isascii() and name.isidentifier()):  # what a shell can set, too
            raise DocumentError(f"{shown(name)} is no name of a variable", place)
        result[name] = text_of(entry, f"{place}.{name}", empty=True)
    return result
