"""Who starts when, and where."""

from __future__ import annotations

import pytest

from ensemble.events import Event
from ensemble.sim.models import Model, Recipe
from ensemble.sim.queue import PATIENCE, Need, SimQueue


def recipe(seconds: float, limit: float = 0, **model: float) -> Recipe:
    return Recipe(Model(**model), seconds, limit)  # type: ignore[arg-type]


def drain(queue: SimQueue, now: float = 0.0) -> list[Event]:
    events: list[Event] = []
    while (then := queue.next_time(now)) is not None:
        now = then
        events += queue.advance(now)
    return events


def starts(events: list[Event]) -> dict[str, float]:
    return {event.job: event.time for event in events if event.name == "start"}


def names(events: list[Event], job: str) -> list[str]:
    return [event.name for event in events if event.job == job]


def test_equal_jobs_start_in_order_as_there_is_room() -> None:
    queue = SimQueue(2, 2)
    queue.submit([(f"a.{n}", Need(), recipe(10)) for n in range(6)], 0)
    events = drain(queue)
    assert starts(events) == {"a.0": 0, "a.1": 0, "a.2": 0, "a.3": 0, "a.4": 10, "a.5": 10}
    assert names(events, "a.5") == ["submit", "alloc", "start", "finish", "clean"]
    assert list(queue.waits) == [0, 0, 0, 0, 10, 10]
    assert queue.longest == 2  # after those that fit have started
    # The third shift has half the cores: one node of two in use.
    assert queue.usage(20) == {"node_hours": 40 / 3600, "busy_node_hours": 30 / 3600, "core_hours": 60 / 3600}


@pytest.mark.parametrize(
    "need", [Need(cores=5), Need(gpus=1), Need(memory=51), Need(0, 2, gpus=1), Need(1, 3, memory=20)]
)
def test_each_kind_of_resource_counts(need: Need) -> None:
    gpus = max(need.tasks, 1)
    queue = SimQueue(1, 9, gpus, 100)
    queue.submit([(f"a.{n}", need, recipe(10)) for n in range(3)], 0)
    assert list(starts(drain(queue)).values()) == [0, 10, 20]


def test_small_jobs_pass_one_that_waits_but_not_for_ever() -> None:
    queue = SimQueue(2, 1)
    queue.submit([("long.0", Need(), recipe(10_000)), ("wide.0", Need(2, 2), recipe(10))], 0)
    queue.submit([(f"small.{n}", Need(), recipe(1000)) for n in range(9)], 0)
    begun = starts(drain(queue))
    passed = [name for name, time in begun.items() if name.startswith("small") and time < begun["wide.0"]]
    assert begun["wide.0"] == 10_000
    assert passed == [f"small.{n}" for n in range(4)]
    assert 3 * 1000 < PATIENCE <= 4 * 1000


def test_what_never_fits_is_an_exception_and_holds_up_nobody() -> None:
    queue = SimQueue(2, 4, gpus=1, memory=100)
    wants = {
        "cores.0": Need(cores=5),
        "nodes.0": Need(3, 3),
        "gpus.0": Need(gpus=2),
        "memory.0": Need(memory=101),
        "tasks.0": Need(0, 9),
        "avoid.0": Need(2, 2, avoid=frozenset({"n1"})),
    }
    queue.submit([(name, need, recipe(1)) for name, need in wants.items()], 0)
    queue.submit([("free.0", Need(0, 8), recipe(1))], 0)
    events = drain(queue)
    assert starts(events) == {"free.0": 0}
    for name in wants:
        assert names(events, name) == ["submit", "exception", "clean"]
    assert {event.context["type"] for event in events if event.name == "exception"} == {"alloc"}


def test_tasks_are_spread_evenly_or_placed_freely() -> None:
    queue = SimQueue(3, 4)
    queue.submit([("even.0", Need(2, 5), recipe(1)), ("free.0", Need(0, 7), recipe(1))], 0)
    hosts = {event.job: event.context["hosts"] for event in drain(queue) if event.name == "alloc"}
    assert len(hosts["even.0"]) == 2
    assert len(hosts["free.0"]) == 3


