"""A Flux that is too small for an ensemble: its jobs wait, flux-burst brings nodes of a Slurm, they run there, the
rules go on; and then nothing is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from desk import PATIENCE, Desk, desk, until
from engines import free_ports, slurm

pytestmark = pytest.mark.needs("flux", "slurm")
SETTINGS = "interval = 1\ndelay = 0\nidle_timeout = 1\ncooldown = 0\nlease = 600\n"
# Jobs of three nodes follow from jobs of one, and one of one from these. Each task tells on which broker it runs.
STUDY = """
jobs:
  - {name: small, command: [flux, getattr, hostname], count: 3}
  - name: wide
    command: [sh, -c, "echo $(flux getattr hostname) $(flux getattr rundir)"]
    count: 2
    nodes: 3
    duration: 5m
    attributes: {burstable: true}
  - {name: after, command: [flux, getattr, hostname]}
rules:
  - {trigger: start, action: {name: submit, label: small}}
  - {trigger: metric, name: count.small.success, when: 3, action: {name: submit, label: wide}}
  - {trigger: metric, name: count.wide.success, when: 2, action: {name: submit, label: after}}
"""


@pytest.fixture
def user(slurm_of_four: slurm.Cluster) -> Iterator[Desk]:
    """Somebody who reaches the Slurm."""
    with desk(slurm_of_four.reach) as made:
        yield made


@pytest.fixture
def lead(user: Desk) -> Iterator[Path]:
    """The folder of a running lead of two cores, made and started as `flux-burst init` says."""
    folder = user.work / "lead"
    where = ["--lead=lead", f"--port={free_ports(1)[0]}", "--bind=127.0.0.1", "--connect=127.0.0.1", "--lead-cores=2"]
    made = json.loads(user("flux-burst", "init", *where, "--slots", "slurm:2:cores=2", "lead", "--json"))
    settings = folder / "burst.toml"
    settings.write_text(SETTINGS + settings.read_text() + 'shape = ["main: cores=2"]\n')
    broker = user.start(*made["start"]["background"], log="lead.log")
    user.environ["FLUX_URI"] = made["start"]["inside"].partition("=")[2]
    until(lambda: user.ask("flux", "resource", "list").returncode == 0, (user.work / "lead.log").read_text)
    yield folder
    user("flux", "shutdown")
    assert broker.wait(60) == 0


def test_the_waiting_jobs_of_an_ensemble_run_on_nodes_of_slurm(user: Desk, lead: Path) -> None:
    assert "problem" not in user("flux-burst", "check")
    before = set(user.processes())
    user.file("study.yaml", STUDY)
    ensemble = user.start("ensemble", "run", "study.yaml", "--member", "flux", "--dir", "run", "--json", log="told")
    waiting = ("flux", "jobs", "--filter=pending", "-no", "{name} {nnodes}")
    until(lambda: len(user(*waiting).split()) == 4, lambda: (user.work / "told").read_text())
    assert user(*waiting).splitlines() == ["wide 3", "wide 3"]
    assert user("flux", "resource", "list", "--states=up", "-no", "{nodelist}").strip() == "lead"

    plan = json.loads(user("flux-burst", "plan", "--plugin", "slurm", "--json"))
    assert [job["outcome"] for job in plan["jobs"]] == ["burst", "burst"]
    assert [burst["nodes"] for burst in plan["bursts"]] == [2]
    user("flux-burst", "run", "--until-idle", "--plugin", "slurm")
    assert ensemble.wait(PATIENCE) == 0, (user.work / "told").read_text()

    lines = [json.loads(line) for line in (user.work / "told").read_text().splitlines() if line.startswith("{")]
    fired = [line["name"] for line in lines if line["type"] == "trigger"]
    assert fired == ["start", "count.small.success", "count.wide.success"]
    done = {"small": 3, "wide": 2, "after": 1}
    assert lines[-1]["counts"] == {
        name: {"submitted": count, "finished": count, "success": count} for name, count in done.items()
    }
    ran = [user("ensemble", "logs", "run", job).split() for job in ("wide.0", "wide.1")]
    for words in ran:
        assert sorted(words[::2]) == ["lead", "slurm0", "slurm1"]
    assert user("ensemble", "logs", "run", "after.0").split() == ["lead"]
    bursts = json.loads(user("flux-burst", "history", "--json"))["bursts"]
    assert [(burst["state"], burst["hosts"]) for burst in bursts] == [("gone", ["slurm0", "slurm1"])]

    # Everything is gone: allocations, brokers and their folders, jobs. The lead is as it was.
    assert not user("squeue", "--noheader") and not user("flux", "jobs", "-n", "--filter=active")
    until(lambda: user("flux", "resource", "list", "-s", "up", "-no", "{nodelist}").strip() == "lead", "slots are up")
    until(lambda: set(user.processes()) <= before, lambda: str(user.processes()))
    folders = {Path(where) for words in ran for host, where in pairwise(words) if host.startswith("slurm")}
    assert len(folders) == 2
    until(lambda: not any(folder.exists() for folder in folders), f"a broker's folder is left: {folders}")
    assert {path.name for path in user.work.iterdir()} == {"lead", "lead.log", "run", "study.yaml", "told"}
