"""OAR, asked through `oarnodes` and `oarstat`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.providers.workload._alike import inventory_of
from resource_secretary.providers.workload._oar_json import (
    OarJob,
    OarNode,
    counts,
    held,
    read_jobs,
    read_nodes,
    read_resources,
)
from resource_secretary.run import printable

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

    from resource_secretary.asking import Depth

_VERSION = re.compile(r"version\s*:\s*v?([0-9][0-9A-Za-z.+-]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Oar:
    """nodes: how many hosts it has."""

    version: str
    nodes: int


class OarProvider(Offering):
    category = "workload"
    name = "oar"
    description = "OAR: nodes, their states and what is free on them, and jobs with the start that OAR expects."
    fresh_for = 60.0
    variables = ("OAR_CONF", "OARCONFFILE")

    def probe(self) -> Active[Oar] | Absent | Unreachable:
        if not self.system.which("oarnodes"):
            return Absent("the command oarnodes on PATH")
        # The version the client knows by itself; what there are for nodes only the database.
        version = self.system.run("oarnodes", "-V")
        if not version.ok:
            return version.unreachable()
        nodes = self.system.run("oarnodes", "-l")
        if not nodes.ok:
            return nodes.unreachable()
        names = nodes.stdout.split()
        match = _VERSION.search(version.stdout)
        if not match or not names:
            said = printable(f"{version.stdout} {nodes.stdout}".strip())[:200] or "nothing"
            return Unreachable(nodes.command, f"no version or no nodes, it said: {said}", nodes.code)
        return Active(Oar(match[1], len(set(names))))

    @secretary_tool
    def nodes(self, state: Literal["any", "up", "down", "drained", "unknown"] = "any") -> list[OarNode]:
        """The nodes: cores, GPUs, memory, what is free of them, and the jobs on them.
        state: those in this state only."""
        return [node for node in self._nodes() if state in ("any", node.state)]

    @secretary_tool
    def jobs(self, whose: Literal["mine", "all"] = "mine") -> list[OarJob]:
        """The jobs that wait or run, where, why they wait, and when OAR expects them to start.
        whose: my own, or those of all users."""
        me = self.system.user()
        return [job for job in read_jobs(self._stat()) if whose == "all" or job.owner == me or job.unread]

    def inventory(self) -> Inventory:
        """Every node with its cores, GPUs and, where the site has the property `memnode`, memory.

        What a best-effort job holds counts as held. OAR gives out no memory, so all of it is offered as free where
        cores are.
        """
        rows = []
        for node in self._nodes():
            total = _resources(node.cores, node.gpus, node.memory, node.gpus)
            free = None
            if node.state == "up" and node.free_cores is not None and node.free_gpus is not None:
                memory = node.memory if node.free_cores else 0
                free = _resources(node.free_cores, node.free_gpus, None if node.memory is None else memory, node.gpus)
            rows.append((node.host, node.state, total, free))
        return inventory_of("oarnodes -J", rows, self.system)

    def depth(self) -> Depth:
        """The jobs that wait and run."""
        from resource_secretary.asking import Depth

        return Depth(*counts(read_jobs(self._stat())))

    def _nodes(self) -> list[OarNode]:
        now = int(datetime.fromisoformat(self.system.now()).timestamp())
        resources, unread = read_resources(self.system.run("oarnodes", "-J").text(), now)
        if any(one.busy is None for one in resources):  # OAR 3 tells jobs of resources in `oarstat` only
            taken = held(self._stat())
            if taken is not None:
                resources = [
                    replace(one, busy=one.id in taken, jobs=tuple(filter(None, [taken.get(one.id)])))
                    for one in resources
                ]
        return read_nodes(resources, unread)

    def _stat(self) -> str:
        return self.system.run("oarstat", "-f", "-J").text()


def _resources(cores: int, gpus: dict[str, int], memory: int | None, kinds: dict[str, int]) -> Resource:
    from resources import Cores, Gpus, Memory
    from resources.resource import combine

    parts: list[Resource] = [Cores(cores)]
    if memory is not None:
        parts.append(Memory(f"{memory}B"))
    if kinds:
        parts.append(Gpus({kind: gpus.get(kind, 0) for kind in kinds}))
    return combine(parts)
