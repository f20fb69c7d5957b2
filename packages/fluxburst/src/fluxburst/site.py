"""A plugin while a plan is made: what it could still make, within its limits and its slots."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from fluxburst import reasons
from fluxburst.capacity import Ask, Free, Move, in_time, parts
from fluxburst.case import Case
from fluxburst.model import Burst, Offer, Policy, amount
from fluxburst.pools import Group, Kind, Pool, Run, Size, Space, front, runs
from fluxburst.purse import Purse

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

    purse: Purse
    sizes: Mapping[str, Size]
    now: float


class Site:
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
        self._common, self._purse = common, Purse(offer.budget, "its")
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

    def bars(self, case: Case) -> tuple[str, bool]:
        """Why it makes nothing at all for a demand, "" where it may; and whether that stays so."""
        wishes = case.demand.wishes
        if wishes.plugin and wishes.plugin != self.plugin:
            return f"the job asks for plugin {wishes.plugin}", True
        if wishes.shape and wishes.shape not in self.by_name:
            return f"it has no shape {wishes.shape}, which the job asks for", True
        if case.hosts is not None and not self.within(case.hosts):
            return "not all of its hosts are among those that the job is tied to", True
        kinds = self._allowed(case)
        if not any(kind.takes(case.ask) for kind in (k for *_, k in self._front)) or (
            wishes.shape and not kinds[0].takes(case.ask)
        ):
            return self._too_small(case, kinds), True
        if not in_time(self._lease(case), case.ask):
            return reasons.too_long(case.duration, self.plugin, self.lease, wishes.deadline or inf), True
        return f"it makes nothing now: {self.paused}" if self.paused else "", False

    def choose(self, case: Case, units: int) -> Pick | None:
        """The first shape from `case.kind` on that it can make enough of; that place moves on, and reasons stay."""
        kinds, lease, ask = self._allowed(case), self._lease(case), case.ask
        room = min(self.left, self.spare, self._purse.nodes, self._common.purse.nodes)
        fewest = units if ask.whole else -(-units // max(parts(gpus, cores, ask) for gpus, cores, _ in self._front))
        cap = case.demand.wishes.max_cost
        few = fewest > room  # then only nodes that are open can make up for it
        if few:
            largest = kinds[0] if len(kinds) == 1 else self._largest(case)
            if room < 1:
                self._weigh(case, units, largest, lease)
                return None
        pools = case.space.pools
        while case.kind < len(kinds):
            kind = kinds[case.kind]
            if not kind.takes(ask):
                pass
            elif cap != inf and kind.price and self._cost(case, kind, units, lease)[1] > cap:
                needs, cost = self._cost(case, kind, units, lease)
                if needs < case.nearest[0]:
                    case.nearest = needs, reasons.too_dear(needs, kind.name, cost, lease, cap)
            else:
                pool = pools.get(self._first + kind.at)
                if not few or kind is largest or (pool and pool.nodes.size + room >= fewest):
                    pick = self._weigh(case, units, kind, lease)
                    if pick:
                        return pick
            case.kind += 1
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
        for purse in (self._purse, self._common.purse):
            purse.spend(pick.nodes, pick.kind.price, pick.lease, bursts)
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

    def dear(self, case: Case, kind: Kind, units: int) -> bool:
        """Whether a job's own limit keeps it from the nodes of a shape, new and open ones alike.

        It is for what the nodes that it needs would cost if they were made for it alone.
        """
        cap = case.demand.wishes.max_cost
        return cap != inf and kind.price > 0 and self._cost(case, kind, units, self._lease(case))[1] > cap

    def _cost(self, case: Case, kind: Kind, units: int, lease: float) -> tuple[int, float]:
        """How many nodes of a shape a job would need if they were made for it alone, and what they would cost."""
        needs = units if case.ask.whole else -(-units // max(1, kind.best(case.ask)))
        return needs, round(needs * kind.price * lease / 3600, 9)

    def ever(self, case: Case, units: int) -> bool:
        """Whether it could take so many units if none of its nodes existed yet, and nothing were spent."""
        if self.bars(case)[1]:
            return False
        if case.demand.wishes.max_cost < inf or case.demand.wishes.shape or self._ever is not None:
            kinds = [kind for kind in self._allowed(case) if not self.dear(case, kind, units)]
        else:
            kinds = [kind for *_, kind in self._front]
        seen = set()
        lease = self._lease(case)
        for kind in kinds:
            if any(purse.endless(kind.price, lease) for purse in (self._purse, self._common.purse)):
                continue
            sizes = tuple(sorted({(gpus, cores) for _, gpus, cores in kind.places}))
            if sizes not in seen:
                seen.add(sizes)
                if self._enough(case.ask, units, kind):
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

    def _lease(self, case: Case) -> float:
        """Seconds that nodes made for a demand last; inf without end."""
        return min(self.lease, case.demand.wishes.deadline or inf)

    def _allowed(self, case: Case) -> list[Kind]:
        return [self.by_name[case.demand.wishes.shape]] if case.demand.wishes.shape else self.kinds

    def _largest(self, case: Case) -> Kind:
        """The shape that needs the fewest nodes: the first one where each unit takes a node."""
        if case.ask.whole:
            return next(kind for kind in self.kinds if kind.takes(case.ask))
        return max(self._front, key=lambda size: parts(size[0], size[1], case.ask))[2]

    def _weigh(self, case: Case, units: int, kind: Kind, lease: float) -> Pick | None:
        """What would be made of a shape; None where that is too much, and `case.nearest` remembers the closest."""
        ask, pool = case.ask, case.space.pools.get(self._first + kind.at)
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
        bursts = int((kind.at, case.space.name, lease) not in self.groups)
        if (
            not (missing or kind.cooling or needs > self.left or self.dear(case, kind, units))
            and self._purse.pays(needs, kind.price, lease, bursts)
            and self._common.purse.pays(needs, kind.price, lease, bursts)
        ):
            return Pick(kind, lease, new, needs)
        if needs < case.nearest[0]:
            case.nearest = needs, self._why(case, units, kind, lease, needs, missing, bursts)
        return None

    def _why(self, case: Case, units: int, kind: Kind, lease: float, needs: int, missing: int, bursts: int) -> str:
        """Why it does not make so many nodes of a shape."""
        if self.dear(case, kind, units):
            count, cost = self._cost(case, kind, units, lease)
            return reasons.too_dear(count, kind.name, cost, lease, case.demand.wishes.max_cost)
        if kind.cooling:
            return f"no {kind.name} now: {kind.cooling}"
        if missing:
            return reasons.no_slots(self.plugin, kind.name, needs, int(self.spare), self.declared or 0)
        if needs > self.left:
            return reasons.over_limit(needs, kind.name, self.left, self.limit)
        own = self._purse.pays(needs, kind.price, lease, bursts)
        return (self._common.purse if own else self._purse).short(needs, kind.name, kind.price, lease, bursts)

    def _too_small(self, case: Case, kinds: Sequence[Kind]) -> str:
        """Why none of the shapes holds a unit."""
        ask = case.ask
        own = self._own if kinds is self.kinds else [(*kind.size, kind) for kind in kinds]
        fitting = next((kind for gpus, cores, kind in own if parts(gpus, cores, ask)), None)
        if not fitting:
            return reasons.too_small(case.demand, self._closest(ask, kinds, own))
        if not self.declared:
            return reasons.no_slots(self.plugin, fitting.name, 0, 0, 0)
        for run in self.runs:
            size = run.size or fitting.size
            if run.hosts and parts(size[0], size[1], ask):
                return reasons.smaller_than_slot(run.hosts[0], size, fitting.name, fitting.size)
        slots = [(run.hosts[0], *run.size) for run in self.runs if run.hosts and run.size]
        return f"{reasons.too_small(case.demand, slots)}, as the lead has declared it"

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
