"""The values of qsub's options: text in, numbers out. Each raises ValueError with what is wrong.

Formats: pbs_resources(7B) of PBS Pro and Torque, "RESOURCE UNITS"; qsub(1B) for the others.
"""

from __future__ import annotations

import re

from resources.units import shown

from jobspec.arrays import once
from jobspec.job import Array, Begin

_SIZE = re.compile(r"([0-9]{1,18})([kmgtp]?)([bw]?)", re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(r"(?:(?:([0-9]{1,9}):)?([0-9]{1,9}):)?([0-9]{1,12})(?:\.([0-9]{0,9}))?", re.ASCII)
_DAYS = re.compile(r"([0-9]{1,6}):([0-9]{1,6}:[0-9]{1,6}:[0-9]{1,6})", re.ASCII)
_INT = re.compile(r"[0-9]{1,10}", re.ASCII)
_DATE = re.compile(
    r"(?:(?:(?:([0-9]{2})?([0-9]{2}))?([0-9]{2}))?([0-9]{2}))?([0-9]{2})([0-9]{2})(?:\.([0-9]{2}))?", re.A
)
_RANGE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})(?::([0-9]{1,9}))?(?:%([0-9]{1,9}))?", re.ASCII)
_PART = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?", re.ASCII)
_TEMPLATE = re.compile(
    r"\{[^{}]{0,200}\}|<[^<>]{0,200}>|@[A-Za-z_]\w{0,60}@|%%\w{1,60}%%|##\w{1,60}##|\$[A-Za-z_{(\d]"
    r"|![A-Za-z]\w{0,60}|\b(?:X+|xx\w{1,40}xx|CHANGE\w{0,40}|TBG\w{0,40}|_[A-Z]\w{0,40}_|YA\w{0,20}|N{2,9})\b"
)
_SHIFT = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}
_WORD_BYTES = 8  # "the size of a word is the word size on the execution host"
FILL_IN = "a template: fill it in first"


def template(text: str) -> bool:
    """Whether a value is still to be filled in: `{cpus}`, `<nodes>`, `@@X@@`, `%%X%%`, `$VAR`."""
    return _TEMPLATE.search(text[:400]) is not None


def whole(text: str) -> int:
    """A whole number, 0 or more."""
    if not _INT.fullmatch(text):
        raise ValueError(f"{shown(text)} is no whole number")
    return int(text)


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    number = whole(text)
    if not number:
        raise ValueError("0 is too few")
    return number


def size(text: str) -> int:
    """Bytes: `integer[suffix]`, b (bytes, the default) or w (words) with k, m, g, t, p (powers of 1024)."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is no size: a whole number with b, kb, mb, gb, tb or pb")
    number = int(match[1]) << _SHIFT[match[2].lower()]
    return number * _WORD_BYTES if match[3].lower() == "w" else number


def duration(text: str, *, days: bool = False) -> int:
    """Seconds: `[[hours:]minutes:]seconds[.milliseconds]`; with `days` also `days:hours:minutes:seconds`."""
    match = _CLOCK.fullmatch(text)
    extra = 0
    if not match and days and (longer := _DAYS.fullmatch(text)):
        extra, match = int(longer[1]) * 86400, _CLOCK.fullmatch(longer[2])
    if not match:
        raise ValueError(f"{shown(text)} is no time: [[hours:]minutes:]seconds")
    hours, minutes, seconds = (int(part or 0) for part in match.group(1, 2, 3))
    half = (match[4] or "0")[0] >= "5"
    return extra + (hours * 60 + minutes) * 60 + seconds + half


def date(text: str) -> Begin:
    """`[[[[CC]YY]MM]DD]hhmm[.SS]`; `at` where the year is given, else it depends on the day of the submission."""
    match = _DATE.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is no date: [[[[CC]YY]MM]DD]hhmm[.SS]")
    century, year, month, day, hour, minute, second = match.groups()
    in_range = (
        1 <= int(month or 1) <= 12
        and 1 <= int(day or 1) <= 31
        and int(hour) < 24
        and int(minute) < 60
        and int(second or 0) < 60
    )
    if not in_range:
        raise ValueError(f"{shown(text)} is no date: a part of it is out of range")
    if not year:
        return Begin(text)
    return Begin(text, at=f"{century or '20'}{year}-{month}-{day}T{hour}:{minute}:{second or '00'}")


def range_(text: str) -> Array:
    """PBS Pro's `X-Y[:Z][%max]`: one range of two indexes or more."""
    match = _RANGE.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is no range of indexes: X-Y[:Z][%max], no list and no single index")
    first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if first >= last or not step or match[4] == "0":
        raise ValueError(f"{shown(text)} is no range of indexes: X must be less than Y, the step 1 or more")
    return Array(text, ((first, last, step),), int(match[4]) if match[4] else None)


def request(text: str) -> Array:
    """Torque's list of indexes and ranges, with `%limit` behind it."""
    listed, percent, limit = text.partition("%")
    throttle = positive(limit) if percent else None
    ranges = []
    for part in listed.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise ValueError(f"{shown(part)} is no index or range of indexes")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or match[3] == "0":
            raise ValueError(f"{shown(part)} is no range: it goes backwards")
        ranges.append((first, last, int(match[3] or 1)))
    return Array(text, once(ranges), throttle)


_DEPEND = frozenset({"after", "afterok", "afternotok", "afterany"})
_DEPEND_TOO = {
    "pbspro": frozenset({"before", "beforeok", "beforenotok", "beforeany", "on", "runone"}),
    "torque": frozenset(
        {"before", "beforeok", "beforenotok", "beforeany", "on", "synccount", "syncwith"}
        | {f"{when}{what}array" for when in ("after", "before") for what in ("start", "ok", "notok", "any")}
    ),
}


def depend(text: str, system: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The terms of `type:id[:id...],...`; none where a type says more than "after other jobs"."""
    terms, plain = [], True
    for part in text.split(","):
        kind, _, ids = part.partition(":")
        if kind not in _DEPEND and kind not in _DEPEND_TOO["pbspro" if system == "pbspro" else "torque"]:
            raise ValueError(f"{shown(kind)} is no kind of dependency")
        listed = tuple(ids.split(":"))
        if not all(listed):
            raise ValueError(f"{kind} needs {'a count' if kind in {'on', 'synccount'} else 'ids of jobs'}")
        if kind not in _DEPEND:
            kind = _ARRAYS.get(kind, "")
        plain &= bool(kind)
        terms.append((kind, listed))
    return tuple(terms) if plain else ()


# Torque's kinds for arrays; the id is that of an array ("12[]").
_ARRAYS = {
    "afterstartarray": "after",
    "afterokarray": "afterok",
    "afternotokarray": "afternotok",
    "afteranyarray": "afterany",
}


def split_list(text: str, mark: str = ",") -> list[str]:
    """A list at its marks, but for those in quotes."""
    if not ("'" in text or '"' in text):
        return text.split(mark)
    parts, quote, start = [], "", 0
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == mark:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def unquoted(text: str) -> str:
    """A value without the quotes around it."""
    return text[1:-1] if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0] else text


_NEXT = re.compile(r",(?=[A-Za-z_][A-Za-z0-9_]{0,60}=)")


def assignments(text: str) -> list[tuple[int, str]]:
    """`name=value,name=value` as (offset, "name=value"); a comma that no name follows belongs to the value."""
    parts, at = [], 0
    for part in _NEXT.split(text):
        parts.append((at, part))
        at += len(part) + 1
    return parts
