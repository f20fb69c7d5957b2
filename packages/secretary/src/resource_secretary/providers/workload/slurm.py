"""Slurm, asked through `scontrol`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.providers.workload._slurm_text import (
    SlurmNode,
    SlurmPartition,
    read_nodes,
    read_partitions,
)
from resource_secretary.run import printable

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

_PING = re.compile(r"^Slurmctld\((\w+)\) at (\S+) is (\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Controller:
    """role: primary or backup. state: UP or DOWN."""

    role: str
    host: str
    state: str


@dataclass(frozen=True, slots=True)
class Slurm:
    version: str
    controllers: tuple[Controller, ...]


class SlurmProvider(Offering):
    category = "workload"
    name = "slurm"
    description = "Slurm Workload Manager: partitions, nodes and what is free on them."
    fresh_for = 60.0
    variables = ("SLURM_CONF", "SLURM_CONF_SERVER")

    def probe(self) -> Active[Slurm] | Absent | Unreachable:
        if not self.system.which("scontrol"):
            return Absent("the command scontrol on PATH")
        ping = self.system.run("scontrol", "ping")
        if not ping.ok:
            return ping.unreachable()
        controllers = tuple(Controller(*match.groups()) for match in _PING.finditer(ping.stdout))
        if not any(one.state == "UP" for one in controllers):
            said = printable(" ".join(ping.stdout.split()))[:200] or "nothing"
            return Unreachable("scontrol ping", f"no controller is up, it said: {said}", ping.code)
        version = self.system.run("scontrol", "--version")
        if not version.ok:
            return version.unreachable()
        return Active(Slurm((version.stdout.split() or [""])[-1], controllers))

    @secretary_tool
    def partitions(self) -> list[SlurmPartition]:
        """The partitions (queues), their limits and their nodes."""
        return read_partitions(self.system.run("scontrol", "--oneliner", "show", "partitions").text())

    @secretary_tool
    def nodes(self, state: Literal["any", "up", "down", "drained", "unknown"] = "any") -> list[SlurmNode]:
        """The nodes in a state: cores, memory and GPUs, and what of them is free.
        state: those in this state only."""
        return [node for node in self._nodes() if state in ("any", node.state)]

    def inventory(self) -> Inventory:
        """Every node as Slurm has it. Nothing is known to be free on a node that is not up.

        Free memory is what Slurm would give out: where it does not manage memory, all of it.
        """
        from resources.documents import Group, Inventory
        from resources.errors import InputError

        alike: dict[tuple[str, str, str], list[tuple[int, str, Resource, Resource | None]]] = {}
        for rank, node in enumerate(self._nodes()):
            total, free = _resources(node)
            alike.setdefault((node.state, str(total), str(free)), []).append((rank, node.name, total, free))
        try:
            groups = tuple(
                Group(tuple(row[1] for row in rows), tuple(row[0] for row in rows), rows[0][2], rows[0][3], state)
                for (state, _, _), rows in alike.items()
            )
            return Inventory(groups, observed_at=self.system.now(), observed_on=self.system.where())
        except InputError as error:
            raise OutputError("scontrol show nodes", "", str(error)) from None

    def _nodes(self) -> list[SlurmNode]:
        return read_nodes(self.system.run("scontrol", "--details", "--oneliner", "show", "nodes").text())


def _resources(node: SlurmNode) -> tuple[Resource, Resource | None]:
    from resources import Cores, Gpus, Memory, Threads
    from resources.resource import combine

    def of(cores: int, threads: int, memory: int, gpus: dict[str, int]) -> Resource:
        parts: list[Resource] = [Cores(cores), Threads(threads), Memory(f"{memory}B")]
        return combine([*parts, Gpus(gpus)] if gpus else parts)

    total = of(node.cores, node.threads, node.memory, node.gpus)
    left = _gpus_left(node)
    if node.state != "up" or left is None:
        return total, None
    return total, of(node.free_cores, node.free_threads, node.free_memory, left)


def _gpus_left(node: SlurmNode) -> dict[str, int] | None:
    """The free GPUs by type; None where Slurm does not tell which type those in use are of."""
    if node.gpus_used is None or not sum(node.gpus_used.values()):
        return None if node.gpus_used is None and node.gpus else node.gpus
    used = node.gpus_used
    if len(node.gpus) == 1:
        used = {kind: sum(used.values()) for kind in node.gpus}
    left = {kind: amount - used.get(kind, 0) for kind, amount in node.gpus.items()}
    return left if used.keys() <= node.gpus.keys() and min(left.values(), default=0) >= 0 else None
