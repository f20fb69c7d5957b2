"""The engine: which events fire which rules, what is counted, and what is asked for."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from ensemble.document import Action, Rule
from ensemble.engine import Engine, returned_event, start_event
from ensemble.events import Event
from ensemble.load import parse
from ensemble.results import Command

GROUPS = """
  - {name: a, command: "true", count: 3}
  - {name: b, command: "true", count: 3}
"""
SUBMIT_A = "{trigger: start, action: {name: submit, label: a}}"


def engine_of(*rules: str, groups: str = GROUPS, more: str = "") -> Engine:
    """An engine of a file with these rules; `a` is submitted at its start, where no rule of theirs has a start."""
    given = list(rules) if any("trigger: start" in rule for rule in rules) else [SUBMIT_A, *rules]
    text = f"jobs:\n{groups}\n{more}\nrules:\n" + "".join(f"  - {rule}\n" for rule in given)
    return Engine(parse(text, "x.yaml"))


def started(*rules: str, **more: str) -> tuple[Engine, list[Command]]:
    engine = engine_of(*rules, **more)
    return engine, play(engine, start_event(0.0))


def course(job: str, at: float = 0.0, status: int = 0, exception: str = "", last: str = "clean") -> list[Event]:
    """All the events of a job up to `last`: submitted at `at`, started a second later, ended after two more."""
    events = [Event("submit", at, job, {"id": f"q{job}"}), Event("alloc", at, job, {"hosts": ["n0"]})]
    events.append(Event("start", at + 1, job))
    if exception:
        events.append(Event("exception", at + 2, job, {"type": exception, "severity": 0, "note": "why"}))
    events += [Event("finish", at + 3, job, {"status": status}), Event("clean", at + 3, job)]
    return events[: [event.name for event in events].index(last) + 1]


def play(engine: Engine, *events: Event) -> list[Command]:
    return [command for event in events for command in engine.handle(event)]


def end_all(engine: Engine, at: float = 0.0, **how: Any) -> list[Command]:
    """Everything that is in the queue runs to its end, also what is submitted meanwhile."""
    commands = []
    while jobs := [name for name, job in engine.jobs.items() if not job.held]:
        commands += play(engine, *course(jobs[0], at, **how))
    return commands


def kinds(commands: list[Command]) -> list[str]:
    return [f"{command.kind} {command.label}".strip() for command in commands]


def tick(at: float) -> Event:
    return Event("tick", at)


# Rules and what fires them


def test_start_submits_and_a_count_is_reached():
    engine, commands = started("{trigger: metric, name: count.a.success, when: 2, action: {name: submit, label: b}}")
    assert kinds(commands) == ["trigger start", "submit a"]
    assert commands[1].jobs == ("a.0", "a.1", "a.2")
    assert play(engine, *course("a.0")) == []
    assert kinds(play(engine, *course("a.1"))) == ["trigger count.a.success", "submit b"]
    assert play(engine, *course("a.2")) == []  # it fires on the crossing, once
    assert not engine.done
    end_all(engine)
    assert engine.done
    assert engine.result().met


def test_a_second_start_is_none():
    engine, _ = started()
    assert play(engine, start_event(1.0)) == []


def test_repetitions_and_backoff():
    groups = GROUPS.replace("count: 3", "count: 12", 1)
    rule = """{trigger: metric, name: count.a.finished, when: 2,
        action: {name: submit, label: b, repetitions: 3, backoff: 2}}"""
    engine, _ = started(rule, groups=groups)
    fired = [number for number in range(12) if play(engine, *course(f"a.{number}"))]
    assert [number + 1 for number in fired] == [2, 5, 8]  # two are skipped between two, and three is all
    assert engine.submitted == {"a": 12, "b": 9}


@pytest.mark.parametrize(("on", "fires"), [("crossing", [2, 5]), ("update", [2, 3, 5])])
def test_a_crossing_and_each_update(on, fires):
    """The durations are 1, 3, 3, 1, 5: the last one is above 2 twice."""
    groups = GROUPS.replace("count: 3", "count: 6", 1)
    rule = f"""{{trigger: metric, name: "max[1].a-duration", when: "> 2", on: {on},
        action: {{name: message, value: long, repetitions: unlimited}}}}"""
    engine, _ = started(rule, groups=groups)
    fired = []
    for number, took in enumerate([1, 3, 3, 1, 5]):
        job = f"a.{number}"
        events = [Event("submit", 0, job), Event("start", 1, job), Event("finish", 1 + took, job, {"status": 0})]
        if play(engine, *events, Event("clean", 9, job)):
            fired.append(number + 1)
    assert fired == fires


def test_rules_on_events_of_one_group_or_any():
    engine, _ = started(
        "{trigger: job-start, action: {name: submit, label: b}}",
        "{trigger: job-start, name: b, action: {name: submit, label: a}}",
        "{trigger: job-prolog-start, group: a, action: {name: message, value: m}}",
    )
    assert kinds(play(engine, Event("start", 1.0, "a.0"))) == ["trigger job-start", "submit b"]
    assert kinds(play(engine, Event("start", 1.0, "b.0"))) == ["trigger job-start b", "submit a"]
    assert kinds(play(engine, Event("prolog-start", 1.0, "a.1"))) == ["trigger job-prolog-start a", "message m"]


def test_a_rule_on_the_end_of_a_job_sees_it_counted():
    engine, _ = started(
        '{trigger: job-success, name: a, when: "count.a.success >= 2", action: {name: message, value: two}}'
    )
    assert play(engine, *course("a.0")) == []
    assert kinds(play(engine, *course("a.1"))) == ["trigger job-success a", "message two"]


def test_when_with_and_or_and_variables():
    engine, _ = started(
        '{trigger: metric, name: count.a.success, when: "value >= 1 and var.x < 1"'
        ', action: {name: set, label: x, value: "var.x + 0.5", repetitions: unlimited}}',
        '{trigger: metric, when: "var.x == 1 or count.a.failed > 5", action: {name: message, value: "x is {var.x}"}}',
        more="variables: {x: 0}",
    )
    assert kinds(play(engine, *course("a.0"))) == ["trigger count.a.success", "set x"]
    commands = play(engine, *course("a.1"))
    assert [command.kind for command in commands] == ["trigger", "set", "trigger", "message"]
    assert commands[-1].label == "x is 1"
    assert play(engine, *course("a.2")) == []
    assert engine.variables == {"x": 1.0}


def test_every_heartbeat_and_what_they_keep_alive():
    engine, _ = started(
        "{trigger: start, action: {name: message, value: here}}",
        "{trigger: every, interval: 10, action: {name: submit, label: a, repetitions: 2}}",
        "{trigger: heartbeat, action: {name: message, value: beat, repetitions: unlimited}}",
        more="logging: {heartbeat: 4}",
    )
    assert engine.next_timer == 4
    assert kinds(play(engine, tick(4.0))) == ["trigger heartbeat", "message beat"]
    assert play(engine, tick(7.0)) == []
    assert kinds(play(engine, tick(10.0))) == ["trigger heartbeat", "message beat", "trigger every 10s", "submit a"]
    end_all(engine, 10.0)
    assert not engine.done
    # After a long pause it fires once, not for all the times that it missed.
    assert kinds(play(engine, tick(95.0))).count("submit a") == 1
    end_all(engine, 95.0)
    assert engine.done  # the heartbeat alone brings nothing more


def test_a_timer_that_sets_what_a_rule_waits_for_keeps_a_run_alive():
    engine, _ = started(
        SUBMIT_A,
        '{trigger: every, interval: 9, action: {name: set, label: x, value: "var.x + 1", repetitions: unlimited}}',
        '{trigger: metric, when: "var.x >= 2 and count.a.success >= 1", action: {name: submit, label: b}}',
        more="variables: {x: 0}",
    )
    end_all(engine)
    play(engine, tick(9.0))
    assert not engine.done
    assert kinds(play(engine, tick(18.0)))[-1] == "submit b"
    end_all(engine)
    assert engine.done  # there is nothing more to wait for


def test_idle_comes_when_the_queue_is_empty_and_not_between_retries():
    groups = GROUPS.replace("count: 3", "count: 1, retries: 1", 1)
    engine, _ = started(
        "{trigger: idle, action: {name: submit, label: a, repetitions: 2}}",
        "{trigger: end, action: {name: message, value: over}}",
        groups=groups,
    )
    assert kinds(play(engine, *course("a.0", status=256))) == ["retry a", "submit a"]
    assert kinds(play(engine, *course("a.0.1"))) == ["trigger idle", "submit a"]
    assert kinds(play(engine, *course("a.1"))) == ["trigger idle", "submit a"]
    assert kinds(play(engine, *course("a.2"))) == ["trigger end", "message over"]
    assert engine.done


def test_a_rule_on_an_age_fires_by_time_alone():
    engine, _ = started('{trigger: metric, name: max.a-age, when: "> 100", action: {name: message, value: old}}')
    play(engine, *course("a.0", last="alloc"))
    assert engine.jobs["a.0"].id == "qa.0"
    assert play(engine, tick(90.0)) == []
    assert kinds(play(engine, tick(110.0)))[-1] == "message old"


def test_a_rule_on_a_window_of_time_fires_by_time_alone():
    slow = '{trigger: metric, name: "count[60s].a.success", when: "< 1", action: {name: message, value: slow}}'
    engine, _ = started(slow)
    play(engine, *course("a.0"))
    assert play(engine, tick(50.0)) == []
    assert kinds(play(engine, tick(80.0)))[-1] == "message slow"


@pytest.mark.parametrize("when", ["{trigger: every, interval: 30", "{trigger: heartbeat"])
def test_what_a_message_or_a_set_names_is_kept_from_the_start_and_is_that_of_now(when):
    text = f'{when}, action: {{name: message, value: "{{max.a-age}} {{count[60s].a.success}}", repetitions: 3}}}}'
    value = f'{when}, action: {{name: set, label: x, value: "max.a-age + count[60s].a.success", repetitions: 3}}}}'
    engine, _ = started(text, value, more="variables: {x: 0}\nlogging: {heartbeat: 30}")
    play(engine, *course("a.0"), *course("a.1", last="alloc"))
    told = [command for at in (30.0, 60.0, 90.0) for command in play(engine, tick(at)) if command.kind != "trigger"]
    assert kinds(told) == ["message 30 1", "set x", "message 60 1", "set x", "message 90 0", "set x"]
    assert [command.reason for command in told if command.kind == "set"] == ["31", "61", "90"]


@pytest.mark.parametrize("when", ['"> 1"', "value + 0 > 1"])
def test_what_becomes_unknown_does_not_hold_any_more(when):
    rule = f'{{trigger: metric, name: "mean[60s].a-duration", when: {when}, on: crossing'
    engine, _ = started(f"{rule}, action: {{name: message, value: long, repetitions: unlimited}}}}")
    assert kinds(play(engine, *course("a.0")))[-1] == "message long"
    assert kinds(play(engine, *course("a.1", 10.0))) == []
    assert play(engine, tick(100.0)) == []  # the window is empty
    assert kinds(play(engine, *course("a.2", 100.0)))[-1] == "message long"


def test_a_condition_of_a_rule_on_time_sees_the_ages_of_now():
    engine, _ = started("{trigger: every, interval: 25, when: max.a-age > 22, action: {name: message, value: old}}")
    play(engine, *course("a.0", last="alloc"))
    assert play(engine, tick(10.0), tick(20.0)) == []  # ages are looked at
    assert kinds(play(engine, tick(25.0)))[-1] == "message old"


def test_a_rule_on_an_age_that_a_function_returns_fires_by_time_alone():
    engine, _ = started("{trigger: job-start, action: {name: custom, label: f}}", more=CUSTOM)
    (*_, call) = play(engine, *course("a.0", last="start"), Event("submit", 1.0, "a.1"))
    old = Rule(trigger="metric", name="max.a-age", when="> 20", action=Action(name="message", value="old"))
    play(engine, returned_event(2.0, call.call, [], [old]))
    engine = Engine.restore(engine.document, json.loads(json.dumps(engine.state())))
    assert play(engine, tick(12.0)) == []
    assert kinds(play(engine, tick(22.0)))[-1] == "message old"


def test_a_rule_on_the_end_may_go_on():
    engine, _ = started("{trigger: end, action: {name: submit, label: b}}")
    assert kinds(end_all(engine)) == ["trigger end", "submit b"]
    assert engine.done
    assert engine.submitted == {"a": 3, "b": 3}


def test_a_rule_does_not_fire_itself():
    engine, _ = started(
        '{trigger: metric, when: "var.x >= 0 and count.a.success >= 1", on: update'
        ', action: {name: set, label: x, value: "var.x + 1", repetitions: unlimited}}',
        more="variables: {x: 0}",
    )
    end_all(engine)
    assert engine.variables == {"x": 3}


def test_too_many_rules_that_fire_each_other_are_an_error():
    chain = [
        f'{{trigger: metric, when: "var.x{n} == 1 and count.a.success >= 1", '
        f"action: {{name: set, label: x{n + 1}, value: 1}}}}"
        for n in range(200)
    ]
    more = f"variables: {{x0: 1, {', '.join(f'x{n + 1}: 0' for n in range(200))}}}"
    engine, _ = started(*chain, more=more)
    end_all(engine)
    assert engine.done
    assert "make each other fire" in engine.result().errors[0]
    assert not engine.result().met


# How jobs end


@pytest.mark.parametrize(
    ("status", "exception", "how"),
    [
        (0, "", "success"),
        (256, "", "failed"),
        (15, "cancel", "cancelled"),
        (15, "timeout", "timeout"),
        (9, "exec", "exception"),
        (9, "what nobody knows", "exception"),
        (0, "cancel", "cancelled"),
        (9, "memory", "failed"),
    ],
)
def test_every_end_is_counted_once_as_one_outcome(status, exception, how):
    engine, _ = started(f"{{trigger: job-{how}, name: a, action: {{name: submit, label: b}}}}")
    commands = play(engine, *course("a.0", status=status, exception=exception))
    assert kinds(commands) == [f"trigger job-{how} a", "submit b"]
    counts = {"submitted": 3, "finished": 1, how: 1}
    assert engine.metrics.counts["a"] == counts
    play(engine, *course("a.0", status=status, exception=exception))  # told again: nothing is counted twice
    assert engine.metrics.counts["a"] == counts


def test_what_is_told_twice_in_the_middle_fires_once():
    engine, _ = started(
        "{trigger: job-exception, action: {name: message, value: oh, repetitions: unlimited}}",
        "{trigger: job-requeue, action: {name: message, value: again, repetitions: unlimited}}",
    )
    run = course("a.0", last="start")
    over = Event("requeue", 5.0, "a.0", {"type": "preempted", "note": ""})
    lost = Event("exception", 8.0, "a.0", {"type": "exec", "severity": 0, "note": ""})
    told = [*run, over, over, *run, Event("start", 6.0, "a.0"), over, lost, lost, *course("a.0")]
    assert kinds(play(engine, *told)) == ["trigger job-requeue", "message again", "trigger job-exception", "message oh"]
    assert engine.metrics.counts["a"] == {"submitted": 3, "finished": 1, "exception": 1, "requeued": 1}


def test_a_job_that_never_ran_ends_by_clean():
    engine, _ = started()
    refused = Event("exception", 1.0, "a.0", {"type": "alloc", "severity": 0, "note": "too large"})
    play(engine, Event("submit", 0.0, "a.0"), refused, Event("clean", 1.0, "a.0"))
    assert engine.metrics.counts["a"] == {"submitted": 3, "finished": 1, "exception": 1}
    failure = {"job": "a.0", "group": "a", "outcome": "exception", "reason": "too large"}
    assert engine.result().failures == [failure]
    assert engine.running == {"a": 2}


@pytest.mark.parametrize(
    ("names", "outcome"),
    [
        (["finish", "start", "submit", "alloc", "clean"], "success"),
        (["clean", "finish", "start"], "failed"),
        (["submit", "finish", "exception", "clean"], "success"),
        (["start", "clean", "exception"], "failed"),
    ],
)
def test_events_out_of_order_end_a_job_once(names, outcome):
    engine, _ = started()
    context = {"finish": {"status": 0}, "exception": {"type": "cancel", "severity": 0}}
    play(engine, *(Event(name, 1.0, "a.0", context.get(name, {})) for name in names))
    assert engine.metrics.counts["a"] == {"submitted": 3, "finished": 1, outcome: 1}
    assert engine.live == {"a": 2}
    assert "a.0" not in engine.jobs


def test_pending_and_duration_are_of_jobs_that_ran_to_their_end():
    engine, _ = started()
    play(engine, *course("a.0"), *course("a.1", exception="cancel", status=15))
    assert engine.metrics.get("count.a-pending") == 2
    assert engine.metrics.get("mean.a-pending") == 1.0
    assert engine.metrics.get("count.a-duration") == 1
    assert engine.metrics.get("mean.a-duration") == 2.0


def test_clocks_that_differ_give_no_negative_times():
    engine, _ = started()
    play(engine, Event("submit", 9.0, "a.0"), Event("start", 5.0, "a.0"), Event("finish", 2.0, "a.0", {"status": 0}))
    assert engine.metrics.get("min.a-pending") == engine.metrics.get("min.a-duration") == 0.0


def test_an_exception_that_is_no_end_changes_no_outcome():
    engine, _ = started()
    warning = Event("exception", 1.0, "a.0", {"type": "warning", "severity": 3, "note": "hot"})
    play(engine, warning, *course("a.0"))
    assert engine.metrics.counts["a"] == {"submitted": 3, "finished": 1, "success": 1}


def test_events_of_unknown_jobs_are_ignored():
    engine, _ = started("{trigger: job-success, action: {name: submit, label: a}}")
    assert play(engine, *course("stranger.0")) == []
    assert set(engine.metrics.counts) == {"a"}


def test_foreign_jobs_count_and_are_left_alone():
    """Those of a group that the file does not have, too: no limit of ours is theirs, and no terminate."""
    engine, _ = started(
        "{trigger: metric, name: count.a.success, when: 1, action: {name: terminate}}",
        "{trigger: job-requeue, action: {name: message, value: again}}",
    )
    theirs = [Event("submit", 0.0, "x1", {"foreign": True, "group": "theirs", "id": "f1"}), Event("start", 1.0, "x1")]
    assert play(engine, *theirs, Event("requeue", 2.0, "x1", {"type": "node-lost"}), Event("start", 3.0, "x1"))
    commands = play(engine, *course("a.0"))
    assert commands[-1].jobs == ("a.1", "a.2")
    play(engine, Event("finish", 4.0, "x1", {"status": 256}), Event("clean", 4.0, "x1"))
    assert engine.metrics.counts["theirs"] == {"submitted": 1, "finished": 1, "failed": 1, "requeued": 1}


# Retries, timeouts, dependencies

RETRIES = """
  - {name: a, command: "true", count: 1, retries: {max: 2, infrastructure: 1, on: [failed, timeout]}, timeout: 60}
  - {name: b, command: "true", count: 1, depends_on: [a]}
