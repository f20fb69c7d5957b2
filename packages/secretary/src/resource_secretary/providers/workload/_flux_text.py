"""Read what `flux resource` prints: resource sets (R version 1, Flux RFC 20) and sets of ranks (RFC 22)."""

from __future__ import annotations

from resources import idset
from resources.documents import Group, Inventory
from resources.errors import InputError
from resources.flux_r import from_flux_r
from resources.kinds.cores import Cores
from resources.kinds.gpus import Gpus
from resources.resource import Resource, combine
from resources.strictjson import loads

from resource_secretary.errors import OutputError


def read_inventory(everything: str, free: str, down: str, drained: str) -> Inventory:
    """The inventory of an instance: its resource set, what of it is free (both JSON), ranks that are down or drained.

    The four are asked one after another, so a core counts as free only if it is in the whole set too. Drained ranks are
    among those that are down. Raises OutputError.
    """
    whole = _resource_set("all", everything)
    left = {rank: group.total for group in _resource_set("free", free).groups for rank in group.ranks}
    off = dict.fromkeys(_ranks("list -s down", down), "down")
    off.update(dict.fromkeys(_ranks("status -s drain", drained), "drained"))
    groups: dict[tuple[str, str, str], list[tuple[int, str, Group]]] = {}
    for rank, name, group in whole.hosts():
        state = off.get(rank, "up")
        one = Group((name,), (rank,), group.total, _part(group.total, left.get(rank)) if state == "up" else None, state)
        groups.setdefault((str(one.total), str(one.free), state), []).append((rank, name, one))
    return Inventory(
        tuple(
            Group(
                tuple(row[1] for row in rows), tuple(row[0] for row in rows), rows[0][2].total, rows[0][2].free, state
            )
            for (_, _, state), rows in groups.items()
        )
    )


def _resource_set(states: str, text: str) -> Inventory:
    try:
        return from_flux_r(loads(text, "resource set"))
    except InputError as error:
        raise OutputError(f"flux resource R -s {states}", error.place, error.message) from None


def _ranks(command: str, text: str) -> list[int]:
    """The ranks of all lines; a line for each reason that they were drained for."""
    try:
        return [rank for line in text.split() for rank in idset.ids_of(idset.parse(line, "rank"))]
    except InputError as error:
        raise OutputError(f"flux resource {command}", error.place, error.message) from None


def _part(total: Resource, free: Resource | None) -> Resource:
    """The total with those of its cores and GPUs that are free too."""
    leaves: list[Resource] = []
    for leaf in total.leaves:
        other = free.get(leaf.kind) if free is not None else None
        if isinstance(leaf, Cores):
            leaves.append(Cores.of_mask(leaf.mask & (other.mask if other else 0)))
        elif isinstance(leaf, Gpus):
            leaves.append(leaf.part(leaf.mask & (other.mask if other else 0)))
        else:
            leaves.append(leaf)
    return combine(leaves)
