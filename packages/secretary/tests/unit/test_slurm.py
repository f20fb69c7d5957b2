"""Slurm, from recordings of 22.05.8 and from records written by hand where a shape is all that matters."""

from __future__ import annotations

import pytest

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload._slurm_text import read_nodes, read_partitions
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem

NODES = ("scontrol", "--details", "--oneliner", "show", "nodes")


def record(**fields: object) -> str:
    usual = {"NodeName": "n1", "CPUAlloc": 0, "CPUTot": 8, "RealMemory": 1000, "AllocMem": 0, "Sockets": 2}
    usual |= {"CoresPerSocket": 2, "ThreadsPerCore": 2, "State": "IDLE", "Gres": "(null)"}
    return " ".join(f"{key}={value}" for key, value in (usual | fields).items())


def one(**fields: object):
    [node] = read_nodes(record(**fields))
    return node


def test_the_recorded_nodes(slurm):
    page = Secretary(system=slurm).call("slurm.nodes").result
    nodes = {node["name"]: node for node in page["items"]}
    assert list(nodes) == ["big01", "big02", "g1", "n1", "n2"] and page["total"] == 5
    assert (nodes["big01"]["cores"], nodes["big01"]["threads"], nodes["big01"]["memory"]) == (64, 128, 256000 * 2**20)
    assert (nodes["big01"]["state"], nodes["big01"]["raw_state"]) == ("down", "DOWN+NOT_RESPONDING")
    assert nodes["big01"]["gpus"] == {"a100": 4}
    assert (nodes["n1"]["state"], nodes["n1"]["cores"]) == ("drained", 2)  # the reason says State=IDLE CPUTot=99
    assert nodes["n1"]["reason"].startswith("disk State=IDLE CPUTot=99 [root@")
    assert nodes["n2"]["free_cores"] == 1 and nodes["n2"]["free_memory"] == 700 * 2**20
    assert nodes["n2"]["partitions"] == ["main", "long"]
    assert nodes["g1"]["gpus"] == {"a100": 2, "h100": 2} and nodes["g1"]["gpus_used"] == {"a100": 1, "h100": 0}


def test_the_nodes_in_a_state(slurm):
    page = Secretary(system=slurm).call("slurm.nodes", {"state": "up", "limit": 1}).result
    assert page["total"] == 2 and [node["name"] for node in page["items"]] == ["g1"]


def test_the_recorded_partitions(slurm):
    found = {row["name"]: row for row in Secretary(system=slurm).call("slurm.partitions").result["items"]}
    assert found["main"]["default"] and found["main"]["max_time"] == 3600 and found["main"]["nodes"] == "n[1-2]"
    assert not found["long"]["default"] and found["long"]["max_time"] is None and found["long"]["node_count"] == 3


def test_the_recorded_cluster_as_an_inventory(slurm):
    inventory = Secretary(system=slurm).offer("slurm")
    lines = [line.split(" | ") for line in inventory.to_text().splitlines()[1:]]
    assert lines == [
        ["hosts=big[01-02] ranks=0-1 state=down", "cores=64 threads=128 memory=250GB gpus=4:a100", "unknown"],
        [
            "hosts=g1 ranks=2 state=up",
            "cores=2 threads=2 memory=1000MB gpus=2:a100,2:h100",
            "cores=1 threads=1 memory=900MB gpus=1:a100,2:h100",
        ],
        ["hosts=n1 ranks=3 state=drained", "cores=2 threads=2 memory=1000MB", "unknown"],
        ["hosts=n2 ranks=4 state=up", "cores=2 threads=2 memory=1000MB", "cores=1 threads=1 memory=700MB"],
    ]


