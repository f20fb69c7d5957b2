"""The secretary beside the HTCondor pool that this host's configuration finds: what it says is what the tools print."""

from __future__ import annotations

import subprocess

import pytest

from resource_secretary import Secretary
from resource_secretary.system import System

pytestmark = pytest.mark.needs("htcondor")


def printed(*argv: str) -> list[list[str]]:
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return [line.split() for line in done.stdout.splitlines() if line.strip()]


@pytest.fixture
def secretary() -> Secretary:
    return Secretary(system=System(timeout=20))


def test_it_is_active_with_the_version_that_condor_version_prints(secretary: Secretary) -> None:
    metadata = secretary.detect("workload", "htcondor", timeout=20)["htcondor"].metadata
    assert metadata is not None and metadata["client"] == printed("condor_version")[0][1]


def test_the_slots_are_those_that_condor_status_lists(secretary: Secretary) -> None:
    slots = {slot["name"]: slot for slot in secretary.call("htcondor.slots", {"limit": 1000}, 30).result["items"]}
    rows = printed("condor_status", "-af", "Name", "State", "SlotType", "TotalSlotCpus", "TotalSlotMemory", "Cpus")
    whole = [row for row in rows if row[2] != "Dynamic"]
    assert sorted(slots) == sorted(row[0] for row in whole)
    for name, state, kind, cpus, memory, left in whole:
        slot = slots[name]
        assert (slot["raw_state"], slot["cpus"], slot["memory"]) == (state, float(cpus), int(memory) * 2**20)
        if kind == "Partitionable" and slot["state"] == "up":
            dynamic = [row for row in rows if row[2] == "Dynamic" and row[0].startswith(name.split("@")[0] + "_")]
            assert slot["free_cpus"] == int(left) == slot["cpus"] - sum(int(row[5]) for row in dynamic)


def test_the_jobs_are_those_that_condor_q_lists(secretary: Secretary) -> None:
    jobs = secretary.call("htcondor.jobs", {"whose": "all", "limit": 1000}, 30).result
    rows = printed("condor_q", "-allusers", "-af", "ClusterId", "ProcId", "JobStatus")
    assert sorted(job["id"] for job in jobs["items"]) == sorted(f"{row[0]}.{row[1]}" for row in rows)
    states = {"1": "idle", "2": "running", "5": "held"}
    assert {job["id"]: job["state"] for job in jobs["items"]} == {
        f"{cluster}.{process}": states.get(status, status) for cluster, process, status in rows
    }
