"""AMD's GPUs as the kernel's driver amdgpu shows them, without any tool of ROCm.

Documentation/gpu/amdgpu/driver-misc.rst ("GPU Memory Usage Information", "GPU sysfs"): mem_info_vram_total and
mem_info_vram_used in bytes, gpu_busy_percent, unique_id, product_name, current_compute_partition and
current_memory_partition; Documentation/hwmon: temp1_input in thousandths of a degree, power1_average in millionths of a
watt. Partitions are nodes of /sys/class/kfd/kfd/topology with the same domain and device (location_id).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from resource_secretary.providers.hardware._amd_json import cut_device, uuid_of
from resource_secretary.providers.hardware._gpu import Facts, Gpu, GpuUse, Slice, bus_of, gpu_type
from resource_secretary.system import System

SOURCE = "sysfs of amdgpu"
_PCI = "/sys/bus/pci/devices"
_KFD = "/sys/class/kfd/kfd/topology/nodes"


def read_sysfs(system: System, buses: list[str]) -> tuple[tuple[Gpu, ...], tuple[GpuUse, ...]]:
    """The devices at these PCI addresses that amdgpu drives, and their use."""
    nodes = _nodes(system)
    devices: list[Gpu] = []
    uses: list[GpuUse] = []
    for bus in buses:
        folder = f"{_PCI}/{bus}"
        if (system.target(f"{folder}/driver") or "").rpartition("/")[2] != "amdgpu":
            continue
        device = _device(system, len(devices), folder, bus)
        parts = nodes.get(bus[:-2], [])
        if parts and parts[0][0]:
            facts = {name: why for name, why in device.unknown.items() if name != "architecture"}
            device = replace(device, architecture=parts[0][0], unknown=facts)
        if len(parts) > 1:
            device = cut_device(device, tuple(replace(part, profile=device.partition) for _, part in parts))
        devices.append(device)
        uses.append(_use(system, device, folder))
    return tuple(devices), tuple(uses)


def _device(system: System, index: int, folder: str, bus: str) -> Gpu:
    facts = Facts()
    name = facts.text("name", system.read(f"{folder}/product_name"))
    modes = [Facts().text("mode", system.read(f"{folder}/current_{kind}_partition")) for kind in ("compute", "memory")]
    render = next((one for one in system.entries(f"{folder}/drm") if re.fullmatch(r"renderD\d{1,4}", one)), None)
    unique = facts.text("uuid", system.read(f"{folder}/unique_id"))
    facts.unknown["architecture"] = "the kernel does not tell"
    return Gpu(
        index=index,
        name=name,
        type=gpu_type(name),
        uuid=uuid_of(unique),
        bus=bus_of(bus),
        memory=facts.whole("memory", system.read(f"{folder}/mem_info_vram_total")),
        device_file=f"/dev/dri/{render}" if render else None,
        partition="/".join(mode for mode in modes if mode) or None,
        unknown=facts.unknown,
    )


def _use(system: System, device: Gpu, folder: str) -> GpuUse:
    facts = Facts()
    used = facts.whole("memory_used", system.read(f"{folder}/mem_info_vram_used"))
    sensors = next((f"{folder}/hwmon/{one}" for one in system.entries(f"{folder}/hwmon")), f"{folder}/hwmon")
    warmth = facts.number("temperature", system.read(f"{sensors}/temp1_input"), least=-60_000, most=200_000)
    power = facts.number("power", system.read(f"{sensors}/power1_average"), most=10**11)
    missing = dict.fromkeys(("processes", "ecc_corrected", "ecc_uncorrected"), "sysfs is not asked for them")
    return GpuUse(
        index=device.index,
        name=device.name,
        uuid=device.uuid,
        bus=device.bus,
        utilization=facts.percent("utilization", system.read(f"{folder}/gpu_busy_percent"), ""),
        memory_used=facts.used(used, device.memory),
        memory_total=device.memory,
        temperature=None if warmth is None else warmth / 1000,
        power=None if power is None else power / 10**6,
        unknown=facts.unknown | missing,
    )


def hidden(system: System, devices: Iterable[Gpu]) -> set[str]:
    """The addresses of devices whose compute node this process may not read: the control group of devices forbids them.

    amdkfd refuses the files of such a node (Linux, drivers/gpu/drm/amd/amdkfd/kfd_topology.c), under both versions.
    """
    names = system.entries(_KFD)
    if not any(system.read(f"{_KFD}/{name}/properties") is None for name in names):
        return set()
    shown = _nodes(system)
    return {device.bus for device in devices if device.bus and device.bus[:-2] not in shown}


def _nodes(system: System) -> dict[str, list[tuple[str | None, Slice]]]:
    """The compute nodes of each device, with their architecture, by its PCI address without the function."""
    found: dict[str, list[tuple[str | None, Slice]]] = {}
    names = [name for name in system.entries(_KFD) if name.isascii() and name.isdecimal()]
    for name in sorted(names, key=int):
        rows = dict(row.partition(" ")[::2] for row in (system.read(f"{_KFD}/{name}/properties") or "").splitlines())
        facts = Facts()
        simds = facts.whole("simd_count", rows.get("simd_count"), most=10**6)
        place = facts.whole("location_id", rows.get("location_id"), most=2**16 - 1)
        domain = facts.whole("domain", rows.get("domain", "0"), most=2**16 - 1)
        if not simds or place is None or domain is None:
            continue  # a processor is a node too, and has no SIMD units
        bank = dict(
            row.partition(" ")[::2] for row in (system.read(f"{_KFD}/{name}/mem_banks/0/properties") or "").splitlines()
        )
        version = facts.whole("gfx_target_version", rows.get("gfx_target_version"), most=999_999)
        key = f"{domain:04x}:{place >> 8:02x}:{place >> 3 & 31:02x}"
        group = found.setdefault(key, [])
        memory = facts.whole("memory", bank.get("size_in_bytes"))
        # 90402 is gfx942: major, minor and stepping (hexadecimal), two digits each.
        architecture = f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else None
        group.append((architecture, Slice(len(group), str(place & 7), memory=memory)))
    return found
