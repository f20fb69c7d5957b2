"""The values of sbatch's options: text in, numbers out. Each raises ValueError with what is wrong.

Times in seconds after sbatch's rounding to minutes, memory in bytes after its rounding to MB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from resources.units import shown

from jobspec.job import UNLIMITED, Nodes

_INT = re.compile(r"[ \t\n\v\f\r]*\+?([0-9]{1,18})", re.ASCII)
_NODES = re.compile(r"([0-9]{0,9})([kKmM]?)(?:-([0-9]{1,9})([kKmM]?))?[ \t\n\v\f\r]*", re.ASCII)
_DAYS = re.compile(r"([0-9]{1,9})-(?:([0-9]{1,9})(?::([0-9]{1,9}))?(?::([0-9]{1,9}))?)?", re.ASCII)
_CLOCK = re.compile(r"([0-9]{1,9})(?::([0-9]{1,9}))?(?::([0-9]{1,9}))?", re.ASCII)
_MEMORY = re.compile(r"[ \t\n\v\f\r]*\+?([0-9]{1,12})(?:([KMGT])B?)?", re.ASCII | re.IGNORECASE)
_COUNT = re.compile(r"([0-9]{1,12})(?:([KMGTP])(B?))?", re.ASCII | re.IGNORECASE)
_SHIFT = {"": 20, "K": 10, "M": 20, "G": 30, "T": 40}
LARGEST = 2**31 - 1

Counts = tuple[tuple[str, str, int], ...]  # name, type, count


def whole(text: str) -> int:
    """A positive number, as -n, -c and their like take it: no suffix, nothing behind it."""
    match = _INT.fullmatch(text)
    if not match or not 0 < int(match[1]) <= LARGEST:
        raise ValueError(f"{shown(text)} is no positive whole number")
    return int(match[1])


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


def time(text: str) -> int | Literal["unlimited"]:
    """Seconds, rounded up to minutes: `M`, `M:S`, `H:M:S`, `D-`, `D-H`, `D-H:M`, `D-H:M:S`. Zero is unlimited."""
    if text.lower() in {"-1", "infinite", "unlimited"}:
        return UNLIMITED
    if match := _DAYS.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    elif match := _CLOCK.fullmatch(text):
        parts = [int(part) for part in match.groups() if part is not None]
        # Two numbers are minutes and seconds: `4:00` is four minutes.
        padded = [0, *parts, 0] if len(parts) == 1 else [0] * (3 - len(parts)) + parts
        days, (hours, minutes, seconds) = 0, padded
    else:
        raise ValueError(f"{shown(text)} is no time; they are M, M:S, H:M:S, D-H, D-H:M and D-H:M:S")
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return -(-total // 60) * 60 or UNLIMITED


def memory(text: str) -> int:
    """Bytes: a whole number with K, M, G or T (powers of 1024; bare: MB), rounded up to MB. Zero is all of the node."""
    match = _MEMORY.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is no amount of memory: a whole number with K, M, G or T (bare: MB)")
    return -(-(int(match[1]) << _SHIFT[(match[2] or "").upper()]) >> 20) << 20


def gres(text: str) -> Counts:
    """`NAME[:TYPE][:COUNT]`, comma separated; a count of 0 asks for nothing."""
    if text.lower() == "none" or not text:
        return ()
    return _together(text, (_gres_entry(part.removeprefix("gres:"), text) for part in text.split(",")))


def _gres_entry(entry: str, text: str) -> tuple[str, str, int]:
    name, *rest = entry.split(":")
    count = 1
    if rest and (number := _count(rest[-1])) is not None:
        count = number
        rest.pop()
    if not name or name[0].isspace() or "=" in entry or len(rest) > 1 or "" in rest:
        raise ValueError(f"{shown(text)}: {shown(entry)} is no NAME[:TYPE][:COUNT]")
    return name, rest[0] if rest else "", count


def gpus(text: str) -> Counts:
    """`[TYPE:]COUNT`, comma separated."""
    return _together(text, (_gpu_entry(part, text) for part in text.split(",")))


def _gpu_entry(entry: str, text: str) -> tuple[str, str, int]:
    kind, _, number = entry.rpartition(":")
    count = _count(number)
    if count is None or ":" in kind or (not kind and entry != number):
        raise ValueError(f"{shown(text)}: {shown(entry)} is no [TYPE:]COUNT")
    return "gpu", kind, count


def _together(text: str, entries: Any) -> Counts:
    wanted = tuple(entry for entry in entries if entry[2])
    for name in {name for name, _, _ in wanted}:
        types = {kind for other, kind, _ in wanted if other == name}
        if "" in types and len(types) > 1:
            raise ValueError(f"{shown(text)}: {name} both with and without a type")
    return wanted


def _count(text: str) -> int | None:
    match = _COUNT.fullmatch(text)
    if not match:
        return None
    base = 1000 if match[3] else 1024
    scale: int = base ** (" KMGTP".index(match[2].upper()) if match[2] else 0)
    return int(match[1]) * scale


def licenses(text: str) -> tuple[tuple[str, int], ...]:
    """`NAME[@SERVER][:COUNT]`, comma separated."""
    found = []
    for entry in re.split("[,;]", text):
        name, _, number = entry.partition(":")
        if not name.strip() or (number and not number.isdecimal()) or len(number) > 9:
            raise ValueError(f"{shown(text)}: {shown(entry)} is no NAME[:COUNT]")
        found.append((name.strip(), int(number or 1)))
    return tuple(found)


def words(text: str) -> str:
    """Any text."""
    return text


# the field of `Asked` -> how its value is read
READ: Mapping[str, Callable[[str], object]] = {
    "cores_per_socket": whole,
    "cpus_per_gpu": whole,
    "cpus_per_task": whole,
    "exclusive": words,
    "gpus": gpus,
    "gpus_per_node": gpus,
    "gpus_per_socket": gpus,
    "gpus_per_task": gpus,
    "gres": gres,
    "licenses": licenses,
    "mem": memory,
    "mem_per_cpu": memory,
    "mem_per_gpu": memory,
    "name": words,
    "nodelist": words,
    "nodes": nodes,
    "ntasks": whole,
    "ntasks_per_gpu": whole,
    "ntasks_per_node": whole,
    "sockets_per_node": whole,
    "threads_per_core": whole,
    "time": time,
    "tmp": memory,
}
