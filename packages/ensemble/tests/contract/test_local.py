"""The local member, and the supervisor behind it: the contract, and what is its own."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ensemble.errors import MemberError
from ensemble.job import Job, Known, Spec
from ensemble.member import Options, Unreachable
from ensemble.members.local import LocalMember
from ensemble.supervisor import meeting
from ensemble.supervisor.lines import line
from ensemble.supervisor.server import LOOK
from ensemble.supervisor.spawn import MARK
from ensemble.testing import PATIENCE, SCENARIOS, Scenario, Session, check_member


def member(folder: Path, cores: int | None = 2, **settings: Any) -> LocalMember:
    return LocalMember(Options(cores=cores, folder=folder, settings=settings))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract(scenario: Scenario, tmp_path: Path) -> None:
    check_member(scenario, lambda: member(tmp_path))


def supervisor_of(folder: Path) -> int:
    record = meeting.record(folder)
    assert record is not None
    return int(record["pid"])


def alive(pid: int) -> bool:
    return meeting.started(pid) is not None


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def folder_of(session: Session) -> Path:
    assert session.member.options.folder is not None
    return session.member.options.folder


def local(session: Session) -> LocalMember:
    assert isinstance(session.member, LocalMember)
    return session.member


def contexts(session: Session, event: str) -> list[Any]:
    return [told.context for told in session.events if told.name == event]


# What a job gets


async def the_worst_of_several_tasks_counts(session: Session) -> None:
    mine = folder_of(session) / "mine"
    names = await session.submit(["sh", "-c", 'mkdir "$0" 2>/dev/null && exit 7; exit 0', str(mine)], tasks=2)
    assert await session.outcomes(names) == {"failed"}
    assert contexts(session, "finish") == [{"status": 7 << 8}]


async def a_job_is_told_what_it_was_given(session: Session) -> None:
    script = (
        "import os, resources; g = resources.current(); print(g.c, g.remaining() <= 50, os.environ['ENSEMBLE_JOB'])"
    )
    names = await session.submit([sys.executable, "-c", script], cores=2, duration=50)
    assert await session.outcomes(names) == {"success"}, await session.output(names[0], "err")
    assert await session.output(names[0]) == f"[0, 1] True {names[0]}\n".encode()
    assert contexts(session, "alloc")[0]["hosts"] == [socket.gethostname().partition(".")[0]]


async def files_are_where_they_were_asked_for(session: Session) -> None:
    here = folder_of(session) / "here"
    here.mkdir()
    (here / "in").write_text("said")
    names = await session.submit(
        ["sh", "-c", "cat; echo bad >&2; umask; pwd"], workdir=str(here), stdin="in", output="deep/result"
    )
    assert await session.outcomes(names) == {"success"}
    mask = os.umask(0)
    os.umask(mask)
    assert (here / "deep/result").read_text() == f"said{mask:04o}\n{here}\n"
    assert (here / "deep/result.err").read_text() == "bad\n"
    assert await session.output(names[0], "err") == b"bad\n"
    assert local(session).where(names[0]) == str(here / "deep/result.err")


async def stdin_is_empty_and_signals_are_at_their_defaults(session: Session) -> None:
    names = await session.submit(
        ["sh", "-c", "cat; grep -E 'SigIgn|SigBlk' /proc/self/status; ls /proc/self/fd | wc -l"]
    )
    assert await session.outcomes(names) == {"success"}
    words = (await session.output(names[0])).decode().split()
    standard = (1 << 31) - 1  # signals 32 and 33 are the C library's own
    assert [int(word, 16) & standard for word in (words[1], words[3])] == [0, 0]
    assert words[4] == "4"  # the three of its own, and the folder that ls reads


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"workdir": "/no/such/folder"}, "/no/such/folder"),
        ({"stdin": "/no/such/file"}, "/no/such/file"),
        ({"output": "/dev/null/file"}, "/dev/null"),
        ({"environment": {"A": "\0"}}, "null"),
        ({"nodes": 2, "tasks": 2}, "never"),
        ({"gpus": 1}, "gpu"),
    ],
)
def test_what_cannot_be_started_says_why(fields: dict[str, Any], named: str, tmp_path: Path) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["true"], **fields)
        assert await session.outcomes(names) == {"exception"}
        assert named in contexts(session, "exception")[0]["note"]

    check_member(scenario, lambda: member(tmp_path))


async def names_that_are_no_names_are_refused(session: Session) -> None:
    jobs = [Job(name, "t", Spec("g", ("true",))) for name in ("../up", ".hidden", "a/b", "")]
    jobs.append(Job("empty.0", "t", Spec("g", ())))
    await session.member.submit(jobs)
    assert len(contexts(session, "clean")) == len(jobs)
    assert {told["type"] for told in contexts(session, "exception")} == {"submit"}


async def no_more_run_than_there_are_cores(session: Session) -> None:
    await session.outcomes(await session.submit(["sleep", "0.2"], count=6))
    running = most = 0
    for event in session.events:
        running += {"alloc": 1, "clean": -1}.get(event.name, 0)
        most = max(most, running)
    assert most == 2


async def a_small_job_goes_before_a_large_one_that_waits(session: Session) -> None:
    first = await session.submit(["sleep", "60"])
    large = await session.submit(["true"], cores=2)
    small = await session.submit(["true"])
    assert await session.outcomes(small) == {"success"}
    await session.member.cancel(first)
    assert await session.outcomes(large) == {"success"}


async def a_thousand_waiting_jobs_are_cancelled(session: Session) -> None:
    names = await session.submit(["sleep", "60"], count=1000)
    await session.until("submit", names)
    await session.member.cancel(names)
    assert await session.outcomes(names) == {"cancelled"}


async def a_name_is_run_once(session: Session) -> None:
    mine = folder_of(session) / "mine"
    jobs = session.prepare(["sh", "-c", f"echo once >> {mine}; sleep 0.2"], count=3)
    await session.member.submit(jobs)
    await session.member.submit(jobs)
    assert await session.outcomes([job.name for job in jobs]) == {"success"}
    await session.member.submit(jobs)
    assert await session.outcomes(await session.submit(["true"])) == {"success"}
    assert mine.read_text().split() == ["once"] * 3


async def cores_are_changed_while_jobs_run(session: Session) -> None:
    names = await session.submit(["sleep", "60"], count=4)
    await session.until("start", names[:2])
    await session.member.close(leave=True)
    for cores, running in ((4, 4), (1, 4)):
        session.member = member(folder_of(session), cores)
        async with asyncio.timeout(LOOK / 2):  # the answers do not wait for the supervisor's next look at its folder
            await session.member.open(session.emit, session.lost)
            await session.member.adopt(session.known(names))
        await session.until("start", names[:running])
        if cores == 4:
            await session.member.close(leave=True)
    last = await session.submit(["true"])
    await session.member.cancel(names[:3])  # one runs on, and it has the one core
    assert await session.outcomes(names[:3]) == {"cancelled"}
    assert not [event for event in session.events if event.job == last[0] and event.name == "start"]
    await session.member.cancel(names[3:])
    assert await session.outcomes(last) == {"success"}


async def what_is_left_goes_on_with_all_that_waits(session: Session) -> None:
    names = await session.submit(["sh", "-c", "sleep 0.1; exit 3"], count=10)
    await session.member.close(leave=True)
    wait_for(lambda: (folder_of(session) / "events.jsonl").read_text().count('["F"') == 10)
    session.member = session.make()
    await session.member.open(session.emit, session.lost)
    assert not await session.member.adopt([Known(session.jobs[name]) for name in names])
    assert await session.outcomes(names) == {"failed"}


async def everything_is_private(session: Session) -> None:
    names = await session.submit(["sh", "-c", "echo out; echo err >&2"])
    assert await session.outcomes(names) == {"success"}
    for path in folder_of(session).rglob("*"):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


@pytest.mark.parametrize(
    "scenario",
    [
        the_worst_of_several_tasks_counts,
        a_job_is_told_what_it_was_given,
        files_are_where_they_were_asked_for,
        stdin_is_empty_and_signals_are_at_their_defaults,
        names_that_are_no_names_are_refused,
        no_more_run_than_there_are_cores,
        a_small_job_goes_before_a_large_one_that_waits,
        a_thousand_waiting_jobs_are_cancelled,
        a_name_is_run_once,
        cores_are_changed_while_jobs_run,
        what_is_left_goes_on_with_all_that_waits,
        everything_is_private,
    ],
    ids=lambda scenario: scenario.__name__,
)
def test_alone(scenario: Scenario, tmp_path: Path) -> None:
    check_member(scenario, lambda: member(tmp_path / "member"))


def test_a_job_goes_with_its_whole_group_even_if_it_ignores_sigterm(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"trap '' TERM; sleep 61 & echo $$ $! > {pids}; wait; sleep 62"

    async def cancelled(session: Session) -> None:
        names = await session.submit(["sh", "-c", script])
        wait_for(lambda: pids.exists() and pids.read_text().strip())
        await session.member.cancel(names)
        assert await session.outcomes(names) == {"cancelled"}

    check_member(cancelled, lambda: member(tmp_path, grace=0.3))
    wait_for(lambda: not any(alive(pid) for pid in map(int, pids.read_text().split())))


def test_what_a_job_leaves_running_is_ended_with_it(tmp_path: Path) -> None:
    async def leaves(session: Session) -> None:
        names = await session.submit(["sh", "-c", "sleep 61 & echo $!"])
        assert await session.outcomes(names) == {"success"}
        pid = int(await session.output(names[0]))
        wait_for(lambda: not alive(pid))

    check_member(leaves, lambda: member(tmp_path))


def test_a_bound_job_runs_on_its_own_cores(tmp_path: Path) -> None:
    async def bound(session: Session) -> None:
        names = await session.submit(["grep", "Cpus_allowed_list", "/proc/self/status"], count=2)
        assert await session.outcomes(names) == {"success"}
        for name in names:
            assert (await session.output(name)).decode().split()[1].isdigit()

    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("it takes two processors to see it")
    check_member(bound, lambda: member(tmp_path, cores=1, bind=True))


# Output in few files


def test_thousands_of_jobs_make_few_files(tmp_path: Path) -> None:
    count = 1500

    async def many(session: Session) -> None:
        script = "echo $ENSEMBLE_JOB; echo of $ENSEMBLE_JOB >&2; exit 1"
        names = await session.submit(["sh", "-c", script], count=count)
        async with asyncio.timeout(120):
            while len(contexts(session, "clean")) < count:
                await asyncio.sleep(0.1)
        for name in (names[0], names[199], names[200], names[-1], *random.sample(names, 50)):
            assert await session.member.read(name, "err", 0) == f"of {name}\n".encode()
            assert await session.member.read(name, "out", -3) == f"{name}\n".encode()[-3:]
            assert local(session).where(name)
        assert "pack" in local(session).where(names[-1])
        # What a run leaves can be read without anything that lives.
        await session.member.close()
        other = member(tmp_path)
        assert await other.read(names[-1], "err", 0) == f"of {names[-1]}\n".encode()
        await other.close()

    check_member(many, lambda: member(tmp_path))
    assert sum(1 for path in tmp_path.rglob("*") if path.is_file()) < 500


def test_output_of_later_jobs_is_read_while_they_run_and_large_output_stays_a_file(tmp_path: Path) -> None:
    async def later(session: Session) -> None:
        await session.outcomes(await session.submit(["true"], count=201))
        names = await session.submit(["sh", "-c", "echo early; exec sleep 60"], metrics=True)
        assert await session.output(names[0]) == b"early\n"
        await session.member.cancel(names)
        assert await session.outcomes(names) == {"cancelled"}
        assert await session.output(names[0]) == b"early\n"
        large = await session.submit(["head", "-c", "2000000", "/dev/zero"])
        assert await session.outcomes(large) == {"success"}
        assert (tmp_path / f"out/{large[0]}.out").stat().st_size == 2_000_000
        assert await session.member.read(large[0], "out", 1_999_990) == bytes(10)
        assert await session.member.read(large[0], "err", 0) == b""

    check_member(later, lambda: member(tmp_path))
    assert not list((tmp_path / "out/live").iterdir())


# When something dies


def test_the_supervisor_is_killed(tmp_path: Path) -> None:
    """What runs goes on and is told as lost at its end; what ended stays as it was; what waits runs once."""
    marks = tmp_path / "marks"

    async def killed(session: Session) -> None:
        good = await session.submit(["true"])
        assert await session.outcomes(good) == {"success"}
        runs = await session.submit(
            ["sh", "-c", f"echo a >> {marks}; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"]
        )
        stays = await session.submit(["sleep", "60"])
        waits = await session.submit(["sh", "-c", f"echo b >> {marks}"], count=3)
        await session.until("submit", waits)
        await session.until("start", [*runs, *stays])
        wait_for(marks.exists)
        os.kill(supervisor_of(tmp_path), signal.SIGKILL)
        wait_for(lambda: not alive(supervisor_of(tmp_path)))
        with pytest.raises(Unreachable):
            while True:
                await session.member.submit([])
                await asyncio.sleep(0.01)
        session._lost = None
        await session.member.close(leave=True)
        session.member = session.make()
        await session.member.open(session.emit, session.lost)
        known = session.known([*good, *runs, *stays, *waits])
        assert not await session.member.adopt(known)
        (tmp_path / "go").touch()
        assert await session.outcomes(runs) == {"lost"}
        assert "killed" in contexts(session, "exception")[0]["note"]
        assert await session.outcomes(waits) == {"success"}
        await session.member.cancel(stays)
        assert await session.outcomes(stays) == {"cancelled"}

    check_member(killed, lambda: member(tmp_path))
    assert sorted(marks.read_text().split()) == ["a", "b", "b", "b"]


def test_closing_ends_what_runs_even_if_the_supervisor_was_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    async def killed(session: Session) -> None:
        await session.submit(["sh", "-c", f"echo $$ > {pid}; exec sleep 61"])
        wait_for(lambda: pid.exists() and pid.read_text())
        os.kill(supervisor_of(tmp_path), signal.SIGKILL)
        while session._lost is None:
            await asyncio.sleep(0.01)

    check_member(killed, lambda: member(tmp_path))
    wait_for(lambda: not alive(int(pid.read_text())))


def test_killed_between_the_start_of_a_job_and_the_note_of_it(tmp_path: Path) -> None:
    """The process is found by its mark; where there is none any more, the job is lost, and not started again."""
    (tmp_path / "out/live").mkdir(parents=True)
    spec = {"group": "g", "argv": ["sleep", "60"]}
    now = time.time() - 0.1
    (tmp_path / "events.jsonl").write_bytes(
        line("H", 1, socket.gethostname(), meeting.boot(), now)
        + line("S", 1, spec)
        + b"".join(line("A", f"g.{number}", f"run-g.{number}", str(number), now, 1) for number in (1, 2, 3))
        + b"".join(line("I", f"g.{number}", now, [f"out/g.{number}.out", f"out/g.{number}.err"]) for number in (1, 2))
        + b'["I","g.3",'  # a write that was cut
    )
    marked = {**os.environ, MARK: f"{meeting.key(tmp_path)}.1"}
    process = subprocess.Popen(["sleep", "60"], env=marked, process_group=0)

    async def found(session: Session) -> None:
        jobs = [Job(f"g.{number}", f"run-g.{number}", Spec("g", ("sleep", "60"))) for number in (1, 2, 3)]
        session.jobs = {job.name: job for job in jobs}
        assert not await session.member.adopt([Known(job) for job in jobs])
        assert await session.outcomes(["g.2"]) == {"lost"}
        await session.until("start", ["g.1", "g.3"])
        await session.member.cancel(["g.1"])
        assert process.wait(PATIENCE) == -signal.SIGTERM
        assert await session.outcomes(["g.1"]) == {"cancelled"}
        assert not [told for told in session.events if told.job == "g.2" and told.name == "start"]

    check_member(found, lambda: member(tmp_path))


ORCHESTRATOR = """
import asyncio, json, sys
from pathlib import Path
from ensemble.job import Job, Known, Spec
from ensemble.member import Options
from ensemble.members.local import LocalMember

