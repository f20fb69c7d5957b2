"""Cobalt, in the shapes that its own clients print."""

from __future__ import annotations

import pytest
from recorded import pbs_family as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload._cobalt_text import read_jobs, read_places, read_queues
from resource_secretary.run import Ran


def call(system, tool, **arguments):
    result = Secretary(system=system).call(tool, arguments).result
    return result.get("items", result)


def test_the_probe():
    metadata = Secretary(system=recorded.cobalt()).detect(name="cobalt")["cobalt"].metadata
    assert metadata == {"version": "1.0.28", "queues": ["default", "R.workshop"]}


def test_the_queues():
    default, workshop = call(recorded.cobalt(), "cobalt.queues")
    assert (default["state"], default["default"], default["max_walltime"]) == ("up", True, 6 * 3600)
    assert (workshop["state"], workshop["enabled"], workshop["max_walltime"]) == ("closed", False, None)
    assert workshop["limits"] == {"Users": "alice:bob", "MaxUserNodes": "128"}


def test_the_jobs():
    queued, running, held = call(recorded.cobalt(), "cobalt.jobs")
    assert (queued["state"], queued["nodes"], queued["max_walltime"], queued["started"]) == ("pending", 1, 600, "")
    assert (running["name"], running["hosts"], running["cores"]) == ("sim: part 2", "24-151", 8192)
    assert (held["state"], held["reason"], held["name"]) == ("held", "dep_hold", "")
    assert call(recorded.cobalt(), "cobalt.depth") == {"pending": 2, "running": 1, "pending_cores": None}
    assert call(recorded.cobalt(), "cobalt.job", id="763801")["state"] == "running"
    with pytest.raises(OutputError, match="no such job"):
        call(recorded.cobalt(), "cobalt.job", id="1")


def test_the_nodes_of_a_cray():
    nodes = call(recorded.cobalt(), "cobalt.nodes")
    assert [(node["name"], node["state"], node["free"], node["backfill"]) for node in nodes] == [
        ("c0-0c0s6n0", "up", False, 2 * 3600 + 2 * 60 + 34),
        ("c0-0c0s6n1", "up", True, None),
        ("c0-0c0s6n2", "down", False, None),
        ("c0-0c0s6n3", "up", False, None),
    ]
    assert nodes[0]["queues"] == ["backfill-flat-quad", "flat-quad", "default", "balsam"] and nodes[2]["queues"] == []


def test_the_nodes_of_a_cluster_and_the_partitions_of_a_blue_gene():
    system = recorded.cobalt()
    system.commands["nodelist",] = recorded.text("cobalt-1/nodelist-cluster.txt")
    assert [node["state"] for node in call(system, "cobalt.nodes")] == ["up", "down", "up"]
    system.commands["nodelist",] = Ran((), 0, "", recorded.text("cobalt-1/nodelist-bgq.stderr.txt"))
    system.commands["partlist",] = recorded.text("cobalt-1/partlist.txt")
    places = call(system, "cobalt.nodes")
    assert [(place["kind"], place["state"], place["free"]) for place in places] == [
        ("partition", "up", False),
        ("partition", "up", False),
        ("partition", "up", True),
        ("partition", "down", False),
    ]
    assert places[2]["backfill"] == 5 * 3600 + 12 * 60


def test_what_can_not_be_read():
    [job] = read_jobs("JobID: 1\n    WallTime: soon\n    State: queued\n")
    assert job.state == "unread" and "'soon' is no time" in job.reason
    [queue] = read_queues("Name: a\n    MaxTime: soon\n    State: running\n")
    assert queue.state == "unread"
    for reader in (read_jobs, read_queues):
        with pytest.raises(OutputError, match="its format is not known"):
            reader("No such thing\n")
    with pytest.raises(OutputError, match="a head with a name and a state expected"):
        read_places("nodelist: error\n", "nodelist")
    system = recorded.cobalt()
    system.commands["nodelist",] = Ran((), 1, "", "Failed to connect to system component")
    with pytest.raises(CommandFailed, match="Failed to connect"):
        call(system, "cobalt.nodes")
