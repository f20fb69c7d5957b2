"""The Slurm member with commands that are scripted: what a real Slurm can't be made to do at will."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ensemble.errors import MemberError
from ensemble.job import Known
from ensemble.member import Options, SubmitLimit, Unreachable
from ensemble.members.slurm import SlurmMember
from ensemble.slurmqueue.states import STATES
from ensemble.slurmqueue.track import Patience
from ensemble.testing import ContractError, Session

COMMANDS = {
    "sbatch": """
        echo "$@" >>sbatch.log; cat >script
        if [ -s sbatch.err ]; then cat sbatch.err >&2; [ -e sleeps ] && exec sleep 600; exit 1; fi
        case "$*" in *--array=0-*) size=${*##*--array=0-}; size=$((${size%% *} + 1)) ;; *) size=1 ;; esac
        if [ "$size" -gt "$(cat room)" ]; then
            echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2
            echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy" >&2
            exit 1
        fi
        echo $(($(cat room) - size)) >room
        id=$(cat next); echo $((id + 1)) >next; echo "$id;cluster"
    """,
    "squeue": 'echo x >>squeue.log; [ -e hangs ] && exec sleep 600; cat squeue.out; exit "$(cat squeue.rc)"',
    "sacct": 'echo "$@" >>sacct.log; cat sacct.err >&2; cat sacct.out; exit "$(cat sacct.rc)"',
    "scancel": 'echo "$@" >>scancel.log',
    "scontrol": """
        case "$2" in
            config) cat config ;;
            *) echo "$3" >>deny.log; cat job.out; cat job.err >&2; exit "$(cat job.rc)" ;;
        esac
    """,
}
HEAD = "JOBID|STATE|REASON|NODELIST|START_TIME|END_TIME|RESTART_COUNT|EXIT_CODE|NAME|\n"
ACCOUNT = "JobID|State|ExitCode|Start|End|NodeList|JobName\n"
NEVER_HEARD = "slurm_load_jobs error: Invalid job id specified\n"
QUICK = Patience(visible=0.3, verdict=0.3, settle=0.3, answer=5.0)


class Fake:
    """Files that say what the commands answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "fake"
        (self.folder / "bin").mkdir(parents=True)
        for name, text in COMMANDS.items():
            path = self.folder / "bin" / name
            path.write_text(f"#!/bin/sh\ncd {self.folder}\n{text}\n")
            path.chmod(0o755)
        for name in ("sbatch.err", "sacct.err", "sacct.out"):
            self.say(name, "")
        for name, text in {
            "room": "1000000",
            "next": "100",
            "squeue.rc": "0",
            "sacct.rc": "0",
            "job.rc": "1",
            "job.out": "",
        }.items():
            self.say(name, text)
        self.say("job.err", NEVER_HEARD)
        self.accounting("none")
        self.rows()

    def say(self, name: str, text: str) -> None:
        (self.folder / "new").write_text(text)
        (self.folder / "new").rename(self.folder / name)

    def accounting(self, kind: str) -> None:
        self.say("config", f"AccountingStorageType = accounting_storage/{kind}\nMaxArraySize = 1001\nMaxJobCount = 9\n")

    def rows(self, *rows: str) -> None:
        """Rows as `ID STATE REASON NODES STARTED ENDED RESTARTS STATUS NAME`."""
        self.say("squeue.out", HEAD + "".join(f"{'|'.join(row.split())}|\n" for row in rows))

    def log(self, name: str) -> list[str]:
        path = self.folder / f"{name}.log"
        return path.read_text().splitlines() if path.exists() else []

    async def asked(self, times: int = 3) -> None:
        """Wait until squeue was asked so often from now on."""
        until, end = len(self.log("squeue")) + times, time.monotonic() + 20
        while len(self.log("squeue")) < until:
            if time.monotonic() > end:
                raise ContractError("squeue is not asked")
            await asyncio.sleep(0.01)


