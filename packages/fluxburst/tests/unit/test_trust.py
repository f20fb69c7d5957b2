"""What an owner trusts the controller with: no job ended by a drain, no limit exceeded, no plugin in another's way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from simulation.short import rows, run, world
from simulation.world import SETTLE, World

from fluxburst import plugins
from fluxburst.controller import Controller
from fluxburst.errors import HandleError, HeldError, LedgerError, UncertainError
from fluxburst.ledger import Ledger, Row
from fluxburst.model import Budget, Burst, Sighting
from fluxburst.reconcile import Reconciler


def until_busy(a: World) -> None:
    while not a.busy:
        run(a, 1)


def test_a_job_that_is_placed_before_a_late_drain_finishes(monkeypatch):
    a = world(idle_timeout=30)
    a.submit(3, 20.0)
    until_busy(a)
    asked: list[tuple[tuple[str, ...], str]] = []
    late: list[str] = []
    drain, drains = a.lead.drain, a.lead.drains

    def told():
        while asked:  # the lead gets to it when it is next looked at, and its scheduler was faster
            late.append(a.submit(2, 300.0))
            drain(*asked.pop())
        return drains()

    monkeypatch.setattr(a.lead, "drain", lambda hosts, reason: late or asked.append((hosts, reason)))
    monkeypatch.setattr(a.lead, "drains", told)
    run(a, 60)
    assert a.lead.ended[late[0]] == "completed"


def test_a_slot_that_is_used_again_at_once_is_not_still_drained():
    a = world(limits=Budget(nodes=2), cooldown=0)
    a.submit(3, 20.0)
    until_busy(a)
    a.controller.ledger.wish("drain", [rows(a)[0].name])
    job = a.submit(3, 20.0)
    run(a, 60)
    assert a.lead.ended[job] == "completed"
    assert len(a.asked) == 2
    assert not a.lead.drains()


def test_a_burst_that_is_to_be_used_is_not_left_drained_by_a_kill():
    a = world(idle_timeout=500)
    a.submit(3, 20.0)
    until_busy(a)
    (row,) = rows(a)
    a.lead.drain(row.hosts, f"flux-burst: {row.name}")
    run(a, 2)
    assert not a.lead.drains()


def test_a_lost_ledger_lets_no_limit_be_exceeded():
    a = world("one", "two", limits=Budget(nodes=2), grace=300)
    job = a.submit(3, 2000.0)
    a.advance(20)
    a.step()
    assert len(a.alive()) == 1
    ledger = Ledger.open(None, "own")
    a.controller = Reconciler(a.lead, dict(a.plugins), ledger, a.settings, clock=a.clock)
    for thing in a.alive():
        thing.shown, thing.joins = 0.0, {}  # it never joins, so that its slots stay free
    run(a, 80)
    assert job in {running.job.id for running in a.lead.running.values()}, "it goes on once that has gone"


def test_nothing_is_made_where_nobody_knows_what_there_is(monkeypatch):
    a = world("one", "two")

    def status(known=()):
        raise UncertainError("no answer")

    monkeypatch.setattr(a.plugins["one"], "status", status)
    a.submit(3, 50.0)
    run(a, 3)
    assert [row.plugin for row in rows(a)] == ["two"]
    monkeypatch.undo()
    a.submit(6, 50.0)
    run(a, 3)
    assert "one" in {row.plugin for row in rows(a)}


def test_the_settle_time_counts_from_the_end_of_a_call_that_took_long(monkeypatch):
    a = world()
    make = a.plugins["one"].create

    def create(burst: Burst) -> None:
        a.now += 5 * SETTLE
        make(burst)
        a.things[burst.name].shown = a.now + SETTLE * 0.9

    monkeypatch.setattr(a.plugins["one"], "create", create)
    a.submit(3, 50.0)
    a.advance(20)
    a.step()
    run(a, 1, SETTLE / 2)
    assert [row.state for row in rows(a)] == ["creating"]


@pytest.mark.parametrize("what", ["status", "destroy", "create"])
def test_a_plugin_that_hangs_does_not_keep_the_bursts_of_others(monkeypatch, what):
    a = world("one", "two")
    monkeypatch.setattr(plugins, "CALL_LASTS", 0.05)
    a.plugins["one"].params.max_nodes = 2
    a.submit(5, 20.0)
    a.submit(2, 20.0)
    if what != "create":
        until_busy(a)
    end = threading.Event()
    monkeypatch.setattr(a.plugins["one"], what, lambda *_: end.wait())
    try:
        run(a, 60)
        assert [row.plugin for row in rows(a)] in (["one"], [])
        assert {thing.burst.plugin for thing in a.alive()} <= {"one"}
    finally:
        monkeypatch.undo()
        end.set()
    run(a, 60)
    assert not rows(a)
    assert not a.alive()


def test_until_idle_leaves_no_drain(monkeypatch):
    a = world()
    job = a.submit(3, 20.0)
    a.advance(20)
    controller = Controller(a.controller, until_idle=True)
    monkeypatch.setattr(controller.stop, "wait", lambda seconds: a.advance(10))
    assert controller.run(lambda messages, state: None) == "idle"
    assert a.lead.ended[job] == "completed"
    assert not a.lead.drains()


@pytest.mark.parametrize("method", ["plan", "remember"])
def test_what_could_not_be_recorded_is_planned_again(monkeypatch, method):
    a = world()

    def full(*_):
        raise LedgerError("the disk is full")

    a.submit(3, 50.0)
    a.advance(20)
    monkeypatch.setattr(a.controller.ledger, method, full)
    with pytest.raises(LedgerError):
        a.step()
    monkeypatch.undo()
    run(a, 2)
    assert len(a.asked) == 1


def test_a_lease_that_ends_while_nobody_looks_is_no_failure():
    a = world(lease=1000)
    a.submit(3, 50.0)
    run(a, 2)
    assert [row.state for row in rows(a)] == ["joining"]
    a.advance(1000)
    a.step()
    assert a.controller.ledger.history()[-1].state == "gone"
    assert not a.controller.ledger.pauses()


def test_there_is_one_controller(tmp_path):
    path = tmp_path / "burst.sqlite"
    with Ledger.open(path, "own"):
        with pytest.raises(HeldError, match="this process controls this lead already"):
            Ledger.open(path, "own")
        assert f"another flux-burst controls this lead (process {os.getpid()} holds" in open_elsewhere(path)
        assert Ledger.open(path, writable=False).rows() == ()
    assert (path.stat().st_mode & 0o777) == 0o600
    with pytest.raises(LedgerError, match="the ledger of 'own', not of 'other'"):
        Ledger.open(path, "other")
    with pytest.raises(LedgerError, match="nothing was ever burst"):
        Ledger.open(tmp_path / "none", writable=False)


def open_elsewhere(*paths: Path) -> str:
    """Locks of fcntl(2) are a process's own, so it takes another one. paths: of the ledger, and of the lead."""
    code = "import sys, pathlib; from fluxburst.ledger import Ledger; path, *lead = map(pathlib.Path, sys.argv[1:]);"
    code += "Ledger.open(path, 'own', lead=lead[0] if lead else None)"
    argv = [sys.executable, "-c", code, *map(str, paths)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60).stderr


