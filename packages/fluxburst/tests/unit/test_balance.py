"""What new nodes may still cost, to the last node, burst, node-hour and cent; what an offer has left."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from resources import Cores, Gpus

from fluxburst.ledger import Pause, Row
from fluxburst.model import Budget, NodeShape, Offer, amount
from fluxburst.planning.balance import Balance
from fluxburst.planning.offers import Books, left, narrowed, pause_text
from fluxburst.planning.planner import _stopped
from fluxburst.settings import PluginSettings

HOUR = 3600.0


@pytest.mark.parametrize(
    ("budget", "asked", "pays"),
    [
        (Budget(), (10**9, inf, inf, 1), True),
        (Budget(nodes=2), (2, 1.0, HOUR, 1), True),
        (Budget(nodes=2), (3, 1.0, HOUR, 1), False),
        (Budget(bursts=1), (1, 1.0, HOUR, 1), True),
        (Budget(bursts=0), (1, 1.0, HOUR, 1), False),
        (Budget(bursts=0), (1, 1.0, HOUR, 0), True),  # nodes of a burst that is counted
        (Budget(node_hours=4), (2, 1.0, 2 * HOUR, 1), True),
        (Budget(node_hours=4), (2, 1.0, 2 * HOUR + 1, 1), False),
        (Budget(cost=4), (2, 1.0, 2 * HOUR, 1), True),
        (Budget(cost=4), (2, 1.001, 2 * HOUR, 1), False),
        (Budget(cost=0), (2, 0.0, 2 * HOUR, 1), True),  # what costs nothing
        (Budget(cost=0), (2, 0.0, inf, 1), True),
        (Budget(cost=4), (1, 1.0, inf, 1), False),
        (Budget(node_hours=4), (1, 0.0, inf, 1), False),
        (Budget(node_hours=0, cost=0), (0, 1.0, inf, 0), True),  # nothing new
    ],
)
def test_what_is_paid_for(budget, asked, pays):
    assert Balance(budget, "its").pays(*asked) is pays


def test_adding_up_many_parts_refuses_no_last_one():
    balance = Balance(Budget(node_hours=1, cost=1), "its")
    for _ in range(10):
        assert balance.pays(1, 1.0, HOUR / 10, 1)
        balance.spend(1, 1.0, HOUR / 10, 1)
    assert not balance.pays(1, 1.0, 1.0, 1)
    assert balance.node_hours >= 0
    assert balance.cost >= 0


@pytest.mark.parametrize(
    ("budget", "asked", "says"),
    [
        (Budget(nodes=2), (3, "s", 1.0, HOUR, 1), "needs 3 new nodes of s, its budget has 2 nodes left"),
        (Budget(nodes=-1), (1, "s", 1.0, HOUR, 1), "needs 1 new node of s, its budget has 0 nodes left"),
        (Budget(bursts=0), (1, "s", 1.0, HOUR, 1), "needs one more burst, its budget has 0 bursts left"),
        (Budget(bursts=-2), (1, "s", 1.0, HOUR, 1), "needs one more burst, its budget has 0 bursts left"),
        (
            Budget(cost=1),
            (1, "s", inf, HOUR, 1),
            "its cost is limited and the price of s is not known: give it in the catalogue",
        ),
        (Budget(cost=1), (1, "s", 1.0, inf, 1), "its cost is limited and its nodes have no end: give a lease"),
        (
            Budget(node_hours=1),
            (1, "s", 0.0, inf, 1),
            "its node-hours are limited and its nodes have no end: give a lease",
        ),
        (Budget(node_hours=1.5), (2, "s", 1.0, HOUR, 1), "2 new nodes of s take 2 node-hours, its budget has 1.5 left"),
        (Budget(node_hours=-1), (2, "s", 1.0, HOUR, 1), "2 new nodes of s take 2 node-hours, its budget has 0 left"),
        (Budget(cost=1.5), (2, "s", 1.0, HOUR, 1), "2 new nodes of s cost 2.00, its budget has 1.50 left"),
        (Budget(cost=-1), (2, "s", 1.0, HOUR, 1), "2 new nodes of s cost 2.00, its budget has 0.00 left"),
    ],
)
def test_what_is_short_by_how_much(budget, asked, says):
    assert Balance(budget, "its").short(*asked) == says


def test_what_is_spent():
    balance = Balance(Budget(nodes=9, bursts=3, node_hours=100, cost=100), "its")
    balance.spend(2, 3.0, 2 * HOUR, 1)
    assert (balance.nodes, balance.bursts, balance.node_hours, balance.cost) == (7, 2, 96.0, 88.0)
    balance.spend(1, 3.0, inf, 0)  # without end: not reckoned in hours
    assert (balance.nodes, balance.bursts, balance.node_hours, balance.cost) == (6, 2, 96.0, 88.0)
    unlimited = Balance(Budget(cost=inf, nodes=5), "its")
    unlimited.spend(1, inf, HOUR, 1)
    assert unlimited.cost == inf


NOW = 10_000.0
ROW = Row("me-0", "a", "s", ("h0",), state="ready", planned=NOW - HOUR, asked=NOW, price=2.0, deadline=NOW + HOUR)
BOOKS = Books(NOW, (), {}, {}, (), {}, {}, real=True)
SHAPE = NodeShape("s", Cores(8) & Gpus(4), 2.0)
OFFER = Offer("a", (SHAPE,), 5)


def test_what_is_left_counts_open_bursts_to_their_end_and_what_was_spent():
    budget = left(Budget(nodes=5, bursts=3, node_hours=10, cost=30), [ROW], [(1.5, 4.0), (0.5, 1.0)], NOW)
    hours = ROW.node_hours(ROW.deadline)
    assert hours == 2.0
    assert budget == Budget(4, 2, 10 - hours - 2.0, 30 - 2.0 * hours - 5.0)
    endless = left(Budget(node_hours=10), [replace(ROW, deadline=0.0)], [], NOW)
    assert endless.node_hours == 9.0  # as long as it is there


def test_an_offer_is_narrowed_by_its_own_bursts_alone():
    other = replace(ROW, name="me-1", plugin="b", hosts=("h1", "h2"))
    books = replace(BOOKS, rows=(ROW, other), spent={"a": (1.0, 2.0), "b": (7.0, 7.0)})
    made = narrowed(OFFER, PluginSettings(lease=60, limits=Budget(node_hours=10, cost=20)), books)
    assert (made.max_nodes, made.budget) == (5, Budget(4, inf, 10 - 2.0 - 1.0, 20 - 4.0 - 2.0))
    assert made.lease == 60
    assert narrowed(replace(OFFER, max_nodes=0), PluginSettings(), books).budget.nodes == 0
    fewer = narrowed(OFFER, PluginSettings(limits=Budget(nodes=3)), books)
    assert fewer.budget.nodes == 2


def test_slots_are_those_that_are_down_and_no_bursts():
    declared = {"h0": "down", "h1": "down", "h2": "up", "h3": "down"}
    books = replace(BOOKS, declared=declared, rows=(ROW,))
    assert narrowed(OFFER, PluginSettings(hosts=("h3", "h0", "h2", "h1", "h9")), books).slots == ("h3", "h1")
    assert narrowed(OFFER, PluginSettings(hosts=()), books).slots == ()
    assert narrowed(OFFER, PluginSettings(hosts=()), replace(books, real=False)).slots is None


def test_shapes_shrink_to_what_their_nodes_turned_out_to_have():
    def learnt(found: tuple[int, int]) -> tuple[int, int]:
        (shape,) = narrowed(OFFER, PluginSettings(), replace(BOOKS, learnt={("a", "s"): found})).shapes
        return amount(shape.holds, "cores"), amount(shape.holds, "gpus")

    assert learnt((6, 2)) == (6, 2)
    assert learnt((6, 0)) == (6, 0)
    assert learnt((99, 99)) == (8, 4)
    elsewhere = replace(BOOKS, learnt={("b", "s"): (1, 0), ("a", "t"): (1, 0)})
    assert narrowed(OFFER, PluginSettings(), elsewhere).shapes == (SHAPE,)


def test_pauses_of_the_plugin_and_of_one_shape_at_one_place():
    whole = Pause("a", "", "", NOW + 60, "failed", "quota", 2)
    shape = replace(whole, shape="s")
    until = f"paused until {pause_text(whole).split()[2]} (failed: quota); to go on now: flux-burst resume a"

    def paused(*pauses: Pause, **more: object) -> Offer:
        return narrowed(OFFER, PluginSettings(), replace(BOOKS, pauses=pauses, **more))

    assert (paused(whole).paused, paused(whole).cooling) == (until, {})
    assert (paused(shape).paused, paused(shape).cooling) == ("", {"s": until})
    assert paused(replace(shape, place="there")).cooling == {}
    assert paused(replace(whole, plugin="b"), replace(shape, plugin="b")) == paused()
    assert paused(replace(whole, plugin="b"), whole).paused == until
    assert paused(whole, blind={"a": "its provider does not answer"}).paused == "its provider does not answer"
    assert pause_text(replace(whole, until=inf)).startswith("paused (failed: quota);")


def test_what_a_stopped_queue_is_called():
    assert _stopped("debug", "down") == "its queue debug is stopped: down"
    assert _stopped("", "down") == "its queue is stopped: down"
    assert _stopped("debug", "") == "its queue debug is stopped"
