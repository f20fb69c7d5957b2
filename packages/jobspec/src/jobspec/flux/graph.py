"""The resources of a jobspec: a graph of vertices with slots in it (RFC 14, "Resources" and "Tasks")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobspec.flux.document import Document
from jobspec.flux.options import LARGEST

_KEYS = {"type", "count", "unit", "exclusive", "with", "label", "id"}
_TEXTS = ("unit", "label", "id")
_IDSET = re.compile(r"[1-9][0-9]{0,17}(?:-[1-9][0-9]{0,17})?(?:,[1-9][0-9]{0,17}(?:-[1-9][0-9]{0,17})?){0,999}\Z")
_RANGE = re.compile(r"([1-9][0-9]{0,17})(?:\+|-([1-9][0-9]{0,17}))(?::([1-9][0-9]{0,17})(?::([+*^]))?)?\Z")
_MOST_VERTICES = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    """How many: at least, at most (None without a limit), and whether it is every number between them."""

    least: int
    most: int | None
    every: bool = True

    @property
    def fixed(self) -> bool:
        return self.least == self.most

    def __mul__(self, other: Count) -> Count:
        most = None if self.most is None or other.most is None else self.most * other.most
        every = self.fixed and other.fixed
        every = every or (self.every and other == ONE) or (other.every and self == ONE)
        return Count(self.least * other.least, most, every)

    def __add__(self, other: Count) -> Count:
        most = None if self.most is None or other.most is None else self.most + other.most
        return Count(self.least + other.least, most, self.every and other.every)


ONE, NONE = Count(1, 1), Count(0, 0)


@dataclass(frozen=True, slots=True)
class Vertex:
    """One resource. exclusive: None where nobody said."""

    path: str
    type: str
    count: Count
    unit: str = ""
    label: str = ""
    exclusive: bool | None = None
    id: str = ""
    within: tuple[Vertex, ...] = ()

    def each(self) -> Iterator[tuple[Vertex, Count]]:
        """The vertices below it, and how many of each there are in one of it."""
        for inner in self.within:
            yield inner, inner.count
            for deeper, count in inner.each():
                yield deeper, inner.count * count


def vertices(document: Document, version: int) -> tuple[Vertex, ...]:
    """The graph. Raises ScriptError for what is none (RFC 14, "Schema"; RFC 25 for version 1)."""
    found = document.value.get("resources")
    if not isinstance(found, list) or not found:
        raise document.error("resources", "must be a list of at least one resource")
    result = tuple(_vertex(document, one, f"resources[{index}]", version) for index, one in enumerate(found))
    labels = [inner.label for top in result for inner in (top, *(one for one, _ in top.each())) if inner.label]
    if len(labels) > _MOST_VERTICES or len(set(labels)) < len(labels):
        raise document.error("resources", "two resources have the same label")
    return result


def _vertex(document: Document, value: Any, path: str, version: int) -> Vertex:
    if not isinstance(value, dict):
        raise document.error(path, "must be a mapping")
    for key in value:
        if key not in _KEYS:
            raise document.error(f"{path}.{key}", f"unknown; known: {', '.join(sorted(_KEYS))}")
    for key in ("type", "count"):
        if key not in value:
            raise document.error(path, f"{key} is missing")
    for key in ("type", *_TEXTS):
        if not isinstance(value.get(key, ""), str):
            raise document.error(f"{path}.{key}", "must be text")
    exclusive = value.get("exclusive")
    if not isinstance(exclusive, bool | None):
        raise document.error(f"{path}.exclusive", "must be true or false")
    kind = value["type"]
    if kind == "slot" and not value.get("label"):
        raise document.error(path, "a slot needs a label")
    inner = value.get("with", [])
    if not isinstance(inner, list):
        raise document.error(f"{path}.with", "must be a list")
    if kind == "slot" and not inner:
        raise document.error(path, "a slot holds resources: with is missing")
    count = _count(document, value["count"], f"{path}.count", version)
    if count.least < 1 and kind in {"node", "slot", "core"}:
        raise document.error(f"{path}.count", f"must be at least 1 for a {kind}")
    within = tuple(_vertex(document, one, f"{path}.with[{index}]", version) for index, one in enumerate(inner))
    texts = {key: value.get(key, "") for key in _TEXTS}
    return Vertex(path, kind, count, exclusive=exclusive, within=within, **texts)


def _count(document: Document, value: Any, path: str, version: int) -> Count:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= LARGEST:
            raise document.error(path, f"must be a whole number from 1 to {LARGEST}")
        return Count(value, value)
    if version == 1:
        raise document.error(path, "must be a whole number in version 1 (RFC 25)")
    if isinstance(value, str):
        found = count_text(value)
    else:
        found = _count_range(value) if isinstance(value, dict) else None
    if found is None:
        raise document.error(path, "must be a number, an idset (RFC 22) or a range (RFC 14, RFC 45)")
    return found


def count_text(text: str) -> Count | None:
    """An RFC 22 idset or an RFC 45 range, perhaps in brackets; None for what is neither."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if _IDSET.match(text):
        found = NONE
        for one in text.split(","):
            first, _, last = one.partition("-")
            if int(last or first) < int(first):
                return None
            here = Count(int(first), int(last or first))
            if found == NONE:
                found = here
            elif found.most is not None and here.least > found.most and here.most is not None:
                every = found.every and here.least == found.most + 1
                found = Count(found.least, here.most, every)
            else:
                return None
        return found
    match = _RANGE.match(text)
    if not match:
        return None
    wanted: dict[str, Any] = {"min": int(match[1])}
    if match[2]:
        wanted["max"] = int(match[2])
    if match[3]:
        wanted |= {"operand": int(match[3]), "operator": match[4] or "+"}
    return _count_range(wanted)


