"""The values of bsub's options: text in, numbers out. Each raises ValueError with what is wrong.

Source: IBM Spectrum LSF Command Reference, "bsub", the page of each option.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

from resources.units import shown

from jobspec.arrays import once
from jobspec.job import Array, Begin, Dependency, Environment

LARGEST = 2**31 - 1
_MINUTES = re.compile(r"(?:([0-9]{1,9}):)?([0-9]{1,9})(?:/([^\s/]{1,255}))?", re.ASCII)
_PAIR = re.compile(r"([0-9]{1,9})(?:,([0-9]{1,9}))?", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(?:([KMGTPEZ])B?)?", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?", re.ASCII)
_NAME = re.compile(r"([^\[\]]*)\[([0-9:,\- ]{1,4000})\](?:%([0-9]{1,9}))?", re.ASCII)
_CONDITION = re.compile(
    r"\s*+(&&|\|\||!|\(|\)|[A-Za-z_]{1,20}\((?:[^()\"']|\"[^\"]*\"|'[^']*')*\)|\"[^\"]*\"|'[^']*'|[^\s&|!()\"']++)\s*+"
)
_CALL = re.compile(r"([a-z_]+)\(\s*[\"']?([0-9]+)(?:\[([0-9]+|\*)\])?[\"']?\s*\)", re.ASCII)
_KINDS = {"done": "afterok", "ended": "afterany", "exit": "afternotok", "started": "after"}
_NAMES = "done ended exit external numdone numended numexit numhold numpend numrun numstart post_done post_err started"
_CALLS = frozenset(_NAMES.split())
_SHIFT = {"K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60, "Z": 70}
_ENTRY = re.compile(r"\s*([^,=~\s'\"]{1,255})(?:=('[^']*'|[^,]*))?\s*", re.ASCII)


def minutes(text: str) -> tuple[int, str]:
    """(seconds, host or ""): `[hour:]minute[/host]`; the minutes may be more than 59."""
    match = _MINUTES.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is no time: [hour:]minute, in whole numbers")
    total = (int(match[1] or 0) * 60 + int(match[2])) * 60
    if not total:
        raise ValueError("the limit must be longer than 0 minutes")
    return total, match[3] or ""


def slots(text: str) -> tuple[int, int]:
    """`min[,max]` tasks."""
    match = _PAIR.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is no number of tasks: min[,max]")
    least = int(match[1])
    most = int(match[2] or least)
    if not 0 < least <= most <= LARGEST:
        raise ValueError(f"{shown(text)} is no number of tasks: 0 < min <= max")
    return least, most


def count(text: str) -> int:
    """A positive whole number."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not int(text):
        raise ValueError(f"{shown(text)} is no positive whole number")
    return int(text)


