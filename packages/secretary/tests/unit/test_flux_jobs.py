"""Flux: nodes, queues, jobs and dispatch, from recordings of 0.88.0 and of an older version."""

from __future__ import annotations

import json

import pytest
from recorded import slurm_flux as recorded

from resource_secretary import Secretary
from resource_secretary.errors import ArgumentError, CommandFailed, OutputError, UnknownProvider
from resource_secretary.providers.workload._flux_json import read_events, read_jobs
from resource_secretary.providers.workload._flux_nodes import read_drained, read_queues, read_status
from resource_secretary.run import Ran

FAILED = recorded.FAILED


@pytest.fixture
def flux():
    return recorded.flux()


def call(system, tool, arguments=None, *, dispatch=False):
    return Secretary(system=system, dispatch=dispatch).call(f"flux.{tool}", arguments).result


def test_nodes(flux):
    rows = call(flux, "nodes")["items"]
    assert [(row["rank"], row["state"], row["cores"], row["free_cores"]) for row in rows] == [
        (0, "up", 2, 1), (1, "drained", 2, None), (2, "up", 2, 2)
    ]  # fmt: skip
    assert rows[1]["drained_reason"] == "a b=c | d" and rows[1]["drained_since"] == "2026-11-21T15:57:44Z"
    assert rows[0]["drained_since"] is None
    assert [row["rank"] for row in call(flux, "nodes", {"state": "drained"})["items"]] == [1]


def test_ten_thousand_nodes(flux):
    lite = [{"rank": "0-9999", "children": {"core": "0-63", "gpu": "0-3"}}]
    document = {"version": 1, "execution": {"R_lite": lite, "nodelist": ["n[0-9999]"], "starttime": 0, "expiration": 0}}
    for states in ("all", "free"):
        flux.commands["flux", "resource", "R", "-s", states] = json.dumps(document)
    page = Secretary(system=flux).call("flux.nodes")
    assert page.result["total"] == 10_000 and page.result["next"] and page.result["items"][0]["free_gpus"] == 4
    assert len(Secretary(system=flux).offer("flux").groups) == 2  # one is drained


def test_reasons_that_cannot_be_read():
    assert read_drained("") == {} and read_drained("0-1|1.5|draining|\n")[1] == ("1970-01-01T00:00:01Z", "")
    for text in ("one|1|drained|x", "1|soon|drained|x", "1|2"):
        with pytest.raises(OutputError, match="flux resource drain: line 1"):
            read_drained(text)


def test_queues(flux, data):
    [queue] = call(flux, "queues")["items"]
    assert (queue["name"], queue["enabled"], queue["started"], queue["max_time"]) == ("", True, True, None)
    flux.commands[recorded.FLUX_QUEUES] = (data / "flux-0.88.0/queues-named.txt").read_text()
    flux.commands["flux", "queue", "status"] = (data / "flux-0.88.0/queue-status-named.txt").read_text()
    batch, debug = call(flux, "queues")["items"]
    assert (batch["name"], batch["max_time"], batch["max_nodes"], batch["reason"]) == ("batch", 28800.0, 2, "")
    assert (debug["enabled"], debug["default_time"], debug["reason"]) == (False, 600.0, "down for maintenance")


def test_queues_of_a_version_that_has_other_names(flux, data):
    flux.commands[recorded.FLUX_QUEUES] = Ran((), 1, "", "flux-queue: ERROR: Unknown format field: submission")
    flux.commands["flux", "queue", "status"] = (data / "flux-0.88.0/queue-status-named.txt").read_text()
    rows = {row["name"]: row for row in call(flux, "queues")["items"]}
    assert rows["debug"]["enabled"] is False and rows["batch"]["started"] is True
    flux.commands[recorded.FLUX_QUEUES] = Ran((), 1, "", "flux-queue: ERROR: no")
    with pytest.raises(CommandFailed):
        call(flux, "queues")


def test_queues_that_cannot_be_read():
    for text in ("", "a|maybe|started|||||||", "a|enabled|started|-1||||||", "a|b"):
        with pytest.raises(OutputError, match="flux queue list: line 1"):
            read_queues(text)
    assert read_status("nonsense") == {}


def test_jobs(flux):
    rows = {row["name"]: row for row in call(flux, "jobs")["items"]}
    assert set(rows) == {"sleep", "x | y"}
    held = rows["x | y"]
    assert (held["state"], held["urgency"], held["estimated_start"], held["start"]) == ("SCHED", 0, None, None)


def test_all_states(data):
    jobs = read_jobs((data / "flux-0.88.0/jobs-all.json").read_text())
    by_state = {job.state: job for job in jobs}
    assert set(by_state) == {"SCHED", "RUN", "FAILED"} and not any(job.unread for job in jobs)
    assert {job.exception.partition(":")[0] for job in jobs if job.exception} == {"alloc", "exec"}
    assert {job.returncode for job in jobs if job.state == "FAILED"} == {1, 127}


def test_jobs_of_an_older_version(data):
    running, cancelled, pending = (
        read_jobs((data / f"flux-0.6x/job-{name}.json").read_text())[0] for name in ("running", "canceled", "pending")
    )
    assert (running.state, running.cores, running.time_limit, running.ends) == ("RUN", 10, None, None)
    assert (cancelled.state, cancelled.returncode, cancelled.exception) == ("CANCELED", 143, "cancel")
    assert (pending.state, pending.cores, pending.start) == ("SCHED", None, None)


