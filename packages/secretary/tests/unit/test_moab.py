"""Moab, from recordings of 7 and 9.1."""

from __future__ import annotations

import pytest
from recorded import pbs_family as recorded
from resources.language import parse

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload._moab_xml import node_state, read_jobs, read_nodes, read_start
from resource_secretary.providers.workload.moab import MoabProvider
from resource_secretary.run import Ran


def call(system, tool, **arguments):
    result = Secretary(system=system).call(tool, arguments).result
    return result.get("items", result)


def test_the_probe_and_the_cluster():
    assert Secretary(system=recorded.moab()).detect(name="moab")["moab"].metadata == {"version": "7.2.6", "nodes": 1037}
    assert call(recorded.moab(), "moab.cluster") == {
        "nodes": 1037,
        "up_nodes": 922,
        "idle_nodes": 7,
        "processors": 18432,
        "idle_processors": 7192,
    }


def test_the_jobs():
    running, eligible, blocked = call(recorded.moab(), "moab.jobs")
    assert (running["id"], running["state"], running["cores"]) == ("5096381.mg1.example", "running", 20)
    assert (running["max_walltime"], running["started"]) == (172800, "2019-03-23T17:40:01Z")
    assert (eligible["id"], eligible["state"], eligible["started"]) == ("4761849", "pending", "")
    assert (blocked["state"], blocked["reason"]) == ("held", "blocked (BatchHold)")
    assert call(recorded.moab(), "moab.depth") == {"pending": 2, "running": 1, "pending_cores": 40}
    assert call(recorded.moab(), "moab.job", id="5096381")["user"] == "user2"
    [seven] = read_jobs(recorded.text("moab-7/showq.xml"))
    assert (seven.queue, seven.nodes, seven.hosts) == ("single", 1, "m13s0703")


def test_the_nodes_and_classes():
    nodes = call(recorded.moab(), "moab.nodes")
    assert [(node["state"], node["cores"], node["free_cores"]) for node in nodes] == [
        ("up", 8, 0),
        ("up", 8, 6),
        ("down", 8, 0),
        ("drained", 8, 0),
    ]
    assert nodes[1]["free_memory"] == 15000 * 2**20 and nodes[0]["features"] == ["hadoop", "collectl"]
    queues = {queue["name"]: queue for queue in call(recorded.moab(), "moab.queues")}
    assert (queues["short"]["state"], queues["short"]["limits"]) == ("up", {"nodes": "2", "up_nodes": "2"})
    assert (queues["gpu"]["state"], queues["gpu"]["enabled"]) == ("down", False)


def test_the_inventory():
    groups = {group.hosts: group for group in Secretary(system=recorded.moab()).offer("moab").groups}
    assert str(groups["node002.example",].free) == "cores=6 memory=15000MB"
    assert groups["node003.example",].free is None


def test_when_a_job_would_start():
    assert call(recorded.moab(), "moab.start", processors=20, walltime=259200) == {"wait": 0.0}
    assert read_start("Estimated Rsv based start in             1:02:03:04 on Mon Jan 20") == 93784.0
    assert read_start("Estimated Rsv based start in              -00:00:12 on Mon Jan 20") == 0.0
    assert read_start("cannot determine start time") is None
    moab = MoabProvider(recorded.moab())
    assert moab.estimated_start(parse("nodes=2 cores=10 walltime=3-00:00:00")) is not None
    assert moab.estimated_start(parse("cores=10")) is None  # without a time Moab takes the class's


def test_a_record_that_can_not_be_read_loses_only_itself():
    text = recorded.text("moab-7/nodes.xml").replace('RCPROC="8"', 'RCPROC="eight"', 1)
    bad, *others = read_nodes(text)
    assert bad.state == "unknown" and "'eight'" in bad.reason and len(others) == 3
    jobs = read_jobs(recorded.text("moab-9.1/showq.xml").replace('ReqProcs="20"', 'ReqProcs="-1"', 1))
    assert [job.state for job in jobs] == ["unread", "pending", "held"]


def test_no_answer_is_no_empty_list():
    system = recorded.moab()
    system.commands["mdiag", "-n", "--xml"] = Ran((), 1, "", recorded.text("moab-9.1/timeout.stderr.txt"))
    with pytest.raises(CommandFailed, match="client timed out after 30 seconds"):
        call(system, "moab.nodes")
    system.commands["mdiag", "-n", "--xml"] = "compute node summary\n"
    with pytest.raises(OutputError, match="its format is not known, it begins: 'compute node summary"):
        call(system, "moab.nodes")


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("Idle", "up"),
        ("Running", "up"),
        ("Busy", "up"),
        ("Drained", "drained"),
        ("Draining", "drained"),
        ("Down", "down"),
        ("Unknown", "unknown"),
        ("", "unknown"),
    ],
)
def test_states_of_nodes(raw, state):
    assert node_state(raw) == state