"""


def test_retries_count_once_at_their_end():
    engine, _ = started("{trigger: job-retry, name: a, action: {name: message, value: more}}", groups=RETRIES)
    commands = play(engine, *course("a.0", status=256))
    assert kinds(commands) == ["retry a", "submit a", "trigger job-retry a", "message more"]
    assert commands[1].jobs == ("a.0.1",)
    play(engine, *course("a.0.1", exception="node-lost"), *course("a.0.2", status=256))
    assert engine.metrics.counts["a"] == {"submitted": 1, "retried": 3}
    play(engine, *course("a.0.3", status=256))
    assert engine.metrics.counts["a"] == {"submitted": 1, "retried": 3, "finished": 1, "failed": 1}
    assert [failure["job"] for failure in engine.result().failures] == ["a.0.3"]


def test_each_retry_asks_for_more():
    groups = "  - {name: a, command: x, memory: 1GB, retries: {max: 2, escalate: {memory: 2}}}"
    engine, _ = started(groups=groups)
    play(engine, *course("a.0", status=256))
    job = engine.jobs["a.0.1"]
    spec = engine.groups["a"].spec("a.0.1", 0, 1, {}, escalation=job.retried)
    assert spec.memory == 2 * 1024**3


def test_a_timeout_cancels_once_and_counts_as_one():
    engine, _ = started(groups=RETRIES)
    play(engine, *course("a.0", last="start"))
    assert engine.next_timer == 61
    [cancel] = play(engine, tick(61.0))
    assert (cancel.kind, cancel.jobs, cancel.reason) == ("cancel", ("a.0",), "it ran longer than 60 s")
    assert play(engine, tick(200.0)) == []
    ended = [Event("exception", 62.0, "a.0", {"type": "cancel", "severity": 0}), Event("clean", 62.0, "a.0")]
    assert kinds(play(engine, *ended)) == ["retry a", "submit a"]


def test_the_time_of_a_job_begins_anew_when_the_queue_starts_it_over():
    engine, _ = started(groups=RETRIES)
    play(engine, *course("a.0", last="start"), Event("requeue", 50.0, "a.0", {"type": "preempted"}))
    play(engine, Event("start", 55.0, "a.0"))
    assert play(engine, tick(61.0)) == []
    assert [command.jobs for command in play(engine, tick(115.0))] == [("a.0",)]


def test_what_a_rule_cancels_is_not_tried_again_even_if_its_time_was_over():
    engine, _ = started(
        "{trigger: heartbeat, action: {name: cancel, label: a}}", groups=RETRIES, more="logging: {heartbeat: 70}"
    )
    play(engine, *course("a.0", last="start"), tick(61.0))
    assert kinds(play(engine, tick(70.0))) == ["trigger heartbeat", "cancel a"]
    assert play(engine, Event("clean", 71.0, "a.0")) == []
    assert engine.done


def test_requeues_beyond_the_budget_end_the_job():
    engine, _ = started(groups=RETRIES)
    for number in (1, 2):
        play(engine, *course("a.0", last="start"))
        commands = play(engine, Event("requeue", 10.0 * number, "a.0", {"type": "preempted"}))
    assert [command.kind for command in commands] == ["cancel"]
    assert Engine.restore(engine.document, engine.state()).jobs["a.0"].cancelling  # asked again after a resume
    play(engine, Event("exception", 30.0, "a.0", {"type": "cancel", "severity": 0}), Event("clean", 30.0, "a.0"))
    assert engine.metrics.counts["a"] == {"submitted": 1, "requeued": 2, "finished": 1, "exception": 1}


BOTH = "{trigger: start, action: {name: submit, label: a}}", "{trigger: start, action: {name: submit, label: b}}"


@pytest.mark.parametrize(
    ("need", "status", "then"), [("success", 0, "submit b"), ("finished", 256, "submit b"), ("success", 256, "")]
)
def test_a_group_waits_for_another(need, status, then):
    groups = f"""
  - {{name: a, command: x, count: 2}}
  - {{name: b, command: x, count: 2, depends_on: {{a: {need}}}}}
