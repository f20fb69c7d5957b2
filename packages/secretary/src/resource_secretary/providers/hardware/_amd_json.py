"""JSON of AMD's tools: `amd-smi` (ROCm 5.7 and later) and `rocm-smi` (ROCm 4 to 7).

amd-smi prints a list, and since ROCm 6.4 an object with the list `gpu_data`. Both tools may write warnings before the
JSON, on the same stream. Names of keys changed from version to version: each value is looked for under all that it had.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from resource_secretary.providers.hardware._gpu import (
    Facts,
    Gpu,
    GpuProcess,
    GpuUse,
    Slice,
    Unread,
    as_dict,
    bus_of,
    gpu_type,
)
from resource_secretary.providers.hardware._json import decode, unknown

AMD_SMI, ROCM_SMI = "amd-smi", "rocm-smi"
_MB = 2**20  # "MB" of both tools: the kernel's bytes, divided by 1024 twice
_CARD = re.compile(r"card(\d{1,4})")
_NO_NODE = (-1, 2**32 - 1)  # what the tools print where sysfs says -1


@dataclass(frozen=True, slots=True)
class Amd:
    """What a tool told. uses: by the index that the tool gives to a GPU or partition."""

    driver: str | None
    devices: tuple[Gpu, ...]
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """A GPU, or a partition of one, as a tool lists it."""

    gpu: Gpu
    number: int
    mode: str | None


def read_static(text: str) -> Amd:
    """`amd-smi static --json`. Raises OutputError."""
    source = f"{AMD_SMI} static --json"
    rows = _rows(source, text)
    parts: list[_Part] = []
    unread: list[Unread] = []
    driver: str | None = None
    for at, row in enumerate(rows):
        part = _static(at, as_dict(row))
        if part is None:
            unread.append(Unread(f"GPU {at}", f"not an object with a number `gpu`: {row!r:.60}"))
            continue
        told = as_dict(row["driver"]) if "driver" in row else {}
        driver = driver or Facts().text("driver", _first(told, "version", "driver_version"))
        parts.append(part)
    return Amd(driver, _joined(parts), tuple(unread))


def read_metric(text: str) -> tuple[GpuUse, ...]:
    """`amd-smi metric --json`: one for each GPU or partition. Raises OutputError."""
    source = f"{AMD_SMI} metric --json"
    return tuple(
        _metric(int(row["gpu"]), row)
        for row in _rows(source, text)
        if isinstance(row, dict) and _index(row) is not None
    )


def read_processes(text: str) -> dict[int, tuple[GpuProcess, ...]]:
    """`amd-smi process --json`: the processes that use each GPU, by its number. Raises OutputError."""
    made: dict[int, tuple[GpuProcess, ...]] = {}
    for row in _rows(f"{AMD_SMI} process --json", text):
        index = _index(row) if isinstance(row, dict) else None
        every = row.get("process_list", ()) if isinstance(row, dict) else ()
        if index is None or not isinstance(every, list):
            continue
        found = []
        for one in every:
            facts, told = Facts(), as_dict(as_dict(one).get("process_info", one))
            pid = facts.whole("pid", told.get("pid"), most=2**31)
            if pid is not None:
                memory = _value(facts, "memory", as_dict(told.get("memory_usage")).get("vram_mem"), "B", 1)
                found.append(GpuProcess(pid, "C", facts.text("name", told.get("name")), memory))
        made[index] = tuple(found)
    return made


def read_rocm(text: str) -> tuple[Amd, tuple[GpuUse, ...]]:
    """`rocm-smi ... --json`. Raises OutputError where it holds no card."""
    cards = decode(ROCM_SMI, text)
    if not isinstance(cards, dict):
        raise unknown(ROCM_SMI, text, "an object expected")
    parts, uses, unread = [], [], []
    for name, row in cards.items():
        match = _CARD.fullmatch(name)
        if not match:
            continue
        if not isinstance(row, dict):
            unread.append(Unread(name, f"an object expected, not {row!r:.60}"))
            continue
        parts.append(_card(int(match[1]), row))
        uses.append(_card_use(parts[-1].gpu, row))
    if not parts and not unread:
        raise unknown(ROCM_SMI, text, "it tells of no card")
    driver = Facts().text("driver", as_dict(cards.get("system")).get("Driver version"))
    return Amd(driver, _joined(parts), tuple(unread)), tuple(uses)


def _rows(source: str, text: str) -> list[Any]:
    value = decode(source, text)
    rows = value.get("gpu_data") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise unknown(source, text, "a list, or an object with the list gpu_data, expected")
    return rows


def _index(row: Mapping[str, Any]) -> int | None:
    value = row.get("gpu")
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 4096 else None


def _first(row: Mapping[str, Any], *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "", "N/A")), None)


def _value(facts: Facts, name: str, value: object, unit: str, times: int, most: int = 2**50) -> int | None:
    """`{"value": 5, "unit": "MB"}`, or `5 MB` and 5 of older versions."""
    number = _measured(facts, name, value, unit, most / times)
    return None if number is None else int(number * times)


def _measured(facts: Facts, name: str, value: object, unit: str, most: float, least: float = 0) -> float | None:
    if isinstance(value, dict):
        if value.get("unit") not in (unit, None):
            facts.unknown[name] = f"can't be read: its unit is {value.get('unit')!r:.20}, not {unit}"
            return None
        value = value.get("value")
    elif isinstance(value, str) and value.endswith(unit):
        value = value.removesuffix(unit).strip()
    return facts.number(name, value, least=least, most=most)


def _static(at: int, row: dict[str, Any]) -> _Part | None:
    index = _index(row)
    if index is None:
        return None
    facts = Facts()
    asic, bus, vram = (as_dict(row.get(name)) for name in ("asic", "bus", "vram"))
    cut, numa = as_dict(row.get("partition")), as_dict(row.get("numa"))
    name = facts.text("name", asic.get("market_name"))
    size = _first(vram, "size", "vram_size_mb", "vram_size")
    mode = Facts().text("mode", _first(cut, "accelerator_partition", "compute_partition"))
    memory_mode = Facts().text("mode", cut.get("memory_partition"))
    number = Facts().whole("number", cut.get("partition_id"), most=64)
    return _Part(
        Gpu(
            index=index,
            name=name,
            type=gpu_type(name),
            uuid=uuid_of(facts.text("uuid", asic.get("asic_serial"))),
            bus=bus_of(Facts().text("bus", bus.get("bdf"))),
            memory=_value(facts, "memory", size, "MB", _MB),
            architecture=facts.text("architecture", asic.get("target_graphics_version")),
            numa_node=_node(facts, numa.get("node"), numa.get("affinity")),
            partition="/".join(one for one in (mode, memory_mode) if one) or None,
            unknown=facts.unknown,
        ),
        number or 0,
        mode,
    )


def uuid_of(unique: str | None) -> str | None:
    """A unique id as the runtime writes it: GPU-04edfb117a17a07d of 0x4edfb117a17a07d."""
    digits = (unique or "").lower().removeprefix("0x")
    return f"GPU-{digits:0>16}" if re.fullmatch(r"[0-9a-f]{1,16}", digits) else unique


def _node(facts: Facts, node: object, affinity: object) -> int | None:
    """The NUMA node; none where the affinity is -1: the tools say node 0 then, which nobody knows to be true."""
    near = Facts().number("affinity", affinity, least=-1, most=2**32)
    if near is not None and near in _NO_NODE:
        facts.unknown["numa_node"] = "the firmware does not tell"
        return None
    return facts.whole("numa_node", node, most=4096)


def _joined(parts: Iterable[_Part]) -> tuple[Gpu, ...]:
    """The devices, with the partitions of one (which differ in the function of their PCI address) as its slices."""
    groups: dict[str, list[_Part]] = {}
    for part in parts:
        key = part.gpu.bus[:-2] if part.gpu.bus else f"#{part.gpu.index}"
        groups.setdefault(key, []).append(part)
    made = []
    for group in groups.values():
        group.sort(key=lambda part: (part.number, part.gpu.index))
        first = group[0].gpu
        if len(group) == 1:
            made.append(first)
            continue
        # The tools print the memory of the whole device for each of its partitions.
        slices = tuple(
            Slice(at, str(part.gpu.index), profile=part.mode, uuid=part.gpu.uuid) for at, part in enumerate(group)
        )
        made.append(cut_device(first, slices))
    return tuple(made)


def cut_device(device: Gpu, slices: tuple[Slice, ...]) -> Gpu:
    """The device with its partitions: it can't be used as a whole then."""
    why = f"it is cut into {len(slices)} partitions ({device.partition or 'of a mode that is not told'})"
    return replace(device, slices=slices, allowed=False, excluded=why)


