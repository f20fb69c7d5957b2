"""The numbers among the values of sbatch's options: text in, numbers out. Each raises ValueError with what is wrong.

Times in seconds after sbatch's rounding to minutes, memory in bytes after its rounding to MB. sbatch(1) gives the
forms; where it is silent they are what sbatch 22.05 does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from resources.errors import InputError
from resources.hostlist import expand
from resources.units import shown

from jobspec.job import UNLIMITED, Nodes

_INT = re.compile(r"[ \t\n\v\f\r]*\+?([0-9]{1,18})", re.ASCII)
_SIGNED = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]{1,18})", re.ASCII)
_NODES = re.compile(
    r"[ \t\v\f\r]*\+?([0-9]{0,9})([kKmM]?)(?:-[ \t\v\f\r]*\+?([0-9]{1,9})([kKmM]?))?[ \t\v\f\r]*", re.ASCII
)
_SHAPE = re.compile(r"\*|(?:[0-9]{1,9}(?:-[0-9]{1,9})?)?", re.ASCII)
_AFTER_BRACKET = re.compile(r"\][^,\[\]]{1,200}(?:,|$)")
_GRES_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_DAYS = re.compile(r"([0-9]{1,9})-(?:([0-9]{1,9})(?::([0-9]{1,9}))?(?::([0-9]{1,9}))?)?", re.ASCII)
_NEGATIVE = re.compile("-([1-9][0-9]{0,5})", re.ASCII)
_CLOCK = re.compile(r"([0-9]{1,9})(?::([0-9]{1,9}))?(?::([0-9]{1,9}))?", re.ASCII)
_MEMORY = re.compile(r"[ \t\n\v\f\r]*\+?([0-9]{1,12})(?:([KMGT])B?)?", re.ASCII | re.IGNORECASE)
_COUNT = re.compile(r"([0-9]{1,12})(?:([KMGTP])(B?))?", re.ASCII | re.IGNORECASE)
_SHIFT = {"": 20, "K": 10, "M": 20, "G": 30, "T": 40}
LARGEST = 2**31 - 1
_SHARED = frozenset(("mps", "shard"))
MOST_HOSTS = 65536  # in one range: sbatch refuses more

Counts = tuple[tuple[str, str, int], ...]  # name, type, count


def words(text: str) -> str:
    """Any text."""
    return text


def whole(text: str) -> int:
    """A positive number, as -n, -c and their like take it: no suffix, nothing behind it."""
    match = _INT.fullmatch(text)
    if not match or not 0 < int(match[1]) <= LARGEST:
        raise ValueError(f"{shown(text)} is no positive whole number")
    return int(match[1])


def core_spec(text: str) -> int:
    """A number from 0 up."""
    match = _INT.fullmatch(text)
    if not match or int(match[1]) > LARGEST:
        raise ValueError(f"{shown(text)} is no whole number")
    return int(match[1])


def nice(text: str) -> int:
    """An adjustment; without a number in front it is 0, without anything 100."""
    if not text:
        return 100
    match = _SIGNED.match(text)
    number = int(match[1]) if match else 0
    if abs(number) > LARGEST - 2:
        raise ValueError(f"{shown(text)} is out of range")
    return number


def nodes(text: str) -> Nodes:
    """`N` or `MIN-MAX`, each with k (1024) or m; `-4` is 1-4."""
    match = _NODES.fullmatch(text)
    if not match or not (match[1] or (match[3] and not match[2])):
        raise ValueError(f"{shown(text)} is not a valid node count (N or MIN-MAX)")
    least = int(match[1] or 1) * _node_scale(match[2])
    most = int(match[3]) * _node_scale(match[4]) if match[3] else least
    if most < least:
        raise ValueError(f"{shown(text)} is not a valid node count: the upper limit is the smaller one")
    return Nodes(least, most)


def _node_scale(suffix: str) -> int:
    return {"": 1, "k": 1024, "m": 1024**2}[suffix.lower()]


def seconds(text: str) -> int | Literal["unlimited"]:
    """Seconds: `M`, `M:S`, `H:M:S`, `D-`, `D-H`, `D-H:M`, `D-H:M:S`."""
    if text.lower() in {"-1", "infinite", "unlimited"}:
        return UNLIMITED
    if match := _NEGATIVE.fullmatch(text):
        return (2**32 + 1 - int(match[1]) * 1440) * 60  # days below zero, as Slurm wraps them
    if match := _CLOCK.fullmatch(text):
        first, second, third = match.groups()
        # Two numbers are minutes and seconds: `4:00` is four minutes.
        if third is not None:
            return int(first) * 3600 + int(second) * 60 + int(third)
        return int(first) * 60 + int(second or 0)
    if match := _DAYS.fullmatch(text):
        days, hours, minutes, rest = match.groups()
        return ((int(days) * 24 + int(hours or 0)) * 60 + int(minutes or 0)) * 60 + int(rest or 0)
    raise ValueError(f"{shown(text)} is no time; they are M, M:S, H:M:S, D-H, D-H:M and D-H:M:S")


def time(text: str) -> int | Literal["unlimited"]:
    """Seconds, rounded up to minutes. Zero is unlimited."""
    total = seconds(text)
    return total if total == UNLIMITED else -(-total // 60) * 60 or UNLIMITED


def memory(text: str) -> int:
    """Bytes: a whole number with K, M, G or T (powers of 1024; bare: MB), rounded up to MB. Zero is all of the node."""
    match = _MEMORY.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is no amount of memory: a whole number with K, M, G or T (bare: MB)")
    return -(-(int(match[1]) << _SHIFT[(match[2] or "").upper()]) >> 20) << 20


def node_shape(text: str) -> tuple[int | None, int | None, int | None]:
    """Sockets, cores and threads of -B: `S[:C[:T]]`, `*` for any."""
    parts = text.split(":")[:3]
    if not all(_SHAPE.fullmatch(part) for part in parts):
        raise ValueError(f"{shown(text)} is no SOCKETS[:CORES[:THREADS]]")
    numbers = [int(part.partition("-")[0] or 0) or None if part != "*" else None for part in parts] + [None, None]
    return numbers[0], numbers[1], numbers[2]


def switches(text: str) -> str:
    """`COUNT[@TIME]`; a time that is none is not looked at."""
    whole(text.partition("@")[0])
    return text


def gres(text: str) -> Counts:
    """`NAME[:TYPE][:COUNT]`, comma separated; a count of 0 asks for nothing."""
    if text.lower() == "none":
        return ()
    return _together(text, (_gres_entry(part.removeprefix("gres:"), text) for part in text.split(",")))


def _gres_entry(entry: str, text: str) -> tuple[str, str, int]:
    name, *rest = entry.split(":")
    count = 1
    if rest and (number := _count(rest[-1])) is not None:
        count = number
        rest.pop()
    if not _GRES_NAME.fullmatch(name) or "=" in entry or len(rest) > 1 or "" in rest or _half_number(rest):
        raise ValueError(f"{shown(text)}: {shown(entry)} is no NAME[:TYPE][:COUNT]")
    return name, rest[0] if rest else "", count


def _half_number(rest: list[str]) -> bool:
    """Whether what is left for a type begins like a number: Slurm takes the last word for a count then."""
    return len(rest) == 1 and rest[0][:1].isdigit() and not rest[0].isdigit()


def gpus(text: str) -> Counts:
    """`[TYPE:]COUNT`, or a TYPE, comma separated."""
    if not text:
        return ()
    return _together(text, (_gpu_entry(part, text) for part in text.removesuffix(",").split(",")))


def _gpu_entry(entry: str, text: str) -> tuple[str, str, int]:
    kind, _, number = entry.rpartition(":")
    count = _count(number.lstrip())
    if count is None and ":" not in entry and not entry[:1].isdigit():
        return "gpu", entry, 1  # as sbatch takes it: a type
    if count is None or ":" in kind or (not kind and entry != number):
        raise ValueError(f"{shown(text)}: {shown(entry)} is no [TYPE:]COUNT")
    return "gpu", kind, count


def _together(text: str, entries: Iterable[tuple[str, str, int]]) -> Counts:
    wanted = tuple(entry for entry in entries if entry[2])
    if len(wanted) > 1:
        for name in {name for name, _, _ in wanted}:
            types = {kind for other, kind, _ in wanted if other == name}
            if "" in types and len(types) > 1:
                raise ValueError(f"{shown(text)}: {name} both with and without a type")
        names = {name for name, _, _ in wanted}
        if "gpu" in names and names & _SHARED:
            raise ValueError(f"{shown(text)}: whole GPUs and parts of them exclude each other")
    return wanted


def _count(text: str) -> int | None:
    match = _COUNT.fullmatch(text)
    if not match:
        return None
    base = 1000 if match[3] else 1024
    scale: int = base ** (" KMGTP".index(match[2].upper()) if match[2] else 0)
    return int(match[1]) * scale


def licenses(text: str) -> tuple[tuple[str, int], ...]:
    """`NAME[@SERVER][:COUNT]`, separated by commas or semicolons."""
    found = []
    for entry in re.split("[,;]", text.rstrip(",;")):
        name, _, number = entry.partition(":")
        number = number.strip()
        if not name or name != name.strip() or "=" in name or (number and not number.isdecimal()) or len(number) > 9:
            raise ValueError(f"{shown(text)}: {shown(entry)} is no NAME[:COUNT]")
        found.append((name, int(number or 1)))
    return tuple(found)


def hosts(text: str) -> str:
    """A list of hosts. A file of them is read where the script is submitted, so that their number is not known here."""
    if "/" in text:
        raise ValueError(f"{shown(text)} names a file of hosts, which is not there")
    return text


def count_hosts(text: str) -> int:
    """The number of distinct hosts of a list. Raises ValueError."""
    plain = re.sub(r"[\s,]+", ",", text).strip(",")
    if plain.count("[") != plain.count("]"):
        return 1  # what sbatch makes of half a bracket
    if _AFTER_BRACKET.search(plain):
        raise ValueError(f"{shown(text)}: nothing may follow a bracket")
    try:
        return len(set(expand(plain))) if plain else 0
    except InputError as error:
        raise ValueError(error.message) from None
