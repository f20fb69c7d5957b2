"""What Flux says, as the contract has it: exceptions, jobspecs, output. No Flux is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ensemble.events import CAUSES
from ensemble.fluxqueue import causes
from ensemble.fluxqueue.jobspec import Writer
from ensemble.fluxqueue.output import cut, decode
from ensemble.job import Job, Spec


@pytest.mark.parametrize(
    ("kind", "note", "meant"),
    [
        ("cancel", "", "cancel"),
        ("timeout", "resource allocation expired", "timeout"),
        ("preempt", "", "preempted"),
        ("exec", "node failure on vm (rank 2)", "node-lost"),
        ("exec", "node failure on vm (shell rank 2)", "node-lost"),
        ("exec", "lost contact with job shell on vm", "node-lost"),
        ("exec", "connect: Connection refused", "node-lost"),
        ("exec", "job shell exec error on vm (rank 1)", "boot"),
        ("exec", "task 0: Out of memory", "memory"),
        ("exec", "task 0 (host vm): start failed: /no/such: No such file or directory", "exec"),
        ("exec", "", "exec"),
        ("node-failure", "", "node-lost"),
        ("alloc", "scheduler-restart: failed", "node-lost"),
        ("scheduler-restart", "", "node-lost"),
        ("alloc", "unsatisfiable request: need 77 exclusive node(s), only 3 eligible", "alloc"),
        ("feasibility", "", "alloc"),
        ("dependency", "afterok: job failed", "dependency"),
        ("validate", "", "submit"),
        ("prolog", "job prolog failed", "boot"),
    ],
)
def test_exceptions(kind: str, note: str, meant: str) -> None:
    assert causes.meant(kind, note) == meant
    assert meant in CAUSES


def test_the_whole_table_means_something_and_strangers_stay() -> None:
    assert {row[2] for row in causes.TABLE} <= CAUSES.keys()
    assert causes.meant("foo", "bar") == "foo"


@pytest.mark.parametrize(
    ("ran", "limit", "meant"),
    [(60.0, 60, "timeout"), (59.8, 60, "timeout"), (30.0, 60, "allocation-end"), (30.0, 0, "allocation-end")],
)
def test_whose_time_is_over(ran: float, limit: int, meant: str) -> None:
    assert causes.expired(ran, limit) == meant


def test_a_jobspec(tmp_path: Path) -> None:
    writer = Writer("r", str(tmp_path), {"A": "1", "FLUX_URI": "local:///x", "PMI_RANK": "0"}, ["n1", "n2"])
    spec = Spec("g", ("echo", "a b"), nodes=2, tasks=3, gpus=1, duration=9, output="o.out", environment={"B": '"'})
    found = json.loads(writer.text(Job("g.0", "r-g.0", spec, avoid=("n2", "gone"))))
    system = found["attributes"]["system"]
    assert system["environment"] == {"A": "1", "B": '"'}
    assert system["constraints"] == {"not": [{"hostlist": ["n2"]}]}
    assert system["shell"]["options"]["output"]["stderr"]["path"] == str(tmp_path / "o.err")
    assert (system["duration"], system["job"]["name"], system["cwd"]) == (9, "g", str(tmp_path))
    assert found["attributes"]["user"]["ensemble"] == {"run": "r", "job": "g.0", "token": "r-g.0"}
    assert found["resources"][0]["with"][0]["count"] == 2
    assert found["tasks"][0]["count"] == {"total": 3}
    assert "constraints" not in json.loads(writer.text(Job("g.1", "r-g.1", spec)))["attributes"]["system"]


def test_what_flux_burst_goes_by_stands_where_it_looks(tmp_path: Path) -> None:
    given = {"burstable": True, "burst": {"plugin": "slurm"}, "mine": 3}
    job = Job("g.0", "r-g.0", Spec("g", ("true",), attributes=given), avoid=("n1",))
    found = json.loads(Writer("r", str(tmp_path), {}, ["n1", "n2"]).text(job))
    system = found["attributes"]["system"]
    assert "constraints" not in system  # it makes no nodes for jobs that are tied to hosts
    assert (system["burstable"], system["burst"]) == (True, {"plugin": "slurm"})
    assert "mine" not in system
    assert found["attributes"]["user"]["mine"] == 3


def test_output() -> None:
    events = [
        {"name": "header", "context": {"version": 1}},
        {"name": "data", "context": {"stream": "stdout", "rank": "0", "data": "é\n", "repeat": 2}},
        {"name": "data", "context": {"stream": "stderr", "rank": "1", "data": "/w==", "encoding": "base64"}},
        {"name": "log", "context": {"rank": 0, "level": 3, "message": "bad"}},
        {"name": "log", "context": {"rank": 0, "level": 6, "message": "chat"}},
        {"name": "data", "context": {"stream": "stdout", "rank": "0", "eof": True}},
    ]
    found = decode("\n".join(map(json.dumps, events)))
    assert found.out == "é\né\n".encode()
    assert found.err == b"\xffflux-shell[0]: ERROR: bad\n"
    assert (cut(b"abcd", -2, 9), cut(b"abcd", 1, 2), cut(b"abcd", 9, 2)) == (b"cd", b"bc", b"")