async def main(folder, count):
    ends, done = {}, asyncio.Event()
    def emit(event):
        if event.name == "finish":
            ends[event.job] = event.context["status"]
        elif event.name == "exception":
            ends[event.job] = event.context["type"]
        if event.name == "clean":
            left.discard(event.job)
            if not left:
                done.set()
    member = LocalMember(Options(folder=folder / "member", cores=2))
    script = f'echo $ENSEMBLE_JOB >> {folder}/ran; sleep 0.01; exit $(( ${{ENSEMBLE_JOB#g.}} % 3 ))'
    jobs = [Job(f"g.{n}", f"run-g.{n}", Spec("g", ("sh", "-c", script))) for n in range(count)]
    left = {job.name for job in jobs}
    await member.open(emit, print)
    absent = set(await member.adopt([Known(job) for job in jobs]))
    for job in jobs:
        if job.name in absent:
            await member.submit([job])
            await asyncio.sleep(0)
    await done.wait()
    await member.close()
    print(json.dumps(ends))

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


def test_the_run_is_killed_again_and_again(tmp_path: Path) -> None:
    """At random moments, by SIGKILL: each job runs exactly once, and every end is told."""
    count, dice, kills = 250, random.Random(7), 0
    command = [sys.executable, "-c", ORCHESTRATOR, str(tmp_path), str(count)]
    for _ in range(8):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            process.wait(dice.uniform(0.1, 0.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    assert kills
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {f"g.{number}": (number % 3) << 8 for number in range(count)}
    ran = Counter((tmp_path / "ran").read_text().split())
    assert set(ran.values()) == {1}
    assert len(ran) == count


def test_sigterm_ends_what_runs_and_keeps_what_waits(tmp_path: Path) -> None:
    async def told(session: Session) -> None:
        runs = await session.submit(["sleep", "60"], count=2)
        waits = await session.submit(["true"])
        await session.until("start", runs)
        os.kill(supervisor_of(tmp_path), signal.SIGTERM)
        assert await session.outcomes(runs) == {"exception"}
        assert {told["type"] for told in contexts(session, "exception")} == {"allocation-end"}
        wait_for(lambda: meeting.record(tmp_path) is None)
        while session._lost is None:
            await asyncio.sleep(0.01)
        session._lost = None
        await session.again()
        assert not await session.member.adopt(session.known(waits))
        assert await session.outcomes(waits) == {"success"}

    check_member(told, lambda: member(tmp_path))


# Coming up, and going


def test_it_ends_when_nobody_needs_it_and_not_before(tmp_path: Path) -> None:
    async def left(session: Session) -> None:
        await session.submit(["sleep", "1"])
        await session.member.close(leave=True)

    async def run() -> None:
        session = Session(lambda: member(tmp_path, linger=0.1))
        await session.member.open(session.emit, session.lost)
        await left(session)

    asyncio.run(run())
    pid = supervisor_of(tmp_path)
    wait_for(lambda: not alive(pid))
    assert '["F"' in (tmp_path / "events.jsonl").read_text()
    assert meeting.record(tmp_path) is None


def test_an_idle_supervisor_sleeps(tmp_path: Path) -> None:
    def switches(pid: int) -> int:
        rows = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(int(row.split()[1]) for row in rows if "ctxt_switches" in row)

    async def idle(session: Session) -> None:
        names = await session.submit(["sleep", "60"], count=100)
        await session.until("submit", names)
        await session.until("start", names[:2])
        await asyncio.sleep(0.5)
        pid = supervisor_of(tmp_path)
        before = switches(pid)
        await asyncio.sleep(2)
        assert switches(pid) - before <= 2  # one look at its folder may be among them

    check_member(idle, lambda: member(tmp_path))


IMPATIENT = """
import socket, sys
from pathlib import Path
from ensemble.supervisor import meeting, server

server.LOOK = 0.05
folder = Path(sys.argv[1])
listener = socket.socket(socket.AF_UNIX)
listener.bind(meeting.address(meeting.key(folder)))
listener.listen()
server.Supervisor(folder, listener, meeting.key(folder), print).run()
"""


def test_without_its_folder_it_ends(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", IMPATIENT, str(tmp_path)])
    wait_for(lambda: (tmp_path / "events.jsonl").exists())
    (tmp_path / "events.jsonl").unlink()
    assert process.wait(PATIENCE) == 0


def opened(folder: Path, **settings: Any) -> None:
    async def run() -> None:
        one = member(folder, **settings)
        await one.open(lambda _: None, lambda _: None)
        await one.close()

    asyncio.run(run())


def test_a_supervisor_that_does_not_answer_is_no_silent_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stopped(session: Session) -> None:
        monkeypatch.setattr("ensemble.members.local.PATIENCE", 0.5)  # not for its start, which may take longer
        pid = supervisor_of(tmp_path)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(Unreachable, match="does not answer"):
                await member(tmp_path).open(session.emit, session.lost)
        finally:
            os.kill(pid, signal.SIGCONT)

    check_member(stopped, lambda: member(tmp_path))


def test_a_run_on_another_host_is_told_where_its_jobs_are(tmp_path: Path) -> None:
    (tmp_path / meeting.RECORD).write_text(json.dumps({"host": "elsewhere", "boot": "x", "pid": 7}))
    with pytest.raises(MemberError, match=r"on elsewhere \(pid 7\): resume there"):
        opened(tmp_path)
    (tmp_path / meeting.RECORD).unlink()
    opened(tmp_path)


def test_after_a_reboot_what_ran_is_lost_and_what_waited_runs(tmp_path: Path) -> None:
    spec = {"group": "g", "argv": ["true"]}
    (tmp_path / "events.jsonl").write_bytes(
        line("H", 1, socket.gethostname(), "another boot", 1.0)
        + line("S", 1, spec)
        + b"".join(line("A", f"g.{number}", f"run-g.{number}", str(number), 2.0, 1) for number in (1, 2))
        + line("I", "g.1", 3.0, ["out/g.1.out", "out/g.1.err"])
        + line("P", "g.1", 3.0, [os.getpid()])
    )

    async def back(session: Session) -> None:
        jobs = [Job(f"g.{number}", f"run-g.{number}", Spec("g", ("true",))) for number in (1, 2)]
        assert not await session.member.adopt([Known(job) for job in jobs])
        assert await session.outcomes(["g.1"]) == {"lost"}
        assert await session.outcomes(["g.2"]) == {"success"}

    check_member(back, lambda: member(tmp_path))


def test_a_spoilt_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"\0" * 100 + b"\n")
    with pytest.raises(MemberError, match=r"did not come up: .*events.jsonl was spoilt at byte 0"):
        opened(tmp_path)


@pytest.mark.parametrize("settings", [{"colour": 1}, {"bind": 1}, {"grace": -1}, {"linger": "long"}])
def test_settings_are_checked(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(MemberError, match=next(iter(settings))):
        opened(tmp_path, **settings)
