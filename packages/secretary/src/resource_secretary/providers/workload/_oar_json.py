"""Read what `oarnodes -J` and `oarstat -f -J` print, of OAR 2 (objects by id) and OAR 3 (lists).

OAR documentation, "Resources" and "Jobs": a resource is the smallest thing that a job gets, most often a core; what it
belongs to (network_address, cpu, core, gpu) are its properties, which sites name and add as they like.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._fields import Fields, document, unknown_shape
from resource_secretary.providers.workload._gpu_names import gpu_word
from resource_secretary.reading import MOST_MEMORY

# "Resource states". An Absent one that is available_upto later than now stands by: it is woken up when needed.
_STATES = {"Alive": "up", "Absent": "down", "Suspected": "down", "Dead": "down"}
_WAITING = ("Waiting", "Hold", "toAckReservation")
_RUNNING = ("toLaunch", "Launching", "Running", "Suspended", "Resuming", "Finishing")
_NONE = ("", "0", "NO", "NONE", "N/A")  # how sites write that a resource has no GPU


@dataclass(frozen=True, slots=True)
class OarResource:
    """One resource. core, gpu: whatever the site calls the core and the GPU that it is a part of, None where it has
    no such property. memory: bytes of its host. job: whether one holds it, None where that is not told."""

    id: int
    host: str
    state: str
    raw_state: str
    core: str | None = None
    gpu: str | None = None
    gpu_type: str = ""
    memory: int | None = None
    cluster: str = ""
    busy: bool | None = None
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OarNode:
    """The resources of a host that are in one state.

    state: up, down, drained or unknown; raw_state as OAR writes it. cores: distinct cores, or resources where the site
    has no property `core`. memory: bytes of the host, None where the site has no property `memnode`. gpus: type (""
    where not told) -> how many. free_cores, free_gpus: None where it is not up, or not told what jobs hold.
    """

    host: str
    state: str
    raw_state: str
    cores: int
    gpus: dict[str, int]
    memory: int | None
    free_cores: int | None
    free_gpus: dict[str, int] | None
    jobs: tuple[str, ...]
    cluster: str
    unread: str = ""


@dataclass(frozen=True, slots=True)
class OarJob:
    """A job. Times are seconds since the epoch; start is when it started, or when OAR expects it to."""

    id: int
    name: str
    owner: str
    state: str
    queue: str
    hosts: tuple[str, ...]
    resources: int
    submitted: int | None
    start: int | None
    walltime: int | None
    message: str
    unread: str = ""


def read_resources(text: str, now: int) -> tuple[list[OarResource], list[str]]:
    """The resources of hosts, and why others can't be read. now: seconds since the epoch. Raises OutputError."""
    made, unread = [], []
    rows = _rows("oarnodes -J", text)
    tells = text.lstrip().startswith("{")  # OAR 2 names the jobs of a resource that has some; OAR 3 names none at all
    for row in rows:
        try:
            resource = _resource(row, now, tells)
        except OutputError as error:
            unread.append(str(error))
            continue
        if resource is not None:
            made.append(resource)
    if unread and not made:
        raise OutputError("oarnodes -J", "", f"none of its resources can be read: {unread[0]}")
    return sorted(made, key=lambda one: one.id), unread


def read_jobs(text: str) -> list[OarJob]:
    """The jobs of `oarstat -f -J`. One that can't be read loses itself: `unread` says why. Raises OutputError."""
    made = []
    for row in _rows("oarstat -f -J", text, none=True):
        id = row.count("Job_Id" if "Job_Id" in row.value else "id")
        try:
            made.append(_job(id, row))
        except OutputError as error:
            made.append(OarJob(id, "", "", "unknown", "", (), 0, None, None, None, "", str(error)))
    return sorted(made, key=lambda job: job.id)


def held(text: str) -> dict[int, str] | None:
    """The resources that jobs hold: resource -> job. None where a job that runs does not say which it holds."""
    made = {}
    for row in _rows("oarstat -f -J", text, none=True):
        if row.text("state") not in _RUNNING:
            continue
        assigned = row.get("assigned_resources")
        if not isinstance(assigned, list) or not assigned:
            return None
        for one in assigned:
            if not str(one).isdecimal():
                return None
            made[int(one)] = str(row.get("Job_Id") or row.get("id"))
    return made


def counts(jobs: Iterable[OarJob]) -> tuple[int, int]:
    """How many jobs wait, and how many run."""
    states = [job.state for job in jobs]
    return sum(state in _WAITING for state in states), sum(state in _RUNNING for state in states)


