"""What control groups leave to this process: CPU time and memory, under version 1, version 2, or both at once.

cgroups(7); Documentation/admin-guide/cgroup-v2.rst ("cpu.max", "memory.max"), cgroup-v1/memory.rst and
scheduler/sched-bwc.rst ("cpu.cfs_quota_us") of the kernel. A limit of any group above counts too: the least one holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resource_secretary.system import System

NONE = "none"
_UNLIMITED = 2**62  # version 1 writes "no limit" as the largest number of whole pages


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit: `amount` is CPUs or bytes, None where there is none; `source` is cgroup v1, cgroup v2, or none.

    left: bytes of a memory limit that are not in use (page cache that can be dropped is not in use).
    """

    amount: float | None = None
    source: str = NONE
    left: int | None = None


def cpu_quota(system: System) -> Limit:
    """The CPUs' worth of time that this process may use."""
    version, folders = groups(system, "cpu")
    quotas = []
    for folder in folders:
        if version == 2:
            parts = (system.read(f"{folder}/cpu.max") or "").split()
        else:
            parts = [system.read(f"{folder}/cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
        if len(parts) == 2 and all(part.isdecimal() for part in parts) and int(parts[1]):
            quotas.append(int(parts[0]) / int(parts[1]))
    return Limit(min(quotas), f"cgroup v{version}") if quotas else Limit()


def memory_limit(system: System) -> Limit:
    """The bytes of memory that this process may use, with all others of its groups."""
    version, folders = groups(system, "memory")
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    limits, left = [], []
    for folder in folders:
        limit = _number(system.read(f"{folder}/{names[0]}"))
        if limit is None or limit >= _UNLIMITED:
            continue
        limits.append(limit)
        used = _number(system.read(f"{folder}/{names[1]}"))
        if used is not None:
            cache = _stat(system.read(f"{folder}/memory.stat"), names[2])
            left.append(max(0, limit - max(0, used - cache)))
    return Limit(min(limits), f"cgroup v{version}", min(left, default=None)) if limits else Limit()


def device_rule(system: System) -> Callable[[int, int], bool] | None:
    """Whether a character device (major, minor) may be used, under version 1; None where no such group is seen.

    Version 2 keeps its rule in the kernel (BPF), where nobody can read it. devices.list of cgroup-v1/devices.rst: lines
    such as `a *:* rwm` and `c 195:0 rw`.
    """
    version, folders = groups(system, "devices")
    text = system.read(f"{folders[0]}/devices.list") if version == 1 and folders else None
    if not text:
        return None
    rows = [line.split() for line in text.splitlines()]
    allowed = {(row[0], *row[1].partition(":")[::2]) for row in rows if len(row) == 3 and "r" in row[2]}

    def rule(major: int, minor: int) -> bool:
        majors, minors = (str(major), "*"), (str(minor), "*")
        return any((kind, one, two) in allowed for kind in "ac" for one in majors for two in minors)

    return rule


def groups(system: System, controller: str) -> tuple[int, list[str]]:
    """The version of the hierarchy that has the controller, and the folders of this process's group and those above."""
    own: dict[str, str] = {}
    for line in (system.read("/proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        own.update(dict.fromkeys(controllers.split(","), path))
    version = 1 if controller in own else 2
    path = own.get(controller, own.get("", "/"))
    for line in (system.read("/proc/self/mountinfo") or "").splitlines():
        # proc(5): id parent device root mount-point options [tags] - type source super-options
        before, _, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if len(left) < 5 or len(right) < 3 or right[0] != ("cgroup" if version == 1 else "cgroup2"):
            continue
        if version == 1 and controller not in right[2].split(","):
            continue
        return version, _upwards(left[4].replace("\\040", " "), _below(path, left[3]))
    return version, []


def _below(path: str, root: str) -> list[str]:
    """The parts of a group's path below the root of the mount; none where it lies outside (a cgroup namespace)."""
    parts, base = [[part for part in one.split("/") if part] for one in (path, root)]
    return parts[len(base) :] if parts[: len(base)] == base and ".." not in parts else []


def _upwards(mount: str, parts: list[str]) -> list[str]:
    return ["/".join([mount, *parts[:depth]]) for depth in range(len(parts), -1, -1)]


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _stat(text: str | None, name: str) -> int:
    for line in (text or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return _number(value) or 0
    return 0
