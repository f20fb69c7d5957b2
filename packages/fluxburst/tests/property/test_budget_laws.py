"""Laws of the planner over any budgets, slots, leases, pauses and wishes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import inf
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from resources import ZERO, Cores, Gpus, Resource
from resources.documents import Group, Inventory

from fluxburst.demand import Demand
from fluxburst.job_options import NONE, JobOptions
from fluxburst.jobs import Job
from fluxburst.model import Budget, Burst, Decision, JobRules, NodeShape, Observed, Offer, Plan, Policy, amount
from fluxburst.planning import planner
from fluxburst.planning.capacity import usable
from fluxburst.planning.job_class import JobClass
from fluxburst.planning.planner import plan

NOW = 1_000_000.0


def holding(cores: int, gpus: int = 0) -> Resource:
    return Cores(cores) & (Gpus(gpus) if gpus else ZERO)


options = st.just(NONE) | st.builds(
    JobOptions,
    plugin=st.sampled_from(["", "", "", "p0", "p1"]),
    shape=st.sampled_from(["", "", "", "s0", "s1"]),
    max_cost=st.sampled_from([inf, inf, 1.0, 5.0]),
    deadline=st.sampled_from([0, 0, 3600, 7200]),
    namespace=st.sampled_from(["", "", "a", "b"]),
    given=st.just(("plugin", "shape", "max_cost", "deadline", "namespace")),
)
demands = st.builds(
    Demand,
    nodes=st.integers(0, 3),
    slots=st.integers(1, 3),
    cores=st.integers(1, 3),
    gpus=st.sampled_from([0] * 7 + [1]),
    options=options,
).flatmap(lambda demand: st.sampled_from([demand, replace(demand, exclusive=demand.nodes > 0)]))
budgets = st.just(Budget()) | st.builds(
    Budget,
    nodes=st.sampled_from([inf, inf, 3, 6]),
    bursts=st.sampled_from([inf, inf, 1, 2]),
    node_hours=st.sampled_from([inf, inf, 2.0, 4.0]),
    cost=st.sampled_from([inf, inf, 1.0, 6.0]),
)


@st.composite
def queues(draw: Any) -> tuple[Job, ...]:
    choices = draw(st.lists(demands, min_size=1, max_size=4))
    durations = st.sampled_from([0.0, 0.0, 60.0, 60.0, 3000.0, 6000.0])
    rows = draw(st.lists(st.tuples(st.sampled_from(choices), durations, st.integers(0, 60)), max_size=10))
    return tuple(
        Job(str(n), "", "SCHED", 16, NOW - age, demand, {}, "", duration)
        for n, (demand, duration, age) in enumerate(rows)
    )


@st.composite
def worlds(draw: Any, *, mixed: bool = True) -> tuple[tuple[Offer, ...], Inventory]:
    """Offers, and the lead that has declared their slots. mixed: the slots of one plugin may differ."""
    offers, groups, rank = [], [], 0
    for p in range(draw(st.integers(1, 3))):
        rows = draw(
            st.lists(st.tuples(st.sampled_from([2, 4, 8, 16]), st.sampled_from([0, 0, 2])), min_size=1, max_size=3)
        )
        prices = st.sampled_from([0.0, 0.5, 2.0])
        shapes = tuple(NodeShape(f"s{n}", holding(*row), draw(prices)) for n, row in enumerate(rows))
        slots = None
        if draw(st.booleans()):
            slots = tuple(f"p{p}n{n}" for n in range(draw(st.integers(1, 9)) % 9))
            half = len(slots) // 2 if mixed else 0
            for part in (slots[:half], slots[half:]):
                size = holding(draw(st.sampled_from([1, 2, 4, 4, 8])))
                if part:
                    groups.append(Group(part, tuple(range(rank, rank + len(part))), size, None, "down"))
                    rank += len(part)
        cooling = {one.name: "no capacity" for one in shapes if draw(st.integers(0, 7)) == 7}
        paused = draw(st.sampled_from([""] * 7 + ["the quota is used up"]))
        lease = draw(st.sampled_from([7200, 3600, 0]))
        offers.append(
            Offer(f"p{p}", shapes, draw(st.sampled_from([8, 5, 12, 0])), slots, draw(budgets), lease, paused, cooling)
        )
    for _ in range(draw(st.integers(0, 2))):
        cores = draw(st.integers(1, 8))
        groups.append(Group((f"n{rank}",), (rank,), holding(cores), holding(draw(st.integers(1, cores)))))
        rank += 1
    return tuple(offers), Inventory(tuple(groups))


def made_by(jobs: tuple[Job, ...], world: Any, *bursts: Burst, **policy: Any) -> Plan:
    offers, lead = world
    return plan(Observed(jobs, lead, bursts, NOW), Policy(lambda info: True, offers, **policy))


def spent(made: Plan, offers: tuple[Offer, ...]) -> tuple[float, float, float, float]:
    """Nodes, bursts, node-hours and cost of these offers' bursts."""
    prices = {(offer.plugin, shape.name): shape.price for offer in offers for shape in offer.shapes}
    bursts = [burst for burst in made.bursts if burst.plugin in {offer.plugin for offer in offers}]
    hours = [burst.nodes * (burst.deadline - NOW) / 3600 if burst.deadline else inf for burst in bursts]
    cost = sum(
        hour * prices[burst.plugin, burst.shape]
        for hour, burst in zip(hours, bursts, strict=True)
        if prices[burst.plugin, burst.shape]
    )
    return sum(burst.nodes for burst in bursts), len(bursts), sum(hours), cost


