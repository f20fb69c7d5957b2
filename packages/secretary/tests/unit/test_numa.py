"""NUMA nodes, processors and memory of machines whose files have the shape that the kernel documents."""

from __future__ import annotations

import pytest
from recorded import hardware as recorded

from resource_secretary import Secretary
from resource_secretary.errors import SecretaryError
from resource_secretary.result import Absent
from resource_secretary.testing import RecordedSystem

kB = 1024


def numa(system):
    return Secretary(system=system).detect(name="numa")["numa"].metadata


def test_what_affinity_and_control_group_leave_of_each_node():
    found = numa(recorded.numa())
    first, second, third = found["nodes"]
    assert (first["cpus"], first["threads"], first["allowed_cpus"], first["allowed_threads"]) == (
        *("0-3,8-11", 8),
        "2-3,8-11",
        6,
    )
    assert (second["allowed_cpus"], second["allowed_threads"]) == ("", 0)  # affinity has them, the cpuset has not
    assert [node["memory_allowed"] for node in found["nodes"]] == [True, False, False]
    assert (third["cpus"], third["threads"], third["memory"]) == ("", 0, 65536000 * kB)
    assert first["distances"] == [10, 21, 21]
    assert (found["allowed_cpus"], found["allowed_memory_nodes"]) == ("2-3,8-11", "0")
    assert (found["cpuset_cpus"], found["cpuset_memory_nodes"], found["cpuset_source"]) == (
        "0-3,8-11",
        "0",
        "cgroup v2",
    )


def test_devices_near_each_node():
    first, second, _ = numa(recorded.numa())["nodes"]
    assert first["devices"] == [{"kind": "network", "bus": "0000:1a:00.0", "names": ["mlx5_0", "ib0"]}]
    assert second["devices"] == [{"kind": "gpu", "bus": "0000:41:00.0", "names": []}]


def test_free_memory_of_each_node():
    rows = Secretary(system=recorded.numa()).call("numa.free").result["items"]
    assert [row["free"] for row in rows] == [60000000 * kB] * 3
    assert rows[0]["available"] == 61500000 * kB and rows[0]["memory_allowed"]


def test_nodes_that_have_not_the_memory_of_the_host():
    system = recorded.numa()
    system.files["/proc/meminfo"] = f"MemTotal: {3 * 65536000} kB"
    assert numa(system)["notice"] == ""
    system.files["/proc/meminfo"] = "MemTotal: 999999999 kB"
    assert numa(system)["notice"].startswith("the nodes together have 201326592000 bytes of memory")


def test_the_cpuset_of_version_1():
    system = recorded.numa()
    system.files |= {
        "/proc/self/cgroup": "3:cpuset:/job\n0::/",
        "/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset",
        "/sys/fs/cgroup/cpuset/job/cpuset.effective_cpus": "4-5",
        "/sys/fs/cgroup/cpuset/job/cpuset.effective_mems": "1",
    }
    found = numa(system)
    assert (found["allowed_cpus"], found["allowed_memory_nodes"], found["cpuset_source"]) == ("4-5", "1", "cgroup v1")


def test_without_a_cpuset_affinity_and_the_kernel_tell():
    system = recorded.numa()
    for name in ("/proc/self/cgroup", "/proc/self/mountinfo"):
        del system.files[name]
    found = numa(system)
    assert (found["allowed_cpus"], found["allowed_memory_nodes"]) == ("2-15", "0-1")
    assert (found["cpuset_cpus"], found["cpuset_source"]) == (None, "none")
    del system.files["/proc/self/status"]
    found = numa(system)
    assert found["allowed_memory_nodes"] is None and found["nodes"][0]["memory_allowed"] is None


def test_a_group_without_the_controller_has_that_of_the_one_above():
    system = recorded.numa()
    system.files |= {"/proc/self/cgroup": "0::/job/step", "/sys/fs/cgroup/job/cpuset.cpus.effective": "0-1"}
    assert numa(system)["cpuset_cpus"] == "0-1"


def test_no_nodes_and_nonsense():
    assert Secretary(system=RecordedSystem()).detect(name="numa")["numa"].result == Absent(
        "NUMA nodes in /sys/devices/system/node"
    )
    for path, value in (("node0/cpulist", "0-x"), ("node1/distance", "10 -1")):
        system = recorded.numa()
        system.files[f"/sys/devices/system/node/{path}"] = value
        result = Secretary(system=system).detect(name="numa")["numa"].result
        assert result.state == "unreachable" and path in result.reason


