"""A run whose surroundings fail: a member with bugs, a disk that is full, a stop in the middle of anything."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import IO

import pytest

from ensemble.errors import MemberError
from ensemble.journal import JournalError
from ensemble.runtime import CLOSE_WITHIN, STOP_WITHIN
from ensemble.testing.scripted import FakeMember, Queue

from .test_runtime import FIVE, impatient, once, resume, run, start, stop_when_running  # noqa: F401 - a fixture

MEMBER = """
import asyncio, os, threading, time
from ensemble.testing.scripted import FakeMember, Queue
from ensemble.member import Unreachable


class Faulty(FakeMember):
    name = ""

    def __init__(self, options):
        super().__init__(options, Queue())
        self.fault = options.settings.get("fault", "")
        self.queue.default = options.settings.get("ends", "success")

    async def hang(self):
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass  # it does not listen

    async def open(self, emit, lost):
        if self.fault == "open hangs":
            await asyncio.sleep(600)
        if self.fault == "open":
            raise KeyError("socket")
        await super().open(emit, lost)

    async def submit(self, jobs):
        if self.fault == "submit hangs":
            await self.hang()
        if self.fault == "thread hangs":
            await asyncio.to_thread(time.sleep, 600)
        if self.fault == "unreachable":
            raise Unreachable("faulty", "nobody there")
        if self.fault == "submit":
            raise ValueError("two\\nlines")
        if self.fault == "callback":
            asyncio.get_running_loop().call_soon(self.oops)
        await super().submit(jobs)

    def oops(self):
        return {}["pid"]

    async def close(self, *, leave=False):
        if self.fault == "close hangs":
            await self.hang()
        if self.fault == "close":
            raise RuntimeError("no way")
        await super().close(leave=leave)