def test_the_controller(slurm, data):
    metadata = Secretary(system=slurm).detect("workload", "slurm")["slurm"].metadata
    assert metadata == {"version": "22.05.8", "controllers": [{"role": "primary", "host": "vm", "state": "UP"}]}
    down = (data / "slurm-22.05.8/ping-down.txt").read_text()
    slurm.commands["scontrol", "ping"] = Ran((), 1, down)
    result = Secretary(system=slurm).detect("workload", "slurm")["slurm"].result
    assert result == Unreachable("scontrol ping", "exit code 1: Slurmctld(primary) at vm is DOWN", 1)


def test_a_client_without_a_server_is_unreachable(slurm, data):
    said = (data / "slurm-22.05.8/ping-unconfigured.stderr.txt").read_text()
    slurm.commands["scontrol", "ping"] = Ran((), 1, "", said)
    result = Secretary(system=slurm).detect("workload", "slurm")["slurm"].result
    assert result.reason.startswith("scontrol ping: exit code 1: scontrol: error: resolve_ctls_from_dns_srv")
    slurm.commands["scontrol", "ping"] = ""
    assert (
        "no controller is up, it said: nothing" in Secretary(system=slurm).detect(name="slurm")["slurm"].result.reason
    )
    slurm.commands["scontrol", "ping"] = "Slurmctld(primary) at a is DOWN\nSlurmctld(backup) at b is UP\n"
    assert Secretary(system=slurm).detect(name="slurm")["slurm"].active
    assert Secretary(system=RecordedSystem()).detect(name="slurm")["slurm"].result == Absent(
        "the command scontrol on PATH"
    )


def test_a_failed_query_is_an_error_never_no_nodes(slurm):
    slurm.commands[NODES] = Ran(
        (), 1, "", "slurm_load_node error: Unable to contact slurm controller (connect failure)"
    )
    with pytest.raises(CommandFailed, match="Unable to contact slurm controller"):
        Secretary(system=slurm).offer("slurm")


@pytest.mark.parametrize("gres", [",", "gpu:4,,", "gpu:4 (S:0)", "gpu:4(S:0", ":4"])
def test_generic_resources_that_cannot_be_read(gres):
    with pytest.raises(OutputError, match="n1: Gres: "):
        one(Gres=gres)


@pytest.mark.parametrize(
    ("total", "used", "free"),
    [
        ("gpu:4", "gpu:(null):1(IDX:0)", "gpus=3"),
        ("gpu:a100:4", "gpu:a100:4(IDX:0-3)", "gpus=0:a100"),
        ("gpu:a100:4", "gpu:1", "gpus=3:a100"),
        ("gpu:a100:2,gpu:h100:2", "gpu:h100:2(IDX:2-3)", "gpus=2:a100,0:h100"),
        ("gpu:a100:2,gpu:h100:2", "gpu:1", None),  # which type is not told
        ("gpu:a100:2", "gpu:a100:3", None),
        ("gpu:a100:2", None, None),
    ],
)
def test_free_gpus(slurm, total, used, free):
    slurm.commands[NODES] = record(Gres=total, **({"GresUsed": used} if used else {}))
    [group] = Secretary(system=slurm).offer("slurm").groups
    assert (free in str(group.free)) if free else group.free is None


def test_cores_and_threads_are_told_apart():
    node = one(CPUAlloc=4)
    assert (node.cores, node.threads, node.free_cores, node.free_threads) == (4, 8, 2, 4)
    assert one(CPUAlloc=3).free_cores == 2  # a core that is half in use is not free
    node = one(CPUTot=4, CPUAlloc=1)  # this site counts cores
    assert (node.cores, node.threads, node.free_cores, node.free_threads) == (4, 8, 3, 6)


