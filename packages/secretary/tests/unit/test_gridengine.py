"""Grid Engine, from recordings of 8.1.9 and in the shapes of 6.2 and Univa 8.6."""

from __future__ import annotations

import pytest
from recorded import pbs_family as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload._gridengine_text import read_queue_names, read_queues
from resource_secretary.providers.workload._gridengine_xml import job_state, read_detail, read_jobs, read_nodes
from resource_secretary.run import Ran


def call(system, tool, **arguments):
    result = Secretary(system=system).call(tool, arguments).result
    return result.get("items", result)


def test_the_probe():
    metadata = Secretary(system=recorded.gridengine()).detect(name="gridengine")["gridengine"].metadata
    assert metadata == {
        "product": "SGE",
        "version": "8.1.9",
        "root": "/opt/sge",
        "cell": "default",
        "master": "localhost",
        "queues": ["all.q", "off.q", "short.q"],
    }


@pytest.mark.parametrize(
    ("first", "product", "version"),
    [
        ("SGE 8.1.9", "SGE", "8.1.9"),
        ("GE 6.2u5", "GE", "6.2u5"),
        ("UGE 8.6.6", "UGE", "8.6.6"),
        ("OGS/GE 2011.11p1", "OGS/GE", "2011.11p1"),
        ("AGE 8.9.0", "AGE", "8.9.0"),
        ("Altair Grid Engine 2024.1.0 (8.9.0)", "Altair Grid Engine", "2024.1.0"),
    ],
)
def test_versions(first, product, version):
    said = f"all.q\nlong.q\n{first}\nusage: qconf [options]\n"
    assert read_queue_names(said) == (("all.q", "long.q"), product, version)
    assert read_queue_names(f"{first}\nusage: qconf [options]\n")[0] == ()


def test_a_qstat_of_something_else():
    with pytest.raises(OutputError, match="its format is not known, it begins: 'usage: qstat"):
        read_queue_names("usage: qstat [-f]")


def test_the_queues():
    queues = {queue["name"]: queue for queue in call(recorded.gridengine(), "gridengine.queues")}
    assert [(queue["state"], queue["enabled"]) for queue in queues.values()] == [
        ("up", True),
        ("up", True),
        ("down", False),
    ]
    assert {name: queue["max_walltime"] for name, queue in queues.items()} == {
        "all.q": None,
        "short.q": 3600,  # the soft limit is lower than the hard one
        "off.q": 90,
    }
    assert queues["all.q"]["limits"]["slots_available"] == "2" and queues["short.q"]["limits"]["h_vmem"] == "2G"


@pytest.mark.parametrize(
    ("setting", "seconds"),
    [
        ("02:00:00", 7200),
        ("1:30:00,[node1=2:00:00],[@slow=0:45:00]", 7200),  # where it may run longest
        ("1:30:00,[node1=INFINITY]", None),
        ("INFINITY", None),
        ("3600", 3600),
    ],
)
def test_limits_that_some_hosts_have_otherwise(setting, seconds):
    [queue] = read_queues(f"qname a.q\nh_rt {setting}\ns_rt INFINITY\n", {}, "x")
    assert (queue.max_walltime, queue.state) == (seconds, "unknown")


def test_a_limit_that_can_not_be_read_is_never_no_limit():
    bad, good = read_queues("qname a.q\nh_rt soon\nqname b.q\nh_rt 60\n", {}, "qconf -sq")
    assert bad.state == "unread" and "'soon' is no time" in bad.reason and good.max_walltime == 60


def test_the_parallel_environments():
    found = {one["name"]: one for one in call(recorded.gridengine(), "gridengine.parallel_environments")}
    assert [(one["allocation_rule"], one["placement"], one["per_host"], one["slots"]) for one in found.values()] == [
        ("$round_robin", "round-robin", None, 64),
        ("$pe_slots", "one-host", None, 999),
        ("2", "fixed", 2, 8),
    ]
    # short.q has `two,[localhost=smp two]`
    assert {name: one["queues"] for name, one in found.items()} == {
        "mpi": ["all.q"],
        "smp": ["all.q", "short.q"],
        "two": ["short.q"],
    }
    system = recorded.gridengine()
    system.commands["qconf", "-spl"] = Ran((), 1, "", "no parallel environment defined")
    assert call(system, "gridengine.parallel_environments") == []
    system.commands["qconf", "-spl"] = Ran((), 1, "", "error: commlib error")
    with pytest.raises(CommandFailed, match="commlib error"):
        call(system, "gridengine.parallel_environments")


