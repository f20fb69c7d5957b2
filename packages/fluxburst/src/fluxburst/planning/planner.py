"""The planner: what was observed and a policy give a plan. Pure: no clock, no files, no plugin is called.

Jobs are taken as the lead's scheduler takes them. What the lead can run now it keeps, and what that uses is
gone for the jobs after it, whether they may burst or not. A burstable job that the lead can't hold goes onto
burst nodes that exist or are planned already, else onto new nodes of the first shape, in the plugin's order, of
the first plugin that holds it within its limits; the lead runs what it has room for of the job in either jobs.
Nodes on their way are kept for the jobs that they are made for until those had their turn: so what is planned
once is not planned again while it comes.

Capacity only shrinks while a plan is made: a node that is opened for one job has less left than a new one
would have. So a demand that was refused once is refused for every later job of that demand, with the same
explanation; what one plugin or shape could not make for it is not tried again; and open nodes without room for
it are looked at again only once there are more of them. A long queue costs what its different demands cost.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable
from math import inf

from fluxburst.demand import Demand
from fluxburst.job_options import against
from fluxburst.jobs import Job
from fluxburst.model import Burst, Decision, Explanation, Observed, Plan, Policy, amount
from fluxburst.planning.balance import Balance
from fluxburst.planning.capacity import Free, Move, Nodes, usable
from fluxburst.planning.job_class import JobClass
from fluxburst.planning.pools import Held, Pool, Size, Space
from fluxburst.planning.reasons import lead_reason, refusal
from fluxburst.planning.supply import COMING, Common, Supply
from fluxburst.selection import not_waiting, too_young

_UNMARKED = "it is not marked as burstable"
_TIED = "it may run on certain hosts only (constraints)"
_PROPERTIES = f"{_TIED}, and whether a burst's hosts would do can't be told but for a hostlist that has all of them"
_ON_LEAD = f"{_TIED}, and some of them are up: whether the lead holds it there can't be told"


def plan(observed: Observed, policy: Policy) -> Plan:
    """The plan: a decision for every job in the order of the queue, and the bursts that follow from them."""
    planner = _Planner(observed, policy)
    decisions = {job.id: planner.decide(job) for job in sorted(observed.jobs, key=lambda job: job.order)}
    bursts: list[Burst] = []
    for supply in planner.supplies:
        bursts += supply.bursts(policy, len(bursts))
    return Plan(
        tuple(decisions[job.id] for job in observed.jobs),
        tuple(bursts),
        tuple(planner.notes),
        planner.unused(),
        planner.due,
    )


class _Planner:
    def __init__(self, observed: Observed, policy: Policy) -> None:
        self.policy, self.now, self.stopped = policy, observed.now, observed.stopped
        self.known = observed.inventory is not None
        self.notes: list[str] = []
        self.due = inf
        self.groups = observed.inventory.groups if observed.inventory else ()
        borrowed = {host for burst in observed.bursts for host in burst.hosts}
        borrowed.update(host for offer in policy.offers for host in offer.slots or ())
        sizes = self._sizes(borrowed)
        common = Common(Balance(policy.budget, "the common"), sizes, observed.now)
        self.supplies: list[Supply] = []
        first = 0
        for at, offer in enumerate(policy.offers):
            existing = [burst for burst in observed.bursts if burst.plugin == offer.plugin]
            self.supplies.append(Supply(offer, at, first, existing, common))
            first += len(offer.shapes)
        self.free, self.total = self._lead(borrowed)
        leases = [supply.lease for supply in self.supplies]
        leases += [burst.left(self.now) for supply in self.supplies for burst in supply.existing if burst.deadline]
        self.shortest = usable(min(leases, default=inf))  # seconds; every job that runs no longer is alike
        self.classes: dict[tuple[Demand, float], JobClass] = {}
        self.explanations: dict[tuple[object, ...], Explanation] = {}
        self.spaces: dict[str, Space] = {}
        self.held: dict[str, list[Held]] = {}
        self.kept: list[Held] = []
        self._coming(observed, sizes)
        rest = self._not_asked("comes first"), self._not_asked("has room")
        self.not_asked = {True: rest[0], False: rest[1]}

    def _sizes(self, borrowed: set[str]) -> dict[str, Size]:
        """What the lead's inventory says of the hosts that bursts have or may have."""
        sizes: dict[str, Size] = {}
        for group in self.groups if borrowed else ():
            size = amount(group.total, "gpus"), amount(group.total, "cores")
            for host in group.hosts:
                if host in borrowed:
                    sizes[host] = size
        return sizes

    def _up(self, hosts: Iterable[str]) -> set[str]:
        """Those of these hosts that are up."""
        asked = set(hosts)
        return {host for group in self.groups if group.state == "up" for host in group.hosts if host in asked}

    def _lead(self, borrowed: set[str]) -> tuple[Nodes, Nodes]:
        """What is free on the lead now, and what it has in all of its own."""
        free, total, unknown = Nodes(), Nodes(), 0
        if not self.known:
            self.notes.append("what the lead has free is not known: every job counts in full")
        for group in self.groups:
            count = len(group.hosts)
            gpus, cores = amount(group.total, "gpus"), amount(group.total, "cores")
            own = count - sum(host in borrowed for host in group.hosts) if borrowed else count
            total.add(Free(gpus, cores, True), own)
            if group.state == "up" and group.free is not None:
                idle = amount(group.free, "gpus"), amount(group.free, "cores")
                free.add(Free(*idle, idle == (gpus, cores)), count)
            elif group.state in {"up", "unknown"}:
                unknown += count
        if unknown:
            self.notes.append(f"what is free on {unknown} nodes of the lead is not known: none of it is counted")
        return free, total

    def _coming(self, observed: Observed, sizes: dict[str, Size]) -> None:
        """Nodes on their way: held for the jobs that they are made for, as far as those wait; else open to all."""
        made = [
            (supply, burst)
            for supply in self.supplies
            for burst in supply.existing
            if burst.state in COMING and burst.shape in supply.by_name
        ]
        wanted = {job for _, burst in made for job in burst.jobs}
        waiting = {job.id: job for job in observed.jobs if job.id in wanted and not not_waiting(job)} if wanted else {}
        up = self._up(host for _, burst in made for host in burst.hosts) if made else set()
        for supply, burst in made:
            kind, space = supply.by_name[burst.shape], self._space(burst.namespace)
            pool = supply.pool(kind, space)
            left = float(burst.left(self.now)) if burst.deadline else inf
            nodes = [Free(*sizes.get(host, kind.size), True, left) for host in burst.hosts if host not in up]
            held = Held(space, pool, [])
            need = 0
            for id in dict.fromkeys(burst.jobs):
                demand = waiting[id].demand if id in waiting and nodes else None
                if demand:
                    held.pending += 1
                    self.held.setdefault(id, []).append(held)
                    need += -(-demand.units // max(1, kind.best(JobClass(demand, space).on_lead)))
            held.nodes = nodes[:need]
            if held.nodes:
                self.kept.append(held)
            pool.grow(space, nodes[need:])
        for space in self.spaces.values():
            space.settle()

    def _space(self, namespace: str) -> Space:
        if namespace not in self.spaces:
            self.spaces[namespace] = Space(namespace)
        return self.spaces[namespace]

    def decide(self, job: Job) -> Decision:
        """Where a job goes; what it takes is taken."""
        decision = self._decide(job)
        for held in self.held.pop(job.id, ()):
            held.pending -= 1
            if not held.pending and held.nodes:
                held.let_go(held.nodes)
                held.nodes = []
        return decision

    def _decide(self, job: Job) -> Decision:
        if waits_not := not_waiting(job):
            return self._left_out(job, waits_not)
        if self.stopped and (queue := job.info.get("queue") or "") in self.stopped:
            return self._left_out(job, _stopped(queue, self.stopped[queue]))
        selected, jobs = self.policy.selector(job.info), self._class(job)
        if jobs and not jobs.outgrown:
            moves, left_over = self.free.fill(jobs.on_lead, jobs.demand.units)
            if left_over:
                jobs.outgrown = True
            else:
                nodes = self.free.take(jobs.on_lead, moves)
                if selected:
                    key = ("lead", jobs.demand)
                    return Decision(job, self._once(key, lambda: _kept(jobs.demand)), lead_nodes=nodes)
        if not selected:
            return self._left_out(job, _UNMARKED)
        if not jobs:
            problem = f"its jobspec can't be read: {job.problem}"
            return Decision(job, self._once((problem,), lambda: Explanation("refused", "UNKNOWN", problem)))
        if jobs.refused and jobs.problem:
            return Decision(job, jobs.refused)
        if young := too_young(job, self.policy.delay, self.now):
            self.due = min(self.due, job.waits_since + self.policy.delay)
            return self._left_out(job, young)
        return self._burst(job, jobs)

    def _left_out(self, job: Job, why: str) -> Decision:
        return Decision(job, self._once((why,), lambda: Explanation("not selected", None, why)))

    def _class(self, job: Job) -> JobClass | None:
        """What is known of the demand of a job."""
        demand, duration = job.demand, job.duration
        if not demand:
            return None
        if duration and duration <= self.shortest:
            deadline = demand.options.deadline
            if not deadline or duration <= usable(deadline):
                duration = 0.0
        jobs = self.classes.get((demand, duration))
        if not jobs:
            jobs = self.classes[demand, duration] = self._new_class(demand, duration)
        return jobs

    def _new_class(self, demand: Demand, duration: float) -> JobClass:
        options = demand.options
        jobs = JobClass(demand, self._space(options.namespace), duration)
        if options.problem:
            jobs.problem = options.problem
        elif problem := against(options, self.policy.rules):
            jobs.problem, jobs.verdict = problem, "INCOMPATIBLE"
        elif demand.constrained:
            hosts = _expanded(demand.hosts)
            if not hosts:
                jobs.problem = _PROPERTIES
            elif self._up(hosts):
                jobs.problem = _ON_LEAD
            jobs.hosts = hosts
        if demand.constrained:
            jobs.outgrown = jobs.dry = True
        if jobs.problem:
            jobs.refused = Explanation("refused", jobs.verdict, jobs.problem, demand)
        return jobs

    def _burst(self, job: Job, jobs: JobClass) -> Decision:
        if jobs.refused and jobs.looked == jobs.space.let_go and job.id not in self.held:
            return Decision(job, jobs.refused)
        moves: list[Move] = []
        units = jobs.demand.units
        if not jobs.dry:
            moves, units = self.free.fill(jobs.on_lead, units)
            jobs.dry = not moves
        found = (self._reserved(job, jobs, units) if self.held else None) or self._open(jobs, units)
        new = 0
        if found:
            pool, onto = found
        else:
            made = self._new(job, jobs, units)
            if not made:
                jobs.refused, jobs.looked = jobs.refused or self._refuse(jobs, units), jobs.space.let_go
                return Decision(job, jobs.refused)
            pool, new, onto = made
        why = jobs.told.get((pool.order, new > 0))
        if not why:
            why = jobs.told[pool.order, new > 0] = self._explain(jobs, units, pool, new)
        lead_nodes = self.free.take(jobs.on_lead, moves) if moves else 0
        used = pool.nodes.take(jobs.ask, onto)
        if not new:
            pool.supply.shares(pool, jobs.space, onto, job.id)
        if new and pool.nodes.size:
            jobs.space.has_grown(pool)
        return Decision(job, why, pool.supply.plugin, pool.kind.name, lead_nodes, used - new, new)

    def _reserved(self, job: Job, jobs: JobClass, units: int) -> tuple[Pool, list[Move]] | None:
        """The nodes on their way that are made for this job, and what is open beside them, if they still hold it."""
        for held in self.held.get(job.id, ()):
            pool = held.pool
            anyhow = jobs.ask._replace(least=0.0, most=inf)  # its nodes were made for it: they have grown older since
            rest = pool.nodes.fill(anyhow, units)[1]
            if rest:
                held.let_go(held.release(anyhow, rest))
            moves, rest = pool.nodes.fill(anyhow, units)
            if not rest:
                return pool, moves
        return None

    def _open(self, jobs: JobClass, units: int) -> tuple[Pool, list[Move]] | None:
        """The first pool of open nodes that holds it; those that were found full are gone until they grow."""
        space, ask, first = jobs.space, jobs.ask, jobs.space.first
        if space.grown > jobs.seen:
            for order in space.since(jobs.seen, ask):
                if order not in jobs.open:
                    insort(jobs.open, order)
            jobs.seen = space.grown
        passed = 0
        found = None
        while passed < len(jobs.open) or jobs.first < len(first):
            later = jobs.first < len(first) and (passed == len(jobs.open) or first[jobs.first] <= jobs.open[passed])
            pool = space.pools[first[jobs.first] if later else jobs.open[passed]]
            if self._may(jobs, pool, units):
                moves, rest = pool.nodes.fill(ask, units)
                if not rest:
                    found = pool, moves
                    break
                pool.nodes.lower_reach()
            if later:
                jobs.first += 1
            else:
                passed += 1
        del jobs.open[:passed]
        return found

    def _may(self, jobs: JobClass, pool: Pool, units: int) -> bool:
        """Whether there may be room, and what a job says lets it use the nodes of a pool."""
        options, supply, ask = jobs.demand.options, pool.supply, jobs.ask
        reach = pool.nodes.reach
        return (
            pool.nodes.size >= (units if ask.whole else 1)
            and reach[1] >= ask.cores
            and reach[0] >= ask.gpus
            and options.plugin in {"", supply.plugin}
            and options.shape in {"", pool.kind.name}
            and (jobs.hosts is None or supply.within(jobs.hosts))
            and not supply.dear(jobs, pool.kind, units)
        )

    def _new(self, job: Job, jobs: JobClass, units: int) -> tuple[Pool, int, list[Move]] | None:
        """New nodes of the first plugin that makes them; those before it are not asked again for this demand."""
        while jobs.supply < len(self.supplies):
            supply = self.supplies[jobs.supply]
            why = "" if jobs.welcome else supply.bars(jobs)[0]
            jobs.welcome = not why
            pick = None if why else supply.choose(jobs, units)
            if pick:
                pool = supply.open(pick, job.id, jobs.space)
                return pool, pick.nodes, pool.nodes.fill(jobs.ask, units)[0]
            jobs.reasons.append((supply.plugin, why or jobs.nearest[1]))
            jobs.supply, jobs.kind, jobs.welcome, jobs.nearest = jobs.supply + 1, 0, False, (inf, "")
        return None

    def _explain(self, jobs: JobClass, units: int, pool: Pool, new: int) -> Explanation:
        where = f"{pool.supply.plugin}/{pool.kind.name}"
        text = (
            f"new nodes of {where} hold what the lead can't" if new else f"it fits on nodes of {where} that come anyway"
        )
        at = pool.supply.at
        rest = self.not_asked[new > 0][at]
        others = (*jobs.reasons[:at], *rest[at:]) if new else rest
        lead = ("lead", lead_reason(jobs.demand, units, self.known))
        return Explanation("burst", "READY", text, jobs.demand, (lead, *others))

    def _not_asked(self, why: str) -> list[tuple[tuple[str, str], ...]]:
        """For every plugin: the others, and that they were not asked because of it."""
        names = [supply.plugin for supply in self.supplies]
        return [
            tuple((other, f"not asked: {name} {why}") for n, other in enumerate(names) if n != at)
            for at, name in enumerate(names)
        ]

    def _refuse(self, jobs: JobClass, units: int) -> Explanation:
        demand = jobs.demand
        never_placed = demand.units if demand.constrained else self.total.fill(jobs.on_lead, demand.units)[1]
        never = never_placed > 0 and not any(supply.ever(jobs, never_placed) for supply in self.supplies)
        text = refusal(jobs.reasons, never=never, lead_could=not never_placed)
        others = (("lead", lead_reason(demand, units, self.known)), *jobs.reasons)
        return Explanation("refused", "INCOMPATIBLE" if never else "BUSY", text, demand, others)

    def _once(self, key: tuple[object, ...], make: Callable[[], Explanation]) -> Explanation:
        """The explanation of this key; made when it is first needed."""
        if key not in self.explanations:
            self.explanations[key] = make()
        return self.explanations[key]

    def unused(self) -> dict[tuple[str, str], int]:
        """Nodes that are on their way and that no job needs."""
        counts: Counter[tuple[str, str]] = Counter()
        for pool in (pool for space in self.spaces.values() for pool in space.pools.values()):
            counts[pool.supply.plugin, pool.kind.name] += pool.nodes.idle
        for held in self.kept:
            counts[held.pool.supply.plugin, held.pool.kind.name] += len(held.nodes)
        return {key: count for key, count in counts.items() if count}


def _stopped(queue: str, reason: str) -> str:
    return f"its queue {f'{queue} ' if queue else ''}is stopped{f': {reason}' if reason else ''}"


def _kept(demand: Demand) -> Explanation:
    return Explanation("lead", "READY", "the lead has room for it now", demand)


def _expanded(hosts: tuple[str, ...]) -> frozenset[str]:
    """The names of a hostlist; none where it can't be read."""
    from resources.errors import InputError
    from resources.hostlist import expand

    try:
        return frozenset(name for one in hosts for name in expand(one))
    except InputError:
        return frozenset()
