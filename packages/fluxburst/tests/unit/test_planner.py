from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from resources import ZERO, Cores, Gpus, Resource
from resources.documents import Group, Inventory

from fluxburst.jobs import read_job
from fluxburst.model import Burst, NodeShape, Observed, Offer, Plan, Policy
from fluxburst.planning.planner import plan
from fluxburst.selection import is_burstable

SMALL, BIG = NodeShape("small", Cores(4)), NodeShape("big", Cores(16))
GPU = NodeShape("gpu", Cores(8) & Gpus(4))


def offer(*shapes: NodeShape, limit: int = 8, plugin: str = "mock") -> Offer:
    return Offer(plugin, shapes, limit)


def make(
    infos: Sequence[dict[str, Any]], *offers: Offer, lead: Inventory | None = None, bursts: tuple[Burst, ...] = ()
) -> Plan:
    jobs = tuple(read_job(info, strict=False) for info in infos)
    return plan(Observed(jobs, lead, bursts), Policy(is_burstable, offers))


def lead(*nodes: tuple[Resource, Resource | None], state: str = "up") -> Inventory:
    return Inventory(tuple(Group((f"n{i}",), (i,), total, free, state) for i, (total, free) in enumerate(nodes)))


def test_new_nodes_of_the_first_shape_that_holds_it(info):
    made = make([info(nodes=3, cores=8)], offer(SMALL, BIG))
    (decision,) = made.decisions
    assert (decision.outcome, decision.plugin, decision.shape, decision.new_nodes) == ("burst", "mock", "big", 3)
    (burst,) = made.bursts
    assert (burst.name, burst.nodes, burst.jobs, burst.state) == ("mock-0", 3, ("1",), "planned")


def test_jobs_share_new_nodes(info):
    made = make([info(number, cores=2) for number in range(4)], offer(SMALL))
    assert [(d.new_nodes, d.shared_nodes) for d in made.decisions] == [(1, 0), (0, 1), (1, 0), (0, 1)]
    assert made.totals()["nodes"] == 2


def test_the_fullest_node_that_has_room_is_filled_first(info):
    # 1 fills a node to 3 of 4, 2 opens another one; 3 fits beside 1, so that 4 fits beside 2.
    cores = [3, 2, 1, 2]
    made = make([info(n, cores=c, t_submit=float(n)) for n, c in enumerate(cores)], offer(SMALL))
    assert [d.new_nodes for d in made.decisions] == [1, 1, 0, 0]


def test_slots_lie_anywhere(info):
    made = make([info(slots=7, cores=2)], offer(SMALL))
    assert made.decisions[0].new_nodes == 4


def test_exclusive_nodes_are_shared_with_nobody(info):
    made = make([info(1, nodes=1, exclusive=True), info(2, cores=1), info(3, nodes=1, exclusive=True)], offer(BIG))
    assert made.totals()["nodes"] == 3


def test_a_plugin_is_asked_in_order_and_says_why_not(info):
    made = make([info(gpus=1)], offer(SMALL, BIG, plugin="plain"), offer(GPU, plugin="cloud"), offer(GPU, plugin="z"))
    (decision,) = made.decisions
    assert (decision.plugin, decision.shape) == ("cloud", "gpu")
    assert dict(decision.why.others) == {
        "lead": "what it has free is not known",
        "plain": "gpus short by 1 (needs 1, has 0) on a node of small",
        "z": "not asked: cloud comes first",
    }


def test_the_next_plugin_is_asked_when_the_limit_of_the_first_is_reached(info):
    offers = offer(SMALL, limit=3, plugin="a"), offer(SMALL, plugin="b")
    made = make([info(n, nodes=2) for n in range(2)], *offers)
    assert [d.plugin for d in made.decisions] == ["a", "a"], "the second job finds the nodes of the first one open"
    made = make([info(n, nodes=2, cores=4) for n in range(2)], *offers)
    assert [d.plugin for d in made.decisions] == ["a", "b"]
    assert ("a", "needs 2 new nodes of small, its limit is 3, 1 left") in made.decisions[1].why.others


def test_open_nodes_come_before_new_ones_of_an_earlier_plugin(info):
    made = make([info(1, gpus=1), info(2)], offer(SMALL, plugin="plain"), offer(GPU, plugin="cloud"))
    assert [(d.plugin, d.new_nodes) for d in made.decisions] == [("cloud", 1), ("cloud", 0)]
    assert made.decisions[1].why.others[1] == ("plain", "not asked: cloud has room")


