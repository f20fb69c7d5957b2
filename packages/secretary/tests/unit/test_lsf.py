"""LSF, from recordings of 9.1 and 10.1."""

from __future__ import annotations

import pytest
from recorded import pbs_family as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload._lsf_text import (
    host_state,
    read_gpus,
    read_job,
    read_job_table,
    read_lsid,
    read_queues,
)
from resource_secretary.run import Ran


def call(system, tool, **arguments):
    result = Secretary(system=system).call(tool, arguments).result
    return result.get("items", result)


def test_the_probe():
    metadata = Secretary(system=recorded.lsf()).detect(name="lsf")["lsf"].metadata
    assert metadata == {
        "product": "IBM Spectrum LSF Standard",
        "version": "10.1.0.15",
        "cluster": "eda_cluster",
        "master": "master",
    }
    nine = read_lsid(recorded.text("lsf-9.1/lsid.txt"))
    assert (nine.product, nine.version, nine.cluster) == ("IBM Platform LSF", "9.1.3.0", "farm3")
    with pytest.raises(OutputError, match="its format is not known"):
        read_lsid("lsid: no cluster")


def test_the_hosts_of_10():
    hosts = {host["name"]: host for host in call(recorded.lsf(), "lsf.nodes")}
    assert [(host["state"], host["cores"], host["free_cores"]) for host in hosts.values()] == [
        ("up", 4, 0),  # closed_Full
        ("up", 40, 8),  # of 40 slots 2 run and 30 are reserved
        ("drained", 8, 0),  # closed_Adm, slots by its processors
        ("down", None, None),
    ]
    gpu = hosts["gpu01"]
    assert gpu["gpus"] == {"TeslaV100_SXM2_": 2} and gpu["free_gpus"] == {"TeslaV100_SXM2_": 1}
    assert gpu["memory"] == 376.5 * 2**30 // 1 and gpu["free_memory"] == 2133 * 2**30 // 10
    assert gpu["features"] == ["ib", "ssd"] and hosts["ip-10-30-9-105"]["gpus"] == {}


def test_the_hosts_of_9():
    hosts = {host["name"]: host for host in call(recorded.lsf_9(), "lsf.nodes")}
    assert [(host["state"], host["free_cores"]) for host in hosts.values()] == [
        ("drained", 0),
        ("up", 4),
        ("up", 0),  # closed_Excl
        ("down", 0),
    ]
    assert hosts["p06108707h9"]["free_memory"] == 30442 * 2**20 and hosts["p06108707h9"]["gpus"] is None
    assert hosts["p06108707h9"]["features"][-1] == "ssd"


def test_the_inventory():
    groups = {group.hosts: group for group in Secretary(system=recorded.lsf()).offer("lsf").groups}
    assert str(groups["gpu01",].free).startswith("cores=8 memory=") and str(groups["gpu01",].free).endswith(
        " gpus=1:TeslaV100_SXM2_"
    )
    assert groups["worker-3",].free is None and groups["worker-3",].state == "down"


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("ok", "up"),
        ("closed_Full", "up"),
        ("closed_Busy", "up"),
        ("closed_Excl", "up"),
        ("closed_Adm", "drained"),
        ("closed_Lock", "drained"),
        ("closed_EGO", "drained"),
        ("closed", "drained"),
        ("closed_LIM", "down"),
        ("unavail", "down"),
        ("unreach", "down"),
        ("unlicensed", "down"),
        ("closed_New", "unknown"),
    ],
)
def test_states_of_hosts(raw, state):
    assert host_state(raw) == state


def test_gpus_of_several_models():
    text = (
        "HOST_NAME  ID  MODEL  MUSED  MRSV NJOBS RUN SUSP RSV VENDOR\n"
        "a  0 NVIDIA A100 40GB 0M 0M 0 0 0 0 Nvidia\n   1 TeslaK80 1G 0M 2 2 0 0 Nvidia\nb - - - - - - - - -\n"
    )
    assert read_gpus(text) == {"a": ({"NVIDIA_A100_40GB": 1, "TeslaK80": 1}, {"NVIDIA_A100_40GB": 1, "TeslaK80": 0})}
    with pytest.raises(OutputError, match="line 2"):
        read_gpus("HOST_NAME ID MODEL MUSED NJOBS\na 0 x\n")


