"""Read what `scontrol --oneliner` prints: one record a line, `Key=Value` pairs, values with blanks unquoted.

scontrol(1), "--oneliner". This text has kept its keys since Slurm 14, while the JSON of 22.05, 23.02 and 24.05 differ
from each other, need a serializer plugin that not every site installs, and `scontrol` has none before 23.02. A record
that can't be read loses only itself: its `unread` says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload import _slurm_values as values
from resource_secretary.providers.workload._slurm_values import NOTHING, node_state
from resource_secretary.reading import possible
from resource_secretary.run import printable

T = TypeVar("T")
_KEY = re.compile(r"(?:^|\s)([A-Z][A-Za-z_/:]*)=")  # also Socks/Node= and NtasksPerN:B:S:C=
_REASON = re.compile(r"\sReason=(.*?)(?:\s(?:Comment|Extra|ResumeAfterTime|InstanceId|InstanceType)=|$)")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+:-]*", re.ASCII)
_RAW = 2000  # characters of an answer in a format that is not known, kept in the error


@dataclass(frozen=True, slots=True)
class SlurmNode:
    """A node. Memory in bytes. Totals are what jobs can get: without what the site keeps for the system.

    state: up, down, drained (out of use for jobs: also in a reservation or maintenance) or unknown; raw_state as Slurm
    writes it. gpus: type ("" where it has none) -> how many; gpus_used: None where Slurm doesn't tell. unread: why the
    record can't be read; every amount is null then.
    """

    name: str
    state: str = "unknown"
    raw_state: str = ""
    cores: int | None = None
    threads: int | None = None
    memory: int | None = None
    free_cores: int | None = None
    free_threads: int | None = None
    free_memory: int | None = None
    gpus: dict[str, int] | None = None
    gpus_used: dict[str, int] | None = None
    partitions: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    reason: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class SlurmPartition:
    """A partition (queue). Times in seconds, memory in bytes, null without a limit; nodes as Slurm's hostlist.

    default_time: null where a job without a time gets max_time. memory_per: of what default_memory and max_memory are
    amounts: "node" or "cpu". accounts, groups, qos: those that may use it, "ALL" for everybody. unread: why the record
    can't be read; what is null then is not known.
    """

    name: str
    state: str = "unknown"
    default: bool | None = None
    max_time: int | None = None
    default_time: int | None = None
    min_nodes: int | None = None
    max_nodes: int | None = None
    max_cpus_per_node: int | None = None
    node_count: int | None = None
    cpus: int | None = None
    memory: int | None = None
    gpus: dict[str, int] | None = None
    default_memory: int | None = None
    max_memory: int | None = None
    memory_per: str = ""
    nodes: str = ""
    accounts: str = ""
    groups: str = ""
    qos: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class SlurmReservation:
    """A reservation. Times are RFC 3339 in UTC, duration in seconds. users, accounts: who may use it."""

    name: str
    state: str = "unknown"
    start: str | None = None
    end: str | None = None
    duration: int | None = None
    nodes: str = ""
    node_count: int | None = None
    cores: int | None = None
    partition: str = ""
    flags: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    licenses: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class SlurmLicense:
    """A license that Slurm counts. remote: counted in the database for several clusters."""

    name: str
    total: int | None = None
    used: int | None = None
    free: int | None = None
    reserved: int | None = None
    remote: bool | None = None
    unread: str = ""


def read_nodes(text: str) -> list[SlurmNode]:
    """The nodes of `scontrol --details --oneliner show nodes`. Raises OutputError where none of them can be read."""
    return each("nodes", records(text, "nodes", "NodeName"), make_node, SlurmNode)


def read_partitions(text: str) -> list[SlurmPartition]:
    """The partitions of `scontrol --oneliner show partitions`. Raises OutputError where none can be read."""
    return each("partitions", records(text, "partitions", "PartitionName"), _partition, SlurmPartition)


def read_reservations(text: str) -> list[SlurmReservation]:
    """The reservations of `scontrol --oneliner show reservations`. Raises OutputError where none can be read."""
    if text.strip() == "No reservations in the system":
        return []
    return each("reservations", records(text, "reservations", "ReservationName"), _reservation, SlurmReservation)


def read_licenses(text: str) -> list[SlurmLicense]:
    """The licenses of `scontrol --oneliner show licenses`. Raises OutputError where none can be read."""
    if text.strip() == "No licenses configured in Slurm.":
        return []
    return each("licenses", records(text, "licenses", "LicenseName"), _license, SlurmLicense)


@dataclass(frozen=True, slots=True)
class Record:
    """A line: its name, its fields, and what is wrong with the line itself. Each reader raises ValueError."""

    name: str
    fields: Mapping[str, str]
    wrong: str = ""
    line: str = ""

    def need(self, key: str) -> str:
        if not self.fields.get(key):
            raise ValueError(f"{key} is missing")
        return self.fields[key]

    def text(self, key: str) -> str:
        """The value, "" where there is none."""
        value = self.fields.get(key, "")
        return "" if value in NOTHING else value if value.isprintable() else printable(value)

    def words(self, key: str) -> tuple[str, ...]:
        return tuple(part for part in self.text(key).split(",") if part)

    def number(self, key: str, default: int | None = None) -> int:
        found = self.maybe(key)
        if found is None and default is not None:
            return default
        if found is None:
            raise ValueError(f"{key} must be a whole number, not {self.fields.get(key, '')[:40]!r}")
        return found

    def maybe(self, key: str) -> int | None:
        """A number, None where there is none or no limit."""
        text = self.fields.get(key, "")
        if text in NOTHING or values.is_unlimited(text):
            return None
        if not text.isascii() or not text.isdecimal() or len(text) > 15:
            raise ValueError(f"{key} must be a whole number, not {text[:40]!r}")
        return int(text)

    def cores(self, key: str) -> int | None:
        found = self.maybe(key)
        possible(cores=(found,))
        return found

    def seconds(self, key: str) -> int | None:
        """A time limit that must be there; None where it is unlimited."""
        text = self.need(key)
        found = self.any_seconds(key)
        if found is None and not values.is_unlimited(text):
            raise ValueError(f"{key} must be [days-]hours:minutes:seconds, not {text[:40]!r}")
        return found

    def any_seconds(self, key: str) -> int | None:
        return self.read(key, values.seconds)

    def moment(self, key: str) -> str | None:
        return self.read(key, values.moment)

    def gpus(self, key: str) -> dict[str, int]:
        return self.read(key, values.gres)

    def tres(self, key: str) -> dict[str, str]:
        return self.read(key, values.tres)

    def memory(self, *keys: str) -> tuple[int | None, str]:
        """The first of these that there is, in bytes, and its key."""
        for key in keys:
            found = self.read(key, values.memory)
            if found is not None:
                return found[0], key
        return None, ""

    def read(self, key: str, reader: Callable[[str], T]) -> T:
        try:
            return reader(self.fields.get(key, ""))
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None


def records(text: str, source: str, first: str) -> list[Record]:
    """The lines. Raises OutputError with the raw text where no line begins with this key: the format is not known."""
    made: list[Record] = []
    seen: set[str] = set()
    known = False
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        fields = split(line)
        name = fields.get(first, "")
        if not line.startswith(f"{first}=") or not _NAME.fullmatch(name):
            made.append(Record(f"line {number}", {}, f"{first}=... expected, not {printable(line[:40])!r}"))
            continue
        known = True
        made.append(Record(name, fields, "a name occurs twice" if name in seen else "", line))
        seen.add(name)
    if not made:  # where there are none scontrol says so
        raise OutputError(f"scontrol show {source}", "", "it said nothing")
    if not known:
        raw = printable(text.strip()[:_RAW])
        raise OutputError(
            f"scontrol show {source}", made[0].name, f"{made[0].wrong}; nothing of it can be read, it says: {raw}"
        )
    return made


def split(line: str) -> dict[str, str]:
    """The fields of a line. The first of a name holds: what a person wrote (Reason, Comment) comes last."""
    parts = _KEY.split(line)[1:]  # key, value, key, value ...
    return dict(zip(parts[-2::-2], map(str.strip, parts[::-2]), strict=True))


def each(source: str, lines: Iterable[Record], make: Callable[[Record], T], lost: Callable[..., T]) -> list[T]:
    """What is made of every record; `lost(name=, unread=)` of one that can't be read.

    Raises OutputError where none of them can be read, with the first one's reason.
    """
    made: list[T] = []
    first: tuple[str, str] | None = None
    good = False
    for record in lines:
        try:
            if record.wrong:
                raise ValueError(record.wrong)
            made.append(make(record))
            good = True
        except ValueError as error:
            first = first or (record.name, str(error))
            made.append(lost(name=record.name, unread=printable(str(error))))
    if first and not good:
        raise OutputError(f"scontrol show {source}", *first)
    return made


def make_node(record: Record) -> SlurmNode:
    """A node of a record's fields. Raises ValueError where they don't add up."""
    cores = record.number("Sockets") * record.number("CoresPerSocket")
    threads = cores * record.number("ThreadsPerCore")
    cpus, allocated = record.number("CPUTot"), record.number("CPUAlloc")
    # slurm.conf(5), "CPUs": a CPU is a hardware thread, or a core where the site counts cores only.
    if cpus not in (cores, threads) or not cpus:
        raise ValueError(f"CPUTot={cpus} is neither its {cores} cores nor its {threads} threads")
    usable = record.number("CPUEfctv", cpus)  # since 22.05; less than CPUTot where cores are kept for the system
    if not allocated <= usable <= cpus:
        raise ValueError(f"CPUAlloc={allocated}, CPUEfctv={usable} and CPUTot={cpus} do not add up")
    memory = record.number("RealMemory") - record.number("MemSpecLimit", 0)
    if memory < 0:
        raise ValueError("MemSpecLimit is more than RealMemory")
    possible(cores=(threads,), memory=(record.number("RealMemory") * 2**20,))
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
        partitions=record.words("Partitions"),
        features=record.words("ActiveFeatures"),
        reason=_reason(record),
    )


def _reason(record: Record) -> str:
    """All of what a person wrote: it may look like fields, and only a few of Slurm's come after it."""
    match = _REASON.search(record.line)
    return printable(match[1].strip()) if match else printable(record.text("Reason"))


