"""The planner: what was observed and a policy give a plan. Pure: no clock, no files, no plugin is called.

Jobs are taken as the lead's scheduler takes them. What the lead can run now it keeps, and what that uses is
gone for the jobs after it, whether they may burst or not. A burstable job that the lead can't hold goes onto
burst nodes that exist or are planned already, else onto new nodes of the first shape of the first plugin
that holds it within its limit; the lead runs what it has room for of the job in either case.

Capacity only shrinks while a plan is made: a node that is opened for one job has less left than a new one
would have. So a demand that was refused once is refused for every later job of that demand, with the same
explanation, and a long queue costs what its different demands cost.
"""

from __future__ import annotations

from collections.abc import Callable

from fluxburst.capacity import Free, Nodes
from fluxburst.demand import Demand
from fluxburst.jobs import Job
from fluxburst.model import Decision, Explanation, Observed, Plan, Policy, amount
from fluxburst.reasons import lead_reason, refusal
from fluxburst.selection import not_waiting
from fluxburst.site import Site

_CONSTRAINED = "it may run on certain hosts only (constraints), and this version does not plan for those"

_UNMARKED = "it is not marked as burstable"


def plan(observed: Observed, policy: Policy) -> Plan:
    """The plan: a decision for every job in the order of the queue, and the bursts that follow from them."""
    planner = _Planner(observed, policy)
    decisions = {job.id: planner.decide(job) for job in sorted(observed.jobs, key=lambda job: job.order)}
    bursts = tuple(burst for site in planner.sites for burst in site.bursts())
    return Plan(tuple(decisions[job.id] for job in observed.jobs), bursts, tuple(planner.notes))


class _Planner:
    def __init__(self, observed: Observed, policy: Policy) -> None:
        self.selector = policy.selector
        self.known = observed.inventory is not None
        self.notes: list[str] = []
        self.free, self.total = self._lead(observed)
        groups = observed.inventory.groups if observed.inventory else ()
        joined = frozenset(host for group in groups if group.state == "up" for host in group.hosts)
        self.sites = [
            Site(offer, [burst for burst in observed.bursts if burst.plugin == offer.plugin], joined)
            for offer in policy.offers
        ]
        self.outgrown: set[Demand] = set()  # demands that the lead can't hold any more
        self.explanations: dict[tuple[object, ...], Explanation] = {}

    def _lead(self, observed: Observed) -> tuple[Nodes, Nodes]:
        """What is free on the lead now, and what it has in all."""
        free, total, unknown = Nodes(), Nodes(), 0
        if observed.inventory is None:
            self.notes.append("what the lead has free is not known: every job counts in full")
            return free, total
        for group in observed.inventory.groups:
            count = len(group.hosts)
            has = Free(amount(group.total, "gpus"), amount(group.total, "cores"), True)
            total.add(has, count)
            if group.state == "up" and group.free is not None:
                gpus, cores = amount(group.free, "gpus"), amount(group.free, "cores")
                free.add(Free(gpus, cores, (gpus, cores) == has[:2]), count)
            elif group.state in {"up", "unknown"}:
                unknown += count
        if unknown:
            self.notes.append(f"what is free on {unknown} nodes of the lead is not known: none of it is counted")
        return free, total

    def decide(self, job: Job) -> Decision:
        """Where a job goes; what it takes is taken."""
        if waits_not := not_waiting(job):
            return Decision(job, self._once((waits_not,), lambda: Explanation("not selected", None, waits_not)))
        selected, demand = self.selector(job.info), job.demand
        if demand and not demand.constrained and demand not in self.outgrown:
            moves, left_over = self.free.fill(demand, demand.units)
            if left_over:
                self.outgrown.add(demand)
            else:
                nodes = self.free.take(demand, moves)
                if selected:
                    return Decision(job, self._once(("lead", demand), lambda: _kept(demand)), lead_nodes=nodes)
        if not selected:
            return Decision(job, self._once(("left out",), lambda: Explanation("not selected", None, _UNMARKED)))
        if not demand or demand.constrained:
            problem = _CONSTRAINED if demand else f"its jobspec can't be read: {job.problem}"
            return Decision(
                job, self._once((problem, demand), lambda: Explanation("refused", "UNKNOWN", problem, demand))
            )
        return self._burst(job, demand)

    def _burst(self, job: Job, demand: Demand) -> Decision:
        if refused := self.explanations.get(("refused", demand)):
            return Decision(job, refused)
        moves, units = self.free.fill(demand, demand.units)
        choice = self._choose(demand, units)
        if not choice:
            return Decision(job, self._once(("refused", demand), lambda: self._refuse(demand, units)))
        site, shape, new = choice
        key = ("burst", demand, site.plugin, shape, new > 0)
        why = self._once(key, lambda: self._explain(demand, units, site, shape, new))
        lead_nodes = self.free.take(demand, moves)
        used = site.put(job, demand, units, shape, new)
        return Decision(job, why, site.plugin, shape, lead_nodes, used - new, new)

    def _choose(self, demand: Demand, units: int) -> tuple[Site, str, int] | None:
        """A site, a shape, and how many new nodes of it: none if that can be."""
        for site in self.sites:
            if site.open:
                for shape, new in site.needs(demand, units):
                    if not new:
                        return site, shape, 0
        for site in self.sites:
            for shape, new in site.needs(demand, units):
                if new <= site.left:
                    return site, shape, new
        return None

    def _explain(self, demand: Demand, units: int, site: Site, shape: str, new: int) -> Explanation:
        where = f"{site.plugin}/{shape}"
        text = (
            f"new nodes of {where} hold what the lead can't" if new else f"it fits on nodes of {where} that come anyway"
        )
        others = [("lead", lead_reason(demand, units, self.known))]
        chosen = self.sites.index(site)
        for at, other in enumerate(self.sites):
            if at < chosen and new:
                others.append((other.plugin, other.why_not(demand, units)))
            elif at != chosen:
                others.append((other.plugin, f"not asked: {site.plugin} {'comes first' if new else 'has room'}"))
        return Explanation("burst", "READY", text, demand, tuple(others))

    def _refuse(self, demand: Demand, units: int) -> Explanation:
        never_placed = self.total.fill(demand, demand.units)[1]
        never = never_placed > 0 and not any(site.ever(demand, never_placed) for site in self.sites)
        plugins = [(site.plugin, site.why_not(demand, units)) for site in self.sites]
        text = refusal(plugins, never=never, lead_could=not never_placed)
        others = (("lead", lead_reason(demand, units, self.known)), *plugins)
        return Explanation("refused", "INCOMPATIBLE" if never else "BUSY", text, demand, others)

    def _once(self, key: tuple[object, ...], make: Callable[[], Explanation]) -> Explanation:
        """The explanation of this key; made when it is first needed."""
        if key not in self.explanations:
            self.explanations[key] = make()
        return self.explanations[key]


def _kept(demand: Demand) -> Explanation:
    return Explanation("lead", "READY", "the lead has room for it now", demand)
