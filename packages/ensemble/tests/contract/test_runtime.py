"""The runtime over a scripted queue: what goes wrong there neither loses a job nor runs one twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from ensemble.errors import MemberError
from ensemble.journal import Journal, JournalError, started_meta
from ensemble.load import parse
from ensemble.member import Options, SubmitLimit
from ensemble.plugins import registry
from ensemble.runtime import Runtime, replay
from ensemble.testing.scripted import FakeMember, Queue

FIVE = """
jobs: [{name: a, command: "true", count: 5}, {name: b, command: "true"}]
rules:
  - {trigger: start, action: {name: submit, label: a}}
  - {trigger: metric, name: count.a.finished, when: 5, action: {name: submit, label: b}}
"""


class Silent:
    """A reporter that keeps what it was told."""

    def __init__(self):
        self.commands, self.said, self.failed = [], [], []

    def event(self, event):
        pass

    def command(self, command):
        self.commands.append(command)

    def custom_failed(self, error):
        self.failed.append(error)

    def say(self, kind, text):
        self.said.append((kind, text))

    @property
    def fired(self):
        return [command.label for command in self.commands if command.kind == "trigger"]


def start(text: str, queue: Queue, folder: Path | None = None) -> Runtime:
    document = parse(text, "test.yaml")
    journal = None
    if folder:
        meta = {"run": "r1", "text": text, "file": "test.yaml"}
        journal = Journal.create(folder, meta | started_meta(), durable=False)
    member = FakeMember(Options("r1", folder), queue)
    return Runtime(document, member, registry(), journal=journal)


def resume(queue: Queue, folder: Path) -> Runtime:
    journal = Journal.open(folder)
    document = parse(journal.meta["text"], "test.yaml")
    member = FakeMember(Options("r1", folder), queue)
    engine = replay(document, journal)
    return Runtime(document, member, registry(), engine=engine, journal=journal)


def run(runtime: Runtime, within: float = 20.0):
    report = Silent()

    async def work():
        async with asyncio.timeout(within):
            return await runtime.run(report)

    try:
        return asyncio.run(work()), report
    finally:
        if runtime._journal:
            runtime._journal.close()


def stop_when_running(runtime: Runtime) -> None:
    """Stop the run, as a signal does, when all of its jobs run."""
    take = runtime._take

    def take_and_stop(batch):
        take(batch)
        if runtime.engine.jobs and all(job.started for job in runtime.engine.jobs.values()):
            runtime._stop.set()

    runtime._take = take_and_stop


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("ensemble.dispatch.FIRST_PAUSE", 0.01)


def once(queue: Queue) -> bool:
    return set(queue.made.values()) <= {1}


def test_a_run_to_its_end():
    queue = Queue()
    result, report = run(start(FIVE, queue))
    assert result.met
    assert report.fired == ["start", "count.a.finished"]
    assert sum(queue.made.values()) == 6
    assert once(queue)


@pytest.mark.parametrize("made", range(6))
def test_a_submission_that_breaks_off_gives_each_job_once(made):
    """The connection breaks after so many jobs were created, and their answers are lost."""
    queue = Queue()
    queue.submit_faults.append(("after", made))
    result, report = run(start(FIVE, queue))
    assert result.met
    assert once(queue)
    assert len(queue.made) == 6
    assert ("found", "connected again") in report.said


def test_an_adoption_that_fails_is_tried_again():
    queue = Queue()
    queue.submit_faults.append(("after", 2))
    queue.adopt_faults += ["no answer", "no answer"]
    queue.open_faults += ["", "refused"]
    result, _ = run(start(FIVE, queue))
    assert result.met
    assert once(queue)
    assert len(queue.made) == 6


def test_a_submit_limit_pauses_and_says_why():
    queue = Queue()
    queue.submit_faults += [("limit", 2), ("limit", 1)]
    result, report = run(start(FIVE, queue))
    assert result.met
    assert once(queue)
    assert any(kind == "limit" and "no more than that" in text for kind, text in report.said)


def test_the_infrastructure_has_a_budget_of_its_own():
    text = FIVE.replace("count: 5}", "count: 5, retries: {max: 1, infrastructure: 2}}")
    queue = Queue()
    queue.ends["a.0"] = ["node-lost"]  # type: ignore[assignment]
    queue.ends = {
        "a.0": deque(["node-lost"]),
        "a.0.1": deque(["preempted"]),
        "a.0.2": deque(["fail"]),
        "a.1": deque(["node-lost"]),
        "a.1.1": deque(["node-lost"]),
        "a.1.2": deque(["node-lost"]),
        "a.2": deque(["fail"]),
        "a.2.1": deque(["fail"]),
    }
    runtime = start(text, queue)
    result, _ = run(runtime)
    counts = runtime.engine.metrics.counts["a"]
    assert (counts["success"], counts["failed"], counts["exception"]) == (3, 1, 1)
    assert counts["retried"] == 3 + 2 + 1
    assert {failure["job"] for failure in result.failures} == {"a.1.2", "a.2.1"}
    assert once(queue)


def test_a_requeue_is_a_new_attempt():
    queue = Queue()
    queue.ends["a.3"] = deque(["requeue"])
    runtime = start(FIVE, queue)
    result, _ = run(runtime)
    assert result.met
    assert runtime.engine.metrics.counts["a"]["requeued"] == 1
    assert runtime.engine.metrics.counts["a"]["success"] == 5


def test_a_bad_host_is_avoided_but_never_the_last():
    text = FIVE.replace("count: 5}", "count: 8, retries: {infrastructure: 9}}")
    queue = Queue(hosts=2)

    def run_on(job):
        usable = [host for host in queue.hosts if host not in job.avoid]
        number = int(job.name.split(".")[1])
        host = usable[number % len(usable)]
        queue.tell(job, "alloc", hosts=[host])
        queue.tell(job, "start")
        if host == "n0":
            queue.tell(job, "exception", type="node-lost", severity=0, note="it went away")
        else:
            queue.tell(job, "finish", status=0)
        queue.tell(job, "clean")

    queue.run = run_on
    result, report = run(start(text, queue))
    assert result.met
    assert [command.label for command in report.commands if command.kind == "avoid"] == ["n0"]
    queue.hosts = ["n0"]
    result, report = run(start(text, queue := Queue(hosts=1)))
    assert not [command for command in report.commands if command.kind == "avoid"]


def test_a_lost_connection_in_the_middle_of_many_jobs():
    """Replayed metrics equal a full recount, and a repeated event counts once."""
    text = FIVE.replace("count: 5", "count: 20000").replace("when: 5", "when: 20000")
    queue = Queue()
    ran = 0
    plain = Queue.run

    def run_and_break(job):
        nonlocal ran
        plain(queue, job)
        ran += 1
        if ran in (3000, 9000) and queue.member:
            member = queue.member
            member.emit = queue.member = None  # what happens now, nobody hears
            member.lost(MemberError("fake", "the connection broke"))

    queue.run = run_and_break
    runtime = start(text, queue)
    result, _ = run(runtime, within=60)
    counts = runtime.engine.metrics.counts["a"]
    assert result.met
    assert counts["success"] == counts["finished"] == counts["submitted"] == 20000
    assert runtime.engine.metrics.get("count.a-duration") == 20000
    assert once(queue)


class Killed(BaseException):
    """Stands for kill -9: nothing is done any more."""


@pytest.mark.parametrize("moment", range(1, 30, 3))
def test_killed_and_resumed(tmp_path, moment, monkeypatch):
    """Whatever was committed when it died, the resumed run comes to the same end, each job once."""
    queue = Queue()
    runtime = start(FIVE, queue, tmp_path / "run")
    journal = runtime._journal
    commit, count = journal.commit, 0

    def commit_and_die(*arguments):
        nonlocal count
        count += 1
        if count == moment // 2 and moment % 2:
            raise Killed  # before it is written
        commit(*arguments)
        if count == moment // 2:
            raise Killed

    monkeypatch.setattr(journal, "commit", commit_and_die)
    monkeypatch.setattr(runtime, "_close", lambda: asyncio.sleep(0))
    try:
        run(runtime)
        died = False
    except Killed:
        died = True
    queue.member = None
    if died:
        again = resume(queue, tmp_path / "run")
        result, _ = run(again)
        assert result.met
        counts = again.engine.metrics.counts
        assert counts["a"]["success"] == 5
        assert counts["b"]["success"] == 1
    assert once(queue)
    assert len(queue.made) == 6


def test_a_job_that_the_queue_forgot_is_lost(tmp_path):
    text = FIVE.replace("count: 5}", "count: 5, retries: {infrastructure: 0}}")
    queue = Queue()
    queue.default = "run"
    runtime = start(text, queue, tmp_path / "run")
    original = runtime._take

    def stop_when_running(batch):
        original(batch)
        if all(job.started for job in runtime.engine.jobs.values()) and runtime.engine.jobs:
            raise Killed

    runtime._take = stop_when_running
    with pytest.raises(Killed):
        run(runtime)
    del queue.jobs["r1-a.2"]
    queue.default = "success"
    for token, events in queue.jobs.items():
        name = token.removeprefix("r1-")
        from ensemble.events import Event

        events += [Event("finish", 2e9, name, {"status": 0}), Event("clean", 2e9, name)]
    again = resume(queue, tmp_path / "run")
    result, _ = run(again)
    assert (result.failed, result.lost) == (1, 1)
    counts = again.engine.metrics.counts["a"]
    assert (counts["success"], counts["lost"], counts["finished"]) == (4, 1, 4)
    assert once(queue)


def test_a_request_cancels(tmp_path):
    from ensemble.requests import ask

    queue = Queue()
    queue.default = "run"
    runtime = start(FIVE.replace("count.a.finished", "count.a.cancelled"), queue, tmp_path / "run")
    ask(tmp_path / "run", {"cancel": ["a"]})
    queue.ends["b"] = deque(["success"])
    result, report = run(runtime)
    assert result.met, result
    assert len(queue.cancelled) == 5
    assert report.fired == ["start", "count.a.cancelled"]


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda path: path.unlink(), "has no run"),
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_bytes(b"\0" * 4096), "it is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "damaged"),
        (lambda path: path.write_bytes(b"hello world, this is no database"), "no SQLite database"),
    ],
)
def test_a_broken_database_is_refused_with_what_to_do(tmp_path, break_it, says):
    folder = tmp_path / "run"
    run(start(FIVE, Queue(), folder))
    path = folder / "run.sqlite"
    for other in folder.glob("run.sqlite-*"):
        other.unlink()
    break_it(path)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(JournalError, match=says):
        Journal.open(folder)
    assert (path.read_bytes() if path.exists() else None) == before


def test_two_owners_are_one_too_many(tmp_path):
    journal = Journal.create(tmp_path / "run", {"run": "r"}, durable=False)
    with pytest.raises(JournalError, match="is being run by process"):
        Journal.open(tmp_path / "run")
    journal.close()
    with pytest.raises(JournalError, match="has a run already"):
        Journal.create(tmp_path / "run", {"run": "r"}, durable=False)
    Journal.open(tmp_path / "run").close()


def test_snapshots_bound_the_journal(tmp_path, monkeypatch):
    monkeypatch.setattr("ensemble.journal.SNAPSHOT_EVERY", 20)
    text = FIVE.replace("count: 5", "count: 50").replace("when: 5", "when: 50")
    runtime = start(text, Queue(), tmp_path / "run")
    run(runtime)
    journal = Journal.open(tmp_path / "run")
    events = journal._count("events")
    engine = replay(parse(text, "test.yaml"), journal)
    journal.close()
    assert events < 60
    assert json.dumps(engine.state(), sort_keys=True) == json.dumps(runtime.engine.state(), sort_keys=True)


def test_growing_at_the_start_counts_from_the_nodes_that_are_there():
    runtime = start(FIVE + "  - {trigger: start, action: {name: grow, value: 2}}\n", queue := Queue())
    queue.sizes.append(4)
    _, report = run(runtime)
    assert [command.nodes for command in report.commands if command.kind == "resize"] == [6]
    assert queue.sizes == [4, 6]


def test_foreign_jobs_count_and_are_not_waited_for_once_nobody_tells_of_them(tmp_path):
    """They are of a group that the file may not have, are never cancelled, and fail nothing."""
    from ensemble.events import Event

    queue = Queue()
    queue.default = "run"
    text = FIVE + "  - {trigger: metric, name: count.b.failed, when: 1, action: {name: message, value: theirs}}\n"
    runtime = start(text, queue, tmp_path / "run")
    take = runtime._take

    def strangers_come(batch):
        take(batch)
        names = ("theirs.f1", "theirs.f2", "b.f3")
        if "theirs.f1" not in runtime.engine.jobs:
            for name in names:
                runtime.feed(Event("submit", 1.0, name, {"foreign": True, "group": name.split(".")[0], "id": "f"}))
                runtime.feed(Event("start", 2.0, name))
            runtime.feed(Event("finish", 3.0, "b.f3", {"status": 256}))
            runtime.feed(Event("clean", 3.0, "b.f3"))
        elif runtime.engine.jobs["theirs.f1"].started and all(job.started for job in runtime.engine.jobs.values()):
            runtime._stop.set()

    runtime._take = strangers_come
    _, report = run(runtime)
    assert "count.b.failed" in report.fired
    again = resume(queue, tmp_path / "run")
    for token, events in queue.jobs.items():
        name = token.removeprefix("r1-")
        events += [Event("finish", 2e9, name, {"status": 0}), Event("clean", 2e9, name)]
    queue.default = "success"
    result, _ = run(again)
    assert result.met
    assert again.engine.metrics.counts["theirs"] == {"submitted": 2, "lost": 2}
    assert queue.cancelled == []


def slowly(method):
    """A call that the queue answers late."""

    async def late(*arguments):
        await asyncio.sleep(0.1)
        return await method(*arguments)

    return late


@pytest.mark.parametrize("trigger", ["end", "metric, name: count.a.finished, when: 5"])
def test_a_resize_at_the_end_is_done(trigger):
    text = FIVE[: FIVE.rindex("  - {")] + f"  - {{trigger: {trigger}, action: {{name: grow, value: 3}}}}\n"
    queue = Queue()
    runtime = start(text, queue)
    runtime.member.resize = slowly(runtime.member.resize)  # type: ignore[method-assign]
    result, _ = run(runtime)
    assert result.met
    assert queue.sizes == [5]


def test_what_is_cancelled_before_the_rest_is_left_is_cancelled():
    text = """
