"""Read what `lfs` prints. lfs(1), lfs-df(1), lfs-quota(1), lfs-getstripe(1); Lustre Operations Manual, chapter 40."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers.storage._quota import Quota, quota
from resource_secretary.reading import strange, whole
from resource_secretary.run import printable

_TARGET = re.compile(
    r"(\S+)_UUID\s+([0-9]+)\s+([0-9]+)\s+([0-9]+)\s+\S+\s+(/.*?)\[(MDT|OST):([0-9]+)\s*(\w*)\]\s*(\w*)"
)
_GONE = re.compile(r"(MDT|OST)([0-9a-fA-F]{1,6})\s*:\s*(\S.*)")
_AMOUNT = re.compile(r"\[?([0-9]+)k?\]?(\*?)", re.ASCII)
_QUOTA = re.compile(r"(?:^|\s)(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*$")
_PAIR = re.compile(r"([a-z][a-z_.]*):[ \t]+([^\s:]+)(?![\w:])")
_SERVER = re.compile(r"(\S+?)[:]?\s+(active|inactive|check error:.*|.*error.*)\.?\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LustreTarget:
    """A target: bytes. kind: MDT (metadata) or OST (data). flags: as `lfs df` adds them: D degraded, R read-only,
    S out of space, I out of inodes. problem: why it does not tell, "" where it does.
    """

    file_system: str
    name: str
    kind: str
    index: int
    total: int | None
    used: int | None
    free: int | None
    flags: str
    problem: str


@dataclass(frozen=True, slots=True)
class Stripe:
    """How a part of a file is striped. start, end: bytes, end None for the end of the file. stripe_count: None for all
    OSTs. stripe_size: bytes.
    """

    start: int
    end: int | None
    stripe_count: int | None
    stripe_size: int
    pattern: str | None
    pool: str | None


@dataclass(frozen=True, slots=True)
class Server:
    """A connection of this client. state: active, inactive, or what is wrong."""

    name: str
    state: str


def read_targets(text: str, point: str) -> list[LustreTarget]:
    """The targets of `lfs df` on one mount, in KiB there. Raises OutputError where it names none."""
    targets = []
    for line in text.splitlines():
        match, gone = _TARGET.match(line), _GONE.match(line)
        if match:
            amounts = [whole(match[number], 1024) for number in (2, 3, 4)]
            index = whole(match[7])
            if index is None or not _adds_up(amounts):
                targets.append(_unread(point, line))
                continue
            flags = f"{match[8]}{match[9]}"
            name = printable(match[1])
            targets.append(LustreTarget(point, name, match[6], index, amounts[0], amounts[1], amounts[2], flags, ""))
        elif gone:
            why = printable(gone[3])[:80]
            name = f"{gone[1]}{gone[2]}"
            targets.append(LustreTarget(point, name, gone[1], int(gone[2], 16), None, None, None, "", why))
        elif line.strip() and not line.startswith(("UUID", "filesystem_summary", "filesystem summary")):
            targets.append(_unread(point, line))
    if not any(target.kind for target in targets):
        raise strange("lfs df", "names no target", text)
    return targets


def _adds_up(amounts: list[int | None]) -> bool:
    """Whether what is used and what is free of a target are no more than all of it."""
    total = amounts[0]
    return total is not None and all(amount is not None and amount <= total for amount in amounts)


def _unread(point: str, line: str) -> LustreTarget:
    return LustreTarget(point, "", "", 0, None, None, None, "", f"can't be read: {printable(line)[:80]}")


def read_quota(text: str, point: str, kind: str, name: str) -> Quota:
    """The quota of `lfs quota`: a line of eight columns behind the name of the file system, which may stand alone.

    Values in brackets are not exact: a target did not answer. Raises OutputError.
    """
    source = f"lfs quota of {point}"
    for line in text.splitlines():
        match = _QUOTA.search(line)
        if not match or line.lstrip().startswith(("Filesystem", "Disk quotas")):
            continue
        cells = match.groups()
        amounts = [_AMOUNT.fullmatch(cells[index]) for index in (0, 1, 2, 4, 5, 6)]
        if None in amounts:
            continue
        numbers = [whole(one[1], 1024 if index < 3 else 1) for index, one in enumerate(amounts) if one]
        if None in numbers:
            raise OutputError(source, "", f"{printable(line)[:100]} has an absurd number")
        inexact = any("[" in cell for cell in cells)
        return quota(
            point,
            kind,
            name,
            (numbers[0], numbers[1], numbers[2]),
            (numbers[3], numbers[4], numbers[5]),
            (_grace(cells[3]), _grace(cells[7])),
            "not exact: a target did not answer" if inexact else "",
        )
    raise strange(source, "holds no quota", text)


def read_layout(text: str, path: str) -> list[Stripe]:
    """The layout of `lfs getstripe -d`: one part, or the components of a progressive layout. Raises OutputError."""
    parts: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        if line.strip() == path or "{" in line:
            continue
        for key, value in _PAIR.findall(line):
            short = key.removeprefix("lmm_").removeprefix("lcme_extent.")
            if key == "lcme_id":
                parts.append({})
            parts[-1].setdefault(short, value)
    made = [_stripe(part, path) for part in parts if "stripe_count" in part or "stripe_size" in part]
    if not made:
        raise strange(f"lfs getstripe of {path}", "holds no layout", text)
    return made


def read_servers(text: str) -> list[Server]:
    """The connections of `lfs check servers`. A line that can't be read is one with its text as the state."""
    found = []
    for line in text.splitlines():
        match = _SERVER.match(line)
        if match:
            found.append(Server(printable(match[1]), printable(match[2]).rstrip(".")))
        elif line.strip():
            found.append(Server("", printable(line.strip())[:100]))
    return found


def read_project(text: str, path: str) -> int | None:
    """The project's number of `lfs project -d`: `  1000 P /path`; None for 0, which is no project."""
    for word in _first_words(text):
        number = whole(word)
        if number is not None:
            return number or None
    raise strange(f"lfs project of {path}", "names no project", text)


def _first_words(text: str) -> Iterator[str]:
    return (line.split()[0] for line in text.splitlines() if line.strip())


def _stripe(part: dict[str, str], path: str) -> Stripe:
    source = f"lfs getstripe of {path}"

    def number(key: str, default: str | None = None) -> int:
        value = whole(part.get(key, default))
        if value is None:
            raise OutputError(source, "", f"{key} must be a whole number, not {part.get(key)!r:.40}")
        return value

    return Stripe(
        start=number("e_start", "0"),
        end=None if part.get("e_end", "EOF") in ("EOF", "eof") else number("e_end"),
        stripe_count=None if part.get("stripe_count") == "-1" else number("stripe_count"),
        stripe_size=number("stripe_size"),
        pattern=part.get("pattern"),
        pool=part.get("pool"),
    )


def _grace(text: str) -> str | None:
    return None if text in ("-", "0", "none") else printable(text)
