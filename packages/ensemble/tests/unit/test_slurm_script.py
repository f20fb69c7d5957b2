"""The script of a Slurm job, run by the shells of this machine as slurmd would."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ensemble.job import Job, Spec
from ensemble.slurmqueue import script
from ensemble.slurmqueue.records import Batch, Record, Store, parse

SHELLS = [path for name in ("dash", "bash", "ksh", "mksh", "yash") if (path := shutil.which(name))]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Runner:
    """Runs elements of one array, each as often as it is asked to."""

    def __init__(self, shell: str, folder: Path, specs: list[Spec]) -> None:
        self.shell, self.store = shell, Store(folder)
        self.store.open()
        jobs = [Job(f"a.{number}", f"r-a.{number}", spec) for number, spec in enumerate(specs)]
        self.store.intend(Batch("b", 0, [job.name for job in jobs], 1.0, True))
        self.text = script.script(jobs, folder, "b", 0, str(folder))

    def start(self, index: int = 0, restart: int = 0, **environ: str) -> subprocess.Popen[bytes]:
        told = {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_ARRAY_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1"}
        told |= {"SLURM_RESTART_COUNT": str(restart), **environ}
        process = subprocess.Popen(
            [self.shell, "-s"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **told}
        )
        assert process.stdin
        process.stdin.write(self.text.encode())
        process.stdin.close()
        return process

    def run(self, index: int = 0, **environ: str) -> list[Record]:
        self.start(index, **environ).wait(30)
        return self.store.new_records({0})

    def output(self, job: str, stream: str = "out") -> bytes:
        piece = self.store.piece(job, stream)
        if piece is None:
            return b""
        path, start, length = piece
        return path.read_bytes()[start:][:length]


def sh(text: str, **fields: object) -> Spec:
    return Spec("a", ("sh", "-c", text), **fields)  # type: ignore[arg-type]


def test_start_end_and_output_are_written_down(shell: str, tmp_path: Path) -> None:
    runner = Runner(shell, tmp_path, [sh("echo out $A; echo err >&2; exit 3", environment={"A": "$x 'y'"}), sh(":")])
    start, end = runner.run()
    assert (start.kind, start.id, start.hosts, start.restart) == ("start", "7", "n1", 0)
    assert (end.kind, end.how, end.code) == ("end", "exit", 3)
    assert abs(start.time - time.time()) < 60 and end.time >= start.time
    assert (runner.output("a.0"), runner.output("a.0", "err")) == (b"out $x 'y'\n", b"err\n")
    assert [record.code for record in runner.run(1)] == [0, 0]
    assert runner.output("a.1") == b""
    assert not list((tmp_path / "live").iterdir())


def test_one_that_has_ended_is_not_run_again_by_a_slurmctld_that_forgot_it(shell: str, tmp_path: Path) -> None:
    runner = Runner(shell, tmp_path, [sh(f"echo {code} >>{tmp_path}/ran; exit {code}") for code in (3, 0)])
    for index, code in enumerate((3, 0)):
        runner.run(index)
        assert runner.start(index).wait(30) == code
        assert not runner.store.new_records({0})
    assert (tmp_path / "ran").read_text() == "3\n0\n"
    # Put back into the queue: a failure as its administrators may want it (RequeueExit), a success by mistake.
    assert runner.start(0, restart=1).wait(30) == 3
    assert runner.start(1, restart=1).wait(30) == 0
    assert (tmp_path / "ran").read_text() == "3\n0\n3\n"


def test_long_output_stays_a_file(shell: str, tmp_path: Path) -> None:
    runner = Runner(shell, tmp_path, [sh("head -c 300000 /dev/zero")])
    runner.run()
    assert len(runner.output("a.0")) == 300_000
    assert not (tmp_path / "pack-0.data").exists() or not (tmp_path / "pack-0.data").stat().st_size


def test_many_at_once_do_not_mix(shell: str, tmp_path: Path) -> None:
    runner = Runner(shell, tmp_path, [sh(f"echo {number}; echo {number} >&2; exit {number}") for number in range(20)])
    running = [runner.start(number) for number in range(20)]
    assert [process.wait(30) for process in running] == list(range(20))
    ends = [record for record in runner.store.new_records({0}) if record.kind == "end"]
    assert sorted(record.code for record in ends) == list(range(20))
    for number in range(20):
        assert runner.output(f"a.{number}", "err") == f"{number}\n".encode()


def test_the_limit_is_kept_to_the_second_even_if_sigterm_is_ignored(shell: str, tmp_path: Path) -> None:
    runner = Runner(shell, tmp_path, [sh("trap '' TERM; while :; do sleep 0.1; done", duration=1)])
    began = time.monotonic()
    end = runner.run()[-1]
    assert end.how == "timeout"
    assert time.monotonic() - began < 20


def test_a_limit_that_is_not_met_leaves_nothing_behind(shell: str, tmp_path: Path) -> None:
    seconds = 100_000 + time.time_ns() % 1_000_000  # a sleep that is ours
    runner = Runner(shell, tmp_path, [sh("true", duration=seconds)])
    assert runner.run()[-1].how == "exit"
    for _ in range(300):
        if not subprocess.run(["pgrep", "-f", f"^sleep {seconds}"], capture_output=True).stdout:
            return
        time.sleep(0.1)
    pytest.fail("the watchdog's sleep still runs")


def test_being_told_to_end_is_written_down(shell: str, tmp_path: Path) -> None:
    runner = Runner(shell, tmp_path, [sh("echo begun; exec sleep 60")])
    process = runner.start()
    while not (tmp_path / "live" / "a.0.out").exists() or not (tmp_path / "live" / "a.0.out").read_bytes():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    end = runner.store.new_records({0})[-1]
    assert (end.how, end.code) == ("term", 143)
    assert runner.output("a.0") == b"begun\n"


@pytest.mark.parametrize(
    ("spec", "how"),
    [
        (Spec("a", ("/no/such",)), "command"),
        (Spec("a", ("nosuch-command",)), "command"),
        (Spec("a", ("/etc/passwd",)), "command"),
        (Spec("a", ("true",), environment={"PATH": "/nowhere"}), ""),
        (Spec("a", ("true",), workdir="/no/such"), "workdir"),
        (Spec("a", ("true",), stdin="/no/such"), "stdin"),
        (Spec("a", ("true",), output="/proc/no/such"), "output"),
    ],
)
def test_what_can_not_be_started(shell: str, tmp_path: Path, spec: Spec, how: str) -> None:
    place, end = Runner(shell, tmp_path, [spec]).run()
    if how:
        assert (place.kind, end.how) == ("place", how)
    else:
        assert end.code == 127  # a PATH without the command, where true is a word of the shell


def test_a_folder_that_is_not_there_does_not_stop_the_job(shell: str, tmp_path: Path) -> None:
    runner = Runner(shell, tmp_path / "gone", [sh(f"echo ran > {tmp_path}/ran; exit 4", workdir="/")])
    shutil.rmtree(tmp_path / "gone")
    assert runner.start().wait(30) == 4
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_without_flock_output_stays_in_files(shell: str, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("date", "wc", "cat", "rm", "sleep", "hostname", "sh"):
        (tools / name).symlink_to(shutil.which(name) or "/bin/false")
    runner = Runner(shell, tmp_path / "run", [sh("echo out")])
    assert runner.run(PATH=str(tools))[-1].code == 0
    assert runner.output("a.0") == b"out\n"
    assert (tmp_path / "run" / "live" / "a.0.out").exists()


def test_lines_that_are_not_whole_are_nothing() -> None:
    assert parse("b 0 0 end 5.0 exit 0 - - .") == Record("b", 0, 0, "end", 5.0, how="exit", out="-", err="-")
    assert parse("b 0 0 start 5.%N 7 n1 .") == Record("b", 0, 0, "start", 5.0, id="7", hosts="n1")
    for line in ("", "b 0 0 end 5.0 exit 0 - -", "b 0 0 end 5.0 ex", "b x 0 end 5 exit 0 - - .", "a b c d e f g ."):
        assert parse(line) is None


def test_a_store_is_read_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.open()
    for number in range(4):
        store.intend(Batch(f"b{number}", store.next_pack(400), [f"a.{number}"] * 400, 1.0, True))
    store.arrived("b0", "7")
    store.refused("b1")
    store.restarted("b2", "a.2", 3)
    store.close()
    with (tmp_path / "batches.jsonl").open("ab") as file:
        file.write(b'{"batch": "cut')
    again = Store(tmp_path)
    again.open()
    assert [batch.pack for batch in again.batches.values()] == [0, 0, 1, 1]
    assert (again.batches["b0"].id, again.batches["b1"].void, again.restarts) == ("7", True, {"a.2": 3})
    again.intend(Batch("b4", again.next_pack(1), ["a.5"], 1.0, False))
    again.close()
    third = Store(tmp_path)
    third.open()
    assert "b4" in third.batches
    third.close()