def within(found: tuple[float, float, float, float], budget: Budget) -> bool:
    limits = budget.nodes, budget.bursts, budget.node_hours, budget.cost
    return all(one <= limit * (1 + 1e-6) for one, limit in zip(found, limits, strict=True))


@given(queues(), worlds(), budgets)
def test_no_budget_is_ever_exceeded(jobs, world, overall):
    made = made_by(jobs, world, budget=overall)
    assert within(spent(made, world[0]), overall)
    for offer in world[0]:
        assert within(spent(made, (offer,)), offer.budget)


@given(queues(), worlds(), budgets)
def test_new_nodes_are_free_slots_that_the_shape_can_be(jobs, world, overall):
    offers, lead = world
    sizes = {host: group.total for group in lead.groups for host in group.hosts}
    made = made_by(jobs, world, budget=overall)
    hosts = [host for burst in made.bursts for host in burst.hosts]
    assert len(set(hosts)) == len(hosts)
    for burst in made.bursts:
        (offer,) = [one for one in offers if one.plugin == burst.plugin]
        (shape,) = [one for one in offer.shapes if one.name == burst.shape]
        if offer.slots is not None:
            assert set(burst.hosts) <= set(offer.slots)
            for kind in ("cores", "gpus"):
                assert all(amount(sizes[host], kind) <= amount(shape.holds, kind) for host in burst.hosts)


@given(queues(), worlds())
def test_what_is_placed_fits_into_what_the_slots_hold(jobs, world):
    offers, lead = world
    sizes = {host: group.total for group in lead.groups for host in group.hosts}
    made = made_by(jobs, world)
    for at, kind in enumerate(("cores", "gpus")):
        room: Counter[tuple[str, str]] = Counter()
        for burst in made.bursts:
            (shape,) = [s for o in offers if o.plugin == burst.plugin for s in o.shapes if s.name == burst.shape]
            for host in burst.hosts:
                room[burst.plugin, burst.shape] += amount(sizes.get(host, shape.holds), kind)
        free = sum(amount(group.free, kind) * len(group.hosts) for group in lead.groups if group.free is not None)
        used = sum(
            decision.job.demand.unit[at] * decision.job.demand.units
            for decision in made.decisions
            if decision.outcome in {"lead", "burst"}
        )
        assert used <= free + sum(room.values())


@given(queues(), worlds())
def test_nothing_new_where_a_plugin_is_paused_or_a_shape_cools(jobs, world):
    shapes = {(offer.plugin, one.name): offer for offer in world[0] for one in offer.shapes}
    for burst in made_by(jobs, world).bursts:
        offer = shapes[burst.plugin, burst.shape]
        assert not offer.paused
        assert burst.shape not in offer.cooling


