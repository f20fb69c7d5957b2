"""The memory of this host, and how much of it this process may use."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.cgroup import memory_limit
from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.system import System

_HUGE = "/sys/kernel/mm/hugepages"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. total: of the host. limit: of the control groups, None without one. usable: the lesser of both.

    swap: in all; numa_nodes: over how many nodes the memory is spread. Both None where the kernel doesn't say.
    """

    total: int
    limit: int | None
    limit_source: str
    usable: int
    swap: int | None = None
    numa_nodes: int | None = None


@dataclass(frozen=True, slots=True)
class Free:
    """Bytes. available: on the host without swapping. limit_left: unused of the limit. usable: the lesser of both."""

    available: int
    limit_left: int | None
    usable: int


@dataclass(frozen=True, slots=True)
class HugePages:
    """Pages of one size (bytes): how many are set aside, and how many of them nobody uses or has been promised."""

    size: int
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Pages:
    """huge: by size, those set aside beforehand. transparent: when the kernel makes huge pages by itself: always,
    madvise, never. swap_total, swap_free: bytes. None where the kernel doesn't say.
    """

    huge: tuple[HugePages, ...]
    transparent: str | None
    swap_total: int | None
    swap_free: int | None


class MemoryProvider(BaseProvider):
    category = "hardware"
    name = "memory"
    description = "Memory (RAM): of the host, and what a control group leaves of it to this process."

    def probe(self) -> Active[Memory] | Absent:
        both = read_memory(self.system)
        return Active(both[0]) if both else Absent("memory that the kernel tells of (/proc/meminfo)")

    @secretary_tool
    def free(self) -> Free:
        """The memory that is free now, in bytes."""
        both = read_memory(self.system)
        if both is None:
            raise OutputError("/proc/meminfo", "", "can't be read")
        return both[1]

    @secretary_tool
    def pages(self) -> Pages:
        """The huge pages of this host, and its swap space."""
        huge = []
        for name in self.system.entries(_HUGE):
            size = re.fullmatch(r"hugepages-(\d{1,9})kB", name, re.ASCII)
            counts = [number(self.system.read(f"{_HUGE}/{name}/{what}_hugepages")) for what in ("nr", "free", "resv")]
            if size and counts[0] is not None and counts[1] is not None:
                free = min(max(0, counts[1] - (counts[2] or 0)), counts[0])
                huge.append(HugePages(int(size[1]) * 2**10, counts[0], free))
        mode = re.search(r"\[(\w+)\]", self.system.read("/sys/kernel/mm/transparent_hugepage/enabled") or "")
        info = self.system.read("/proc/meminfo") or ""
        return Pages(
            tuple(sorted(huge, key=lambda one: one.size)),
            mode[1] if mode else None,
            meminfo(info, "SwapTotal"),
            meminfo(info, "SwapFree"),
        )


def meminfo(text: str, name: str) -> int | None:
    """The bytes of a line `name: 123 kB` of /proc/meminfo, or of a node's meminfo, where `Node 0 ` stands before it."""
    match = re.search(rf"^(?:Node \d+ )?{name}:\s+(\d{{1,15}}) kB$", text, re.MULTILINE | re.ASCII)
    return int(match[1]) * 2**10 if match else None


def number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else None


def read_memory(system: System) -> tuple[Memory, Free] | None:
    """What there is and what is free now; None where the kernel doesn't say."""
    memory = system.memory()
    if memory is None:
        return None
    total, available = memory
    limit = memory_limit(system)
    most = total if limit.amount is None else min(total, int(limit.amount))
    left = available if limit.left is None else min(available, limit.left)
    # A version 1 group may say that more than the host has is left of its limit.
    free = Free(available, limit.left, min(left, most))
    nodes = [name for name in system.entries("/sys/devices/system/node") if re.fullmatch(r"node\d+", name)]
    swap = meminfo(system.read("/proc/meminfo") or "", "SwapTotal")
    given = None if limit.amount is None else int(limit.amount)
    return Memory(total, given, limit.source, most, swap, len(nodes) or None), free
