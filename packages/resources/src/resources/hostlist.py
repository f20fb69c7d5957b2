"""Lists of host names in compressed form: `n[1-400]`, `rack[00-03]-ib`, in order, repeats kept.

Flux RFC 29, "Implementation". Several brackets in one name are read too, as Slurm writes them
(`r[0-1]n[0-3]`: the last one runs fastest).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product

from resources.errors import InputError
from resources.units import shown

MOST_HOSTS = 2**20  # hosts that one list may expand to
LONGEST = 255  # characters of a host name (RFC 1035, section 2.3.4)
_EXPRESSION = re.compile(r"(?:[^\s,\[\]\x00-\x20\x7f-\U0010ffff]|\[[0-9,-]*\])+")
_PIECE = re.compile(r"\[([0-9,-]*)\]|([^\[\]]+)")
_RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", re.ASCII)
_NUMBERED = re.compile(r"(.*?)([0-9]{1,18})([^0-9]*)", re.ASCII | re.DOTALL)


def expand(text: str) -> list[str]:
    """The host names of a hostlist; "" is none. Raises InputError."""
    if not isinstance(text, str):
        raise InputError(f"a hostlist is a text, not {shown(text)}")
    hosts: list[str] = []
    at = 0
    while at < len(text):
        match = _EXPRESSION.match(text, at)
        if not match or (match.end() < len(text) and text[match.end()] != ",") or match.end() == len(text) - 1:
            raise InputError(f"{shown(text)} is no hostlist such as n[1-4],login1")
        hosts.extend(_expression(match[0], MOST_HOSTS - len(hosts)))
        at = match.end() + 1
    return hosts


def _expression(expression: str, room: int) -> list[str]:
    choices: list[list[str]] = []
    size, length = 1, 0
    for match in _PIECE.finditer(expression):
        choices.append(_numbers(match[1], expression, room) if match[2] is None else [match[2]])
        size *= len(choices[-1])
        length += len(choices[-1][-1])  # the last number is the longest
        if length > LONGEST:
            raise InputError(f"{shown(expression)}: a host name has at most {LONGEST} characters")
        if size > room:
            raise InputError(f"{shown(expression)}: a hostlist names at most {MOST_HOSTS} hosts")
    return ["".join(parts) for parts in product(*choices)]


def _numbers(idlist: str, expression: str, room: int) -> list[str]:
    names: list[str] = []
    width = 0
    for at, part in enumerate(idlist.split(",")):
        match = _RANGE.fullmatch(part)
        if not match:
            raise InputError(f"{shown(expression)}: [{idlist}] is no list of numbers such as 1-4,7")
        first, last = int(match[1]), int(match[2] or match[1])
        if at == 0:
            # RFC 29: the leading zeros of the first element hold for all.
            width = len(match[1]) if match[1].startswith("0") else 0
        if last < first:
            raise InputError(f"{shown(expression)}: {part} runs backwards")
        if last - first + 1 + len(names) > room:
            raise InputError(f"{shown(expression)}: a hostlist names at most {MOST_HOSTS} hosts")
        own = max(width, len(match[1]) if match[1].startswith("0") else 0)
        names.extend(f"{number:0{own}d}" for number in range(first, last + 1))
    return names


def checked(names: Iterable[object]) -> list[str]:
    """Host names as they are. Raises InputError for what is none."""
    made: list[str] = []
    for name in names:
        if not isinstance(name, str) or len(name) > LONGEST or not _EXPRESSION.fullmatch(name) or "[" in name:
            raise InputError(f"{shown(name)} is no host name")
        made.append(name)
    return made


def compress(hosts: Iterable[str]) -> str:
    """The shortest hostlist that `expand` reads back as exactly these names in this order."""
    parts: list[str] = []
    run: list[tuple[int, int]] = []  # ranges of the run of names that share prefix, suffix and width
    shape: tuple[str, str, int] | None = None

    def flush() -> None:
        if shape is None:
            return
        prefix, suffix, width = shape
        ids = ",".join(f"{a:0{width}d}" if a == b else f"{a:0{width}d}-{b:0{width}d}" for a, b in run)
        single = len(run) == 1 and run[0][0] == run[0][1]
        parts.append(f"{prefix}{ids}{suffix}" if single else f"{prefix}[{ids}]{suffix}")

    for host in checked(hosts):
        match = _NUMBERED.fullmatch(host)
        if not match:
            flush()
            shape, run = None, []
            parts.append(host)
            continue
        prefix, digits, suffix = match.groups()
        number, length = int(digits), len(digits)
        padded = length if digits.startswith("0") and length > 1 else 0
        if shape and shape[:2] == (prefix, suffix) and _same_width(shape[2], padded, length):
            first, last = run[-1]
            if number == last + 1:
                run[-1] = (first, number)
            else:
                run.append((number, number))
            continue
        flush()
        shape, run = (prefix, suffix, padded), [(number, number)]
    flush()
    return ",".join(parts)


def _same_width(width: int, padded: int, length: int) -> bool:
    """Whether a number of this length, padded or not, reads back in a run of this width."""
    return (padded in (0, width) and length >= width and (length == width or not padded)) if width else padded == 0