def read_nodes(resources: Iterable[OarResource], unread: Iterable[str]) -> list[OarNode]:
    """The hosts: resources of one host in one state are one entry."""
    alike: dict[tuple[str, str, str], list[OarResource]] = {}
    for one in resources:
        alike.setdefault((one.host, one.state, one.raw_state), []).append(one)
    note = "; ".join(list(unread)[:1])
    return [_node(*key, rows, note) for key, rows in alike.items()]


def _rows(source: str, text: str, *, none: bool = False) -> list[Fields]:
    """The records of an answer. none: it prints nothing at all (and exits with 0) where there are none."""
    if none and not text.strip():
        return []
    value = document(source, text)
    if isinstance(value, dict):
        if not all(isinstance(one, dict) for one in value.values()):
            raise unknown_shape(source, text, "an object of objects expected")
        return [Fields(source, key, one) for key, one in value.items()]
    if isinstance(value, list):
        return [Fields.of(source, f"[{at}]", one) for at, one in enumerate(value)]
    raise unknown_shape(source, text, "an object or a list expected")


def _resource(row: Fields, now: int, tells: bool) -> OarResource | None:
    if row.text("type", "default") != "default" or not row.text("network_address", ""):
        return None  # a license, a disk, a network: no place for a process
    raw = row.text("state")
    state = _STATES.get(raw, "unknown")
    if raw == "Absent" and row.count("available_upto", 0) > now:
        raw = "Absent (standby)"
    if state == "up" and row.text("drain", "NO").upper() == "YES":
        state = "drained"
    gpu = _property(row.get("gpu"))
    jobs = tuple(part for part in str(row.get("jobs") or "").replace(" ", "").split(",") if part)
    memory = row.get("memnode")  # Grid'5000: MiB of the host
    return OarResource(
        id=row.count("resource_id" if "resource_id" in row.value else "id"),
        host=row.text("network_address"),
        state=state,
        raw_state=raw,
        core=_property(row.get("core")),
        gpu=gpu if gpu is None or gpu.upper() not in _NONE else None,
        gpu_type=_gpu_type(row),
        memory=None if memory is None else row.count("memnode", most=MOST_MEMORY >> 20) * 2**20,
        cluster=row.text("cluster", ""),
        busy=bool(jobs) if tells or jobs else None,
        jobs=jobs,
    )


def _property(value: Any) -> str | None:
    return None if value is None else str(value)


def _gpu_type(row: Fields) -> str:
    model = _property(row.get("gpu_model")) or ""
    return "" if model.upper() in _NONE else gpu_word(model)


def _node(host: str, state: str, raw: str, rows: list[OarResource], note: str) -> OarNode:
    known = state == "up" and not note and all(one.busy is not None for one in rows)
    gpus = {one.gpu: one.gpu_type for one in rows if one.gpu is not None}
    taken = {one.gpu for one in rows if one.busy}
    return OarNode(
        host=host,
        state=state,
        raw_state=raw,
        cores=_cores(rows, set()),
        gpus=_by_type(gpus.values()),
        memory=next((one.memory for one in rows if one.memory is not None), None),
        free_cores=_cores(rows, {_core(one) for one in rows if one.busy}) if known else None,
        free_gpus=_by_type(kind for gpu, kind in gpus.items() if gpu not in taken) if known else None,
        jobs=tuple(sorted({job for one in rows for job in one.jobs})),
        cluster=rows[0].cluster,
        unread=note,
    )


def _core(one: OarResource) -> str:
    return f"resource {one.id}" if one.core is None else one.core


def _cores(rows: list[OarResource], without: set[str]) -> int:
    return len({_core(one) for one in rows} - without)


def _by_type(types: Iterable[str]) -> dict[str, int]:
    made: dict[str, int] = {}
    for kind in types:
        made[kind] = made.get(kind, 0) + 1
    return made


def _job(id: int, row: Fields) -> OarJob:
    def seconds(*keys: str) -> int | None:
        return next((row.count(key) for key in keys if row.get(key) not in (None, 0, "0", "")), None)

    hosts = row.get("assigned_network_address") or row.get("network_addresses") or []
    assigned = row.get("assigned_resources") or []
    if not isinstance(hosts, list) or not isinstance(assigned, list):
        raise row.error("assigned_network_address and assigned_resources must be lists")
    return OarJob(
        id=id,
        name=row.text("name", ""),
        owner=row.text("owner", row.text("job_user", "")),
        state=row.text("state"),
        queue=row.text("queue", ""),
        hosts=tuple(map(str, hosts)),
        resources=len(assigned),
        submitted=seconds("submissionTime", "submission_time"),
        start=seconds("startTime", "start_time", "scheduledStart"),
        walltime=seconds("walltime"),
        message=row.text("message", ""),
    )