def test_a_lead_has_one_controller_and_one_ledger_with_open_bursts(tmp_path):
    lead, one, two = tmp_path / "lead", tmp_path / "one.sqlite", tmp_path / "two.sqlite"
    lead.mkdir()
    with Ledger.open(one, "own", lead=lead) as ledger:
        assert f"another flux-burst (process {os.getpid()}) controls the lead" in open_elsewhere(two, lead)
        ledger.plan([Row("own-1", "local", "any", ("local0",), number=1)])
    with pytest.raises(LedgerError, match=r"one.sqlite has open bursts .* --state"):
        Ledger.open(two, "own", lead=lead)
    with Ledger.open(one, "own", lead=lead) as ledger:
        ledger.change("own-1", 1.0, state="gone")
    Ledger.open(two, "own", lead=lead).close()


def test_a_ledger_that_is_broken_under_its_controller_is_told_in_one_line(tmp_path: Path):
    path = tmp_path / "burst.sqlite"
    with Ledger.open(path, "own") as ledger:
        path.write_bytes(b"nonsense" * 1000)
        for read in (ledger.rows, ledger.pauses, ledger.meta, ledger.spent):
            with pytest.raises(LedgerError, match="can't be read"):
                read()
        with pytest.raises(LedgerError):
            ledger.note(1.0, "", "something")


def test_what_goes_wrong_again_and_again_is_noted_once():
    a = world()
    for _ in range(3):
        a.controller.ledger.note(1.0, "", "the lead does not undrain")
    assert len(a.controller.ledger.events()) == 1


def test_what_its_provider_has_ended_ends_without_the_lead():
    a = world(lease=1000)
    a.submit(3, 900.0)
    until_busy(a)
    (thing,) = a.alive()
    a.lead.trouble = "it is away"
    for _ in range(110):
        a.now += 10
        with pytest.raises(HandleError):
            a.controller.step()
        a.controller.end()
    assert thing.ends < a.now
    assert not rows(a)


def test_a_burst_of_which_only_a_part_exists_is_made_up_for_before_it_joins(monkeypatch):
    a = world(limits=Budget(nodes=4))
    status, lost = a.plugins["one"].status, set[str]()

    def less(known=()):
        found = status(known)
        return [Sighting(one.name, one.seen, one.id, hosts=("one0",)) if one.name in lost else one for one in found]

    monkeypatch.setattr(a.plugins["one"], "status", less)
    a.submit(3, 50.0)
    a.advance(20)
    a.step()
    (thing,) = a.alive()
    thing.shown, thing.starts, thing.joins = 0.0, a.now + 1000, {}
    run(a, 2)
    assert len(rows(a)) == 1
    lost.add(thing.burst.name)
    run(a, 2)
    assert len(rows(a)) == 2
