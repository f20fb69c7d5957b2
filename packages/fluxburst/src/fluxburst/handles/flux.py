"""A running Flux instance as the lead, through Flux's own Python bindings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from fluxburst.errors import HandleError, JobError
from fluxburst.handles import nodes
from fluxburst.handles.connection import PATIENCE, Connection, Stream
from fluxburst.handles.events import EVENTS, Queue, in_order
from fluxburst.jobs import Job, read_job

if TYPE_CHECKING:
    from resources.documents import Inventory

_PENDING = 2 | 4 | 8  # DEPEND, PRIORITY, SCHED (flux-core's job.h)
_CURRENT = 2  # FLUX_JOB_LOOKUP_CURRENT: a jobspec with its updates
_SETTLED = 5.0  # seconds


class FluxHandle:
    """The instance that `uri` names, or FLUX_URI, or the system's. Raises HandleError where there is none to be had.

    The first look at the queue reads it all; later ones read what has happened since, from the job manager's journal.
    Only the instance's owner may: others list the jobs at every look. A lead that was lost is looked for again at
    the next question. To be used by one thread. journal: False has anybody list the jobs. patience: seconds for each
    answer.
    """

    def __init__(self, uri: str = "", *, journal: bool = True, patience: float = PATIENCE) -> None:
        self._journal = journal
        self._connect = partial(Connection, uri, patience)
        self._connection: Connection | None = self._connect()
        self._look: Callable[[], tuple[Job, ...]] | None = None
        self._nodes: tuple[str, str, Inventory] | None = None
        self._ranks: tuple[str, nodes.Ranks] | None = None
        self._sizes: dict[str, tuple[int, int] | None] = {}  # by the broker's own id

    def jobs(self) -> Sequence[Job]:
        with self._asking("the jobs can't be listed") as connection:
            if self._look is None:
                self._look = _queue(connection, self._journal)
            return self._look()

    def inventory(self) -> Inventory | None:
        with self._asking("the resources can't be listed") as connection:
            ranks = self._ranks_now(connection)
            sched = connection.ask("resource.sched-status")
            status = self._ranks[0] if self._ranks else ""
            if self._nodes is None or self._nodes[:2] != (status, sched):
                self._nodes = status, sched, nodes.inventory(ranks, json.loads(sched))
            return self._nodes[2]

    def sizes(self, hosts: Collection[str]) -> Mapping[str, tuple[int, int]]:
        with self._asking("the brokers can't be asked") as connection:
            ranks = self._ranks_now(connection)
            there = {rank: host for rank, host in ranks.named(hosts).items() if rank in ranks.online}
            brokers = _each(connection, "attr.get", {"name": "broker.uuid"}, there)
            names = {rank: json.loads(answer)["value"] for rank, answer in brokers.items()}
            new = [rank for rank, name in names.items() if name not in self._sizes]
            for rank, xml in _each(connection, "resource.topo-get", None, new).items():
                self._sizes[names[rank]] = nodes.found(xml)
            told = {there[rank]: self._sizes.get(name) for rank, name in names.items()}
            return {host: size for host, size in told.items() if size is not None}

    def drains(self) -> Mapping[str, str]:
        with self._asking("the drained hosts can't be listed") as connection:
            return self._ranks_now(connection).drains()

    def drain(self, hosts: Collection[str], reason: str) -> None:
        with self._asking("hosts can't be drained") as connection:
            ranks = self._ranks_now(connection)
            # Flux would give a drain that has no reason this one, and it would look like ours.
            if wanted := nodes.declared(ranks, hosts).keys() - ranks.reasons.keys():
                targets = {"targets": nodes.idset_text(wanted), "reason": reason, "mode": "update"}
                connection.ask("resource.drain", targets)

    def undrain(self, hosts: Collection[str]) -> None:
        with self._asking("hosts can't be undrained") as connection:
            ranks = self._ranks_now(connection)
            if wanted := ranks.named(hosts).keys() & ranks.reasons.keys():
                connection.ask("resource.undrain", {"targets": nodes.idset_text(wanted), "mode": "update"})

    def stopped(self) -> Mapping[str, str]:
        """The queues that start no jobs, with the reason (flux-queue(1)); "" is the one without a name."""
        with self._asking("the queues can't be listed") as connection:
            names: list[str] = json.loads(connection.ask("job-manager.queue-list"))["queues"]
            asked = [{"name": name} for name in names] or [{}]
            answers = connection.ask_all(("job-manager.queue-status", payload, 0) for payload in asked)
            told = dict(zip(names or [""], answers, strict=True))
            status = {name: json.loads(answer) for name, answer in told.items() if isinstance(answer, str)}
            return {name: one.get("stop_reason", "") for name, one in status.items() if not one["start"]}

    def attribute(self, name: str) -> str | None:
        """An attribute of the lead's broker (flux-broker-attributes(7)), None where it is not set."""
        with self._asking(f"the attribute {name} can't be read") as connection:
            return connection.attribute(name)

    def config(self) -> Mapping[str, Any]:
        """The configuration that the lead's broker runs with (flux-config(5))."""
        with self._asking("the configuration can't be read") as connection:
            config: dict[str, Any] = json.loads(connection.ask("config.get"))
            return config

    def _ranks_now(self, connection: Connection) -> nodes.Ranks:
        status = connection.ask("resource.status")
        if self._ranks is None or self._ranks[0] != status:
            self._ranks = status, nodes.Ranks(json.loads(status))
        return self._ranks[1]

    @contextmanager
    def _asking(self, what: str) -> Iterator[Connection]:
        from resources.errors import InputError

        try:
            if self._connection is None:
                self._connection = self._connect()
            yield self._connection
        except (OSError, JobError, InputError, LookupError, ValueError) as error:
            # Whatever it was, nothing that was half read is kept.
            self._connection = self._look = self._nodes = self._ranks = None
            why = error.strerror or error if isinstance(error, OSError) else error
            raise HandleError(f"{what}: {why}") from error


