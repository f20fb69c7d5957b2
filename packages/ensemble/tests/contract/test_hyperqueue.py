"""HyperQueue for real: the contract over a server of our own, and what this member does beyond it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("hyperqueue", reason="hyperqueue is not installed: pip install 'ensemble-python[hyperqueue]'")

from ensemble.errors import MemberError
from ensemble.job import Job, Known, Spec
from ensemble.member import Options, Unreachable
from ensemble.members.hyperqueue import HyperqueueMember, _alone
from ensemble.testing import SCENARIOS, Scenario, Session, check_member


def make(folder: Path, **settings: object) -> HyperqueueMember:
    return HyperqueueMember(Options(run="r1", folder=folder, cores=2, interval=0.2, settings=settings))


@pytest.fixture(autouse=True)
def no_other_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HQ_SERVER_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "member"
    path.mkdir(mode=0o700)
    yield path
    with (path / "orders").open("a") as file:  # what a failed test left
        file.write("stop\n")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract(scenario: Scenario, folder: Path) -> None:
    check_member(scenario, lambda: make(folder))


async def _fails_are_found_in_few_files(session: Session) -> None:
    script = 'echo "this was $0" >&2; exit $(($0 % 2))'
    names = [(await session.submit(["sh", "-c", script, str(number)]))[0] for number in range(40)]
    assert await session.outcomes(names) == {"success", "failed"}
    for number, name in enumerate(names):
        assert await session.output(name, "err") == f"this was {number}\n".encode()
        shown = subprocess.run(["sh", "-c", session.member.where(name)], capture_output=True, text=True, check=True)
        assert shown.stdout == f"this was {number}\n"
    folder = session.member.options.folder
    assert folder
    assert sum(path.is_file() for path in folder.rglob("*")) < 20


async def _several_tasks_run_and_the_worst_counts(session: Session) -> None:
    folder = session.member.options.folder
    names = await session.submit(["sh", "-c", 'mkdir "$0" 2>/dev/null && exit 7; exit 0', f"{folder}/mine"], tasks=2)
    assert await session.outcomes(names) == {"failed"}
    assert [event.context["status"] for event in session.events if event.name == "finish"] == [7 << 8]


async def _files_of_the_users_are_written_and_read(session: Session) -> None:
    folder = session.member.options.folder
    assert folder
    (folder / "words").write_text("some words\n")
    names = await session.submit(
        ["sh", "-c", "cat; echo bad >&2"], workdir=str(folder), stdin="words", output="told.out"
    )
    assert await session.outcomes(names) == {"success"}
    assert (folder / "told.out").read_text() == "some words\n"
    assert (folder / "told.err").read_text() == "bad\n"
    assert await session.member.read(names[0], "err", 0) == b"bad\n"


async def _what_it_cannot_run_is_refused_with_a_reason(session: Session) -> None:
    for fields, reason in (
        ({"nodes": 2, "tasks": 2}, "2 nodes"),
        ({"gpus": 1}, "GPUs"),
        ({"memory": 1 << 60}, "memory"),
    ):
        names = await session.submit(["true"], **fields)
        assert await session.outcomes(names) == {"exception"}
        assert reason in session.events[-2].context["note"]


async def _it_grows_and_says_that_it_does_not_shrink(session: Session) -> None:
    assert session.member.size == 1
    await session.member.resize(2)
    await session.member.resize(2)
    assert session.member.size == 2
    names = await session.submit(["sleep", "60"], count=4)
    await session.until("start", names)  # two at a time on each worker
    with pytest.raises(MemberError, match="can't stop workers"):
        await session.member.resize(1)


async def _many_jobs_cost_one_question_an_interval(session: Session) -> None:
    session.member.options = Options(run="r1", folder=session.member.options.folder, cores=2, interval=0.5)
    started = time.monotonic()
    names = await session.submit(["true"], count=60)
    assert await session.outcomes(names) == {"success"}
    assert session.member.calls["wait_for_jobs"] <= (time.monotonic() - started) / 0.5 + 1
    assert session.member.calls["get_failed_tasks"] == 0


@pytest.mark.parametrize(
    "scenario",
    [
        _fails_are_found_in_few_files,
        _several_tasks_run_and_the_worst_counts,
        _files_of_the_users_are_written_and_read,
        _what_it_cannot_run_is_refused_with_a_reason,
        _it_grows_and_says_that_it_does_not_shrink,
        _many_jobs_cost_one_question_an_interval,
    ],
    ids=lambda scenario: scenario.__name__.strip("_"),
)
def test_own_server(scenario: Scenario, folder: Path) -> None:
    check_member(scenario, lambda: make(folder))


def test_nothing_is_left_among_temporary_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library makes a folder for each worker, and leaves it: in that of the run. Jobs find TMPDIR as it was."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))

    async def scenario(session: Session) -> None:
        await session.member.resize(2)
        names = await session.submit(["sh", "-c", 'echo "$TMPDIR"'])
        assert await session.outcomes(names) == {"success"}
        assert await session.output(names[0]) == f"{temporary}\n".encode()

    check_member(scenario, lambda: make(folder))
    assert not list(temporary.iterdir())


def test_a_server_that_is_there_is_used_and_left(folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        theirs = Session(lambda: make(folder))
        await theirs.member.open(theirs.emit, theirs.lost)
        mine = tmp_path / "mine"
        mine.mkdir()
        settings = {"server_dir": str(folder / "server"), "cores": 2, "wait": 20}
        session = Session(lambda: HyperqueueMember(Options(run="r2", folder=mine, interval=0.2, settings=settings)))
        await session.member.open(session.emit, session.lost)
        assert await session.outcomes(await session.submit(["true"], count=3)) == {"success"}
        assert await session.outcomes(await session.submit(["true"], tasks=3)) == {"exception"}
        with pytest.raises(MemberError, match="was there"):
            await session.member.resize(2)
        await session.member.close()
        assert await theirs.outcomes(await theirs.submit(["true"])) == {"success"}
        await theirs.member.close()
        with pytest.raises(Unreachable, match="no server of HyperQueue answers"):
            await session.member.open(session.emit, session.lost)

    asyncio.run(run())


def test_nothing_is_left_outside_of_the_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with tempfile.TemporaryDirectory(prefix="hq", dir="/tmp") as short:  # a socket's path is short

        async def scenario(session: Session) -> None:
            names = await session.submit(["sh", "-c", "echo $TMPDIR"])
            assert await session.outcomes(names) == {"success"}
            assert await session.output(names[0]) == f"{temporary}\n".encode()

        check_member(scenario, lambda: make(Path(short)))
        assert not list(temporary.iterdir())


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from ensemble.member import Options
from ensemble.members.hyperqueue import HyperqueueMember, _alone
from ensemble.testing import Session

async def main():
    folder = Path(sys.argv[1])
    session = Session(lambda: HyperqueueMember(Options(run="r1", folder=folder, cores=2, interval=0.2)))
    await session.member.open(session.emit, session.lost)
    await session.submit(["sh", "-c", f"echo once >> {sys.argv[2]}/ran; sleep 1"], count=6)
    await session.until("start", ["group-0.0"])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def jobs_of_the_killed(tmp_path: Path) -> list[Job]:
    argv = ("sh", "-c", f"echo once >> {tmp_path}/ran; sleep 1")
    return [Job(f"group-0.{n}", f"r1-group-0.{n}", Spec("group-0", argv)) for n in range(6)]


@pytest.mark.parametrize("told", [True, False], ids=["id known", "died while submitting"])
def test_kill_9_loses_nothing_and_runs_nothing_twice(folder: Path, tmp_path: Path, told: bool) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(tmp_path)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    if not told:  # as if it had been killed before HyperQueue's answer was written down
        journal = folder / "submitted.jsonl"
        journal.write_text("".join(line + "\n" for line in journal.read_text().splitlines() if '"id"' not in line))

    async def adopted(session: Session) -> None:
        jobs = jobs_of_the_killed(tmp_path)
        session.jobs |= {job.name: job for job in jobs}
        absent = await session.member.adopt([Known(job, "", "submit" if told else "") for job in jobs])
        assert bool(absent) is not told
        await session.member.submit([job for job in jobs if job.name in absent])
        assert await session.outcomes([job.name for job in jobs]) == {"success"}

    check_member(adopted, lambda: make(folder))
    assert (tmp_path / "ran").read_text() == "once\n" * 6


def test_a_server_that_dies_loses_what_ran_and_keeps_what_waited(folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        session = Session(lambda: make(folder))
        await session.member.open(session.emit, session.lost)
        running = await session.submit(["sleep", "60"], count=2)
        await session.until("start", running)
        waiting = await session.submit(["sh", "-c", f"echo once >> {tmp_path}/ran"], count=3)
        os.kill(json.loads((folder / "server.json").read_text())["pid"], signal.SIGKILL)
        with pytest.raises(Unreachable):
            await session.until("clean", waiting)
        await session.member.close(leave=True)
        session = Session(
            lambda: make(folder),
        )
        await session.member.open(session.emit, session.lost)
        jobs = [Job(name, f"r1-{name}", Spec("g", ("sh", "-c", f"echo once >> {tmp_path}/ran"))) for name in waiting]
        lost = [Job(name, f"r1-{name}", Spec("g", ("sleep", "60"))) for name in running]
        known = [Known(job, "1@0", "submit") for job in jobs] + [Known(job, "1@0", "start") for job in lost]
        assert not await session.member.adopt(known)
        await session.until("clean", [*waiting, *running])
        ended = {event.job: event.context["type"] for event in session.events if event.name == "exception"}
        assert ended == dict.fromkeys(running, "node-lost")
        await session.member.close()

    asyncio.run(run())
    assert (tmp_path / "ran").read_text() == "once\n" * 3


def test_a_worker_that_does_not_come_up_is_an_error_with_its_words(folder: Path) -> None:
    (folder / "server").mkdir()
    (folder / "server" / "worker").write_text("in the way")

    async def run() -> None:
        with pytest.raises(MemberError, match=r"did not come up: .*(File exists|Not a directory)"):
            await make(folder, wait=5).open(lambda event: None, lambda error: None)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"worker": 3}, "no setting 'worker'"), ({"workers": 0}, "workers is a number from 1, not 0")],
)
def test_settings_are_checked(folder: Path, settings: dict[str, object], said: str) -> None:
    with pytest.raises(MemberError, match=said):
        make(folder, **settings)


def test_a_folder_has_one_run(folder: Path) -> None:
    async def two(session: Session) -> None:
        with pytest.raises(MemberError, match="used by another run"):
            await make(folder).open(session.emit, session.lost)

    check_member(two, lambda: make(folder))


def test_the_library_is_called_by_one_thread_at_a_time() -> None:
    """Two at a time end in a panic of its own, or wait for each other for ever (0.27)."""
    inside: list[int] = []

    def work(number: int) -> int:
        inside.append(number)
        time.sleep(0.02)
        together = len(inside)
        inside.remove(number)
        return together

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(partial(_alone, work), range(12))) == {1}
