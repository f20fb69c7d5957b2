"""The Flux member on a real instance of its own, which is given faults."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ensemble.errors import MemberError
from ensemble.events import Event
from ensemble.job import Job, Known, Spec
from ensemble.member import Options, SubmitLimit, Unreachable
from ensemble.members.flux import FluxMember
from ensemble.testing import SCENARIOS, Scenario, Session, check_member

RUNS = map("run{}".format, itertools.count())


class Instance:
    """A throwaway instance of `size` brokers."""

    def __init__(self, size: int) -> None:
        program = shutil.which("flux")
        if not program:
            pytest.skip("no flux on this machine")
        probe = subprocess.run([sys.executable, "-c", "import flux.job"], capture_output=True)
        if probe.returncode:
            pytest.skip(
                "flux is here, but its Python bindings are not: pip install flux-python of its version, and ply"
            )
        outside = {key: value for key, value in os.environ.items() if not key.startswith("FLUX_")}
        self.process = subprocess.Popen(
            [program, "start", f"--test-size={size}", "sh", "-c", "echo $FLUX_URI; read -r end"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env=outside,
        )
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        assert ready, "the instance did not come up"
        self.uri = self.process.stdout.readline().strip()

    def __call__(self, *arguments: str) -> str:
        """What a command, such as `jobs -a`, prints in this instance."""
        return subprocess.run(
            ["flux", *arguments],
            env={**os.environ, "FLUX_URI": self.uri},
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        ).stdout

    def member(self, run: str = "", **settings: Any) -> FluxMember:
        return FluxMember(Options(run=run or next(RUNS), interval=0.2, settings={"uri": self.uri, **settings}))

    def check(self, scenario: Scenario, **settings: Any) -> None:
        run = next(RUNS)
        check_member(scenario, lambda: self.member(run, **settings))

    def kill(self, rank: int) -> None:
        os.kill(int(self("exec", "-r", str(rank), "flux", "getattr", "broker.pid")), signal.SIGKILL)

    def end(self) -> None:
        """Let its first program end, and with it the brokers; a broken instance does so by itself or is killed."""
        try:
            self.process.communicate("end\n", timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


@pytest.fixture(scope="module")
def flux() -> Iterator[Instance]:
    instance = Instance(2)
    yield instance
    instance.end()


@pytest.fixture
def fresh() -> Iterator[Callable[[int], Instance]]:
    """Instances that a test may break."""
    made: list[Instance] = []

    def start(size: int) -> Instance:
        made.append(Instance(size))
        return made[-1]

    yield start
    for instance in made:
        instance.end()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract(scenario: Scenario, flux: Instance) -> None:
    flux.check(scenario)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract_without_the_journal(scenario: Scenario, flux: Instance) -> None:
    flux.check(scenario, journal=False)


def exceptions(session: Session) -> list[tuple[str, str]]:
    return [(event.context["type"], event.context["note"]) for event in session.events if event.name == "exception"]


async def the_course_has_all_of_flux(session: Session) -> None:
    names = await session.submit(["true"])
    await session.outcomes(names)
    found = [event.name for event in session.events]
    assert [name for name in found if name != "annotations"] == [
        "submit",
        "validate",
        "depend",
        "priority",
        "alloc",
        "start",
        "finish",
        "release",
        "free",
        "clean",
    ]
    (alloc,) = [event for event in session.events if event.name == "alloc"]
    assert len(alloc.context["hosts"]) == 1
    assert session.member.where(names[0]).endswith(str(session.events[0].context["id"]))


async def more_than_are_in_flight(session: Session) -> None:
    names = await session.submit(["true"], count=600)
    await session.until("submit", names)
    assert sum(event.name == "submit" for event in session.events) == 600
    await session.member.cancel(names)
    await session.until("clean", names)


async def spread_over_nodes(session: Session) -> None:
    names = await session.submit(["true"], nodes=2, tasks=3)
    assert await session.outcomes(names) == {"success"}
    (alloc,) = [event for event in session.events if event.name == "alloc"]
    assert len(alloc.context["hosts"]) == 2
    names = await session.submit(["true"], nodes=2, tasks=1)
    assert await session.outcomes(names) == {"exception"}
    assert exceptions(session)[0][0] == "submit"


async def it_never_fits(session: Session) -> None:
    names = await session.submit(["true"], nodes=77, tasks=77)
    assert await session.outcomes(names) == {"exception"}
    assert exceptions(session)[0][0] == "alloc"


async def strangers_are_ignored(session: Session) -> None:
    other = FluxMember(Options(run=next(RUNS), settings=session.member.options.settings))
    told: list[Event] = []
    await other.open(told.append, print)
    names = await session.submit(["true"], count=3)
    assert await session.outcomes(names) == {"success"}
    assert set(await other.adopt([Known(session.jobs[name]) for name in names])) == set(names)
    await other.cancel(names)
    await other.close()
    assert told == []


async def an_attribute_reaches_flux_and_no_parent_leaks(session: Session) -> None:
    script = 'echo "$FLUX_URI $WHAT"; flux job info $FLUX_JOB_ID jobspec'
    names = await session.submit(
        ["sh", "-c", script],
        environment={"WHAT": "it"},
        attributes={"burstable": True, "group": "no", "mine": 3},
        memory=5,
    )
    await session.outcomes(names)
    text = (await session.output(names[0])).decode()
    first, _, jobspec = text.partition("\n")
    assert first.endswith(" it")
    assert first.startswith("local://")
    attributes = json.loads(jobspec)["attributes"]
    user = attributes["user"]
    assert (user["mine"], user["group"], user["ensemble"]["memory"]) == (3, "group-0", 5)
    assert attributes["system"]["burstable"] is True  # there flux-burst looks for it


@pytest.mark.parametrize(
    "scenario",
    [
        the_course_has_all_of_flux,
        more_than_are_in_flight,
        spread_over_nodes,
        it_never_fits,
        strangers_are_ignored,
        an_attribute_reaches_flux_and_no_parent_leaks,
    ],
    ids=lambda scenario: scenario.__name__,
)
def test_flux_alone(scenario: Scenario, flux: Instance) -> None:
    flux.check(scenario)


def test_output_goes_to_files(flux: Instance, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("given\n")

    async def scenario(session: Session) -> None:
        names = await session.submit(
            ["sh", "-c", "cat; echo bad >&2"], workdir=str(tmp_path), stdin="in", output="job.out"
        )
        assert await session.outcomes(names) == {"success"}
        assert await session.output(names[0]) == b"given\n"
        assert await session.member.read(names[0], "err", -4) == b"bad\n"
        assert session.member.where(names[0]) == str(tmp_path / "job.err")

    flux.check(scenario)
    assert (tmp_path / "job.out").read_text() == "given\n"


def test_foreign_jobs_are_told_where_they_are_asked_for(flux: Instance) -> None:
    async def scenario(session: Session) -> None:
        flux("run", "--setattr=user.group=theirs", "true")
        flux("run", "--job-name=named", "true")
        found = {event.job.rpartition(".")[0] for event in session.events if event.name == "submit"}
        async with asyncio.timeout(20):
            while {event.name for event in session.events if event.job.startswith("named.")}.isdisjoint({"clean"}):
                await asyncio.sleep(0.05)
        found = {event.job.rpartition(".")[0] for event in session.events if event.name == "submit"}
        assert found == {"theirs", "named"}
        assert all(event.context["foreign"] for event in session.events if event.name == "submit")

    flux.check(scenario, foreign=True)


def test_a_purged_job_is_absent_and_a_kept_one_is_not(flux: Instance) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["true"])
        await session.outcomes(names)
        known = [Known(session.jobs[names[0]], str(session.events[0].context["id"]), "start")]
        session.events.clear()
        assert not await session.member.adopt(known)
        assert [event.name for event in session.events][:1] == ["finish"]
        flux("job", "purge", "--force", "--num-limit=0")
        assert set(await session.member.adopt(known)) == set(names)

    flux.check(scenario)


def test_submission_that_is_disabled_is_a_limit(flux: Instance) -> None:
    async def scenario(session: Session) -> None:
        flux("queue", "disable", "--all", "-m", "closed for now")
        try:
            with pytest.raises(SubmitLimit, match="closed for now"):
                await session.submit(["true"])
        finally:
            flux("queue", "enable", "--all")
        assert not session.events

    flux.check(scenario)


def test_a_lost_node_and_the_rest(fresh: Callable[[int], Instance]) -> None:
    instance = fresh(3)

    async def scenario(session: Session) -> None:
        names = await session.submit(["sleep", "60"], nodes=3, tasks=3)
        await session.until("start", names)
        await asyncio.to_thread(instance.kill, 2)
        assert await session.outcomes(names) == {"exception"}
        kind, note = exceptions(session)[0]
        assert kind == "node-lost"
        assert "rank 2" in note

    instance.check(scenario)


def test_a_broker_that_is_just_starting_is_unreachable(
    flux: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of its attributes are set after it has begun to answer."""
    monkeypatch.setenv("FLUX_URI", flux.uri)

    def attributes(connection: Any, answer: Any) -> None:
        answer({"size": connection.attribute("size"), "hostlist": connection.attribute("no-such-attribute")})

    monkeypatch.setattr("ensemble.members.flux._attributes", attributes)
    with pytest.raises(Unreachable, match="attributes can't be had"):
        asyncio.run(FluxMember(Options("r", tmp_path)).open(print, print))


