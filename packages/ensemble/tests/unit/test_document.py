"""Groups, rules and actions as the engine takes them."""

from __future__ import annotations

import pytest

from ensemble.document import Action, JobGroup, Rule
from ensemble.errors import SpecError
from ensemble.metrics import MetricName
from ensemble.parameters import read_space


@pytest.mark.parametrize(
    ("given", "nodes", "tasks"),
    [({}, 1, 1), ({"nodes": 2}, 2, 2), ({"tasks": 4}, 0, 4), ({"nodes": 2, "tasks": 4}, 2, 4)],
)
def test_amounts_follow_the_language_of_resources(given: dict[str, int], nodes: int, tasks: int) -> None:
    spec = JobGroup(name="g", command="x", cores=3, memory=2, duration=0.5, **given).spec("g.0", 0)
    assert (spec.nodes, spec.tasks, spec.cores, spec.memory, spec.duration) == (nodes, tasks, 3, 2 * 2**30, 1)


def test_a_value_with_blanks_stays_one_word_and_other_braces_stay() -> None:
    group = JobGroup(
        name="g",
        command="run {what} --lr={lr} {{lr}} {{print}} {job} {index} {group} {attempt} '{print $1}' {print}",
        parameters={"what": ["a b; rm -rf /"], "lr": [True]},
        workdir="/tmp/{job}",
        environment={"LR": "{lr}"},
        output="{index}.out",
        stdin="{lr}.in",
    )
    spec = group.spec("g.7", 7, 2)
    assert spec.argv == (
        *("run", "a b; rm -rf /", "--lr=true", "{lr}", "{{print}}", "g.7", "7", "g", "2", "{print $1}", "{print}"),
    )
    assert (spec.workdir, dict(spec.environment)) == ("/tmp/g.7", {"LR": "true"})
    assert (spec.output, spec.stdin) == ("7.out", "true.in")


def test_amounts_escalate_up_to_their_caps() -> None:
    retries = {"max": 9, "escalate": {"memory": 2, "duration": {"factor": 1.5, "max": "4m"}, "timeout": 1.1}}
    group = JobGroup(name="g", command="x", memory="1GB", duration=100, timeout=10, retries=retries)
    assert [group.spec("g.0", 0, attempt).memory >> 30 for attempt in range(4)] == [1, 2, 4, 8]
    assert [group.spec("g.0", 0, attempt).duration for attempt in range(4)] == [100, 150, 225, 240]
    assert [group.limit(attempt) for attempt in range(3)] == [10, 11, 13]  # exact: 1.1 is no more than 1.1
    assert group.spec("g.0", 0, 3, escalation=1).duration == 150
    assert group.spec("g.0", 0, 10**9).memory == 2**63 - 1


def test_nodes_that_escalate_take_their_tasks_along() -> None:
    group = JobGroup(name="g", command="x", nodes=2, retries={"max": 1, "escalate": {"nodes": 2}})
    assert [(s.nodes, s.tasks) for s in (group.spec("g.0", 0, 0), group.spec("g.0", 0, 1))] == [(2, 2), (4, 4)]


def test_overrides_change_one_submission() -> None:
    group = JobGroup(name="g", command="x {lr} {n}", parameters={"lr": [1, 2], "n": [3, 4]}, environment={"A": "a"})
    overrides = {"nodes": 4, "count": 2, "parameters": {"lr": 0.5}, "environment": {"B": "b"}}
    assert (group.total(), group.total(overrides)) == (4, 4)
    assert [group.spec("g.0", index, 0, overrides).argv for index in range(3)] == [
        ("x", "0.5", "3"),
        ("x", "0.5", "4"),
        ("x", "0.5", "3"),
    ]
    spec = group.spec("g.0", 0, 0, overrides)
    assert (spec.nodes, spec.tasks, dict(spec.environment)) == (4, 4, {"A": "a", "B": "b"})
    assert group.spec("g.0", 0).nodes == 1
    samples = {"parameters": {"random": {"lr": {"min": 0, "max": 1}}, "samples": 7}}
    assert group.total(samples) == 7


def test_other_forms_keep_what_an_override_does_not_name() -> None:
    points = JobGroup(name="g", command="x", parameters={"list": [{"a": 1, "b": 1}, {"a": 1, "b": 2}]})
    assert points.total({"parameters": {"b": [5]}}) == 1
    assert points.overridden({"parameters": {"b": [5]}}).point(0) == {"a": 1, "b": 5}
    drawn = JobGroup(name="g", command="x", parameters={"random": {"a": {"min": 0, "max": 1}}, "samples": 3})
    assert drawn.total({"parameters": {"b": [1, 2]}}) == 6
    assert drawn.total({"parameters": {"a": [1, 2]}}) == 2


def test_ten_million_points_cost_nothing() -> None:
    space = read_space({name: list(range(10)) for name in "abcdefg"})
    assert space.size == 10**7
    assert list(space.point(1234567).values()) == [1, 2, 3, 4, 5, 6, 7]


def test_what_is_no_sweep_is_a_grid_of_parameters_with_such_names() -> None:
    assert read_space({"list": [1, 2], "samples": [3]}).size == 2
    assert read_space({"lr": 0.1}).point(0) == {"lr": 0.1}


def test_samples_stay_what_they_are() -> None:
    # Written down once: a change of these is a change of what users' files mean.
    space = read_space({"random": {"x": {"min": 0, "max": 1}}, "samples": 2, "seed": 7})
    assert [space.point(index)["x"] for index in range(2)] == [0.6322688900314666, 0.8853661773987701]
    latin = read_space({"latin": {"n": {"min": 1, "max": 4, "integer": True}}, "samples": 4, "seed": 7})
    assert [latin.point(index)["n"] for index in range(4)] == [1, 4, 3, 2]


