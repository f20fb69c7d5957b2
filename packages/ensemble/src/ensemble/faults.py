"""Reading a mapping whole: every fault is kept with its place, not the first only.

A path is the keys and indexes that lead to the value. `Fields.finish` raises one SpecError: its text is the first
fault, `faults` has all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from resources import units
from resources.errors import InputError
from resources.units import shown

from ensemble.errors import SpecError
from ensemble.metrics import did_you_mean

MISSING = ": it is missing"  # behind the name of the key
T = TypeVar("T")
D = TypeVar("D")
Path = tuple[str | int, ...]


class Fault(NamedTuple):
    """message: a whole line that names what it is about. at_key: the key is wrong, not the value."""

    path: Path
    message: str
    at_key: bool = False


class Fields:
    """One mapping and the faults found in it. The readers give the default where a value is missing or wrong.

    Raises SpecError at once where it is no mapping: nothing in it could be looked at.
    """

    def __init__(self, given: object, what: str, known: Sequence[str] = ()) -> None:
        self.faults: list[Fault] = []
        self.given: dict[Any, Any] = dict(given) if isinstance(given, Mapping) else {}
        if not isinstance(given, Mapping):
            self.wrong((), f"{what} is a mapping of keys to values, not {'empty' if given is None else shown(given)}")
            self.finish()
        for key in self.given if known else ():
            if key not in known:
                self.wrong((key,), f"{key}: unknown key{did_you_mean(str(key), list(known))}", at_key=True)

    def __contains__(self, key: str) -> bool:
        return key in self.given

    def wrong(self, path: Path, message: str, *, at_key: bool = False) -> None:
        self.faults.append(Fault(path, message, at_key))

    def take(self, path: Path, error: SpecError) -> None:
        """The faults of something within, which stands at `path`."""
        for fault in faults_of(error):
            inner = () if fault.path == path[-1:] else fault.path  # what calls itself by the key that it stands at
            self.wrong((*path, *inner), fault.message, at_key=fault.at_key)

    def attempt(self, path: Path, read: Callable[[], T], default: D) -> T | D:
        """What `read` gives; where it raises, its faults are kept."""
        try:
            return read()
        except SpecError as error:
            self.take(path, error)
        except InputError as error:
            self.wrong(path, error.message)
        return default

    def text(self, key: str, default: str | None = "") -> str:
        """A text. Without a default (None) it must be there and not be empty."""
        if key not in self.given:
            if default is None:
                self.wrong((key,), f"{key}: it is missing")
            return default or ""
        value = self.given[key]
        if not isinstance(value, str) or (default is None and not value):
            self.wrong((key,), f"{key} is a text, not {shown(value)}")
            return default or ""
        return value

    def count(self, key: str, default: int, *, least: int = 0) -> int:
        if key not in self.given:
            return default
        return self.attempt((key,), lambda: units.count(self.given[key], key, least=least), default)

    def seconds(self, key: str) -> int:
        """Whole seconds, rounded up; 0 where nothing is said."""
        return self.attempt((key,), lambda: units.seconds(self.given.get(key, 0), key), 0)

    def memory(self, key: str) -> int:
        return self.attempt((key,), lambda: units.memory(self.given.get(key, 0), key), 0)

    def choice(self, key: str, known: Sequence[str], default: str) -> str:
        value = self.given.get(key, default)
        if value not in known or not isinstance(value, str):
            self.wrong((key,), f"{key}: unknown value {shown(value)}{did_you_mean(str(value), list(known))}")
            return default
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.given.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.wrong((key,), f"{key} is a mapping, not {shown(value)}")
            return {}
        return dict(value)

    def finish(self) -> None:
        """Raises SpecError where there is a fault."""
        if self.faults:
            raise error_of(_once(self.faults))


def _once(faults: Sequence[Fault]) -> list[Fault]:
    """Without those that say that a key is missing where another says that it is misspelt."""
    meant = {fault.message.rpartition("did you mean ")[2] for fault in faults if fault.at_key}
    return [fault for fault in faults if not (MISSING in fault.message and f"{_key(fault)!r}?" in meant)]


def _key(fault: Fault) -> str:
    return fault.message.partition(MISSING)[0]


def error_of(faults: Sequence[Fault]) -> SpecError:
    """One error with all faults; its text is the first."""
    first = faults[0]
    error = SpecError(first.message)
    error.key = ".".join(map(str, first.path))
    error.faults = tuple(faults)
    return error


def faults_of(error: SpecError) -> tuple[Fault, ...]:
    """All faults of an error, also of one that has a key only."""
    if error.faults:
        return tuple(Fault(*fault) for fault in error.faults)
    return (Fault(tuple(error.key.split(".")) if error.key else (), error.message),)


def interval(value: object, what: str) -> float:
    """Seconds of a number or a text, as a float: `0.5`, `0.5s`, `30s`, `15m`. Raises SpecError."""
    text = value.strip().removesuffix("s") if isinstance(value, str) else ""
    if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdecimal():
        value = float(text)
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            number = float(value)
            if not math.isfinite(number) or number <= 0:
                raise SpecError(f"{what} is more than 0 seconds, not {shown(value)}")
            return number
        found = units.seconds(value, what)
    except (InputError, OverflowError) as error:
        raise SpecError(error.message if isinstance(error, InputError) else f"{what} is too large") from None
    if found <= 0:
        raise SpecError(f"{what} is more than 0 seconds, not {shown(value)}")
    return float(found)


def plain(value: object) -> bool:
    """Whether it is what JSON can say: numbers, texts, lists and mappings with texts as keys."""
    import json

    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
