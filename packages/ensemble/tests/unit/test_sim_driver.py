"""The driver with an engine that is only what it asks for: timers, a cluster that changes, ends that are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ensemble.events import Event
from ensemble.job import Spec
from ensemble.results import Command
from ensemble.sim.models import Models
from ensemble.sim.queue import SimQueue
from ensemble.sim.simulate import Simulation, Summary, machine_for


class Stub:
    """Gives the commands that a table has for an event, and is done after as many jobs."""

    def __init__(self, commands: dict[str, list[Command]], jobs: int, timers: list[float]) -> None:
        self.commands, self.jobs, self.timers = commands, jobs, timers
        self.events: list[Event] = []

    def handle(self, event: Event) -> list[Command]:
        self.events.append(event)
        self.jobs -= event.name == "clean"
        if event.name == "tick":
            assert event.time == self.timers.pop(0)
        return self.commands.pop(event.name, [])

    @property
    def next_timer(self) -> float | None:
        return self.timers[0] if self.timers else None

    @property
    def done(self) -> bool:
        return not self.jobs


def run(stub: Stub, queue: SimQueue, spec: Spec, **options: Any) -> Summary:
    pause: Callable[[float], None] | None = options.pop("pause", None)
    models = options.pop("models", Models())
    simulation = Simulation(stub, queue, models, lambda name: spec, lambda command: Event("x", 0), pause=pause)
    return simulation.run(**options)


def submit(count: int) -> Command:
    return Command("submit", "a", tuple(f"a.{number}" for number in range(count)))


def test_timers_come_in_their_time_and_nodes_are_added() -> None:
    stub = Stub({"start": [submit(8)], "tick": [Command("resize", nodes=4)]}, 8, [5.0, 15.0])
    summary = run(stub, SimQueue(1, 1), Spec("a", ("sleep", "10")))
    times = [event.time for event in stub.events]
    assert times == sorted(times)
    starts = [event.time for event in stub.events if event.name == "start" and event.job]
    assert starts == [0, 5, 5, 5, 10, 15, 15, 15]
    assert summary.sizes == [(0.0, 1), (5.0, 4)]
    assert summary.makespan == 25
    assert summary.usage["node_hours"] == pytest.approx((5 + 4 * 20) / 3600)
    assert summary.usage["core_hours"] == pytest.approx(80 / 3600)


def test_what_waits_for_nodes_that_never_come_is_stuck() -> None:
    stub = Stub({"start": [submit(2)]}, 2, [])
    summary = run(stub, SimQueue(1, 1, most=2), Spec("a", ("sleep", "1"), nodes=2, tasks=2))
    assert (summary.ended, summary.stuck, summary.waiting) == ("stuck", 2, 2)


def test_an_engine_that_waits_for_nothing_is_stuck_too() -> None:
    summary = run(Stub({}, 1, []), SimQueue(1, 1), Spec("a", ("true",)))
    assert (summary.ended, summary.stuck) == ("stuck", 0)


def test_it_stops_at_its_limit() -> None:
    summary = run(Stub({"start": [submit(1)]}, 1, []), SimQueue(1, 1), Spec("a", ("sleep", "100")), limit=30)
    assert (summary.ended, summary.makespan, summary.running) == ("time", 30, 1)
    assert summary.usage["busy_node_hours"] == pytest.approx(30 / 3600)
    assert summary.usage["core_hours"] == pytest.approx(30 / 3600)


def test_at_a_speed_every_virtual_second_is_waited_for() -> None:
    waited: list[float] = []
    run(Stub({"start": [submit(3)]}, 3, []), SimQueue(1, 1), Spec("a", ("sleep", "7")), pause=waited.append)
    assert sum(waited) == 21


def test_the_least_machine_holds_every_job() -> None:
    specs = [
        Spec("a", ("x",), nodes=2, tasks=5, cores=2),
        Spec("b", ("x",), gpus=2),
        Spec("c", ("x",), nodes=0, tasks=13),
    ]
    assert machine_for(specs) == (3, 6, 2)
    assert machine_for([]) == (1, 1, 0)
