"""Attributes of PBS and Torque as typed records: pbs_node_attributes(7B), pbs_queue_attributes(7B),
pbs_job_attributes(7B) and pbs_server_attributes(7B)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from resource_secretary.asking import Depth
from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._batch import (
    Job,
    JobState,
    Node,
    NodeState,
    Queue,
    moment,
    queue_state,
    seconds,
    size,
    unread_job,
    unread_node,
    unread_queue,
    whole,
)
from resource_secretary.providers.workload._pbs_json import Record
from resource_secretary.reading import MOST_CORES

T = TypeVar("T")

_DOWN = {"down", "stale", "state-unknown", "unresolvable", "sleep", "provisioning", "wait-provisioning", "initializing"}
_DRAINED = {"offline", "resv-exclusive", "reserve", "maintenance", "offline-by-mom", "time-shared"}
_UP = {"free", "job-busy", "job-exclusive", "job-sharing", "busy"}
_NONE_FREE = {"job-busy", "job-exclusive", "busy"}  # takes no further job, whatever is left on it
_TYPES = ("gpu_type", "gputype", "gpu_model")  # how sites that have several kinds of GPU name them
# qstat(1B), "Job State"; Torque's C is a job that has ended.
_JOBS: dict[str, JobState] = {
    **dict.fromkeys("QWT", "pending"),
    **dict.fromkeys("RBE", "running"),
    **dict.fromkeys("SU", "suspended"),
    **dict.fromkeys("CFXM", "finished"),
    "H": "held",
}
_COUNTS = re.compile(r"(\w+):\s*(\d{1,12})")
_INDICES = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?")


@dataclass(frozen=True, slots=True)
class Server:
    """version: as the server tells it. default_queue: "" where there is none."""

    name: str
    state: str
    version: str
    default_queue: str
    depth: Depth | None


class _Fields:
    """The attributes of a record, read as what they should be. Raises OutputError with its name."""

    def __init__(self, record: Record, source: str) -> None:
        self.record, self.source = record, source

    def text(self, key: str, default: str | None = "") -> str:
        value = self.record.attributes.get(key)
        if value == "(repeated)":
            raise self.error(f"{key} occurs more than once")
        if value is None and default is None:
            raise self.error(f"{key} is missing")
        return (default if value is None else value) or ""

    def read(self, key: str, reader: Callable[[str], T]) -> T | None:
        value = self.text(key).strip()
        if not value or value == "<various>":
            return None
        try:
            return reader(value)
        except ValueError as error:
            raise self.error(f"{key}: {error}") from None

    def truth(self, key: str) -> bool:
        value = self.text(key, None).strip()
        if value.lower() not in ("true", "false"):
            raise self.error(f"{key} must be True or False, not {value[:40]!r}")
        return value.lower() == "true"

    def error(self, message: str) -> OutputError:
        return OutputError(self.source, self.record.name, message)


def queues(records: Iterable[Record], default: str | None, source: str) -> list[Queue]:
    """The queues. default: the name of the server's default queue, None where it is not known."""
    made = []
    for record in records:
        try:
            made.append(_queue(_Fields(record, source), default))
        except OutputError as error:
            made.append(unread_queue(record.name, error))
    return made


def nodes(records: Iterable[Record], source: str) -> list[Node]:
    made = []
    for record in records:
        try:
            made.append(_node(_Fields(record, source)))
        except ValueError as error:  # OutputError is one
            made.append(unread_node(record.name, error))
    return made


def jobs(records: Iterable[Record], source: str) -> list[Job]:
    made = []
    for record in records:
        try:
            made.append(job(record, source))
        except OutputError as error:
            made.append(unread_job(record.name, error))
    return made


def server(records: list[Record], source: str) -> Server:
    """The server of `qstat -B -f`. Raises OutputError."""
    if len(records) != 1:
        raise OutputError(source, "", f"one server expected, not {len(records)}")
    fields = _Fields(records[0], source)
    counts = _counts(fields)
    depth = None
    if counts:
        waiting = sum(counts.get(name, 0) for name in ("Queued", "Held", "Waiting", "Transit"))
        depth = Depth(waiting, sum(counts.get(name, 0) for name in ("Running", "Exiting", "Begun")))
    return Server(
        records[0].name,
        fields.text("server_state", None),
        fields.text("pbs_version"),
        fields.text("default_queue"),
        depth,
    )


def _counts(fields: _Fields) -> dict[str, int]:
    return {name: int(number) for name, number in _COUNTS.findall(fields.text("state_count"))}


def _queue(fields: _Fields, default: str | None) -> Queue:
    _readable(fields)
    enabled, started = fields.truth("enabled"), fields.truth("started")
    counts = _counts(fields)
    attributes = fields.record.attributes
    limits = {
        key: value[:200]
        for key, value in attributes.items()
        if key.startswith(("resources_max.", "resources_min.", "resources_default.", "default_chunk.", "max_"))
        or key in ("queue_type", "route_destinations", "acl_groups", "acl_users", "from_route_only", "Priority")
    }
    routed = fields.text("from_route_only").strip().lower() == "true"
    takes = enabled and not routed
    return Queue(
        name=fields.record.name,
        state=queue_state(takes, started),
        raw_state=f"enabled={enabled} started={started}",
        enabled=takes,
        default=None if default is None else default == fields.record.name,
        max_walltime=fields.read("resources_max.walltime", seconds),
        running=counts.get("Running", 0) + counts.get("Exiting", 0) + counts.get("Begun", 0) if counts else None,
        pending=sum(counts.get(key, 0) for key in ("Queued", "Held", "Waiting", "Transit")) if counts else None,
        limits=limits,
        reason="takes jobs from routing queues only" if routed else "",
    )


