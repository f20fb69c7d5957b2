"""What hurts users of other tools, line by line: where each is tested, and here what has no place elsewhere.

| line | tests |
|---|---|
| "not seen" is unknown: an empty or failing reply changes nothing | test_slurm_scripted: bad_replies_between_good_ones, a_squeue_that_hangs, lost_only_where_slurm_says_so; test_slurm_real: a_restart_of_slurmctld; test_kubernetes: the_api_server_goes_and_comes_back; here: an_adoption_that_can_not_tell |
| a submission that fails after the job was created yields one job, found by its journalled name | test_runtime: a_submission_that_breaks_off, killed_and_resumed; test_slurm_real: a_submission_cut_off; test_flux: killed_while_it_submits; test_kubernetes: a_second_creation_meets_the_first |
| 10,000 jobs cost at most one status call an interval; the number is in the report | test_slurm_scripted: ten_thousand_jobs; test_hyperqueue: _many_jobs_cost_one_question_an_interval; test_kubernetes: calls_do_not_grow_with_jobs; here: the_number_of_calls_is_kept |
| resume adopts live jobs; each attempt has its own name; an old exit record is not believed | ensemble.testing: a_running_job_is_adopted, found_by_its_token; test_kills; test_slurm_scripted: an_old_end_is_not_believed; here: an_attempt_has_a_name_of_its_own |
| a database cut, zeroed or locked by a dead owner; what a run keeps is bounded | test_runtime: a_broken_database, two_owners, snapshots_bound_the_journal; test_engine: what_is_kept_is_bounded; test_faults: a_write_that_fails, a_disk_that_is_full; here: a_dead_owner, every_table_is_bounded |
| a disconnect in the middle of 20,000 jobs; a repeated event counts once | test_runtime: a_lost_connection_in_the_middle_of_many_jobs; test_engine: what_is_told_twice; test_flux: connecting_again_repeats_and_loses_nothing |
| every Slurm state and Flux exception is of one class; a failure is told with id, reason, node, path and stderr | test_slurm_states, test_flux_tables, test_kubernetes_objects; test_cli: jobs_that_fail_are_told; test_slurm_scripted: without_accounting, the_accounting_tells |
| losing a node, preemption and an allocation's end have a capped budget of their own; a requeue is a new attempt | test_runtime: the_infrastructure_has_a_budget, a_requeue_is_a_new_attempt; test_engine: requeues_beyond_the_budget; test_slurm_real: a_node_that_is_lost, preemption, a_requeue; test_kubernetes: an_eviction, a_pod_that_is_replaced; test_flux: a_lost_node |
| a node where several jobs fail is avoided for a while, visibly, never the last | test_runtime: a_bad_host_is_avoided; here: an_avoided_host_comes_back |
| 2,500 jobs are three arrays; a submit limit pauses and says why; an Indexed Job | test_slurm_real: many_jobs_are_few_arrays; test_slurm_scripted: a_limit_takes_what_fits; test_runtime: a_submit_limit_pauses; test_kubernetes_objects: 2500_jobs_are_one_indexed_job; test_kubernetes: a_quota_pauses |
| 100,000 tasks make few files; simulated in linear time; the report under 10 MB | test_local: thousands_of_jobs_make_few_files; test_hyperqueue: _fails_are_found_in_few_files; test_simulate: a_hundred_thousand_jobs; test_page: a_hundred_thousand_jobs; test_engine: many_jobs_are_cancelled_in_linear_time |
| a worker that does not come up is a failure with its stderr | test_hyperqueue: a_worker_that_does_not_come_up; test_kubernetes: a_container_that_does_not_come_up; test_local: a_supervisor_that_does_not_answer; test_slurm_scripted: launch_failures |
"""  # noqa: E501 - a table

from __future__ import annotations

import ast
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import deque
from contextlib import closing
from pathlib import Path

import pytest

from ensemble.journal import Journal, JournalError
from ensemble.suspects import AVOIDED_FOR
from ensemble.testing.scripted import Queue

from .test_runtime import FIVE, impatient, once, resume, run, start, stop_when_running  # noqa: F401 - a fixture

TESTS = Path(__file__).parents[1]


def test_the_table_names_tests_that_are_there():
    sources = {path.stem: path.read_text() for path in TESTS.rglob("test_*.py")}
    import ensemble.testing

    sources["ensemble.testing"] = Path(ensemble.testing.__file__).read_text()
    sources["here"] = sources["test_hurts"]
    named = 0
    for line in str(__doc__).splitlines():
        if not line.startswith("|") or line.startswith(("| line", "|---")):
            continue
        for part in line.split("|")[2].split(";"):
            module, _, tests = part.strip().partition(": ")
            for source in module.split(", "):
                assert source in sources, line
            functions = [
                node.name for node in ast.walk(ast.parse(sources[module.split(", ")[-1]])) if hasattr(node, "name")
            ]
            for name in filter(None, re.split(r",\s*", tests)):
                assert any(name in function for function in functions), (module, name)
                named += 1
    assert named > 40


def test_an_adoption_that_can_not_tell_changes_no_job(tmp_path):
    """The queue answers with errors, for a while, whether it has the jobs: none is lost, and none submitted again."""
    queue = Queue()
    queue.submit_faults.append(("after", 3))
    queue.adopt_faults += ["no answer"] * 4
    runtime = start(FIVE, queue, tmp_path / "run")
    result, report = run(runtime)
    assert result.met
    assert once(queue)
    assert "retried" not in runtime.engine.metrics.counts["a"]
    assert [kind for kind, _ in report.said].count("found") == 1


