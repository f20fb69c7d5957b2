"""The text form, below the kinds: `key=value` pairs, quoting, lists, and constructor arguments.

A value ends at a space; what holds a space, a comma or a quote stands in double quotes with JSON's escapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from resources.errors import InputError
from resources.units import shown

_PAIR = re.compile(r'([A-Za-z][A-Za-z0-9_-]*)=((?:"(?:[^"\\]|\\.)*"|[^\s"])*)')
_SPACE = re.compile(r"\s+")
_ELEMENT = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')
_BARE = re.compile(r"[^\s,\"'=:\[\]{}|\x00-\x1f\x7f]+")
_NAMED = re.compile(r'("(?:[^"\\]|\\.)*"|[^",:]+)(?::([^",]+))?')
_INTEGER = re.compile(r"-?[0-9]{1,30}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:e[+-]?[0-9]{1,3})?", re.ASCII)


class Pair(NamedTuple):
    """One `key=value`; `column` counts from 1."""

    key: str
    value: str
    column: int


def pairs(text: str) -> Iterator[Pair]:
    """The pairs of a text. Raises InputError with the column of what is none."""
    at = 0
    while at < len(text):
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        pair = _PAIR.match(text, at)
        end = pair.end() if pair else at
        if not pair or (end < len(text) and not text[end].isspace()):
            word = text[at:].split(None, 1)[0]
            raise InputError(f"expected key=value, not {shown(word)}", f"column {at + 1}")
        yield Pair(pair[1], pair[2], at + 1)
        at = end


def quote(text: str) -> str:
    """A string as it stands in a value: bare where that can't be misread."""
    bare = _BARE.fullmatch(text) and not _INTEGER.fullmatch(text) and not _DECIMAL.fullmatch(text)
    return text if bare else json.dumps(text)


def unquote(text: str) -> str:
    """A string of a value, bare or quoted. Raises InputError."""
    if not text.startswith('"'):
        if '"' in text:
            raise InputError(f"a quote in the middle of {shown(text)}")
        return text
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(f"{shown(text)} is no quoted text: {error}") from None
    if not isinstance(value, str):
        raise InputError(f"{shown(text)} is no quoted text")
    return value


def elements(text: str) -> list[str]:
    """The elements of a comma list, still quoted. Raises InputError where one is empty."""
    return [match[0] for match in comma_list(_ELEMENT, text)]


def named(text: str) -> list[tuple[str, str]]:
    """The elements of `name:part,name`, names unquoted; part is "" where there is no colon."""
    return [(unquote(match[1]), match[2] or "") for match in comma_list(_NAMED, text)]


def comma_list(element: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """The elements of a comma list, each as `element` matches it. Raises InputError."""
    found: list[re.Match[str]] = []
    at = 0
    while True:
        match = element.match(text, at)
        if not match:
            raise InputError(f"an element is missing in {shown(text)}")
        found.append(match)
        at = match.end()
        if at == len(text):
            return found
        if text[at] != ",":
            raise InputError(f"expected a comma before {shown(text[at:])} in {shown(text)}")
        at += 1


def parameters(cls: type) -> tuple[str, ...]:
    """The names of a constructor's arguments, without the import of inspect."""
    code = getattr(getattr(cls, "__init__", None), "__code__", None)
    if code is None:
        return ()
    names: tuple[str, ...] = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    return names


def arguments(resource: object) -> list[Any]:
    """The constructor's arguments, read from the attributes of the same names; without None at the end."""
    values = [getattr(resource, name) for name in parameters(type(resource))]
    while values and values[-1] is None:
        values.pop()
    return values


def arguments_text(resource: object) -> str:
    """A resource as the comma list of its constructor's arguments."""
    return ",".join(quote(value) if isinstance(value, str) else str(value) for value in arguments(resource))


def from_arguments(cls: Any, text: str) -> Any:
    """Call a constructor with a comma list. Raises InputError for what it refuses."""
    values = [_value(element) for element in elements(text)] if text else []
    try:
        return cls(*values)
    except InputError:
        raise
    except (TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise InputError(f"{shown(text)}: {error}") from None


def _value(element: str) -> int | float | str:
    if _INTEGER.fullmatch(element):
        return int(element)
    if _DECIMAL.fullmatch(element):
        return float(element)
    return unquote(element)
