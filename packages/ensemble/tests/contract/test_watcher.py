"""Metrics that are read from what real jobs write: while they run, and the last ones before their end is counted."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ensemble.events import Event
from ensemble.job import Job
from ensemble.journal import Journal, started_meta
from ensemble.load import parse
from ensemble.member import READ_LIMIT, Options, Unreachable
from ensemble.members.local import LocalMember
from ensemble.plugins import registry
from ensemble.results import Command
from ensemble.runtime import Runtime
from ensemble.testing.scripted import FakeMember, Queue

WITHIN = 60.0


class Told:
    """A reporter that keeps what it was told."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.events: list[Event] = []
        self.said: list[str] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def command(self, command: Command) -> None:
        self.commands.append(command)

    def custom_failed(self, error: Exception) -> None:
        raise error

    def say(self, kind: str, text: str) -> None:
        self.said.append(text)

    @property
    def messages(self) -> list[str]:
        return [command.label for command in self.commands if command.kind == "message"]

    def values(self, metric: str) -> list[float]:
        told = [pair for event in self.events if event.name == "metric" for pair in event.context["values"]]
        return [value for name, value in told if name == metric]


Ran = tuple[Runtime, Told]
Play = Callable[..., Ran]


def document(metrics: str, script: str, **job: Any) -> str:
    """A file with a group `a` that runs a script of sh at the start; rules may follow."""
    group = {"name": "a", "command": ["sh", "-c", script], **job}
    return f"""
jobs:
  - {json.dumps(group)[:-1]}, metrics: {metrics}}}
rules:
  - {{trigger: start, action: {{name: submit, label: a}}}}
"""


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """`play(metrics, script, *rules)` runs it on the local member."""

    def run(metrics: str, script: str, *rules: str, custom: str = "", **job: Any) -> Ran:
        text = document(metrics, script, workdir=str(tmp_path), **job) + "".join(f"  - {rule}\n" for rule in rules)
        return execute(text + custom, LocalMember(Options("r1", tmp_path / "member", 2)), tmp_path)

    return run


def execute(text: str, member: Any, folder: Path) -> Ran:
    """A run to its end, with a journal."""
    document = parse(text, "test.yaml", registry())
    meta = {"run": "r1", "text": text, "file": "test.yaml"}
    journal = Journal.create(folder / "run", meta | started_meta(), durable=False)
    runtime, told = Runtime(document, member, registry(), journal=journal), Told()

    async def work() -> None:
        async with asyncio.timeout(WITHIN):
            await runtime.run(told)

    try:
        asyncio.run(work())
    finally:
        journal.close()
    return runtime, told


# What is read


@pytest.mark.parametrize(
    ("script", "metrics", "values"),
    [
        ("echo t=1; echo x; echo t=2.5", "{m: {regex: 't=(.+)'}}", [1, 2.5]),
        ("echo '{\"a\": [1, 3]}'; echo '{\"a\": 1}'", "{m: {json: 'a[1]'}}", [3]),
        ("echo t=1; echo t=2 >&2", "{m: {regex: 't=(.+)', stream: err}}", [2]),
        ("echo t=1; echo t=3 >own.log", "{m: {regex: 't=(.+)', file: own.log}}", [3]),
        ("printf 't=1\\nt=2'", "{m: {regex: 't=(.+)'}}", [1, 2]),
        ("printf 't=1\\r\\nt=2\\rt=3\\r\\n\\nt=4\\r'", "{m: {regex: '^t=(.+)$'}}", [1, 2, 3, 4]),
        ("printf t=; sleep 1.5; echo 17", "{m: {regex: 't=(.+)'}}", [17]),
        ("head -c 300000 /dev/urandom; echo; echo t=5", "{m: {regex: '^t=(5)$'}}", [5]),
        ("head -c 10000000 /dev/zero; echo; echo t=6", "{m: {regex: '^t=(.+)$'}}", [6]),
        ("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo t=$i; done", "{m: {regex: 't=(.+)'}}", range(1, 3001)),
        ("echo t=1; rm own.log; sleep 1.5; echo t=2", "{m: {regex: 't=(.+)'}, n: {regex: (.), file: own.log}}", [1, 2]),
        (":", "{m: {regex: 't=(.+)'}}", []),
    ],
)
def test_values_are_read_each_once_and_in_order(play: Play, script: str, metrics: str, values: Sequence[float]) -> None:
    runtime, told = play(metrics, script)
    assert told.values("m") == list(values)
    if len(values):
        assert runtime.engine.metrics.get("count.a-m") == len(values)
        assert runtime.engine.metrics.get("last.a-m") == list(values)[-1]
    assert runtime.engine.metrics.counts["a"]["finished"] == 1


