"""A fleet: thousands of workers that are not there, each with what it has, a queue, a latency, and perhaps a fault."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, Literal, get_args

from resource_secretary.asking import HOST, Answer, Depth, decide, with_start
from resource_secretary.errors import CommandFailed, SecretaryError
from resource_secretary.fleet.lies import told
from resource_secretary.fleet.shapes import OBSERVED, Kind, Shape, make_shape, pick

if TYPE_CHECKING:
    from resources.resource import Resource

Behaviour = Literal["honest", "slow", "dead", "lying", "malformed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FAULTS: tuple[Behaviour, ...] = ("slow", "dead", "lying", "malformed")
MOST_WORKERS = 1_000_000
_SHAPES = 192  # different inventories in a fleet; each is asked once for a request, whoever has it
_NOW = datetime.fromisoformat(OBSERVED).timestamp()
_LATENCIES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.8)  # seconds
_STARTUPS = (45.0, 90.0, 180.0, 300.0)  # seconds until a node of a cloud is up


class FleetError(SecretaryError, ValueError):
    """No such fleet can be made."""


@dataclass(frozen=True, slots=True)
class SimulatedWorker:
    """A worker of a fleet, as a hub asks it.

    latency: seconds that its answer takes. depth: its queue, None for a host without a manager. wait: seconds until a
    job that does not fit now would start; None where that is not told. behaviour: honest, or its fault.
    """

    name: str
    shape: int
    latency: float
    depth: Depth | None
    wait: float | None
    behaviour: Behaviour
    fleet: Fleet = field(repr=False, compare=False)
    simulated: bool = field(default=True, repr=False)

    def answer(self, need: Resource) -> Answer:
        """The answer of an honest secretary there, by the code that a real one runs."""
        found = self.fleet.decided(need, self.shape)
        found = replace(found, depth=self.depth)
        if self.wait is None or found.verdict not in ("READY", "BUSY"):
            return found
        return with_start(found, _NOW + (0.0 if found.verdict == "READY" else self.wait), _NOW)

    async def ask(self, request: str, timeout: float) -> Answer:
        """What it says: the answer, a lie, or a failure. Raises WorkerFailed, CommandFailed, TimeoutError.

        Time is only spent where the fleet is one of real time; else a latency beyond the timeout is a TimeoutError too,
        at once.
        """
        from resource_secretary.hub.worker import WorkerFailed

        late = self.behaviour == "slow" or self.latency > timeout
        if self.fleet.real_time:
            await asyncio.sleep(timeout * 10 if self.behaviour == "slow" else self.latency)
        elif late:
            raise TimeoutError
        else:
            await asyncio.sleep(0)
        if self.behaviour == "dead":
            raise CommandFailed(self.name, "connection refused")
        if self.behaviour == "malformed":
            raise WorkerFailed("malformed", "what it sent is no answer: verdict is missing")
        need = self.fleet.read(request)
        honest = self.answer(need)
        return told(honest, need, self.name) if self.behaviour == "lying" else honest


@dataclass(slots=True)
class Fleet:
    """Workers of one kind, made by `make_fleet`. real_time: they take their latency, and slow ones forever."""

    kind: Kind
    seed: int
    real_time: bool
    workers: tuple[SimulatedWorker, ...] = ()
    _shapes: dict[int, Shape] = field(default_factory=dict)
    _request: tuple[str, Resource] | None = None
    _decided: dict[int, Answer] = field(default_factory=dict)

    def shape(self, number: int) -> Shape:
        """What workers of this shape have."""
        if number not in self._shapes:
            self._shapes[number] = make_shape(self.kind, self.seed, number)
        return self._shapes[number]

    def read(self, request: str) -> Resource:
        """A request from its text. Raises InputError of `resources`."""
        from resources.documents import load_request

        if self._request is None or self._request[0] != request:
            self._request = (request, load_request(request))
            self._decided.clear()
        return self._request[1]

    def decided(self, need: Resource, number: int) -> Answer:
        """The answer that all workers of a shape share. Only those to the last request are kept."""
        if self._request is None or self._request[1] is not need:
            self._request = (need.text, need)
            self._decided.clear()
        if number not in self._decided:
            shape = self.shape(number)
            where = shape.inventory.observed_on
            self._decided[number] = decide(need, shape.inventory, shape.manager, now=OBSERVED, where=where)
        return self._decided[number]

    def truth(self) -> dict[str, Any]:
        """The ground truth, as JSON: what every worker has, its queue, when a job would start, and its fault."""
        from resource_secretary.fleet.truth import document

        return document(self)


def make_fleet(
    kind: Kind,
    seed: int,
    workers: int,
    *,
    faults: Mapping[str, float] | None = None,
    real_time: bool = False,
) -> Fleet:
    """A fleet of so many workers; the same arguments make the same fleet in every process.

    kind: hpc (clusters with partitions, GPUs, queues), cloud (elastic pools), standalone (workstations). faults: which
    share of the workers is slow, dead, lying or malformed. Raises FleetError.
    """
    if kind not in KINDS:
        raise FleetError(f"no fleet of kind {kind!r}; there are: {', '.join(KINDS)}")
    if not 1 <= workers <= MOST_WORKERS:
        raise FleetError(f"a fleet has from 1 to {MOST_WORKERS} workers, not {workers}")
    shares = dict(faults or {})
    if unknown := sorted(shares.keys() - set(FAULTS)):
        raise FleetError(f"no fault named {unknown[0]!r}; there are: {', '.join(FAULTS)}")
    if any(not 0 <= share <= 1 for share in shares.values()) or sum(shares.values()) > 1:
        raise FleetError("the shares of faults are from 0 to 1, and 1 together at most")
    fleet = Fleet(kind, seed, real_time)
    width = len(str(workers - 1))
    shapes = min(workers, _SHAPES)
    fleet.workers = tuple(_worker(fleet, f"{kind}-{at:0{width}d}", shapes, shares) for at in range(workers))
    return fleet


def _worker(fleet: Fleet, name: str, shapes: int, shares: Mapping[str, float]) -> SimulatedWorker:
    rng = Random(f"{fleet.kind}:{fleet.seed}:{name}")  # noqa: S311 - a simulation
    number = rng.randrange(shapes)
    latency = pick(rng, _LATENCIES)
    depth, wait = _queue(rng, fleet.shape(number))
    return SimulatedWorker(name, number, latency, depth, wait, _behaviour(rng, shares), fleet)


def _queue(rng: Random, shape: Shape) -> tuple[Depth | None, float | None]:
    """The queue of a worker, which is the longer the busier it is, and the wait of whoever comes last."""
    if shape.manager == HOST:
        return None, None
    hosts = sum(len(group.hosts) for group in shape.inventory.groups)
    running = int(hosts * shape.busy * (0.5 + rng.random()))
    pending = int(hosts * shape.busy**3 * 2 * rng.random())
    cores = pending * (1 + rng.randrange(64)) if shape.manager != "kubernetes" else None
    if shape.manager == "kubernetes":
        return Depth(pending, running, cores), pick(rng, _STARTUPS)
    if shape.manager == "flux":
        return Depth(pending, running, cores), None  # Flux does not tell
    return Depth(pending, running, cores), float(60 * (1 + rng.randrange(20)) * (1 + pending))


def _behaviour(rng: Random, shares: Mapping[str, float]) -> Behaviour:
    drawn, below = rng.random(), 0.0
    for fault in FAULTS:
        below += shares.get(fault, 0.0)
        if drawn < below:
            return fault
    return "honest"
