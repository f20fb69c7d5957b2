"""Requests as text (`cores=4 memory=8GB walltime=1:00:00`) and as the JSON value of a document."""

from __future__ import annotations

from typing import Any

from resources.errors import InputError
from resources.kinds import kind_class
from resources.kinds.cores import Cores
from resources.kinds.memory import Memory
from resources.lexer import pairs
from resources.resource import Resource, combine
from resources.units import shown

LARGEST_TEXT = 2**20  # characters; a request is a line


def Node(N: int, M: int | float | str) -> Resource:
    """N cores and M GB of memory: `Cores(N) & Memory(M)`."""
    return Cores(N) & Memory(M)


def parse(text: str) -> Resource:
    """A request or a provider from its text; an empty text is ZERO. Raises InputError with the column."""
    if not isinstance(text, str):
        raise InputError(f"a request is a text, not {shown(text)}")
    if len(text) > LARGEST_TEXT:
        raise InputError(f"a request is at most {LARGEST_TEXT} characters, not {len(text)}")
    leaves: dict[str, Resource] = {}
    for key, value, column in pairs(text):
        if key in leaves:
            raise InputError(f"{key} is given twice", f"column {column}")
        try:
            leaves[key] = kind_class(key).from_text(value)
        except InputError as error:
            raise error.at(f"column {column}") from None
    return combine(list(leaves.values()))


def resources_from_json(value: object, place: str = "") -> Resource:
    """A request or a provider from a JSON object of kind and value. Raises InputError with the dotted path."""
    if not isinstance(value, dict):
        raise InputError(f"expected an object of kinds, not {shown(value)}", place)
    leaves = []
    for key, one in value.items():
        if not isinstance(key, str):
            raise InputError(f"the name of a kind is a text, not {shown(key)}", place)
        try:
            leaves.append(kind_class(key).from_json(one))
        except InputError as error:
            raise error.at(f"{place}.{key}" if place else key) from None
    return combine(leaves)


def resources_to_json(resource: Resource) -> dict[str, Any]:
    """The JSON object of kind and value that `resources_from_json` reads."""
    return {leaf.kind: leaf.to_json() for leaf in resource.leaves}
