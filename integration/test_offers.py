"""What a cluster offers, and what fits there, is what its scheduler says: on a Flux and a Slurm of four nodes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from desk import Desk, desk, until

# The same job in three ways: a request, a batch script, a jobspec.
SCRIPT = "#!/bin/bash\n#SBATCH --nodes={0}\n#SBATCH --ntasks-per-node=1\n#SBATCH --cpus-per-task={1}\ntrue\n"
JOBSPEC = """
version: 1
resources: {{type: node, count: {0}, with: [{{type: slot, count: 1, label: one, with: [{{type: core, count: {1}}}]}}]}}
task: {{slot: one, command: ["true"]}}
"""
# Nodes, and cores on each; while another job has one of the four nodes, and each has two cores.
VERDICTS = {(3, 1): "READY", (3, 2): "READY", (4, 1): "BUSY", (5, 1): "INCOMPATIBLE", (1, 3): "INCOMPATIBLE"}


class FluxCluster:
    """Commands of Flux, at a desk inside an instance."""

    version = ("flux", "version")

    def __init__(self, user: Desk) -> None:
        self.user = user

    def occupy(self) -> str:
        """Have a job run that leaves nothing of a node; gives its id."""
        job = self.user("flux", "submit", "-N1", "--exclusive", "sleep", "600").strip()
        self.user("flux", "job", "wait-event", "-t60", job, "start")
        return job

    def cancel(self, job: str) -> None:
        self.user("flux", "cancel", job)
        self.user("flux", "job", "wait-event", "-t60", job, "clean")

    def says(self, nodes: int, cores: int) -> str:
        """What becomes of such a job: READY where it starts at once, BUSY where it waits for others."""
        job = self.user("flux", "submit", f"-N{nodes}", f"-n{nodes}", f"-c{cores}", "true").strip()
        # The scheduler says nothing of a job that waits: so it is shown first that it places jobs now.
        self.user("flux", "run", "--urgency=31", "true")
        said = self.user.ask("flux", "job", "wait-event", "-t5", job, "alloc")
        events = self.user("flux", "job", "eventlog", job)
        if said.returncode == 0:
            return "READY"
        if "exception" in events:
            return "INCOMPATIBLE" if "unsatisfiable" in events else events
        self.cancel(job)
        return "BUSY"


class SlurmCluster:
    """Commands of Slurm."""

    version = ("sinfo", "--version")

    def __init__(self, user: Desk) -> None:
        self.user = user

    def occupy(self) -> str:
        job = self.user("sbatch", "--parsable", "-N1", "--exclusive", "-o/dev/null", "--wrap=sleep 600").strip()
        until(lambda: self.state(job).startswith("RUNNING"), lambda: self.state(job))
        return job

    def state(self, job: str) -> str:
        return self.user("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T %r").strip()

    def cancel(self, job: str) -> None:
        self.user("scancel", job)
        until(lambda: self.state(job).startswith("CANCELLED"), lambda: self.state(job))

    def says(self, nodes: int, cores: int) -> str:
        asked = ("sbatch", f"-N{nodes}", "--ntasks-per-node=1", f"-c{cores}", "-o/dev/null", "--wrap=true")
        possible = self.user.ask(*asked, "--test-only")
        if possible.returncode:
            return "INCOMPATIBLE" if "allocation failure" in possible.stderr else possible.stderr
        job = self.user(*asked, "--parsable").strip()
        until(lambda: self.state(job) in ("COMPLETED None", "PENDING Resources"), lambda: self.state(job))
        if self.state(job) == "COMPLETED None":
            return "READY"
        self.cancel(job)
        return "BUSY"


Cluster = FluxCluster | SlurmCluster


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.needs(name)) for name in ("flux", "slurm")])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster(name: str, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    found = request.getfixturevalue(f"{name}_of_four")
    # What `detect` has found is kept for the next time.
    with desk(found if name == "flux" else found.reach, keeps=["cache/resource-secretary"]) as user:
        yield FluxCluster(user) if name == "flux" else SlurmCluster(user)


def verdict(done: subprocess.CompletedProcess[str]) -> str:
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["verdict"] == "READY" else 1)
    return str(answer["verdict"])


def test_it_is_detected_and_offers_its_four_nodes(name: str, cluster: Cluster) -> None:
    detected = json.loads(cluster.user("resource-secretary", "detect", "workload", name, "--json"))
    [provider] = detected["providers"]
    assert provider["active"] and provider["metadata"]["version"] in cluster.user(*cluster.version).split()
    offer = cluster.user("resource-secretary", "offer", "--from", name, "--json")
    assert sum(count(group["ranks"]) for group in json.loads(offer)["groups"]) == 4


def count(ranks: str) -> int:
    """How many are in an idset such as 0,2-3 (RFC 22)."""
    ends = [part.split("-") for part in ranks.split(",")]
    return sum(int(one[-1]) - int(one[0]) + 1 for one in ends)


def test_verdicts_on_its_offer_are_those_of_the_scheduler(name: str, cluster: Cluster) -> None:
    job = cluster.occupy()
    offer = cluster.user("resource-secretary", "offer", "--from", name, "--json")
    for (nodes, cores), wanted in VERDICTS.items():
        request = f"nodes={nodes} cores={cores}"
        told = [verdict(cluster.user.ask("resources", "fit", request, "--in", "-", "--json", stdin=offer))]
        for file, text in (("job.sh", SCRIPT), ("job.yaml", JOBSPEC)):
            cluster.user.file(file, text.format(nodes, cores))
            told.append(
                verdict(cluster.user.ask("jobspec", "satisfy", file, "--inventory", "-", "--json", stdin=offer))
            )
        assert [*told, cluster.says(nodes, cores)] == [wanted] * 4, request
    cluster.cancel(job)