def test_the_complexes():
    found = {one["name"]: one for one in call(recorded.gridengine(), "gridengine.complexes", limit=1000)}
    assert found["gpu"] == {
        "name": "gpu",
        "shortcut": "gpu",
        "type": "INT",
        "relation": "<=",
        "requestable": "YES",
        "consumable": "YES",
        "default": "0",
        "urgency": "0",
    }


def test_the_hosts():
    [node] = call(recorded.gridengine(), "gridengine.nodes")
    # all.q has 4 slots, short.q 2, off.q is disabled; 2 of all.q, both GPUs for the two slots, and 1 of 3 GB are taken.
    assert (node["cores"], node["free_cores"], node["gpus"], node["free_gpus"]) == (4, 2, {"": 2}, {"": 0})
    assert node["free_memory"] == 2 * 2**30 and node["state"] == "up" and node["raw_state"] == "off.q:d"


def test_hosts_with_threads_and_a_limit_of_their_own():
    first, second, third = read_nodes(recorded.text("gridengine-uge-8.6.6/qhost.xml"), "x")
    # Two queues of 16 slots on 8 cores of two threads, 6 slots in use, gpu.q in alarm, 10 left by the host's limit.
    assert (first.cores, first.threads, first.free_cores, first.free_threads) == (8, 16, 5, 10)
    assert (first.memory, first.free_memory) == (32 * 2**30, 20.5 * 2**30)
    assert (second.state, second.free_cores, second.cores) == ("drained", 0, 4)
    assert (third.state, third.free_cores, third.memory) == ("down", 0, None)


def test_gpus_whose_number_is_not_told_are_unknown():
    system = recorded.gridengine()
    system.commands["qconf", "-se", "localhost"] = "hostname localhost\ncomplex_values h_vmem=3G\n"
    text = recorded.text("gridengine-8.1.9/qhost.xml").replace("<resourcevalue name='gpu' dominance='hc'>0.0", "@")
    system.commands["qhost", "-F", recorded.QHOST, "-q", "-xml"] = text.replace(
        "@", "<resourcevalue name='gpu' dominance='hc'>1.0"
    )
    [node] = call(system, "gridengine.nodes")
    assert node["gpus"] is None and node["free_gpus"] is None and "not told" in node["reason"]


def test_slots_of_queues_that_take_no_job_now_are_not_free():
    def queue(name: str, used: int, slots: int, state: str) -> str:
        values = {"slots_used": used, "slots": slots, "slots_resv": 0, "state_string": state}
        inner = "".join(f"<queuevalue name='{key}'>{value}</queuevalue>" for key, value in values.items())
        return f"<queue name='{name}'>{inner}</queue>"

    queues = queue("a.q", 1, 3, "") + queue("b.q", 0, 4, "d") + queue("c.q", 0, 2, "a")
    [node] = read_nodes(f"<qhost><host name='n'><hostvalue name='num_proc'>8</hostvalue>{queues}</host></qhost>", "x")
    assert (node.cores, node.free_cores, node.state, node.raw_state) == (8, 2, "up", "b.q:d c.q:a")


def test_consumables_of_the_whole_cluster_are_no_gpus_of_a_host():
    text = recorded.text("gridengine-uge-8.6.6/qhost.xml")
    assert read_nodes(text, "x")[0].gpus == {"": 1}
    assert read_nodes(text.replace('dominance="hc">1.0', 'dominance="gc">1.0'), "x")[0].gpus == {}
    assert read_nodes(text.replace(">1.000000<", ">1.000000 (0)<"), "x")[0].gpus == {"": 1}  # a resource map
    assert read_nodes(text.replace(">1.000000<", ">-1.000000<"), "x")[0].gpus == {"": 0}