jobs: [{name: a, command: "true"}, {name: b, command: "true", count: 2}]
rules:
  - {trigger: start, action: {name: submit, label: b}}
  - {trigger: job-start, name: b, when: count.b.submitted == 2, action: {name: submit, label: a}}
  - {trigger: metric, name: count.a.finished, when: 1, action: {name: cancel, label: b.0}}
  - {trigger: metric, name: count.a.finished, when: 1, action: {name: terminate, value: leave}}
"""
    queue = Queue()
    queue.ends["b"] = deque(["run", "run"])
    runtime = start(text, queue)
    runtime.member.cancel = slowly(runtime.member.cancel)  # type: ignore[method-assign]
    run(runtime)
    assert queue.cancelled == ["b.0"]


def test_a_connection_that_is_lost_while_a_resumed_run_looks_its_jobs_up(tmp_path):
    """Two looks at the same jobs, side by side: what the first one found absent has been submitted since."""
    queue = Queue()
    runtime = start(FIVE, queue, tmp_path / "run")
    runtime._do = lambda command: None  # type: ignore[method-assign]  # killed before anything was submitted
    original = runtime._take

    def take_and_stop(batch):
        original(batch)
        runtime._stop.set()

    runtime._take = take_and_stop  # type: ignore[method-assign]
    run(runtime)
    again = resume(queue, tmp_path / "run")
    adopt, looks = again.member.adopt, 0

    async def adopt_late(known):
        nonlocal looks
        looks += 1
        absent = await adopt(known)
        if looks == 1:
            again.member.lost(OSError("it broke"))
            await asyncio.sleep(0.3)
        return absent

    again.member.adopt = adopt_late  # type: ignore[method-assign]
    plain = queue.run
    queue.run = lambda job: asyncio.get_running_loop().call_later(1.0, plain, job)  # type: ignore[method-assign]
    result, _ = run(again)
    assert result.met
    assert once(queue)
    assert len(queue.made) == 6


def test_a_limit_is_not_tried_against_at_each_end(monkeypatch):
    """2,000 jobs where 100 fit: a try for many that have ended, one line for all of it."""
    monkeypatch.setattr("ensemble.dispatch.FIRST_PAUSE", 0.05)
    queue = Queue()
    inside = 0
    create, plain = queue.create, queue.run

    async def submit(jobs):
        nonlocal inside
        queue.calls["submit"] += 1
        for job in jobs:
            if inside >= 100:
                raise SubmitLimit("fake", "100 at a time")
            inside += 1
            create(job)
            asyncio.get_running_loop().call_later(0.002 * (inside % 20), ended, job)

    def ended(job):
        nonlocal inside
        plain(job)
        inside -= 1

    text = FIVE.replace("count: 5", "count: 2000").replace("when: 5", "when: 2000")
    runtime = start(text, queue)
    assert isinstance(runtime.member, FakeMember)
    runtime.member.submit = submit  # type: ignore[method-assign]
    result, report = run(runtime)
    assert result.met
    assert once(queue)
    assert queue.calls["submit"] < 200
    assert len([1 for kind, _ in report.said if kind == "limit"]) == 1


def test_what_a_function_does_to_what_it_is_given_changes_nothing():
    text = (
        FIVE
        + """
  - {trigger: job-start, name: a, action: {name: custom, label: meddle, repetitions: 3}}