MEMBER = Faulty
"""


class Here:
    """A command line with the faulty member."""

    def __init__(self, folder: Path) -> None:
        (folder / "plugins").mkdir()
        (folder / "plugins/ensemble_faulty.py").write_text(MEMBER)
        self.folder = folder
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder / "plugins"), *sys.path]),
            "RESOURCES_PLUGIN_PATH": str(folder / "plugins"),
        }

    def write(self, fault: str, ends: str = "success", more: str = "") -> Path:
        path = self.folder / "f.yaml"
        path.write_text(f"member: {{name: faulty, fault: {fault}, ends: {ends}}}\n{more or FIVE}")
        return path

    def start(self, *arguments: object, out: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from ensemble.cli import main; main(prog_name='ensemble')"]
        return subprocess.Popen(
            [*command, *map(str, arguments)],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )

    def run(self, *arguments: object) -> tuple[int | None, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@pytest.fixture
def here(tmp_path):
    return Here(tmp_path)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("open", "KeyError: 'socket'"),
        ("submit", "ValueError: two lines"),
        ("callback", "KeyError: 'pid'"),
    ],
)
def test_a_bug_in_a_member_is_one_line_that_names_it_and_the_run_can_go_on(here, fault, says):
    code, _, err = here.run("run", here.write(fault, ends="run"), "--dir", "d")
    lines = [line for line in err.splitlines() if "member faulty" in line]
    assert code == 1, err
    assert len(lines) == 1
    assert says in lines[0]
    assert "ensemble_faulty.py:" in lines[0]
    assert "Traceback" not in err
    code, _, err = here.run("run", "--resume", "d", "--json")
    assert code == 1
    assert "Traceback" not in err  # it fails again, in order


def test_a_bug_at_the_close_does_not_take_the_result(here):
    code, out, err = here.run("run", here.write("close"), "--dir", "d")
    assert code == 0
    assert "the member did not close in order: no way" in err
    assert out.count("=> trigger") == 2


@pytest.mark.parametrize(
    ("fault", "ends"),
    [
        ("submit hangs", "success"),
        ("thread hangs", "success"),
        ("open hangs", "success"),
        ("close hangs", "run"),
        ("unreachable", "success"),
        ("none", "run"),
    ],
)
def test_a_stop_in_the_middle_of_anything(here, fault, ends):
    custom = "" if fault != "none" else "custom: |\n  def f(**known):\n      import time; time.sleep(600)\n"
    rule = "  - {trigger: start, action: {name: custom, label: f}}\n" if custom else ""
    folder = here.folder / "a dir"
    file, told = here.write(fault, ends, FIVE.rstrip() + f"\n{rule}{custom}"), here.folder / "told"
    with told.open("w") as out, here.start("run", file, "--dir", folder, out=out) as process:
        for _ in range(2000):
            if (folder / "run.sqlite").exists() and (fault == "open hangs" or "submit a" in told.read_text()):
                break
            time.sleep(0.01)
        time.sleep(0.5)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert time.monotonic() - began < 5.5  # what is promised, and a little for a busy machine
    assert "stopped (SIGTERM): " in err
    assert "ensemble run --resume '" in err
    assert "Traceback" not in err
    if fault != "open hangs":
        assert "5 jobs are left to their queue (a: 5)" in err
    assert STOP_WITHIN * 2 + CLOSE_WITHIN < 5


def test_a_disk_that_is_full_is_one_line_and_nothing_is_lost(here, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "none", disk]).returncode:
        pytest.skip("a small disk can be made by root only, who may mount")
    try:
        text = FIVE.replace("count: 5", "count: 4000").replace("when: 5", "when: 4000")
        code, _, err = here.run("run", here.write("none", more=text), "--dir", disk / "d")
        assert code == 1, err
        assert "run.sqlite can't be" in err
        assert "ensemble run --resume" in err
        assert "Traceback" not in err
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        code, _, err = here.run("run", "--resume", disk / "d")
        assert code == 0, err
        assert "a: 4000 submitted, 4000 finished, 4000 success" in err
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


@pytest.mark.parametrize("moment", [1, 2, 3, 5, 8])
def test_a_write_that_fails_leaves_the_journal_as_it_was(tmp_path, monkeypatch, moment):
    queue = Queue()
    runtime = start(FIVE, queue, tmp_path / "run")
    journal, count = runtime._journal, 0

    class Failing:
        def __init__(self, database):
            self.database = database

        def __getattr__(self, name):
            return getattr(self.database, name)

        def executemany(self, *arguments):
            nonlocal count
            count += 1
            if count >= moment:
                self.database.executemany(arguments[0], arguments[1][:1])
                raise sqlite3.OperationalError("database or disk is full")
            return self.database.executemany(*arguments)

    journal._database = Failing(journal._database)
    with pytest.raises(JournalError, match=r"disk is full.*--resume"):
        run(runtime)
    queue.member = None
    again = resume(queue, tmp_path / "run")
    result, _ = run(again)
    assert result.met
    assert again.engine.metrics.counts["a"]["success"] == 5
    assert once(queue)
    assert len(queue.made) == 6


def test_a_queue_that_is_away_at_the_resume_is_waited_for(tmp_path):
    queue = Queue()
    queue.default = "run"
    runtime = start(FIVE, queue, tmp_path / "run")
    stop_when_running(runtime)
    run(runtime)
    assert not runtime.engine.done
    queue.adopt_faults += ["not now", "nor now"]
    again = resume(queue, tmp_path / "run")
    for events in queue.jobs.values():
        name = events[0].job
        events += [
            type(events[0])("finish", time.time(), name, {"status": 0}),
            type(events[0])("clean", time.time(), name),
        ]
    queue.default = "success"
    result, report = run(again)
    assert result.met
    assert ("found", "connected again") in report.said
    assert once(queue)


def test_what_is_cancelled_while_the_queue_takes_no_more_is_never_submitted(tmp_path):
    text = """
jobs: [{name: a, command: "true", count: 5}]
rules:
  - {trigger: start, action: {name: submit, label: a}}
  - {trigger: job-submit, action: {name: cancel, label: a}}
