"""The values of LoadLeveler's keywords. Each raises ValueError with what is wrong.

Source: Using and Administering, "Job command file keyword descriptions".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from resources.units import shown

from jobspec.job import UNLIMITED, Begin, Constraint, Environment

_CLOCK = re.compile(r"(?:(?:([0-9]{1,9})\+)?(?:([0-9]{1,9}):)?([0-9]{1,9}):)?([0-9]{1,12})(?:\.[0-9]{1,9})?", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15})\s*([A-Za-z]{0,2})", re.ASCII)
_RESOURCE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]{0,100})\s*\(([^()]{0,60})\)\s*", re.ASCII)
_GROUP = re.compile(r"\s*\(([0-9, ]{1,60000})\)\s*", re.ASCII)
_FEATURE = re.compile(r"\s*\(?\s*Feature\s*==\s*\"([^\"]{1,200})\"\s*\)?\s*", re.ASCII)
_DATE = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{2,4})(?:\s+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?", re.ASCII)
_AFFINITY = re.compile(r"(core|cpu)(?:\(([0-9]{1,9})\))?", re.ASCII | re.IGNORECASE)
# "b" bytes, "w" words of 4 bytes; bare: MB for memory
_UNITS = {"b": 1, "w": 4, "kb": 2**10, "kw": 2**12, "mb": 2**20, "mw": 2**22, "gb": 2**30, "gw": 2**32, "tb": 2**40,
          "tw": 2**42, "": 2**20}  # fmt: skip
NOTIFICATIONS = {
    "always": ("BEGIN", "END", "FAIL"),
    "start": ("BEGIN",),
    "complete": ("END", "FAIL"),
    "error": ("FAIL",),
    "never": (),
}


def count(text: str) -> int:
    """A positive whole number."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not int(text):
        raise ValueError(f"{shown(text)} is no positive whole number")
    return int(text)


def nodes(text: str) -> tuple[int, int]:
    """`[min][,[max]]`."""
    least, _, most = (part.strip() for part in text.partition(","))
    low = count(least) if least else 1
    high = count(most) if most else low
    if high < low or not (least or most):
        raise ValueError(f"{shown(text)} is no number of nodes: min,max")
    return low, high


def clock(text: str) -> int | Literal["unlimited"]:
    """Seconds of `[[hours:]minutes:]seconds[.fraction]`, or no limit."""
    if text.lower() in {"unlimited", "rlim_infinity"}:
        return UNLIMITED
    match = _CLOCK.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is no time: [[hours:]minutes:]seconds")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def limit(text: str) -> tuple[int | Literal["unlimited"], int | Literal["unlimited"] | None]:
    """`hard[,soft]`; the quotes around them may be there or not."""
    hard, _, soft = (part.strip() for part in text.replace('"', "").partition(","))
    if not hard:
        raise ValueError(f"{shown(text)} is no limit: hard,soft")
    return clock(hard), clock(soft) if soft else None


def size(text: str) -> int:
    """Bytes: a whole number with a unit (bare: MB)."""
    match = _SIZE.fullmatch(text.strip())
    if not match or match[2].lower() not in _UNITS:
        raise ValueError(f"{shown(text)} is no amount of memory: a number with b, kb, mb, gb, ... (bare: mb)")
    return int(match[1]) * _UNITS[match[2].lower()]


def resources(text: str) -> list[tuple[str, str, int]]:
    """(name, amount, offset) of `name(amount) name(amount)`."""
    found, at = [], 0
    while at < len(text):
        match = _RESOURCE.match(text, at)
        if not match:
            raise ValueError(f"{shown(text)} is no list of resources: name(amount) name(amount)")
        found.append((match[1], match[2].strip(), match.start(1)))
        at = match.end()
        if text[at : at + 1] == ",":
            at += 1
    return found


def geometry(text: str) -> tuple[int, int, int]:
    """(nodes, tasks, most tasks of a node) of `{(0,1) (2,3)}`."""
    body = text.strip()
    if not (body.startswith("{") and body.endswith("}")):
        raise ValueError(f"{shown(text)} is no task geometry: {{(0,1) (2,3)}}")
    at, sizes = 1, list[int]()
    while at < len(body) - 1:
        match = _GROUP.match(body, at)
        if not match:
            raise ValueError(f"{shown(text)} is no task geometry: {{(0,1) (2,3)}}")
        sizes.append(len([one for one in match[1].split(",") if one.strip()]))
        at = match.end()
    if not sizes or not all(sizes):
        raise ValueError(f"{shown(text)} is no task geometry: it is empty")
    return len(sizes), sum(sizes), max(sizes)


def requirements(text: str) -> Constraint:
    """An expression; a plain list of features where it is `(Feature == "a") && (Feature == "b")`."""
    found = [_FEATURE.fullmatch(part) for part in text.split("&&")]
    return Constraint(text, tuple(one[1] for one in found if one) if all(found) else ())


def environment(text: str) -> Environment:
    """`COPY_ALL; $NAME; NAME=value; !NAME`."""
    every, names, values = False, list[str](), list[tuple[str, str]]()
    for one in (part.strip() for part in text.strip('"').split(";")):
        name, equals, value = one.partition("=")
        if one.upper() == "COPY_ALL":
            every = True
        elif equals and name.strip():
            values.append((name.strip(), value.strip()))
        elif one.startswith("$") and len(one) > 1:
            names.append(one[1:])
        elif one and not one.startswith("!"):
            raise ValueError(f"{shown(one)} is no part of an environment: COPY_ALL, $NAME, NAME=value or !NAME")
    return Environment(text, every, tuple(names), tuple(values))


def startdate(text: str) -> Begin:
    """`mm/dd/yyyy [hh:mm[:ss]]`; a time alone is of the day of the submission."""
    match = _DATE.fullmatch(text.strip())
    if not match:
        if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?", text.strip(), re.ASCII):
            return Begin(text)
        raise ValueError(f"{shown(text)} is no date: mm/dd/yyyy hh:mm:ss")
    month, day, year, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        at = datetime(year + 2000 if year < 100 else year, month, day, hour, minute, second)
    except ValueError:
        raise ValueError(f"{shown(text)} is no date: mm/dd/yyyy hh:mm:ss") from None
    return Begin(text, at=at.isoformat())


def affinity(text: str) -> int | None:
    """The cores of each task of `core(n)`; None where hardware threads are meant."""
    match = _AFFINITY.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{shown(text)} is no affinity: core(n) or cpu(n)")
    return count(match[2] or "1") if match[1].lower() == "core" else None


def choice(*known: str) -> Callable[[str], str]:
    """A reader of one word out of these."""

    def read(text: str) -> str:
        if text.strip().lower() not in known:
            raise ValueError(f"{shown(text)}: it is one of {', '.join(known)}")
        return text.strip().lower()

    return read


def text(value: str) -> str:
    """Any text that is not empty."""
    if not value.strip():
        raise ValueError("it is empty")
    return value