def test_refused_for_ever_for_want_of_gpus(info):
    (decision,) = make([info(gpus=1)], offer(SMALL, BIG)).decisions
    assert (decision.outcome, decision.why.verdict) == ("refused", "INCOMPATIBLE")
    assert decision.why.text == "can never fit: mock: gpus short by 1 (needs 1, has 0) on a node of small"


def test_the_closest_shape_is_named(info):
    (decision,) = make([info(cores=20)], offer(SMALL, BIG)).decisions
    assert decision.why.text == "can never fit: mock: cores short by 4 (needs 20, has 16) on a node of big"


def test_refused_for_ever_by_the_limit(info):
    (decision,) = make([info(nodes=9)], offer(SMALL)).decisions
    assert (decision.outcome, decision.why.verdict) == ("refused", "INCOMPATIBLE")
    assert decision.why.text == "can never fit: mock: needs 9 new nodes of small, its limit is 8"


def test_refused_for_now_by_what_is_left_of_the_limit(info):
    made = make([info(1, nodes=6, cores=4), info(2, nodes=6, cores=4)], offer(SMALL))
    assert [d.outcome for d in made.decisions] == ["burst", "refused"]
    assert made.decisions[1].why.verdict == "BUSY"


def test_refused_by_many_plugins_names_the_first_ones(info):
    offers = [offer(SMALL, plugin=f"p{n}") for n in range(5)]
    (decision,) = make([info(gpus=1)], *offers).decisions
    assert decision.why.text.endswith("and 2 more plugins")
    assert len(decision.why.others) == 6


def test_what_the_lead_can_run_now_does_not_burst(info):
    made = make([info(1, cores=4), info(2, cores=4)], offer(SMALL), lead=lead((Cores(8), Cores(4))))
    assert [d.outcome for d in made.decisions] == ["lead", "burst"]
    assert made.decisions[0].lead_nodes == 1


def test_the_lead_runs_a_part_of_a_job(info):
    made = make([info(nodes=3, cores=4)], offer(SMALL), lead=lead((Cores(4), Cores(4)), (Cores(4), Cores(2))))
    assert (made.decisions[0].lead_nodes, made.decisions[0].new_nodes) == (1, 2)
    assert made.decisions[0].why.others[0] == ("lead", "has room for 1 of 3 nodes now")


def test_jobs_that_may_not_burst_take_their_place_on_the_lead(info):
    room = lead((Cores(4), Cores(4)))
    made = make([info(1, cores=4, burstable=None), info(2, cores=4)], offer(SMALL), lead=room)
    assert [d.outcome for d in made.decisions] == ["not selected", "burst"]


def test_the_scheduler_takes_the_urgent_job_first(info):
    made = make([info(1, cores=4), info(2, cores=4, urgency=31)], offer(SMALL), lead=lead((Cores(4), Cores(4))))
    assert [d.outcome for d in made.decisions] == ["burst", "lead"]


def test_an_exclusive_job_needs_an_idle_node_of_the_lead(info):
    job = info(nodes=1, exclusive=True)
    assert make([job], offer(SMALL), lead=lead((Cores(8), Cores(7)))).decisions[0].outcome == "burst"
    assert make([job], offer(SMALL), lead=lead((Cores(8), Cores(8)))).decisions[0].outcome == "lead"


def test_a_job_that_the_lead_could_hold_later_is_not_refused_for_ever(info):
    made = make([info(gpus=1)], offer(SMALL), lead=lead((Cores(4) & Gpus(1), ZERO)))
    assert made.decisions[0].why.verdict == "BUSY"
    assert made.decisions[0].why.text.endswith("the lead itself holds it once it is free")