def test_a_broker_that_dies_is_unreachable(fresh: Callable[[int], Instance]) -> None:
    instance = fresh(1)

    async def scenario() -> None:
        member = instance.member()
        session = Session(lambda: member)
        await member.open(session.emit, session.lost)
        names = await session.submit(["sleep", "60"])
        await session.until("start", names)
        await asyncio.to_thread(instance.kill, 0)
        with pytest.raises(Unreachable):
            await session.until("clean", names)
        for act in (session.submit(["true"]), member.adopt(session.known(names)), member.open(print, print)):
            with pytest.raises(Unreachable):
                await act
        await member.close()

    asyncio.run(scenario())


def test_connecting_again_repeats_and_loses_nothing(flux: Instance) -> None:
    async def scenario(session: Session) -> None:
        names = []
        for _ in range(3):
            names += await session.submit(["sleep", "0.2"], count=10)
            await session.member.open(session.emit, session.lost)
            assert not await session.member.adopt(session.known(names))
        assert await session.outcomes(names) == {"success"}
        assert 3 <= session.member.calls["job-manager.events-journal"] <= 6

    flux.check(scenario)


DYING = """
import asyncio, sys
from ensemble.job import Job, Spec
from ensemble.member import Options
from ensemble.members.flux import FluxMember

async def main():
    uri, run, journal = sys.argv[1:]
    member = FluxMember(Options(run=run, interval=0.1, settings={"uri": uri, "journal": journal == "True"}))
    await member.open(lambda event: print(event.name, flush=True), print)
    names = [f"true.{n}" for n in range(200)]
    await member.submit([Job(name, f"{run}-{name}", Spec(run, ("true",))) for name in names])
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize(("after", "journal"), [(0, True), (1, True), (40, True), (0, False), (40, False)])
def test_killed_while_it_submits_no_job_is_lost_or_doubled(after: int, journal: bool, flux: Instance) -> None:
    run = f"{next(RUNS)}x"  # no other starts with it
    command = [sys.executable, "-c", DYING, flux.uri, run, str(journal)]
    doomed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert doomed.stdout
    with doomed.stdout as lines:
        if after:
            list(itertools.islice(lines, after))
        else:
            time.sleep(0.4)  # it is anywhere
        doomed.kill()
        doomed.wait()
    jobs = {f"true.{n}": Job(f"true.{n}", f"{run}-true.{n}", Spec(run, ("true",))) for n in range(200)}

    async def finish() -> None:
        member = flux.member(run, journal=journal)
        session = Session(lambda: member)
        session.jobs = jobs
        await member.open(session.emit, session.lost)
        absent = await member.adopt([Known(job) for job in jobs.values()])
        await member.submit([jobs[name] for name in absent])
        try:
            await session.until("submit", jobs)
        finally:
            await member.close()

    asyncio.run(finish())
    found = flux("jobs", "-a", "-c0", "-n", "-o", "{name}").split()
    assert sum(name.startswith(run) for name in found) == 200


def test_without_the_journal_one_call_an_interval_does_for_all(flux: Instance) -> None:
    async def scenario(session: Session) -> None:
        begun = time.monotonic()
        names = await session.submit(["true"], count=60)
        assert await session.outcomes(names) == {"success"}
        assert 0 < session.member.calls["job-list.list"] <= (time.monotonic() - begun) / 0.2 + 1
        (hosts,) = {tuple(event.context["hosts"]) for event in session.events if event.name == "alloc"}
        assert len(hosts) == 1
        bad = await session.submit(["true"], nodes=77, tasks=77)
        assert await session.outcomes(bad) == {"exception"}
        assert exceptions(session)[0][0] == "alloc"

    flux.check(scenario, journal=False)
    with pytest.raises(MemberError, match="owner"):
        flux.check(scenario, journal=False, foreign=True)


@pytest.mark.parametrize("journal", [True, False])
def test_jobs_that_ended_are_found_by_their_ids_without_the_history(journal: bool, flux: Instance) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["sh", "-c", "exit 2"], count=3)
        await session.until("submit", names)
        known = [Known(each.job, each.id) for each in session.known(names)]
        await session.member.close(leave=True)
        flux("queue", "drain")
        session.events.clear()
        session.member = session.make()
        await session.member.open(session.emit, session.lost)
        assert not await session.member.adopt(known)
        assert await session.outcomes(names) == {"failed"}
        assert session.member.calls["job-manager.events-journal"] == journal
        assert {len(event.context["hosts"]) for event in session.events if event.name == "alloc"} == {1}

    flux.check(scenario, journal=journal)


def test_an_instance_within_a_job_is_named_by_its_id(
    flux: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = tmp_path / "up"
    jobid = flux("submit", "-n1", "flux", "start", "sh", "-c", 'touch "$0"; exec sleep inf', str(up)).strip()
    try:
        for _ in range(200):
            if up.exists():
                break
            time.sleep(0.1)
        monkeypatch.setenv("FLUX_URI", flux.uri)
        run = next(RUNS)

        async def scenario(session: Session) -> None:
            names = await session.submit(["sh", "-c", "flux getattr instance-level"])
            assert await session.outcomes(names) == {"success"}
            assert await session.output(names[0]) == b"1\n"

        check_member(scenario, lambda: FluxMember(Options(run=run, settings={"uri": jobid})))
    finally:
        flux("cancel", jobid)


def test_a_host_is_avoided(flux: Instance) -> None:
    async def scenario(session: Session) -> None:
        (host,) = set(flux("hostlist", "-e", "avail").split())  # all brokers are on this one
        for number, (avoid, wanted) in enumerate([((host,), "exception"), (("elsewhere",), "success")]):
            name = f"avoiding.{number}"
            job = Job(name, f"{session.member.options.run}-{name}", Spec("avoiding", ("true",)), avoid)
            session.jobs[name] = job
            await session.member.submit([job])
            assert await session.outcomes([name]) == {wanted}
        assert exceptions(session)[0][0] == "alloc"

    flux.check(scenario)


def test_a_missing_workdir_is_told(flux: Instance) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["true"], workdir="/no/such/place")
        found = await session.outcomes(names)
        told = (await session.output(names[0], "err")).decode()
        assert found == {"failed"}
        assert "/no/such/place" in told

    flux.check(scenario)


@pytest.mark.parametrize("settings", [{"nonsense": 1}, {"uri": 5}, {"foreign": "yes"}, {"journal": "no"}])
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(MemberError):
        FluxMember(Options(settings=settings))
