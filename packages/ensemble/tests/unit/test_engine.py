"""The engine: which events fire which rules, and what is counted."""

from __future__ import annotations

from typing import Any

import pytest

from ensemble.document import JobGroup, Rule
from ensemble.engine import Command, Engine, returned_event, start_event
from ensemble.events import Event

GROUPS = {name: JobGroup(name=name, command="true", count=3) for name in ("a", "b")}


def rule(trigger: str, action: str, label: str = "", **fields: Any) -> Rule:
    more = {key: fields.pop(key) for key in ("repetitions", "backoff", "value") if key in fields}
    labelled = {"label": label} if label else {}
    return Rule({"trigger": trigger, **fields, "action": {"name": action, **labelled, **more}})


def course(job: str, at: float = 0.0, status: int = 0, exception: str = "") -> list[Event]:
    """All the events of a job: submitted at `at`, started a second later, ended after two more."""
    events = [Event(name, at + number, job) for number, name in ((0, "submit"), (0, "alloc"), (1, "start"))]
    if exception:
        events.append(Event("exception", at + 2, job, {"type": exception, "severity": 0, "note": "why"}))
    return [*events, Event("finish", at + 3, job, {"status": status}), Event("clean", at + 3, job)]


def play(engine: Engine, *events: Event) -> list[Command]:
    return [command for event in events for command in engine.handle(event)]


def kinds(commands: list[Command]) -> list[str]:
    return [f"{command.kind} {command.label}".strip() for command in commands]


def test_start_submits_and_a_count_is_reached() -> None:
    engine = Engine(
        GROUPS, [rule("start", "submit", "a"), rule("metric", "submit", "b", name="count.a.success", when=2)]
    )
    commands = play(engine, start_event(0.0))
    assert kinds(commands) == ["trigger start", "submit a"]
    assert commands[1].jobs == ("a.0", "a.1", "a.2")
    assert play(engine, *course("a.0")) == []
    assert kinds(play(engine, *course("a.1"))) == ["trigger count.a.success", "submit b"]
    assert play(engine, *course("a.2")) == []  # it fires on the crossing, once
    assert not engine.done
    for job in ("b.0", "b.1", "b.2"):
        play(engine, *course(job))
    assert engine.done
    assert engine.result().met


def test_repetitions_and_backoff() -> None:
    groups = {"a": JobGroup(name="a", command="true", count=12), "b": GROUPS["b"]}
    again = rule("metric", "submit", "b", name="count.a.finished", when=2, repetitions=3, backoff=2)
    engine = Engine(groups, [rule("start", "submit", "a"), again])
    play(engine, start_event(0.0))
    fired = [number for number in range(12) if play(engine, *course(f"a.{number}"))]
    assert [number + 1 for number in fired] == [2, 5, 8]  # two are skipped between two, and three is all
    assert engine.submitted == {"a": 12, "b": 9}


@pytest.mark.parametrize(
    ("status", "exception", "how"),
    [
        (0, "", "success"),
        (256, "", "failed"),
        (15, "cancel", "cancelled"),
        (15, "timeout", "timeout"),
        (9, "node-failure", "exception"),
        (0, "cancel", "cancelled"),
    ],
)
def test_every_end_is_counted_once_as_one_outcome(status: int, exception: str, how: str) -> None:
    engine = Engine(GROUPS, [rule("start", "submit", "a"), rule(f"job-{how}", "submit", "b", name="a")])
    play(engine, start_event(0.0))
    commands = play(engine, *course("a.0", status=status, exception=exception))
    assert kinds(commands) == [f"trigger job-{how} a", "submit b"]
    assert engine.metrics.counts == {"a": {"finished": 1, how: 1}}
    play(engine, *course("a.0", status=status, exception=exception))  # told again: nothing is counted twice
    assert engine.metrics.counts == {"a": {"finished": 1, how: 1}}


def test_a_job_that_never_ran_ends_by_clean() -> None:
    engine = Engine(GROUPS, [rule("start", "submit", "a")])
    play(engine, start_event(0.0))
    refused = Event("exception", 1.0, "a.0", {"type": "alloc", "severity": 0, "note": "too large"})
    play(engine, Event("submit", 0.0, "a.0"), refused, Event("clean", 1.0, "a.0"))
    assert engine.metrics.counts == {"a": {"finished": 1, "exception": 1}}
    assert engine.metrics.series == {}
    failure = {"job": "a.0", "group": "a", "outcome": "exception", "reason": "too large"}
    assert engine.result().failures == [failure]
    assert engine.running == {"a": 2}


def test_pending_and_duration_are_of_jobs_that_ran_to_their_end() -> None:
    engine = Engine(GROUPS, [rule("start", "submit", "a")])
    play(engine, start_event(0.0), *course("a.0"), *course("a.1", exception="cancel", status=15))
    assert engine.metrics.get("count.a-pending") == 2
    assert engine.metrics.get("mean.a-pending") == 1.0
    assert engine.metrics.get("count.a-duration") == 1
    assert engine.metrics.get("mean.a-duration") == 2.0