def _partition(record: Record) -> SlurmPartition:
    found = record.tres("TRES")
    total = values.memory(found.get("mem", ""))
    default, of = record.memory("DefMemPerNode", "DefMemPerCPU")
    most, most_of = record.memory("MaxMemPerNode", "MaxMemPerCPU")
    possible(cores=(record.number("TotalCPUs"),))
    return SlurmPartition(
        name=record.name,
        state=record.need("State"),
        default=record.need("Default") == "YES",
        max_time=record.seconds("MaxTime"),
        default_time=record.any_seconds("DefaultTime"),
        min_nodes=record.maybe("MinNodes"),
        max_nodes=record.maybe("MaxNodes"),
        max_cpus_per_node=record.maybe("MaxCPUsPerNode"),
        node_count=record.number("TotalNodes"),
        cpus=record.number("TotalCPUs"),
        memory=total[0] if total else None,
        gpus=values.tres_gpus(found),
        default_memory=default,
        max_memory=most,
        memory_per=(of or most_of)[len("DefMemPer") :].lower(),
        nodes=record.text("Nodes"),
        accounts=record.text("AllowAccounts") or _denied(record.text("DenyAccounts")),
        groups=record.text("AllowGroups"),
        qos=record.text("AllowQos") or _denied(record.text("DenyQos")),
    )


def _denied(names: str) -> str:
    return f"ALL but {names}" if names else ""


def _reservation(record: Record) -> SlurmReservation:
    return SlurmReservation(
        name=record.name,
        state=record.need("State"),
        start=record.moment("StartTime"),
        end=record.moment("EndTime"),
        duration=record.any_seconds("Duration"),
        nodes=record.text("Nodes"),
        node_count=record.maybe("NodeCnt"),
        cores=record.cores("CoreCnt"),
        partition=record.text("PartitionName"),
        flags=record.words("Flags"),
        users=record.words("Users"),
        accounts=record.words("Accounts"),
        licenses=record.text("Licenses"),
    )


def _license(record: Record) -> SlurmLicense:
    return SlurmLicense(
        name=record.name,
        total=record.number("Total"),
        used=record.maybe("Used"),
        free=record.maybe("Free"),
        reserved=record.maybe("Reserved"),
        remote=record.text("Remote") == "yes",
    )