"""
    engine, commands = started(*BOTH, groups=groups)
    assert [command.reason for command in commands if command.kind == "submit"] == ["", "held"]
    play(engine, *course("a.0", status=status))
    assert kinds(play(engine, *course("a.1"))) == ([then] if then else [])
    end_all(engine)
    assert engine.done
    if not then:
        reasons = {failure["reason"] for failure in engine.result().failures if failure["group"] == "b"}
        assert reasons == {"a did not succeed"}
        assert engine.metrics.counts["b"] == {"submitted": 2, "finished": 2, "exception": 2}


def test_what_is_submitted_after_its_dependency_failed_does_not_run():
    engine, _ = started(
        "{trigger: metric, name: count.a.failed, when: 1, action: {name: submit, label: b}}",
        groups=RETRIES.replace("max: 2", "max: 0"),
    )
    commands = play(engine, *course("a.0", status=256))
    assert [command.jobs for command in commands if command.kind == "submit"] == [()]
    assert engine.done
    assert engine.metrics.counts["b"] == {"submitted": 1, "finished": 1, "exception": 1}
    assert engine.live == {"a": 0, "b": 0}


def test_what_waits_for_a_group_that_nobody_submits_ends():
    engine, _ = started(
        "{trigger: start, action: {name: submit, label: b}}",
        "{trigger: job-failed, name: c, action: {name: submit, label: a}}",
        "{trigger: start, action: {name: submit, label: c}}",
        groups=RETRIES + "  - {name: c, command: x}\n",
    )
    play(engine, *course("c.0"))
    assert engine.done
    assert "which was never submitted" in engine.result().failures[0]["reason"]


# Actions


def test_submit_with_overrides():
    engine, commands = started(
        "{trigger: start, action: {name: submit, label: a, value: {count: 1, nodes: 4}}}",
        "{trigger: job-success, action: {name: submit, label: a, value: {nodes: 4, count: 1}, repetitions: 2}}",
    )
    assert commands[1].jobs == ("a.0",)
    assert engine.overrides[engine.jobs["a.0"].overrides]["nodes"] == 4
    end_all(engine)
    assert engine.submitted == {"a": 3}
    assert len(engine.overrides) == 2  # the same ones are kept once


@pytest.mark.parametrize(
    ("action", "jobs"),
    [
        ("label: a", ("a.0", "a.1", "a.2")),
        ("label: a, value: running", ("a.1",)),
        ("label: a, value: pending", ("a.0", "a.2")),
        ("label: a.1", ("a.1",)),
        ("label: b.0", ()),
    ],
)
def test_cancel_is_of_some_and_they_are_no_failures(action, jobs):
    engine, _ = started(f"{{trigger: heartbeat, action: {{name: cancel, {action}}}}}", more="logging: {heartbeat: 5}")
    play(engine, *course("a.1", last="start"))
    [_, cancel] = play(engine, tick(5.0))
    assert cancel.jobs == jobs
    for name in jobs:
        play(engine, *course(name, exception="cancel", status=15))
    assert engine.result().failures == []
    others = [name for name in ("a.0", "a.1", "a.2") if name not in jobs]
    for name in others:  # somebody else's cancelling is a failure
        play(engine, *course(name, exception="cancel", status=15))
    assert [failure["job"] for failure in engine.result().failures] == others


def test_cancel_without_a_label_is_of_the_job_of_the_event():
    engine, _ = started("{trigger: job-start, name: a, action: {name: cancel, repetitions: unlimited}}")
    assert play(engine, *course("a.1", last="start"))[-1].jobs == ("a.1",)


def test_a_retry_is_cancelled_by_the_first_name():
    engine, _ = started(groups=RETRIES)
    play(engine, *course("a.0", status=256))
    assert [command.jobs for command in play(engine, Event("request", 5.0, context={"cancel": ["a.0"]}))] == [
        ("a.0.1",)
    ]


def test_a_cancel_that_fires_rules_that_cancel():
    groups = "  - {name: a, command: x}\n  - {name: b, command: x, count: 200, depends_on: [a]}\n"
    engine, _ = started(
        *BOTH,
        "{trigger: job-cancelled, action: {name: cancel, label: b, repetitions: unlimited}}",
        "{trigger: job-success, name: a, action: {name: message, value: done}}",
        groups=groups,
    )
    play(engine, Event("request", 5.0, context={"cancel": ["b"]}))
    assert engine.running == {"a": 1}
    assert engine.metrics.counts["b"] == {"submitted": 200, "finished": 200, "cancelled": 200}


def test_a_request_for_what_is_not_there_changes_nothing():
    engine, _ = started()
    [command] = play(engine, Event("request", 1.0, context={"cancel": ["nobody", "a.99"]}))
    assert (command.kind, command.jobs) == ("cancel", ())
    assert engine.running == {"a": 3}


def test_terminate_cancels_and_no_rule_fires_after_it():
    engine, _ = started(
        "{trigger: job-success, action: {name: terminate}}",
        "{trigger: metric, name: count.a.finished, when: 2, action: {name: submit, label: b, repetitions: 9}}",
        groups=GROUPS.replace("count: 3", "count: 3, retries: 2"),
    )
    commands = play(engine, *course("a.0"))
    assert kinds(commands) == ["trigger job-success", "terminate"]
    assert commands[1].jobs == ("a.1", "a.2")
    assert play(engine, *course("a.1", exception="cancel", status=15), *course("a.2", status=256)) == []
    assert engine.done
    assert engine.result().ended_by == "terminate"
    assert [failure["job"] for failure in engine.result().failures] == ["a.2"]


def test_terminate_waits_for_no_function():
    engine, _ = started(
        SUBMIT_A,
        "{trigger: start, action: {name: custom, label: f}}",
        "{trigger: job-success, action: {name: terminate}}",
        more="custom: |\n  def f(**known): pass\n",
    )
    play(engine, *course("a.0"), *course("a.1", exception="cancel"), *course("a.2", exception="cancel"))
    assert engine.done
    assert play(engine, returned_event(9.0, 1, [Action(name="submit", label="b")])) == []


def test_terminate_leaves_what_is_in_the_queue_and_ends_what_waits():
    """It is over when all that is to be left has reached the queue."""
    groups = GROUPS.replace("name: b, ", "name: b, depends_on: [a], ")
    engine, _ = started(*BOTH, "{trigger: job-success, action: {name: terminate, value: leave}}", groups=groups)
    play(engine, Event("submit", 0.0, "a.1"))
    command = play(engine, *course("a.0"))[-1]
    assert (command.leave, command.jobs) == (True, ("a.1", "a.2"))
    assert engine.metrics.counts["b"]["cancelled"] == 3
    assert not engine.done
    engine = Engine.restore(engine.document, json.loads(json.dumps(engine.state())))
    refused = Event("exception", 0.0, "a.2", {"type": "boot", "severity": 0, "note": ""})
    assert play(engine, refused, Event("clean", 0.0, "a.2")) == []  # there is no other attempt any more
    assert engine.done
    assert engine.result().left == 1


def test_grow_and_shrink_ask_for_a_number_of_nodes_in_all():
    engine, commands = started(
        SUBMIT_A,
        "{trigger: start, action: {name: grow, value: 2}}",
        "{trigger: heartbeat, action: {name: scale-down, value: 9, repetitions: 2}}",
        more="logging: {heartbeat: 5}",
    )
    assert commands[-1].nodes == 2  # how many there are is not known
    play(engine, Event("size", 1.0, context={"nodes": 2}))
    assert play(engine, tick(5.0))[-1].nodes == 0
    play(engine, Event("resize-failed", 6.0, context={"error": "no"}))
    play(engine, Event("size", 6.0, context={"nodes": 12}))
    assert play(engine, tick(10.0))[-1].nodes == 3  # from what there is, not from what was refused
    assert engine.result().errors == ["no"]


# Custom functions

CUSTOM = "custom: |\n  def f(**known): pass\n"
CALL = "{trigger: start, action: {name: custom, label: f}}"


def test_what_a_custom_function_returned_is_done():
    engine, commands = started(CALL, more=CUSTOM)
    assert kinds(commands) == ["trigger start", "custom f"]
    assert not engine.done  # its answer is still to come
    later = Rule(trigger="job-success", name="b", action=Action(name="submit", label="a"))
    back = returned_event(1.0, commands[1].call, [Action(name="submit", label="b")], [later])
    assert kinds(play(engine, back)) == ["submit b"]
    assert play(engine, back) == []  # a second time
    again = Engine.restore(engine.document, json.loads(json.dumps(engine.state())))
    for one in (engine, again):
        assert kinds(play(one, *course("b.0"))) == ["trigger job-success b", "submit a"]


def test_none_ends_a_run_that_waited_for_it():
    engine, commands = started(CALL, more=CUSTOM)
    play(engine, returned_event(1.0, commands[1].call))
    assert engine.done
    assert engine.result().met


@pytest.mark.parametrize("stop", [False, True])
def test_a_custom_function_that_fails(stop):
    more = CUSTOM + ("on_custom_error: stop\n" if stop else "")
    engine, commands = started(SUBMIT_A, CALL, more=more)
    play(engine, returned_event(1.0, commands[-1].call, error="x.yaml:3: f failed"))
    assert engine._stopping is stop
    end_all(engine)
    assert engine.done
    assert engine.result().errors == ["x.yaml:3: f failed"]
    assert not engine.result().met
    assert engine.result().ended_by == ("custom" if stop else "")


# Metrics of the application


def metric(job: str, value: float, offset: int) -> Event:
    context = {"values": [["t", value]], "source": "out", "offset": offset}
    return Event("metric", float(offset), job, context)


APPLICATION = """
  - {name: a, command: x, count: 3, metrics: {t: {regex: "t=(.*)"}}}
