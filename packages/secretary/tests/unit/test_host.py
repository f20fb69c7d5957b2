"""Processors, memory and networks of machines whose files have the shape that the kernel documents."""

from __future__ import annotations

import os
import platform

import pytest
from resources.documents import Inventory

from resource_secretary import Secretary
from resource_secretary.cgroup import Limit, cpu_quota, memory_limit
from resource_secretary.errors import OutputError, SecretaryError
from resource_secretary.result import Absent
from resource_secretary.testing import RecordedSystem

GiB = 2**30


def cpu(system):
    return Secretary(system=system).detect("hardware", "cpu")["cpu"].metadata


def test_total_affinity_and_quota_are_told_apart(host):
    facts = cpu(host)
    assert (facts["sockets"], facts["cores"], facts["threads"]) == (2, 8, 16)
    assert (facts["allowed_cores"], facts["allowed_threads"]) == (8, 16)
    assert (facts["quota"], facts["quota_source"]) == (2.5, "cgroup v2")
    assert (facts["usable_cores"], facts["usable_threads"]) == (2, 2)
    assert facts["model"] == "Recorded CPU @ 2 GHz"


@pytest.mark.parametrize(
    ("affinity", "cores", "threads"),
    [({0, 8}, 1, 2), ({0, 1, 2, 3}, 4, 4), ({0, 1, 9}, 2, 3), (set(range(16)), 8, 16), ({99}, 0, 0)],
)
def test_a_core_is_allowed_where_one_of_its_threads_is(topology, affinity, cores, threads):
    facts = cpu(RecordedSystem(files=topology(2, 4, 2), affinity=frozenset(affinity)))
    assert (facts["allowed_cores"], facts["allowed_threads"]) == (cores, threads)
    assert (facts["usable_cores"], facts["quota"], facts["quota_source"]) == (cores, None, "none")


def test_128_cores_and_256_threads_are_different_things(topology):
    facts = cpu(RecordedSystem(files=topology(2, 64, 2), affinity=frozenset(range(256))))
    assert (facts["sockets"], facts["usable_cores"], facts["usable_threads"]) == (2, 128, 256)


def test_an_older_kernel_names_the_siblings_otherwise(topology):
    files = {path.replace("core_cpus_list", "thread_siblings_list"): text for path, text in topology(1, 2, 2).items()}
    assert cpu(RecordedSystem(files=files, affinity=frozenset({0})))["cores"] == 2


def test_without_a_topology_only_threads_are_known():
    system = RecordedSystem(
        files={"/sys/devices/system/cpu/online": "0-3"}, affinity=frozenset(range(4)), memory=(GiB, GiB)
    )
    facts = cpu(system)
    assert (facts["cores"], facts["usable_cores"], facts["usable_threads"]) == (None, None, 4)
    [group] = Secretary(system=system).offer().groups
    assert str(group.total) == "threads=4 memory=1GB"


def test_an_unreadable_cpu_list_is_no_crash():
    result = (
        Secretary(system=RecordedSystem(files={"/sys/devices/system/cpu/online": "0-x"}))
        .detect(name="cpu")["cpu"]
        .result
    )
    assert result.state == "unreachable" and "/sys/devices/system/cpu/online" in result.reason


def test_quota_of_version_1(cgroups):
    folder = "/sys/fs/cgroup/cpu,cpuacct"
    system = RecordedSystem(
        files={**cgroups[1], f"{folder}/cpu.cfs_quota_us": "150000", f"{folder}/cpu.cfs_period_us": "100000"}
    )
    assert cpu_quota(system) == Limit(1.5, "cgroup v1")
    system.files[f"{folder}/cpu.cfs_quota_us"] = "-1"
    assert cpu_quota(system) == Limit()


def test_the_least_limit_of_all_groups_above_holds(cgroups):
    top = "/sys/fs/cgroup"
    system = RecordedSystem(
        files={
            **cgroups[2],
            f"{top}/user.slice/job/memory.max": str(4 * GiB),
            f"{top}/user.slice/job/memory.current": str(GiB),
            f"{top}/user.slice/memory.max": str(5 * GiB),
            f"{top}/user.slice/memory.current": str(4 * GiB),
            f"{top}/user.slice/memory.stat": f"anon 1\nfile 2\ninactive_file {GiB}",
            f"{top}/user.slice/cpu.max": "400000 100000",
            f"{top}/user.slice/job/cpu.max": "max 100000",
        }
    )
    assert memory_limit(system) == Limit(4 * GiB, "cgroup v2", 2 * GiB)
    assert cpu_quota(system) == Limit(4.0, "cgroup v2")
    system.files[f"{top}/user.slice/job/cpu.max"] = "150000 100000"
    assert cpu_quota(system) == Limit(1.5, "cgroup v2")
    system.files[f"{top}/user.slice/cpu.max"] = "50000 100000"
    assert cpu_quota(system) == Limit(0.5, "cgroup v2")


def test_memory_of_version_1_without_a_limit(cgroups):
    folder = "/sys/fs/cgroup/memory"
    system = RecordedSystem(files={**cgroups[1], f"{folder}/memory.limit_in_bytes": "9223372036854771712"})
    assert memory_limit(system) == Limit()
    system.files |= {f"{folder}/memory.limit_in_bytes": str(GiB), f"{folder}/memory.usage_in_bytes": str(2 * GiB)}
    assert memory_limit(system) == Limit(GiB, "cgroup v1", 0)