def test_the_inventory():
    [group] = Secretary(system=recorded.gridengine()).offer("gridengine").groups
    assert str(group.total).startswith("cores=4 threads=4 memory=") and str(group.total).endswith(" gpus=2")
    assert str(group.free) == "cores=2 threads=2 memory=2GB gpus=0"


def test_the_jobs():
    jobs = {job["id"]: job for job in call(recorded.gridengine(), "gridengine.jobs")}
    assert {id: job["state"] for id, job in jobs.items()} == {
        "1": "running",
        "4": "pending",
        "5": "pending",
        "6": "pending",
        "9": "pending",
        "10": "held",
        "3": "held",
        "8": "held",
    }
    assert (jobs["1"]["queue"], jobs["1"]["hosts"], jobs["1"]["cores"]) == ("all.q", "localhost", 2)
    assert (jobs["3"]["tasks"], jobs["8"]["max_walltime"], jobs["10"]["reason"]) == (
        3,
        600,
        "in error; qstat -j tells why",
    )
    # 60 slots, three tasks of an array, and five jobs of one slot
    assert call(recorded.gridengine(), "gridengine.depth") == {"pending": 9, "running": 1, "pending_cores": 68}


def test_a_job_tells_why_it_waits():
    job = call(recorded.gridengine(), "gridengine.job", id="4")
    assert (job["parallel_environment"], job["slots"], job["state"]) == ("mpi", [60, 60], "pending")
    assert 'cannot run in PE "mpi" because it only offers 2 slots' in job["reasons"]
    with pytest.raises(OutputError, match="no such job waits or runs"):
        call(recorded.gridengine(), "gridengine.job", id="999")


def test_a_job_of_univa():
    job = read_detail(recorded.text("gridengine-uge-8.6.6/job.xml"), "748172", {}, "x")
    assert (job.requests, job.queues, job.slots) == ({"h_rt": "14400"}, ("ondemand",), (11, 11))
    assert job.submitted == "2020-06-23T16:06:49Z"  # it counts milliseconds
    with pytest.raises(OutputError, match="no such job"):
        read_detail(recorded.text("gridengine-6.2/job-unknown.xml"), "1", {}, "x")


def test_the_jobs_of_6():
    jobs = read_jobs(recorded.text("gridengine-6.2/full.xml"), "x")
    assert [(job.id, job.state, job.tasks) for job in jobs] == [
        ("88", "running", 1),
        ("1045", "pending", 1),
        ("1046", "pending", 5),
        ("44", "held", 1),
    ]
    assert {job.max_walltime for job in jobs} == {360}


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("r", "running"),
        ("t", "running"),
        ("Rr", "running"),
        ("dr", "running"),
        ("s", "suspended"),
        ("S", "suspended"),
        ("Ts", "suspended"),
        ("qw", "pending"),
        ("Rq", "pending"),
        ("hqw", "held"),
        ("hRwq", "held"),
        ("Eqw", "held"),
        ("Ehqw", "held"),
        ("z", "finished"),
        ("", "unknown"),
    ],
)
def test_states_of_jobs(raw, state):
    assert job_state(raw) == state


def test_a_job_that_can_not_be_read_loses_only_itself():
    text = recorded.text("gridengine-8.1.9/jobs.xml").replace("<slots>60</slots>", "<slots>many</slots>")
    jobs = {job.id: job for job in read_jobs(text, "qstat -xml")}
    assert jobs["4"].state == "unread" and "'many' is no whole number" in jobs["4"].reason
    assert jobs["1"].state == "running" and len(jobs) == 8
    with pytest.raises(OutputError, match="many"):
        system = recorded.gridengine()
        system.commands["qstat", "-xml", "-r", "-s", "prs", "-u", "*"] = text
        call(system, "gridengine.depth")


def test_another_document():
    for text in ("", "<a", "<job_info/>", "<!DOCTYPE a><qhost/>", "<?xml version='1.0'?><qhost><host name='a'"):
        with pytest.raises(OutputError, match="its format is not known"):
            read_nodes(text, "qhost -xml")
