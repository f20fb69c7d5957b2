"""The Flux member with sub-instances, on a real instance, of which some are taken away."""

from __future__ import annotations

import asyncio
import itertools
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ensemble.errors import MemberError
from ensemble.job import Job, Known, Spec
from ensemble.member import Member, Options, Unreachable
from ensemble.members.flux import MEMBER
from ensemble.testing import SCENARIOS, Scenario, Session, check_member

RUNS = map("subs{}".format, itertools.count())
TWO = {"instances": 2, "instance": {"cores": 1}}


class Enclosing:
    """A throwaway instance of two brokers."""

    def __init__(self) -> None:
        program = shutil.which("flux")
        if not program:
            pytest.skip("no flux on this machine")
        if subprocess.run([sys.executable, "-c", "import flux.job"], capture_output=True).returncode:
            pytest.skip("flux is here, but its Python bindings are not")
        self.process = subprocess.Popen(
            [program, "start", "--test-size=2", "sh", "-c", "echo $FLUX_URI; read -r end"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={key: value for key, value in os.environ.items() if not key.startswith("FLUX_")},
        )
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        assert ready, "the instance did not come up"
        self.uri = self.process.stdout.readline().strip()

    def __call__(self, *arguments: str) -> str:
        environ = {**os.environ, "FLUX_URI": self.uri}
        return subprocess.run(
            ["flux", *arguments], env=environ, check=True, capture_output=True, text=True, timeout=30
        ).stdout

    def member(self, run: str, folder: Path | None = None, **settings: Any) -> Member:
        return MEMBER(Options(run=run, folder=folder, interval=0.2, settings={"uri": self.uri, **TWO, **settings}))

    def check(self, scenario: Scenario, folder: Path | None = None, **settings: Any) -> None:
        run = next(RUNS)
        check_member(scenario, lambda: self.member(run, folder, **settings))

    def idle(self) -> None:
        """Wait until what a test before this one has left is gone."""
        self("queue", "idle", "--timeout=20s")

    def end(self) -> None:
        try:
            self.process.communicate("end\n", timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


@pytest.fixture(scope="module")
def flux() -> Iterator[Enclosing]:
    instance = Enclosing()
    yield instance
    instance.end()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract(scenario: Scenario, flux: Enclosing, tmp_path: Path) -> None:
    flux.check(scenario, tmp_path)


def test_jobs_run_inside_and_are_spread(flux: Enclosing, tmp_path: Path) -> None:
    flux.idle()

    async def scenario(session: Session) -> None:
        names = await session.submit(["flux", "getattr", "jobid"], count=30)
        assert await session.outcomes(names) == {"success"}
        inside = [(await session.output(name)).decode().strip() for name in names]
        ids = flux("jobs", "-n", "-o", "{id.f58}").split()
        assert len(ids) == 2
        assert {one: inside.count(one) for one in ids} == dict.fromkeys(ids, 15)
        assert flux("job", "info", ids[0], "jobspec").count('"instance"') == 1
        command = session.member.where(names[0]).split()
        assert command[:2] == ["flux", "proxy"]
        shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
        assert shown.strip() == inside[0]
        assert session.member.size == 2
        assert stat.S_IMODE((tmp_path / "instances").stat().st_mode) == 0o600

    flux.check(scenario, tmp_path)


@pytest.mark.parametrize("how", ["cancel", "shutdown"])
def test_one_that_ends_takes_its_jobs_along_and_the_other_goes_on(how: str, flux: Enclosing, tmp_path: Path) -> None:
    flux.idle()

    async def scenario(session: Session) -> None:
        names = await session.submit(["sh", "-c", f"until [ -e {tmp_path}/go ]; do sleep 0.1; done"], count=2)
        await session.until("start", names)
        waiting = await session.submit(["true"], count=10)
        first = flux("jobs", "-n", "-o", "{id.f58}").split()[0]
        await asyncio.to_thread(flux, *([how, first] if how == "cancel" else [how, "--quiet", f"{first}?local"]))
        while not any(event.name == "exception" for event in session.events):
            await asyncio.sleep(0.05)
        (tmp_path / "go").touch()
        await session.until("clean", [*names, *waiting])
        ended = {event.job: event.context for event in session.events if event.name == "exception"}
        assert len(ended) == 6
        assert {context["type"] for context in ended.values()} == {"allocation-end"}
        assert all("sub-instance" in context["note"] for context in ended.values())
        left = [name for name in (*names, *waiting) if name not in ended]
        assert await session.outcomes(left) == {"success"}
        assert await session.outcomes(await session.submit(["true"], count=4)) == {"success"}
        # A member that comes after knows of the jobs that went down, and has another sub-instance in that place.
        known = session.known(names)
        await session.again()
        session.events.clear()
        assert not await session.member.adopt(known)
        assert session.member.size == 2

    flux.check(scenario, tmp_path)


def test_a_job_that_somebody_cancelled_is_cancelled(flux: Enclosing, tmp_path: Path) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["sleep", "60"])
        await session.until("start", names)
        command = session.member.where(names[0]).replace("job attach", "cancel").split()
        await asyncio.to_thread(subprocess.run, command, check=True, timeout=30)
        assert await session.outcomes(names) == {"cancelled"}

    flux.check(scenario, tmp_path)


def test_without_one_left_there_is_a_reason(flux: Enclosing, tmp_path: Path) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["sleep", "60"], count=2)
        await session.until("clean", names)
        assert {event.context["type"] for event in session.events if event.name == "exception"} == {"allocation-end"}
        async with asyncio.timeout(20):
            while session._lost is None:
                await asyncio.sleep(0.1)
        with pytest.raises(Unreachable, match=r"sub-instance 0 .* has ended"):
            await session.submit(["true"])
        with pytest.raises(MemberError, match=r"sub-instance 0 .* has ended"):
            await session.member.open(session.emit, session.lost)

    flux.check(scenario, tmp_path, instance={"cores": 1, "duration": 8})