def cpu(host, cpuinfo):
    host.files["/proc/cpuinfo"] = cpuinfo
    return Secretary(system=host).detect(name="cpu")["cpu"].metadata


@pytest.mark.parametrize(
    ("cpuinfo", "vendor", "virtual", "flags"),
    [
        (
            "processor: 0\nvendor_id\t: GenuineIntel\nflags\t: fpu sse4_2 avx512f amx_tile amx_bf16 smep hypervisor\n",
            *("Intel", True, ["sse4_2", "avx512f", "amx_tile", "amx_bf16"]),
        ),
        ("vendor_id\t: AuthenticAMD\nflags\t: avx2 sha_ni\n\nvendor_id : other", "AMD", False, ["avx2", "sha_ni"]),
        (
            "processor\t: 0\nFeatures\t: fp asimd sve sve2 svebf16 i8mm\nCPU implementer\t: 0x4e\n",
            *("NVIDIA", None, ["asimd", "sve", "sve2", "svebf16", "i8mm"]),
        ),
        ("CPU implementer : 0x77\nFeatures : fp", "0x77", None, []),
        ("", None, None, []),
    ],
)
def test_vendor_and_flags(host, cpuinfo, vendor, virtual, flags):
    found = cpu(host, cpuinfo)
    assert (found["vendor"], found["virtual"], found["flags"]) == (vendor, virtual, flags)


def test_clock_and_threads_of_a_core(host, topology):
    folder = "/sys/devices/system/cpu/cpu0/cpufreq"
    host.files |= {f"{folder}/base_frequency": "2400000", f"{folder}/cpuinfo_max_freq": "3700000"}
    found = cpu(host, "")
    assert (found["base_mhz"], found["max_mhz"], found["smt"]) == (2400, 3700, True)
    host.files |= topology(2, 8, 1)
    assert cpu(host, "")["smt"] is False


def test_caches(host):
    for number in range(16):
        folder = f"/sys/devices/system/cpu/cpu{number}/cache"
        pair, half = f"{number % 8},{number % 8 + 8}", "0-3,8-11" if number % 8 < 4 else "4-7,12-15"
        for index, row in enumerate(
            (("1", "Data", "48K", pair), ("2", "Unified", "2048K", pair), ("3", "Unified", "1M", half))
        ):
            names = ("level", "type", "size", "shared_cpu_list")
            host.files |= {f"{folder}/index{index}/{name}": value for name, value in zip(names, row, strict=True)}
    rows = Secretary(system=host).call("cpu.caches").result["items"]
    assert [(row["level"], row["size"], row["count"], row["threads"]) for row in rows] == [
        (1, 48 * kB, 8, 2),
        (2, 2048 * kB, 8, 2),
        (3, 1024 * kB, 2, 8),
    ]


def test_huge_pages_and_swap(host):
    folder = "/sys/kernel/mm/hugepages/hugepages-2048kB"
    counts = {"nr_hugepages": "100", "free_hugepages": "80", "resv_hugepages": "30"}
    host.files |= {f"{folder}/{name}": value for name, value in counts.items()}
    host.files["/proc/meminfo"] = "MemTotal:  100 kB\nSwapTotal:       2097148 kB\nSwapFree:        1048576 kB"
    host.files["/sys/kernel/mm/transparent_hugepage/enabled"] = "always [madvise] never"
    found = Secretary(system=host).call("memory.pages").result
    assert found["huge"] == [{"size": 2 * 2**20, "total": 100, "free": 50}]  # 30 of the free ones are promised
    assert (found["transparent"], found["swap_total"], found["swap_free"]) == ("madvise", 2097148 * kB, 2**30)
    assert Secretary(system=host).detect(name="memory")["memory"].metadata["swap"] == 2097148 * kB


def test_what_the_kernel_does_not_tell_is_unknown(host):
    found = Secretary(system=host).call("memory.pages").result
    assert found == {"huge": [], "transparent": None, "swap_total": None, "swap_free": None}


def test_tools_of_an_absent_provider_are_an_error():
    with pytest.raises(SecretaryError, match="numa is not active here"):
        Secretary(system=RecordedSystem()).call("numa.nodes")
