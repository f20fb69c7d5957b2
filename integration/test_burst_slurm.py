"""A Flux instance grows into a real Slurm cluster and shrinks again, by the commands that a user types."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import free_ports
from engines import slurm as engine

pytestmark = pytest.mark.needs("flux", "slurm")
PATIENCE = 120  # seconds: this machine may be busy
SETTINGS = """
interval = 1
delay = 0
idle_timeout = 1
cooldown = 0
lease = 600
"""


class Owner:
    """Somebody with a lead and a Slurm: runs commands as they would."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder, self.environ = folder, {**environ, "FLUX_URI": f"local://{folder}/lead.sock"}

    def __call__(self, *argv: str, code: int = 0) -> str:
        done = subprocess.run(argv, env=self.environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == code, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def hosts(self, state: str) -> list[str]:
        return self("flux", "resource", "list", f"--states={state}", "-no", "{nodelist}").split(",")

    def submit(self, nodes: int, *argv: str) -> str:
        return self("flux", "submit", f"--nodes={nodes}", "--exclusive", "--setattr=system.burstable=true", *argv)


def until(true: Any, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.2)


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    folder = tmp_path_factory.mktemp("burst") / "lead"
    with engine.slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        path = f"{Path(sys.executable).parent}{os.pathsep}{cluster.environ['PATH']}"
        kept = {name: value for name, value in cluster.environ.items() if not name.startswith("FLUX_")}
        made = Owner(folder, {**kept, "PATH": path})
        where = [
            "--lead=lead",
            f"--port={free_ports(1)[0]}",
            "--bind=127.0.0.1",
            "--connect=127.0.0.1",
            "--lead-cores=2",
        ]
        init = ["flux-burst", "init", *where, "--slots", "slurm:2:cores=2", str(folder)]
        subprocess.run(init, env={**kept, "PATH": path}, check=True, capture_output=True, timeout=PATIENCE)
        settings = folder / "burst.toml"
        settings.write_text(SETTINGS + settings.read_text() + 'shape = ["main: cores=2"]\n')
        start = ["flux", "broker", f"--config-path={folder}/system.toml", "-Shostname=lead", "-Sbroker.quorum=1"]
        start += ["-Sbroker.boot-method=config", f"-Slocal-uri=local://{folder}/lead.sock", "sleep", "infinity"]
        with (folder / "lead.log").open("wb") as log:
            lead = subprocess.Popen(start, env={**kept, "PATH": path}, stdout=log, stderr=log, start_new_session=True)
        try:
            answers = ["flux", "resource", "list"]
            until(lambda: not subprocess.run(answers, env=made.environ, capture_output=True).returncode, "a lead")
            yield made
            subprocess.run(["flux-burst", "destroy", "--all"], env=made.environ, capture_output=True, timeout=PATIENCE)
        finally:
            os.killpg(lead.pid, signal.SIGTERM)
            try:
                lead.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(lead.pid, signal.SIGKILL)
                lead.wait()


def test_jobs_of_three_nodes_burst_into_slurm_and_its_nodes_go_back(owner: Owner) -> None:
    for round in (1, 2):
        job = owner.submit(3, "sh", "-c", "flux getattr hostname")
        owner("flux-burst", "run", "--until-idle", "--plugin", "slurm")
        assert sorted(owner("flux", "job", "attach", job).split()) == ["lead", "slurm0", "slurm1"]
        until(lambda: owner.hosts("up") == ["lead"], "the slots are down again")
        assert not owner("squeue", "--noheader")
        bursts = json.loads(owner("flux-burst", "history", "--json"))["bursts"]
        assert [tuple(one["hosts"]) for one in bursts] == [("slurm0", "slurm1")] * round


def test_slurm_ends_a_burst_under_its_job_and_another_follows(owner: Owner) -> None:
    job = owner.submit(3, "sleep", "1000")
    run = ["flux-burst", "run", "--until-idle", "--plugin", "slurm"]
    with (owner.folder / "run.log").open("wb") as log:
        process = subprocess.Popen(run, env=owner.environ, stdout=log, stderr=log)
    try:
        until(lambda: owner("flux", "jobs", "-no", "{state}", job) == "RUN", "the job runs")
        owner("scancel", owner("squeue", "--noheader", "--format=%i"))
        until(lambda: owner("flux", "jobs", "-no", "{state}", job) == "INACTIVE", "the job fails with its nodes")
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    assert not owner("squeue", "--noheader")
    again = owner.submit(3, "true")
    owner(*run)
    assert owner("flux", "jobs", "-no", "{result}", again) == "COMPLETED"
    assert not owner("squeue", "--noheader")
