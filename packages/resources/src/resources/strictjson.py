"""JSON as strict as its specification (RFC 8259): no NaN, no repeated key, every failure an InputError."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

from resources.errors import InputError
from resources.units import shown

MOST_DEEP = 100  # levels of what is kept as it is
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def loads(text: str, what: str = "document") -> Any:
    """The value of a JSON text. Raises InputError with line and column."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except json.JSONDecodeError as error:
        raise InputError(f"the {what} is no JSON: {error.msg}", f"line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise InputError(f"the {what} is nested too deep") from None
    except UnicodeEncodeError:
        raise InputError(f"the {what} holds half of a character (a lone surrogate)") from None
    except InputError:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise InputError(f"the {what} holds a number that is too large: {error}") from None


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(items)
    if len(made) < len(items):
        seen: set[str] = set()
        twice = next(key for key, _ in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InputError(f"the key {shown(twice)} occurs twice in one object")
    return made


def _float(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise InputError(f"the number {shown(digits)} is too large")
    return value


def _constant(name: str) -> Any:
    raise InputError(f"{name} is no JSON number")


def take(value: object, place: str, allowed: tuple[str, ...], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with known keys. Raises InputError with the dotted path of what is unknown or missing."""
    if not isinstance(value, dict):
        raise InputError(f"expected an object, not {shown(value)}", place)
    for key in value:
        if key not in allowed:
            raise InputError(f"unknown key {shown(key)}; there are: {', '.join(allowed)}", place)
    for key in required:
        if key not in value:
            raise InputError(f"{key} is missing", place)
    return value


def kept(value: object, place: str) -> None:
    """Raise InputError unless a value that is kept as it is can be written as JSON again."""
    below = [value]
    for _ in range(MOST_DEEP):
        if not below:
            return
        level, below = below, []
        for one in level:
            if isinstance(one, dict):
                if not all(isinstance(key, str) for key in one):
                    raise InputError("an object has a key that is no text", place)
                below += one.values()
            elif isinstance(one, list):
                below += one
            elif not isinstance(one, (str, int, type(None))) and not (isinstance(one, float) and isfinite(one)):
                raise InputError(f"{shown(one)} is no JSON value", place)
    raise InputError(f"it is nested deeper than {MOST_DEEP} levels", place)
