"""What users of the peers were hurt by, line by line, in the world of virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from simulation.short import rows, run, world
from simulation.world import SETTLE, Chance, Killed, World

from fluxburst.errors import AuthenticationError, CapacityError, HandleError, UncertainError
from fluxburst.ledger import Ledger
from fluxburst.model import Budget, Burst, Sighting
from fluxburst.reconcile import Reconciler


def states(a: World) -> list[str]:
    """Of the latest burst, in the order in which it went through them."""
    name = a.controller.ledger.history()[0].name
    found = [state for _, _, state, _ in a.controller.ledger.events(name) if state]
    return list(dict.fromkeys(found))


def test_a_burst_goes_through_its_life_and_its_slots_are_used_again():
    a = world()
    for number in (1, 2):
        job = a.submit(3, 50.0)
        run(a, 60)
        assert a.lead.ended[job] == "completed"
        assert states(a) == ["planned", "creating", "joining", "ready", "draining", "deleting", "gone"]
        assert (len(a.asked), a.alive(), a.lead.drains()) == (number, [], {})
    first, second = a.controller.ledger.history()
    assert first.name != second.name
    assert first.hosts == second.hosts


def test_nothing_is_made_for_what_the_lead_holds_or_for_what_has_just_come():
    a = world(delay=100)
    a.submit(1, 1000.0)
    a.submit(2, 50.0)
    run(a, 9)
    assert not a.asked
    run(a, 3)
    assert len(a.asked) == 1


def test_constant_demand_and_slow_joins_make_nothing_more_once_enough_is_coming():
    a = world(idle_timeout=600)
    for _ in range(4):
        a.submit(3, 100_000.0)
    run(a, 10)
    made = a.calls["create"], a.calls["destroy"]
    run(a, 100)
    assert (a.calls["create"], a.calls["destroy"]) == made


def test_what_never_joins_counts_against_the_limits():
    a = world(chance=Chance(boot=100), limits=Budget(nodes=3), join_timeout=5000)
    for _ in range(3):
        a.submit(2, 100.0)
    run(a, 100)
    assert sum(thing.burst.nodes for thing in a.alive()) <= 3
    assert rows(a)


def test_a_lack_of_capacity_goes_to_the_next_shape_in_the_same_pass_and_is_forgotten(monkeypatch):
    a = world()
    plugin, full = a.plugins["one"], {"big"}
    make = plugin.create

    def create(burst: Burst) -> None:
        if burst.shape in full:
            a.asked.append(burst.name)
            raise CapacityError("no big ones are left")
        make(burst)

    monkeypatch.setattr(plugin, "create", create)
    a.submit(3, 50.0)
    a.advance(20)
    a.step()
    assert [row.shape for row in rows(a)] == ["fit"]
    (pause,) = a.controller.ledger.pauses()
    assert (pause.shape, pause.place, pause.kind) == ("big", "a", "capacity")
    full.clear()
    run(a, 60)
    a.submit(3, 50.0)
    run(a, 10)
    assert a.controller.ledger.history()[0].shape == "big"


def test_a_pause_says_why_and_how_to_go_on_and_the_next_plugin_is_asked(monkeypatch):
    a = world("one", "two")

    def create(burst: Burst) -> None:
        raise AuthenticationError("the key has expired")

    monkeypatch.setattr(a.plugins["one"], "create", create)
    a.submit(2, 50.0)
    a.advance(20)
    a.step()
    assert [row.plugin for row in rows(a)] == ["two"]
    (pause,) = a.controller.ledger.pauses()
    assert (pause.plugin, pause.shape, pause.kind) == ("one", "", "authentication")
    a.submit(6, 50.0)
    a.advance(20)
    a.step()
    assert a.controller._plan
    said = str(a.controller._plan.as_dict()["explanations"])
    assert "the key has expired" in said
    assert "flux-burst resume one" in said


def test_preemption_pauses_nothing():
    a = world()
    a.submit(3, 1000.0)
    run(a, 45)
    (thing,) = a.alive()
    thing.ends, thing.reason, thing.preempted = a.now, "the provider took it back", True
    run(a, 2)
    assert a.controller.ledger.history()[0].state == "gone"
    assert not a.controller.ledger.pauses()


def test_a_broker_that_does_not_join_is_told_with_what_it_printed(monkeypatch):
    a = world(chance=Chance(boot=100))
    plugin = a.plugins["one"]
    look = plugin.status

    def status(known: Sequence[Burst] = ()) -> list[Sighting]:
        return [Sighting(one.name, one.seen, one.id, output="no route to host") for one in look(known)]

    monkeypatch.setattr(plugin, "status", status)
    a.submit(3, 50.0)
    run(a, 80)
    failed = [row for row in a.controller.ledger.history() if row.state == "failed"]
    assert failed[-1].reason.startswith("boot failed")
    assert failed[-1].output == "no route to host"
    assert len(a.asked) < 8, "the pauses between the attempts grow"


def test_some_of_a_burst_that_joined_are_used_and_the_rest_are_named():
    a = world()
    a.submit(3, 300.0)
    run(a, 2)
    (thing,) = a.alive()
    lost = thing.burst.hosts[-1]
    del thing.joins[lost]
    for _ in range(60):
        run(a, 1)
        if found := [row for row in a.controller.ledger.history() if row.missing]:
            break
    assert found[0].missing == (lost,)
    assert lost in found[0].reason


def test_a_job_that_is_placed_between_drain_and_end_finishes():
    a = world(idle_timeout=30)
    a.submit(3, 20.0)
    while not a.busy:
        run(a, 1)
    drain = a.lead.drain
    late: list[str] = []

    def slow(hosts, reason):
        if not late:  # the scheduler is faster than the drain
            late.append(a.submit(2, 300.0))
        drain(hosts, reason)

    a.lead.drain = slow  # type: ignore[method-assign]
    run(a, 100)
    assert a.lead.ended[late[0]] == "completed"
    assert not a.alive()


def test_only_our_own_drains_are_undone():
    a = world()
    a.lead.drain(["lead0"], "maintenance")
    a.lead.drain(["one5"], "flux-burst: somebody-else-1")
    a.submit(2, 20.0)
    run(a, 100)
    assert a.asked
    assert a.lead.drains() == {"lead0": "maintenance", "one5": "flux-burst: somebody-else-1"}


def test_one_call_serves_all_bursts_and_a_failing_one_is_not_repeated_before_the_interval(monkeypatch):
    a = world(interval=50, cooldown=0)
    calls: list[float] = []
    look = a.plugins["one"].status

    def status(known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        calls.append(a.now)
        if len(known) > 1:
            raise UncertainError("no answer")
        return look(known)

    monkeypatch.setattr(a.plugins["one"], "status", status)
    for _ in range(3):
        a.submit(2, 500.0)
        run(a, 5, 7.0)
    assert len(rows(a)) > 1
    run(a, 50, 7.0)
    assert all(later - earlier >= 50 for earlier, later in itertools.pairwise(calls))
    assert len(calls) > 3


@pytest.mark.parametrize("after", [False, True])
def test_killed_between_create_and_record_nothing_is_asked_for_again(monkeypatch, after):
    a = world()
    plugin = a.plugins["one"]
    make = plugin.create

    def create(burst: Burst) -> None:
        if after:
            make(burst)
        else:
            a.asked.append(burst.name)
        monkeypatch.undo()
        raise Killed

    monkeypatch.setattr(plugin, "create", create)
    a.submit(3, 50.0)
    run(a, 100)
    assert len(a.asked) == (1 if after else 2)
    assert not a.alive()
    assert not rows(a)


def test_without_its_ledger_what_bears_our_mark_is_ended_after_the_grace_and_two_sightings():
    a = world(grace=300)
    a.submit(3, 50.0)
    run(a, 8)
    (thing,) = a.alive()
    a.cancel_pending()
    ledger = Ledger.open(None, "own")
    a.controller = Reconciler(a.lead, dict(a.plugins), ledger, a.settings, clock=a.clock)
    begun = a.now
    while a.now < begun + 290 and thing.ends > a.now:
        a.advance(10)
        a.step()
        if a.now - thing.made <= 300:
            assert thing.ends > a.now, "it is younger than the grace"
    run(a, 60)
    assert not a.alive()


def test_a_clock_that_jumps_between_two_controllers_loses_nothing():
    a = world()
    a.submit(3, 50.0)
    a.advance(20)
    a.step()
    (thing,) = a.alive()
    thing.shown = a.now + SETTLE
    a.jump = 2 * SETTLE
    a.restart()
    run(a, 1, 1.0)
    assert [row.state for row in rows(a)] == ["creating"]


def test_a_dead_controller_leaves_nothing_beyond_the_lease():
    a = world(lease=1000)
    a.submit(3, 50.0)
    run(a, 3)
    assert a.alive()
    a.advance(1000)
    assert not a.alive()


def test_nodes_smaller_than_promised_are_learnt_and_not_made_again_for_such_slots():
    a = world()
    a.submit(3, 50.0)
    join = a.lead.join
    a.lead.join = lambda host: join(host, (2, 0))  # type: ignore[method-assign,assignment,misc]
    run(a, 60)
    assert a.controller.ledger.learnt() == {("one", "big"): (2, 0)}
    a.submit(3, 50.0)
    run(a, 5)
    assert a.controller.ledger.history()[0].shape == "fit"


def test_what_joined_and_is_not_used_pauses_its_shape(monkeypatch):
    a = world(idle_timeout=30)
    job = a.submit(3, 50.0)
    monkeypatch.setattr(a.lead, "_start", lambda at: None)  # a scheduler that does not place it
    run(a, 200)
    assert len(a.asked) < 8
    assert any("nothing ran on them" in pause.reason for pause in a.controller.ledger.pauses())
    assert job not in a.lead.ended


def test_an_order_that_nobody_needs_any_more_is_taken_back_from_the_queue_of_its_provider():
    a = world(start_timeout=3000)
    a.submit(3, 50.0)
    run(a, 3)
    (thing,) = a.alive()
    thing.starts = a.now + 5000
    thing.joins = dict.fromkeys(thing.joins, a.now + 5000)
    a.cancel_pending()
    run(a, 20)
    assert not a.alive()


def test_wishes_of_others_are_fulfilled():
    a = world("one", "two")
    a.submit(3, 1500.0)
    run(a, 50)
    (row,) = rows(a)
    a.controller.ledger.wish("stop", ["one", "two"])
    a.controller.ledger.wish("destroy", [row.name])
    monkey = a.plugins["one"]
    monkey._check_idle = lambda thing: None  # type: ignore[method-assign]
    a.submit(3, 50.0)
    run(a, 30)
    assert not a.alive()
    assert a.controller.ledger.row(row.name).reason == "ended by hand"
    assert len(a.asked) == 1
    a.controller.ledger.wish("resume", ["one"])
    run(a, 3)
    assert len(a.asked) == 2


def test_the_settle_time_is_waited_for():
    a = world(chance=Chance())
    a.submit(3, 50.0)
    a.advance(20)
    a.step()
    (thing,) = a.alive()
    thing.shown = a.now + SETTLE
    run(a, 1, SETTLE / 2)
    assert [row.state for row in rows(a)] == ["creating"]


def test_a_burst_that_waits_for_another_is_not_idle():
    a = world("one", "two", idle_timeout=30, join_timeout=3000)
    a.plugins["one"].params.max_nodes = 2
    a.submit(3, 50.0)
    run(a, 3)
    a.submit(6, 50.0)
    run(a, 2)
    slow = next(thing for thing in a.alive() if thing.burst.plugin == "two")
    slow.joins = dict.fromkeys(slow.joins, a.now + 1000)
    run(a, 90)
    ended = [row for row in a.controller.ledger.history() if row.plugin == "one" and 0 < row.ended < a.now - 300]
    assert not ended


def test_what_its_provider_does_not_end_is_ended_at_the_deadline():
    a = world(lease=600)
    a.submit(3, 400.0)
    run(a, 2)
    (thing,) = a.alive()
    thing.ends = thing.starts + 100_000
    a.submit(3, 590.0)
    run(a, 90)
    row = a.controller.ledger.row(thing.burst.name)
    assert row.closed
    assert row.ended < row.deadline + 120


@pytest.mark.parametrize("what", ["node_hours", "cost"])
def test_what_has_ended_counts_for_good_and_what_is_open_with_its_whole_lease(what):
    rate = 1.0 if what == "node_hours" else 2.0  # of big nodes, which come first
    a = world(limits=Budget(**{what: 4.0 * rate}), lease=3600)
    for _ in range(16):
        a.submit(3, 600.0)
        run(a, 30, 30.0)
    assert 2.0 < a.spent() <= 4.0


def test_nothing_is_ended_before_its_drain_is_seen(monkeypatch):
    a = world(idle_timeout=30)
    a.submit(3, 20.0)
    while not a.busy:
        run(a, 1)

    def fail(hosts, reason):
        raise HandleError("not now")

    monkeypatch.setattr(a.lead, "drain", fail)
    run(a, 20)
    assert a.alive()
    assert [row.state for row in rows(a)] == ["draining"]
    monkeypatch.undo()
    run(a, 20)
    assert not a.alive()


def test_a_drain_stays_while_a_broker_is_there_that_its_provider_knows_nothing_of(monkeypatch):
    a = world(idle_timeout=500)
    a.submit(3, 20.0)
    while not a.busy:
        run(a, 1)
    run(a, 5)
    (thing,) = a.alive()
    monkeypatch.setattr(a.plugins["one"], "status", lambda known=(): [Sighting(one.name, "gone") for one in known])
    monkeypatch.setattr(a.plugins["one"], "destroy", lambda burst: None)
    a.controller.ledger.change(thing.burst.name, a.clock(), state="draining", reason="drained by hand")
    run(a, 1)
    a.lead.drain(thing.burst.hosts, f"flux-burst: {thing.burst.name}")
    for _ in range(5):
        a.advance(10)
        a.step()
    assert not rows(a)
    assert set(a.lead.drains()) == set(thing.burst.hosts)
    thing.ends = a.now
    for _ in range(2):
        a.advance(10)
        a.step()
    assert not a.lead.drains()
