"""Budgets, slots, leases, pauses and what jobs say of their own burst: who is refused, and in which words."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest
from resources import Cores, Gpus
from resources.documents import Group, Inventory

from fluxburst.errors import FluxBurstError, JobError
from fluxburst.jobs import read_job
from fluxburst.model import Budget, Burst, JobRules, NodeShape, Observed, Offer, Plan, Policy
from fluxburst.planning.planner import plan
from fluxburst.selection import is_burstable

NOW = 1_000_000.0
STANDARD, LARGE = NodeShape("standard", Cores(8), 0.5), NodeShape("large", Cores(16), 2.0)


def make(*infos: dict[str, Any], lead: Inventory | None = None, bursts: Any = (), **policy: Any) -> Plan:
    offers = policy.pop("offers", None) or (Offer("slurm", (STANDARD, LARGE), 100, **policy.pop("offer", {})),)
    jobs = tuple(read_job(info, strict=False) for info in infos)
    return plan(Observed(jobs, lead, tuple(bursts), NOW), Policy(is_burstable, offers, **policy))


def declared(*sizes: int) -> Inventory:
    groups = [Group((f"slurm{n}",), (n,), Cores(size), None, "down") for n, size in enumerate(sizes)]
    return Inventory(tuple(groups))


SLOTS = tuple(f"slurm{n}" for n in range(4))


def why(made: Plan) -> tuple[str, str]:
    (decision,) = made.decisions
    return str(decision.why.verdict), decision.why.text


def test_new_bursts_take_the_slots_in_order(info):
    made = make(info(1, nodes=3, cores=8), lead=declared(8, 8, 8, 8), offer={"slots": SLOTS})
    assert made.bursts[0].hosts == SLOTS[:3]
    two = make(info(1, nodes=1, cores=9), info(2, nodes=2, cores=2), lead=declared(8, 16, 8, 8), offer={"slots": SLOTS})
    assert [(burst.shape, burst.hosts) for burst in two.bursts] == [
        ("large", ("slurm1",)),
        ("standard", ("slurm0", "slurm2")),
    ]


def test_two_bursts_never_get_the_same_slot(info):
    jobs = [info(n, nodes=1, cores=8, system={"burst": {"namespace": f"n{n}"}}) for n in range(3)]
    made = make(*jobs, lead=declared(8, 8, 8, 8), offer={"slots": SLOTS})
    assert [burst.hosts for burst in made.bursts] == [("slurm0",), ("slurm1",), ("slurm2",)]


def test_nodes_on_their_way_are_kept_for_the_jobs_that_they_are_made_for(info):
    # The second job fits beside the first one; once the third one's node is on its way it would fit there, too.
    gpu = NodeShape("gpu", Cores(8) & Gpus(1))
    offers = (Offer("plain", (STANDARD,), 8), Offer("cloud", (gpu,), 8))
    jobs = info(1, gpus=1), info(2, cores=2), info(3, nodes=1, cores=8)
    old = Burst("cloud-0", "cloud", "gpu", ("cloud-0-0",), state="joining")
    first = make(*jobs, offers=offers, bursts=[old])
    assert [(d.plugin, d.new_nodes) for d in first.decisions] == [("cloud", 0), ("cloud", 0), ("plain", 1)]
    there = [old, *(replace(burst, state="creating") for burst in first.bursts)]
    again = make(*jobs, offers=offers, bursts=there)
    assert not again.bursts
    assert [d.plugin for d in again.decisions] == ["cloud", "cloud", "plain"]
    alone = make(jobs[1], offers=offers, bursts=there)
    assert alone.decisions[0].plugin == "plain", "nobody else waits for it"
    assert alone.unused == {("cloud", "gpu"): 1}


def test_a_slot_counts_for_what_the_lead_says_of_it(info):
    made = make(*(info(n, cores=2) for n in range(4)), lead=declared(4, 4, 4, 4), offer={"slots": SLOTS})
    assert made.totals()["nodes"] == 2, "the shape has 8 cores, the lead's scheduler uses 4 of them"


def test_no_slots_and_how_to_get_some(info):
    verdict, text = why(make(info(nodes=1), lead=declared(), offer={"slots": ()}))
    assert verdict == "INCOMPATIBLE"
    assert "the lead has no hosts to spare for slurm: flux-burst init --slots declares more" in text
    verdict, text = why(make(info(nodes=5), lead=declared(8, 8, 8, 8), offer={"slots": SLOTS}))
    assert verdict == "INCOMPATIBLE"
    assert "needs 5 new nodes of standard, the lead has 4 spare hosts for slurm: flux-burst init --slots" in text


def test_slots_in_use_come_back(info):
    there = Burst("b-1", "slurm", "standard", ("slurm0", "slurm1"), state="draining")
    made = make(info(nodes=3), lead=declared(8, 8, 8, 8), offer={"slots": SLOTS[2:]}, bursts=[there])
    assert why(made)[0] == "BUSY"


def test_a_shape_that_is_smaller_than_the_slot(info):
    lead = declared(16, 16)
    (decision,) = make(info(), lead=lead, offer={"slots": SLOTS[:2]}).decisions
    assert decision.shape == "large"
    offers = (Offer("slurm", (STANDARD,), 8, SLOTS[:2]),)
    verdict, text = why(make(info(), lead=lead, offers=offers))
    assert verdict == "INCOMPATIBLE"
    assert "the lead has declared 16 cores for slurm0, standard has 8" in text


def test_a_job_larger_than_the_slots(info):
    assert (
        "cores short by 8 (needs 12, has 4) on a node of slurm0"
        in why(make(info(nodes=1, cores=12), lead=declared(4), offer={"slots": SLOTS[:1]}))[1]
    )


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (Budget(nodes=1), "budget has 1 nodes left"),
        (Budget(bursts=0), "budget has 0 bursts left"),
        (Budget(node_hours=3), "2 new nodes of standard take 4 node-hours, {} budget has 3 left"),
        (Budget(cost=1.5), "2 new nodes of standard cost 2.00, {} budget has 1.50 left"),
    ],
)
def test_budgets_say_what_is_short(info, budget, says):
    job = info(nodes=2, cores=8)
    assert says.format("its") in why(make(job, offer={"lease": 7200, "budget": budget}))[1]
    assert says.format("the common") in why(make(job, offer={"lease": 7200}, budget=budget))[1]


def test_what_is_spent_is_gone_for_the_next_job(info):
    jobs = [info(n, nodes=2, cores=8, system={"burst": {"namespace": name}}) for n, name in enumerate(["a", "b", "a"])]
    for budget in (Budget(bursts=1), Budget(nodes=4), Budget(node_hours=9), Budget(cost=4.5)):
        for where in ({"offer": {"lease": 7200, "budget": budget}}, {"offer": {"lease": 7200}, "budget": budget}):
            outcomes = [decision.outcome for decision in make(*jobs, **where).decisions]
            spent = ["burst", "refused", "burst"] if budget.bursts == 1 else ["burst", "burst", "refused"]
            assert outcomes == spent, budget


@pytest.mark.parametrize(("budget", "what"), [(Budget(node_hours=9), "node-hours are"), (Budget(cost=9), "cost is")])
def test_a_limit_of_time_or_money_needs_a_lease(info, budget, what):
    assert (
        f"its {what} limited and its nodes have no end: give a lease" in why(make(info(), offer={"budget": budget}))[1]
    )


def test_the_next_shape_is_tried_where_the_first_one_cools(info):
    cooling = {"cooling": {"standard": "no capacity for 4 min"}}
    assert make(info(), offer=cooling).decisions[0].shape == "large"
    both = {"cooling": {"standard": "no capacity", "large": "no capacity"}}
    assert why(make(info(), offer=both)) == ("BUSY", "does not fit now: slurm: no standard now: no capacity")
    assert why(make(info(), offer={"paused": "quota"}))[1].endswith("it makes nothing now: quota")


def test_bursts_end_with_their_lease(info):
    made = make(info(1), info(2, nodes=1, exclusive=True, system={"burst": {"deadline": "30m"}}), offer={"lease": 3600})
    assert sorted(burst.deadline - NOW for burst in made.bursts) == [1800, 3600]
    assert make(info()).bursts[0].deadline == 0


def test_a_job_that_runs_longer_than_the_lease(info):
    verdict, text = why(make(info(system={"duration": 18000.0}), offer={"lease": 3600}))
    assert verdict == "INCOMPATIBLE"
    assert "runs 5 h, nodes of slurm end after 1 h" in text
    assert make(info(system={"duration": 0}), offer={"lease": 3600}).decisions[0].outcome == "burst"


def test_a_job_keeps_its_nodes_while_they_grow_older(info):
    job = info(7, system={"duration": 3500.0})
    (burst,) = make(job, offer={"lease": 3600}).bursts
    later = plan(
        Observed((read_job(job),), None, (burst,), NOW + 300), Policy(is_burstable, (Offer("slurm", (STANDARD,), 9),))
    )
    assert not later.bursts
    assert later.decisions[0].shared_nodes == 1


def test_jobs_that_share_the_nodes_keep_them_too(info):
    jobs = [info(n, cores=2, system={"duration": 3500.0}) for n in range(4)]
    (burst,) = make(*jobs, offer={"lease": 3600}).bursts
    assert (burst.nodes, burst.jobs) == (1, ("0", "1", "2", "3"))
    offers = (Offer("slurm", (STANDARD,), 9, lease=3600),)
    for age in (60, 600, 3000):
        queue = tuple(read_job(job) for job in jobs)
        assert not plan(Observed(queue, None, (burst,), NOW + age), Policy(is_burstable, offers)).bursts


@pytest.mark.parametrize(
    ("burst", "verdict", "says"),
    [
        (7, "UNKNOWN", "spec.attributes.system.burst: an object belongs here"),
        ({"colour": 1}, "UNKNOWN", "unknown key 'colour'; there are: plugin, shape, max_cost, deadline, namespace"),
        ({"max_cost": True}, "UNKNOWN", "spec.attributes.system.burst.max_cost: an amount from 0 up"),
        ({"max_cost": float("nan")}, "UNKNOWN", "burst.max_cost: an amount"),
        ({"deadline": "soon"}, "UNKNOWN", "burst.deadline: it is seconds"),
        ({"deadline": 0}, "UNKNOWN", "burst.deadline: a duration such as 3600 or 4h"),
        ({"namespace": "--all"}, "UNKNOWN", "burst.namespace: a name of letters"),
        ({"plugin": "gke"}, "INCOMPATIBLE", "the job asks for plugin gke"),
        ({"shape": "tiny"}, "INCOMPATIBLE", "it has no shape tiny, which the job asks for"),
        ({"namespace": "c"}, "INCOMPATIBLE", "burst.namespace: c is not allowed; there are: a, b"),
        (
            {"shape": "large", "max_cost": 1},
            "INCOMPATIBLE",
            "1 new node of large cost 2.00 for 1 h, its max_cost is 1.00",
        ),
    ],
)
def test_what_a_job_may_not_say_for_itself(info, burst, verdict, says):
    rules = JobRules(namespaces=frozenset({"a", "b"}))
    made = make(info(system={"burst": burst}), rules=rules, offer={"lease": 3600})
    assert why(made)[0] == verdict
    assert says in why(made)[1]
    assert not made.bursts


def test_all_that_is_wrong_is_told_at_once_and_keys_can_be_forbidden(info):
    text = why(make(info(system={"burst": {"colour": 1, "max_cost": "x"}})))[1]
    assert "colour" in text
    assert "max_cost" in text
    rules = JobRules(frozenset({"plugin"}))
    assert (
        "system.burst.shape: jobs may not say this here"
        in why(make(info(system={"burst": {"shape": "large"}}), rules=rules))[1]
    )


def test_jobs_of_different_namespaces_never_share_a_burst(info):
    jobs = [info(n, cores=1, system={"burst": {"namespace": name}}) for n, name in enumerate(["a", "b", "a"])]
    made = make(*jobs)
    assert [(burst.namespace, burst.nodes) for burst in made.bursts] == [("a", 1), ("b", 1)]


def test_young_jobs_wait(info):
    made = make(info(1, t_submit=NOW - 3), info(2, t_submit=NOW - 90), info(3, t_submit=5.0, t_sched=NOW - 9), delay=30)
    assert [d.outcome for d in made.decisions] == ["not selected", "burst", "not selected"]
    assert made.decisions[0].why.text == "has waited 3 of 30 s"
    assert made.due == NOW + 21


def test_constraints(info):
    def tied(constraints: Any) -> Plan:
        return make(info(nodes=1, system={"constraints": constraints}), lead=declared(8, 8), offer={"slots": SLOTS[:2]})

    assert tied({"hostlist": ["slurm[0-9]"]}).decisions[0].outcome == "burst"
    assert "not all of its hosts" in why(tied({"hostlist": ["slurm0"]}))[1]
    for unknown in ({"properties": ["fast"]}, {"not": [{"hostlist": ["x"]}]}, {"hostlist": ["[["]}, ["x"]):
        assert why(tied(unknown))[0] == "UNKNOWN"
    up = Inventory((Group(("n1", "slurm0"), (0, 1), Cores(8), Cores(8)),))
    job = info(system={"constraints": {"hostlist": ["n1"]}})
    assert "some of them are up" in why(make(job, lead=up, offer={"slots": ()}))[1]


def test_names_of_bursts_come_from_the_policy(info):
    offers = (Offer("a", (STANDARD,), 1), Offer("b", (STANDARD,), 9))
    jobs = [info(n, nodes=1, cores=8, system={"burst": {"namespace": f"n{n}"}}) for n in range(3)]
    made = make(*jobs, offers=offers, name=lambda plugin, number: f"{plugin}.{number}")
    assert [burst.name for burst in made.bursts] == ["a.0", "b.1", "b.2"]


def test_a_shape_from_text_has_a_price_and_a_place():
    shape = NodeShape.from_text("big: cores=16 memory=64GB price=0.75 place=us-east-1a")
    assert (shape.price, shape.place) == (0.75, "us-east-1a")
    assert NodeShape.from_text(str(shape)) == shape
    for text in ("x: cores=1 price=-1", "x: cores=1 price=inf", "x: cores=1 price=", "x: cores=1 price=1 price=2"):
        with pytest.raises(FluxBurstError, match="price"):
            NodeShape.from_text(text)


def test_a_duration_that_is_none(info):
    for wrong in (-1, "long", True, float("inf")):
        with pytest.raises(JobError) as caught:
            read_job(info(system={"duration": wrong}))
        assert caught.value.place == "spec.attributes.system.duration"


def test_a_shape_of_unknown_price_is_not_made_where_cost_is_limited(info):
    unknown = NodeShape("unknown", Cores(8), inf)
    job, own = info(1, nodes=2, cores=8), info(1, nodes=2, cores=8, system={"burst": {"max_cost": 50.0}})
    assert make(job, offers=(Offer("ec2", (unknown,), 8, lease=3600),)).bursts
    for limits in ({"offers": (Offer("ec2", (unknown,), 8, budget=Budget(cost=50.0), lease=3600),)},):
        verdict, text = why(make(job, **limits))
        assert "the price of unknown is not known" in text, verdict
    assert "the price of unknown is not known" in why(make(own, offers=(Offer("ec2", (unknown,), 8, lease=3600),)))[1]
    both = make(job, offers=(Offer("ec2", (unknown, LARGE), 8, lease=3600),), budget=Budget(cost=50.0))
    assert [burst.shape for burst in both.bursts] == ["large"]


def test_jobs_of_a_stopped_queue_make_no_nodes_and_take_none(info):
    jobs = tuple(read_job(info(n, nodes=1, cores=8, queue=queue)) for n, queue in enumerate(("debug", "batch"), 1))
    made = plan(
        Observed(jobs, now=NOW, stopped={"debug": "down for an hour"}),
        Policy(is_burstable, (Offer("a", (STANDARD,), 1),)),
    )
    assert [decision.outcome for decision in made.decisions] == ["not selected", "burst"]
    assert made.decisions[0].why.text == "its queue debug is stopped: down for an hour"


def test_what_a_job_may_cost_counts_the_nodes_that_are_made_not_the_largest_slots(info):
    job = info(1, slots=2, cores=2, system={"burst": {"max_cost": 1.0}})
    shape = NodeShape("s", Cores(4), 0.5)
    slots = {"offers": (Offer("slurm", (shape,), 8, ("slurm0", "slurm1"), lease=7200),)}
    assert not make(job, lead=declared(2, 4), **slots).bursts
    assert "its max_cost is 1" in why(make(job, lead=declared(2, 4), **slots))[1]
    assert make(job, lead=declared(4, 2), **slots).bursts[0].hosts == ("slurm0",)
