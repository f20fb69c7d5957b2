"""What this very host offers, as an inventory of `resources`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from resource_secretary.errors import OutputError, SecretaryError
from resource_secretary.providers.hardware.cpu import read_cpu
from resource_secretary.providers.hardware.memory import read_memory
from resource_secretary.result import Active, Unreachable
from resource_secretary.sidebyside import first_line, side_by_side
from resource_secretary.system import DEADLINE, System

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

    from resource_secretary.providers.hardware._gpu import Gpus

_SETTLE = 0.3  # seconds after the deadline for killing a command that did not end by then


def host_inventory(system: System) -> Inventory:
    """One host: the cores, threads and GPUs that this process may use, and memory; free is what is free of them now.

    All of the cores and GPUs are offered as free: load is not a reservation, and what runs on a host without a manager
    may end at any time (`cpu.load` and `nvidia-gpu.use` tell it). Free memory is what is available without swapping,
    within the control group's limit. GPUs are offered by type, whole ones with memory of their own only: a slice of
    one is no GPU. What of them could not be seen is said in `observed_on`. Raises OutputError where the kernel tells of
    no processors, or of no memory.
    """
    from resources import Memory, Threads
    from resources.documents import Group, Inventory
    from resources.kinds.cores import Cores
    from resources.resource import combine

    cpu, memory = read_cpu(system), read_memory(system)
    if cpu is None or memory is None:
        raise OutputError("this host", "", f"the kernel tells of no {'processors' if cpu is None else 'memory'}")
    places: list[Resource] = [Threads(cpu.usable_threads)]
    if cpu.usable_cores is not None:
        places.insert(0, Cores(cpu.usable_cores))
    gpus, unseen = _gpus(system)
    total, free = (combine([*places, *gpus, Memory(f"{size}B")]) for size in (memory[0].usable, memory[1].usable))
    group = Group((system.hostname(),), (0,), total, free, "up")
    where = "".join([system.where(), *(f"; without {one}" for one in unseen)])
    return Inventory((group,), observed_at=system.now(), observed_on=where)


def _gpus(system: System) -> tuple[list[Resource], list[str]]:
    """The GPUs as one resource, and what of them could not be seen, with the reason."""
    from resources import Gpus as Amount

    from resource_secretary.providers.hardware.amd_gpu import AmdGpuProvider
    from resource_secretary.providers.hardware.intel_gpu import IntelGpuProvider
    from resource_secretary.providers.hardware.nvidia_gpu import NvidiaGpuProvider

    makers = (NvidiaGpuProvider, AmdGpuProvider, IntelGpuProvider)
    wait = min(DEADLINE, max(0.0, system.left()))
    asked = [maker(system.within(wait)).probe for maker in makers]
    counts: Counter[str] = Counter()
    unseen: list[str] = []
    for maker, outcome in zip(makers, side_by_side(asked, wait + _SETTLE), strict=True):
        result = outcome.value if outcome else Unreachable("probe", f"no answer in {wait:g} s")
        if outcome and isinstance(outcome.error, SecretaryError):
            result = Unreachable(maker.name, str(outcome.error))
        elif outcome and outcome.error is not None:
            result = Unreachable(maker.name, first_line(outcome.error))
        if isinstance(result, Active):
            found: Gpus = result.metadata
            offered = [device for device in found.devices if device.allowed and not device.integrated]
            counts.update(device.type or "unknown" for device in offered)
            doubtful = [device for device in found.devices if device.allowed is None and not device.integrated]
            if doubtful:
                unseen.append(f"{len(doubtful)} GPUs of {maker.name}: {doubtful[0].excluded}")
        elif isinstance(result, Unreachable):
            unseen.append(f"the GPUs of {maker.name}: {' '.join(result.reason.split())[:200]}")
    return ([Amount(dict(counts))] if counts else []), unseen