"""


def test_values_count_once_by_where_they_were_read():
    engine, _ = started(groups=APPLICATION)
    play(engine, *course("a.0", last="start"), metric("a.0", 5.0, 10), metric("a.0", 5.0, 10), metric("a.0", 7.0, 20))
    assert engine.metrics.get("mean.a-t") == 6.0


def test_a_rule_about_each_job_has_repetitions_and_backoff_of_each():
    rule = """{trigger: metric, name: last.a-t, when: "> 1", on: update, per: job,
        action: {name: message, value: hot, repetitions: 2, backoff: 1}}"""
    engine, _ = started(rule, groups=APPLICATION)
    fired = {"a.0": [], "a.1": []}
    for name in fired:
        play(engine, *course(name, last="start"))
    for number in range(1, 7):
        for name in fired:
            engine = Engine.restore(engine.document, json.loads(json.dumps(engine.state())))
            if play(engine, metric(name, 2.0, number)):
                fired[name].append(number)
    assert fired == {"a.0": [1, 3], "a.1": [1, 3]}


# Bounds


def test_what_is_kept_is_bounded():
    groups = "  - {name: a, command: x, count: 5000, timeout: 1000000}\n"
    engine, _ = started(CALL, "{trigger: start, action: {name: submit, label: a}}", groups=groups, more=CUSTOM)
    for number in range(5000):
        play(engine, *course(f"a.{number}", float(number), status=9, exception="node-lost"))
    for name in list(engine.jobs):
        play(engine, *course(name, 6000.0, status=256))
    for number in range(2, 500):
        engine.calls[number] = engine.calls.get(1) or Command("custom")
        play(engine, returned_event(1.0, number, error="oh"))
    state = engine.state()
    assert len(state["timers"][1]) < 3000
    assert len(state["result"]["failures"]) == 100
    assert len(state["result"]["errors"]) <= 100
    assert sum(map(len, state["suspects"]["failed"].values())) < 10


def test_many_jobs_are_cancelled_in_linear_time():
    """One after the other by a rule, and all at once: ten times as many take about ten times as long."""

    def seconds(count: int) -> float:
        groups = f"""
  - {{name: a, command: x, count: {count}}}
  - {{name: b, command: x, count: {count}, depends_on: [a]}}
