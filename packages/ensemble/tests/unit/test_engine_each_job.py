"""Rules about each job's own values, and the hosts that jobs had better avoid."""

from __future__ import annotations

from ensemble.engine import Engine, start_event
from ensemble.events import Event
from ensemble.load import parse
from ensemble.suspects import AVOIDED_FOR, WITHIN, Suspects

TEXT = """
jobs:
  - {name: a, command: x, count: 2, metrics: {t: {regex: "t=(.*)"}, u: {regex: "u=(.*)"}}}
rules:
  - {trigger: start, action: {name: submit, label: a}}
  - trigger: metric
    name: last.a-t
    when: "> 1 and last.a-u > 10 and count.a.success < 1"
    on: update
    per: job
    action: {name: message, value: hot, repetitions: unlimited}
"""


def test_a_rule_about_each_job_may_ask_for_other_values_of_the_same_job():
    engine = Engine(parse(TEXT, "x.yaml"))
    engine.handle(start_event(0.0))
    offset = 0

    def fires(job: str, series: str, value: float) -> bool:
        nonlocal offset
        offset += 1
        context = {"values": [[series, value]], "source": "out", "offset": offset}
        return bool(engine.handle(Event("metric", float(offset), job, context)))

    for number in range(2):
        engine.handle(Event("submit", 0.0, f"a.{number}"))
        engine.handle(Event("start", 0.0, f"a.{number}"))
    assert not fires("a.0", "t", 2.0)  # u is unknown
    assert not fires("a.0", "u", 11.0)  # the rule is of t
    assert fires("a.0", "t", 2.0)
    assert not fires("a.1", "t", 2.0)  # u is known of the other job alone
    engine.handle(Event("finish", 9.0, "a.1", {"status": 0}))
    assert not fires("a.0", "t", 2.0)  # the count is that of the group


def test_a_host_is_avoided_where_three_jobs_failed_within_an_hour():
    suspects = Suspects()
    suspects.hosts = {"n0", "n1"}
    assert not suspects.failed("n0", "a.0", 0.0)
    assert not suspects.failed("n0", "a.0", 1.0)  # the same job again
    assert not suspects.failed("n0", "a.1", 2.0)
    assert suspects.failed("n0", "a.2", 1.0 + WITHIN)
    assert suspects.avoided == {"n0": 1.0 + WITHIN + AVOIDED_FOR}
    assert not suspects.state()["failed"]


def test_what_failed_an_hour_ago_speaks_no_longer_against_a_host():
    suspects = Suspects()
    suspects.hosts = {"n0", "n1"}
    for number in range(2):
        assert not suspects.failed("n0", f"a.{number}", 0.0)
    assert not suspects.failed("n0", "a.2", WITHIN + 1.0)
    assert suspects.state()["failed"] == {"n0": {"a.2": WITHIN + 1.0}}


def test_the_last_host_is_never_avoided_and_what_failed_there_is_bounded():
    suspects = Suspects()
    suspects.hosts = {"n0"}
    for number in range(9):
        assert not suspects.failed("n0", f"a.{number}", 0.0)
    assert sorted(suspects.state()["failed"]["n0"]) == ["a.6", "a.7", "a.8"]
    suspects.hosts.add("n1")
    assert suspects.failed("n0", "a.9", 0.0)
    assert not any(suspects.failed("n1", f"a.{number}", 0.0) for number in range(9))


def test_what_is_known_of_hosts_survives_a_restart():
    suspects = Suspects()
    suspects.hosts = {"n0", "n1"}
    for number in range(3):
        suspects.failed("n0", f"a.{number}", 5.0)
    suspects.failed("n1", "a.9", 6.0)
    state = suspects.state()
    assert state == {
        "hosts": ["n0", "n1"],
        "avoided": {"n0": 5.0 + AVOIDED_FOR},
        "failed": {"n1": {"a.9": 6.0}},
    }
    again = Suspects()
    again.restore(state)
    assert again.state() == state
    again.failed("n1", "a.8", 7.0)
    assert state["failed"] == {"n1": {"a.9": 6.0}}  # what was read is not changed


def test_a_custom_function_that_was_under_way_is_called_again_with_its_rule_and_its_event():
    custom = "custom: |\n  def f(**_): return None\n"
    engine = Engine(parse(TEXT.replace("{name: submit, label: a}", "{name: custom, label: f}") + custom, "x.yaml"))
    call = engine.handle(start_event(3.0))[-1]
    assert call.kind == "custom"
    again = Engine.restore(engine.document, engine.state())
    assert list(again.calls.values()) == [call]
    assert (call.rule, call.event.time) == (engine.document.rules[0], 3.0)


def test_what_is_told_of_a_job_and_of_its_values_is_kept():
    engine = Engine(parse(TEXT, "x.yaml"))
    told = []
    engine.on_value = lambda key, time, value: told.append((key, time, value))
    engine.handle(start_event(0.0))
    engine.handle(Event("submit", 0.0, "a.0", {"id": 77}))
    assert engine.jobs["a.0"].id == "77"
    engine.handle(Event("metric", 1.0, "a.0", {"values": [["t", 2.5]], "source": "out", "offset": 1}))
    assert told == [("a-t", 1.0, 2.5)]