@given(queues(), worlds())
def test_a_job_goes_where_it_asks_to(jobs, world):
    offers = {offer.plugin: offer for offer in world[0]}
    made = made_by(jobs, world)
    for decision in made.decisions:
        if decision.outcome != "burst":
            continue
        said = decision.job.demand.options
        assert said.plugin in {"", decision.plugin}
        assert said.shape in {"", decision.shape}
        lease = min(offers[decision.plugin].lease or inf, said.deadline or inf)
        if decision.new_nodes:
            assert not decision.job.duration or decision.job.duration <= usable(lease)
            (price,) = [s.price for s in offers[decision.plugin].shapes if s.name == decision.shape]
            if price:
                assert decision.new_nodes * price * lease / 3600 <= said.max_cost + 1e-6
            (burst,) = [burst for burst in made.bursts if decision.job.id in burst.jobs]
            assert burst.namespace == said.namespace
            assert burst.deadline == (0 if lease == inf else NOW + lease)
    namespaces = {job.id: job.demand.options.namespace for job in jobs}
    for burst in made.bursts:
        assert {namespaces[job] for job in burst.jobs} == {burst.namespace}


def carried_out(made: Plan) -> tuple[Burst, ...]:
    return tuple(replace(burst, state="creating") for burst in made.bursts)


def less(budget: Budget, found: tuple[float, float, float, float]) -> Budget:
    limits = budget.nodes, budget.bursts, budget.node_hours, budget.cost
    return Budget(*(limit - one if limit < inf else inf for limit, one in zip(limits, found, strict=True)))


@given(queues(), worlds(), budgets, st.sampled_from([0, 1]))
def test_what_is_planned_once_and_exists_is_not_planned_again(jobs, world, overall, spend):
    first = made_by(jobs, world, budget=overall)
    there = carried_out(first)
    taken = {host for burst in there for host in burst.hosts}
    offers = tuple(
        replace(
            offer,
            slots=None if offer.slots is None else tuple(host for host in offer.slots if host not in taken),
            budget=less(offer.budget, spent(first, (offer,))) if spend else offer.budget,
        )
        for offer in world[0]
    )
    overall = less(overall, spent(first, world[0])) if spend else overall
    again = made_by(jobs, (offers, world[1]), *there, budget=overall)
    if spend:
        assert not again.bursts
        assert not again.unused
        assert [(d.outcome, d.plugin, d.shape) for d in again.decisions] == [
            (d.outcome, d.plugin, d.shape) for d in first.decisions
        ]
    else:  # a limit that does not know of them lets in what was refused; nothing is made for what was placed
        placed = {d.job.id for d in first.decisions if d.outcome == "burst"}
        assert not [d for d in again.decisions if d.job.id in placed and (d.new_nodes or d.outcome != "burst")]


@given(queues(), worlds(), st.integers(1, 8))
def test_nodes_that_nobody_needs_are_told(jobs, world, count):
    offer = world[0][0]
    hosts = tuple(f"x{n}" for n in range(count))
    burst = Burst("p0-0", "p0", offer.shapes[0].name, hosts, (), "joining", namespace="nobody's")
    assert made_by(jobs, world, burst).unused == {("p0", offer.shapes[0].name): count}
    assert not made_by(jobs, world, replace(burst, state="draining")).unused


def outcomes(made: Plan) -> list[tuple[str, str, str]]:
    return [(d.outcome, d.plugin, d.shape) for d in made.decisions]


@given(queues(), worlds(), st.integers(0, 2))
def test_the_cooling_of_a_plugin_that_nobody_uses_changes_nothing(jobs, world, at):
    offers, lead = world
    made = made_by(jobs, world)
    unused = offers[at % len(offers)]
    if any(decision.plugin == unused.plugin for decision in made.decisions):
        return
    cold = replace(unused, cooling={shape.name: "no capacity" for shape in unused.shapes})
    other = made_by(jobs, (tuple(cold if one is unused else one for one in offers), lead))
    assert outcomes(other) == outcomes(made)
    assert other.bursts == made.bursts


def refused(made: Plan) -> int:
    return made.totals()["refused"]


@given(queues().filter(len), worlds(mixed=False), st.sampled_from(["nodes", "bursts", "node_hours", "cost"]))
def test_a_higher_budget_never_refuses_more_of_one_demand(jobs, world, what):
    alike = tuple(replace(job, demand=jobs[0].demand, duration=jobs[0].duration) for job in jobs)
    (offer, *_), lead = world
    offer = replace(offer, shapes=offer.shapes[:1])
    raised = replace(offer, budget=replace(offer.budget, **{what: getattr(offer.budget, what) + 2}))
    assert refused(made_by(alike, ((raised,), lead))) <= refused(made_by(alike, ((offer,), lead)))