def test_no_number_is_left_out_and_poisons_nothing(play: Play) -> None:
    runtime, _ = play("{m: {regex: 't=(.+)'}}", "for t in 1 nan inf -inf 1e999 x 3; do echo t=$t; done")
    metrics = runtime.engine.metrics
    assert (metrics.get("count.a-m"), metrics.get("mean.a-m")) == (2, 2)
    assert metrics.series["a-m"].dropped == 4


def test_a_line_of_any_length_costs_bounded_memory(play: Play) -> None:
    """Its head is looked at, and the line behind it is found."""
    script = "printf t=1; head -c 9999999 /dev/zero | tr '\\0' ' '; echo t=9; echo t=2"
    _, told = play("{m: {regex: '^t=([0-9]+)'}}", script)
    assert told.values("m") == [1, 2]


# When


def test_values_arrive_while_the_job_runs_and_the_last_ones_before_it_has_ended(play: Play, tmp_path: Path) -> None:
    """It ends only when somebody has seen its first values."""
    _, told = play(
        "{m: {regex: 't=(.+)'}}",
        "echo t=1; echo t=2; while ! [ -e go ]; do sleep 0.05; done; echo t=3",
        "{trigger: metric, name: count.a-m, when: 2, action: {name: message, label: 'has {last.a-m}'}}",
        "{trigger: metric, name: last.a-m, when: 2, action: {name: custom, label: go}}",
        "{trigger: job-success, name: a, action: {name: message, label: 'success at {last.a-m}'}}",
        "{trigger: metric, name: count.a.success, when: 1, action: {name: message, label: 'ended with {last.a-m}'}}",
        custom=f"custom: |\n  def go(**known):\n      open({str(tmp_path / 'go')!r}, 'w').close()\n",
    )
    assert told.messages == ["has 2", "ended with 3", "success at 3"]


def test_a_rule_on_each_jobs_own_metric_fires_once_for_each(play: Play) -> None:
    """Job 0 never gets there, though all together do long before; the others are stopped by it."""
    runtime, told = play(
        "{m: {regex: 't=(.+)'}, n: {regex: 't=(4)'}}",
        "",
        "{trigger: metric, name: 'mean[3].a-m', per: job, action: {name: cancel},"
        " when: 'value >= 2 and min[2].a-m >= 3 and count.a-m >= 4'}",
        command=[
            "sh",
            "-c",
            'i=0; while [ $i -lt "$0" ]; do i=$((i+1)); echo t=$i; done; [ "$0" = 3 ] || sleep 60',
            "{n}",
        ],
        parameters={"n": [3, 4, 5, 9]},
    )
    assert sorted(c.label for c in told.commands if c.kind == "cancel") == ["a.1", "a.2", "a.3"]
    assert sum(c.kind == "trigger" for c in told.commands) == 4
    counts = runtime.engine.metrics.counts["a"]
    assert (counts["cancelled"], counts["success"]) == (3, 1)
    assert runtime.engine.result().met