def test_an_exception_that_is_no_end_changes_no_outcome() -> None:
    engine = Engine(GROUPS, [rule("start", "submit", "a")])
    warning = Event("exception", 1.0, "a.0", {"type": "warning", "severity": 3, "note": "hot"})
    play(engine, start_event(0.0), warning, *course("a.0"))
    assert engine.metrics.counts == {"a": {"finished": 1, "success": 1}}


def test_rules_on_events_of_one_group_or_any() -> None:
    rules = [rule("start", "submit", "a"), rule("job-start", "submit", "b"), rule("job-start", "submit", "a", name="b")]
    engine = Engine(GROUPS, rules)
    play(engine, start_event(0.0))
    assert kinds(play(engine, Event("start", 1.0, "a.0"))) == ["trigger job-start", "submit b"]
    assert kinds(play(engine, Event("start", 1.0, "b.0"))) == ["trigger job-start b", "submit a"]


def test_terminate_cancels_and_no_rule_fires_after_it() -> None:
    rules = [
        rule("start", "submit", "a"),
        rule("job-success", "terminate"),
        rule("metric", "submit", "b", name="count.a.finished", when=1, repetitions=9),
    ]
    engine = Engine(GROUPS, rules)
    play(engine, start_event(0.0))
    commands = play(engine, *course("a.0"))
    assert kinds(commands) == ["trigger job-success", "terminate"]
    assert commands[1].jobs == ("a.1", "a.2")
    for job in ("a.1", "a.2"):
        assert play(engine, *course(job, exception="cancel", status=15)) == []
    assert engine.done
    assert engine.result().met  # it was cancelled by its own rule, and that is why the other was not met
    assert engine.result().ended_by == "terminate"


def test_cancel_is_of_one_group_and_others_cancelling_is_a_failure() -> None:
    engine = Engine(GROUPS, [rule("start", "submit", "a"), rule("job-success", "cancel", "a")])
    play(engine, start_event(0.0), *course("a.0", exception="cancel", status=15))
    commands = play(engine, *course("a.1"))
    assert commands[-1].jobs == ("a.2",)
    play(engine, *course("a.2", exception="cancel", status=15))
    assert [failure["job"] for failure in engine.result().failures] == ["a.0"]


def test_what_a_custom_function_returned_is_done() -> None:
    engine = Engine(GROUPS, [rule("start", "custom", "f")])
    commands = play(engine, start_event(0.0))
    assert kinds(commands) == ["trigger start", "custom f"]
    assert not engine.done  # its answer is still to come
    later = rule("job-success", "submit", "a", name="b")
    commands = play(engine, returned_event(1.0, [rule("start", "submit", "b").action], [later]))
    assert kinds(commands) == ["submit b"]
    assert kinds(play(engine, *course("b.0"))) == ["trigger job-success b", "submit a"]


def test_a_failed_custom_function_is_an_error_of_the_run_and_not_its_end() -> None:
    engine = Engine(GROUPS, [rule("start", "custom", "f"), rule("start", "submit", "a")])
    play(engine, start_event(0.0), returned_event(1.0, error="x.yaml:3: f failed"))
    for job in ("a.0", "a.1", "a.2"):
        play(engine, *course(job))
    assert engine.done
    assert engine.result().errors == ["x.yaml:3: f failed"]
    assert not engine.result().met


def test_which_rules_count_as_never_met() -> None:
    rules = [
        rule("start", "submit", "a"),
        rule("metric", "submit", "b", name="count.a.success", when=9),
        rule("metric", "terminate", name="count.a.success", when=9),  # these others are guards
        rule("metric", "submit", "b", name="count.a.failed", when=1),
        rule("job-failed", "submit", "b"),
    ]
    engine = Engine(GROUPS, rules)
    play(engine, start_event(0.0), *course("a.0"), *course("a.1"), *course("a.2"))
    assert engine.done
    assert engine.result().never_met == [rules[1]]


def test_a_heartbeat_that_can_fire_keeps_a_run_alive() -> None:
    engine = Engine(GROUPS, [rule("heartbeat", "submit", "a", repetitions=1, backoff=0)])
    play(engine, start_event(0.0))
    assert not engine.done
    assert kinds(play(engine, Event("heartbeat", 1.0))) == ["trigger heartbeat", "submit a"]
    play(engine, *course("a.0"), *course("a.1"), *course("a.2"))
    assert engine.done


def test_events_of_unknown_jobs_are_ignored() -> None:
    engine = Engine(GROUPS, [rule("job-success", "submit", "a")])
    assert play(engine, *course("stranger.0")) == []
    assert engine.metrics.counts == {}