def node_state(raw: str) -> NodeState:
    """What a node's states mean for somebody who wants to place a job."""
    words = {word.strip().lower() for word in raw.split(",") if word.strip()}
    if words & _DRAINED:
        return "drained"
    if words & _DOWN:
        return "down"
    return "up" if words and words <= _UP else "unknown"


def _node(fields: _Fields) -> Node:
    _readable(fields)
    raw = fields.text("state", None)
    state = node_state(raw)
    full = {word.strip() for word in raw.split(",")} & _NONE_FREE
    memory, taken = (fields.read(f"resources_{kind}.mem", size) for kind in ("available", "assigned"))
    cores, used = (fields.read(f"resources_{kind}.ncpus", whole) for kind in ("available", "assigned"))
    gpus, gpus_used = (fields.read(f"resources_{kind}.ngpus", whole) for kind in ("available", "assigned"))
    name = next((text for key in _TYPES if (text := fields.text(f"resources_available.{key}"))), "")
    kind = name if name.isprintable() and "," not in name and name.lower() not in ("none", "<various>") else ""

    def left(total: int | None, taken: int | None) -> int | None:
        if total is None or state == "unknown":
            return None
        return 0 if full or state != "up" else max(0, total - (taken or 0))

    return Node(
        name=fields.record.name,
        state=state,
        raw_state=raw,
        cores=cores,
        free_cores=left(cores, used),
        memory=memory or None,
        free_memory=left(memory or None, taken),
        gpus=({kind: gpus} if gpus else {}) if gpus is not None or cores is not None else None,
        free_gpus=({kind: left(gpus, gpus_used) or 0} if gpus else {}) if state != "unknown" else None,
        queues=tuple(
            part.strip()
            for part in (fields.text("queue") or fields.text("resources_available.Qlist")).split(",")
            if part.strip() and part.strip() != "<various>"
        ),
        host=_host(fields),
        reason=fields.text("comment").strip()[:300],
    )


def _host(fields: _Fields) -> str:
    host = fields.text("resources_available.host").strip()
    return host if host != "<various>" else ""


def job(record: Record, source: str) -> Job:
    """One job. Raises OutputError with its id."""
    fields = _Fields(record, source)
    _readable(fields)
    raw = fields.text("job_state", None).strip()
    state = _JOBS.get(raw, "unknown")
    held = fields.text("Hold_Types").strip()
    cores = _cores(fields)
    if cores is not None and cores > MOST_CORES:
        raise fields.error(f"{cores} cores are more than there can be")
    reason = " ".join(fields.text("comment").split())[:300]
    if state == "held" and held not in ("", "n"):
        reason = f"held ({held})" + (f": {reason}" if reason else "")
    return Job(
        id=record.name,
        name=fields.text("Job_Name")[:200],
        user=(fields.text("Job_Owner") or fields.text("euser")).partition("@")[0],
        queue=fields.text("queue"),
        state=state,
        raw_state=raw,
        cores=cores,
        nodes=fields.read("Resource_List.nodect", whole),
        tasks=fields.read("array_indices_submitted", _tasks) or 1,
        max_walltime=fields.read("Resource_List.walltime", seconds),
        submitted=moment(fields.text("qtime") or fields.text("ctime")),
        started=moment(fields.text("stime") or fields.text("start_time")),
        hosts=hosts_of(fields.text("exec_host")),
        reason=reason if state in ("pending", "held") else "",
    )


def _cores(fields: _Fields) -> int | None:
    """CPUs: PBS counts them itself; Torque's are in `nodes=2:ppn=4+1:ppn=1`, or `procs`."""
    spec = fields.text("Resource_List.nodes")
    if "Resource_List.select" in fields.record.attributes or not spec:
        return fields.read("Resource_List.ncpus", whole) or fields.read("Resource_List.procs", whole)
    total = 0
    for part in spec.split("+"):
        count, *properties = part.split(":")
        ppn = next((one[4:] for one in properties if one.startswith("ppn=")), "1")
        if not ppn.isdecimal() or len(ppn) > 9 or len(count) > 60:
            return None
        total += (int(count) if count.isascii() and count.isdecimal() and len(count) < 10 else 1) * int(ppn)
    return total


def _tasks(indices: str) -> int:
    total = 0
    for part in indices.split(","):
        match = _INDICES.match(part.strip())
        if not match:
            raise ValueError(f"{indices[:40]!r} are no indices")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        total += max(0, last - first) // max(1, step) + 1
    return total


def hosts_of(text: str) -> str:
    """The machines of `node1/0-3+node2/1*2`, each once, as a list of hosts."""
    from resources import hostlist
    from resources.errors import InputError

    names = list(dict.fromkeys(part.partition("/")[0].strip("() ") for part in text.split("+") if part.strip()))
    try:
        return hostlist.compress(names) if names else ""
    except InputError:
        return ",".join(names)[:500]


def _readable(fields: _Fields) -> None:
    if fields.record.problem:
        raise fields.error(fields.record.problem)
