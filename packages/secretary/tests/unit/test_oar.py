"""OAR, from jobs that 2.5 printed, and nodes in the shapes of 2.5 and 3."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload.oar import OarProvider
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem, check_provider

_spec = importlib.util.spec_from_file_location(
    "recorded_other_managers", Path(__file__).parents[1] / "recorded/other_managers.py"
)
recorded = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(recorded)
STAT, NODES = ("oarstat", "-f", "-J"), ("oarnodes", "-J")


@pytest.fixture(params=["2.5", "3-shape"])
def either(request) -> RecordedSystem:
    return recorded.oar(request.param)


def call(system, tool, **arguments):
    return Secretary(system=system).call(f"oar.{tool}", arguments).result


def test_the_contract(either):
    check_provider(OarProvider, either)
    assert Secretary(system=either).detect(name="oar")["oar"].metadata == {"version": "2.5.9", "nodes": 8}


def test_the_nodes_as_an_inventory_by_either_version(either):
    lines = [line.split(" | ") for line in Secretary(system=either).offer("oar").to_text().splitlines()[1:]]
    assert lines == [
        ["hosts=gengar-1 ranks=0 state=up", "cores=4 memory=64GB", "cores=1 memory=64GB"],
        ["hosts=gengar-2 ranks=1 state=up", "cores=4 memory=64GB", "cores=4 memory=64GB"],
        ["hosts=abacus-1 ranks=2 state=up", "cores=4 memory=128GB gpus=2:a100", "cores=3 memory=128GB gpus=1:a100"],
        ["hosts=sleepy-1,gone-1,bad-1,dead-1 ranks=3-6 state=down", "cores=1", "unknown"],
        ["hosts=drain-1 ranks=7 state=drained", "cores=1", "unknown"],
    ]


def test_the_nodes(either):
    nodes = {node["host"]: node for node in call(either, "nodes")["items"]}
    assert nodes["sleepy-1"]["raw_state"] == "Absent (standby)" and nodes["gone-1"]["raw_state"] == "Absent"
    assert nodes["gengar-1"]["jobs"] == ["36627"] and nodes["gengar-1"]["cluster"] == "gengar"
    assert [node["host"] for node in call(either, "nodes", state="drained")["items"]] == ["drain-1"]


def test_jobs(either):
    jobs = {job["id"]: job for job in call(either, "jobs", whose="all")["items"]}
    waits, runs = jobs[13056638], jobs[36627]
    assert (waits["state"], waits["start"], waits["walltime"]) == ("Waiting", 1689242435, 259200)
    assert (runs["hosts"], runs["resources"], runs["start"]) == (["gengar-1"], 3, 1751979909)
    assert sorted(job["id"] for job in call(either, "jobs")["items"]) == [36627, 36630]  # mine
    depth = OarProvider(either).depth()
    assert (depth.pending, depth.running) == (1, 2)


def test_where_jobs_do_not_say_what_they_hold_nothing_is_known_to_be_free():
    system = recorded.oar("3-shape")
    jobs = json.loads(system.commands[STAT])
    del jobs["36627"]["assigned_resources"]
    system.commands[STAT] = json.dumps(jobs)
    assert all(group.free is None for group in Secretary(system=system).offer("oar").groups)


def test_a_core_that_a_job_holds_half_of_is_not_free():
    row = {"type": "default", "network_address": "a", "state": "Alive", "core": 7}
    system = recorded.oar("2.5")
    system.commands[NODES] = json.dumps(
        {"1": {**row, "resource_id": 1, "jobs": "5"}, "2": {**row, "resource_id": 2, "jobs": None}}
    )
    [node] = call(system, "nodes")["items"]
    assert (node["cores"], node["free_cores"]) == (1, 0)


def test_resources_count_where_a_site_has_no_cores():
    row = {"type": "default", "network_address": "a", "state": "Alive", "jobs": None}
    system = recorded.oar("2.5")
    system.commands[NODES] = json.dumps({str(n): {**row, "resource_id": n, "gpu": "NO"} for n in (1, 2, 3)})
    [node] = call(system, "nodes")["items"]
    assert (node["cores"], node["free_cores"], node["gpus"]) == (3, 3, {})


def test_a_resource_that_cannot_be_read_leaves_unknown_what_is_free(either):
    nodes = json.loads(either.commands[NODES])
    (nodes["1"] if isinstance(nodes, dict) else nodes[0])["state"] = 5
    either.commands[NODES] = json.dumps(nodes)
    found = call(either, "nodes")["items"]
    assert found[0]["cores"] == 3 and all(node["free_cores"] is None for node in found)
    assert "state must be a text" in found[0]["unread"]


def test_a_client_without_its_database_is_unreachable(either):
    either.commands["oarnodes", "-l"] = Ran((), 1, "", "DBI connect('database=oar') failed: could not connect")
    result = Secretary(system=either).detect(name="oar")["oar"].result
    assert result.state == "unreachable" and result.said.startswith("exit code 1: DBI connect")
    either.commands["oarnodes", "-l"] = ""
    result = Secretary(system=either).detect(name="oar")["oar"].result
    assert "no version or no nodes" in result.said


def test_what_failed_is_never_no_jobs(either):
    either.commands[STAT] = Ran((), 1, "", "")
    with pytest.raises(CommandFailed, match="it said nothing"):
        OarProvider(either).depth()
    either.commands[STAT] = '{"jobs": 3}'
    with pytest.raises(OutputError, match="an object of objects expected; it said: "):
        call(either, "jobs")