ACTIONS = [
    {"name": "submit", "label": "g"},
    {"name": "submit", "label": "g", "value": {"nodes": 2, "parameters": {"lr": [1]}}, "repetitions": "unlimited"},
    {"name": "cancel", "label": "g"},
    {"name": "cancel", "value": "pending"},
    {"name": "terminate"},
    {"name": "terminate", "value": "leave"},
    {"name": "grow"},
    {"name": "shrink", "value": 3, "label": "g"},
    {"name": "set", "label": "x", "value": "mean.g-duration * 2"},
    {"name": "set", "label": "x", "value": 0},
    {"name": "message", "label": "hello {mean.g-duration} {{x}} {print}"},
    {"name": "message", "value": "hello"},
    {"name": "custom", "label": "f", "value": {"a": [1, None]}, "repetitions": 3, "backoff": 2},
]


@pytest.mark.parametrize("given", ACTIONS, ids=str)
def test_an_action_round_trips_as_plain_data(given: dict[str, object]) -> None:
    action = Action(given)
    assert Action(action.as_dict()) == action
    assert Action(**given) == action


def test_the_defaults_of_actions() -> None:
    assert (Action(name="submit", label="g").repetitions, Action(name="submit", label="g").backoff) == (1, 0)
    assert Action(name="submit", label="g", repetitions="unlimited").repetitions is None
    assert [Action(name=name).value for name in ("cancel", "terminate", "grow")] == ["all", "cancel", 1]
    assert [Action(name=name).name for name in ("scale-up", "scale-down")] == ["grow", "shrink"]


def test_a_message_shows_the_metrics_of_now() -> None:
    values = {"mean.g-duration": 1.23456789, "max.g-pending": None, "var.x": 3.0}
    action = Action(name="message", label="{mean.g-duration}s, {max.g-pending}, {var.x * 2}, {{a}} {b} {} {3}")
    shown = action.render(lambda name: lambda: values[str(name)])
    assert shown == "1.23457s, ?, 6, {a} {b} {} {3}"


RULES = [
    {"trigger": "start"},
    {"trigger": "metric", "name": "mean[5].g-loss", "when": "> 3 and var.x < 2"},
    {"trigger": "metric", "name": "mean.g-loss", "per": "job", "when": 3, "on": "update"},
    {"trigger": "metric", "when": "count.g.success >= 3 and mean.g-duration < 2"},
    {"trigger": "metric", "name": "count.g.success"},
    {"trigger": "every", "when": "30s"},
    {"trigger": "every", "interval": 0.5, "when": "count.g.success > 3"},
    {"trigger": "job-failed", "group": "g", "when": "count.g.failed > 3"},
    {"trigger": "heartbeat"},
    {"trigger": "idle"},
    {"trigger": "end"},
]


@pytest.mark.parametrize("given", RULES, ids=str)
@pytest.mark.parametrize("repetitions", [1, 4])
def test_a_rule_round_trips_as_plain_data(given: dict[str, object], repetitions: int) -> None:
    rule = Rule({**given, "action": {"name": "submit", "label": "g", "repetitions": repetitions}})
    assert Rule(rule.as_dict()) == rule
    assert rule.groups()[-1] == ("action.label", "g")


def _rule(**fields: object) -> Rule:
    return Rule({"action": {"name": "submit", "label": "g"}, **fields})


def test_a_rule_with_repetitions_is_eligible_at_each_update() -> None:
    metric = {"trigger": "metric", "name": "count.g.success"}
    assert _rule(**metric, when=3).on == "crossing"
    assert _rule(**metric).on == "update"
    assert _rule(**metric, when=3, on="update").on == "update"
    more = {"name": "submit", "label": "g", "repetitions": 3}
    assert _rule(**metric, when=3, action=more).on == "update"
    assert _rule(**metric, when=3, action=more, on="crossing").on == "crossing"
    assert _rule(**metric, when=3, action={"name": "submit", "label": "g", "backoff": 1}).on == "update"


def test_what_a_rule_shows_and_looks_at() -> None:
    assert _rule(trigger="metric", name="count.g.success", when=3).shown == "count.g.success"
    assert _rule(trigger="metric", when="count.g.success > 3").shown == "count.g.success > 3"
    assert _rule(trigger="every", when="1m").shown == "every 60s"
    assert _rule(trigger="job-failed", name="g").shown == "job-failed g"
    rule = _rule(trigger="metric", name="count.g.success", when="value > 3 and mean.g-duration > 1")
    assert rule.metrics == (MetricName("count", "g", what="success"), MetricName("mean", "g", series="duration"))


@pytest.mark.parametrize(("given", "seconds"), [("30s", 30), (0.5, 0.5), ("0.5", 0.5), ("1m", 60), ("0:01:30", 90)])
def test_the_interval_of_a_timer(given: object, seconds: float) -> None:
    assert _rule(trigger="every", when=given).interval == seconds


def test_an_error_has_every_fault() -> None:
    with pytest.raises(SpecError) as caught:
        JobGroup({"name": "a b", "count": 0, "nodes": 3, "tasks": 2})
    assert [fault[0] for fault in caught.value.faults] == [("name",), ("command",), ("tasks",), ("count",)]
    for given in (3, [], "x"):
        with pytest.raises(SpecError, match="is a mapping of keys to values"):
            Action(given)
