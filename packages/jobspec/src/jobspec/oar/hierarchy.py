"""What -l says: hierarchies of resources such as {sql}/nodes=2/core=4+/gpu=1, and a walltime (oarsub(1), -l)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.oar.options import CORES, GPUS, NODES, SOCKETS

_WALLTIME = re.compile(r"(?:^|,)[ \t]{0,200}walltime[ \t]{0,200}=[ \t]{0,200}([0-9:]{1,60})$")
_LEVEL = re.compile(
    r"[ \t]{0,200}([A-Za-z_][A-Za-z0-9_]{0,200})[ \t]{0,200}=[ \t]{0,200}([0-9]{1,9}|ALL|BEST)[ \t]{0,200}"
)
_LONGEST = 2**31


@dataclass(frozen=True, slots=True)
class Group:
    """One hierarchy; the counts are totals, None where it has no such level. `open`: some level is ALL or BEST."""

    levels: tuple[tuple[str, str], ...]
    filter: str = ""
    nodes: int | None = None
    sockets: int | None = None
    gpus: int | None = None
    cores: int | None = None
    open: bool = False


def walltime(text: str) -> tuple[str, str | None, int]:
    """(the resources, the walltime's text or None, the offset of the word walltime). Raises ValueError."""
    match = _WALLTIME.search(text)
    if match:
        return text[: match.start()].strip(), match[1], text.index("walltime", match.start())
    if re.search(r"(?:^|,)[ \t]{0,200}walltime[ \t]{0,200}=", text):
        raise ValueError("a walltime is h, h:m or h:m:s, at the end of the line")
    return text.strip(), None, 0


def seconds(text: str) -> int:
    """Hours, minutes and seconds; what is left out is 0, and what stands behind the seconds does not count."""
    hours, minutes, rest = (int(part[:9] or 0) for part in (*text.split(":"), "", "")[:3])
    return hours * 3600 + minutes * 60 + rest


def groups(text: str) -> list[Group]:
    """The hierarchies, joined by + or a comma. Raises ValueError with what can't be read."""
    return [_group(part) for part in _parts(text)] if text else []


def _parts(text: str) -> Iterator[str]:
    start, depth = 0, 0
    for at, letter in enumerate(text):
        if letter == "{":
            depth += 1
        elif letter == "}":
            depth -= 1
        elif letter in "+," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _group(text: str) -> Group:
    rest, properties = text.strip(), ""
    if rest.startswith("{"):
        end = rest.find("}")
        properties = rest[1:end].strip()
        if end < 0 or not properties:
            raise ValueError(f"{text[:60]!r}: no properties between the braces")
        rest = rest[end + 1 :].strip()
    rest = rest.removeprefix("/").removeprefix("/")
    rest = rest[:-1] if rest.endswith("/") else rest
    levels = []
    counts: dict[str, int] = {}
    total, loose = 1, False
    for level in rest.split("/"):
        match = _LEVEL.fullmatch(level.strip())
        if not match or match[1] == "walltime":
            raise ValueError(f"{level.strip()[:60]!r} is no level such as nodes=2")
        name, count = match.groups()
        if count.isdigit():
            total *= int(count)
            if not 0 < total < _LONGEST:
                raise ValueError(f"{level.strip()[:60]!r}: there can't be so many")
        else:
            loose = True
        levels.append((name, count))
        kind = _kind(name)
        if kind:
            counts[kind] = total
    return Group(tuple(levels), properties, open=loose, **counts)


def _kind(name: str) -> str:
    lower = name.lower()
    if lower in NODES:
        return "nodes"
    if lower in SOCKETS:
        return "sockets"
    if lower in GPUS:
        return "gpus"
    return "cores" if lower in CORES else ""
