"""What this process may use of its machine: control groups of both versions and of the mix of them, affinity, names."""

import os
import socket

import pytest
from resources import machine

GB = 1024**3


def cgroups(folder, process, **files):
    """A tree of control groups; names have `__` for `/`. Gives the arguments of those that read it."""
    for name, text in files.items():
        file = folder / "sys" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "cgroup").write_text(process)
    return folder / "sys", folder / "cgroup"


def test_the_least_limit_of_the_groups_around_a_process_counts(tmp_path):
    """cgroups(7), version 2: a limit holds for all that is below it; `max` is none."""
    tree = cgroups(
        tmp_path,
        "0::/user/job\n",
        **{
            "cgroup.controllers": "cpu memory",
            "user__cpu.max": "150000 100000\n",
            "user__job__cpu.max": "400000 100000\n",
            "user__job__memory.max": "max\n",
            "user__memory.max": str(GB),
        },
    )
    assert machine.cpu_quota(*tree) == 1.5
    assert machine.memory_limit(*tree) == GB


@pytest.mark.parametrize("quota", ["max 100000", "", "100000 0", "a b"])
def test_no_quota_and_one_that_can_not_be_read_are_no_limit(tmp_path, quota):
    assert machine.cpu_quota(*cgroups(tmp_path, "0::/\n", **{"cgroup.controllers": "", "cpu.max": quota})) is None


def test_version_1_has_a_tree_for_each_controller(tmp_path):
    tree = cgroups(
        tmp_path,
        "4:cpu,cpuacct:/job\n3:memory:/job\n",
        **{
            "cpu,cpuacct__job__cpu.cfs_quota_us": "250000\n",
            "cpu,cpuacct__job__cpu.cfs_period_us": "100000\n",
            "cpu,cpuacct__cpu.cfs_quota_us": "-1\n",
            "cpu,cpuacct__cpu.cfs_period_us": "100000\n",
            "memory__job__memory.limit_in_bytes": f"{GB}\n",
            "memory__memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert machine.cpu_quota(*tree) == 2.5
    assert machine.memory_limit(*tree) == GB


def test_of_a_mixed_tree_version_2_is_below_unified(tmp_path):
    tree = cgroups(tmp_path, "4:memory:/\n0::/job\n", **{"unified__job__cpu.max": "50000 100000"})
    assert machine.cpu_quota(*tree) == 0.5
    assert machine.memory_limit(*tree) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_process_without_control_groups_has_no_limit(tmp_path):
    assert machine.cpu_quota(tmp_path, tmp_path / "none") is None


def test_cores_are_told_apart_by_socket_and_number(tmp_path, monkeypatch):
    """Two sockets of two cores, two threads each, as Linux numbers them; cpu8 tells no topology."""
    monkeypatch.setattr(os, "cpu_count", lambda: 9)
    for cpu in range(8):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(str(cpu % 4 // 2))
        (folder / "core_id").write_text(str(cpu % 2))
    assert machine.cores(tmp_path) == [{8}, {0, 4}, {1, 5}, {2, 6}, {3, 7}]


@pytest.mark.parametrize(("quota", "usable"), [(None, [1, 2, 3]), (2.9, [1, 2]), (0.5, [1])])
def test_usable_are_the_cores_of_the_affinity_within_the_quota(monkeypatch, quota, usable):
    monkeypatch.setattr(machine, "cores", lambda: [{0}, {1, 5}, {2}, {3}])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 2, 3})
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    assert machine.usable_cores() == usable


def test_a_host_s_name_has_no_domain(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "n1.cluster.example.org")
    assert machine.hostname() == "n1"
