"""Keep results short enough for whoever reads them: lists in pages; in other results long texts and lists are cut."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from resource_secretary.errors import ArgumentError, OutputError

# Bytes of a result as JSON. An agent gets it twice (as structure, and as text with every quote escaped), and a reply
# stays below 60 kB.
MOST = 24_000
_STEPS = ((4000, 400), (1000, 100), (200, 20), (60, 5))  # characters of a text, entries of a list


@dataclass(frozen=True, slots=True)
class Kept:
    """A list as it was when its first page was given out, each entry as JSON; `until` on the monotonic clock."""

    items: list[msgspec.Raw]
    observed_at: str
    observed_on: str
    until: float


class Pages:
    """The lists whose pages are being turned, for who calls many times: the next page asks nobody and fits the first.

    Without it each page asks anew, and entries that come and go between two pages are seen twice or not at all.
    most: how many lists, the latest ones; seconds: for how long.
    """

    def __init__(self, most: int = 8, seconds: float = 600.0) -> None:
        self._most, self._seconds = most, seconds
        self._lists: dict[str, Kept] = {}
        self._count = 0
        self._lock = threading.Lock()

    def keep(self, items: Sequence[Any], observed_at: str, observed_on: str) -> str:
        """Keep a list; what is returned is put into the cursors of its pages."""
        entries = msgspec.json.decode(msgspec.json.encode(items), type=list[msgspec.Raw])
        kept = Kept(entries, observed_at, observed_on, time.monotonic() + self._seconds)
        with self._lock:
            self._count += 1
            self._lists[str(self._count)] = kept
            while len(self._lists) > self._most:
                del self._lists[next(iter(self._lists))]
            return str(self._count)

    def find(self, cursor: str) -> Kept | None:
        """The list that a cursor is of; None where it is not kept any more."""
        kept = self._lists.get(cursor.rpartition(".")[2]) if cursor.count(".") == 2 else None
        return kept if kept and time.monotonic() < kept.until else None


def read_cursor(tool: str, arguments: Mapping[str, Any], cursor: str) -> tuple[int, str, str]:
    """Where a page begins, the mark of this tool with these arguments, and the number of a list that is kept.

    Raises ArgumentError for a cursor that is not of this tool with these arguments.
    """
    mark = hashlib.blake2s(msgspec.json.encode([tool, arguments], order="sorted"), digest_size=5).hexdigest()
    if not cursor:
        return 0, mark, ""
    text, _, rest = cursor.partition(".")
    of, _, number = rest.partition(".")
    if of != mark or not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise ArgumentError(tool, "cursor", "is not one that this tool gave for the same arguments")
    return int(text), mark, number


def page(
    tool: str,
    arguments: Mapping[str, Any],
    items: Sequence[Any],
    limit: int,
    cursor: str,
    keep: Callable[[Sequence[Any]], str] | None = None,
) -> tuple[dict[str, Any], str]:
    """A page, and a notice: those of `items` that follow the cursor, at most `limit`, and no more than `MOST` bytes.

    keep: is given a list that has more pages, see Pages. Raises ArgumentError for a cursor that is not of this tool
    with these arguments.
    """
    start, mark, number = read_cursor(tool, arguments, cursor)
    shown: list[Any] = []
    size, notice = 100, ""
    for item in items[start : start + limit]:
        if size + _size(item) + 2 > MOST:
            if shown:
                break
            item = msgspec.json.decode(item) if isinstance(item, msgspec.Raw) else item
            item, notice = cut(item, MOST - size - 2)
        shown.append(item)
        size += _size(item) + 2
    end = start + len(shown)
    more = end < len(items)
    following = f"{end}.{mark}"
    if more:
        if keep is not None:
            number = keep(items)
        following += f".{number}" if number else ""
        notice = f"{start + 1} to {end} of {len(items)}; the next ones: cursor={following}"
    shown = [msgspec.json.decode(one) if isinstance(one, msgspec.Raw) else one for one in shown]
    return {"items": shown, "total": len(items), "next": following if more else None}, notice


def cut(value: Any, most: int = MOST) -> tuple[Any, str]:
    """The value in at most so many bytes of JSON, and a notice of what was cut, "" where nothing was.

    Raises OutputError where even short texts and lists do not fit.
    """
    if _size(value) <= most:
        return value, ""
    for characters, entries in _STEPS:
        short = _shorter(value, characters, entries)
        if _size(short) <= most:
            return short, f"cut to {most} bytes: texts after {characters} characters, lists after {entries} entries"
    raise OutputError("the result", "", f"it is larger than {most} bytes, however it is cut")


def _size(value: Any) -> int:
    return len(msgspec.json.encode(value))


def _shorter(value: Any, characters: int, entries: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= characters else f"{value[:characters]}… ({len(value) - characters} more)"
    if isinstance(value, dict):
        return {key: _shorter(one, characters, entries) for key, one in list(value.items())[: max(entries, 40)]}
    if isinstance(value, (list, tuple)):
        return [_shorter(one, characters, entries) for one in value[:entries]]
    return value