def _metric(index: int, row: Mapping[str, Any]) -> GpuUse:
    facts = Facts()
    usage, power, ecc = (as_dict(row.get(name)) for name in ("usage", "power", "ecc"))
    warmth = as_dict(row.get("temperature"))
    memory = as_dict(_first(row, "mem_usage", "fb_memory_usage", "vram"))
    total = _value(facts, "memory_total", _first(memory, "total_vram", "vram_total", "total"), "MB", _MB)
    used = _value(facts, "memory_used", _first(memory, "used_vram", "vram_used", "used"), "MB", _MB)
    spot = _first(warmth, "hotspot", "edge", "hotspot_temperature", "edge_temperature")
    drawn = _first(power, "socket_power", "current_socket_power", "average_socket_power")
    return GpuUse(
        index=index,
        utilization=_measured(facts, "utilization", _first(usage, "gfx_activity", "gfx_usage"), "%", 100),
        memory_used=facts.used(used, total),
        memory_total=total,
        temperature=_measured(facts, "temperature", spot, "C", 200, -60),
        power=_measured(facts, "power", drawn, "W", 100_000),
        ecc_corrected=facts.whole("ecc_corrected", _first(ecc, "total_correctable_count", "total_correctable")),
        ecc_uncorrected=facts.whole("ecc_uncorrected", _first(ecc, "total_uncorrectable_count", "total_uncorrectable")),
        unknown=facts.unknown | {"processes": f"{AMD_SMI} metric does not tell them"},
    )