def test_a_group_outside_of_the_mounted_ones_is_the_mount_itself():
    files = {
        "/proc/self/cgroup": "0::/../../other",
        "/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
        "/sys/fs/cgroup/memory.max": str(GiB),
    }
    assert memory_limit(RecordedSystem(files=files)) == Limit(GiB, "cgroup v2", None)


@pytest.mark.parametrize("junk", ["", "x", ":", "::", "0::", "1:cpu:/a\n0::/b", "0::/\x00"])
def test_odd_cgroup_files_are_no_limit(junk):
    system = RecordedSystem(files={"/proc/self/cgroup": junk, "/proc/self/mountinfo": junk})
    assert cpu_quota(system) == memory_limit(system) == Limit()


def test_memory_is_what_the_control_group_leaves(host):
    secretary = Secretary(system=host)
    assert secretary.detect(name="memory")["memory"].metadata == {
        "total": 8 * GiB,
        "limit": 3 * GiB,
        "limit_source": "cgroup v2",
        "usable": 3 * GiB,
        "swap": None,
        "numa_nodes": None,
    }
    left = 3 * GiB - (GiB - GiB // 2)
    assert secretary.call("memory.free").result == {"available": 6 * GiB, "limit_left": left, "usable": left}


def test_the_offer_of_a_host(host):
    inventory = Secretary(system=host).offer()
    [group] = inventory.groups
    assert (group.hosts, group.ranks, group.state) == (("recorded",), (0,), "up")
    assert str(group.total) == "cores=2 threads=2 memory=3GB" and str(group.free) == "cores=2 threads=2 memory=2560MB"
    assert inventory.observed_on == "recorded" and inventory.observed_at.endswith("Z")
    assert Inventory.from_json(inventory.to_json()) == inventory
    assert Inventory.from_text(inventory.to_text()) == inventory


def test_an_exact_number_of_bytes_stays_exact(host):
    host._memory = (8 * GiB, 123456789)
    [group] = Secretary(system=host).offer().groups
    assert group.free.get("memory").size == 123456789


def test_less_than_one_cpu_is_no_core(host):
    host.files["/sys/fs/cgroup/user.slice/job/cpu.max"] = "50000 100000"
    [group] = Secretary(system=host).offer().groups
    assert group.total.get("cores").N == 0


def test_no_offer_where_the_kernel_tells_nothing():
    with pytest.raises(OutputError, match="the kernel tells of no processors"):
        Secretary(system=RecordedSystem()).offer()


def test_load(host):
    assert Secretary(system=host).call("cpu.load").result == {"one": 0.5, "five": 1.25, "fifteen": 2.0}
    host.files["/proc/loadavg"] = "high"
    with pytest.raises(SecretaryError, match="three numbers expected, not 'high'"):
        Secretary(system=host).call("cpu.load")


def interface(name="eth0", *, virtual=False, **files):
    folder = f"/sys/class/net/{name}"
    given = {"type": "1", "operstate": "up", "speed": "-1", "mtu": "1500"} | files
    place = "virtual" if virtual else "pci0000:00/0000:00:03.0"
    links = {folder: f"../../devices/{place}/net/{name}"}
    if not virtual:
        given["device/vendor"] = "0x1af4"
        links[f"{folder}/device/driver"] = "../../../bus/virtio/drivers/virtio_net"
    return {f"{folder}/{key}": text for key, text in given.items() if text is not None}, links


@pytest.mark.parametrize(
    ("kwargs", "excluded"),
    [
        ({}, ""),
        ({"operstate": "unknown", "carrier": "1"}, ""),
        ({"operstate": "unknown"}, "down (no carrier)"),
        ({"operstate": "down"}, "down"),
        ({"operstate": "lowerlayerdown"}, "lowerlayerdown"),
        ({"type": "772"}, "loopback"),
        ({"type": "32"}, "of link type 32, not Ethernet"),
        ({"type": None}, "of link type unknown, not Ethernet"),
        ({"virtual": True}, "virtual"),
        ({"virtual": True, "device/id": "1"}, "virtual"),
        ({"wireless/link": "0"}, "wireless"),
    ],
)
def test_what_counts_as_ethernet(kwargs, excluded):
    files, links = interface(**kwargs)
    result = Secretary(system=RecordedSystem(files=files, links=links)).detect(name="ethernet")["ethernet"].result
    if excluded:
        assert result == Absent(f"a physical Ethernet interface that is up: eth0 is {excluded}")
    else:
        assert [one.name for one in result.metadata.interfaces] == ["eth0"]
        assert result.metadata.interfaces[0].speed is None and result.metadata.interfaces[0].driver == "virtio_net"


def test_speed_and_driver(host):
    [found] = Secretary(system=host).detect(name="ethernet")["ethernet"].metadata["interfaces"]
    assert (found["speed"], found["mtu"], found["driver"]) == (25000, 9000, "mlx5_core")


def test_this_very_machine():
    """What the kernel tells is what the tools of this machine tell."""
    facts = cpu(None)
    assert facts["allowed_threads"] == len(os.sched_getaffinity(0))
    assert facts["threads"] == os.sysconf("SC_NPROCESSORS_ONLN")
    assert facts["architecture"] == platform.machine()
    memory = Secretary().detect(name="memory")["memory"].metadata
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory["total"] == pages and 0 < memory["usable"] <= pages
    [group] = Secretary().offer().groups
    assert group.hosts == (os.uname().nodename,)