def test_what_is_kept_for_the_system_is_not_offered():
    node = one(CPUEfctv=6, MemSpecLimit=200, CPUAlloc=2, AllocMem=300)
    assert (node.cores, node.threads, node.free_cores) == (3, 6, 2)
    assert (node.memory, node.free_memory) == (800 * 2**20, 500 * 2**20)
    assert one(MemSpecLimit="N/A").memory == 1000 * 2**20


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"CPUTot": 7}, "CPUTot=7 is neither its 4 cores nor its 8 threads"),
        ({"CPUAlloc": 9}, "do not add up"),
        ({"CPUEfctv": 9}, "do not add up"),
        ({"CPUTot": "-8"}, "CPUTot must be a whole number, not '-8'"),
        ({"RealMemory": "1e3"}, "RealMemory must be a whole number"),
        ({"RealMemory": "9" * 40}, "RealMemory must be a whole number"),
        ({"Sockets": 0}, "neither its 0 cores"),
        ({"MemSpecLimit": 2000}, "MemSpecLimit is more"),
        ({"State": ""}, "State is missing"),
        ({"NodeName": "--x"}, "line 1: NodeName=... expected"),
        ({"NodeName": ""}, "line 1: NodeName=... expected"),
    ],
)
def test_a_record_that_does_not_add_up_is_an_error(fields, message):
    with pytest.raises(OutputError) as caught:
        one(**fields)
    assert message in str(caught.value)


def test_a_record_that_cannot_be_read_loses_only_itself(slurm):
    lines = [record(), record(NodeName="n2", CPUTot=7), "slurm_load_node: something else", record(NodeName="n3")]
    slurm.commands[NODES] = "\n".join([*lines, record()])
    nodes = read_nodes(slurm.commands[NODES])
    assert [(node.name, bool(node.unread)) for node in nodes] == [
        ("n1", False), ("n2", True), ("line 3", True), ("n3", False), ("n1", True)
    ]  # fmt: skip
    assert nodes[1].cores is None and nodes[1].state == "unknown"
    assert nodes[1].unread == "CPUTot=7 is neither its 4 cores nor its 8 threads"
    assert nodes[2].unread.startswith("NodeName=... expected") and nodes[4].unread == "a name occurs twice"
    groups = Secretary(system=slurm).offer("slurm").groups
    assert [(group.hosts, group.state, str(group.total)) for group in groups][1:] == [(("n2", "n1"), "unknown", "")]
    rows = Secretary(system=slurm).call("slurm.summary", {"by": "cluster"}).result["items"]
    assert (rows[0]["nodes"], rows[0]["up"], rows[0]["unread"], rows[0]["cores"]) == (5, 2, 3, 8)


def test_an_unknown_format_keeps_what_it_says():
    with pytest.raises(OutputError, match="nothing of it can be read, it says: <nodes>"):
        read_nodes("<nodes>\n<node name='n1'/>\n</nodes>")
    with pytest.raises(OutputError, match="it said nothing"):  # where there are none scontrol says so
        read_nodes("\n")


def test_where_the_text_cannot_be_read_the_json_is(slurm, data):
    slurm.commands[NODES] = "a new format"
    with pytest.raises(OutputError, match="a new format"):
        Secretary(system=slurm).call("slurm.nodes")
    slurm.commands["scontrol", "--json", "show", "nodes"] = (data / "slurm-24.05-docs/nodes.json").read_text()
    [node] = Secretary(system=slurm).call("slurm.nodes").result["items"]
    assert (node["cores"], node["threads"], node["gpus"], node["state"]) == (16, 32, {"fake1": 1, "fake2": 1}, "up")


def test_the_json_of_22_05_says_what_its_text_says(data):
    from resource_secretary.providers.workload._slurm_json import read_nodes_json

    nodes = read_nodes_json((data / "slurm-22.05.8/nodes.json").read_text())
    assert [(node.name, node.cores, node.threads, node.free_cores, node.state) for node in nodes] == [
        ("n1", 2, 2, 1, "up"), ("n2", 2, 2, 1, "up"), ("n3", 8, 16, 8, "drained")
    ]  # fmt: skip
    assert nodes[1].gpus == {"a100": 2} and nodes[1].gpus_used == {"a100": 1}
    assert nodes[0].free_memory == 700 * 2**20 and nodes[2].raw_state.upper() == "UNKNOWN+DRAIN"