def _count_range(value: dict[str, Any]) -> Count | None:
    """`min`, `max`, `operator` and `operand`; None where they make no range."""
    if not {"min"} <= value.keys() <= {"min", "max", "operator", "operand"}:
        return None
    numbers = [value[key] for key in ("min", "max", "operand") if key in value]
    if any(isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= LARGEST for number in numbers):
        return None
    if ("operator" in value) != ("operand" in value):
        return None
    operator, operand, least = value.get("operator", "+"), value.get("operand", 1), value["min"]
    if operator not in ("+", "*", "^") or (operator != "+" and operand < 2) or (operator == "^" and least < 2):
        return None
    most = value.get("max")
    if most is not None and most < least:
        return None
    return Count(least, most, operator == "+" and operand == 1)


@dataclass(frozen=True, slots=True)
class Slots:
    """One slot of a graph, and all that is asked for with it.

    count: of the slots; above: from the outermost vertex to the one that holds the slot.
    """

    slot: Vertex
    above: tuple[Vertex, ...]

    @property
    def count(self) -> Count:
        found = self.slot.count
        for vertex in self.above:
            found = vertex.count * found
        return found

    def inside(self, kind: str) -> Count:
        """How many of a type are in one slot."""
        found = NONE
        for vertex, count in self.slot.each():
            if vertex.type == kind:
                found = found + count
        return found

    @property
    def nodes(self) -> Count | None:
        """The nodes of all slots: those that hold slots, or those in slots. None where no node is named."""
        last = max((index for index, vertex in enumerate(self.above, 1) if vertex.type == "node"), default=0)
        if last:
            found = ONE
            for vertex in self.above[:last]:
                found = found * vertex.count
            return found
        inside = self.inside("node")
        return self.count * inside if inside.least else None


def slots(graph: tuple[Vertex, ...]) -> dict[str, Slots]:
    """The slots of a graph by their labels."""
    found: dict[str, Slots] = {}
    todo: list[tuple[Vertex, tuple[Vertex, ...]]] = [(vertex, ()) for vertex in reversed(graph)]
    while todo:
        vertex, above = todo.pop()
        if vertex.type == "slot":
            found[vertex.label] = Slots(vertex, above)
        todo += [(inner, (*above, vertex)) for inner in reversed(vertex.within)]
    return found