custom: |
  def meddle(metrics, event, **more):
      metrics.increment("a", "failed")
      metrics.counts["a"]["success"] = 99
      metrics.add("a", "duration", 1e9)
      metrics.series.pop("a-pending", None)
      event.context["x"] = object()
"""
    )
    runtime = start(text, Queue())
    result, _ = run(runtime)
    assert result.met
    metrics = runtime.engine.metrics
    assert metrics.counts["a"] == {"submitted": 5, "finished": 5, "success": 5}
    assert metrics.get("count.a-duration") == metrics.get("count.a-pending") == 5


def test_a_reader_that_holds_a_rollback_journal_is_waited_for(tmp_path, monkeypatch):
    """But not when the run is to stop: a signal is not kept waiting, and the run can be resumed."""
    monkeypatch.setattr("ensemble.journal.on_network", lambda folder: True)
    monkeypatch.setattr("ensemble.journal.LOCKED_FOR", 600.0)
    for stops in (False, True):
        folder = tmp_path / f"run-{stops}"
        queue = Queue()
        runtime = start(FIVE, queue, folder)
        reader = sqlite3.connect(folder / "run.sqlite", isolation_level=None, check_same_thread=False)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchall()
        then = (lambda: os.kill(os.getpid(), signal.SIGTERM)) if stops else partial(reader.execute, "COMMIT")
        timer = threading.Timer(2.0, then)
        timer.start()
        if stops:
            with suppress(JournalError):  # it says which came first
                run(runtime, within=60)
            assert not runtime.engine.done
            assert not queue.made
            reader.execute("COMMIT")
            runtime = resume(queue, folder)
        result, _ = run(runtime, within=60)
        timer.join()
        reader.close()
        assert result.met
        assert once(queue)
        assert len(queue.made) == 6
