"""What simulated sites have: tables of node types, and inventories made of them by a seeded generator.

Only `random()` and `randrange()` of random.Random are used: with a text as seed they give the same numbers in every
process and on every platform.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from resources.documents import Group, Inventory
    from resources.resource import Resource

T = TypeVar("T")
Kind = Literal["hpc", "cloud", "standalone"]
OBSERVED = "2026-01-01T00:00:00Z"  # a simulated fleet is always seen at this time
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class NodeType:
    """memory in GiB. gpu: the type of its GPUs, "" where it has none."""

    name: str
    cores: int
    memory: int
    gpu: str = ""
    gpus: int = 0


# Partitions of clusters: what nodes of the last ten years look like.
_HPC = (
    (NodeType("cpu", 32, 128), NodeType("cpu", 48, 192), NodeType("cpu", 64, 256), NodeType("cpu", 128, 512)),
    (NodeType("big", 64, 1024), NodeType("big", 96, 2048)),
    (
        NodeType("gpu", 40, 384, "v100", 4),
        NodeType("gpu", 64, 512, "a100", 4),
        NodeType("gpu", 112, 1024, "h100", 8),
        NodeType("gpu", 64, 512, "mi250x", 8),
    ),
)
_CLOUD = (
    NodeType("c4", 2, 8),
    NodeType("c16", 8, 32),
    NodeType("m32", 16, 128),
    NodeType("c96", 48, 192),
    NodeType("g4", 8, 64, "t4", 1),
    NodeType("g48", 48, 1152, "a100", 8),
)
_WORKSTATIONS = (
    NodeType("ws", 4, 16),
    NodeType("ws", 8, 32),
    NodeType("ws", 16, 64),
    NodeType("ws", 24, 128, "rtx-4090", 1),
    NodeType("ws", 64, 256, "rtx-6000", 2),
)
_SIZES = (4, 8, 16, 32, 64, 128)
_BUSY = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 1.0)  # shares of nodes that jobs hold
MANAGERS: dict[str, tuple[str, ...]] = {
    "hpc": ("slurm", "slurm", "slurm", "flux", "pbs"),
    "cloud": ("kubernetes",),
    "standalone": ("host",),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a site has: workers of one shape have the same, but for their queue. busy: the share that jobs hold."""

    manager: str
    busy: float
    inventory: Inventory


def pick(rng: Random, table: tuple[T, ...]) -> T:
    return table[rng.randrange(len(table))]


def make_shape(kind: Kind, seed: int, number: int) -> Shape:
    """The shape of this number: the same in every process."""
    from resources.documents import Inventory

    rng = Random(f"{kind}:{seed}:shape:{number}")  # noqa: S311 - a simulation
    manager = pick(rng, MANAGERS[kind])
    busy = pick(rng, _BUSY)
    if kind == "hpc":
        groups = _cluster(rng, busy, memory=manager != "flux")  # Flux keeps no memory
    elif kind == "cloud":
        groups = _pools(rng, busy)
    else:
        groups = _workstation(rng, busy)
    return Shape(manager, busy, Inventory(tuple(groups), observed_at=OBSERVED, observed_on=f"simulated {kind}"))


def _cluster(rng: Random, busy: float, *, memory: bool) -> list[Group]:
    """Partitions with nodes that are full, partly used, idle, drained and down."""
    groups: list[Group] = []
    for at, table in enumerate(_HPC):
        if at and rng.random() < 0.4:
            continue
        node = pick(rng, table)
        amount = pick(rng, _SIZES) if not at else max(1, pick(rng, _SIZES) // 4)
        down, drained = (int(amount * share * rng.random()) for share in (0.1, 0.1))
        up = amount - down - drained
        full = int(up * busy)
        partly = min(up - full, rng.randrange(3))
        parts = [("full", full, 0.0), ("part", partly, rng.randrange(1, 8) / 8), ("idle", up - full - partly, 1.0)]
        for _, hosts, share in parts:
            _add(groups, node, hosts, share, "up", memory=memory)
        _add(groups, node, drained, None, "drained", memory=memory)
        _add(groups, node, down, None, "down", memory=memory)
    return groups


def _pools(rng: Random, busy: float) -> list[Group]:
    """Elastic pools: nodes that run, and those that could be started, which are down until they are."""
    groups: list[Group] = []
    for node in _CLOUD:
        if rng.random() < 0.4 and groups:
            continue
        most = pick(rng, _SIZES)
        running = int(most * rng.random())
        full = int(running * busy)
        _add(groups, node, full, 0.0, "up")
        _add(groups, node, running - full, rng.randrange(1, 5) / 4, "up")
        _add(groups, node, most - running, None, "down")
    return groups


def _workstation(rng: Random, busy: float) -> list[Group]:
    """One host. All of its cores are offered, as of any host without a manager; memory is what is not used."""
    groups: list[Group] = []
    node = pick(rng, _WORKSTATIONS)
    _add(groups, node, 1, 1.0, "up", memory_share=1 - busy * 0.9)
    return groups


def _add(
    groups: list[Group],
    node: NodeType,
    hosts: int,
    share: float | None,
    state: str,
    *,
    memory: bool = True,
    memory_share: float | None = None,
) -> None:
    """Add hosts with a share of each that is free, None where that is not known."""
    from resources.documents import Group

    if hosts <= 0:
        return
    start = sum(len(group.hosts) for group in groups)
    names = tuple(f"{node.name}{number}" for number in range(start, start + hosts))
    free = None if share is None else _amounts(node, share, memory_share, memory=memory)
    total = _amounts(node, 1.0, None, memory=memory)
    groups.append(Group(names, tuple(range(start, start + hosts)), total, free, state))


def _amounts(node: NodeType, share: float, memory_share: float | None, *, memory: bool) -> Resource:
    from resources import Cores, Gpus, Memory
    from resources.resource import combine

    size = int(node.memory * _GIB * (share if memory_share is None else memory_share))
    parts: list[Resource] = [Cores(int(node.cores * share))]
    if memory:
        parts.append(Memory(f"{size}B"))
    if node.gpus:
        parts.append(Gpus({node.gpu: int(node.gpus * share)}))
    return combine(parts)
