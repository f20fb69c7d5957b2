"""This machine, as far as this process may use it: cores and their logical CPUs, memory. Linux.

Cores are numbered over the machine by socket and core id, so that an id means the same core in every
process, whatever its affinity.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from resources.idset import ids_of
from resources.kinds.cores import Cores
from resources.kinds.memory import Memory
from resources.resource import Resource
from resources.units import count

CPUS = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")


def hostname() -> str:
    """The name of this host, without its domain."""
    return socket.gethostname().partition(".")[0]


def cores(cpus: Path = CPUS) -> list[set[int]]:
    """The logical CPUs of each physical core, by core number; a CPU whose topology is not told is a core."""
    found: dict[tuple[int, int], set[int]] = {}
    for cpu in range(os.cpu_count() or 1):
        topology = cpus / f"cpu{cpu}" / "topology"
        try:
            key = (_number(topology / "physical_package_id"), _number(topology / "core_id"))
        except (OSError, ValueError):
            key = (-1, cpu)
        found.setdefault(key, set()).add(cpu)
    return [found[key] for key in sorted(found)]


def usable_cores() -> list[int]:
    """The numbers of the cores that this process may run on, no more than its CPU quota (at least one)."""
    allowed = os.sched_getaffinity(0)
    numbers = [number for number, cpus in enumerate(cores()) if cpus & allowed]
    quota = cpu_quota()
    return numbers if quota is None else numbers[: max(1, int(quota))]


def cpus_of(resource: Resource) -> set[int]:
    """The logical CPUs of the core or thread ids of an allocation; all of the process's where it names none."""
    allowed = os.sched_getaffinity(0)
    if (threads := resource.get("threads")) is not None and threads.is_list:
        return set(ids_of(threads.mask)) & allowed or allowed
    if (given := resource.get("cores")) is not None and given.is_list:
        mine = cores()
        return {cpu for core in given.c if core < len(mine) for cpu in mine[core]} & allowed or allowed
    return allowed


def cpu_quota(root: Path = CGROUPS, process: Path = Path("/proc/self/cgroup")) -> float | None:
    """CPUs' worth of time that the cgroup grants (cpu.max of v2, cpu.cfs_quota_us of v1), or None for no limit."""
    smallest: float | None = None
    for folder in _folders(root, process, "cpu"):
        try:
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
            share = float(quota) / float(period) if quota not in ("max", "-1") else None
        except (OSError, ValueError, ZeroDivisionError):
            continue
        if share is not None:
            smallest = share if smallest is None else min(smallest, share)
    return smallest


def memory_limit(root: Path = CGROUPS, process: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes of memory that this process may use: the machine's, or the cgroup's limit where that is lower."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for folder in _folders(root, process, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            try:
                sizes.append(int((folder / name).read_text()))
            except (OSError, ValueError):  # absent, or "max"
                continue
    return min(sizes)


def provider(wanted: int | None = None) -> Resource:
    """What this machine provides: its usable cores, or so many, and its memory."""
    mine: Resource
    if wanted is None:
        mine = Cores(usable_cores())
    else:
        wanted = count(wanted, "cores", least=1)
        known = usable_cores()
        # More than there are is the user's word: numbers, not ids of cores that exist.
        mine = Cores(known[:wanted]) if wanted <= len(known) else Cores(wanted)
    return mine & Memory.of_bytes(memory_limit())


def _folders(root: Path, process: Path, controller: str) -> list[Path]:
    """The folders of this process's cgroup and of those around it, for one controller (cgroups(7))."""
    try:
        lines = process.read_text().splitlines()
    except OSError:
        return []
    folders: list[Path] = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            base = root if (root / "cgroup.controllers").exists() else root / "unified"
        elif controller in controllers.split(","):
            base = root / controllers if (root / controllers).exists() else root / controller
        else:
            continue
        here = base / path.lstrip("/")
        folders += [here, *(up for up in here.parents if up.is_relative_to(base))]
    return folders


def _number(path: Path) -> int:
    return int(path.read_text())
