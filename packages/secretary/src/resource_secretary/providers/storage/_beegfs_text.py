"""Read what BeeGFS tells: /proc/fs/beegfs, `beegfs-df` and `beegfs-ctl --getquota --csv` of 7, the JSON of 8.

The JSON of 8.3 is rows of tables between lines for people, later versions give one document with objects in it
(ThinkParQ/beegfs, issue 121): both are read, by the names of their fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from resource_secretary.providers.storage._quota import Quota, quota
from resource_secretary.reading import Record, each, records, scaled, strange, whole
from resource_secretary.run import printable

_SERVER = re.compile(r"(\S+) \[ID: ([0-9]{1,9})\]")
_SECTIONS = {"METADATA SERVERS:": "meta", "STORAGE TARGETS:": "storage"}
_NODE_TYPES = {2: "meta", 3: "storage"}
_UNLIMITED = ("unlimited", "∞", "-", "")


@dataclass(frozen=True, slots=True)
class BeegfsTarget:
    """A target. kind: meta or storage. Bytes and files, None where not told; of version 7 they are rounded to tenths of
    their unit. pool: of its capacity: normal, low or emergency. problem: why the entry can't be read, else "".
    """

    name: str
    kind: str
    total: int | None = None
    free: int | None = None
    files: int | None = None
    files_free: int | None = None
    pool: str | None = None
    reachability: str | None = None
    consistency: str | None = None
    space: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class BeegfsServer:
    """A server as this client knows it. kind: mgmt, meta or storage. connections: open ones, such as
    `RDMA: 1 (192.0.2.3:8003)`, None where there is none.
    """

    name: str
    id: int | None
    kind: str
    connections: str | None


def read_servers(text: str, kind: str) -> list[BeegfsServer]:
    """The servers of /proc/fs/beegfs/CLIENT/KIND_nodes: a line `NAME [ID: N]`, below it one with the connections."""
    found: list[BeegfsServer] = []
    for line in text.splitlines():
        head = _SERVER.fullmatch(line.strip())
        name, _, rest = line.strip().partition(": ")
        if head:
            found.append(BeegfsServer(printable(head[1]), whole(head[2]), kind, None))
        elif found and name == "Connections" and rest.strip() not in ("<none>", ""):
            found[-1] = replace(found[-1], connections=printable(rest.strip().rstrip(";"))[:200])
    return found


def read_df(text: str) -> list[BeegfsTarget]:
    """The targets of `beegfs-df` of version 6 and 7. Raises OutputError where it lists none."""
    kind, found = "", []
    for line in text.splitlines():
        kind = _SECTIONS.get(line.strip(), kind)
        words = line.split()
        if not kind or not words or not words[0].isdecimal():
            continue
        # TargetID, capacity pool, total, free, %, inodes, free ones, %; a percentage may be missing.
        amounts = [word for word in words[2:] if not word.endswith("%")]
        sizes = [scaled(word) for word in amounts[:2]] + [scaled(word, decimal=True) for word in amounts[2:4]]
        if len(sizes) < 4 or not (_adds_up(*sizes[:2]) and _adds_up(*sizes[2:])):
            found.append(BeegfsTarget(printable(words[0]), kind, problem=f"can't be read: {printable(line)[:100]}"))
            continue
        pool = printable(words[1].strip("[]")).lower()
        found.append(BeegfsTarget(words[0], kind, sizes[0], sizes[1], sizes[2], sizes[3], pool))
    if not found:
        raise strange("beegfs-df", "lists no target", text)
    return found


def read_targets(text: str) -> list[BeegfsTarget]:
    """The targets in the JSON of `beegfs health df` or `beegfs target list` of version 8. Raises OutputError."""
    found = [record for value in _values(text) for record in _targets(value)]
    if not found:
        raise strange("beegfs health df", "lists no target", text)
    return each(found, _target, lambda reason: BeegfsTarget("", "", problem=reason))


def read_quota_csv(text: str, point: str, kind: str) -> list[Quota]:
    """The quotas of `beegfs-ctl --getquota --csv`: name, id, bytes, limit, files, limit. Raises OutputError."""
    found = []
    lines = iter(text.splitlines())
    if not any(line.strip() == "name,id,size,hard,files,hard" for line in lines):
        raise strange("beegfs-ctl --getquota --csv", "has another heading than name,id,size,hard,files,hard", text)
    for line in lines:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 1:
            continue
        amounts = [_limit(cell) for cell in cells[-4:]] if len(cells) >= 6 else []
        if None in amounts or not amounts or cells[-4] in _UNLIMITED or cells[-2] in _UNLIMITED:
            found.append(Quota(point, kind, "", problem=f"can't be read: {printable(line)[:100]}"))
            continue
        used, hard, files, files_hard = amounts
        found.append(quota(point, kind, printable(",".join(cells[:-5])), (used, None, hard), (files, None, files_hard)))
    return found


def read_quota_json(text: str, point: str) -> list[Quota]:
    """The quotas of `beegfs quota list-usage --output=ndjson`: `space` and `inode` are used/limit."""
    found = [record for value in _values(text) for record in _rows(value, "space")]
    if not found:
        raise strange("beegfs quota list-usage", "lists no quota", text)

    def one(record: Record) -> Quota:
        pairs = []
        for key, decimal in (("space", False), ("inode", True)):
            used, slash, limit = record.text(key).partition("/")
            amounts = (scaled(used, decimal=decimal), 0 if limit in _UNLIMITED else scaled(limit, decimal=decimal))
            if not slash or None in amounts:
                raise record.error(f"{key} must be used/limit, not {record.get(key)!r:.60}")
            pairs.append((amounts[0], None, amounts[1]))
        return quota(point, record.text("type", default=""), record.text("name", default=""), pairs[0], pairs[1])

    return each(found, one, lambda reason: Quota(point, "", "", problem=reason))


def _adds_up(total: int | None, free: int | None) -> bool:
    return total is not None and free is not None and free <= total


def _limit(cell: str) -> int | None:
    return 0 if cell in _UNLIMITED else whole(cell)


def _values(text: str) -> Iterator[object]:
    """The values in JSON: the whole text, or its lines that are, among lines for people."""
    try:
        yield json.loads(text)
    except (ValueError, RecursionError):
        for line in text.splitlines():
            if line.startswith(("[", "{")):
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError):
                    yield [None]


def _rows(value: object, key: str, depth: int = 0) -> Iterator[Record]:
    """Every object that has the key, wherever it is. What is no object in a list of them is a Record without fields."""
    if depth > 20:
        return
    if isinstance(value, dict):
        if key in value:
            yield Record("beegfs", str(value.get("alias", value.get("name", "")))[:60], value)
            return
        for one in value.values():
            yield from _rows(one, key, depth + 1)
    elif isinstance(value, list):
        for one in value:
            if one is None:
                yield from records("beegfs", [one])
            yield from _rows(one, key, depth + 1)


def _targets(value: object) -> Iterator[Record]:
    yield from _rows(value, "consistency")


def _target(record: Record) -> BeegfsTarget:
    if "target" in record.fields:
        own = record.part("target")
        kind = record.text("nodeType", default="")
        total, free = record.number("totalSpaceBytes"), record.number("freeSpaceBytes")
        if total is not None and free is not None and free > total:
            raise record.error(f"of {total} bytes {free} can't be free")
        return BeegfsTarget(
            own.text("alias"),
            kind,
            total=total,
            free=free,
            files=record.number("totalInodes") or None,
            files_free=record.number("freeInodes") if record.number("totalInodes") else None,
            pool=record.text("capacityPool", default="").lower() or None,
            reachability=record.text("reachability", default="") or None,
            consistency=record.text("consistency"),
        )
    number = record.get("id")
    node_type = number.get("node_type") if isinstance(number, dict) else None
    return BeegfsTarget(
        record.text("alias"),
        node_type if isinstance(node_type, str) else _NODE_TYPES.get(whole(node_type) or 0, ""),
        pool=record.text("cap_pool", default="").lower() or None,
        reachability=record.text("reachability", default="") or None,
        consistency=record.text("consistency"),
        space=record.text("space", default="") or None,
    )
