"""Rules that can never fire, ensembles that can never end: refused with the reason, and never where it could work."""

from __future__ import annotations

import pytest

from ensemble.errors import FileError
from ensemble.load import parse

HEAD = """\
jobs: [{name: a, command: x, count: 5}, {name: b, command: x, metrics: {loss: {json: loss}}}]
rules:
- {trigger: start, action: {name: submit, label: a}}
"""
CUSTOM = "- {trigger: job-failed, action: {name: custom, label: f}}\ncustom: |\n  def f(**kwargs):\n      pass\n"
B = "action: {name: submit, label: b}"
FOREVER = "{name: submit, label: %s, repetitions: unlimited}"


def metric(name: str, when: object, action: str = B) -> str:
    return f"- {{trigger: metric, name: {name}, when: '{when}', {action}}}\n"


NEVER = [
    (
        metric("count.a.success", 6),
        "4:50: it can never fire: count.a.success >= 6 can't hold; count.a.success is at most 5",
    ),
    (metric("count.a.finished", "> 5"), "4:51: it can never fire: count.a.finished > 5 can't hold"),
    (metric("count.a.success", "< 0"), "4:50: it can never fire"),
    (metric("count.a.success", "== 2.5"), "4:50: it can never fire"),
    (metric("count.a.success", "> 3 and < 4"), "4:50: it can never fire"),
    (metric("count.a.success", "> 4 and value < 3"), "4:50: it can never fire"),
    (metric("count.a.success", "value / 2 >= 3"), "4:50: it can never fire"),
    (metric("mean.a-duration", "< 0"), "4:50: it can never fire: mean.a-duration < 0 can't hold"),
    (metric("iqr.a-pending", "< -1"), "4:48: it can never fire"),
    (metric("count.b.success", 1), "4:27: it can never fire: no rule that can fire submits 'b'"),
    (f"- {{trigger: job-success, name: b, {B}}}\n", "4:32: it can never fire: no rule that can fire submits 'b'"),
    (f"- {{trigger: job-retry, name: b, {B}}}\n", "4:30: it can never fire: no rule that can fire submits 'b'"),
    (f"- {{trigger: heartbeat, {B}}}\n", "4:13: it would never fire: set logging: {heartbeat: SECONDS}"),
    (f"- {{trigger: idle, when: 'count.a.success > 5', {B}}}\n", "4:25: it can never fire"),
    (
        metric("count.a.success", 5) + metric("count.b.success", 2),
        "5:50: it can never fire: count.b.success >= 2 can't",
    ),
]


@pytest.mark.parametrize(("rules", "says"), NEVER, ids=[says[:70] for _, says in NEVER])
def test_a_rule_that_can_never_fire(rules: str, says: str) -> None:
    with pytest.raises(FileError) as caught:
        parse(HEAD + rules, "x")
    assert str(caught.value).startswith(f"x:{says}"), str(caught.value)
    # A function may submit whatever it likes, so with one only what is impossible in itself is refused.
    if "at most" in says or "submits" in says:
        parse(HEAD + rules + CUSTOM, "x")


COULD = [
    metric("count.a.success", 5),
    metric("count.a.success", "> 4 and value < 6"),
    metric("count.a.requeued", 100),
    metric("mean.a-duration", "> 1000000"),
    metric("count.a-duration", 6),
    metric("rate.a.success", "> 100"),
    metric("count.a.success", "not value > 5"),
    metric("count.a.success", "value / (value - 3) > 7"),
    metric("count.a.success", "value > 5 or mean.a-duration > 3"),
    metric("count.a.success", 1) + metric("mean.b-loss", "< -3", "action: {name: cancel, label: a}"),
    metric("count.a.success", 1, "action: {name: submit, label: b, repetitions: 2}") + metric("count.b.success", 2, B),
    metric("count.b.success", 1, "action: {name: terminate}") + metric("count.a.success", 2),
    metric("count.a.success", 2, "action: {name: submit, label: a, repetitions: 2}") + metric("count.a.success", 15),
    "- {trigger: idle, " + B + "}\n",
    "- {trigger: every, when: 30s, action: {name: message, label: hi, repetitions: unlimited}}\n",
]


@pytest.mark.parametrize("rules", COULD)
def test_what_could_work_is_taken(rules: str) -> None:
    parse(HEAD + rules, "x")


def on(trigger: str, label: str) -> str:
    return f"- {{trigger: {trigger}, action: {FOREVER % label}}}\n"


ENDLESS = [
    on("job-success, name: a", "a"),
    on("job-clean", "b"),
    on("job-success, name: a", "b") + on("job-finish, name: b", "a"),
    on("every, when: 30s", "b"),
    on("idle", "b"),
    on("end", "b"),
    on("metric, name: count.a.success, when: 3", "a"),
    on("metric, name: mean.a-duration", "a"),
]
STOPS = [
    "- {trigger: job-failed, action: {name: terminate}}\n",
    "- {trigger: metric, name: mean.a-duration, when: '> 3', action: {name: terminate, value: leave}}\n",
    CUSTOM,
]
ENDS = [
    on("job-failed, name: a", "a"),
    on("job-success, name: a", "b"),
    on("job-success, name: a, when: count.a.success < 100", "a"),
    on("metric, name: count.a.success, when: < 100", "a").replace("< 100", "'< 100'"),
    on("metric, name: count.a.success, when: 3, on: crossing", "a"),
    on("every, when: 30s", "b").replace("unlimited", "100"),
]


@pytest.mark.parametrize("rules", ENDLESS)
def test_an_ensemble_that_can_never_end(rules: str) -> None:
    with pytest.raises(FileError, match=r"the ensemble can never end: .* give repetitions a number") as caught:
        parse(HEAD + rules, "x")
    assert len(caught.value.problems) == 1
    for stop in STOPS:
        parse(HEAD + rules + stop, "x")


@pytest.mark.parametrize("rules", ENDS)
def test_what_ends_some_day_is_taken(rules: str) -> None:
    parse(HEAD + rules, "x")


def test_nothing_starts() -> None:
    text = "jobs: [{name: a, command: x}]\nrules:\n- {trigger: job-success, action: {name: submit, label: a}}\n"
    with pytest.raises(FileError, match="x:3:1: no rule has the trigger start, so nothing would ever run"):
        parse(text, "x")
    parse(text + "member: {name: flux, foreign: true}\n", "x")


def test_groups_that_wait_for_ever() -> None:
    jobs = "jobs: [{name: a, command: x, depends_on: %s}, {name: b, command: x, depends_on: %s}]\n"
    rules = "rules:\n- {trigger: start, action: {name: submit, label: a}}\n"
    with pytest.raises(FileError, match="x:1:42: these wait for each other for ever: a -> b -> a"):
        parse(jobs % ("b", "a") + rules, "x")
    with pytest.raises(FileError, match="x:1:42: it would wait for ever: no rule that can fire submits 'b'"):
        parse(jobs % ("b", "[]") + rules, "x")
    parse(jobs % ("b", "[]") + rules + "- {trigger: start, action: {name: submit, label: b}}\n", "x")
