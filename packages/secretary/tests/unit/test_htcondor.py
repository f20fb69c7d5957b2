"""HTCondor, from recordings of a pool of 23.9.6 and in the shapes of 8.8."""

from __future__ import annotations

import pytest
from recorded import other_managers as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload._htcondor_json import read_jobs, read_slots
from resource_secretary.providers.workload.htcondor import HTCondorProvider
from resource_secretary.result import Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem, check_provider


@pytest.fixture
def pool() -> RecordedSystem:
    return recorded.htcondor()


def call(system, tool, **arguments):
    return Secretary(system=system).call(f"htcondor.{tool}", arguments).result


def test_the_contract(pool):
    check_provider(HTCondorProvider, pool)
    metadata = Secretary(system=pool).detect(name="htcondor")["htcondor"].metadata
    assert metadata == {"client": "23.9.6", "server": "23.9.6", "collector": "My Pool - 127.0.0.1@vm"}


def test_a_partitionable_slot_counts_once(pool):
    lines = [line.split(" | ") for line in Secretary(system=pool).offer("htcondor").to_text().splitlines()[1:]]
    assert lines == [
        [
            "hosts=vm ranks=0 state=up",
            "cores=6 memory=12000MB gpus=2:a100",
            "cores=3 memory=8416MB gpus=1:a100",
        ],
        ["hosts=vm,vm ranks=1-2 state=up", "cores=1 memory=1000MB", "cores=1 memory=1000MB"],
    ]
    everything = (recorded.DATA / "htcondor-23.9.6/all-slots.json").read_text()  # with the dynamic slots
    assert read_slots("x", everything) == read_slots("x", (recorded.DATA / "htcondor-23.9.6/slots.json").read_text())
    summary = call(pool, "resources")
    assert (summary["machines"], summary["cpus"], summary["free_cpus"], summary["free_gpus"]) == (1, 8, 5, 1)


def test_states_of_slots():
    slots = {slot.name: slot for slot in read_slots("x", (recorded.DATA / "htcondor-8.8-shape/slots.json").read_text())}
    assert {name: (slot.state, slot.free_cpus) for name, slot in slots.items()} == {
        "slot1@gpu.pool": ("up", 0),
        "slot1@desk.pool": ("up", 0),
        "slot2@desk.pool": ("drained", None),
        "slot1@old.pool": ("drained", None),
        "slot1@asleep.pool": ("down", None),
        "slot1@odd.pool": ("unknown", None),
    }
    gpu = slots["slot1@gpu.pool"]
    assert (gpu.gpus, gpu.free_gpus, gpu.gpu_type, gpu.free_memory) == (4, 2, "v100", 2**30)
    assert "Memory must be a whole number" in slots["slot1@odd.pool"].unread


@pytest.mark.parametrize(("state", "free"), [("Unclaimed", 1), ("Backfill", 1), ("Claimed", 0), ("Matched", 0)])
def test_a_static_slot_is_free_or_not(state, free):
    [slot] = read_slots("x", f'[{{"Name":"slot1@a","State":"{state}","Cpus":1,"Memory":10}}]')
    assert (slot.state, slot.free_cpus, slot.machine) == ("up", free, "a")


def test_slots_that_start_nothing_are_not_offered(pool):
    pool.commands[recorded.SLOTS] = (recorded.DATA / "htcondor-23.9.6/start-false.json").read_text()
    assert {slot["raw_state"] for slot in call(pool, "slots")["items"]} == {"Unclaimed"}
    groups = Secretary(system=pool).offer("htcondor").groups
    assert {(group.state, group.free) for group in groups} == {("drained", None)}


def test_a_slot_for_backfill_is_not_counted_again():
    text = '[{"Name":"slot1@a","State":"Unclaimed","Cpus":1,"Memory":1,"BackfillSlot":true}]'
    assert read_slots("x", text) == []


def test_more_left_than_there_is_is_no_answer():
    text = '[{"Name":"slot1@a","State":"Unclaimed","PartitionableSlot":true,"Cpus":3,"Memory":1,"TotalSlotCpus":2}]'
    [slot] = read_slots("x", text)
    assert slot.free_cpus is None and "more left than there is" in slot.unread


def test_jobs_and_why_they_are_held(pool):
    jobs = {job["id"]: job for job in call(pool, "jobs", whose="all")["items"]}
    assert {id: job["state"] for id, job in jobs.items()} == {
        "1.0": "running",
        "1.1": "running",
        "1.2": "idle",
        "1.3": "idle",
        "1.4": "held",
    }
    assert jobs["1.4"]["reason"] == "submitted on hold at user's request" and jobs["1.4"]["reason_code"] == 15
    assert jobs["1.1"]["gpus"] == 1 and jobs["1.1"]["memory"] == 500 * 2**20 and jobs["1.1"]["host"] == "vm"
    assert call(pool, "jobs")["total"] == 5  # mine


def test_a_request_that_is_an_expression_is_unknown():
    [job] = read_jobs("x", '[{"ClusterId":1,"ProcId":0,"JobStatus":9,"RequestMemory":"/Expr(ifthenelse(a,b,c))/"}]')
    assert job.memory is None and job.state == "unknown (9)" and not job.unread


def test_the_depth_and_the_submitters(pool):
    depth = HTCondorProvider(pool).depth()
    assert (depth.pending, depth.running, depth.pending_cores) == (2, 2, None)
    [row] = call(pool, "submitters")["items"]
    assert (row["idle"], row["running"], row["held"]) == (2, 2, 1)


def test_without_a_collector_it_is_unreachable(pool):
    said = (recorded.DATA / "htcondor-23.9.6/no-collector.stderr.txt").read_text()
    pool.commands[recorded.COLLECTOR] = Ran((), 1, "", said)
    result = Secretary(system=pool).detect(name="htcondor")["htcondor"].result
    assert isinstance(result, Unreachable)
    assert result.said == "exit code 1: Error: communication error; CEDAR:6001:Failed to connect to <127.0.0.1:1>"
    pool.commands[recorded.COLLECTOR] = ""
    result = Secretary(system=pool).detect(name="htcondor")["htcondor"].result
    assert result.said == "no collector tells of itself"


def test_what_failed_is_never_no_jobs(pool):
    pool.commands[recorded.SCHEDDS] = ""
    with pytest.raises(CommandFailed, match="no access point"):
        HTCondorProvider(pool).depth()
    pool.commands[recorded.JOBS] = Ran((), 1, "", "Error: Can't find address for schedd")
    with pytest.raises(CommandFailed, match="Can't find address"):
        call(pool, "jobs", whose="all")
    pool.commands[recorded.JOBS] = "-- Schedd: a : <127.0.0.1>"
    with pytest.raises(OutputError, match="it said: -- Schedd: a"):
        call(pool, "jobs", whose="all")