def test_the_number_of_calls_is_kept_over_resumes(tmp_path):
    queue = Queue()
    queue.default = "run"
    runtime = start(FIVE, queue, tmp_path / "run")
    stop_when_running(runtime)
    runtime.member.calls.update(squeue=3)
    run(runtime)
    again = resume(queue, tmp_path / "run")
    again.member.calls.update(squeue=2, sacct=1)
    _end_all(queue)
    run(again)
    with closing(Journal.open(tmp_path / "run")) as journal:
        assert json.loads(journal.meta["calls"]) == {"squeue": 5, "sacct": 1}


def _end_all(queue: Queue) -> None:
    """What runs has ended while nobody listened."""
    queue.default = "success"
    for events in queue.jobs.values():
        if events[-1].name != "clean":
            kind, last = type(events[0]), events[-1]
            events += [kind("finish", last.time, last.job, {"status": 0}), kind("clean", last.time, last.job)]


def test_an_attempt_has_a_name_of_its_own():
    """The end of the first attempt, told once more, is not that of the second."""
    queue = Queue()
    queue.ends = {"a.0": deque(["fail"]), "a.0.1": deque(["hold"])}
    runtime = start(FIVE.replace("count: 5}", "count: 5, retries: 1}"), queue)
    told = []
    take = runtime._take

    def tell_again(batch):
        take(batch)
        if "a.0.1" in runtime.engine.jobs and not told:
            told.extend(queue.jobs["r1-a.0"])
            for event in told:
                runtime.feed(event)
            queue.release(runtime._job("a.0.1"))

    runtime._take = tell_again
    result, _ = run(runtime)
    assert told
    assert result.met
    assert runtime.engine.metrics.counts["a"] == {"submitted": 5, "finished": 5, "success": 5, "retried": 1}
    assert {"r1-a.0", "r1-a.0.1"} <= set(queue.made)
    assert once(queue)


def test_a_dead_owner_holds_nothing(tmp_path):
    """Killed in the middle of a write, with its lock and its transaction open."""
    run(start(FIVE, Queue(), tmp_path / "run"))
    code = """if True:
        import sys, time
        from pathlib import Path
        from ensemble.journal import Journal
        from ensemble.events import Event
        journal = Journal.open(Path(sys.argv[1]))
        journal.add(Event("submit", 1.0, "a.0"))
        journal._database.execute("BEGIN IMMEDIATE")
        journal._database.execute("INSERT INTO decisions(time) VALUES(1)")
        print("there", flush=True)
        time.sleep(600)
    """
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        owner.stdout.readline()
        with pytest.raises(JournalError, match="is being run by process"):
            Journal.open(tmp_path / "run")
        os.kill(owner.pid, signal.SIGKILL)
    with closing(Journal.open(tmp_path / "run")) as journal:
        _, events = journal.restored()
        assert sum(event.name == "clean" for event in events) == 6


def test_every_table_is_bounded(tmp_path, monkeypatch):
    for name, most in {
        "MOST_DECISIONS": 7,
        "MOST_POINTS": 20,
        "MOST_TAILS": 4,
        "MOST_ENDED": 60,
        "SNAPSHOT_EVERY": 50,
    }.items():
        monkeypatch.setattr(f"ensemble.journal.{name}", most)
    monkeypatch.setattr("ensemble.tails.MOST_TAILS", 4)
    text = """
jobs: [{name: a, command: "true", count: 50}]
rules:
  - {trigger: start, action: {name: submit, label: a}}
  - {trigger: idle, action: {name: submit, label: a, repetitions: 11}}
  - {trigger: job-submit, action: {name: message, value: m, repetitions: unlimited}}
"""
    queue = Queue()
    queue.ends["a"] = deque(["fail"] * 30)
    runtime = start(text, queue, tmp_path / "run")

    async def read(name, stream, offset, limit=0):
        return b"oh\n"

    runtime.member.read = read
    result, _ = run(runtime)
    assert result.failed == 30
    with closing(sqlite3.connect(tmp_path / "run/run.sqlite")) as database:

        def count(table):
            return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

        assert count("decisions") == 7
        assert count("tails") == 4
        series = dict(database.execute("SELECT series, count(*) FROM points GROUP BY series"))
        assert series
        assert max(series.values()) <= 40
        assert count("jobs") < 300  # of 600: those since the last snapshot, and some before
        forgotten = int(database.execute("SELECT value FROM meta WHERE key = 'forgotten'").fetchone()[0])
        assert count("jobs") + forgotten == 600
        assert count("events") < 600  # of some 3,000


def test_an_avoided_host_comes_back():
    queue = Queue(hosts=3)
    queue.default = "hold"
    text = FIVE.replace("count: 5}", "count: 9, retries: {infrastructure: 3}}").replace("when: 5", "when: 9")
    runtime = start(text, queue)
    engine = runtime.engine
    from ensemble.engine import start_event
    from ensemble.events import Event

    engine.handle(start_event(0.0))
    avoided = []
    for number in range(9):
        name, host = f"a.{number}", f"n{number % 3 if number > 2 else number}"
        engine.handle(Event("submit", 1.0, name))
        engine.handle(Event("alloc", 1.0, name, {"hosts": [host]}))
    for number in (0, 3, 6):
        engine.handle(Event("exception", 2.0, f"a.{number}", {"type": "node-lost", "severity": 0, "note": ""}))
        avoided += [command for command in engine.handle(Event("clean", 2.0, f"a.{number}")) if command.kind == "avoid"]
    [command] = avoided
    assert command.label == "n0"
    assert "several jobs failed there" in command.reason
    assert runtime._job("a.0.1").avoid == ("n0",)
    engine.handle(Event("tick", 2.0 + AVOIDED_FOR))
    assert runtime._job("a.0.1").avoid == ()
