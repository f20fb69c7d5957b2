"""The values of qsub's options: sge_types(5), and where it is silent what qsub and qmaster 8.1.9 do."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import pairwise
from math import floor

_NUMBER = re.compile(
    r"([+-]?)(0[xX][0-9a-fA-F]{1,15}|(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE][+-]?\d{1,2})?)([kKmMgGtT]?)",
    re.ASCII,
)
_TIME = re.compile(r"(\d{0,9}):(\d{0,9}):(\d{0,9})(?:\.\d{0,9})?", re.ASCII)
_FACTORS: dict[str, int] = {"": 1} | {
    letter: base**power
    for power, letters in enumerate(("kK", "mM", "gG", "tT"), 1)
    for letter, base in zip(letters, (1000, 1024), strict=True)
}
_RANGE = re.compile(r"\+?(\d{1,10})(?:\D(.*))?", re.ASCII)
_LARGEST = 2**31 - 1
_MOST_INDEXES = 100_000
_DATE = re.compile(r"(\d{2})?(\d{2})?(\d{2})(\d{2})(\d{2})(\d{2})(?:\.(\d{2})?)?", re.ASCII)


def number(text: str) -> float | None:
    """A memory_specifier (with a sign too), or None where it is none; `inf` for INFINITY. K is 1024, k is 1000."""
    if text.lower() == "infinity":
        return float("inf")
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    sign, digits, letter = match.groups()
    if digits[:2] in {"0x", "0X"}:
        amount: float = int(digits, 16)
    elif len(digits) > 1 and digits[0] == "0" and digits.isdigit():
        if not set(digits) <= set("01234567"):
            return None
        amount = int(digits, 8)
    else:
        amount = int(digits) if digits.isdigit() else float(digits)
    return (-amount if sign == "-" else amount) * _FACTORS[letter]


def memory(text: str) -> int | None:
    """Bytes; None where it is no memory value or without a limit."""
    amount = number(text)
    return None if amount is None or not 0 < amount < 2**63 else int(amount)


def seconds(text: str) -> float | None:
    """A time_specifier: h:m:s with parts that may be empty, or seconds; `inf` for INFINITY; None where it is none."""
    match = _TIME.fullmatch(text)
    if match:
        hours, minutes, rest = (int(part or 0) for part in match.groups())
        return hours * 3600 + minutes * 60 + rest
    amount = number(text)
    return amount if amount is None or amount == float("inf") else floor(amount + 0.5)


def ranges(text: str) -> list[tuple[int, int | None, int]]:
    """A list of n[-m[:s]]: (first, last or None for no upper end, step). Raises ValueError with qsub's reason.

    What stands behind the first number is taken for the "-", whatever it is; the ends may be swapped.
    """
    return [_range(part) for part in text.split(",") if part.strip()]


def slots(text: str) -> list[tuple[int, int | None, int]]:
    """The same with -m for 1-m, as -pe has it. Raises ValueError."""
    return ranges(",".join(f"1{part}" if part.startswith("-") else part for part in text.split(",")))


def _range(text: str) -> tuple[int, int | None, int]:
    text = text.strip()
    match = _RANGE.fullmatch(text)
    if not match:
        raise ValueError(f"{text[:60]!r} contains no decimal number")
    first, rest = int(match[1]), match[2]
    last: int | None = first
    step = 1
    if rest is not None:
        end, colon, by = rest.partition(":")
        last = None
        if end:
            if not end.isascii() or not end.isdigit() or len(end) > 10:
                raise ValueError(f"{end[:60]!r} is no number")
            last = int(end)
        if colon:
            if not by.isascii() or not by.isdigit() or len(by) > 10:
                raise ValueError(f"the step {by[:60]!r} is no number")
            step = int(by)
            if not step:
                raise ValueError("a step of zero is not allowed")
    if max(first, last or 0) > _LARGEST:
        raise ValueError(f"{text[:60]!r} is too large")
    if last is not None and last < first:
        first, last = last, first
    return first, last, step


def array(text: str) -> tuple[int, int, int] | None:
    """The one range of an array job; None where qsub makes no array of it. Raises ValueError."""
    if text.lower() == "undefined":
        return None
    found = ranges(text)
    if not found:
        raise ValueError("a range of task ids is missing")
    if len(found) == 1:
        first, last, step = found[0]
        if last is None:
            return None
    else:
        first, last, step = _united(found)
    return first, last, step


def _united(found: list[tuple[int, int | None, int]]) -> tuple[int, int, int]:
    """qsub takes a list only where it amounts to one range."""
    indexes: set[int] = set()
    for first, last, step in found:
        if last is None or (last - first) // step > _MOST_INDEXES or len(indexes) > _MOST_INDEXES:
            raise ValueError("-t allows only one range")
        indexes.update(range(first, last + 1, step))
    ordered = sorted(indexes)
    steps = {after - before for before, after in pairwise(ordered)} or {1}
    if len(steps) > 1:
        raise ValueError("-t allows only one range; a list such as 1,3,4 must become several jobs")
    return ordered[0], ordered[-1], steps.pop()


def date_time(text: str) -> str | None:
    """[[CC]YY]MMDDhhmm[.SS] as ISO 8601; None where it leaves the year to the submission. Raises ValueError.

    The 30th of February is the 2nd of March, as in mktime(3).
    """
    whole = text.partition(".")[0]
    match = _DATE.fullmatch(text)
    if not match or len(whole) not in {8, 10, 12}:
        raise ValueError("a date is [[CC]YY]MMDDhhmm[.SS]")
    century, year = (match[1], match[2]) if len(whole) == 12 else (None, match[1])
    month, day, hour, minute, second = (int(part or 0) for part in match.groups()[2:])
    for name, value, least, most in (
        ("month", month, 1, 12),
        ("day", day, 1, 31),
        ("hour", hour, 0, 23),
        ("minute", minute, 0, 59),
        ("second", second, 0, 59),
    ):
        if not least <= value <= most:
            raise ValueError(f"invalid {name} in the date")
    if year is None:
        return None
    base = int(century or (20 if int(year) < 70 else 19)) * 100 + int(year)
    if base < 1970:
        raise ValueError("a date before 1970")
    return (datetime(base, month, 1, hour, minute, second) + timedelta(days=day - 1)).isoformat()