def _each(connection: Connection, topic: str, payload: object, ranks: Collection[int]) -> dict[int, str]:
    """The answers of those ranks that answer."""
    answers = connection.ask_all((topic, payload, rank) for rank in ranks)
    return {rank: answer for rank, answer in zip(ranks, answers, strict=True) if isinstance(answer, str)}


def _queue(connection: Connection, journal: bool) -> Callable[[], tuple[Job, ...]]:
    """What looks at the queue."""
    if journal:
        asked = {"full": False, "allow": dict.fromkeys(EVENTS, 1)}
        stream = connection.follow("job-manager.events-journal", asked, "job-manager.ping")
        look = _Followed(stream)
        try:
            look()
        except PermissionError:
            pass
        else:
            return look
    return _Listed(connection)


class _Followed:
    """The queue by the journal."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._queue = stream, Queue()

    def __call__(self) -> tuple[Job, ...]:
        for message in self._stream.arrived():
            self._queue.feed(json.loads(message))
        return self._queue.jobs()


class _Listed:
    """The queue by lists: a jobspec is read when its job is new, or when anything else of it has changed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[int, dict[str, Any]] = {}
        self._jobs: dict[int, Job] = {}
        self._altered: dict[int, float] = {}
        self._queue: tuple[Job, ...] = ()

    def __call__(self) -> tuple[Job, ...]:
        now, rows = time.monotonic(), {row["id"]: row for row in self._list()}
        altered = {one for one in rows if one in self._rows and rows[one] != self._rows[one]}
        # An update is listed a little before it is where jobspecs are looked up.
        self._altered = {one: when for one, when in self._altered.items() if one in rows and now - when < _SETTLED}
        self._altered |= dict.fromkeys(altered, now)
        asked = [one for one in rows if one not in self._rows or one in self._altered]
        before, self._jobs = self._jobs, {one: self._jobs[one] for one in rows if one in self._jobs}
        for one, job in zip(asked, self._look_up([rows[one] for one in asked]), strict=True):
            if job != before.get(one):
                self._jobs[one] = job
        self._rows = rows
        if self._jobs != before:
            self._queue = in_order(self._jobs)
        return self._queue

    def _look_up(self, rows: list[dict[str, Any]]) -> Iterator[Job]:
        wanted = {"keys": ["jobspec"], "flags": _CURRENT}
        answers = self._connection.ask_all(("job-info.lookup", {"id": row["id"], **wanted}, 0) for row in rows)
        for row, answer in zip(rows, answers, strict=True):
            # A job that has just gone has no jobspec any more, and one of another user shows none.
            spec = json.loads(json.loads(answer)["jobspec"]) if isinstance(answer, str) else None
            yield read_job({**row, "spec": spec}, strict=False)

    def _list(self) -> list[dict[str, Any]]:
        wanted = {"max_entries": 0, "attrs": ["all"], "since": 0.0, "constraint": {"states": [_PENDING]}}
        rows: list[dict[str, Any]] = []
        for answer in self._connection.stream("job-list.list", wanted):
            rows += json.loads(answer)["jobs"]
        for row in rows:
            row.get("annotations", {}).pop("sched", None)  # what the scheduler remarks changes nothing
            if not row.get("annotations", True):
                del row["annotations"]
        return rows
