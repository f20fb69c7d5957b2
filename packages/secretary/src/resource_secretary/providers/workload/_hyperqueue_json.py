"""Read what `hq --output-mode json` prints, of 0.7 to 0.27: server, workers, jobs.

HyperQueue documentation, "CLI: Output mode". CPUs of a worker are groups of indices (sockets): `{"cpus": [[0, 1]]}`
until 0.12, since 0.13 one resource among others, each of a kind: list, range (both ends included), groups, or sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._fields import Fields, document, unknown_shape

_GPUS = {"gpus": "", "gpus/nvidia": "nvidia", "gpus/amd": "amd", "gpus/intel": "intel"}  # resource -> type
_LARGEST = 100_000  # indices of one resource


@dataclass(frozen=True, slots=True)
class HqWorker:
    """A worker.

    cpus: how many, in so many sockets. gpus: vendor ("" where not told) -> how many. other: other resources by name,
    of those that are counted by index. sums: names of resources that are amounts, such as mem; their unit differs
    between versions, so no amount is told. running: tasks that run on it, None where this version doesn't tell.
    manager, allocation: the manager and the job that it runs in. time_limit: seconds that it lives in all.
    """

    id: int
    host: str
    state: str
    cpus: int | None = None
    sockets: int = 0
    gpus: dict[str, int] = field(default_factory=dict)
    other: dict[str, int] = field(default_factory=dict)
    sums: tuple[str, ...] = ()
    running: int | None = None
    whole: bool = False
    group: str = ""
    manager: str = ""
    allocation: str = ""
    time_limit: float | None = None
    started: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class HqJob:
    """A job and how many of its tasks are in which state."""

    id: int
    name: str
    tasks: int
    waiting: int
    running: int
    finished: int
    failed: int
    canceled: int


def read_server(text: str) -> tuple[str, str, str]:
    """Version, host and start of the server of `hq server info`. Raises OutputError."""
    source = "hq server info"
    top = Fields.of(source, "", document(source, text))
    host = top.text("client_host", top.text("host", ""))  # `host` until 0.15
    if "version" not in top.value or not host:
        raise unknown_shape(source, text, "a server with version and host expected")
    return top.text("version").lstrip("v"), host, top.text("start_date", "")


def read_workers(text: str) -> list[HqWorker]:
    """The workers of `hq worker list`. One that can't be read loses itself: `unread` says why."""
    made = []
    for row in _rows("hq worker list", text):
        id = row.count("id")
        settings = row.fields("configuration")
        host = settings.text("hostname")
        try:
            made.append(_worker(id, host, row, settings))
        except OutputError as error:
            made.append(HqWorker(id, host, "unknown", unread=str(error)))
    return made


def read_jobs(text: str) -> list[HqJob]:
    """The jobs of `hq job list`. Raises OutputError."""
    made = []
    for row in _rows("hq job list", text):
        stats = row.fields("task_stats")
        states = ("waiting", "running", "finished", "failed", "canceled")
        made.append(
            HqJob(row.count("id"), row.text("name", ""), row.count("task_count"), *(stats.count(one) for one in states))
        )
    return made


def _rows(source: str, text: str) -> list[Fields]:
    value = document(source, text)
    if not isinstance(value, list):
        raise unknown_shape(source, text, "a list expected")
    return [Fields.of(source, f"[{at}]", one) for at, one in enumerate(value)]


def _worker(id: int, host: str, row: Fields, settings: Fields) -> HqWorker:
    resources = settings.fields("resources")
    groups: list[int] = []
    counted: dict[str, int] = {}
    sums = []
    if "cpus" in resources.value:
        groups = [_length(resources, f"cpus[{at}]", group) for at, group in resources.items("cpus")]
    for item in [*resources.rows("resources"), *resources.rows("generic")]:
        name, sizes = item.text("name"), _sizes(item)
        if sizes is None:
            sums.append(name)
        elif name == "cpus":
            groups = sizes
        else:
            counted[name] = counted.get(name, 0) + sum(sizes)
    if not groups:
        raise resources.error("cpus is missing")
    busy, whole = _busy(row)
    allocation = row.fields("allocation")
    return HqWorker(
        id=id,
        host=host,
        state="up" if row.get("ended") is None else "down",
        cpus=sum(groups),
        sockets=len(groups),
        gpus={_GPUS[name]: amount for name, amount in counted.items() if name in _GPUS},
        other={name: amount for name, amount in counted.items() if name not in _GPUS},
        sums=tuple(sums),
        running=busy,
        whole=whole,
        group=settings.text("group", ""),
        manager=allocation.text("manager", ""),
        allocation=allocation.text("id", ""),
        time_limit=_seconds(settings),
        started=row.text("started", ""),
    )


def _sizes(item: Fields) -> list[int] | None:
    """How many indices a resource has, by group; None for one that is an amount."""
    kind = item.text("kind").lower()
    given = item.fields("params") if "params" in item.value else item
    if kind == "sum":
        return None
    if kind == "range":
        size = given.count("end") - given.count("start") + 1
        if not 0 <= size <= _LARGEST:
            raise item.error(f"a range of {size} indices")
        return [size]
    if kind in ("list", "indices"):
        return [_length(given, "values", given.get("values"))]
    if kind == "groups":
        return [_length(given, f"groups[{at}]", group) for at, group in given.items("groups")]
    raise item.error(f"{kind[:40]!r} is no kind of resource that is known")


def _length(item: Fields, key: str, value: object) -> int:
    if not isinstance(value, list) or len(value) > _LARGEST:
        raise item.error(f"{key} must be a list of indices, not {value!r:.60}")
    return len(value)


def _busy(row: Fields) -> tuple[int | None, bool]:
    """How many tasks run or are about to on a worker, and whether one over several workers has all of it."""
    info = row.fields("runtime_info")
    if "SingleNodeTasks" in info.value:
        tasks = info.fields("SingleNodeTasks")
        return tasks.count("running_tasks") + tasks.count("assigned_tasks", 0), False
    return (1, True) if "MultiNodeTask" in info.value else (None, False)


def _seconds(settings: Fields) -> float | None:
    value = settings.get("time_limit")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise settings.error(f"time_limit must be seconds, not {value!r:.40}")
    return float(value)
