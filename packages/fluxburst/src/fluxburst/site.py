"""A plugin while a plan is made: its nodes that are open to jobs, and how many more it may make."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from fluxburst.capacity import Free, Nodes, holds
from fluxburst.demand import Demand
from fluxburst.jobs import Job
from fluxburst.model import Burst, Offer, amount
from fluxburst.reasons import over_limit, too_small


class Site:
    """One offer with the bursts that exist of it. joined: hosts that are in the lead's inventory already."""

    def __init__(self, offer: Offer, existing: Sequence[Burst], joined: frozenset[str]) -> None:
        self.plugin = offer.plugin
        self.limit = offer.max_nodes
        self.left = max(0, offer.max_nodes - sum(burst.nodes for burst in existing))
        self.shapes = {
            shape.name: Free(amount(shape.holds, "gpus"), amount(shape.holds, "cores"), True) for shape in offer.shapes
        }
        self.open: dict[str, Nodes] = {}
        self._existing = existing
        self._new: Counter[str] = Counter()
        self._jobs: dict[str, list[str]] = {}
        self._fitting: dict[tuple[bool, int, int], list[tuple[str, int]]] = {}
        for burst in existing:
            if burst.shape in self.shapes:
                coming = sum(host not in joined for host in burst.hosts)
                self.open.setdefault(burst.shape, Nodes()).add(self.shapes[burst.shape], coming)

    def fitting(self, demand: Demand) -> list[tuple[str, int]]:
        """The shapes that hold a unit of a demand, and how many units each of their nodes takes."""
        key = (demand.nodes > 0, *demand.unit)
        if key not in self._fitting:
            every = ((name, holds(free, demand)) for name, free in self.shapes.items())
            self._fitting[key] = [(name, each) for name, each in every if each]
        return self._fitting[key]

    def needs(self, demand: Demand, units: int) -> Iterator[tuple[str, int]]:
        """The shapes that hold a demand, and how many new nodes so many units need beside the open ones."""
        for name, each in self.fitting(demand):
            rest = self.open[name].fill(demand, units)[1] if name in self.open else units
            yield name, -(-rest // each)

    def put(self, job: Job, demand: Demand, units: int, shape: str, new: int) -> int:
        """Make so many new nodes and put the units onto the open ones; how many nodes they use in all."""
        nodes = self.open.setdefault(shape, Nodes())
        nodes.add(self.shapes[shape], new)
        if new:
            self.left -= new
            self._new[shape] += new
            self._jobs.setdefault(shape, []).append(job.id)
        moves, _ = nodes.fill(demand, units)
        return nodes.take(demand, moves)

    def why_not(self, demand: Demand, units: int) -> str:
        """Why no shape takes so many units."""
        cheapest = min(self.needs(demand, units), key=lambda need: need[1], default=None)
        if cheapest:
            return over_limit(cheapest[1], cheapest[0], self.left, self.limit)
        return too_small(demand, self.shapes.items())

    def ever(self, demand: Demand, units: int) -> bool:
        """Whether it could take so many units if none of its nodes existed yet."""
        return any(-(-units // each) <= self.limit for _, each in self.fitting(demand))

    def bursts(self) -> Iterator[Burst]:
        """The bursts to make, one for each shape, numbered on from those that exist."""
        numbers = [int(m[1]) for burst in self._existing if (m := re.fullmatch(r".*-([0-9]{1,18})", burst.name))]
        first = max(numbers, default=-1) + 1
        for number, (shape, jobs) in enumerate(self._jobs.items(), first):
            name = f"{self.plugin}-{number}"
            hosts = tuple(f"{name}-{index}" for index in range(self._new[shape]))
            yield Burst(name, self.plugin, shape, hosts, tuple(jobs))
