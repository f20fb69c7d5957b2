"""What this very host offers, as an inventory of `resources`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resource_secretary.errors import OutputError
from resource_secretary.providers.hardware.cpu import read_cpu
from resource_secretary.providers.hardware.memory import read_memory
from resource_secretary.system import System

if TYPE_CHECKING:
    from resources.documents import Inventory


def host_inventory(system: System) -> Inventory:
    """One host: the cores and threads that this process may use, and memory; free is what is free of them now.

    All of the cores are offered as free: load is not a reservation, and what runs on a host without a manager may end
    at any time (`cpu.load` tells it). Free memory is what is available without swapping, within the control group's
    limit. Raises OutputError where the kernel tells neither.
    """
    from resources import Memory, Threads
    from resources.documents import Group, Inventory
    from resources.kinds.cores import Cores
    from resources.resource import Resource, combine

    cpu, memory = read_cpu(system), read_memory(system)
    if cpu is None or memory is None:
        raise OutputError("this host", "", f"the kernel tells of no {'processors' if cpu is None else 'memory'}")
    places: list[Resource] = [Threads(cpu.usable_threads)]
    if cpu.usable_cores is not None:
        places.insert(0, Cores(cpu.usable_cores))
    total, free = (combine([*places, Memory(f"{size}B")]) for size in (memory[0].usable, memory[1].usable))
    group = Group((system.hostname(),), (0,), total, free, "up")
    return Inventory((group,), observed_at=system.now(), observed_on=system.where())
