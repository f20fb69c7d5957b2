"""Read what the commands of IBM Storage Scale (GPFS) print with `-Y`: records of colon-separated, named fields.

IBM Storage Scale, Command and Programming Reference, "mmgetstate", "mmlsfs", "mmlsquota": `command:section:HEADER:...`
names the fields of the records that follow, `command:section:0:1:...`; characters are encoded as `%3A`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from resource_secretary.errors import OutputError
from resource_secretary.providers.storage._quota import Quota, quota
from resource_secretary.reading import Record, each, strange, whole
from resource_secretary.run import printable

_KINDS = {"USR": "user", "GRP": "group", "FILESET": "fileset"}
_FIRST = 6  # fields before the record's own ones: command, section, HEADER or 0, version, two reserved


@dataclass(frozen=True, slots=True)
class GpfsFileSystem:
    """A file system of the cluster. block_size: bytes. quotas: what is enforced, such as `user;group;fileset`, None
    where nothing is. version: of its format.
    """

    device: str
    mount_point: str | None
    block_size: int | None
    data_replicas: int | None
    quotas: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class GpfsNode:
    """A node of the cluster and the state of its daemon: active, arbitrating, down or unknown."""

    name: str
    state: str
    quorum: int | None
    nodes_up: int | None
    nodes: int | None
    problem: str = ""


def read_y(text: str, source: str, section: str = "") -> list[Record]:
    """The records of a section, by the names of its heading. Raises OutputError where there is no heading.

    A record that is shorter than its heading is one without fields.
    """
    heading: list[str] | None = None
    found: list[Record] = []
    for number, line in enumerate(text.split("\n"), 1):
        cells = line.strip().split(":")
        if cells[0] == source.split()[0] and len(cells) < _FIRST:  # cut off
            found.append(Record(source, f"line {number}", {}))
            continue
        if len(cells) < _FIRST or cells[1] != section:
            continue
        if cells[2] == "HEADER":
            heading = cells
            continue
        if heading is None:
            raise OutputError(source, f"line {number}", "stands before the heading")
        named = heading[_FIRST:] if heading[-1] else heading[_FIRST:-1]
        own = cells[_FIRST : _FIRST + len(named)]
        pairs = zip(named, own, strict=True) if len(own) == len(named) else ()
        fields = {key: printable(unquote(value, errors="replace")) for key, value in pairs}
        found.append(Record(source, f"line {number}", fields))
    if heading is None:
        raise strange(source, "has no heading", text)
    return found


def read_quotas(text: str) -> list[Quota]:
    """The quotas of `mmlsquota -Y`, in KiB there. Raises OutputError."""

    def one(record: Record) -> Quota:
        blocks = [_amount(record, f"block{name}", 1024) for name in ("Usage", "Quota", "Limit")]
        files = [_amount(record, f"files{name}") for name in ("Usage", "Quota", "Limit")]
        doubt = record.number("blockInDoubt", unit=1024)
        kind = record.text("quotaType")
        return quota(
            record.text("filesystemName"),
            _KINDS.get(kind, kind.lower()),
            record.text("name", "filesetname", "filesetName", default=""),
            (blocks[0], blocks[1], blocks[2]),
            (files[0], files[1], files[2]),
            (_grace(record, "blockGrace"), _grace(record, "filesGrace")),
            f"{doubt} bytes are in doubt: nodes hold them and may use them" if doubt else "",
        )

    return each(read_y(text, "mmlsquota -Y"), one, lambda reason: Quota("", "", "", problem=reason))


def read_file_systems(text: str) -> list[GpfsFileSystem]:
    """The file systems of `mmlsfs all -Y`, one attribute a record there. Raises OutputError."""
    devices: dict[str, dict[str, str]] = {}
    for record in read_y(text, "mmlsfs all -Y"):
        if record.fields:
            attributes = devices.setdefault(record.text("deviceName"), {})
            attributes.setdefault(record.text("fieldName"), record.text("data", default=""))
    return [
        GpfsFileSystem(
            device=device,
            mount_point=of.get("defaultMountPoint"),
            block_size=whole(of.get("blockSize")),
            data_replicas=whole(of.get("defaultDataReplicas")),
            quotas=None if of.get("quotasEnforced") in (None, "none", "no") else of["quotasEnforced"],
            version=of.get("filesystemVersion"),
        )
        for device, of in devices.items()
    ]


def read_nodes(text: str) -> list[GpfsNode]:
    """The nodes of `mmgetstate -Y`. Raises OutputError."""

    def one(record: Record) -> GpfsNode:
        quorum, up, total = (record.number(name) for name in ("quorum", "nodesUp", "totalNodes"))
        if up is not None and total is not None and up > total:
            raise record.error(f"of {total} nodes {up} can't be up")
        return GpfsNode(record.text("nodeName"), record.text("state"), quorum, up, total)

    records = read_y(text, "mmgetstate -Y")
    if not records:
        raise strange("mmgetstate -Y", "tells of no node", text)
    return each(records, one, lambda reason: GpfsNode("", "unknown", None, None, None, problem=reason))


def _amount(record: Record, name: str, unit: int = 1) -> int:
    value = record.number(name, unit=unit)
    if value is None:
        raise record.error(f"{name} is missing")
    return value


def _grace(record: Record, name: str) -> str | None:
    text = record.text(name, default="")
    return None if text in ("", "none") else text
