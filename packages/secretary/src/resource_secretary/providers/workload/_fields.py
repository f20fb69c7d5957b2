"""Walk through JSON that a tool printed: typed members, and an OutputError with source and place for what is not so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.run import printable

_KEPT = 2000  # characters of an answer of unknown shape that its error keeps
_LARGEST = 2**63 - 1


def document(source: str, text: str) -> Any:
    """The value of a JSON text (RFC 8259). Raises OutputError."""
    import msgspec

    try:
        return msgspec.json.decode(text.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise unknown_shape(source, text, f"it is no JSON ({error})") from None


def unknown_shape(source: str, text: str, why: str) -> OutputError:
    """The error for an answer of a shape that nobody has seen: it keeps the beginning of the answer."""
    said = printable(text.strip())[:_KEPT]
    return OutputError(source, "", f"{why}; it said: {said}" if said else f"{why}; it said nothing")


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of JSON. A member that is missing or null takes the default; without one that is an error."""

    source: str
    place: str
    value: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, source: str, place: str, value: object) -> Fields:
        """Raises OutputError for what is no object."""
        if not isinstance(value, dict):
            raise OutputError(source, place, f"an object expected, not {value!r:.60}")
        return cls(source, place, value)

    def get(self, key: str) -> Any:
        return self.value.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._known(key, default)
        if not isinstance(value, str):
            raise self.error(f"{key} must be a text, not {value!r:.60}")
        return value

    def count(self, key: str, default: int | None = None, *, most: int = _LARGEST) -> int:
        """A whole number from 0 to `most`; also one written as a text, as Perl's JSON does by chance."""
        value = self._known(key, default)
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            upto = "" if most == _LARGEST else f" from 0 to {most}"
            raise self.error(f"{key} must be a whole number{upto}, not {value!r:.60}")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        value = self._known(key, default)
        if not isinstance(value, bool):
            raise self.error(f"{key} must be true or false, not {value!r:.60}")
        return value

    def fields(self, key: str) -> Fields:
        """An object; an empty one where it is missing."""
        return Fields.of(self.source, self._below(key), self._known(key, {}))

    def rows(self, key: str) -> list[Fields]:
        """A list of objects; none where it is missing."""
        return [Fields.of(self.source, f"{self._below(key)}[{at}]", one) for at, one in self.items(key)]

    def items(self, key: str) -> Iterator[tuple[int, Any]]:
        """What is in a list, counted; nothing where it is missing."""
        value = self._known(key, [])
        if not isinstance(value, list):
            raise self.error(f"{key} must be a list, not {value!r:.60}")
        return enumerate(value)

    def texts(self, key: str) -> dict[str, str]:
        """An object of texts, such as labels."""
        below = self.fields(key)
        return {name: below.text(name) for name in below.value}

    def error(self, message: str) -> OutputError:
        return OutputError(self.source, self.place, message)

    def _below(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def _known(self, key: str, default: object) -> Any:
        value = self.value.get(key)
        if value is None:
            if default is None:
                raise self.error(f"{key} is missing")
            return default
        return value