def test_the_queues():
    normal, short, owners = call(recorded.lsf(), "lsf.queues")
    assert [(one["state"], one["enabled"], one["default"]) for one in (normal, short, owners)] == [
        ("up", True, True),
        ("stopped", True, False),
        ("closed", False, False),
    ]
    # 90 minutes stand beside the limit of CPU time; the 10 minutes are the default, not the limit.
    assert [one["max_walltime"] for one in (normal, short, owners)] == [None, 5400, 86400]
    assert short["limits"]["MAX"] == "50" and short["limits"]["USERS"] == "eda_users/ user1"
    system = recorded.lsf()
    system.commands["bparams",] = Ran((), 1, "", "batch system not responding")
    assert {one["default"] for one in call(system, "lsf.queues")} == {None}


def test_a_limit_that_can_not_be_read_is_never_no_limit():
    text = recorded.text("lsf-10.1/queues.txt").replace("20.0 min of hostA        90.0 min of hostA", "90 somethings")
    normal, short, _ = read_queues(text, None)
    assert normal.state == "up" and short.state == "unread" and "RUNLIMIT" in short.reason


def test_the_jobs_of_10():
    first, second, held, waiting = call(recorded.lsf(), "lsf.jobs")
    assert (first["max_walltime"], first["hosts"], first["nodes"]) == (600, "tbi-cn019", 1)
    assert (second["max_walltime"], second["cores"], second["nodes"]) == (86400, 43, 2)
    assert second["started"] == "May 28 12:46"
    assert (held["state"], held["reason"]) == ("held", "Job was suspended by the user while pending;")
    assert (waiting["id"], waiting["state"], waiting["cores"]) == ("221[3]", "pending", 4)
    assert call(recorded.lsf(), "lsf.depth") == {"pending": 2, "running": 2, "pending_cores": 5}
    assert call(recorded.lsf(), "lsf.job", id="22005")["state"] == "running"


def test_the_jobs_of_9():
    found = call(recorded.lsf_9(), "lsf.jobs")
    assert [(job["id"], job["state"], job["name"]) for job in found] == [
        ("811659814", "pending", "run 0E0078 a"),
        ("811659815", "pending", "run_76.sh"),
        ("9025068", "unread", ""),
        ("9958620", "running", "bash"),
        ("960417", "running", "*-125_154)"),
    ]
    assert (found[-1]["cores"], found[-1]["hosts"]) == (3, "cn[01-02]")


def test_no_job_is_told_so_and_no_answer_is_no_empty_list():
    system = recorded.lsf()
    question = ("bjobs", "-u", "all", "-o", recorded.LSF_JOB, "-json")
    for code in (0, 255):
        system.commands[question] = Ran((), code, "", "No unfinished job found\n")
        assert call(system, "lsf.jobs") == []
    system.commands[question] = Ran((), 255, "", "LSF is down. Please wait ...\n")
    with pytest.raises(CommandFailed, match="LSF is down"):
        call(system, "lsf.jobs")
    system.commands[question] = '{"COMMAND":"bjobs","JOBS":0}'
    with pytest.raises(OutputError, match="a list of objects expected"):
        call(system, "lsf.jobs")
    system.commands[question] = 'Cannot connect to LSF. Please wait ...\n{"COMMAND":"bjobs","RECORDS":[{"JOBID":"1"}]}'
    [job] = call(system, "lsf.jobs")
    assert (job["state"], job["reason"]) == ("unread", "bjobs -json: 1: JOBID or STAT is missing")


def test_a_job_that_is_not_there():
    system = recorded.lsf()
    system.commands["bjobs", "-a", "-o", recorded.LSF_JOB, "-json", "9"] = (
        '{"COMMAND":"bjobs","JOBS":1,"RECORDS":[{"JOBID":"9","ERROR":"Job <9> is not found"}]}'
    )
    with pytest.raises(OutputError, match="Job <9> is not found"):
        call(system, "lsf.job", id="9")


@pytest.mark.parametrize(("text", "seconds"), [("", None), ("-", None), ("60.0 min", 3600), ("1:00:00", 3600)])
def test_limits_of_jobs(text, seconds):
    assert read_job({"JOBID": "1", "STAT": "PEND", "RUNTIMELIMIT": text}).max_walltime == seconds


def test_no_table():
    with pytest.raises(OutputError, match="a head with JOBID"):
        read_job_table("bjobs: something\n")


@pytest.mark.parametrize("text", ["-5", "-0.5 min", "9" * 30, "nan", "inf"])
def test_a_limit_below_zero_or_beyond_all_time_is_refused(text):
    with pytest.raises(ValueError):
        read_job({"JOBID": "1", "STAT": "RUN", "RUNTIMELIMIT": text})