"""
    queue = Queue()
    queue.default = "hold"
    queue.submit_faults += [("limit", 2)]
    runtime = start(text, queue)
    member = runtime.member
    submit = member.submit

    async def slowly(jobs):
        try:
            await submit(jobs)
        finally:
            await asyncio.sleep(0.1)  # the rule has fired by then

    member.submit = slowly
    result, _ = run(runtime)
    assert result.met
    assert runtime.engine.metrics.counts["a"] == {"submitted": 5, "finished": 5, "cancelled": 5}
    assert len(queue.made) == 2


def test_what_was_left_stays_so_after_a_kill_at_the_very_end(tmp_path):
    """Killed between the end of the work and the note of it, a resumed run does not cancel what a rule has left."""
    text = FIVE + "  - {trigger: job-start, action: {name: terminate, value: leave}}\n"
    queue = Queue()
    queue.default = "run"
    run(start(text, queue, tmp_path / "run"))
    closed = []
    again = resume(queue, tmp_path / "run")
    close = again.member.close

    async def note(*, leave=False):
        closed.append(leave)
        await close(leave=leave)

    again.member.close = note
    result, _ = run(again)
    assert closed == [True]
    assert result.left == 5
    assert queue.cancelled == []


def test_nodes_are_added_to_those_that_there_are(tmp_path):
    text = FIVE + "  - {trigger: start, action: {name: grow, value: 3}}\n"
    queue = Queue()
    run(start(text, queue))
    assert queue.sizes == [5]


def test_a_resize_that_fails_is_told_and_the_run_goes_on(monkeypatch):
    async def refuse(self, nodes):
        raise MemberError("fake", "no more nodes")

    monkeypatch.setattr(FakeMember, "resize", refuse)
    result, report = run(start(FIVE + "  - {trigger: start, action: {name: grow}}\n", Queue()))
    assert result.errors == ["member fake: no more nodes"]
    assert len(report.fired) == 3


def test_a_file_of_requests_that_makes_no_sense_is_taken_away(tmp_path):
    queue = Queue()
    runtime = start(FIVE, queue, tmp_path / "run")
    place = tmp_path / "run/requests"
    place.mkdir()
    for number, text in enumerate(["{", "3", '{"cancel": 5}', '{"cancel": [["a"]]}', "{}"]):
        (place / f"{number}.json").write_text(text)
    result, _ = run(runtime)
    assert result.met
    assert list(place.iterdir()) == []


def test_failures_before_a_resume_keep_their_stderr(tmp_path):
    queue = Queue()
    queue.ends = {"a.0": deque(["fail"])}
    queue.default = "run"
    runtime = start(FIVE, queue, tmp_path / "run")
    take = runtime._take

    def stop_when_failed(batch):
        take(batch)
        if runtime.engine.result().failed:
            runtime._stop.set()

    runtime._take = stop_when_failed
    run(runtime)
    again = resume(queue, tmp_path / "run")

    async def read(name, stream, offset, limit=0):
        return b"oh\n" if stream == "err" else b""

    again.member.read = read
    for events in list(queue.jobs.values()):
        name = events[0].job
        if events[-1].name != "clean":
            kind = type(events[0])
            events += [kind("finish", time.time(), name, {"status": 0}), kind("clean", time.time(), name)]
    queue.default = "success"
    result, _ = run(again)
    assert result.failures[0]["stderr"] == "oh"


# The command line


def test_two_runs_in_one_directory_and_odd_names(here):
    folder = here.folder / "odd 'näme'\n#x"
    process = here.start("run", here.write("none", "run"), "--dir", folder)
    while not (folder / "run.sqlite").exists():
        time.sleep(0.01)
    for arguments in (["run", here.folder / "f.yaml", "--dir", folder], ["run", "--resume", folder]):
        code, out, err = here.run(*arguments)
        assert (code, out) == (1, "")
        assert "Traceback" not in err
        assert "has a run already" in err or "is being run by process" in err
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "stopped (SIGINT)" in err


def test_resume_in_another_place_with_another_file_and_after_the_end(here):
    file = here.write("none", "success", FIVE.replace('command: "true"}]', 'command: "true", workdir: "."}]'))
    code, out, _ = here.run("run", file, "--dir", "d", "--json")
    assert code == 0
    assert [json.loads(line)["type"] for line in out.splitlines()][-1] == "end"
    assert here.run("run", "--resume", "d")[0] == 0
    assert "has ended" in here.run("run", "--resume", "d")[2]
    assert "on member faulty, not local" in here.run("run", "--resume", "d", "--member", "local")[2]
    file.write_text(file.read_text() + "\n")
    code, out, err = here.run("run", file, "--dir", "d", "--resume")
    assert (code, out) == (1, "")
    assert "has changed since" in err
    (here.folder / "plugins/ensemble_faulty.py").unlink()
    assert here.run("run", "--resume", "d")[0] == 0  # it has ended all the same


def test_a_member_that_is_gone_is_one_line(here):
    code, _, _ = here.run("run", here.write("submit"), "--dir", "d")
    assert code == 1
    (here.folder / "plugins/ensemble_faulty.py").unlink()
    code, out, err = here.run("run", "--resume", "d")
    assert (code, out, len(err.splitlines())) == (1, "", 1), err
    assert "faulty" in err


def test_a_directory_that_cannot_be_written(here):
    (here.folder / "file").write_text("")
    code, out, err = here.run("run", here.write("none"), "--dir", here.folder / "file/d")
    assert (code, out, len(err.splitlines())) == (1, "", 1), err
    (here.folder / "d2").mkdir()
    (here.folder / "d2/lock").mkdir()
    code, out, err = here.run("run", here.write("none"), "--dir", here.folder / "d2")
    assert (code, out, len(err.splitlines())) == (1, "", 1), err


def test_stdin_can_be_resumed(here):
    text = here.write("submit").read_text()
    command = [sys.executable, "-c", "from ensemble.cli import main; main()", "run", "-", "--dir", "d"]
    done = subprocess.run(command, input=text, text=True, capture_output=True, env=here.environment, cwd=here.folder)
    assert done.returncode == 1
    plugin = here.folder / "plugins/ensemble_faulty.py"
    plugin.write_text(plugin.read_text().replace('"submit":', '"never":'))
    code, out, err = here.run("run", "--resume", "d")
    assert code == 0, err
    assert "=> trigger count.a.finished" in out


@pytest.mark.parametrize("then", [0.0, 0.02, 0.05, 0.2, None])
def test_stopped_and_killed_while_stopping(here, then):
    """The resumed run ends as one that nobody stopped: each job once, each decision once."""
    witness = here.folder / "witness"
    text = f"""
