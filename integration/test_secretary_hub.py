"""The hub over real secretaries: one of this host, one inside a Flux instance; and profiles that `jobspec` reads."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from engines import slurm as engine

pytest.importorskip("mcp", reason="the extra mcp of resource-secretary is not installed")
Run = Callable[..., "subprocess.CompletedProcess[str]"]
BIN = Path(sys.executable).parent

TOKEN = "a-token-for-the-tests-of-the-hub"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


@contextmanager
def serving(
    token: Path, *options: str, under: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> Iterator[str]:
    """A real server, maybe under another command; its address."""
    words = [*under, str(BIN / "resource-secretary"), "serve", "--http", "0", "--token-file", str(token), *options]
    its = {**environ, "PATH": f"{BIN}{os.pathsep}{environ['PATH']}"}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=its, start_new_session=True)
    try:
        told = []
        for line in process.stderr or ():
            told.append(line)
            if found := re.search(r"http://\S+/mcp", line):
                yield found[0]
                break
        else:
            pytest.fail("".join(told))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture(scope="module")
def host(token: Path) -> Iterator[str]:
    with serving(token, "--only", "hardware") as url:
        yield url


@pytest.fixture(scope="module")
def flux(token: Path, needs: Callable[..., None]) -> Iterator[str]:
    needs("flux")
    with serving(token, "--only", "flux", under=("flux", "start", "--test-size=3")) as url:
        yield url


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Iterator[Any]:
    """A Slurm of three nodes, one of them drained; a job of a core runs."""
    needs("slurm")
    with engine.slurm(tmp_path_factory.mktemp("slurm")) as made:
        made.say("scontrol", "update", "nodename=n3", "state=drain", "reason=disk")
        made.say("sbatch", "--ntasks=1", "--mem=300", "--time=30", "--output=/dev/null", "--wrap=sleep 600")
        while "R" not in made.say("squeue", "--noheader", "--format=%t"):
            time.sleep(0.1)
        yield made


def ask(run: Run, token: Path, request: str, *words: str) -> dict[str, object]:
    done = run("resource-secretary", "hub", "ask", request, *words, "--token-file", str(token), "--json")
    assert done.returncode in (0, 1) and done.stderr == "", done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_only_the_cluster_has_three_nodes(run: Run, token: Path, host: str, flux: str) -> None:
    dead = "http://127.0.0.1:9/mcp"
    found = ask(run, token, "nodes=3 cores=1", *(word for url in (host, flux, dead) for word in ("--worker", url)))
    assert (found["chosen"], found["verdict"], found["ranked"]) == (flux, "READY", [flux])
    answers = {one["worker"]: one for one in found["answers"]}  # type: ignore[attr-defined]
    assert answers[host]["verdict"] == "INCOMPATIBLE" and answers[flux]["manager"] == "flux"
    assert [one["worker"] for one in found["rejected"]] == [dead]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("policy", "first"), [("best-fit", "host"), ("least-waste", "host"), ("soonest", None)])
def test_policies_on_real_answers(run: Run, token: Path, host: str, flux: str, policy: str, first: str | None) -> None:
    workers = ("--worker", host, "--worker", flux, "--policy", policy, "--seed", "5")
    found = [ask(run, token, "cores=1", *workers) for _ in range(2)]
    assert found[0]["ranked"] == found[1]["ranked"] and {host, flux} == set(found[0]["ranked"])  # type: ignore[call-overload]
    assert first is None or found[0]["chosen"] == host  # the host has a third of the cores of three brokers on it


def test_the_screen_shows_the_choice_and_why_others_were_not_chosen(run: Run, token: Path, host: str) -> None:
    done = run("resource-secretary", "hub", "ask", "nodes=2", "--worker", host, "--token-file", str(token))
    assert done.returncode == 1 and "verdict   INCOMPATIBLE: it can never fit" in done.stdout
    assert f" • {host}: INCOMPATIBLE: can never fit: 1 of 2 hosts find a place" in done.stdout


def test_jobspec_reads_the_profile_of_this_host(run: Run, tmp_path: Path) -> None:
    done = run("resource-secretary", "profile", "--from", "host")
    assert done.returncode == 0, done.stderr
    (tmp_path / "site.yaml").write_text(done.stdout)
    script = "examples/batch-script.sh"
    done = run("jobspec", "convert", script, "--to", "flux", "--profile", str(tmp_path / "site.yaml"))
    assert done.returncode == 0, done.stderr
    cores = re.search(r"^cores_per_node: (\d+)", (tmp_path / "site.yaml").read_text(), re.MULTILINE)
    assert cores and f"of the {cores[1]} cores of a node" in done.stderr  # memory becomes cores, by the profile


def test_slurm_answers_a_hub(run: Run, token: Path, host: str, cluster: Any) -> None:
    with serving(token, "--only", "slurm", environ=cluster.environ) as url:
        workers = ("--worker", host, "--worker", url, "--timeout", "30")
        found = ask(run, token, "nodes=2 cores=1 memory=100MB walltime=60", *workers, "--policy", "soonest")
        assert (found["chosen"], found["verdict"]) == (url, "READY")
        [answer] = [one for one in found["answers"] if one["worker"] == url]  # type: ignore[attr-defined]
        assert (answer["manager"], answer["cores"], answer["free_cores"]) == ("slurm", 4, 3)  # n3 is drained
        assert answer["depth"] == {"pending": 0, "running": 1, "pending_cores": 0} and answer["start"]
        busy = ask(run, token, "nodes=3 cores=1", *workers)
        assert busy["verdict"] == "BUSY" and "1 host that could take it is not up" in json.dumps(busy)
        assert ask(run, token, "nodes=4 cores=1", *workers)["verdict"] == "INCOMPATIBLE"


SCRIPT = """#!/bin/bash
#BSUB -n 2
#BSUB -W 30
#BSUB -M 100
hostname
"""


def test_sbatch_takes_what_jobspec_writes_with_the_profile(run: Run, cluster: Any, tmp_path: Path) -> None:
    made = cluster.say(str(BIN / "resource-secretary"), "profile", "--from", "slurm", "--refresh")
    config = dict(line.split("=", 1) for line in cluster.say("scontrol", "show", "config").splitlines() if "=" in line)
    cap = next(value.strip() for key, value in config.items() if key.strip() == "MaxArraySize")
    assert f"\narray_cap: {cap} " in made and "\ndefault_queue: main " in made
    assert "  main: main  # at most 1:00:00" in made and "  short: short  # at most 0:04:00" in made
    assert "  a100: a100  # 2 of them" in made and "# cores_per_node: the nodes differ: 2 with 2, 1 with 8" in made
    (tmp_path / "site.yaml").write_text(made)
    (tmp_path / "job.lsf").write_text(SCRIPT)
    done = run(
        "jobspec", "convert", str(tmp_path / "job.lsf"), "--to", "slurm", "--profile", str(tmp_path / "site.yaml")
    )
    assert done.returncode == 0 and "#SBATCH --partition=main" in done.stdout, done.stderr
    (tmp_path / "job.sbatch").write_text(done.stdout)
    tested = ("sbatch", "--test-only", str(tmp_path / "job.sbatch"))
    assert subprocess.run(tested, env=cluster.environ, capture_output=True, timeout=60).returncode == 0