@pytest.mark.parametrize(("state", "free"), [("down", Cores(4)), ("drained", Cores(4)), ("up", None)])
def test_nodes_that_take_no_jobs_are_not_counted(info, state, free):
    made = make([info(cores=4)], offer(SMALL), lead=lead((Cores(4), free), state=state))
    assert made.decisions[0].outcome == "burst"
    assert bool(made.notes) == (free is None)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"state": 2}, "it waits for a dependency, not for nodes"),
        ({"state": 16}, "it is not waiting for nodes (state RUN)"),
        ({"urgency": 0}, "it is held"),
        ({"priority": 0}, "it is held"),
        ({"burstable": None}, "it is not marked as burstable"),
        ({"burstable": 0}, "it is not marked as burstable"),
    ],
)
def test_jobs_that_do_not_count(info, fields, why):
    (decision,) = make([info(**fields)], offer(SMALL)).decisions
    assert (decision.outcome, decision.why.text) == ("not selected", why)


def test_what_this_version_cannot_plan_is_refused_and_says_so(info):
    tied = info(1, system={"constraints": {"properties": ["fast"]}})
    other = {**info(2), "spec": {"version": 9999, "attributes": {"system": {"burstable": 1}}}}
    made = make([tied, other], offer(SMALL))
    assert [d.why.verdict for d in made.decisions] == ["UNKNOWN", "UNKNOWN"]
    assert "constraints" in made.decisions[0].why.text
    assert "spec.version" in made.decisions[1].why.text


def existing(nodes: int) -> Burst:
    return Burst("mock-4", "mock", "small", tuple(f"mock-4-{n}" for n in range(nodes)), state="joining")


def test_nodes_that_come_anyway_are_used_first_and_count_against_the_limit(info):
    made = make([info(1, nodes=2, cores=4), info(2, nodes=6, cores=4)], offer(SMALL), bursts=(existing(3),))
    first, second = made.decisions
    assert (first.outcome, first.new_nodes, first.shared_nodes) == ("burst", 0, 2)
    assert (second.new_nodes, second.shared_nodes) == (5, 1)
    assert [burst.name for burst in made.bursts] == ["mock-5"]
    refused = make([info(nodes=9, cores=4)], offer(SMALL), bursts=(existing(3),)).decisions[0]
    assert refused.outcome == "refused"


def test_nodes_on_their_way_are_for_their_job_though_one_like_it_was_refused(info):
    coming = Burst("mock-4", "mock", "small", ("mock-4-0",), ("2",), "joining")
    made = make([info(n, nodes=1, cores=4) for n in (1, 2)], offer(SMALL, limit=1), bursts=(coming,))
    assert [(one.outcome, one.shared_nodes) for one in made.decisions] == [("refused", 0), ("burst", 1)]
    assert not made.unused


def test_nodes_that_their_job_does_not_need_any_more_are_for_jobs_like_one_that_was_refused(info):
    coming = Burst("mock-4", "mock", "small", ("mock-4-0",), ("2",), "joining")
    sizes = {1: 2, 2: 1, 3: 2}
    free = lead((Cores(1), Cores(1)))  # takes the second job
    jobs = [info(n, nodes=1, cores=cores) for n, cores in sizes.items()]
    made = make(jobs, offer(SMALL, limit=1), lead=free, bursts=(coming,))
    assert [one.outcome for one in made.decisions] == ["refused", "lead", "burst"]


def test_each_shape_that_comes_anyway_is_looked_at(info):
    shapes = [NodeShape(f"s{cores}", Cores(cores)) for cores in (1, 2, 4, 8)]
    bursts = tuple(
        Burst(f"mock-{n}", "mock", shape.name, (f"h{n}",), state="joining") for n, shape in enumerate(shapes)
    )
    made = make([info(n, cores=cores) for n, cores in enumerate((2, 4, 8))], offer(*shapes), bursts=bursts)
    assert [(one.shape, one.new_nodes, one.shared_nodes) for one in made.decisions] == [
        ("s2", 0, 1),
        ("s4", 0, 1),
        ("s8", 0, 1),
    ]


def test_nodes_that_have_joined_are_the_leads(info):
    joined = Inventory((Group(("mock-4-0",), (9,), Cores(4), ZERO),))
    made = make([info(cores=4)], offer(SMALL), lead=joined, bursts=(existing(1),))
    assert made.decisions[0].new_nodes == 1


def test_an_explanation_is_shared_by_all_jobs_of_its_demand(info):
    made = make([info(n, gpus=1) for n in range(50)] + [info(99, gpus=1, burstable=0)], offer(SMALL))
    assert len(made.explanations) == 2
    assert {entry["explanation"] for entry in made.as_dict()["jobs"][:50]} == {0}
