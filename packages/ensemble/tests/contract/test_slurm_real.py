"""The Slurm member on a real Slurm of four nodes on this host, where it is installed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ensemble.job import Known
from ensemble.member import Options, Unreachable
from ensemble.members.slurm import SlurmMember
from ensemble.slurmqueue.track import Patience
from ensemble.testing import SCENARIOS, Scenario, Session, check_member

CONF = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
MaxArraySize=1001
KillWait=2
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=8 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=8 RealMemory=1000
NodeName=n3 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[3]} CPUs=8 RealMemory=1000
NodeName=n4 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[4]} CPUs=8 RealMemory=1000
PartitionName=main Nodes=n[1-3] Default=YES PriorityTier=10
PartitionName=low Nodes=n4 PriorityTier=1
PartitionName=again Nodes=n4 PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes=n4 PriorityTier=100
"""
NODES = ("n1", "n2", "n3", "n4")


class Cluster:
    """A throwaway Slurm: its daemons, and the environment from which it is reached."""

    def __init__(self, folder: Path, path: str) -> None:
        self.folder = folder
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "slurm.conf").write_text(CONF.format(folder=folder, ports=_free_ports(5)))
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # the other looks for them at once
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o600)
        self.environ = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        munge = [f"--{name}={folder}/{file}" for name, file in (("key-file", "munge.key"), ("socket", "munge.sock"))]
        munge += [f"--{name}={folder}/munge.{name}" for name in ("pid-file", "log-file", "seed-file")]
        self.start("munged", "--force", "--foreground", *munge)
        self._until(lambda: (folder / "munge.sock").exists())
        self.start("slurmctld", "-D")
        for name in NODES:
            self.start("slurmd", "-D", "-N", name)
        self._until(lambda: set(self.ask("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split()) == set(NODES))

    def start(self, *command: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self.running[command[-1] if command[0] == "slurmd" else command[0]] = subprocess.Popen(
                command, env=self.environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def end(self, name: str) -> None:
        """In order: a slurmctld that is killed forgets its last jobs, and gives their ids to others."""
        self.running[name].terminate()
        self.running.pop(name).wait(20)

    def ask(self, *command: str) -> str:
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=30).stdout.strip()

    def _until(self, ready: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not ready():
            if time.monotonic() > end:
                self.stop()
                pytest.fail((self.folder / "log").read_text()[-3000:])
            time.sleep(0.1)

    def stop(self) -> None:
        self.ask("scancel", "-u", "root")
        for process in reversed(self.running.values()):  # munged last: the others stop only with its help
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name, path=path)]
    if os.geteuid() or missing:
        pytest.skip("needs root and Slurm with its daemons (slurmctld, slurmd, munged)")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"), path)
    yield cluster
    cluster.stop()


Make = Callable[[], SlurmMember]


@pytest.fixture
def make(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Gives members of one folder on the cluster."""
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, slurm.environ[name])
    run = f"r{abs(hash(str(tmp_path))):x}"
    return lambda: SlurmMember(Options(run=run, folder=tmp_path, interval=0.4))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract(scenario: Scenario, make: Make) -> None:
    assert SlurmMember.unavailable() == ""
    check_member(scenario, make)


def exceptions(session: Session, name: str) -> list[tuple[str, int]]:
    mine = [event for event in session.events if event.job == name and event.name == "exception"]
    return [(event.context["type"], event.context["severity"]) for event in mine]


def course(session: Session, name: str) -> list[str]:
    return [event.name for event in session.events if event.job == name]


def job_id(session: Session, name: str) -> str:
    return next(str(e.context["id"]) for e in session.events if e.job == name and e.name == "submit")


async def many_jobs_are_few_arrays(session: Session) -> None:
    names = await session.submit(["true"], count=2500, attributes={"begin": "now+1hour"})
    assert len({job_id(session, name).partition("_")[0] for name in names}) == 3
    member = session.member
    assert len(list(Path(member.output).rglob("*"))) < 10
    await member.cancel(names)
    assert await session.outcomes(names) == {"cancelled"}


async def tasks_run_by_srun(session: Session) -> None:
    script = 'read line; echo "$SLURM_PROCID $line"; exit $((SLURM_PROCID * 2))'
    path = Path(session.member.output) / "in"
    path.write_text("hello\nhello\nhello\n")
    names = await session.submit(["sh", "-c", script], tasks=2, nodes=2, stdin=str(path), memory=1 << 26)
    assert await session.outcomes(names) == {"failed"}
    assert sorted((await session.output(names[0])).split(b"\n")) == [b"", b"0 hello", b"1 hello"]
    assert [event.context["status"] for event in session.events if event.name == "finish"] == [2 << 8]
    hosts = [event.context["hosts"] for event in session.events if event.name == "alloc"]
    assert len(hosts[0]) == 2


async def what_is_wrong_is_told(session: Session) -> None:
    wrong: dict[str, dict[str, object]] = {
        "/no/such/folder": {"workdir": "/no/such/folder"},
        "/no/such/file": {"stdin": "/no/such/file"},
        "nosuch": {"attributes": {"partition": "nosuch"}},
        "wibble": {"attributes": {"wibble": 1}},
        "environment variable": {"environment": {"A B": "c"}},
    }
    for word, fields in wrong.items():
        names = await session.submit(["true"], **fields)
        assert await session.outcomes(names) == {"exception"}
        assert any(word in event.context["note"] for event in session.events if event.name == "exception")
        session.events.clear()


async def own_files_for_output(session: Session) -> None:
    path = Path(session.member.output) / "mine" / "a file.txt"
    names = await session.submit(["sh", "-c", "echo out; echo err >&2"], output=str(path))
    assert await session.outcomes(names) == {"success"}
    assert (path.read_text(), path.with_suffix(".err").read_text()) == ("out\n", "err\n")
    assert await session.member.read(names[0], "err", 0) == b"err\n"


async def what_users_write_is_never_run(session: Session) -> None:
    argv = ["printf", "%s|", "$(id)", "`id`", "a'b\"c", "new\nline", "*", "", "--", "é", "\\"]
    jobs = session.prepare(argv, count=2, environment={"ODD": "';touch x;'\n$HOME"})
    await session.member.submit(jobs)
    names = [job.name for job in jobs]
    assert await session.outcomes(names) == {"success"}
    for name in names:
        assert (await session.output(name)).decode().split("|")[:-1] == argv[2:]


async def a_signal_is_one(session: Session) -> None:
    names = await session.submit(["sh", "-c", "kill -SEGV $$"])
    assert await session.outcomes(names) == {"failed"}
    assert [event.context["status"] for event in session.events if event.name == "finish"] == [signal.SIGSEGV]


ALONE = [
    many_jobs_are_few_arrays,
    tasks_run_by_srun,
    what_is_wrong_is_told,
    own_files_for_output,
    what_users_write_is_never_run,
    a_signal_is_one,
]


@pytest.mark.parametrize("scenario", ALONE, ids=lambda scenario: scenario.__name__)
def test_slurm_alone(scenario: Scenario, make: Make) -> None:
    check_member(scenario, make)


def test_a_restart_of_slurmctld_changes_nothing(slurm: Cluster, make: Make) -> None:
    async def scenario(session: Session) -> None:
        short = await session.submit(["sleep", "2"])
        long = await session.submit(["sleep", "7"], count=3)
        await session.until("start", [*short, *long])
        slurm.end("slurmctld")
        told = len(session.events)
        assert await session.outcomes(short) == {"success"}  # its own record tells
        assert not [event for event in session.events[told:] if event.job in long]
        with pytest.raises(Unreachable):
            await session.submit(["true"])
        slurm.start("slurmctld", "-D")
        assert await session.outcomes(long) == {"success"}

    check_member(scenario, make)


def test_a_requeue_is_a_new_attempt(slurm: Cluster, make: Make) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["sleep", "3"])
        await session.until("start", names)
        slurm.ask("scontrol", "requeue", job_id(session, names[0]))
        await session.until("requeue", names)
        # By itself Slurm starts it two minutes later, and takes no other time before the first attempt is gone.
        one = job_id(session, names[0])
        while slurm.ask("squeue", "-h", "-j", one, "-o", "%T") == "COMPLETING":
            await asyncio.sleep(0.1)
        slurm.ask("scontrol", "update", f"JobId={one}", "StartTime=now")
        await session.until("clean", names)
        assert course(session, names[0]) == [
            *("submit", "alloc", "start", "requeue", "alloc", "start", "finish", "clean")
        ]

    check_member(scenario, make)


def test_a_node_that_is_lost(slurm: Cluster, make: Make) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["sleep", "60"], attributes={"nodelist": "n3", "requeue": False})
        await session.until("start", names)
        slurm.ask("scontrol", "update", "NodeName=n3", "State=DOWN", "Reason=test")
        await session.until("clean", names)
        assert exceptions(session, names[0]) == [("node-lost", 0)]
        note = next(event.context["note"] for event in session.events if event.name == "exception")
        assert "n3" in note and job_id(session, names[0]) in note and session.member.output in note

    try:
        check_member(scenario, make)
    finally:
        slurm.ask("scontrol", "update", "NodeName=n3", "State=RESUME")


@pytest.mark.parametrize(("partition", "wanted"), [("low", "exception"), ("again", "requeue")])
def test_preemption(slurm: Cluster, make: Make, partition: str, wanted: str) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["sleep", "60"], attributes={"partition": partition, "exclusive": True})
        await session.until("start", names)
        high = await session.submit(["true"], attributes={"partition": "high"})
        await session.until(wanted, names)
        told = next(event for event in session.events if event.job == names[0] and event.name == wanted)
        assert told.context["type"] == "preempted"
        assert await session.outcomes(high) == {"success"}

    check_member(scenario, make)


def test_a_held_job_waits_and_says_so(slurm: Cluster, make: Make) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["true"], attributes={"begin": "now+1hour"})
        slurm.ask("scontrol", "hold", job_id(session, names[0]))
        await session.until("exception", names)
        assert exceptions(session, names[0]) == [("alloc", 1)]
        slurm.ask("scontrol", "update", f"JobId={job_id(session, names[0])}", "StartTime=now")
        slurm.ask("scontrol", "release", job_id(session, names[0]))
        got = await session.outcomes(names)
        assert got == {"success"}, session.events
        assert len(exceptions(session, names[0])) == 1

    check_member(scenario, make)


@pytest.mark.parametrize("count", [1, 3])
def test_a_submission_cut_off_yields_one_job_each(
    slurm: Cluster, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """sbatch fails after the job was made: found again by its name; one that never got there is absent."""
    program = shutil.which("sbatch", path=slurm.environ["PATH"])
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    fake = folder / "sbatch"
    fake.write_text(
        f'#!/bin/sh\necho x >>{log}\n[ -e {tmp_path}/never ] || {program} "$@" >/dev/null\n'
        "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2\nexit 1\n"
    )
    fake.chmod(0o755)

    def made() -> SlurmMember:
        member = make()
        member.patience = Patience(settle=1.0)
        return member

    async def scenario(session: Session) -> None:
        monkeypatch.setenv("PATH", f"{folder}:{slurm.environ['PATH']}")
        session.member = made()
        await session.member.open(session.emit, session.lost)
        jobs = session.prepare(["sleep", "1"], count=count)
        with pytest.raises(Unreachable):
            await session.member.submit(jobs)
        (tmp_path / "never").touch()
        others = session.prepare(["true"], count=count)
        with pytest.raises(Unreachable):
            await session.member.submit(others)
        await session.member.close(leave=True)
        monkeypatch.setenv("PATH", slurm.environ["PATH"])
        session.member = made()
        await session.member.open(session.emit, session.lost)
        absent = await session.member.adopt([Known(job) for job in (*jobs, *others)])
        assert set(absent) == {job.name for job in others}
        await session.member.submit(others)
        assert await session.outcomes([job.name for job in (*jobs, *others)]) == {"success"}
        seen = slurm.ask("squeue", "-h", "-t", "all", "-r", "-o", "%j")
        assert sum(name.startswith(jobs[0].token) for name in seen.split()) == count

    async def run() -> None:
        session = Session(made)
        try:
            await scenario(session)
        finally:
            await session.member.close()

    asyncio.run(run())


def test_somebody_else_cancels(slurm: Cluster, make: Make) -> None:
    async def scenario(session: Session) -> None:
        names = await session.submit(["sleep", "60"], count=2)
        await session.until("start", names)
        waiting = await session.submit(["true"], count=2, attributes={"begin": "now+1hour"})
        slurm.ask("scancel", *(job_id(session, name).partition("_")[0] for name in (names[0], waiting[0])))
        assert await session.outcomes([*names, *waiting]) == {"cancelled"}
        assert "start" not in course(session, waiting[0])
        assert sum(session.member.calls.values()) < 30

    check_member(scenario, make)
