"""A host without a manager: its processors, memory and network interfaces, by what the kernel shows."""

from __future__ import annotations

from collections.abc import Callable

from resource_secretary.testing import RecordedSystem

V2 = {
    "/proc/self/cgroup": "0::/user.slice/job",
    "/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw",
}
V1 = {
    "/proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/",
    "/proc/self/mountinfo": (
        "30 23 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
        "31 23 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
        "32 23 0:28 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw"
    ),
}


def sysfs(sockets: int, cores: int, threads: int) -> dict[str, str]:
    """The sysfs of a host, thread t on core t modulo the number of cores, as Linux counts on x86."""
    every = sockets * cores
    files = {"/sys/devices/system/cpu/online": f"0-{every * threads - 1}"}
    for cpu in range(every * threads):
        folder = f"/sys/devices/system/cpu/cpu{cpu}/topology"
        files[f"{folder}/core_cpus_list"] = ",".join(str(cpu % every + every * t) for t in range(threads))
        files[f"{folder}/physical_package_id"] = str(cpu % every // cores)
    return files


def host() -> RecordedSystem:
    """Two sockets of four cores of two threads, a quota of 2.5 CPUs, 3 of 8 GiB, an interface that is up."""
    return RecordedSystem(
        files={
            **sysfs(2, 4, 2),
            **V2,
            "/sys/fs/cgroup/user.slice/cpu.max": "max 100000",
            "/sys/fs/cgroup/user.slice/job/cpu.max": "250000 100000",
            "/sys/fs/cgroup/user.slice/memory.max": "3221225472",
            "/sys/fs/cgroup/user.slice/memory.current": "1073741824",
            "/sys/fs/cgroup/user.slice/memory.stat": "anon 5\ninactive_file 536870912",
            "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Recorded CPU @ 2 GHz",
            "/proc/loadavg": "0.50 1.25 2.00 1/200 4242",
            "/sys/class/net/eth0/type": "1",
            "/sys/class/net/eth0/operstate": "up",
            "/sys/class/net/eth0/speed": "25000",
            "/sys/class/net/eth0/mtu": "9000",
            "/sys/class/net/eth0/device/vendor": "0x15b3",
        },
        links={
            "/sys/class/net/eth0": "../../devices/pci0000:00/0000:00:03.0/net/eth0",
            "/sys/class/net/eth0/device/driver": "../../../../bus/pci/drivers/mlx5_core",
        },
        affinity=frozenset(range(16)),
        memory=(8 * 2**30, 6 * 2**30),
    )


MACHINES: dict[str, Callable[[], RecordedSystem]] = dict.fromkeys(("cpu", "memory", "ethernet"), host)
