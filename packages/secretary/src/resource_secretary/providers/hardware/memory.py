"""The memory of this host, and how much of it this process may use."""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.cgroup import memory_limit
from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.system import System


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. total: of the host. limit: of the control groups, None without one. usable: the lesser of both."""

    total: int
    limit: int | None
    limit_source: str
    usable: int


@dataclass(frozen=True, slots=True)
class Free:
    """Bytes. available: on the host without swapping. limit_left: unused of the limit. usable: the lesser of both."""

    available: int
    limit_left: int | None
    usable: int


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
    return Memory(total, None if limit.amount is None else int(limit.amount), limit.source, most), free
