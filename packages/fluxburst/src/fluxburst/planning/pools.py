"""The nodes of a plugin while a plan is made: those that are open to jobs, those to make, and the slots for them."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from fluxburst.planning.capacity import Ask, Free, Nodes, parts

if TYPE_CHECKING:
    from fluxburst.planning.supply import Supply

Size = tuple[int, int]  # GPUs and cores


@dataclass(slots=True, eq=False)
class Run:
    """Slots that follow one another and are alike, or places without end where no lead says.

    size: what the lead's inventory says of one; None where it says nothing, and a node's own size counts.
    """

    at: int
    hosts: tuple[str, ...] | None
    size: Size | None
    used: int = 0

    @property
    def spare(self) -> float:
        return inf if self.hosts is None else len(self.hosts) - self.used


def runs(slots: Sequence[str] | None, sizes: Mapping[str, Size]) -> list[Run]:
    """Slots in order, those that are alike and follow one another together."""
    if slots is None:
        return [Run(0, None, None)]
    found: list[tuple[Size | None, list[str]]] = []
    for host in slots:
        size = sizes.get(host)
        if not found or found[-1][0] != size:
            found.append((size, []))
        found[-1][1].append(host)
    return [Run(at, tuple(hosts), size) for at, (size, hosts) in enumerate(found)]


@dataclass(slots=True, eq=False)
class Kind:
    """A node shape on offer. places: the runs whose slots it can be, and what it counts for there."""

    at: int
    name: str
    size: Size
    price: float
    cooling: str
    places: list[tuple[Run, int, int]]
    reach: Size = (0, 0)

    def __post_init__(self) -> None:
        self.reach = max((g for _, g, _ in self.places), default=0), max((c for _, _, c in self.places), default=0)

    def takes(self, ask: Ask) -> bool:
        """Whether one of its nodes may hold a unit."""
        if self.reach[1] < ask.cores or self.reach[0] < ask.gpus:
            return False
        return len(self.places) == 1 or bool(self.best(ask))

    def best(self, ask: Ask) -> int:
        """How many units its largest node takes."""
        if len(self.places) == 1:
            return parts(self.reach[0], self.reach[1], ask)
        return max((parts(gpus, cores, ask) for _, gpus, cores in self.places), default=0)


@dataclass(slots=True, eq=False)
class Pool:
    """The open nodes of one shape in one namespace.

    order: by plugin, then by shape. grown: when it last got nodes. bits: where its namespace lists it.
    """

    order: int
    supply: Supply
    kind: Kind
    nodes: Nodes = field(default_factory=Nodes)
    grown: int = 0
    bits: int = 0

    def grow(self, space: Space, nodes: Iterable[Free]) -> None:
        """More nodes are open to the jobs of its namespace."""
        for free, count in Counter(nodes).items():
            self.nodes.add(free, count)
        if self.nodes.size:
            space.has_grown(self)


@dataclass(slots=True, eq=False)
class Space:
    """The pools of one namespace.

    recent: those that have got nodes, the last one at the end, by the bits of the most cores that one of their nodes
    has: large demands pass by what small ones have left over. first: in order, those that were there from the start.
    let_go: how often nodes came that were held before.
    """

    name: str
    pools: dict[int, Pool] = field(default_factory=dict)
    recent: list[OrderedDict[int, Pool]] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    grown: int = 0
    let_go: int = 0

    def has_grown(self, pool: Pool) -> None:
        """A pool has nodes that it had not before."""
        self.grown += 1
        pool.nodes.lower_reach()
        bits = pool.nodes.reach[1].bit_length()
        while len(self.recent) <= bits:
            self.recent.append(OrderedDict())
        if pool.bits != bits:
            self.recent[pool.bits].pop(pool.order, None)
            pool.bits = bits
        pool.grown = self.grown
        self.recent[bits][pool.order] = pool
        self.recent[bits].move_to_end(pool.order)

    def since(self, seen: int, ask: Ask) -> Iterator[int]:
        """The pools that have grown since then, and have a node that may hold a unit."""
        gpus, cores = ask.gpus, ask.cores
        for pools in self.recent[cores.bit_length() :]:
            for pool in reversed(pools.values()):
                if pool.grown <= seen:
                    break
                reach = pool.nodes.reach
                if reach[1] >= cores and reach[0] >= gpus:
                    yield pool.order

    def settle(self) -> None:
        """What has grown until now was there from the start."""
        self.first = sorted(order for pools in self.recent for order in pools)
        self.recent.clear()
        for pool in self.pools.values():
            pool.bits = 0


@dataclass(slots=True, eq=False)
class Group:
    """A burst to make. new: how many nodes of it go into which run of slots."""

    kind: Kind
    namespace: str
    lease: float
    new: Counter[int] = field(default_factory=Counter)
    jobs: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Held:
    """Nodes on their way that their own jobs have not asked for yet; nobody else gets them before.

    pending: how many of these jobs have not had their turn.
    """

    space: Space
    pool: Pool
    nodes: list[Free]  # in the order of the hosts
    pending: int = 0

    def let_go(self, nodes: list[Free]) -> None:
        """These are open to all from now on."""
        self.pool.grow(self.space, nodes)
        self.space.let_go += 1

    def release(self, ask: Ask, units: int) -> list[Free]:
        """The first nodes that hold so many units, and are held no longer; all of them where they are too few."""
        given: list[Free] = []
        kept: list[Free] = []
        for free in self.nodes:
            each = parts(free.gpus, free.cores, ask) if units > 0 else 0
            units -= each
            (given if each else kept).append(free)
        self.nodes = kept
        return given


def front(sizes: Iterable[tuple[int, int, Kind]]) -> list[tuple[int, int, Kind]]:
    """The largest nodes (GPUs, cores, the first shape that has them), which no other one exceeds, most GPUs first."""
    best: list[tuple[int, int, Kind]] = []
    found: dict[Size, Kind] = {}
    for gpus, cores, kind in sizes:
        found.setdefault((gpus, cores), kind)
    for (gpus, cores), kind in sorted(found.items(), key=lambda item: item[0], reverse=True):
        if not best or cores > best[-1][1]:
            best.append((gpus, cores, kind))
    return best