def _card(index: int, row: Mapping[str, Any]) -> _Part:
    facts = Facts()
    told = [row.get(key) for key in ("Card Series", "Card series", "Device Name", "Card Model", "Card model")]
    # Where its list of names has not this one, it prints a number of PCI, which is no name.
    names = [one for one in told if isinstance(one, str) and one not in ("", "N/A") and not one.startswith("0x")]
    name = facts.text("name", names[0] if names else None)
    if name is None:
        facts.unknown["name"] = f"{ROCM_SMI} tells only {next((one for one in told if one), None)!r:.40}"
    mode = Facts().text("mode", row.get("Compute Partition"))
    memory_mode = Facts().text("mode", row.get("Memory Partition"))
    gpu = Gpu(
        index=index,
        name=name,
        type=gpu_type(name),
        uuid=uuid_of(facts.text("uuid", row.get("Unique ID"))),
        bus=bus_of(Facts().text("bus", row.get("PCI Bus"))),
        memory=facts.whole("memory", row.get("VRAM Total Memory (B)")),
        architecture=facts.text("architecture", row.get("GFX Version")),
        numa_node=_node(facts, row.get("(Topology) Numa Node"), row.get("(Topology) Numa Affinity")),
        partition="/".join(one for one in (mode, memory_mode) if one) or None,
        unknown=facts.unknown,
    )
    return _Part(gpu, int(gpu.bus[-1]) if gpu.bus else 0, mode)


def _card_use(gpu: Gpu, row: Mapping[str, Any]) -> GpuUse:
    facts = Facts()
    total = facts.whole("memory_total", row.get("VRAM Total Memory (B)"))
    used = facts.whole("memory_used", row.get("VRAM Total Used Memory (B)"))
    spot = _first(row, "Temperature (Sensor junction) (C)", "Temperature (Sensor edge) (C)")
    powers = ("Current Socket Graphics Package Power (W)", "Average Graphics Package Power (W)")
    missing = dict.fromkeys(("processes", "ecc_corrected", "ecc_uncorrected"), f"{ROCM_SMI} is not asked for them")
    return GpuUse(
        index=gpu.index,
        name=gpu.name,
        uuid=gpu.uuid,
        bus=gpu.bus,
        utilization=facts.percent("utilization", row.get("GPU use (%)"), ""),
        memory_used=facts.used(used, total),
        memory_total=total,
        temperature=facts.number("temperature", spot, least=-60, most=200),
        power=facts.number("power", _first(row, *powers), most=100_000),
        unknown=facts.unknown | missing,
    )