def test_many_jobs_side_by_side(play: Play) -> None:
    metrics = "{m: {regex: t=(.+)}, n: {regex: u=(.+), stream: err}}"
    runtime, told = play(metrics, "echo t=1; echo u=2 >&2", count=200)
    assert told.values("m") == [1] * 200
    assert told.values("n") == [2] * 200
    assert runtime.engine.metrics.counts["a"]["success"] == 200


# What goes wrong


READERS = """
class Counts:
    def __init__(self):
        self.lines = 0

    def feed(self, line):
        self.lines += 1
        return self.lines


class Unmade(Counts):
    def __init__(self):
        raise RuntimeError("no such thing")


def fails(line):
    if line.startswith("t=2"):
        raise ValueError("never two")
    return 1


READERS = {"counts": Counts, "unmade": Unmade, "fails": fails}
READERS |= {"text": lambda line: "much", "exits": lambda line: exit(3)}
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "ensemble_watchertest.py").write_text(READERS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(str(folder))


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("reader", "values", "why"),
    [
        ("unmade", [], "RuntimeError: no such thing"),
        ("fails", [1, 1, 1], "ValueError: never two"),
        ("text", [], "ValueError: could not convert string to float: 'much'"),
        ("exits", [], "SystemExit: 3"),
    ],
)
def test_a_reader_that_fails_is_told_of_once_and_the_run_goes_on(
    play: Play, reader: str, values: list[float], why: str
) -> None:
    metrics = f"{{m: {{reader: watchertest.{reader}}}, n: {{reader: watchertest.counts}}}}"
    runtime, told = play(metrics, "echo t=1; echo t=2; echo t=3", count=3)
    assert told.values("m") == values
    assert sorted(told.values("n")) == [1, 1, 1, 2, 2, 2, 3, 3, 3]  # each job has its own
    assert len(told.said) == 1
    assert told.said[0].endswith(f"the reader of m failed and is left out: {why}")
    assert runtime.engine.metrics.counts["a"]["success"] == 3


def test_a_file_that_never_was_is_told_of_and_a_pipe_stops_nothing(play: Play, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    metrics = "{m: {regex: '(.)', file: 'none-{job}'}, n: {regex: '(.)', file: pipe}}"
    runtime, told = play(metrics, "sleep 0.1")
    assert runtime.engine.metrics.counts["a"]["success"] == 1
    assert any("there is no file" in text and "none-a.0" in text for text in told.said)
    assert any("no regular file" in text for text in told.said)


def test_a_file_that_is_begun_anew_is_read_anew(play: Play, tmp_path: Path) -> None:
    """Cut, and put in place of another; the job goes on when what it wrote before has been seen."""
    script = """
        seen() { while ! [ -e "$1" ]; do sleep 0.05; done; }
        for n in 1 2 3 4; do echo t=$n; done >own; seen 4
        echo t=5 >own; seen 5
        echo t=6 >>own; seen 6
        for n in 7 8 9; do echo t=$n; done >new; mv new own
    """
    _, told = play(
        "{m: {regex: 't=(.+)', file: own}}",
        script,
        *(f"{{trigger: metric, name: last.a-m, when: {n}, action: {{name: custom, label: go}}}}" for n in (4, 5, 6)),
        custom=f"custom: |\n  def go(metrics, **known):\n"
        f"      open({str(tmp_path)!r} + '/' + str(int(metrics.get('last.a-m'))), 'w').close()\n",
    )
    assert told.values("m") == [1, 2, 3, 4, 5, 6, 7, 8, 9]


class Fails(FakeMember):
    """Output is there only at the third time of asking; job 1 has none."""

    asked = 0

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        self.asked += 1
        if name == "a.1":
            raise KeyError("a mistake of the member")
        if self.asked < 4:
            raise Unreachable("fake", "not now")
        return b"t=1\nt=2\n"[offset : offset + limit]


def test_a_member_that_fails_to_read_is_asked_again_or_told_of(tmp_path: Path) -> None:
    text = document("{m: {regex: t=(.)}}", "x", count=2)
    runtime, told = execute(text, Fails(Options("r1", tmp_path), Queue()), tmp_path)
    assert told.values("m") == [1, 2]
    assert runtime.engine.metrics.counts["a"]["success"] == 2
    assert len(told.said) == 1
    assert "a.1: the last values of m are missing" in told.said[0]
    assert "KeyError: 'a mistake of the member'" in told.said[0]


class Requeues(FakeMember):
    """Once it was read, the queue starts the job over, which then writes again from its beginning."""

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        job = Job(name, f"r1-{name}", None)  # type: ignore[arg-type]
        again = any(event.name == "requeue" for event in self.queue.jobs[job.token])
        if not again:
            asyncio.get_running_loop().call_soon(self.start_over, job)
        return (b"t=3\nt=4\n" if again else b"t=1\nt=2\nt=3\n")[offset : offset + limit]

    def start_over(self, job: Job) -> None:
        self.queue.tell(job, "requeue", type="preempted", note="made room")
        self.queue.tell(job, "alloc", hosts=["n1"])
        self.queue.tell(job, "start")
        self.queue.tell(job, "finish", status=0)
        self.queue.tell(job, "clean")


def test_a_job_that_its_queue_starts_over_is_read_from_its_beginning(tmp_path: Path) -> None:
    queue = Queue()
    queue.default = "run"
    rule = "  - {trigger: metric, name: max.a-m, per: job, when: 3, action: {name: message, label: 'three'}}\n"
    text = document("{m: {regex: t=(.)}}", "x") + rule
    _, told = execute(text, Requeues(Options("r1", tmp_path), queue), tmp_path)
    assert told.values("m") == [1, 2, 3, 3, 4]
    assert told.messages == ["three", "three"]  # another attempt is another one


# Killed in the middle


KILLED = """
jobs:
  - name: a
    command:
      [sh, -c, 'for i in 1 2 3 4 5 6 7 8; do echo t=$i; echo u=$i >>$0; sleep 0.3; done; printf t=9', '{job}.log']
    parameters: {p: [1, 2, 3]}
    metrics: {m: {regex: t=(.+)}, n: {regex: u=(.+), file: '{job}.log'}}
  - {name: b, command: "true"}
