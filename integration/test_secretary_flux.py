"""A real Flux of four brokers on this host: every tool says what Flux's own commands print, and jobs really run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines.flux import flux

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed
from resource_secretary.result import Unreachable
from resource_secretary.system import System

pytestmark = pytest.mark.needs("flux")
PATIENCE = 60  # seconds that a tool may take: this machine may be busy
SIZE = 4


class Instance:
    """A running one: the environment that reaches it."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ

    def say(self, *words: str) -> str:
        """What a command of it prints. Raises CalledProcessError."""
        return subprocess.check_output(["flux", *words], env=self.environ, text=True, timeout=PATIENCE)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with flux(tmp_path_factory.mktemp("flux"), SIZE, PATIENCE) as reach:
        # In this locale, which is that of the secretary's commands, ids begin with an ASCII f.
        made = Instance({**os.environ, **reach, "LC_ALL": "C"})
        made.say("resource", "drain", "2", "disk a b=c | d")
        yield made


@pytest.fixture
def secretary(instance: Instance) -> Secretary:
    return Secretary(system=System(environ=instance.environ), dispatch=True)


def items(secretary: Secretary, tool: str, **arguments: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = secretary.call(f"flux.{tool}", arguments, PATIENCE).result["items"]
    return found


def one(secretary: Secretary, tool: str, **arguments: object) -> dict[str, Any]:
    return secretary.call(f"flux.{tool}", arguments, PATIENCE).result


def test_nodes_and_queues(instance: Instance, secretary: Secretary) -> None:
    rows = items(secretary, "nodes")
    assert [row["rank"] for row in rows] == list(range(SIZE))
    assert (rows[2]["state"], rows[2]["drained_reason"]) == ("drained", "disk a b=c | d") and rows[2]["drained_since"]
    cores = int(instance.say("resource", "list", "-n", "-s", "all", "-o", "{ncores}"))
    free = int(instance.say("resource", "list", "-n", "-s", "free", "-o", "{ncores}"))
    assert sum(row["cores"] for row in rows) == cores and sum(row["free_cores"] or 0 for row in rows) == free
    summary = one(secretary, "resources")
    assert (summary["up"], summary["drained"], summary["free_cores"]) == (SIZE - 1, 1, free)
    [queue] = items(secretary, "queues")
    assert (queue["name"], queue["enabled"], queue["started"]) == ("", True, True)
    try:
        instance.say("queue", "disable", "--message=down for now", "--quiet")
        [queue] = items(secretary, "queues")
        assert (queue["enabled"], queue["reason"]) == (False, "down for now")
        with pytest.raises(CommandFailed, match="down for now"):
            one(secretary, "submit", argv=["true"])
    finally:
        instance.say("queue", "enable", "--quiet")


def test_a_job_runs_with_its_words_and_nothing_of_here(instance: Instance, tmp_path: Path) -> None:
    system = System(environ={**instance.environ, "SECRET_TOKEN": "x", "SLURM_JOB_ID": "7"})
    secretary = Secretary(system=system, dispatch=True)
    output = tmp_path / "out"
    code = "import os, sys; print(ascii(sys.argv[1:])); print(sorted(os.environ)); sys.exit(3)"
    words = ["a b", "$(id)", "it's", "a\nb", "--all", "-x", "é"]
    python = shutil.which("python3") or sys.executable
    given = {
        "argv": [python, "-c", code, *words],
        "output": str(output),
        "workdir": str(tmp_path),
        "job_name": "my job",
    }
    job = one(secretary, "submit", **given, walltime=600)["job_id"]
    assert subprocess.run(["flux", "job", "wait-event", "-t", "60", job, "clean"], env=instance.environ).returncode == 0
    detail = one(secretary, "job", job_id=job)
    assert (detail["job"]["state"], detail["job"]["returncode"], detail["job"]["name"]) == ("FAILED", 3, "my job")
    assert detail["job"]["time_limit"] == 600 and detail["events"][-1]["name"] == "clean"
    said, names = output.read_text().splitlines()
    assert said == ascii(words) and "SECRET_TOKEN" not in names and "SLURM_JOB_ID" not in names and "'PATH'" in names


def test_the_queue_and_cancelling(instance: Instance, secretary: Secretary) -> None:
    running = one(secretary, "submit", argv=["sleep", "300"], workdir="/")["job_id"]
    assert (
        subprocess.run(["flux", "job", "wait-event", "-t", "60", running, "start"], env=instance.environ).returncode
        == 0
    )
    waiting = one(secretary, "submit", argv=["sleep", "300"], nodes=SIZE, tasks=SIZE, workdir="/")["job_id"]
    rows = {row["id"]: row for row in items(secretary, "jobs")}
    printed = json.loads(instance.say("jobs", "--json"))["jobs"]
    assert {job["jobid"] for job in printed} == set(rows) == {running, waiting}
    for job in printed:
        row = rows[job["jobid"]]
        assert (row["state"], row["cores"], row["name"]) == (job["status"], job["ncores"], job["name"])
    assert one(secretary, "depth") == {"pending": 1, "running": 1, "pending_cores": SIZE}
    free = int(instance.say("resource", "list", "-n", "-s", "free", "-o", "{ncores}"))
    assert one(secretary, "resources")["free_cores"] == free
    for job in (waiting, running):
        one(secretary, "cancel", job_id=job)
        subprocess.run(["flux", "job", "wait-event", "-t", "60", job, "clean"], env=instance.environ, check=True)
        assert one(secretary, "job", job_id=job)["job"]["state"] == "CANCELED"
    with pytest.raises(CommandFailed, match="has ended already"):
        one(secretary, "cancel", job_id=running)
    with pytest.raises(CommandFailed, match="unknown"):
        one(secretary, "cancel", job_id="fzzz")
    # One that can never fit says so in its exception.
    job = one(secretary, "submit", argv=["true"], tasks=100_000, workdir="/")["job_id"]
    subprocess.run(["flux", "job", "wait-event", "-t", "60", job, "clean"], env=instance.environ, check=True)
    assert one(secretary, "job", job_id=job)["job"]["exception"].startswith("alloc: unsatisfiable")


def test_outside_of_any_instance(instance: Instance) -> None:
    environ = {**instance.environ, "FLUX_URI": "local:///nonexistent/socket"}
    result = Secretary(system=System(environ=environ)).detect(name="flux", timeout=PATIENCE)["flux"].result
    assert isinstance(result, Unreachable) and result.asked == "flux getattr size"
