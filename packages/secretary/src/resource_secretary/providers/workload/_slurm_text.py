"""Read what `scontrol --oneliner` prints: one record a line, `Key=Value` pairs, values with blanks unquoted.

scontrol(1), "--oneliner". This text has kept its keys since Slurm 14, while the JSON of 22.05, 23.02 and 24.05 differ
from each other, need a serializer plugin that not every site installs, and `scontrol` has none before 23.02.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from resource_secretary.errors import OutputError

_KEY = re.compile(r"(?:^|\s)([A-Za-z][A-Za-z_]*)=")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_GRES = re.compile(r"([^,:()\s]+)((?::(?:\(null\)|[^,:()\s]+))*)(\([^()]*\))?(?:,|$)", re.ASCII)
_CLOCK = re.compile(r"(?:([0-9]{1,9})-)?([0-9]{1,4}):([0-9]{2}):([0-9]{2})", re.ASCII)

# sinfo(1), "NODE STATE CODES"; flags follow the state with `+`, and older versions with a sign.
_UP = {"IDLE", "ALLOCATED", "MIXED", "COMPLETING", "PLANNED", "CLOUD", "DYNAMIC_NORM"}
_DOWN = {"DOWN", "ERROR", "FAIL", "FAILING", "NOT_RESPONDING", "NO_RESPOND", "INVALID_REG", "POWERED_DOWN"}
_DOWN |= {"POWER_DOWN", "POWERING_DOWN", "POWER_UP", "POWERING_UP", "REBOOT_ISSUED"}
_DRAINED = {"DRAIN", "DRAINED", "DRAINING", "MAINT", "MAINTENANCE", "RESERVED", "REBOOT", "REBOOT_REQUESTED", "BLOCKED"}
_SIGNS = {
    **dict.fromkeys("*", "NOT_RESPONDING"),
    **dict.fromkeys("~#", "POWERED_DOWN"),
    **dict.fromkeys("!%", "POWERING_DOWN"),
    "$": "MAINTENANCE",
    "@": "REBOOT_REQUESTED",
    "^": "REBOOT_ISSUED",
    "-": "PLANNED",
}


@dataclass(frozen=True, slots=True)
class SlurmNode:
    """A node. Memory in bytes. Totals are what jobs can get: without what the site keeps for the system.

    state: up, down, drained (out of use for jobs: also in a reservation or maintenance) or unknown; raw_state as Slurm
    writes it. gpus: type ("" where it has none) -> how many; gpus_used: None where Slurm doesn't tell.
    """

    name: str
    state: str
    raw_state: str
    cores: int
    threads: int
    memory: int
    free_cores: int
    free_threads: int
    free_memory: int
    gpus: dict[str, int]
    gpus_used: dict[str, int] | None
    partitions: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class SlurmPartition:
    """A partition. max_time in seconds, None without a limit; nodes as Slurm's hostlist."""

    name: str
    state: str
    default: bool
    max_time: int | None
    node_count: int
    cpus: int
    nodes: str


def read_nodes(text: str) -> list[SlurmNode]:
    """The nodes of `scontrol --details --oneliner show nodes`. Raises OutputError with the line."""
    return [_node(record) for record in _records(text, "nodes", "NodeName")]


def read_partitions(text: str) -> list[SlurmPartition]:
    """The partitions of `scontrol --oneliner show partitions`. Raises OutputError with the line."""
    return [
        SlurmPartition(
            name=record.name,
            state=record.need("State"),
            default=record.need("Default") == "YES",
            max_time=record.seconds("MaxTime"),
            node_count=record.number("TotalNodes"),
            cpus=record.number("TotalCPUs"),
            nodes=record.fields.get("Nodes", "").replace("(null)", ""),
        )
        for record in _records(text, "partitions", "PartitionName")
    ]


def node_state(raw: str) -> str:
    """What a node's state means for somebody who wants to place a job: up, down, drained, or unknown."""
    flags = set()
    for word in raw.upper().split("+"):
        while word and word[-1] in _SIGNS:
            flags.add(_SIGNS[word[-1]])
            word = word[:-1]
        flags.add(word)
    for state, names in (("drained", _DRAINED), ("down", _DOWN)):
        if flags & names:
            return state
    return "up" if flags <= _UP else "unknown"