rules:
  - {trigger: start, action: {name: submit, label: a}}
  - {trigger: metric, name: count.a-m, when: 20, action: {name: submit, label: b}}
  - {trigger: metric, name: 'mean[3].a-m', per: job, when: 8, action: {name: message, label: settled}}
  - {trigger: metric, name: sum.a-n, when: 108, action: {name: submit, label: b}}
"""


def test_killed_again_and_again_each_value_counts_once(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(KILLED)
    main = "from ensemble.cli import main; main(prog_name='ensemble')"
    command = [sys.executable, "-c", main, "run", "e.yaml", "--member", "local", "--dir", "run", "--resume"]
    dice = random.Random(5)
    kills = 0
    while True:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            _, said = process.communicate(timeout=WITHIN if kills == 6 else dice.uniform(0.4, 0.9))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
            kills += 1
        assert "Traceback" not in said
    assert process.returncode == 0, said
    assert kills >= 2
    with closing(sqlite3.connect(tmp_path / "run/run.sqlite")) as database:
        fired = database.execute("SELECT rule FROM decisions WHERE action = 'trigger' ORDER BY rule").fetchall()
        [text] = database.execute("SELECT value FROM meta WHERE key = 'result'").fetchone()
    result = json.loads(text)
    assert [rule for (rule,) in fired] == [0, 1, 2, 2, 2, 3]
    assert result["counts"]["b"]["success"] == 2
    summary = result["summary"]
    assert (summary["a-m"]["mean"], summary["a-m"]["max"]) == (5, 9)
    assert (summary["a-n"]["mean"], summary["a-n"]["max"]) == (4.5, 8)
