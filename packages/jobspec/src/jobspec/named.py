"""The named resources of the nested form: vertices with the facts that their hosts must have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resources.units import shown

from jobspec.errors import DocumentError
from jobspec.facts import Fact, read_facts
from jobspec.spec import Vertex
from jobspec.values import flag_of, list_of, mapping_of, text_of, whole_of

_VERTEX = ("type", "count", "replicas", "requires", "attributes", "schedule", "with", "unit", "exclusive")
_VERTEX_ATTRIBUTES = ("unit", "exclusive", "model")
LONGEST_NAME = 100

NamedResources = Mapping[str, tuple[Vertex | None, tuple[Fact, ...]]]


def read_named(value: object) -> NamedResources:
    """The mapping of names to vertices. Raises DocumentError."""
    found = mapping_of({} if value is None else value, "resources")
    return {name_of(name, "resources"): read_vertex(entry, f"resources.{name}") for name, entry in found.items()}


def read_vertex(value: object, place: str) -> tuple[Vertex | None, tuple[Fact, ...]]:
    """A vertex and the facts of it and of all that it holds; no vertex where the scheduler is not asked for it."""
    entry = mapping_of(value, place, _VERTEX)
    if "type" not in entry:
        raise DocumentError("has no type", place)
    kind = text_of(entry["type"], f"{place}.type")
    facts = read_facts(entry.get("requires"), f"{place}.requires")
    inside = []
    for index, inner in enumerate(list_of(entry.get("with", []), f"{place}.with")):
        vertex, more = read_vertex(inner, f"{place}.with[{index}]")
        facts += more
        inside += [vertex] if vertex else []
    extra = mapping_of(entry.get("attributes") or {}, f"{place}.attributes", _VERTEX_ATTRIBUTES)
    unit, exclusive, model = (_either(entry, extra, key, place) for key in _VERTEX_ATTRIBUTES)
    count = whole_of(entry.get("count", 1), f"{place}.count")
    vertex = Vertex(
        type=kind,
        count=count * whole_of(entry.get("replicas", 1), f"{place}.replicas"),
        place=place,
        unit=text_of(unit[0], unit[1]) if unit else "",
        exclusive=flag_of(exclusive[0], exclusive[1]) if exclusive else False,
        within=tuple(inside),
        slot=flag_of(entry.get("schedule", kind == "slot"), f"{place}.schedule"),
        model=text_of(model[0], model[1]) if model else "",
    )
    return (None if entry.get("schedule") is False else vertex), facts


def _either(entry: dict[str, Any], extra: dict[str, Any], key: str, place: str) -> tuple[Any, str] | None:
    if key in entry:
        return entry[key], f"{place}.{key}"
    return (extra[key], f"{place}.attributes.{key}") if key in extra else None


def name_of(value: object, place: str) -> str:
    """A name: one printable line. Raises DocumentError."""
    name = text_of(value, place)
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise DocumentError(f"must be one line of at most {LONGEST_NAME} characters, not {shown(name)}", place)
    return name
