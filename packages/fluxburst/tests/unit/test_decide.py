"""What becomes of a burst, from one look at it: when it is drained, given up, deleted and closed, and what is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fluxburst.decide import AGAIN, LONGEST_BACKOFF, Change, Destroy, Drain, Look, Undrain, decide, is_over, pause
from fluxburst.ledger import Pause, Row
from fluxburst.model import Sighting
from fluxburst.settings import PluginSettings, Settings

SETTINGS = Settings(
    owner="me",
    idle_timeout=100,
    cooldown=0,
    start_timeout=500,
    grace=50,
    backoff=10,
    plugins={"p": PluginSettings(join_timeout=200)},
)
ROW = Row("me-0", "p", "small", ("h0", "h1"), ("j1",), asked=1000.0)
RUNNING = Sighting("me-0", "running", "i-1")


def look(now: float, row: Row, sighting: Sighting | None = RUNNING, **more: Any) -> Look:
    """One burst of plugin `p`, which has answered; the lead has no hosts and drains none unless they are given."""
    seen = {"p": {sighting.name: sighting} if sighting else {}}
    given: dict[str, Any] = {"up": frozenset(), "busy": frozenset(), "drains": {}, "owner": "me", **more}
    return Look(now, (row,), given.pop("seen", seen), {"p": 30.0}, **given)


def steps(now: float, row: Row, sighting: Sighting | None = RUNNING, **more: Any) -> list[Any]:
    settings = more.pop("settings", SETTINGS)
    return list(decide(look(now, row, sighting, **more), settings))


def ready(**more: Any) -> Row:
    return replace(ROW, state="ready", began=1010.0, joined=1020.0, **more)


UP = frozenset(ROW.hosts)


@pytest.mark.parametrize(
    ("lease", "before"), [(1000.0, 100.0), (3000.0, 300.0), (10000.0, 300.0)], ids=["a tenth", "as much", "at most"]
)
def test_a_ready_burst_is_drained_before_its_lease_ends(lease, before):
    row = ready(deadline=1000.0 + lease)
    assert steps(row.deadline - before, row, up=UP) == [
        Change(row, {"state": "draining", "reason": "its lease ends soon"}),
        Drain(row, ROW.hosts),
    ]
    assert not [step for step in steps(row.deadline - before - 1, row, up=UP) if isinstance(step, Drain)]


def test_at_the_end_of_its_lease_a_burst_goes_whatever_it_does():
    for state in ("creating", "joining", "ready", "draining"):
        row = replace(ROW, state=state, deadline=2000.0)
        assert steps(2000.0, row, up=UP) == [Destroy(row, "its lease has ended")]
        assert not [step for step in steps(1500.0, row, up=UP) if isinstance(step, Destroy) and state != "draining"]


def test_an_idle_burst_is_drained_after_its_time_and_pauses_where_nothing_ran_though_its_jobs_wait():
    row = ready(idle=1100.0)
    assert not [step for step in steps(1200.0, row, up=UP) if isinstance(step, Drain)]
    assert steps(1201.0, row, up=UP) == [
        Change(row, {"state": "draining", "reason": "it is idle"}),
        Drain(row, row.hosts),
    ]
    unused, *_ = steps(1201.0, row, up=UP, pending=frozenset({"j1"}))
    assert (unused.plugin, unused.kind, unused.until) == ("p", "unused", 1211.0)
    used = replace(row, used=1050.0)
    assert not [step for step in steps(1201.0, used, up=UP, pending=frozenset({"j1"})) if isinstance(step, Pause)]
    cooled, *_ = steps(1201.0, row, up=UP, settings=replace(SETTINGS, cooldown=40))
    assert cooled == Pause("p", "small", "", 1241.0, "cooldown", "an idle burst has just ended", 0)


def test_what_a_ready_burst_does_is_recorded():
    row = ready(idle=1100.0)
    assert steps(1150.0, row, up=UP) == [Change(row, {"missing": (), "idle": 1100.0})]
    assert steps(1150.0, row, up=UP, busy=frozenset({"h1"})) == [
        Change(row, {"missing": (), "idle": 0.0, "used": 1150.0}),
    ]
    assert steps(1150.0, row, up=frozenset({"h1"})) == [
        Change(row, {"missing": ("h0",), "idle": 1100.0, "reason": "h0 left the lead"}),
    ]
    assert not steps(1150.0, row, up=None)  # nobody knows


def test_a_draining_burst_is_deleted_once_all_is_drained_and_nothing_runs():
    row = replace(ROW, state="draining", reason="it is idle", failure="")
    drains = dict.fromkeys(row.hosts, "flux-burst: me-0")
    assert steps(2000.0, row, up=UP, drains={"h0": "flux-burst: me-0"}) == [Drain(row, ("h1",))]
    assert not steps(2000.0, row, up=UP, drains=drains, busy=frozenset({"h1"}))
    assert not steps(2000.0, row, up=None, drains=drains)
    assert steps(2000.0, row, up=UP, drains=drains) == [Destroy(row, "it is idle", "")]
    failed = replace(row, failure="boot failed", reason="boot failed")
    assert steps(2000.0, failed, up=UP, drains=drains) == [Destroy(failed, "boot failed", "boot failed")]


def test_the_end_is_asked_for_again_after_a_minute_until_the_provider_confirms_it():
    row = replace(ROW, state="deleting", began=1010.0, ending=2000.0, reason="it is idle", failure="", deadline=5000.0)
    assert not steps(2000.0 + AGAIN - 1, row)
    assert steps(2000.0 + AGAIN, row) == [Destroy(row, "it is idle", "")]
    failed = replace(row, failure="why")
    assert steps(2000.0 + AGAIN, failed) == [Destroy(failed, "it is idle", "why")]
    gone = Sighting("me-0", "gone")
    assert steps(2010.0, row, gone) == [Change(row, {"state": "gone", "reason": "it is idle", "ended": 2010.0})]
    (closed,) = steps(2010.0, failed, gone)
    assert (closed.values["state"], closed.values["reason"]) == ("failed", "why")


def test_a_burst_that_ends_and_is_not_shown_is_closed_a_while_after_its_lease():
    row = replace(ROW, state="deleting", ending=2000.0, deadline=3000.0, reason="it is idle")
    assert steps(3050.0, row, None) == [Destroy(row, "it is idle", "")]
    assert steps(3051.0, row, None) == [
        Change(
            row, {"state": "gone", "reason": "its lease has ended, and its provider does not show it", "ended": 3051.0}
        ),
    ]
    assert [type(step) for step in steps(3051.0, row, None, seen={})] == [Destroy]  # the plugin has not answered
    forever = replace(row, deadline=0.0)
    assert [type(step) for step in steps(3051.0, forever, None)] == [Destroy]


def test_what_fails_is_drained_keeps_its_output_and_pauses_its_plugin():
    row = replace(ROW, state="joining", began=1010.0)
    assert not steps(1210.0, row)
    why = "boot failed: none of 2 brokers joined in time"
    assert steps(1211.0, row, replace(RUNNING, output="no route")) == [
        Change(row, {"state": "draining", "reason": why, "failure": why, "output": "no route"}),
        Drain(row, row.hosts),
        Pause("p", "", "", 1221.0, "failed", why, 1),
    ]
    known = replace(row, output="what was known")
    assert steps(1211.0, known)[0].values["output"] == "what was known"
    (_, _, some) = steps(1211.0, row, replace(RUNNING, hosts=("h0",)))
    assert some.reason == f"{why} (1 exist)"


@pytest.mark.parametrize("state", ["creating", "deleting"])
def test_what_was_just_asked_for_may_not_show_yet(state):
    row = replace(ROW, state=state, asked=1000.0, ending=1000.0)
    gone = Sighting("me-0", "gone")
    assert not steps(1029.0, row, gone)
    assert [step.values["state"] for step in steps(1030.0, row, gone) if isinstance(step, Change)]
    assert not steps(1069.0, row, gone, started=1040.0)  # this controller has only just begun to look
    began = replace(row, began=1005.0)
    assert steps(1029.0, began, gone)  # it has been seen


def test_a_burst_that_ended_before_it_was_ready_failed_unless_it_was_taken_back():
    gone = Sighting("me-0", "gone", reason="quota", output="said")
    row = replace(ROW, state="joining", began=1010.0)
    why = "boot failed: it ended before its brokers joined: quota"
    assert steps(1100.0, row, gone) == [
        Change(row, {"failure": why, "output": "said", "state": "failed", "reason": why, "ended": 1100.0}),
        Pause("p", "", "", 1110.0, "failed", why, 1),
    ]
    (closed,) = steps(1100.0, row, Sighting("me-0", "gone", preempted=True))
    assert (closed.values["state"], closed.values["reason"]) == ("gone", "it was preempted before it was ready")
    never = replace(ROW, state="creating")
    assert steps(1100.0, never, Sighting("me-0", "gone"))[0].values["reason"] == "it never came to be"


@pytest.mark.parametrize("state", ["creating", "joining"])
def test_a_burst_whose_lease_ended_before_anyone_looked_did_not_fail(state):
    row = replace(ROW, state=state, began=1010.0, deadline=1100.0)
    ended = {"state": "gone", "reason": "its lease has ended", "ended": 1100.0}
    assert steps(1100.0, row, Sighting("me-0", "gone")) == [Change(row, ended)]


def test_what_its_provider_ends_is_deleted():
    ending = Sighting("me-0", "ending", output="said")
    row = replace(ROW, state="joining", began=1010.0)
    assert steps(1100.0, row, ending) == [Destroy(row, "its provider ends it", "it ended before it was ready", "said")]
    assert steps(1100.0, ready(), ending, up=UP) == [Destroy(ready(), "its provider ends it", "", "said")]


def test_is_over():
    for state, over in (
        ("planned", True),
        ("creating", False),
        ("ready", False),
        ("draining", True),
        ("deleting", True),
    ):
        row = replace(ROW, state=state)
        assert is_over(row, look(1100.0, row)) is over
        assert is_over(row, look(1100.0, row, Sighting("me-0", "gone"))) is True
        assert is_over(row, look(1100.0, row, None, seen={})) is over
    row = ready(deadline=2000.0)
    assert [is_over(row, look(now, row)) for now in (1999.0, 2000.0)] == [False, True]


def test_leftover_drains_of_ours_are_undone_and_no_others():
    row = ready()
    drains = {"h0": "flux-burst: me-0", "h9": "flux-burst: me-9", "h8": "flux-burst: you-1", "h1": "broken", "h7": "x"}
    (undrain,) = [step for step in steps(1150.0, row, up=UP, drains=drains) if isinstance(step, Undrain)]
    assert undrain == Undrain(("h0", "h9"))
    assert not [
        step for step in steps(1150.0, row, up=None, drains={"h9": "flux-burst: me-9"}) if isinstance(step, Undrain)
    ]


def test_pauses_double_up_to_an_hour_each_for_its_own():
    before: tuple[Pause, ...] = ()
    waits = []
    for count in range(1, 12):
        one = pause(before, SETTINGS, 1000.0, "p", "failed", "why")
        assert (one.plugin, one.shape, one.place, one.kind, one.reason, one.count) == (
            "p",
            "",
            "",
            "failed",
            "why",
            count,
        )
        waits.append(one.until - 1000.0)
        before = (one,)
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0, LONGEST_BACKOFF, LONGEST_BACKOFF]
    other = pause(before, SETTINGS, 1000.0, "p", "failed", "why", "small", "here")
    assert (other.shape, other.place, other.count, other.until) == ("small", "here", 1, 1010.0)
    assert pause((replace(before[0], count=10_000),), SETTINGS, 0.0, "p", "failed", "why").until == LONGEST_BACKOFF
