"""The secretary beside the OAR whose commands are on PATH: what it says is what they print."""

from __future__ import annotations

import subprocess
from collections import Counter

import pytest

from resource_secretary import Secretary
from resource_secretary.system import System

pytestmark = pytest.mark.needs("oar")


def printed(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def secretary() -> Secretary:
    return Secretary(system=System(timeout=20))


def test_it_is_active_with_the_version_that_oarnodes_prints(secretary: Secretary) -> None:
    metadata = secretary.detect("workload", "oar", timeout=20)["oar"].metadata
    assert metadata is not None and metadata["version"] in printed("oarnodes", "-V").split()


def test_cores_are_counted_as_the_text_form_lists_resources(secretary: Secretary) -> None:
    """`oarnodes` without options prints each resource as lines `network_address: ...`, `state: ...`, `jobs: ...`."""
    nodes = secretary.call("oar.nodes", {"limit": 1000}, 30).result["items"]
    alive: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    host = ""
    for line in printed("oarnodes").splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "network_address":
            host = value
        elif key == "state" and value == "Alive":
            alive[host] += 1
        elif key == "jobs" and value:
            taken[host] += 1
    assert alive, printed("oarnodes")
    found: Counter[str] = Counter()
    for node in nodes:
        found[node["host"]] += node["cores"] if node["raw_state"] == "Alive" else 0
    assert +found == alive
    held = {node["host"]: node["cores"] - node["free_cores"] for node in nodes if node["state"] == "up"}
    assert {host: count for host, count in held.items() if count} == dict(taken)


def test_the_jobs_are_those_that_oarstat_lists(secretary: Secretary) -> None:
    jobs = secretary.call("oar.jobs", {"whose": "all", "limit": 1000}, 30).result["items"]
    lines = [line.split() for line in printed("oarstat").splitlines()]
    assert sorted(str(job["id"]) for job in jobs) == sorted(words[0] for words in lines if words and words[0].isdigit())
