"""YAML from strangers: plain values only, within limits, every refusal one line.

Values are read as YAML 1.2's core schema reads them, so that `1:30` stays text and `no` is no boolean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import yaml

from jobspec.errors import DocumentError

LARGEST = 1024 * 1024  # characters; a jobspec with its scripts is a few thousand
DEEPEST = 40
MOST_NODES = 50_000

_Loaded = TypeVar("_Loaded")
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Parser):  # type: ignore[misc]
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML declares it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                raise DocumentError("a key must be text", f"line {line}")
            if key.value in seen:
                raise DocumentError(f"the key {key.value[:60]!r} occurs twice", f"line {line}")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)  # type: ignore[no-any-return]


# YAML 1.2.2, section 10.3.2 "Tag Resolution"; numbers within what Python reads exactly.
for _type, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", "null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("int", "[-+]?(?:0|[1-9][0-9]{0,17})", "-+0123456789"),
    ("float", r"[-+]?[0-9]{1,18}\.[0-9]{0,18}", "-+0123456789"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_type}", re.compile(rf"(?:{_pattern})\Z", re.ASCII), list(_first)
    )


def load_yaml(text: str) -> object:
    """The one document in a text. Raises DocumentError with the line, or with the reason why it is not read."""
    return _checked(text, lambda: yaml.load(text, Loader=_Loader))  # noqa: S506 - a safe loader with fewer types


def load_nodes(text: str) -> list[tuple[object, yaml.Node]]:
    """Every document in a text, and its nodes, which know their places. Raises DocumentError as `load_yaml` does."""
    return _checked(text, lambda: list(_documents(text)))


def _documents(text: str) -> Iterator[tuple[object, yaml.Node]]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            yield loader.construct_document(node), node
    finally:
        loader.dispose()


def _checked(text: str, load: Callable[[], _Loaded]) -> _Loaded:
    if len(text) > LARGEST:
        raise DocumentError(f"the file is larger than {LARGEST // 1024} KiB")
    try:
        _check_events(text)
        return load()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = str(error.problem or error.context)
        lines = text.splitlines()
        if mark and mark.line < len(lines) and lines[mark.line].startswith("\t", mark.column):
            problem = "a tab can't indent YAML: use blanks"
        raise DocumentError(f"no YAML: {problem}", place) from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"no YAML: {' '.join(str(error).split())[:200]}") from None


def _check_events(text: str) -> None:
    """Refuse what is too deep, too large or not plain, before anything is built."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_Parser):
        place = f"line {event.start_mark.line + 1}" if event.start_mark else ""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise DocumentError("anchors and aliases are not read", place)
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            if getattr(event, "tag", None):
                raise DocumentError("tags are not read", place)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise DocumentError(f"nested deeper than {DEEPEST} levels", place)
        if nodes > MOST_NODES:
            raise DocumentError(f"more than {MOST_NODES} values", place)