def read_gres(text: str) -> dict[str, int]:
    """The GPUs in a list of generic resources: type ("" where it has none) -> how many. Raises ValueError.

    slurm.conf(5), "Gres": `name[:type]:count`; what `scontrol` adds in parentheses are sockets and indices.
    """
    gpus: dict[str, int] = {}
    at = 0
    while at < len(text) and text not in ("(null)", "N/A"):
        match = _GRES.match(text, at)
        if not match:
            raise ValueError(f"{text[at : at + 40]!r} is no generic resource")
        at = match.end()
        name, parts = match[1], [part for part in match[2].split(":") if part]
        amount = int(parts.pop()) if parts and parts[-1].isdecimal() else 1
        kind = parts[0] if parts and parts[0] != "(null)" else ""
        if name == "gpu" and (amount or kind):
            gpus[kind] = gpus.get(kind, 0) + amount
    return gpus


@dataclass(frozen=True, slots=True)
class _Record:
    source: str
    name: str
    fields: Mapping[str, str]

    def need(self, key: str) -> str:
        if not self.fields.get(key):
            raise self.error(f"{key} is missing")
        return self.fields[key]

    def number(self, key: str, default: int | None = None) -> int:
        text = self.fields.get(key, "")
        if default is not None and text in ("", "N/A", "(null)"):
            return default
        if not text.isascii() or not text.isdecimal() or len(text) > 15:
            raise self.error(f"{key} must be a whole number, not {text[:40]!r}")
        return int(text)

    def seconds(self, key: str) -> int | None:
        text = self.need(key)
        if text in ("UNLIMITED", "INFINITE"):
            return None
        match = _CLOCK.fullmatch(text)
        if not match:
            raise self.error(f"{key} must be [days-]hours:minutes:seconds, not {text[:40]!r}")
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds

    def gpus(self, key: str) -> dict[str, int]:
        try:
            return read_gres(self.fields.get(key, ""))
        except ValueError as error:
            raise self.error(f"{key}: {error}") from None

    def error(self, message: str) -> OutputError:
        return OutputError(f"scontrol show {self.source}", self.name, message)


def _records(text: str, source: str, first: str) -> list[_Record]:
    records = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        keys = list(_KEY.finditer(line))
        fields: dict[str, str] = {}
        for match, after in zip_longest(keys, keys[1:]):
            # The first one holds: what a person wrote (Reason, Comment) comes last and may look like a field.
            fields.setdefault(match[1], line[match.end() : after.start() if after else None].strip())
        name = fields.get(first, "")
        if not keys or keys[0].start() != 0 or keys[0][1] != first or not _NAME.fullmatch(name):
            raise OutputError(f"scontrol show {source}", f"line {number}", f"{first}=... expected, not {line[:40]!r}")
        records.append(_Record(source, name, fields))
    if len({record.name for record in records}) != len(records):
        raise OutputError(f"scontrol show {source}", "", "a name occurs twice")
    return records


def _node(record: _Record) -> SlurmNode:
    cores = record.number("Sockets") * record.number("CoresPerSocket")
    threads = cores * record.number("ThreadsPerCore")
    cpus, allocated = record.number("CPUTot"), record.number("CPUAlloc")
    # slurm.conf(5), "CPUs": a CPU is a hardware thread, or a core where the site counts cores only.
    if cpus not in (cores, threads) or not cpus:
        raise record.error(f"CPUTot={cpus} is neither its {cores} cores nor its {threads} threads")
    usable = record.number("CPUEfctv", cpus)  # since 22.05; less than CPUTot where cores are kept for the system
    if not allocated <= usable <= cpus:
        raise record.error(f"CPUAlloc={allocated}, CPUEfctv={usable} and CPUTot={cpus} do not add up")
    memory = record.number("RealMemory") - record.number("MemSpecLimit", 0)
    if memory < 0:
        raise record.error("MemSpecLimit is more than RealMemory")
    threads_of, cores_of = threads // cpus, cpus // cores  # threads of a CPU, CPUs of a core
    raw = record.need("State")
    return SlurmNode(
        name=record.name,
        state=node_state(raw),
        raw_state=raw,
        cores=usable // cores_of,
        threads=usable * threads_of,
        memory=memory * 2**20,
        free_cores=(usable - allocated) // cores_of,
        free_threads=(usable - allocated) * threads_of,
        free_memory=max(0, memory - record.number("AllocMem")) * 2**20,
        gpus=record.gpus("Gres"),
        gpus_used=record.gpus("GresUsed") if "GresUsed" in record.fields else None,
        partitions=tuple(part for part in record.fields.get("Partitions", "").split(",") if part and part != "(null)"),
        reason=record.fields.get("Reason", ""),
    )
