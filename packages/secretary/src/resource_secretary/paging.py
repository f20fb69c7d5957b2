"""Keep results short enough for whoever reads them: lists in pages; in other results long texts and lists are cut."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from resource_secretary.errors import ArgumentError, OutputError

# Bytes of a result as JSON. An agent gets it twice (as structure, and as text with every quote escaped), and a reply
# stays below 60 kB.
MOST = 24_000
_STEPS = ((4000, 400), (1000, 100), (200, 20), (60, 5))  # characters of a text, entries of a list


def page(
    tool: str, arguments: Mapping[str, Any], items: Sequence[Any], limit: int, cursor: str
) -> tuple[dict[str, Any], str]:
    """A page, and a notice: those of `items` that follow the cursor, at most `limit`, and no more than `MOST` bytes.

    Each page asks anew, so entries that come and go between two pages may be seen twice or not at all; `total` tells.
    Raises ArgumentError for a cursor that is not of this tool with these arguments.
    """
    mark = hashlib.blake2s(msgspec.json.encode([tool, arguments], order="sorted"), digest_size=5).hexdigest()
    start = 0
    if cursor:
        text, _, of = cursor.partition(".")
        if of != mark or not (text.isascii() and text.isdecimal() and len(text) < 16):
            raise ArgumentError(tool, "cursor", "is not one that this tool gave for the same arguments")
        start = int(text)
    shown: list[Any] = []
    size, notice = 100, ""
    for item in items[start : start + limit]:
        if size + _size(item) + 2 > MOST:
            if shown:
                break
            item, notice = cut(item, MOST - size - 2)
        shown.append(item)
        size += _size(item) + 2
    end = start + len(shown)
    more = end < len(items)
    if more:
        notice = f"{start + 1} to {end} of {len(items)}; the next ones: cursor={end}.{mark}"
    return {"items": shown, "total": len(items), "next": f"{end}.{mark}" if more else None}, notice


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
