"""Laws of the planner over any queue, lead and catalogue."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from resources import ZERO, Cores, Gpus, Resource
from resources.documents import Group, Inventory

from fluxburst.demand import Demand
from fluxburst.jobs import Job
from fluxburst.model import Burst, Decision, NodeShape, Observed, Offer, Plan, Policy, amount
from fluxburst.planning.planner import plan


def holding(cores: int, gpus: int) -> Resource:
    return (Cores(cores) if cores else ZERO) & (Gpus(gpus) if gpus else ZERO)


demands = st.builds(
    Demand,
    nodes=st.integers(0, 5),
    slots=st.integers(1, 6),
    cores=st.integers(1, 6),
    gpus=st.sampled_from([0, 0, 0, 1, 2]),
    constrained=st.sampled_from([False] * 9 + [True]),
).flatmap(lambda demand: st.sampled_from([demand, replace(demand, exclusive=demand.nodes > 0)]))


@st.composite
def queues(draw: Any, shapes: st.SearchStrategy[Demand] = demands) -> tuple[Job, ...]:
    choices = draw(st.lists(shapes, min_size=1, max_size=4))
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(choices),
                st.sampled_from([True, True, True, False]),
                st.sampled_from(["SCHED", "SCHED", "SCHED", "DEPEND", "RUN"]),
                st.sampled_from([16, 16, 16, 31, 0]),
            ),
            max_size=12,
        )
    )
    return tuple(
        Job(str(n), "", state, priority, float(n), demand, {"burstable": burstable})
        for n, (demand, burstable, state, priority) in enumerate(rows)
    )


@st.composite
def leads(draw: Any) -> Inventory | None:
    groups = []
    for n in range(draw(st.integers(0, 3))):
        cores, gpus = draw(st.integers(1, 12)), draw(st.integers(0, 2))
        free = holding(draw(st.integers(0, cores)), draw(st.integers(0, gpus)))
        free = draw(st.sampled_from([free, holding(cores, gpus), None]))
        state = draw(st.sampled_from(["up", "up", "up", "down", "drained"]))
        ranks = tuple(range(10 * n, 10 * n + draw(st.integers(1, 3))))
        groups.append(Group(tuple(f"n{rank}" for rank in ranks), ranks, holding(cores, gpus), free, state))
    return draw(st.sampled_from([Inventory(tuple(groups)), None]))


shapes = st.lists(st.tuples(st.integers(1, 16), st.integers(0, 4)), max_size=3).map(
    lambda sizes: tuple(NodeShape(f"s{n}", holding(*size)) for n, size in enumerate(sizes))
)
catalogues = st.lists(st.tuples(shapes, st.integers(0, 8)), max_size=3).map(
    lambda rows: tuple(Offer(f"p{n}", found, limit) for n, (found, limit) in enumerate(rows))
)


def decide(jobs: tuple[Job, ...], lead: Inventory | None, offers: tuple[Offer, ...], *bursts: Burst) -> Plan:
    return plan(Observed(jobs, lead, bursts), Policy(lambda info: bool(info["burstable"]), offers))


def by_job(made: Plan) -> dict[str, Decision]:
    return {decision.job.id: decision for decision in made.decisions}


def shape_of(offers: tuple[Offer, ...], plugin: str, shape: str) -> Resource:
    (found,) = [one.holds for offer in offers if offer.plugin == plugin for one in offer.shapes if one.name == shape]
    return found


@given(queues(), leads(), catalogues)
def test_each_job_has_exactly_one_outcome(jobs, lead, offers):
    made = decide(jobs, lead, offers)
    assert [decision.job for decision in made.decisions] == list(jobs)
    for decision in made.decisions:
        job, used = decision.job, (decision.new_nodes, decision.shared_nodes, decision.lead_nodes)
        counts = job.state == "SCHED" and job.priority > 0 and job.info["burstable"]
        assert (decision.outcome == "not selected") == (not counts)
        assert decision.why.text
        assert bool(decision.plugin) == (decision.outcome == "burst")
        if decision.outcome in {"refused", "not selected"}:
            assert used == (0, 0, 0)
            assert decision.why.verdict in ({"BUSY", "INCOMPATIBLE", "UNKNOWN"} if counts else {None})
        else:
            assert decision.why.verdict == "READY"
            assert sum(used) == job.demand.nodes or (not job.demand.nodes and 1 <= sum(used) <= job.demand.slots)


@given(queues(), leads(), catalogues)
def test_never_more_than_the_limits_and_every_new_node_is_in_a_burst(jobs, lead, offers):
    made = decide(jobs, lead, offers)
    wanted: Counter[tuple[str, str]] = Counter()
    for decision in made.decisions:
        wanted[decision.plugin, decision.shape] += decision.new_nodes
    planned = {(burst.plugin, burst.shape): burst.nodes for burst in made.bursts}
    assert planned == {key: count for key, count in wanted.items() if count}
    for offer in offers:
        assert sum(burst.nodes for burst in made.bursts if burst.plugin == offer.plugin) <= offer.max_nodes
    hosts = [host for burst in made.bursts for host in burst.hosts]
    assert len(set(hosts)) == len(hosts)


@given(queues(), leads(), catalogues)
def test_nodes_hold_what_is_put_on_them(jobs, lead, offers):
    made = decide(jobs, lead, offers)
    nodes = {(burst.plugin, burst.shape): burst.nodes for burst in made.bursts}
    up = [group for group in (lead.groups if lead else ()) if group.state == "up" and group.free is not None]
    for kind, at in (("cores", 0), ("gpus", 1)):
        room = sum(amount(group.free, kind) * len(group.hosts) for group in up)
        room += sum(amount(shape_of(offers, *key), kind) * count for key, count in nodes.items())
        used = 0
        for decision in made.decisions:
            if decision.outcome in {"lead", "burst"}:
                used += decision.job.demand.unit[at] * decision.job.demand.units
            if decision.outcome == "burst" and (decision.job.demand.unit[at]):
                unit = decision.job.demand.unit[at]
                assert unit <= amount(shape_of(offers, decision.plugin, decision.shape), kind)
        assert used <= room
    for decision in made.decisions:
        if decision.outcome == "burst":
            assert decision.new_nodes + decision.shared_nodes <= nodes[decision.plugin, decision.shape]


@given(queues(), leads(), catalogues)
def test_exclusive_nodes_hold_one_job(jobs, lead, offers):
    made = decide(jobs, lead, offers)
    for burst in made.bursts:
        there = [d for d in made.decisions if (d.plugin, d.shape) == (burst.plugin, burst.shape)]
        alone = sum(d.new_nodes + d.shared_nodes for d in there if d.job.demand.exclusive)
        assert alone + (1 if any(not d.job.demand.exclusive for d in there) else 0) <= burst.nodes


@given(queues(), leads(), catalogues, st.randoms(use_true_random=False))
def test_the_same_queue_gives_the_same_plan_in_any_order(jobs, lead, offers, random):
    shuffled = list(jobs)
    random.shuffle(shuffled)
    first, again = decide(jobs, lead, offers), decide(jobs, lead, offers)
    assert first == again
    other = decide(tuple(shuffled), lead, offers)
    assert by_job(other) == by_job(first)
    assert other.bursts == first.bursts


@given(queues(), leads(), catalogues)
def test_jobs_of_one_demand_share_their_explanation(jobs, lead, offers):
    made = decide(jobs, lead, offers)
    seen: dict[object, int] = {}
    for decision in made.decisions:
        if decision.outcome != "not selected":
            key = (decision.job.demand, decision.outcome, decision.plugin, decision.shape, decision.new_nodes > 0)
            assert seen.setdefault(key, id(decision.why)) == id(decision.why)


@given(demands.filter(lambda d: not d.constrained), st.integers(1, 16), st.integers(0, 4), st.integers(0, 8))
def test_one_job_and_one_shape_against_arithmetic(demand, cores, gpus, limit):
    offers = (Offer("p", (NodeShape("s", holding(cores, gpus)),), limit),)
    (decision,) = decide((Job("1", "", "SCHED", 16, 0.0, demand, {"burstable": 1}),), None, offers).decisions
    if demand.nodes:
        fits = demand.slots * demand.cores <= cores and demand.slots * demand.gpus <= gpus
        needs = demand.nodes if fits else None
    else:
        each = min(cores // demand.cores, gpus // demand.gpus if demand.gpus else 99)
        needs = (demand.slots + each - 1) // each if each else None
    possible = needs is not None and needs <= limit
    assert (decision.outcome, decision.new_nodes) == (("burst", needs) if possible else ("refused", 0))
    assert decision.why.verdict == ("READY" if possible else "INCOMPATIBLE")


def never(made: Plan) -> set[str]:
    return {decision.job.id for decision in made.decisions if decision.why.verdict == "INCOMPATIBLE"}


@given(queues(), leads(), catalogues, shapes, st.integers(0, 8))
def test_more_capacity_makes_nothing_infeasible(jobs, lead, offers, more, extra):
    before = never(decide(jobs, lead, offers))
    larger = tuple(replace(offer, max_nodes=offer.max_nodes + extra) for offer in offers)
    assert never(decide(jobs, lead, (*larger, Offer("more", more, extra)))) <= before
    if lead:
        host = Group(("extra",), (999,), Cores(16) & Gpus(4), Cores(16) & Gpus(4))
        assert never(decide(jobs, Inventory((*lead.groups, host)), offers)) <= before


def refused(made: Plan) -> int:
    return made.totals()["refused"]


@given(queues(demands.map(lambda demand: replace(demand, gpus=0))), shapes, st.integers(0, 8), st.integers(0, 8))
def test_a_higher_limit_never_refuses_more_of_one_demand(jobs, found, limit, extra):
    # Of several demands it may: a large job that fits under the higher limit leaves nothing for small ones.
    alike = tuple(replace(job, demand=jobs[0].demand) for job in jobs)
    offers = (Offer("p", found, limit),)
    assert refused(decide(alike, None, (replace(offers[0], max_nodes=limit + extra),))) <= refused(
        decide(alike, None, offers)
    )


@given(queues(), leads(), catalogues)
def test_a_plan_that_was_carried_out_asks_for_nothing_new(jobs, lead, offers):
    made = decide(jobs, lead, offers)
    carried_out = tuple(replace(burst, state="creating") for burst in made.bursts)
    if any(decision.outcome == "refused" for decision in made.decisions) or len(offers) != 1:
        return  # what is refused once may fit nodes that another demand left open
    if len(offers[0].shapes) == 1:
        assert not decide(jobs, lead, offers, *carried_out).bursts
