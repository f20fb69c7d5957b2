"""Values of a jobspec file, checked as they are taken out of it; each refusal says where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resources.units import shown

from jobspec.errors import DocumentError


def mapping_of(value: object, place: str, known: Sequence[str] = ()) -> dict[str, Any]:
    """The value, which must be a mapping, with no other keys than these where any are given. Raises DocumentError."""
    if not isinstance(value, dict):
        raise DocumentError(f"must be a mapping, not {shown(value)}", place)
    if known:
        for key in value:
            if key not in known:
                raise DocumentError(f"unknown key {shown(key)}; known: {', '.join(known)}", place)
    return value


def list_of(value: object, place: str) -> list[Any]:
    """The value, which must be a list. Raises DocumentError."""
    if not isinstance(value, list):
        raise DocumentError(f"must be a list, not {shown(value)}", place)
    return value


def whole_of(value: object, place: str) -> int:
    """The value, which must be a whole number from 1 up. Raises DocumentError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise DocumentError(f"must be a whole number from 1 up, not {shown(value)}", place)
    return value


def text_of(value: object, place: str, *, empty: bool = False) -> str:
    """The value, which must be text without NUL. Raises DocumentError."""
    if not isinstance(value, str) or "\0" in value or not (value or empty):
        raise DocumentError(f"must be text, not {shown(value)}", place)
    return value


def flag_of(value: object, place: str) -> bool:
    """The value, which must be true or false. Raises DocumentError."""
    if not isinstance(value, bool):
        raise DocumentError(f"must be true or false, not {shown(value)}", place)
    return value


def command_of(value: object, place: str) -> tuple[str, ...]:
    """A program with its arguments: a list of texts, of which the first is not empty. Raises DocumentError."""
    words = list_of(value, place)
    command = tuple(text_of(word, f"{place}[{index}]", empty=True) for index, word in enumerate(words))
    if command and not command[0]:
        raise DocumentError("the program's name is empty", f"{place}[0]")
    return command