DYING = """
import asyncio, sys
from pathlib import Path
from ensemble.job import Job, Spec
from ensemble.member import Options
from ensemble.members.flux import MEMBER

async def main():
    uri, run, folder = sys.argv[1:]
    settings = {"uri": uri, "instances": 2, "instance": {"cores": 1}}
    member = MEMBER(Options(run=run, folder=Path(folder), interval=0.1, settings=settings))
    await member.open(lambda event: print(event.name, flush=True), print)
    names = [f"true.{n}" for n in range(60)]
    await member.submit([Job(name, f"{run}-{name}", Spec(run, ("sh", "-c", sys.argv[0]))) for name in names])
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("after", [0, 40])
def test_killed_while_it_submits_each_job_runs_once(after: int, flux: Enclosing, tmp_path: Path) -> None:
    run, log = next(RUNS), tmp_path / "log"
    folder = tmp_path / "member"
    folder.mkdir(mode=0o700)
    doomed = subprocess.Popen(
        [
            sys.executable,
            "-c",
            DYING.replace("sys.argv[0]", repr(f"echo $FLUX_JOB_ID >> {log}")),
            flux.uri,
            run,
            folder,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert doomed.stdout
    with doomed.stdout as lines:
        if after:
            list(itertools.islice(lines, after))
        else:
            for _ in range(200):
                if "instance" in ((folder / "instances").read_text() if (folder / "instances").exists() else ""):
                    break
                select.select([], [], [], 0.05)
        doomed.kill()
        doomed.wait()
    spec = Spec(run, ("sh", "-c", f"echo $FLUX_JOB_ID >> {log}"))
    jobs = {f"true.{n}": Job(f"true.{n}", f"{run}-true.{n}", spec) for n in range(60)}

    async def finish() -> None:
        member = flux.member(run, folder)
        session = Session(lambda: member)
        session.jobs = jobs
        try:
            await member.open(session.emit, session.lost)
            absent = await member.adopt([Known(job) for job in jobs.values()])
            await member.submit([jobs[name] for name in absent])
            assert await session.outcomes(list(jobs)) == {"success"}
        finally:
            await member.close()

    asyncio.run(finish())
    assert len(log.read_text().splitlines()) == 60


def test_one_that_can_not_come_up_is_told(flux: Enclosing, tmp_path: Path) -> None:
    async def opened(session: Session) -> None:
        raise AssertionError

    flux.idle()
    (tmp_path / "a").mkdir()
    with pytest.raises(MemberError, match=r"sub-instance 2 .* waits for resources"):
        flux.check(opened, tmp_path / "a", instances=3, instance={"nodes": 2, "wait": 4})
    with pytest.raises(MemberError, match="unsatisfiable"):
        flux.check(opened, None, instances=1, instance={"nodes": 7})


@pytest.mark.parametrize(
    "settings",
    [
        {"instances": 0},
        {"instances": True},
        {"instances": "2"},
        {"instance": {"cores": 1}},
        {"instances": 2, "instance": 5},
        {"instances": 2, "instance": {"core": 1}},
        {"instances": 2, "instance": {"cores": 0}},
        {"instances": 2, "instance": {"duration": "4:00"}},
        {"instances": 2, "foreign": True},
    ],
)
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(MemberError):
        MEMBER(Options(settings=settings))
