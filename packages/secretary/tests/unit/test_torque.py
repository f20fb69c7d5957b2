"""Torque, from recordings of 4.2 and 6.1.2."""

from __future__ import annotations

import pytest
from recorded import pbs_family as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload import _pbs_types
from resource_secretary.providers.workload._torque_xml import nodes, read_records, read_status
from resource_secretary.run import Ran


def call(system, tool, **arguments):
    result = Secretary(system=system).call(tool, arguments).result
    return result.get("items", result)


def test_the_nodes_of_6():
    found = {node["name"]: node for node in call(recorded.torque(), "torque.nodes")}
    assert [(node["state"], node["cores"], node["free_cores"]) for node in found.values()] == [
        ("drained", 1000, 0),
        ("up", 4, 4),
        ("up", 4, 0),
        ("up", 4, 1),  # 0-1/149, 2/150: three of four
    ]
    assert found["ip-10-0-0-196"]["reason"] == "MasterServer"
    assert (found["ip-10-0-1-242"]["memory"], found["ip-10-0-1-242"]["free_memory"]) == (7814572 * 1024, 7493488 * 1024)
    assert (found["ip-10-0-1-168"]["gpus"], found["ip-10-0-1-168"]["free_gpus"]) == ({"": 2}, {"": 1})


def test_the_nodes_of_4():
    found = {node.name: node for node in nodes(recorded.text("torque-4.2/nodes.xml"), "x")}
    assert (found["n061"].free_cores, found["n061"].features) == (0, ("compute", "enc4"))
    assert (found["sig-06"].cores, found["sig-06"].free_cores) == (4, 2)
    # availmem counts swap: what is left without all of it
    assert found["sig-06"].free_memory == (4795008 - (5824944 - 4060600)) * 1024
    assert (found["n001"].state, found["sig-04"].state) == ("drained", "down")


def test_the_jobs():
    jobs = {job["id"].partition(".")[0]: job for job in call(recorded.torque(), "torque.jobs")}
    assert [(job["state"], job["cores"], job["nodes"]) for job in jobs.values()] == [
        ("running", 2, 1),
        ("running", 2, 2),
        ("running", 2, None),
        ("pending", 8, 3),
        ("pending", 12, 9),
    ]
    assert jobs["149"]["started"] == "2019-07-03T12:16:25Z" and jobs["150"]["hosts"] == "ip-10-0-1-[95,168]"
    assert jobs["152"]["reason"].endswith("3 requested, 2 available") and jobs["149"]["reason"] == ""
    assert call(recorded.torque(), "torque.job", id="152")["state"] == "pending"
    assert call(recorded.torque(), "torque.depth") == {"pending": 2, "running": 3, "pending_cores": 20}


def test_the_queues():
    batch, long = call(recorded.torque(), "torque.queues")
    assert (batch["state"], batch["default"], batch["running"], batch["pending"]) == ("up", True, 3, 2)
    assert (long["state"], long["enabled"], long["max_walltime"]) == ("closed", False, 168 * 3600)


def test_the_inventory():
    groups = {group.hosts: group for group in Secretary(system=recorded.torque()).offer("torque").groups}
    assert str(groups["ip-10-0-1-168",].free) == "cores=1 gpus=1"
    assert groups["ip-10-0-0-196",].free is None


def test_the_probe():
    metadata = Secretary(system=recorded.torque()).detect(name="torque")["torque"].metadata
    assert metadata == {"version": "6.1.2", "server": "ip-10-0-0-196", "state": "Active", "default_queue": "batch"}


def test_a_record_that_is_no_xml_loses_only_itself():
    text = recorded.text("torque-6.1.2/jobs.xml").replace("<Job_Name>STDIN</Job_Name>", "<Job_Name>a & b</Job_Name>", 1)
    jobs = _pbs_types.jobs(read_records(text, "Job", "qstat -x"), "qstat -x")
    assert [job.state for job in jobs] == ["unread", "running", "running", "pending", "pending"]
    assert jobs[0].id.startswith("149.") and "no XML" in jobs[0].reason
    cut = _pbs_types.jobs(read_records(text[:-300], "Job", "qstat -x"), "qstat -x")
    assert cut[-1].state == "unread" and cut[-1].id.startswith("166[1].") and "ends within" in cut[-1].reason


def test_a_node_that_can_not_be_read_is_unknown_and_told():
    text = recorded.text("torque-4.2/nodes.xml").replace("<np>8</np>", "<np>eight</np>", 1)
    bad, *others = nodes(text, "x")
    assert (bad.state, bad.cores) == ("unknown", None) and "'eight' is no whole number" in bad.reason
    assert [node.state for node in others] == ["drained", "up", "down"]


def test_no_answer_is_no_empty_list():
    system = recorded.torque()
    system.commands["qstat", "-t", "-x"] = ""  # what it prints where there is no job
    assert call(system, "torque.jobs") == []
    system.commands["qstat", "-t", "-x"] = Ran((), 171, "", "qstat: End of File")
    with pytest.raises(CommandFailed, match="End of File"):
        call(system, "torque.jobs")
    system.commands["pbsnodes", "-x"] = '<!DOCTYPE a [<!ENTITY b "c">]><Data/>'
    with pytest.raises(OutputError, match="a document type is refused"):
        call(system, "torque.nodes")


def test_status_with_commas_in_values():
    assert read_status("opsys=linux,uname=Linux a, b #1,jobs=,state=free") == {
        "opsys": "linux",
        "uname": "Linux a, b #1",
        "jobs": "",
        "state": "free",
    }
    assert read_status("") == {}


@pytest.mark.parametrize(
    ("spec", "cores"),
    [
        ("1", 1),
        ("2:ppn=4", 8),
        ("1:ppn=2+2:ppn=3", 8),
        ("node01:ppn=4:gpus=1+node02", 5),
        ("3:bigmem:ppn=16", 48),
        ("2:ppn=x", None),
    ],
)
def test_processors_of_a_node_specification(spec, cores):
    [record] = read_records(
        f"<Data><Job><Job_Id>1.s</Job_Id><job_state>Q</job_state><Resource_List><nodes>{spec}</nodes></Resource_List>"
        "</Job></Data>",
        "Job",
        "x",
    )
    assert _pbs_types.job(record, "x").cores == cores
