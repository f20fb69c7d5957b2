"""Read what commands answer: JSON objects field by field, whole numbers; else an OutputError with source and place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from resource_secretary.errors import OutputError
from resource_secretary.run import printable

T = TypeVar("T")
LARGEST = 2**63 - 1  # of bytes, files, seconds: more is no answer of a machine
# More cores or bytes of memory than any machine, job or cluster has: such a number was read wrongly, or told wrongly.
MOST_CORES = 10_000_000
MOST_MEMORY = 2**60
LONGEST_LINE = 5000  # characters of a line with a path (PATH_MAX is 4096) that patterns are tried on
_SHOWN = 2000  # characters of an answer of unknown shape that its error shows
_WHOLE = re.compile(r"[0-9]{1,19}", re.ASCII)
_SCALED = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)", re.ASCII)
_POWERS = "KMGTPE"


def whole(text: object, unit: int = 1) -> int | None:
    """A whole number of a text or of JSON, times `unit`; None for anything else, also if it is negative or absurd."""
    if isinstance(text, bool) or not isinstance(text, (int, str)):
        return None
    if isinstance(text, str) and not _WHOLE.fullmatch(text):
        return None
    value = int(text) * unit
    return value if 0 <= value <= LARGEST else None


def possible(*, cores: Iterable[int | None] = (), memory: Iterable[int | None] = ()) -> None:
    """Raises ValueError for cores (or threads) or bytes of memory that no machine has."""
    for amount in cores:
        if amount is not None and not 0 <= amount <= MOST_CORES:
            raise ValueError(f"{amount} cores are more than there can be (at most {MOST_CORES})")
    for amount in memory:
        if amount is not None and not 0 <= amount <= MOST_MEMORY:
            raise ValueError(f"{amount} bytes of memory are more than there can be (at most {MOST_MEMORY})")


def scaled(text: str, *, decimal: bool = False) -> int | None:
    """Bytes (or a count) of a text such as `28.11 MiB`, `5.59MB`, `1.5M`; None for anything else.

    decimal: `kB`, `MB`, `M` are powers of 1000; else they are powers of 1024. `KiB`, `MiB` always are of 1024.
    """
    match = _SCALED.fullmatch(text.strip())
    if not match:
        return None
    letters = match[2]
    base = 1000 if decimal else 1024
    if letters in ("", "B", "b", "Byte", "Bytes"):
        factor = 1
    elif letters[0].upper() in _POWERS and letters[1:] in ("", "B", "iB", "i"):
        factor = (1024 if "i" in letters else base) ** (_POWERS.index(letters[0].upper()) + 1)
    else:
        return None
    value = round(float(match[1]) * factor)
    return value if value <= LARGEST else None


@dataclass(frozen=True, slots=True)
class Record:
    """One object of an answer. Each getter takes the names that versions gave a field, and the first one there counts.

    A field that is missing or null is None (or the default); one of another type raises OutputError.
    """

    source: str
    place: str
    fields: Mapping[str, object]

    def get(self, *names: str) -> object:
        return next((self.fields[name] for name in names if self.fields.get(name) is not None), None)

    def text(self, *names: str, default: str | None = None) -> str:
        """A text of one line. Without a default it must be there."""
        value = self.get(*names)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (not value and default is None):
            raise self.error(f"{names[0]} must be a text, not {value!r:.60}")
        return printable(value)

    def number(self, *names: str, unit: int = 1) -> int | None:
        value = self.get(*names)
        if value is None or value == "":
            return None
        found = whole(value, unit)
        if found is None:
            raise self.error(f"{names[0]} must be a whole number, not {value!r:.60}")
        return found

    def flag(self, *names: str) -> bool | None:
        value = self.get(*names)
        if value is not None and not isinstance(value, bool):
            raise self.error(f"{names[0]} must be true or false, not {value!r:.60}")
        return value

    def texts(self, *names: str) -> tuple[str, ...]:
        value = self.get(*names)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.error(f"{names[0]} must be a list of texts, not {value!r:.60}")
        return tuple(printable(one) for one in value)

    def part(self, *names: str) -> Record:
        """An object within it, without fields where it is missing."""
        value = self.get(*names)
        if value is not None and not isinstance(value, dict):
            raise self.error(f"{names[0]} must be an object, not {value!r:.60}")
        return Record(self.source, f"{self.place}.{names[0]}".lstrip("."), value or {})

    def parts(self, *names: str) -> list[Record]:
        value = self.get(*names)
        if value is not None and not isinstance(value, list):
            raise self.error(f"{names[0]} must be a list, not {value!r:.60}")
        place = f"{self.place}.{names[0]}".lstrip(".")
        return records(self.source, value or [], place)

    def error(self, message: str) -> OutputError:
        return OutputError(self.source, self.place, message)


def loads(text: str) -> Any:
    """The value of a text in JSON; what is half a surrogate pair there, which no UTF-8 holds, is `?`.

    Raises ValueError, RecursionError.
    """
    return whole_text(json.loads(text), text)


def whole_text(value: Any, text: str) -> Any:
    """A value that was read from `text` in JSON, without halves of surrogate pairs."""
    if "\\ud" not in text and "\\uD" not in text:
        return value
    return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def read_json(source: str, text: str) -> object:
    """The value of a text in JSON. Raises OutputError, which shows the text."""
    try:
        return loads(text)
    except (ValueError, RecursionError):
        raise strange(source, "is no JSON", text) from None


def read_object(source: str, text: str) -> Record:
    """The object that a text in JSON holds. Raises OutputError, which shows the text."""
    value = read_json(source, text)
    if not isinstance(value, dict):
        raise strange(source, "is no JSON object", text)
    return Record(source, "", value)


def read_objects(source: str, text: str) -> list[Record]:
    """The objects of a JSON array, or of JSON Lines; an entry that is none is a Record without fields."""
    if not text.lstrip().startswith("["):
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        return [_line(source, f"line {number}", line) for number, line in lines]
    value = read_json(source, text)
    if not isinstance(value, list):
        raise strange(source, "is no JSON array", text)
    return records(source, value)


def records(source: str, values: Iterable[object], place: str = "") -> list[Record]:
    return [
        Record(source, f"{place}[{index}]", value if isinstance(value, dict) else {})
        for index, value in enumerate(values)
    ]


def each(found: Iterable[Record], read: Callable[[Record], T], unread: Callable[[str], T]) -> list[T]:
    """What `read` makes of each record; one that can't be read loses only itself, and `unread` gets the reason."""
    made = []
    for record in found:
        try:
            made.append(read(record))
        except OutputError as error:
            made.append(unread(str(error)))
    return made


def strange(source: str, message: str, text: str) -> OutputError:
    """The error for an answer of a shape that nobody here knows: it keeps the start of the text."""
    shown = text[:_SHOWN].encode(errors="replace").decode()
    return OutputError(source, "", f"{message}: {shown!r}" if shown.strip() else f"{message}: it is empty")


def _line(source: str, place: str, line: str) -> Record:
    try:
        value = loads(line)
    except (ValueError, RecursionError):
        value = None
    return Record(source, place, value if isinstance(value, dict) else {})