def size(text: str, unit: str) -> int:
    """Bytes, rounded up to KB: a number with K, M, G, T, P, E, Z (and B), powers of 1024; `unit` where it has none."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is no amount of memory")
    scaled = Decimal(match[1]) * (1 << _SHIFT[(match[2] or unit[0]).upper()] - 10)
    return -int(-scaled // 1) << 10


def has_unit(text: str) -> bool:
    """Whether an amount names its unit."""
    return not text[-1:].isdigit()


def name(text: str) -> tuple[str, Array | None]:
    """The name of a job and the indexes of its array: `name[1-10:2,15]%5`."""
    if not text.strip():
        raise ValueError("it is empty")
    if "[" not in text:
        return text, None
    match = _NAME.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is no job name: name[index_list]%limit, with numbers in the brackets")
    ranges = []
    for part in match[2].split(","):
        found = _RANGE.fullmatch(part.strip())
        if not found:
            raise ValueError(f"{shown(part)} is no index: start[-end[:step]]")
        first = int(found[1])
        last, step = int(found[2] or first), int(found[3] or 1)
        if not 0 < first <= last or not step:
            raise ValueError(f"{shown(part)} is no index: they start at 1 and go up")
        ranges.append((first, last, step))
    return match[1], Array(text[len(match[1]) :], once(ranges), int(match[3]) if match[3] else None)


def moment(text: str) -> Begin:
    """`[[year:][month:]day:]hour:minute`; only a year says which day it is."""
    parts = text.split(":")
    if not 2 <= len(parts) <= 5 or not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
        raise ValueError(f"{shown(text)} is no time: [[year:][month:]day:]hour:minute")
    numbers = [int(part) for part in parts]
    # A leap year and a long month, where they are not given.
    padded = [*[2000, 1, 1][: 5 - len(numbers)], *numbers]
    try:
        found = datetime(*padded)  # type: ignore[arg-type]
    except ValueError:
        raise ValueError(f"{shown(text)} is no time: a part of it is out of range") from None
    if len(numbers) < 5:
        return Begin(text)
    if numbers[0] < 1970:
        raise ValueError(f"{shown(text)} is no time: the year is after 1970")
    return Begin(text, at=found.isoformat())


def dependency(text: str) -> Dependency:
    """A dependency expression: conditions with `&&`, `||`, `!` and parentheses."""
    terms: list[tuple[str, str]] = []
    plain, operators = True, set[str]()
    at, depth, operand = 0, 0, False
    while at < len(text):
        match = _CONDITION.match(text, at)
        token = match[1] if match else ""
        if (token in {"&&", "||", ")"} and not operand) or (token in {"!", "("} and operand) or not token:
            raise ValueError(f"{shown(text)} is no dependency: wrong from {shown(text[at : at + 20])}")
        at = match.end() if match else at
        if token in {"&&", "||"}:
            operators.add(token)
            operand = False
        elif token in {"!", "(", ")"}:
            depth += {"(": 1, ")": -1}.get(token, 0)
            plain = False
        elif operand:
            raise ValueError(f"{shown(text)} is no dependency: an operator is missing before {shown(token)}")
        else:
            operand = True
            call = _CALL.fullmatch(token)
            if "(" in token and token.split("(", 1)[0] not in _CALLS:
                raise ValueError(f"{shown(token)} is no condition: done, ended, exit, started, ...")
            kind = _KINDS.get(call[1]) if call else "afterok" if token.isdigit() else None
            if kind is None or (call and call[3] == "*" and kind != "afterok"):
                plain = False
            elif call and call[3] == "*":
                terms.append(("aftercorr", call[2]))
            else:
                terms.append((kind, f"{call[2]}_{call[3]}" if call and call[3] else call[2] if call else token))
        if depth < 0:
            break
    if depth or not operand:
        raise ValueError(f"{shown(text)} is no dependency expression")
    if not plain or len(operators) > 1:
        return Dependency(text)
    grouped: dict[str, list[str]] = {}
    for kind, job in terms:
        grouped.setdefault(kind, []).append(job)
    return Dependency(text, tuple((kind, tuple(ids)) for kind, ids in grouped.items()), operators == {"||"})


def environment(text: str) -> Environment:
    """`none`, `all[, ~NAME, NAME=value ...]` or `NAME[=value], ...`."""
    names, values, every, at = list[str](), list[tuple[str, str]](), False, 0
    if text.strip() == "none":
        return Environment(text, all=False)
    while at < len(text):
        if text[at] in " ~":
            at += 1
            continue
        match = _ENTRY.match(text, at)
        if not match or (match.end() < len(text) and text[match.end()] != ","):
            raise ValueError(f"{shown(text)} is no list of variables, wrong from {shown(text[at : at + 20])}")
        removed = text[at - 1 : at] == "~"
        if match[1] == "all" and match[2] is None and not at:
            every = True
        elif match[2] is not None:
            values.append((match[1], match[2].strip().strip("'")))
        elif not removed:
            names.append(match[1])
        at = match.end() + 1
    return Environment(text, every, tuple(names), tuple(values))
