"""Laws of the engine, over event streams of any order, with repeated, late and missing events."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.document import JobGroup, Rule
from ensemble.engine import Command, Engine, start_event
from ensemble.events import JOB_EVENTS, OUTCOMES, RAW, Event

NAMES = ("a", "b", "c")
GROUPS = {name: JobGroup(name=name, command="true", count=number + 1) for number, name in enumerate(NAMES)}


def _rule(trigger: str, group: str, metric: str, action: str, label: str, numbers: tuple[int, int, int]) -> Rule:
    when, repetitions, backoff = numbers
    spec: dict[str, Any] = {"trigger": trigger}
    if trigger == "metric":
        spec |= {
            "name": f"count.{group}.{metric}" if metric in OUTCOMES else f"{metric}.{group}-duration",
            "when": when,
        }
    elif trigger.startswith("job-") and group != "c":
        spec |= {"name": group}
    spec["action"] = {"name": action, "repetitions": repetitions, "backoff": backoff}
    if action != "terminate":
        spec["action"] |= {"label": label}
    return Rule(spec)


RULES = st.lists(
    st.builds(
        _rule,
        st.sampled_from(["start", "metric", "metric", *(f"job-{name}" for name in JOB_EVENTS)]),
        st.sampled_from(NAMES),
        st.sampled_from(["success", "failed", "mean", "mad"]),
        st.sampled_from(["submit", "submit", "submit", "cancel", "terminate"]),
        st.sampled_from(NAMES),
        st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(0, 2)),
    ),
    max_size=8,
)
CONTEXTS = {
    "finish": [{"status": 0}, {"status": 0}, {"status": 256}, {"status": 9}],
    "exception": [{"type": kind, "severity": level} for kind in ("cancel", "timeout", "alloc") for level in (0, 1)],
}
EVENTS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 4), st.sampled_from(RAW), st.integers(0, 5), st.floats(0, 100)),
    max_size=80,
).map(
    lambda drawn: [
        Event(name, at, f"{group}.{number}", CONTEXTS[name][pick % len(CONTEXTS[name])] if name in CONTEXTS else {})
        for group, number, name, pick, at in drawn
    ]
)
START = Rule({"trigger": "start", "action": {"name": "submit", "label": "a"}})


@given(RULES, EVENTS)
@settings(max_examples=150, deadline=None)
def test_the_same_events_give_the_same_commands_and_metrics(rules: list[Rule], events: list[Event]) -> None:
    def play() -> tuple[list[list[Command]], dict[str, Any]]:
        engine = Engine(GROUPS, [START, *rules])
        return [engine.handle(event) for event in (start_event(0.0), *events)], engine.metrics.as_dict()

    assert play() == play()


@given(RULES, EVENTS)
@settings(max_examples=150, deadline=None)
def test_submitted_is_finished_and_running_and_each_job_ends_once(rules: list[Rule], events: list[Event]) -> None:
    engine = Engine(GROUPS, [START, *rules])
    named: list[str] = []
    for event in (start_event(0.0), *events):
        before = {group: dict(counts) for group, counts in engine.metrics.counts.items()}
        for command in engine.handle(event):
            if command.kind == "submit":
                named.extend(command.jobs)
        for group, submitted in engine.submitted.items():
            counts = engine.metrics.counts.get(group, {})
            assert submitted == counts.get("finished", 0) + engine.running.get(group, 0)
            assert counts.get("finished", 0) == sum(counts.get(how, 0) for how in OUTCOMES)
            assert counts.get("finished", 0) - before.get(group, {}).get("finished", 0) in (0, 1)
    assert len(named) == len(set(named)) == sum(engine.submitted.values())


@given(RULES, EVENTS)
@settings(max_examples=150, deadline=None)
def test_no_action_runs_more_often_than_its_repetitions(rules: list[Rule], events: list[Event]) -> None:
    engine = Engine(GROUPS, [START, *rules])
    fired = Counter(
        id(command.rule)
        for event in (start_event(0.0), *events)
        for command in engine.handle(event)
        if command.kind == "trigger"
    )
    for rule in rules:
        assert fired[id(rule)] <= rule.action.repetitions


@given(EVENTS)
@settings(max_examples=150, deadline=None)
def test_a_repeated_event_counts_once(events: list[Event]) -> None:
    """Jobs end once: the ends of a stream told twice are the ends of the stream told once."""
    ends = [event for event in events if event.name in ("finish", "clean")]
    once, twice = Engine(GROUPS, [START]), Engine(GROUPS, [START])
    for event in (start_event(0.0), *ends):
        once.handle(event)
        twice.handle(event)
        if event.job:
            twice.handle(event)
    assert once.metrics.as_dict() == twice.metrics.as_dict()


@given(EVENTS)
@settings(max_examples=150, deadline=None)
def test_nothing_is_submitted_after_a_stop(events: list[Event]) -> None:
    any_event = [Rule(trigger=f"job-{name}", action={"name": "submit", "label": "a"}) for name in JOB_EVENTS]
    engine = Engine(GROUPS, [START, *any_event])
    engine.handle(start_event(0.0))
    engine.handle(Event("stop", 1.0, context={"reason": "SIGTERM"}))
    assert [command for event in events for command in engine.handle(event)] == []