"""
        engine, _ = started(
            *BOTH, "{trigger: job-start, name: a, action: {name: cancel, repetitions: unlimited}}", groups=groups
        )
        began = time.process_time()
        for number in range(count):
            play(engine, Event("submit", 1.0, f"a.{number}"), Event("start", 2.0, f"a.{number}"))
        play(engine, Event("request", 3.0, context={"cancel": ["b"]}))
        for number in range(count):
            play(engine, Event("exception", 4.0, f"a.{number}", {"type": "cancel"}), Event("clean", 4.0, f"a.{number}"))
        assert engine.done
        return time.process_time() - began

    few = seconds(2000)
    assert seconds(20000) < 40 * max(few, 0.02)


def test_a_requeue_of_what_is_being_cancelled_is_cancelled_again():
    engine = Engine(
        parse("jobs: [{name: a, command: x}]\nrules: [{trigger: start, action: {name: submit, label: a}}]", "x.yaml")
    )
    engine.handle(start_event(0.0))
    for name in ("submit", "alloc", "start"):
        engine.handle(Event(name, 1.0, "a.0"))
    engine.handle(Event("request", 2.0, context={"cancel": ["a"]}))
    out = engine.handle(Event("requeue", 3.0, "a.0", {"type": "preempted"}))
    assert [(command.kind, command.jobs) for command in out] == [("cancel", ("a.0",))]


def test_a_stop_after_the_rest_was_left_waits_for_what_it_cancels():
    text = """
jobs: [{name: a, command: x, count: 2}]
rules:
  - {trigger: start, action: {name: submit, label: a}}
  - {trigger: job-start, action: {name: terminate, value: leave}}
"""
    engine = Engine(parse(text, "x.yaml"))
    engine.handle(start_event(0.0))
    for name in ("submit", "start"):
        engine.handle(Event(name, 1.0, "a.0"))
    assert not engine.done  # a.1 is not in the queue yet
    engine.handle(Event("request", 2.0, context={"stop": "asked"}))
    engine.handle(Event("submit", 3.0, "a.1"))
    assert not engine.done
    for name in ("a.0", "a.1"):
        engine.handle(Event("exception", 4.0, name, {"type": "cancel", "severity": 0}))
        engine.handle(Event("clean", 4.0, name))
    assert engine.done
