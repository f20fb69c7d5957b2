"""The five commands one after another, on what each one really answers."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from resources import parse
from resources.documents import Inventory

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Engine = tuple[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def offer(run: Run) -> str:
    done = run("resource-secretary", "offer", "--json")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_batch_script_asks_for_what_slurm_would_give_it(run: Run) -> None:
    """sbatch(1): 2 nodes of 4 tasks are 8 tasks; --mem is of a node, so a quarter of 64G is of a task."""
    done = run("jobspec", "request", "examples/batch-script.sh")
    assert done.returncode == 0, done.stderr
    assert parse(done.stdout.strip()) == parse("nodes=2 tasks=8 cores=8 memory=16GB walltime=2:30:00")


def test_the_offer_of_this_machine_answers_requests(run: Run, offer: str) -> None:
    hosts = sum(len(group.hosts) for group in Inventory.from_json(offer).groups)
    fits = run("resources", "fit", "cores=1", "--in", "-", "--json", stdin=offer)
    assert json.loads(fits.stdout)["verdict"] in {"READY", "BUSY"}
    refused = run("resources", "fit", f"nodes={hosts + 1} cores=1", "--in", "-", "--json", stdin=offer)
    answer = json.loads(refused.stdout)
    assert (refused.returncode, answer["verdict"]) == (1, "INCOMPATIBLE")
    assert str(hosts + 1) in answer["reason"]


def test_a_job_of_several_steps_runs(run: Run, engine: Engine) -> None:
    name, under = engine
    done = run(*under, "jobspec", "run", "-t", name, "examples/hello-world-wait-jobspec.yaml")
    assert done.returncode == 0, done.stderr
    steps = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("=> step ") and "OK" in line]
    assert steps == ["write", "submit", "write", "submit"]
    assert socket.gethostname() in done.stdout  # the job's own words


def test_the_echoes_start_when_three_sleeps_have_succeeded(run: Run, engine: Engine, tmp_path: Path) -> None:
    name, under = engine
    where = ("--member", name, "--dir", str(tmp_path / "run"))
    done = run(*under, "ensemble", "run", "examples/hello-world.yaml", *where, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    times: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        if line["type"] == "event":
            times.setdefault((line["name"], line["job"].partition(".")[0]), []).append(line["time"])
    slept = sorted(times["finish", "sleep"])
    asked = sorted(times["submit", "echo"])
    assert len(slept) == len(asked) == len(times["finish", "echo"]) == 5
    assert slept[2] <= asked[0]
    assert slept[0] - min(times["submit", "sleep"]) >= 0.9  # `sleep 1` really ran


def test_the_plan_of_a_burst_counts_and_explains_every_job(run: Run, root: Path) -> None:
    queue = "examples/queue.jsonl"
    done = run("flux-burst", "plan", "--queue", queue, "--plugin", "mock", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert len(plan["jobs"]) == len((root / queue).read_text().splitlines())
    outcomes = [job["outcome"] for job in plan["jobs"]]
    assert {"burst", "refused"} <= set(outcomes)
    assert sum(burst["nodes"] for burst in plan["bursts"]) == sum(job["new_nodes"] for job in plan["jobs"]) > 0
