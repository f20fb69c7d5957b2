"""The hosts of a lead in memory: which are there, which are drained, and what jobs hold of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from fluxburst.demand import Demand
from fluxburst.errors import FluxBurstError
from fluxburst.planning.capacity import Ask, Free, holds

if TYPE_CHECKING:
    from resources import Resource
    from resources.documents import Inventory

Size = tuple[int, int]  # cores and GPUs


@dataclass(slots=True, eq=False)
class Host:
    """One declared host. size: what the lead believes; real: what its broker found; free: what no job holds."""

    name: str
    rank: int
    size: Size
    free: Size
    real: Size
    up: bool = False
    drained: str | None = None

    @property
    def state(self) -> str:
        return "down" if not self.up else "up" if self.drained is None else "drained"


class Hosts:
    """All of them, in the order of their ranks."""

    def __init__(self, sizes: Mapping[str, Size]) -> None:
        self._all = {name: Host(name, rank, size, size, size) for rank, (name, size) in enumerate(sizes.items())}
        self._inventory: Inventory | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def __getitem__(self, name: str) -> Host:
        if name not in self._all:
            raise FluxBurstError(f"no host {name} is declared")
        return self._all[name]

    def set(self, name: str, *, up: bool, real: Size | None = None) -> None:
        """A broker has come or gone. real: what it found, if not what is declared."""
        host = self[name]
        host.up, host.real, self._inventory = up, real or host.size, None

    def drain(self, name: str, reason: str | None) -> None:
        self[name].drained, self._inventory = reason, None

    def drains(self) -> dict[str, str]:
        return {one.name: one.drained for one in self._all.values() if one.drained is not None}

    def place(self, demand: Demand) -> dict[Host, Size] | None:
        """Take what a job needs, from the first hosts that have it; None where they don't."""
        parts: dict[Host, Size] = {}
        (cores, gpus), units = demand.unit, demand.units
        ask = Ask(demand.nodes > 0, gpus, cores, demand.exclusive)
        for host in self._all.values():
            if not units:
                break
            free = Free(host.free[1], host.free[0], host.free == host.size)
            if each := min(units, holds(free, ask)) if host.state == "up" else 0:
                parts[host] = host.free if demand.exclusive else (cores * each, gpus * each)
                units -= each
        if units:
            return None
        self._give(parts, -1)
        return parts

    def release(self, parts: Mapping[Host, Size]) -> None:
        self._give(parts, 1)

    def _give(self, parts: Mapping[Host, Size], sign: int) -> None:
        for host, (cores, gpus) in parts.items():
            host.free = host.free[0] + sign * cores, host.free[1] + sign * gpus
        self._inventory = None

    def inventory(self) -> Inventory:
        from resources import ZERO
        from resources.documents import Group, Inventory

        if self._inventory is None:
            groups = []
            for one in self._all.values():
                # As with Flux, a host without free cores has nothing that a job could take.
                free = _amounts(one.free) if one.up and one.free[0] else ZERO
                groups.append(Group((one.name,), (one.rank,), _amounts(one.size), free, one.state))
            self._inventory = Inventory(tuple(groups)).merged()
        return self._inventory


@lru_cache(maxsize=1000)
def _amounts(size: Size) -> Resource:
    from resources import ZERO, Cores, Gpus

    cores, gpus = size
    return (Cores(cores) if cores else ZERO) & (Gpus(gpus) if gpus else ZERO)
