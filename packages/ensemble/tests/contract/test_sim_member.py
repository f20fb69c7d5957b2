"""The simulated queue behind the contract of a member.

Left out, as nothing is run: `a_command_is_missing`, `environment_and_workdir`, `output_and_errors_are_kept` and
`output_is_read_while_it_runs`. What a script would do is said by a model instead. Time goes twice as fast, so that
a job of a minute is there to be cancelled.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ensemble.errors import MemberError
from ensemble.member import Options
from ensemble.members.sim import SimMember
from ensemble.testing import SCENARIOS, Scenario, Session, check_member

LEFT_OUT = {
    "a_command_is_missing",
    "environment_and_workdir",
    "output_and_errors_are_kept",
    "output_is_read_while_it_runs",
}
MODELS: dict[str, Any] = {
    "a_job_fails": {"*": {"duration": 0.1, "fail": 1, "status": 3}},
    "a_job_that_ended_meanwhile_is_adopted": {"group-1": {"duration": 0.5, "fail": 1, "status": 3}},
}


def member(folder: Path | None, **settings: Any) -> SimMember:
    return SimMember(Options(folder=folder, settings={"nodes": 2, "cores": 4, **settings}))


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in SCENARIOS if scenario.__name__ not in LEFT_OUT],
    ids=lambda scenario: scenario.__name__,
)
def test_contract(scenario: Scenario, tmp_path: Path) -> None:
    check_member(scenario, lambda: member(tmp_path, speed=2, models=MODELS.get(scenario.__name__, {})))


def test_nothing_is_left_out_that_is_not_there() -> None:
    assert {scenario.__name__ for scenario in SCENARIOS} >= LEFT_OUT


async def many_jobs(session: Session) -> None:
    names = await session.submit(["sleep", "3600"], count=500)
    assert await session.outcomes(names) == {"success"}
    times = [event.time for event in session.events]
    assert times == sorted(times)
    assert round(times[-1] - times[0]) == -(-500 // 8) * 3600


@pytest.mark.parametrize("kept", [True, False])
def test_as_fast_as_possible_hours_take_no_time(kept: bool, tmp_path: Path) -> None:
    check_member(many_jobs, lambda: member(tmp_path if kept else None))


async def resized(session: Session) -> None:
    await session.member.resize(0)
    names = await session.submit(["sleep", "1"], count=3, nodes=1, cores=4)
    await session.until("submit", names)
    assert not any(event.name == "alloc" for event in session.events)
    await session.member.resize(3)
    assert session.member.size == 3
    assert await session.outcomes(names) == {"success"}
    hosts = [event.context["hosts"] for event in session.events if event.name == "alloc"]
    assert sorted(map(str, hosts)) == ["['n0']", "['n1']", "['n2']"]
    with pytest.raises(MemberError, match="from 0 to 4 nodes, not 5"):
        await session.member.resize(5)


def test_it_grows_and_shrinks(tmp_path: Path) -> None:
    check_member(resized, lambda: member(tmp_path, max_nodes=4))


async def application_metrics(session: Session) -> None:
    names = await session.submit(["lmp"], metrics=True)
    assert await session.outcomes(names) == {"success"}
    told = [event.context["values"] for event in session.events if event.name == "metric"]
    assert told == [[["temperature", 150.0]], [["temperature", 200.0]]]


def test_application_metrics_are_events(tmp_path: Path) -> None:
    curve = {"start": 100, "end": 200, "steps": 2}
    models = {"*": {"duration": 10, "metrics": {"temperature": curve}}}
    check_member(
        lambda session: _without_metrics(session, application_metrics), lambda: member(tmp_path, models=models)
    )


async def _without_metrics(session: Session, scenario: Scenario) -> None:
    """The course of a job is that of the contract beside them."""
    outcomes = session.outcomes

    async def checked(names: list[str]) -> set[str]:
        await session.until("clean", names)
        every = session.events
        session.events = [event for event in every if event.name != "metric"]
        found = await outcomes(names)
        session.events = every
        return found

    session.outcomes = checked  # type: ignore[method-assign]
    await scenario(session)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"node": 3}, "node: unknown setting; did you mean 'nodes'"),
        ({"nodes": 0}, "nodes: "),
        ({"speed": "fast"}, "speed: it is max, or"),
        ({"models": {"a": {"fail": 2}}}, "models.a.fail: it is from 0 to 1, not 2"),
        ({"like": "/no/such/run"}, "like: /no/such/run is no directory of a run"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(MemberError) as caught:
        SimMember(Options(settings=settings))
    assert says in str(caught.value)


KILLED = """
import asyncio, json, os, signal, sys
from pathlib import Path
from ensemble.job import Job, Spec
from ensemble.member import Options
from ensemble.members.sim import SimMember

async def main(folder, after):
    def emit(event):
        print(json.dumps([event.job, event.name, event.time]), flush=True)
        if after and len(told) >= after:
            os.kill(os.getpid(), signal.SIGKILL)
        told.append(event)
    told = []
    models = {"*": {"duration": 60, "spread": 0.5, "fail": 0.1}}
    member = SimMember(Options(folder=folder, settings={"nodes": 3, "cores": 2, "models": models}))
    await member.open(emit, print)
    jobs = [Job(f"a.{n}", f"run-a.{n}", Spec("a", ("x",))) for n in range(40)]
    await member.submit(jobs)
    while sum(event.name == "clean" for event in told) < 40:
        await asyncio.sleep(0)

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


@pytest.mark.parametrize("after", [1, 30, 77, 150])
def test_after_a_kill_it_is_the_same_simulation(after: int, tmp_path: Path) -> None:
    """What was told before the kill and what is told after it are one unbroken simulation."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()

    def told(folder: str, after: int) -> list[list[Any]]:
        command = [sys.executable, "-c", KILLED, str(tmp_path / folder), str(after)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == (-signal.SIGKILL if after else 0), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def course(events: list[list[Any]]) -> dict[str, list[Any]]:
        start = events[0][2]
        return {
            f"a.{number}": [[name, round(time - start, 3)] for job, name, time in events if job == f"a.{number}"]
            for number in range(40)
        }

    whole = course(told("whole", 0))
    before = told("killed", after)
    with (tmp_path / "killed" / "sim.jsonl").open("a") as log:
        log.write('{"at": 12')  # the line that it was writing

    async def rest() -> list[list[Any]]:
        from ensemble.job import Job, Known, Spec

        events: list[list[Any]] = []
        settings = {"nodes": 3, "cores": 2}
        again = SimMember(Options(folder=tmp_path / "killed", settings=settings))
        await again.open(lambda event: events.append([event.job, event.name, event.time]), print)
        known = []
        for name in whole:
            seen = [event for job, event, _ in before if job == name]
            if "clean" not in seen:
                known.append(Known(Job(name, f"run-{name}", Spec("a", ("x",))), "", seen[-1] if seen else ""))
        assert not await again.adopt(known)
        async with asyncio.timeout(20):
            while sum(name == "clean" for _, name, _ in before + events) < 40:
                await asyncio.sleep(0)
        await again.close()
        return events

    after_it = asyncio.run(rest())
    assert course(before + after_it) == whole
    assert os.stat(tmp_path / "killed" / "sim.jsonl").st_mode & 0o77 == 0
