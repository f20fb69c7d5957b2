"""Fields of the neutral job as values of a document, and back; what they may be is said by their types."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from resources.units import shown

from jobspec import job as job_module
from jobspec.errors import DocumentError
from jobspec.job import Job

# What a document says otherwise, or what is no value of its own.
_ELSEWHERE = {"system", "where", "native", "name"}
LARGEST = 2**62


@cache
def known() -> dict[str, Any]:
    """The fields that `attributes.user` may have, and their types."""
    return {name: kind for name, kind in _types(Job).items() if name not in _ELSEWHERE}


@cache
def _types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, vars(job_module))


def plain(value: Any) -> Any:
    """The value as mappings, lists, numbers and texts; what is not asked for is left out of mappings."""
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((one.name, getattr(value, one.name)) for one in fields(value))
        return {name: plain(inner) for name, inner in pairs if inner is not None}
    if isinstance(value, tuple):
        return [plain(inner) for inner in value]
    return value


def sayable(given: Any) -> bool:
    """Whether all texts in a plain value are lines that a document can hold."""
    if isinstance(given, dict):
        return all(map(sayable, given.values()))
    if isinstance(given, list):
        return all(map(sayable, given))
    return not isinstance(given, str) or ("\n" not in given and is_text(given))


def is_text(given: str) -> bool:
    """Whether a document can hold it: no NUL, and no bytes that are no UTF-8."""
    return "\0" not in given and not any("\ud800" <= letter <= "\udfff" for letter in given)


def value(kind: Any, given: Any, place: str) -> Any:
    """The value of a type of `jobspec.job`. Raises DocumentError with the place of what is none."""
    origin, choices = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return _one_of(choices, given, place)
    if origin is typing.Literal:
        if given not in choices or not isinstance(given, str):
            raise DocumentError(f"must be one of {', '.join(choices)}, not {shown(given)}", place)
        return given
    if origin is tuple:
        return _items(choices, given, place)
    if is_dataclass(kind):
        return _record(kind, given, place)
    if kind is bool:
        if not isinstance(given, bool):
            raise DocumentError(f"must be true or false, not {shown(given)}", place)
    elif kind is int:
        if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < LARGEST:
            raise DocumentError(f"must be a whole number, not {shown(given)}", place)
    elif not isinstance(given, str) or "\0" in given or "\n" in given:
        raise DocumentError(f"must be one line of text, not {shown(given)}", place)
    return given


def _one_of(choices: tuple[Any, ...], given: Any, place: str) -> Any:
    if given is None and type(None) in choices:
        return None
    *others, last = (choice for choice in choices if choice is not type(None))
    for choice in others:
        try:
            return value(choice, given, place)
        except DocumentError:
            continue
    return value(last, given, place)


def _items(choices: tuple[Any, ...], given: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(given, list):
        raise DocumentError(f"must be a list, not {shown(given)}", place)
    if len(choices) == 2 and choices[1] is Ellipsis:
        choices = (choices[0],) * len(given)
    if len(choices) != len(given):
        raise DocumentError(f"must be a list of {len(choices)}", place)
    return tuple(
        value(choice, inner, f"{place}[{index}]")
        for index, (choice, inner) in enumerate(zip(choices, given, strict=True))
    )


def _record(kind: Any, given: Any, place: str) -> Any:
    if not isinstance(given, dict):
        raise DocumentError(f"must be a mapping, not {shown(given)}", place)
    hints = _types(kind)
    for key in given:
        if key not in hints:
            raise DocumentError(f"unknown key {shown(key)}; known: {', '.join(hints)}", place)
    made = {key: value(hints[key], inner, f"{place}.{key}") for key, inner in given.items()}
    missing = [name for name, hint in hints.items() if name not in made and type(None) in typing.get_args(hint)]
    try:
        return kind(**dict.fromkeys(missing), **made)
    except TypeError:
        required = ", ".join(hints)
        raise DocumentError(f"must have {required}", place) from None