Scripted = Callable[[Fake, Session], Awaitable[None]]
Play = Callable[[Scripted], None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake(tmp_path)
    monkeypatch.setenv("PATH", f"{made.folder / 'bin'}:/usr/bin:/bin")
    return made


@pytest.fixture
def play(fake: Fake, tmp_path: Path) -> Play:
    (tmp_path / "run").mkdir()

    def make() -> SlurmMember:
        member = SlurmMember(Options(run="r", folder=tmp_path / "run", interval=0.05))
        member.patience = QUICK
        return member

    async def run(scenario: Scripted) -> None:
        session = Session(make)
        try:
            await session.member.open(session.emit, session.lost)
            await scenario(fake, session)
        finally:
            await session.member.close()

    return lambda scenario: asyncio.run(run(scenario))


def told(session: Session, name: str) -> list[str]:
    return [
        event.context["type"] if event.name == "exception" else event.name
        for event in session.events
        if event.job == name
    ]


def wrote(session: Session, line: str) -> None:
    """What the first batch's job writes: `INDEX RESTART KIND ...`."""
    folder = Path(session.member.output)
    batch = (folder / "batches.jsonl").read_text().split('"', 4)[3]
    with (folder / "pack-0.rec").open("a") as file:
        file.write(f"\n{batch} {line} .\n")


RUNNING = "100 RUNNING None n1 5 N/A 0 0 r-group-0.0"


def test_bad_replies_between_good_ones_change_nothing(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        names = await session.submit(["true"])
        fake.rows(RUNNING)
        wrote(session, "0 0 start 5.0 100 n1")
        await session.until("start", names)
        await fake.asked()
        before = list(session.events)
        for text, code in (
            ("", 0),
            (HEAD[:9], 0),
            (HEAD, 1),
            ("", 1),
            ("slurm_load_jobs error", 0),
            (HEAD + "100|R", 0),
        ):
            fake.say("squeue.out", text)
            fake.say("squeue.rc", str(code))
            await fake.asked(2)
            fake.rows(RUNNING)
            fake.say("squeue.rc", "0")
            await fake.asked(2)
        fake.rows()  # a good one without it
        await fake.asked(1)
        fake.rows(RUNNING)
        await fake.asked(10)
        assert session.events == before
        assert len(fake.log("sbatch")) == 1
        assert not fake.log("scancel")

    play(scenario)


def test_a_squeue_that_hangs_is_ended_and_says_nothing(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        session.member.patience = Patience(answer=0.3)  # type: ignore[attr-defined]
        names = await session.submit(["true"])
        fake.say("hangs", "")
        await fake.asked(3)
        (fake.folder / "hangs").unlink()
        fake.rows("100 COMPLETED None n1 5 9 0 0 r-group-0.0")
        wrote(session, "0 0 start 5.0 100 n1")
        wrote(session, "0 0 end 9.0 exit 0 - -")
        assert await session.outcomes(names) == {"success"}

    play(scenario)


def test_lost_only_where_slurm_says_so(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        names = await session.submit(["true"], count=3)
        fake.say("job.err", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n")
        await fake.asked(20)
        assert "clean" not in told(session, names[0])
        fake.say("job.err", NEVER_HEARD)
        assert await session.outcomes(names) == {"lost"}
        assert len(fake.log("sbatch")) == 1

    play(scenario)


@pytest.mark.parametrize(
    ("code", "out"),
    [("1", "Job 100_0 not found\n"), ("0", "JobId=100 ArrayJobId=90 ArrayTaskId=6 JobName=other\n   UserId=root(0)\n")],
)
def test_an_id_that_another_job_got_is_denied_all_the_same(play: Play, code: str, out: str) -> None:
    """What scontrol (22.05) says of it, where a slurmctld that lost its state gave the number to another job."""

    async def scenario(fake: Fake, session: Session) -> None:
        fake.say("job.err", "")
        fake.say("job.out", out)
        fake.say("job.rc", code)
        names = await session.submit(["true"], count=3)
        assert await session.outcomes(names) == {"lost"}

    play(scenario)


def test_an_id_that_another_job_has_now_is_not_ours(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        names = await session.submit(["true"])
        fake.rows("100 FAILED None n1 5 9 0 256 other")
        assert await session.outcomes(names) == {"lost"}

    play(scenario)


def test_the_accounting_tells_what_squeue_forgot(play: Play, fake: Fake) -> None:
    fake.accounting("slurmdbd")

    async def scenario(fake: Fake, session: Session) -> None:
        fake.say("sacct.out", ACCOUNT + "100|NODE_FAIL|0:0|5|9|n1|r-group-0.0\n101|FAILED|4:0|5|9|n1|r-group-1.0\n")
        first = await session.submit(["true"])
        second = await session.submit(["true"])
        await session.until("clean", [*first, *second])
        assert told(session, first[0]) == ["submit", "alloc", "start", "node-lost", "clean"]
        assert told(session, second[0]) == ["submit", "alloc", "start", "finish", "clean"]
        assert [event.context["status"] for event in session.events if event.name == "finish"] == [4 << 8]
        since = fake.log("sacct")[0].split("--starttime ")[1].split()[0]
        assert time.mktime(time.strptime(since, "%Y-%m-%dT%H:%M:%S")) < time.time() - 80_000  # not today alone
        assert len(fake.log("sacct")) < 4

    play(scenario)


@pytest.mark.parametrize(
    "said", ["Slurm accounting storage is disabled", "slurm_persist_conn_open: Connection refused"]
)
def test_without_accounting_the_jobs_own_record_tells(play: Play, fake: Fake, said: str) -> None:
    fake.accounting("slurmdbd")
    fake.say("sacct.err", f"sacct: error: {said}\n")
    fake.say("sacct.rc", "1")

    async def scenario(fake: Fake, session: Session) -> None:
        names = await session.submit(["true"])
        fake.rows(RUNNING)
        await session.until("alloc", names)
        fake.rows()
        wrote(session, "0 0 start 5.0 100 n1")
        wrote(session, "0 0 end 9.0 exit 3 - -")
        assert await session.outcomes(names) == {"failed"}
        other = await session.submit(["true"])
        assert await session.outcomes(other) == {"lost"}

    play(scenario)


def test_every_state_ends_a_job_as_the_table_says(play: Play) -> None:
    ends = {"done": "success", "waits": "", "runs": "", "placed": "", "ending": "", "elsewhere": ""}
    by_cause = {"cancel": "cancelled", "timeout": "timeout", "memory": "failed"}

    async def scenario(fake: Fake, session: Session) -> None:
        names = await session.submit(["true"], count=len(STATES))
        array = fake.log("sbatch")[0].split("--job-name=")[1].split()[0]
        fake.rows(*(f"100_{n} {state} None n1 5 9 0 0 {array}" for n, state in enumerate(STATES)))
        wanted = {
            name: ends.get(state.phase, by_cause.get(state.cause, "exception"))
            for name, state in zip(names, STATES.values(), strict=True)
        }
        for name, outcome in wanted.items():
            if outcome:
                assert await session.outcomes([name]) == {outcome}
        await fake.asked(5)
        assert {name for name in names if "clean" in told(session, name)} == {n for n, o in wanted.items() if o}
        notes = [event.context["note"] for event in session.events if event.name == "exception"]
        assert all("job 100_" in note for note in notes)

    play(scenario)


def test_a_limit_takes_what_fits_and_says_why(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        fake.say("room", "300")
        jobs = session.prepare(["true"], count=1200)
        with pytest.raises(SubmitLimit, match="QOSMaxSubmitJobPerUserLimit"):
            await session.member.submit(jobs)
        taken = {event.job for event in session.events if event.name == "submit"}
        assert len(taken) == 300
        before = len(fake.log("sbatch"))
        with pytest.raises(SubmitLimit):
            await session.member.submit([job for job in jobs if job.name not in taken])
        assert len(fake.log("sbatch")) == before + 1  # it asks with one job, not with a thousand
        fake.say("room", "100000")
        await session.member.submit([job for job in jobs if job.name not in taken])
        assert len([event for event in session.events if event.name == "submit"]) == 1200

    play(scenario)


def test_a_policy_that_is_not_named_passes_where_jobs_are_there(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        said = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
        fake.say("sbatch.err", f"sbatch: error: Batch job submission failed: {said}\n")
        assert await session.outcomes(await session.submit(["true"])) == {"exception"}
        fake.say("sbatch.err", "")
        await session.submit(["true"])
        fake.say("sbatch.err", f"sbatch: error: Batch job submission failed: {said}\n")
        with pytest.raises(SubmitLimit, match="job submit limit"):
            await session.submit(["true"], count=2)

    play(scenario)


def test_an_sbatch_that_would_wait_is_a_limit_at_once(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        fake.say("sbatch.err", "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n")
        fake.say("sleeps", "")
        with pytest.raises(SubmitLimit, match="MaxJobCount"):
            await session.submit(["true"])

    play(scenario)


def test_a_refusal_for_good_is_told_of_these_jobs(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        fake.say("sbatch.err", "sbatch: error: Batch job submission failed: Invalid account or partition combination\n")
        names = await session.submit(["true"], count=3)
        assert {tuple(told(session, name)) for name in names} == {("submit", "clean")}
        assert await session.outcomes(names) == {"exception"}

    play(scenario)


def test_ten_thousand_jobs_are_one_question_an_interval(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        session.member.patience = Patience()  # type: ignore[attr-defined]
        names = await session.submit(["true"], count=10_000)
        assert len(fake.log("sbatch")) == 10
        arrays = [line.split("--job-name=")[1].split()[0] for line in fake.log("sbatch")]
        fake.rows(*(f"{100 + n}_[0-999] PENDING Priority - N/A N/A 0 0 {name}" for n, name in enumerate(arrays)))
        began = time.monotonic()
        calls = sum(session.member.calls.values())
        await fake.asked(5)
        assert sum(session.member.calls.values()) - calls <= (time.monotonic() - began) / 0.05 + 1
        assert session.member.calls["squeue"] - len(fake.log("squeue")) in (0, 1)
        await session.member.cancel(names)
        assert [line.split() for line in fake.log("scancel")] == [[f"{100 + n}_[0-999]" for n in range(10)]]
        fake.rows(*(f"{100 + n}_[0-999] CANCELLED None - N/A N/A 0 0 {name}" for n, name in enumerate(arrays)))
        await session.until("clean", names)
        assert len(list(Path(session.member.output).rglob("*"))) < 20

    play(scenario)


def test_an_old_end_is_not_believed(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        names = await session.submit(["true"])
        wrote(session, "0 0 start 5.0 100 n1")
        wrote(session, "0 0 end 9.0 term 143 - -")
        fake.rows("100 PENDING BeginTime n1 N/A N/A 1 0 r-group-0.0")
        await session.until("requeue", names)
        wrote(session, "0 0 end 9.0 exit 0 - -")
        await asyncio.sleep(1.5)  # it looks twice a second
        assert "clean" not in told(session, names[0])
        await session.again()
        await session.member.adopt([Known(session.jobs[names[0]], "100", "submit")])
        wrote(session, "0 1 start 15.0 100 n2")
        wrote(session, "0 1 end 19.0 exit 3 - -")
        fake.rows("100 FAILED NonZeroExitCode n2 15 19 1 768 r-group-0.0")
        await session.until("clean", names)
        assert told(session, names[0]).count("requeue") == 1
        assert told(session, names[0])[-4:] == ["alloc", "start", "finish", "clean"]

    play(scenario)


def test_launch_failures_are_taken_out(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        names = await session.submit(["true"])
        fake.rows("100 REQUEUE_HOLD JobHeldAdmin - N/A N/A 0 0 r-group-0.0")
        await session.until("clean", names)
        assert told(session, names[0]) == ["submit", "boot", "clean"]
        await asyncio.sleep(0.3)
        assert fake.log("scancel") == ["100"]

    play(scenario)


def test_cancelled_while_in_doubt(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        jobs = session.prepare(["true"])
        fake.say("sbatch.err", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n")
        with pytest.raises(Unreachable):
            await session.member.submit(jobs)
        await session.member.cancel([jobs[0].name])
        fake.rows("100 PENDING Priority - N/A N/A 0 0 r-group-0.0")
        assert not await session.member.adopt([Known(jobs[0])])
        await asyncio.sleep(0.3)
        assert fake.log("scancel") == ["100"]

    play(scenario)


def test_what_can_not_be_told_now_is_not_guessed(play: Play) -> None:
    async def scenario(fake: Fake, session: Session) -> None:
        names = await session.submit(["true"])
        await session.again()
        fake.say("squeue.rc", "1")
        with pytest.raises(Unreachable):
            await session.member.adopt(session.known(names))

    play(scenario)


def test_settings_are_read_whole(fake: Fake, tmp_path: Path) -> None:
    for settings in ({"wibble": 1}, {"interval": "soon"}, {"time": 5}):
        with pytest.raises(MemberError, match=next(iter(settings))):
            SlurmMember(Options(settings=settings))
    SlurmMember(Options(settings={"partition": "debug", "interval": 2}))


def test_an_absent_slurm_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no sbatch on PATH" in SlurmMember.unavailable()
