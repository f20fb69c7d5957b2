"""Nodes of Slurm as an inventory, and summed up by partition or state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resource_secretary.providers.workload._slurm_text import SlurmNode

if TYPE_CHECKING:
    from resources.documents import Group
    from resources.resource import Resource

UNTYPED = "untyped"  # the name of GPUs without a type on a node that has others with one


@dataclass(frozen=True, slots=True)
class SlurmSum:
    """Nodes together. up, down, drained, unknown: how many are in that state; unread: of the unknown ones, those whose
    record can't be read. cores, memory (bytes), gpus (by type): of those that are up; free_*: of that, what no job has;
    free_gpus is null where Slurm doesn't tell which are in use.
    """

    name: str
    nodes: int
    up: int
    down: int
    drained: int
    unknown: int
    unread: int
    cores: int
    free_cores: int
    memory: int
    free_memory: int
    gpus: dict[str, int]
    free_gpus: dict[str, int] | None


def sums(nodes: Iterable[SlurmNode], by: str) -> list[SlurmSum]:
    """The nodes summed up: by "partition", "state" or "cluster". A node in two partitions counts in both."""
    parts: dict[str, list[SlurmNode]] = {} if by != "cluster" else {"": []}
    for node in nodes:
        names = node.partitions or ("(none)",) if by == "partition" else (node.state if by == "state" else "",)
        for name in names:
            parts.setdefault(name, []).append(node)
    return [_sum(name, part) for name, part in sorted(parts.items())]


def _sum(name: str, nodes: list[SlurmNode]) -> SlurmSum:
    states = [node.state for node in nodes]
    up = [node for node in nodes if node.state == "up"]
    left = [gpus_left(node) for node in up]
    free = None if any(one is None for one in left) else _add(one for one in left if one is not None)
    return SlurmSum(
        name=name,
        nodes=len(nodes),
        up=len(up),
        down=states.count("down"),
        drained=states.count("drained"),
        unknown=states.count("unknown"),
        unread=sum(1 for node in nodes if node.unread),
        cores=sum(node.cores or 0 for node in up),
        free_cores=sum(node.free_cores or 0 for node in up),
        memory=sum(node.memory or 0 for node in up),
        free_memory=sum(node.free_memory or 0 for node in up),
        gpus=_add(node.gpus or {} for node in up),
        free_gpus=free,
    )


def _add(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    made: dict[str, int] = {}
    for part in parts:
        for kind, amount in part.items():
            made[kind] = made.get(kind, 0) + amount
    return dict(sorted(made.items()))


def groups(nodes: Iterable[SlurmNode]) -> tuple[Group, ...]:
    """Groups of like nodes. Of one that can't be read only the name is known; a line without a name is left out.

    Raises InputError of `resources`.
    """
    from resources.documents import Group

    alike: dict[object, list[tuple[int, SlurmNode]]] = {}
    for rank, node in enumerate(node for node in nodes if " " not in node.name):
        up = node.state == "up"
        left = gpus_left(node)
        # What makes nodes alike, without making their resources first: 10,000 nodes are a few dozen groups.
        kinds = tuple(sorted((node.gpus or {}).items()))
        free = (
            (node.free_cores, node.free_threads, node.free_memory, tuple(sorted(left.items())))
            if left is not None
            else None
        )
        key = (node.state, node.cores, node.threads, node.memory, kinds, free if up else None)
        alike.setdefault(key, []).append((rank, node))
    made = []
    for rows in alike.values():
        node = rows[0][1]
        total, free_part = _resources(node)
        names, ranks = tuple(row[1].name for row in rows), tuple(row[0] for row in rows)
        made.append(Group(names, ranks, total, free_part, node.state))
    return tuple(made)


def _resources(node: SlurmNode) -> tuple[Resource, Resource | None]:
    from resources import Cores, Gpus, Memory, Threads
    from resources.resource import combine

    def of(cores: int | None, threads: int | None, memory: int | None, gpus: dict[str, int]) -> Resource:
        if cores is None or threads is None or memory is None:
            return combine([])
        parts: list[Resource] = [Cores(cores), Threads(threads), Memory(f"{memory}B")]
        if len(gpus) > 1 and "" in gpus:
            gpus = {kind or UNTYPED: amount for kind, amount in gpus.items()}
        return combine([*parts, Gpus(gpus)] if gpus else parts)

    total = of(node.cores, node.threads, node.memory, node.gpus or {})
    left = gpus_left(node)
    if node.state != "up" or left is None:
        return total, None
    return total, of(node.free_cores, node.free_threads, node.free_memory, left)


def gpus_left(node: SlurmNode) -> dict[str, int] | None:
    """The free GPUs by type; None where Slurm does not tell which type those in use are of."""
    gpus, used = node.gpus or {}, node.gpus_used
    if used is None or not sum(used.values()):
        return None if used is None and gpus else gpus
    if len(gpus) == 1:
        used = {kind: sum(used.values()) for kind in gpus}
    left = {kind: amount - used.get(kind, 0) for kind, amount in gpus.items()}
    return left if used.keys() <= gpus.keys() and min(left.values(), default=0) >= 0 else None