def test_limits_failures_and_cancelling() -> None:
    queue = SimQueue(4, 1)
    queue.submit([("late.0", Need(), recipe(100, 60)), ("bad.0", Need(), recipe(5, fail=1, status=3))], 0)
    queue.submit([("long.0", Need(), recipe(100)), ("slow.0", Need(), recipe(5, startup=30))], 0)
    queue.submit([("waits.0", Need(), recipe(1))], 0)
    events = queue.advance(0)
    queue.cancel(["long.0", "slow.0", "waits.0", "nobody.0"], 2)
    events += drain(queue, 2)
    assert names(events, "late.0") == ["submit", "alloc", "start", "exception", "finish", "clean"]
    told = {(event.job, event.name): (event.time, dict(event.context)) for event in events}
    assert told["late.0", "exception"][0] == 60
    assert told["late.0", "exception"][1]["type"] == "timeout"
    assert told["bad.0", "finish"] == (5, {"status": 3 << 8})
    assert names(events, "long.0") == ["submit", "alloc", "start", "exception", "finish", "clean"]
    assert names(events, "slow.0") == ["submit", "alloc", "exception", "clean"]
    assert names(events, "waits.0") == ["submit", "exception", "clean"]


def test_shrinking_takes_idle_nodes_first_and_the_rest_as_they_end() -> None:
    queue = SimQueue(4, 2)
    queue.submit([(f"a.{n}", Need(cores=2), recipe(10 * (n + 1))) for n in range(3)], 0)
    queue.advance(0)
    queue.resize(1, 5)
    assert queue.size == 1
    queue.submit([("b.0", Need(), recipe(1))], 5)
    events = drain(queue, 5)
    # Two of the three that run are on nodes that go; the one that stays takes the next job when it is free.
    assert starts(events)["b.0"] in (10, 20, 30)
    assert len(queue._free) == 1
    assert queue.sizes == [(0.0, 4), (5, 1)]
    queue.resize(3, 40)
    queue.submit([("c.0", Need(3, 3), recipe(1))], 40)
    assert starts(drain(queue, 40)) == {"c.0": 40}


def test_a_node_that_was_to_go_stays_if_it_is_wanted_again() -> None:
    queue = SimQueue(2, 1)
    queue.submit([("a.0", Need(), recipe(10)), ("a.1", Need(), recipe(10))], 0)
    queue.advance(0)
    queue.resize(1, 1)
    queue.resize(2, 2)
    queue.submit([("b.0", Need(2, 2), recipe(1))], 3)
    assert starts(drain(queue, 3)) == {"b.0": 10}
    assert queue.usage(11)["node_hours"] == 22 / 3600


def test_jobs_that_need_more_than_is_left_wait_and_pass_none_off() -> None:
    queue = SimQueue(2, 1)
    queue.submit([("a.0", Need(), recipe(10)), ("wide.0", Need(2, 2), recipe(1))], 0)
    queue.advance(0)
    queue.resize(1, 1)
    queue.submit([(f"b.{n}", Need(), recipe(PATIENCE)) for n in range(3)], 1)
    begun = starts(drain(queue, 1))
    assert list(begun) == ["b.0", "b.1", "b.2"]
    assert queue.stuck() == 1


def test_a_lost_node_is_named() -> None:
    queue = SimQueue(1, 1)
    queue.submit([("a.0", Need(), recipe(1e6, node_failure=3.0))], 0)
    (lost,) = [event for event in drain(queue) if event.name == "exception"]
    assert (lost.context["type"], lost.context["note"]) == ("node-lost", "n0 was lost")
    assert 0 < lost.time < 1e6


def test_many_arrivals_come_in_parts_and_in_order() -> None:
    queue = SimQueue(10, 10)
    queue.submit([(f"a.{n}", Need(), recipe(1)) for n in range(25_000)], 0)
    assert len(queue.advance(0)) == 10_000
    queue.cancel(["a.24999"], 0)
    events = drain(queue, 0)
    assert sum(event.name == "clean" for event in events) == 25_000
    assert names(events, "a.24999") == ["submit", "exception", "clean"]
    begun = list(starts(events))
    assert begun == [f"a.{n}" for n in range(24_999)]
