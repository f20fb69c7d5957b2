"""A real Slurm of several nodes on this host: every tool says what Slurm's own commands print, and jobs really run."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import USER
from engines import slurm as engine
from resources import parse

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed
from resource_secretary.result import Unreachable
from resource_secretary.system import System

pytestmark = pytest.mark.needs("slurm")
PATIENCE = 60  # seconds that a tool may take: this machine may be busy


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with engine.slurm(tmp_path_factory.mktemp("slurm")) as made:
        made.say("scontrol", "update", "nodename=n3", "state=drain", "reason=disk a b=c")
        reservation = ["reservationname=maint", "starttime=now+2hours", "duration=60", f"users={USER}", "nodes=n1"]
        made.say("scontrol", "create", "reservation", *reservation, "flags=maint,ignore_jobs")
        yield made


@pytest.fixture
def secretary(cluster: Any) -> Secretary:
    return Secretary(system=System(environ=cluster.environ), dispatch=True)


def items(secretary: Secretary, tool: str, **arguments: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = secretary.call(f"slurm.{tool}", arguments, PATIENCE).result["items"]
    return found


def one(secretary: Secretary, tool: str, **arguments: object) -> dict[str, Any]:
    return secretary.call(f"slurm.{tool}", arguments, PATIENCE).result


def submit(secretary: Secretary, folder: Path, *argv: str, **arguments: object) -> str:
    given: dict[str, object] = {"argv": list(argv), "workdir": str(folder), "walltime": 600, "memory": 10}
    return str(one(secretary, "submit", **given | arguments)["job_id"])


def ended(secretary: Secretary, job: str) -> dict[str, Any]:
    """What accounting says of a job once it has ended."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        told = one(secretary, "accounting", job_id=job)
        if told["finished"]:
            return told
        time.sleep(0.2)
    raise TimeoutError(f"the job {job} has not ended: {told}")


def test_nodes_and_partitions(cluster: Any, secretary: Secretary) -> None:
    nodes = {row["name"]: row for row in items(secretary, "nodes")}
    told = cluster.say("sinfo", "--Node", "--noheader", "--partition=main", "--format=%N|%C|%m|%c|%t|%E")
    for line in told.splitlines():
        name, cpus, memory, threads, state, _ = line.split("|")
        assert nodes[name]["threads"] == int(threads) and nodes[name]["memory"] == int(memory) * 2**20
        assert (nodes[name]["state"] == "up") == (state in ("idle", "mix", "alloc"))
        if nodes[name]["state"] == "up":
            assert nodes[name]["free_threads"] == int(cpus.split("/")[1])
    assert nodes["n3"]["state"] == "drained" and nodes["n3"]["reason"].startswith("disk a b=c")
    assert nodes["n2"]["gpus"] == {"a100": 2}
    for row in items(secretary, "partitions"):
        total, limit, state = cluster.say("sinfo", "-h", "-p", row["name"], "-s", "-o", "%D|%l|%a").strip().split("|")
        assert (row["node_count"], row["state"]) == (int(total), state.upper())
        assert row["max_time"] == {"1:00:00": 3600, "4:00": 240}[limit]
    [row] = [row for row in items(secretary, "summary", by="partition") if row["name"] == "short"]
    idle = cluster.say("sinfo", "-h", "-p", "short", "-o", "%C").split("/")
    assert row["free_cores"] == int(idle[1]) and row["gpus"] == {"a100": 2}


def test_reservations_and_licenses(cluster: Any, secretary: Secretary) -> None:
    [row] = items(secretary, "reservations")
    assert (row["name"], row["nodes"], row["duration"], row["users"]) == ("maint", "n1", 3600, [USER])
    assert {row["name"]: row["total"] for row in items(secretary, "licenses")} == {"mesh": 1, "solver": 4}


def test_a_job_that_fits_runs_and_is_accounted_for(cluster: Any, secretary: Secretary, tmp_path: Path) -> None:
    output = tmp_path / "out"
    code = "import os, sys; print(ascii(sys.argv[1:])); print(sorted(os.environ)); sys.exit(3)"
    words = ["a b", "$(id)", "it's", "#SBATCH --job-name=other\n#SBATCH --hold", "-x", "é"]
    job = submit(secretary, tmp_path, shutil.which("python3") or sys.executable, "-c", code, *words, output=str(output))
    told = ended(secretary, job)
    assert (told["state"], told["exit_code"], told["name"]) == ("FAILED", 3, "job")
    # There is no accounting database here: the controller answers, and says so.
    assert told["source"] == "scontrol" and "accounting storage is disabled" in told["tried"][0]
    said, names = output.read_text().splitlines()
    assert said == ascii(words) and "'SLURM_JOB_ID'" in names


