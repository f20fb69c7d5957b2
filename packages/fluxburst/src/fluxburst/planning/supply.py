"""A plugin while a plan is made: what it could still make, within its limits and its slots."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from fluxburst.model import Burst, Offer, Policy, amount
from fluxburst.planning import reasons
from fluxburst.planning.balance import Balance
from fluxburst.planning.capacity import Ask, Free, Move, in_time, parts
from fluxburst.planning.job_class import JobClass
from fluxburst.planning.pools import Group, Kind, Pool, Run, Size, Space, front, runs

COMING = {"planned", "creating", "joining", "ready"}  # states of bursts whose hosts are there or on their way


class Pick(NamedTuple):
    """What a plugin would make for a job: so many nodes (GPUs, cores) for a run of slots. nodes: in all."""

    kind: Kind
    lease: float  # inf: no end
    new: list[tuple[Run, int, int, int]]
    nodes: int


@dataclass(slots=True)
class Common:
    """What all plugins share: the budget, and what the lead says of its hosts."""

    balance: Balance
    sizes: Mapping[str, Size]
    now: float


class Supply:
    """One offer, with the bursts that exist of it.

    at: its place in the order of trying. first: how many shapes the plugins before it have.
    """

    def __init__(self, offer: Offer, at: int, first: int, existing: Sequence[Burst], common: Common) -> None:
        self.plugin, self.at, self._first = offer.plugin, at, first
        self.limit = offer.max_nodes
        self.existing = [burst for burst in existing if burst.state not in {"gone", "failed"}]
        self.left = max(0, offer.max_nodes - sum(burst.nodes for burst in self.existing))
        self.lease = float(offer.lease) if offer.lease else inf
        self.paused = offer.paused
        self.runs = runs(offer.slots, common.sizes)
        self.declared = None if offer.slots is None else len(offer.slots)
        self.spare: float = inf if self.declared is None else self.declared
        self.kinds = [
            Kind(n, one.name, size, one.price, offer.cooling.get(one.name, ""), _places(size, self.runs))
            for n, one in enumerate(offer.shapes)
            for size in [(amount(one.holds, "gpus"), amount(one.holds, "cores"))]
        ]
        self.by_name = {kind.name: kind for kind in self.kinds}
        self.groups: dict[tuple[int, str, float], Group] = {}
        self._common, self._balance = common, Balance(offer.budget, "its")
        self._front = front((gpus, cores, kind) for kind in self.kinds for _, gpus, cores in kind.places)
        self._own = front((*kind.size, kind) for kind in self.kinds)
        self._hosts = frozenset(offer.slots or ()) | {host for burst in self.existing for host in burst.hosts}
        self._ever = Counter(common.sizes.get(host) for host in self._hosts) if self.declared is not None else None

    def pool(self, kind: Kind, space: Space) -> Pool:
        """The open nodes of a shape in a namespace."""
        order = self._first + kind.at
        if order not in space.pools:
            space.pools[order] = Pool(order, self, kind)
        return space.pools[order]

    def bars(self, jobs: JobClass) -> tuple[str, bool]:
        """Why it makes nothing at all for a demand, "" where it may; and whether that stays so."""
        options = jobs.demand.options
        if options.plugin and options.plugin != self.plugin:
            return f"the job asks for plugin {options.plugin}", True
        if options.shape and options.shape not in self.by_name:
            return f"it has no shape {options.shape}, which the job asks for", True
        if jobs.hosts is not None and not self.within(jobs.hosts):
            return "not all of its hosts are among those that the job is tied to", True
        kinds = self._allowed(jobs)
        if not any(kind.takes(jobs.ask) for kind in (k for *_, k in self._front)) or (
            options.shape and not kinds[0].takes(jobs.ask)
        ):
            return self._too_small(jobs, kinds), True
        if not in_time(self._lease(jobs), jobs.ask):
            return reasons.too_long(jobs.duration, self.plugin, self.lease, options.deadline or inf), True
        return f"it makes nothing now: {self.paused}" if self.paused else "", False

    def choose(self, jobs: JobClass, units: int) -> Pick | None:
        """The first shape from `jobs.kind` on that it can make enough of; that place moves on, and reasons stay."""
        kinds, lease, ask = self._allowed(jobs), self._lease(jobs), jobs.ask
        room = min(self.left, self.spare, self._balance.nodes, self._common.balance.nodes)
        fewest = units if ask.whole else -(-units // max(parts(gpus, cores, ask) for gpus, cores, _ in self._front))
        cap = jobs.demand.options.max_cost
        few = fewest > room  # then only nodes that are open can make up for it
        if few:
            largest = kinds[0] if len(kinds) == 1 else self._largest(jobs)
            if room < 1:
                self._weigh(jobs, units, largest, lease)
                return None
        pools = jobs.space.pools
        while jobs.kind < len(kinds):
            kind = kinds[jobs.kind]
            if not kind.takes(ask):
                pass
            elif cap != inf and kind.price and self._cost(jobs, kind, units, lease)[1] > cap:
                needs, cost = self._cost(jobs, kind, units, lease)
                if needs < jobs.nearest[0]:
                    jobs.nearest = needs, reasons.too_dear(needs, kind.name, cost, lease, cap)
            else:
                pool = pools.get(self._first + kind.at)
                if not few or kind is largest or (pool and pool.nodes.size + room >= fewest):
                    pick = self._weigh(jobs, units, kind, lease)
                    if pick:
                        return pick
            jobs.kind += 1
        return None

    def open(self, pick: Pick, job: str, space: Space) -> Pool:
        """Make what was chosen."""
        key = pick.kind.at, space.name, pick.lease
        bursts = int(key not in self.groups)
        group = self.groups.setdefault(key, Group(pick.kind, space.name, pick.lease))
        group.jobs.append(job)
        pool = self.pool(pick.kind, space)
        for run, gpus, cores, count in pick.new:
            run.used += count
            group.new[run.at] += count
            pool.nodes.add(Free(gpus, cores, True, pick.lease), count)
        self.left -= pick.nodes
        self.spare -= pick.nodes
        for balance in (self._balance, self._common.balance):
            balance.spend(pick.nodes, pick.kind.price, pick.lease, bursts)
        return pool

    def shares(self, pool: Pool, space: Space, moves: Sequence[Move], job: str) -> None:
        """A job that needs no nodes of its own uses some: a burst to make, of those that end then, is for it too."""
        for move in moves:
            group = self.groups.get((pool.kind.at, space.name, move.free.left))
            if group:
                group.jobs.append(job)
                return

    def within(self, hosts: frozenset[str]) -> bool:
        """Whether every host that a node of it may be is one of these."""
        return self.declared is not None and bool(self._hosts) and self._hosts <= hosts

    def dear(self, jobs: JobClass, kind: Kind, units: int, needs: int = 0) -> bool:
        """Whether a job's own limit keeps it from the nodes of a shape, new and open ones alike.

        It is for what the nodes that it needs would cost if they were made for it alone, on the largest of its slots,
        and for what is made of it: needs, if more.
        """
        cap = jobs.demand.options.max_cost
        return cap != inf and kind.price > 0 and self._cost(jobs, kind, units, self._lease(jobs), needs)[1] > cap

    def _cost(self, jobs: JobClass, kind: Kind, units: int, lease: float, needs: int = 0) -> tuple[int, float]:
        """How many nodes of a shape a job would need if they were made for it alone, and what they would cost."""
        alone = units if jobs.ask.whole else -(-units // max(1, kind.best(jobs.ask)))
        needs = max(alone, needs)
        return needs, round(needs * kind.price * lease / 3600, 9)

    def ever(self, jobs: JobClass, units: int) -> bool:
        """Whether it could take so many units if none of its nodes existed yet, and nothing were spent."""
        if self.bars(jobs)[1]:
            return False
        if jobs.demand.options.max_cost < inf or jobs.demand.options.shape or self._ever is not None:
            kinds = [kind for kind in self._allowed(jobs) if not self.dear(jobs, kind, units)]
        else:
            kinds = [kind for *_, kind in self._front]
        seen = set()
        lease = self._lease(jobs)
        for kind in kinds:
            if any(balance.endless(kind.price, lease) for balance in (self._balance, self._common.balance)):
                continue
            sizes = tuple(sorted({(gpus, cores) for _, gpus, cores in kind.places}))
            if sizes not in seen:
                seen.add(sizes)
                if self._enough(jobs.ask, units, kind):
                    return True
        return False

    def bursts(self, policy: Policy, first: int) -> Iterator[Burst]:
        """The bursts to make. first: how many others there are in the plan before them."""
        numbers = [int(m[1]) for burst in self.existing if (m := re.fullmatch(r".*-([0-9]{1,18})", burst.name))]
        own = max(numbers, default=-1) + 1
        taken: Counter[int] = Counter()
        for number, group in enumerate(self.groups.values()):
            name = policy.name(self.plugin, first + number) if policy.name else f"{self.plugin}-{own + number}"
            hosts: list[str] = []
            for at, count in sorted(group.new.items()):
                slots = self.runs[at].hosts
                if slots is None:
                    hosts += [f"{name}-{index}" for index in range(count)]
                else:
                    hosts += slots[taken[at] : taken[at] + count]
                    taken[at] += count
            deadline = 0.0 if group.lease == inf else self._common.now + group.lease
            yield Burst(
                name,
                self.plugin,
                group.kind.name,
                tuple(hosts),
                tuple(group.jobs),
                deadline=deadline,
                namespace=group.namespace,
            )

    def _lease(self, jobs: JobClass) -> float:
        """Seconds that nodes made for a demand last; inf without end."""
        return min(self.lease, jobs.demand.options.deadline or inf)

    def _allowed(self, jobs: JobClass) -> list[Kind]:
        return [self.by_name[jobs.demand.options.shape]] if jobs.demand.options.shape else self.kinds

    def _largest(self, jobs: JobClass) -> Kind:
        """The shape that needs the fewest nodes: the first one where each unit takes a node."""
        if jobs.ask.whole:
            return next(kind for kind in self.kinds if kind.takes(jobs.ask))
        return max(self._front, key=lambda size: parts(size[0], size[1], jobs.ask))[2]

    def _weigh(self, jobs: JobClass, units: int, kind: Kind, lease: float) -> Pick | None:
        """What would be made of a shape; None where that is too much, and `jobs.nearest` remembers the closest."""
        ask, pool = jobs.ask, jobs.space.pools.get(self._first + kind.at)
        rest = pool.nodes.fill(ask, units)[1] if pool and pool.nodes.size else units
        new, needs, each = [], 0, 0
        for run, gpus, cores in kind.places:
            if rest > 0 and (holds := parts(gpus, cores, ask)):
                each = holds
                if count := int(min(-(-rest // each), run.spare)):
                    new.append((run, gpus, cores, count))
                    needs += count
                    rest -= count * each
        missing = -(-rest // each) if rest > 0 else 0
        needs += missing
        bursts = int((kind.at, jobs.space.name, lease) not in self.groups)
        if (
            not (missing or kind.cooling or needs > self.left or self.dear(jobs, kind, units, needs))
            and self._balance.pays(needs, kind.price, lease, bursts)
            and self._common.balance.pays(needs, kind.price, lease, bursts)
        ):
            return Pick(kind, lease, new, needs)
        if needs < jobs.nearest[0]:
            jobs.nearest = needs, self._why(jobs, units, kind, lease, needs, missing, bursts)
        return None

    def _why(self, jobs: JobClass, units: int, kind: Kind, lease: float, needs: int, missing: int, bursts: int) -> str:
        """Why it does not make so many nodes of a shape."""
        if self.dear(jobs, kind, units, needs):
            count, cost = self._cost(jobs, kind, units, lease, needs)
            return reasons.too_dear(count, kind.name, cost, lease, jobs.demand.options.max_cost)
        if kind.cooling:
            return f"no {kind.name} now: {kind.cooling}"
        if missing:
            return reasons.no_slots(self.plugin, kind.name, needs, int(self.spare), self.declared or 0)
        if needs > self.left:
            return reasons.over_limit(needs, kind.name, self.left, self.limit)
        own = self._balance.pays(needs, kind.price, lease, bursts)
        return (self._common.balance if own else self._balance).short(needs, kind.name, kind.price, lease, bursts)

    def _too_small(self, jobs: JobClass, kinds: Sequence[Kind]) -> str:
        """Why none of the shapes holds a unit."""
        ask = jobs.ask
        own = self._own if kinds is self.kinds else [(*kind.size, kind) for kind in kinds]
        fitting = next((kind for gpus, cores, kind in own if parts(gpus, cores, ask)), None)
        if not fitting:
            return reasons.too_small(jobs.demand, self._closest(ask, kinds, own))
        if not self.declared:
            return reasons.no_slots(self.plugin, fitting.name, 0, 0, 0)
        for run in self.runs:
            size = run.size or fitting.size
            if run.hosts and parts(size[0], size[1], ask):
                return reasons.smaller_than_slot(run.hosts[0], size, fitting.name, fitting.size)
        slots = [(run.hosts[0], *run.size) for run in self.runs if run.hosts and run.size]
        return f"{reasons.too_small(jobs.demand, slots)}, as the lead has declared it"

    def _closest(
        self, ask: Ask, kinds: Sequence[Kind], own: Sequence[tuple[int, int, Kind]]
    ) -> list[tuple[str, int, int]]:
        """The shape that lacks the least: GPUs count first, then cores, then the plugin's order."""
        enough = [one for one in own if one[0] >= ask.gpus]
        if enough or not own:
            return [(kind.name, gpus, cores) for gpus, cores, kind in enough[-1:]]
        most = own[0][0]
        found = next((kind for kind in kinds if kind.size[0] == most and kind.size[1] >= ask.cores), own[0][2])
        return [(found.name, *found.size)]

    def _enough(self, ask: Ask, units: int, kind: Kind) -> bool:
        """Whether all that may ever be of a shape, within the limit and all declared slots, holds so many units."""
        limit = self.limit
        sizes = {(gpus, cores) for _, gpus, cores in kind.places}
        for gpus, cores in sorted(sizes, key=lambda size: parts(size[0], size[1], ask), reverse=True):
            each = parts(gpus, cores, ask)
            if not each:
                break
            there: float = inf
            if self._ever is not None:
                there = self._ever[gpus, cores] + (self._ever[None] if kind.size == (gpus, cores) else 0)
            count = int(min(limit, there, -(-units // each)))
            units -= count * each
            limit -= count
        return units <= 0


def _places(size: Size, found: Sequence[Run]) -> list[tuple[Run, int, int]]:
    """The runs whose slots a shape can be: it has all that the lead's scheduler will use of them."""
    places = []
    for run in found:
        gpus, cores = run.size or size
        if gpus <= size[0] and cores <= size[1]:
            places.append((run, gpus, cores))
    return places
