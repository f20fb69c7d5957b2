"""A jobspec's text, in JSON or YAML, as plain values with the place of each."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from jobspec.errors import DocumentError, ScriptError
from jobspec.safeyaml import DEEPEST, LARGEST, load_yaml

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLACE = re.compile(r"line ([0-9]{1,9})(?:, column ([0-9]{1,9}))?")
_Pair = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """The value of a file; places: for a path such as `resources[0].count` its line and column, from 1."""

    value: Any
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: str) -> tuple[int, int]:
        """Where a value stands, or the nearest one around it."""
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["))] if "." in path or "[" in path else ""
        return self.places.get(path, (1, 1))

    def error(self, path: str, message: str, meant: str = "") -> ScriptError:
        return ScriptError(f"{path}: {message}" if path else message, *self.place(path), meant=meant)


def load(text: str) -> Document:
    """Read the text. Raises ScriptError with the place of what is no JSON or YAML, or beyond the limits."""
    if text.lstrip()[:1] == "{" and (value := _json(text)) is not None:
        return Document(value, _places(text) if len(text) <= LARGEST else {})
    try:
        value = load_yaml(text)
    except DocumentError as error:
        found = _PLACE.search(error.place)
        line, column = (int(found[1]), int(found[2] or 1)) if found else (1, 1)
        raise ScriptError(error.message, line, column) from None
    return Document(value, _places(text))


def _json(text: str) -> Any:
    """The value of a text in JSON; None where it is none, and may be YAML."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError:
        return None
    except _Refused as error:
        raise ScriptError(str(error)) from None
    except (RecursionError, ValueError):
        raise ScriptError(f"nested deeper than {DEEPEST} levels, or a number is too long") from None
    level, depth = [value], 0
    while level:
        if depth > DEEPEST:
            raise ScriptError(f"nested deeper than {DEEPEST} levels")
        level = [inner for outer in level for inner in _inside(outer)]
        depth += 1
    if "\\ud" in text.lower():
        _check_characters(value)
    return value


def _check_characters(value: Any) -> None:
    """JSON can write half of a pair of surrogates, which no file can hold. Raises ScriptError."""
    try:
        json.dumps(value, ensure_ascii=False).encode(errors="surrogateescape")
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ScriptError(f"\\u{ord(half):04x} is half of a pair of surrogates, and no character") from None


class _Refused(Exception):
    """What JSON allows and a jobspec does not."""


def _inside(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _unique(pairs: list[_Pair]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise _Refused(f"the key {twice[:60]!r} occurs twice")
    return found


def _no_constant(name: str) -> float:
    raise _Refused(f"{name} is no number")


def _places(text: str) -> dict[str, tuple[int, int]]:
    """The places of all values. What the YAML parser can't read (some JSON) has none."""
    try:
        root = yaml.compose(text, Loader=_Parser)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return dict(_walk(root, "")) if root else {}


def _walk(node: Any, path: str) -> Iterator[tuple[str, tuple[int, int]]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            yield inner, (key.start_mark.line + 1, key.start_mark.column + 1)
            yield from _walk(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = f"{path}[{index}]"
            yield inner, (value.start_mark.line + 1, value.start_mark.column + 1)
            yield from _walk(value, inner)