def test_an_estimate_of_the_scheduler(data):
    row = json.loads((data / "flux-0.6x/job-pending.json").read_text())
    row["annotations"] = {"sched": {"t_estimate": 1791485400.5}}
    assert read_jobs(json.dumps({"jobs": [row]}))[0].estimated_start == "2026-10-08T18:50:00Z"
    row["state"] = row["status"] = "RUN"
    assert read_jobs(json.dumps({"jobs": [row]}))[0].estimated_start is None


def test_an_entry_that_cannot_be_read_loses_only_itself(data):
    document = json.loads((data / "flux-0.88.0/jobs-all.json").read_text())
    document["jobs"][0]["ncores"] = -4
    document["jobs"][1]["state"] = document["jobs"][1]["status"] = "NEWS"
    document["jobs"].append(7)
    jobs = read_jobs(json.dumps(document))
    assert [bool(job.unread) for job in jobs] == [True, True, False, False, False, False, True]
    assert jobs[0].unread == "ncores must be a whole number, not '-4'" and jobs[6].id == "jobs[6]"
    for text in ("", "[]", '{"jobs": 4}', '{"version": 9}', "nonsense"):
        with pytest.raises(OutputError, match="flux jobs --json"):
            read_jobs(text)
    assert read_jobs('{"jobs": []}') == []


def test_one_job(flux, data):
    detail = call(flux, "job", {"job_id": FAILED})
    assert (detail["job"]["state"], detail["job"]["returncode"]) == ("FAILED", 127)
    assert detail["job"]["exception"].startswith("exec: task 0 (host vm): start failed: nosuch")
    names = [event["name"] for event in detail["events"]]
    assert names[0] == "submit" and "exception" in names and names[-1] == "clean"
    log = ("flux", "job", "eventlog", "--format=json", "--", FAILED)
    flux.commands[log] = Ran((), 1, "", "flux-job: Operation not permitted")
    detail = call(flux, "job", {"job_id": FAILED})
    assert detail["events"] is None and "Operation not permitted" in detail["events_unread"]
    said = (data / "flux-0.88.0/job-unknown.stderr.txt").read_text()
    flux.commands[(*recorded.FLUX_JOBS, "--", "fzzz")] = Ran((), 1, "", said)
    with pytest.raises(CommandFailed, match="JobID fzzz unknown"):
        call(flux, "job", {"job_id": "fzzz"})


def test_events_that_cannot_be_read():
    for text in ("nonsense", "[]", '{"name": "submit"}', '{"timestamp": "x", "name": "y"}'):
        with pytest.raises(OutputError, match="flux job eventlog: line 1"):
            read_events(text)


def test_the_depth_of_the_queue(flux):
    assert call(flux, "depth") == {"pending": 2, "running": 1, "pending_cores": 5}
    flux.commands[recorded.FLUX_DEPTH] = "SCHED \nSCHED 4\n"  # whole nodes: not known before
    assert call(flux, "depth") == {"pending": 2, "running": 0, "pending_cores": None}
    flux.commands[recorded.FLUX_DEPTH] = "Traceback\n"
    with pytest.raises(OutputError, match="a state expected"):
        call(flux, "depth")
    flux.commands[recorded.FLUX_DEPTH] = Ran((), 1, "", "flux-jobs: ERROR: no")
    with pytest.raises(CommandFailed):
        call(flux, "depth")


def test_submit(flux):
    with pytest.raises(UnknownProvider):
        call(flux, "submit", {"argv": ["true"]})
    flux.environ = {"HOME": "/home/u", "SECRET": "x", "FLUX_JOB_ID": "f1", "PATH": "/bin"}
    start = (
        "flux",
        "submit",
        "--ntasks=1",
        "--cores-per-task=1",
        "--cwd=/home/u",
        "--env=-*",
        "--env=HOME",
        "--env=PATH",
    )
    argv = ["-x", "--all", "$(y)", "a\nb", ""]
    flux.commands[*start, "--", *argv] = "ƒabc\n"
    assert call(flux, "submit", {"argv": argv}, dispatch=True) == {"job_id": "ƒabc"}
    options = ("--nodes=2", "--gpus-per-task=1", "--queue=batch", "--job-name=my job", "--time-limit=90s")
    flux.commands[*start, *options, "--", "true"] = "ƒdef\n"
    given = {"nodes": 2, "gpus": 1, "queue": "batch", "job_name": "my job", "walltime": 90}
    assert call(flux, "submit", {"argv": ["true"], **given}, dispatch=True) == {"job_id": "ƒdef"}
    for argv in ([], [""]):
        with pytest.raises(ArgumentError, match="must have a command"):
            call(flux, "submit", {"argv": argv}, dispatch=True)


def test_cancel(flux, data):
    running = (data / "flux-0.6x/job-running.json").read_text()
    flux.commands[(*recorded.FLUX_JOBS, "--", "fAb")] = running
    flux.commands["flux", "cancel", "--", "fAb"] = ""
    assert call(flux, "cancel", {"job_id": "fAb"}, dispatch=True) == {"job_id": "fAb", "state": "RUN"}
    with pytest.raises(CommandFailed, match="has ended already: FAILED"):
        call(flux, "cancel", {"job_id": FAILED}, dispatch=True)
    for job_id in ("--all", "-u", "", "a b"):
        with pytest.raises(ArgumentError):
            call(flux, "cancel", {"job_id": job_id}, dispatch=True)