def test_nothing_of_an_enclosing_job_gets_into_a_job(cluster: Any, tmp_path: Path) -> None:
    environ = {**cluster.environ, "SLURM_JOB_NAME": "outer", "SBATCH_HOLD": "1", "SECRET_TOKEN": "x", "PMIX_RANK": "0"}
    secretary = Secretary(system=System(environ=environ), dispatch=True)
    output = tmp_path / "env"
    job = submit(secretary, tmp_path, "env", output=str(output), job_name="inner")
    told = ended(secretary, job)
    assert (told["state"], told["name"]) == ("COMPLETED", "inner")
    names = {line.partition("=")[0] for line in output.read_text().splitlines()}
    assert not names & {"SECRET_TOKEN", "PMIX_RANK", "SBATCH_HOLD"} and {"HOME", "PATH"} <= names
    assert "SLURM_EXPORT_ENV=ALL" in output.read_text()


def test_the_queue_and_cancelling(cluster: Any, secretary: Secretary, tmp_path: Path) -> None:
    running = submit(secretary, tmp_path, "sleep", "300", gpus=1, gpu_type="a100", job_name="a b=c | d")
    cluster.until("RUNNING", "squeue", "--noheader", f"--jobs={running}", "--format=%T")
    waiting = submit(secretary, tmp_path, "sleep", "300", nodes=2, cores=2)
    rows = {row["id"]: row for row in items(secretary, "jobs")}
    for line in cluster.say("squeue", "--noheader", "--format=%i|%T|%C|%D|%N").splitlines():
        job, state, cpus, nodes, where = line.split("|")
        row = rows[job]
        assert (row["state"], row["cpus"], row["nodes"], row["node_list"]) == (state, int(cpus), int(nodes), where)
    assert rows[running]["name"] == "a b=c | d" and rows[running]["gpus"] == {"a100": 1}
    detail = one(secretary, "job", job_id=running)
    assert (detail["name"], detail["state"], detail["time_limit"]) == ("a b=c | d", "RUNNING", 600)
    depth = one(secretary, "depth")
    assert (depth["pending"], depth["running"]) == (1, 1)
    node = next(row for row in items(secretary, "nodes") if row["name"] == "n2")
    assert node["gpus_used"] == {"a100": 1} and node["free_cores"] == 1
    for job in (waiting, running):
        assert one(secretary, "cancel", job_id=job)["state"] in ("CANCELLED", "COMPLETING", "RUNNING", "PENDING")
        assert ended(secretary, job)["state"] == "CANCELLED"
    with pytest.raises(CommandFailed, match="Invalid job id"):
        one(secretary, "cancel", job_id="99999")


def test_when_a_job_would_start(cluster: Any, secretary: Secretary) -> None:
    told = one(secretary, "start", memory=10, walltime=60, partition="short")
    assert told["partition"] == "short" and told["nodes"] in ("n1", "n2")
    with pytest.raises(CommandFailed, match="allocation failure"):
        one(secretary, "start", nodes=9)
    from resource_secretary.providers.workload.slurm import SlurmProvider

    provider = SlurmProvider(System(environ=cluster.environ, timeout=PATIENCE))
    start = provider.estimated_start(parse("nodes=2 cores=1 memory=100MB walltime=60s"))
    assert start is not None and abs(start - time.time()) < 3600
    with pytest.raises(CommandFailed, match="allocation failure"):
        provider.estimated_start(parse("nodes=9"))


@pytest.mark.needs("accounting")
def test_the_accounting_database(tmp_path: Path) -> None:
    with engine.slurm(tmp_path, accounting=True) as cluster:
        secretary = Secretary(system=System(environ=cluster.environ), dispatch=True)
        limits = {row["account"]: row for row in items(secretary, "associations", user="root")}
        assert limits["proj"]["max_jobs"] == 50 and limits["proj"]["group_resources"] == {"cpu": "60", "node": "3"}
        assert [row["name"] for row in items(secretary, "clusters")] == ["test"]
        job = submit(secretary, tmp_path, "sh", "-c", "kill -9 $$", account="proj", output="/dev/null")
        told = ended(secretary, job)
        printed = cluster.say("sacct", "-n", "-P", "-X", f"--jobs={job}", "--format=State,ExitCode,Account").strip()
        assert (told["source"], told["tried"], told["account"]) == ("sacct", [], "proj")
        assert printed == f"{told['state']}|{told['exit_code']}:{told['signal'] or 0}|proj"
        assert [step["id"] for step in told["steps"]] == ["batch"]
        cluster.stop("slurmdbd")
        told = one(secretary, "accounting", job_id=job)
        assert told["source"] == "scontrol" and "Connection refused" in told["tried"][0]
        with pytest.raises(CommandFailed, match="sacctmgr"):
            items(secretary, "associations")


def test_a_controller_that_is_stopped_is_unreachable(tmp_path: Path) -> None:
    with engine.slurm(tmp_path, nodes=("n1",)) as cluster:
        secretary = Secretary(system=System(environ=cluster.environ))
        assert secretary.detect(name="slurm", timeout=PATIENCE)["slurm"].active
        cluster.stop("slurmctld")
        begin = time.monotonic()
        result = secretary.detect(name="slurm", timeout=5)["slurm"].result
        assert isinstance(result, Unreachable) and time.monotonic() - begin < 10
        assert "DOWN" in result.reason or "no answer" in result.reason