member: local
jobs:
  - {{name: a, command: [sh, -c, "echo {{job}} >> {witness}; sleep 0.4"], count: 6}}
  - {{name: b, command: [sh, -c, "echo {{job}} >> {witness}"], count: 2}}
rules:
  - {{trigger: start, action: {{name: submit, label: a}}}}
  - {{trigger: metric, name: count.a.success, when: 1, action: {{name: submit, label: b, repetitions: 6}}}}
"""
    file = here.folder / "s.yaml"
    file.write_text(text)
    arguments = ("run", file, "--dir", "d", "--resume", "--cores", "2")
    for wait in (0.6, 0.9):
        with here.start(*arguments) as process:
            for _ in range(500):
                if witness.exists():
                    break
                time.sleep(0.01)
            time.sleep(wait)
            process.send_signal(signal.SIGTERM)
            if then is not None:
                time.sleep(then)
                process.kill()
            _, err = process.communicate(timeout=30)
            assert "Traceback" not in err
    code, _, err = here.run(*arguments)
    assert code == 0, err
    ran = witness.read_text().split()
    assert len(ran) == len(set(ran)) == 6 + 12
    with sqlite3.connect(here.folder / "d/run.sqlite") as database:
        [fired] = database.execute("SELECT count(*) FROM decisions WHERE action = 'trigger'").fetchone()
    database.close()
    assert fired == 7
