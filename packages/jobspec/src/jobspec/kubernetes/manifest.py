"""A file of manifests: its documents, where each value stands, and what is refused before it is looked at."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from jobspec.errors import DocumentError, ScriptError
from jobspec.job import Where
from jobspec.kubernetes.paths import child
from jobspec.safeyaml import load_nodes

_PLACE = re.compile(r"line ([0-9]{1,9})(?:, column ([0-9]{1,9}))?", re.ASCII)
_START = Where(1, 1)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document; marks: the places of the keys in it, by their dotted paths ("" for the document)."""

    value: dict[str, Any]
    marks: dict[str, Where]

    def where(self, path: str) -> Where:
        """The place of a value, or of the nearest that holds it."""
        while path not in self.marks and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.marks.get(path, _START)

    def refuse(self, path: str, message: str, meant: str = "") -> ScriptError:
        place = self.where(path)
        return ScriptError(f"{path}: {message}" if path else message, place.line, place.column, meant=meant)

    def mapping(self, value: object, path: str, known: Iterable[str] = ()) -> dict[str, Any]:
        """The value, which must be a mapping with no keys but the known ones (any, where none are given)."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.refuse(path, "must be a mapping")
        if known:
            names = list(known)
            for key in value:
                if key not in names:
                    near = difflib.get_close_matches(key[:60], names, 1)
                    meant = f"did you mean {near[0]}?" if near else ""
                    raise self.refuse(child(path, key), "unknown field", meant)
        return value

    def items(self, value: object, path: str) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.refuse(path, "must be a list")
        return value

    def text(self, value: object, path: str) -> str:
        if not isinstance(value, str):
            raise self.refuse(path, "must be text", "" if isinstance(value, (dict, list)) else "put it into quotes")
        return value

    def whole(self, value: object, path: str, least: int = 0, most: int = 2**31 - 1) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(path, f"must be a whole number from {least} to {most}")
        return value

    def flag(self, value: object, path: str) -> bool:
        if value is not None and not isinstance(value, bool):
            raise self.refuse(path, "must be true or false")
        return bool(value)


def load(text: str) -> list[Manifest]:
    """The documents of a file that are not empty. Raises ScriptError."""
    try:
        found = load_nodes(text)
    except DocumentError as error:
        at = _PLACE.search(error.place)
        line, column = (int(at[1]), int(at[2] or 1)) if at else (1, 1)
        braces = any("{{" in one for one in text.split("\n")[line - 1 : line])
        raise ScriptError(error.message, line, column, meant="a template: fill it in first" if braces else "") from None
    documents = []
    for value, node in found:
        if value is None:
            continue
        place = Where(node.start_mark.line + 1, node.start_mark.column + 1)
        if not isinstance(value, dict):
            raise ScriptError("a manifest is a mapping", place.line, place.column)
        marks = {"": place}
        _mark(node, "", marks)
        documents.append(Manifest(value, marks))
    return documents


def _mark(node: yaml.Node, path: str, marks: dict[str, Where]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = child(path, key.value)
            marks[here] = Where(key.start_mark.line + 1, key.start_mark.column + 1)
            _mark(value, here, marks)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = child(path, index)
            marks[here] = Where(value.start_mark.line + 1, value.start_mark.column + 1)
            _mark(value, here, marks)