@given(queues(), worlds(), st.integers(1, 60))
def test_young_jobs_wait_and_the_plan_says_until_when(jobs, world, delay):
    made = made_by(jobs, world, delay=float(delay))
    young = [d.job for d in made.decisions if d.outcome == "not selected"]
    assert all(NOW - job.t_submit < delay for job in young)
    assert made.due == min((job.t_submit + delay for job in young), default=inf)
    for decision in made.decisions:
        if decision.outcome == "burst":
            assert NOW - decision.job.t_submit >= delay
    none = made_by(jobs, world, delay=float(delay), rules=JobRules(frozenset()))
    for decision in none.decisions:
        if decision.job.demand.options.given:
            assert decision.outcome in {"lead", "refused"}


@st.composite
def coming(draw: Any) -> tuple[tuple[Job, ...], Any, tuple[Burst, ...]]:
    """A queue, a world, and bursts on their way, some of them for jobs of this queue."""
    jobs, world = draw(queues()), draw(worlds())
    made = []
    for offer in world[0]:
        for n in range(draw(st.integers(0, 3))):
            name = f"{offer.plugin}-{n}"
            hosts = tuple(f"{name}-{host}" for host in range(draw(st.integers(1, 2))))
            wanted = tuple(draw(st.lists(st.sampled_from("0123"), max_size=2)))
            shape = draw(st.sampled_from(offer.shapes)).name
            end = draw(st.sampled_from([0.0, NOW + 3600, NOW + 7200]))
            namespace = draw(st.sampled_from(["", "a"]))
            made.append(Burst(name, offer.plugin, shape, hosts, wanted, "joining", end, namespace))
    return jobs, world, tuple(made)


class Forgetful(dict):  # type: ignore[type-arg]
    """Of the jobs of a demand is known what could not be made for them; what has room for one is found out anew."""

    def get(self, key: object, default: object = None) -> JobClass | None:
        old = super().get(key)
        if old is None:
            return None
        new = JobClass(old.demand, old.space, old.duration, old.problem, old.verdict, old.hosts)
        new.refused, new.looked, new.supply, new.kind = old.refused, old.looked, old.supply, old.kind
        new.outgrown = new.dry = old.demand.constrained
        self[key] = new
        return new


@given(coming(), budgets)
@settings(max_examples=300)
def test_what_is_remembered_of_a_demand_changes_nothing(scene, overall):
    jobs, (offers, lead), bursts = scene
    observed = Observed(jobs, lead, bursts, NOW)
    policy = Policy(lambda info: True, offers, budget=overall)
    anew = planner._Planner(observed, policy)
    anew.classes = Forgetful()
    found = {job.id: anew.decide(job) for job in sorted(jobs, key=lambda job: job.order)}
    for one in plan(observed, policy).decisions:
        assert replace(one, why=found[one.job.id].why) == found[one.job.id]


@given(queues(), worlds(), budgets)
def test_the_same_input_gives_the_same_plan(jobs, world, overall):
    assert made_by(jobs, world, budget=overall) == made_by(jobs, world, budget=overall)
    backwards = made_by(jobs[::-1], world, budget=overall)
    assert sorted(outcomes(backwards)) == sorted(outcomes(made_by(jobs, world, budget=overall)))


def by_id(made: Plan) -> dict[str, Decision]:
    return {decision.job.id: decision for decision in made.decisions}


@given(queues(), worlds())
def test_every_job_is_accounted_for(jobs, world):
    made = made_by(jobs, world)
    new: Counter[tuple[str, str]] = Counter()
    for decision in made.decisions:
        new[decision.plugin, decision.shape] += decision.new_nodes
        if decision.outcome == "burst":
            used = decision.new_nodes + decision.shared_nodes + decision.lead_nodes
            assert used == decision.job.demand.nodes or not decision.job.demand.nodes
            assert decision.new_nodes + decision.shared_nodes > 0
    nodes: Counter[tuple[str, str]] = Counter()
    for burst in made.bursts:
        nodes[burst.plugin, burst.shape] += burst.nodes
        assert all(by_id(made)[job].plugin == burst.plugin for job in burst.jobs)
        assert any(by_id(made)[job].new_nodes for job in burst.jobs)
    assert nodes == +new
