"""OAR, from recordings of 2.5.9, jobs that others show in public, and nodes in the shape of 3."""

from __future__ import annotations

import json

import pytest
from recorded import other_managers as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload.oar import OarProvider
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem, check_provider

STAT, NODES = ("oarstat", "-f", "-J"), ("oarnodes", "-J")


@pytest.fixture(params=["2.5.9", "3-shape"])
def either(request) -> RecordedSystem:
    return recorded.oar(request.param)


def call(system, tool, **arguments):
    return Secretary(system=system).call(f"oar.{tool}", arguments).result


def test_the_contract(either):
    check_provider(OarProvider, either)
    assert Secretary(system=either).detect(name="oar")["oar"].metadata == {"version": "2.5.9", "nodes": 3}


def test_the_nodes_as_an_inventory_by_either_version(either):
    lines = [line.split(" | ") for line in Secretary(system=either).offer("oar").to_text().splitlines()[1:]]
    assert lines == [
        ["hosts=gengar-1 ranks=0 state=up", "cores=4 memory=64GB", "cores=2 memory=64GB"],
        ["hosts=gengar-2 ranks=1 state=drained", "cores=1 memory=64GB", "unknown"],
        ["hosts=gengar-[2,2,2] ranks=2-4 state=down", "cores=1 memory=64GB", "unknown"],
        ["hosts=abacus-1 ranks=5 state=up", "cores=2 memory=128GB gpus=2:a100", "cores=1 memory=128GB gpus=1:a100"],
    ]


def test_the_nodes(either):
    nodes = call(either, "nodes")["items"]
    states = {(node["state"], node["raw_state"]) for node in nodes if node["host"] == "gengar-2"}
    down = {("down", "Absent (standby)"), ("down", "Absent"), ("down", "Suspected")}
    assert states == {("drained", "Alive"), *down}
    assert nodes[0]["jobs"] == ["1"] and nodes[0]["cluster"] == "gengar"
    assert [node["host"] for node in call(either, "nodes", state="drained")["items"]] == ["gengar-2"]
    assert all(node["free_cores"] is None for node in nodes if node["state"] != "up")


def test_jobs(either):
    runs, waits = call(either, "jobs", whose="all")["items"]
    assert (runs["state"], runs["hosts"], runs["resources"], runs["walltime"]) == (
        "Running",
        ["abacus-1", "gengar-1"],
        3,
        7200,
    )
    assert (waits["state"], waits["start"], waits["owner"]) == ("Waiting", None, "other")
    assert [job["id"] for job in call(either, "jobs")["items"]] == [1]  # mine
    depth = OarProvider(either).depth()
    assert (depth.pending, depth.running) == (1, 1)


def test_jobs_that_others_show(either):
    either.commands[STAT] = (recorded.DATA / "oar-2.5.9/public-jobs.json").read_text()
    jobs = {job["id"]: job for job in call(either, "jobs", whose="all")["items"]}
    assert (jobs[13056638]["start"], jobs[13056638]["walltime"]) == (1689242435, 259200)  # when OAR expects it
    assert (jobs[36627]["hosts"], jobs[36627]["name"]) == (["gengar-1"], "")


def test_where_there_is_no_job_oarstat_prints_nothing(either):
    either.commands[STAT] = ""
    assert call(either, "jobs", whose="all")["total"] == 0 and OarProvider(either).depth().running == 0
    if isinstance(json.loads(either.commands[NODES]), list):
        assert call(either, "nodes")["items"][0]["free_cores"] == 4


def test_where_jobs_do_not_say_what_they_hold_nothing_is_known_to_be_free():
    system = recorded.oar("3-shape")
    jobs = json.loads(system.commands[STAT])
    del jobs["1"]["assigned_resources"]
    system.commands[STAT] = json.dumps(jobs)
    assert all(group.free is None for group in Secretary(system=system).offer("oar").groups)


def test_a_core_that_a_job_holds_half_of_is_not_free():
    row = {"type": "default", "network_address": "a", "state": "Alive", "core": 7}
    system = recorded.oar()
    system.commands[NODES] = json.dumps(
        {"1": {**row, "resource_id": 1, "jobs": "5"}, "2": {**row, "resource_id": 2, "jobs": None}}
    )
    [node] = call(system, "nodes")["items"]
    assert (node["cores"], node["free_cores"]) == (1, 0)


def test_resources_count_where_a_site_has_no_cores():
    row = {"type": "default", "network_address": "a", "state": "Alive", "jobs": None}
    system = recorded.oar()
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
    said = (recorded.DATA / "oar-2.5.9/no-database.stderr.txt").read_text()
    either.commands["oarnodes", "-l"] = Ran((), 25, "", said)
    result = Secretary(system=either).detect(name="oar")["oar"].result
    assert (result.state, result.said) == ("unreachable", "exit code 25: DB connection error, exiting.")
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