def test_nodes_of_20_11(data):
    [node] = read_nodes((data / "slurm-20.11.8/nodes.txt").read_text())
    assert (node.cores, node.threads, node.free_cores, node.free_threads) == (40, 80, 26, 52)
    assert node.gpus == {"rtx8000": 8} and node.gpus_used is None and node.features == ("x86_64", "turing", "48gb")


def test_ten_thousand_nodes_by_partition(slurm):
    slurm.commands[NODES] = "\n".join(
        record(NodeName=f"n{i}", Partitions="a,b" if i % 2 else "a", Gres="gpu:h100:4", GresUsed="gpu:h100:1(IDX:0)")
        for i in range(10_000)
    )
    secretary = Secretary(system=slurm)
    [a, b] = secretary.call("slurm.summary").result["items"]
    assert (a["name"], a["nodes"], a["free_gpus"]) == ("a", 10_000, {"h100": 30_000}) and b["nodes"] == 5000
    page = secretary.call("slurm.nodes")
    assert page.result["total"] == 10_000 and page.result["next"] and "cursor=" in page.notice
    [group] = secretary.offer("slurm").groups
    assert len(group.hosts) == 10_000


def test_nodes_of_which_not_the_same_is_free_are_not_alike(slurm):
    slurm.commands[NODES] = "\n".join(
        record(NodeName=f"n{i}", CPUAlloc=alloc, AllocMem=memory, State=state)
        for i, (alloc, memory, state) in enumerate(
            [(0, 0, "IDLE"), (2, 0, "MIXED"), (0, 100, "MIXED"), (2, 0, "MIXED"), (2, 0, "DOWN"), (0, 0, "DOWN")]
        )
    )
    groups = Secretary(system=slurm).offer("slurm").groups
    assert [group.hosts for group in groups] == [("n0",), ("n1", "n3"), ("n2",), ("n4", "n5")]
    assert [str(group.free) for group in groups[1:3]] == [
        "cores=3 threads=6 memory=1000MB",
        "cores=4 threads=8 memory=900MB",
    ]


def test_gpus_with_and_without_a_type_on_one_node(slurm):
    slurm.commands[NODES] = record(Gres="gpu:2,gpu:a100:1", GresUsed="gpu:0,gpu:a100:0")
    [group] = Secretary(system=slurm).offer("slurm").groups
    assert "gpus=1:a100,2:untyped" in str(group.free)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1-00:00:00", 86400), ("00:30:00", 1800), ("4:00", 240), ("UNLIMITED", None)]
)
def test_times(text, seconds):
    line = f"PartitionName=p State=UP Default=NO MaxTime={text} TotalNodes=1 TotalCPUs=2 Nodes=(null)"
    [row] = read_partitions(line)
    assert (row.max_time, row.nodes, row.unread) == (seconds, "", "")


@pytest.mark.parametrize("text", ["", "soon", "NONE", "4:60", "9" * 20])
def test_a_time_that_cannot_be_read_is_never_unlimited(text):
    with pytest.raises(OutputError, match="MaxTime"):
        read_partitions(f"PartitionName=p State=UP Default=NO MaxTime={text} TotalNodes=1 TotalCPUs=2")


def test_partitions_of_another_site(data):
    rows = {row.name: row for row in read_partitions((data / "slurm-osc/partitions.txt").read_text())}
    assert (rows["batch"].max_time, rows["batch"].default_time, rows["batch"].state) == (604800, 3600, "INACTIVE")
    assert rows["batch"].accounts == "ALL but pcon0003,pcon0014" and rows["batch"].gpus == {"p100": 154}
    debug = rows["gpudebug"]
    assert (debug.max_nodes, debug.max_cpus_per_node, debug.default_memory, debug.memory_per) == (
        2, 28, 4315 * 2**20, "cpu"
    )  # fmt: skip
    assert rows["dynamic"].max_time is None and rows["dynamic"].memory is None and rows["dynamic"].cpus == 0
