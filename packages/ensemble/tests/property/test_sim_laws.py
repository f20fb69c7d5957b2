"""The simulated queue under anything that can be asked of it: it keeps to its nodes, and each job ends once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.events import COURSE, Event
from ensemble.sim.models import Model, Recipe
from ensemble.sim.queue import Need, SimQueue

CORES, GPUS, MEMORY = 8, 2, 100
needs = st.builds(
    lambda nodes, more, **rest: Need(nodes, max(nodes, 1) + more, **rest),
    nodes=st.integers(0, 4),
    more=st.integers(0, 5),
    cores=st.integers(1, 5),
    gpus=st.integers(0, 1),
    memory=st.integers(0, 60),
    avoid=st.sampled_from([frozenset(), frozenset({"n0"})]),
)
recipes = st.builds(
    Recipe,
    st.builds(
        Model,
        spread=st.sampled_from([0.0, 0.3]),
        distribution=st.sampled_from(["constant", "normal", "lognormal", "exponential"]),
        fail=st.sampled_from([0.0, 0.5]),
        startup=st.sampled_from([0.0, 2.5]),
        node_failure=st.sampled_from([0.0, 20.0]),
        preemption=st.sampled_from([0.0, 20.0]),
    ),
    st.sampled_from([0.0, 10.0, 100.0]),
    st.sampled_from([0, 50]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), needs, recipes, st.integers(1, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("resize"), st.integers(0, 8)),
        st.tuples(st.just("pass"), st.integers(1, 5)),
    ),
    max_size=25,
)


class Watch:
    """Replays the events against a plain account of what each node holds."""

    def __init__(self, queue: SimQueue) -> None:
        self.queue = queue
        self.needs: dict[str, Need] = {}
        self.seen: dict[str, list[str]] = {}
        self.held: dict[str, list[str]] = {}
        self.last = 0.0

    def take(self, events: list[Event]) -> None:
        for event in events:
            assert event.time >= self.last
            self.last = event.time
            seen = self.seen.setdefault(event.job, [])
            assert "clean" not in seen
            seen.append(event.name)
            if event.name == "alloc":
                hosts = list(event.context["hosts"])
                need = self.needs[event.job]
                assert not need.avoid.intersection(hosts)
                assert len(set(hosts)) == len(hosts)
                assert not need.nodes or len(hosts) == need.nodes
                self.held[event.job] = hosts
            elif event.name == "clean":
                self.held.pop(event.job, None)
        used: Counter[str] = Counter()
        for job, hosts in self.held.items():
            need = self.needs[job]
            for place, host in enumerate(hosts):
                if need.nodes:
                    tasks = need.tasks // need.nodes + (place < need.tasks % need.nodes)
                    used[host] += tasks * need.cores
        assert all(cores <= CORES for cores in used.values())
        left = sum(free[0] for free in self.queue._free.values())
        running = sum(self.needs[job].tasks * self.needs[job].cores for job in self.held)
        assert left + running == CORES * len(self.queue._free)
        assert all(min(free) >= 0 for free in self.queue._free.values())


def play(script: list[tuple[Any, ...]]) -> tuple[Watch, list[Event], float]:
    queue = SimQueue(4, CORES, GPUS, MEMORY, most=8)
    watch, told, now, count = Watch(queue), [], 0.0, 0

    def happen(most: int) -> float:
        time = now
        for _ in range(most):
            if (then := queue.next_time(time)) is None:
                break
            time = then
            events = queue.advance(time)
            watch.take(events)
            told.extend(events)
        return time

    for step in script:
        match step:
            case ("submit", need, recipe, number):
                names = [f"g.{n}" for n in range(count, count + number)]
                count += number
                watch.needs |= dict.fromkeys(names, need)
                queue.submit([(name, need, recipe) for name in names], now)
            case ("cancel", number):
                queue.cancel([f"g.{number}", "stranger.1"], now)
            case ("resize", nodes):
                queue.resize(nodes, now)
            case ("pass", most):
                now = happen(most)
    queue.resize(8, now)
    now = happen(10_000)
    return watch, told, now


@given(steps)
@settings(max_examples=150, deadline=None)
def test_every_job_ends_once_and_nodes_are_never_overfull(script: list[tuple[Any, ...]]) -> None:
    watch, told, now = play(script)
    queue = watch.queue
    assert queue.next_time(now) is None
    assert set(watch.seen) == set(watch.needs)
    for name, seen in watch.seen.items():
        assert seen[0] == "submit"
        assert seen[-1] == "clean", (name, seen)
        course = [event for event in seen if event in COURSE]
        assert course == sorted(set(course), key=COURSE.index)
    assert (queue.running, queue.waiting, queue.names) == (0, 0, ())
    assert queue._busy == 0
    usage = queue.usage(now)
    assert usage["busy_node_hours"] <= usage["node_hours"] + 1e-9
    assert usage["core_hours"] <= usage["busy_node_hours"] * CORES + 1e-9
    assert told == play(script)[1]  # the same is asked for, the same happens
