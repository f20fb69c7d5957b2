"""JSON of Intel's `xpu-smi` (XPU Manager 1.2 and later): `discovery -j`, `discovery -d N -j`, `stats -d N -j`."""

from __future__ import annotations

import re
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.providers.hardware._gpu import Facts, Gpu, GpuUse, Unread, as_dict, bus_of, gpu_type
from resource_secretary.providers.hardware._json import decode, unknown

DISCOVERY = "xpu-smi discovery -j"
_MIB = 2**20


def read_discovery(text: str) -> tuple[tuple[Gpu, ...], tuple[Unread, ...]]:
    """The devices, without those that are virtual functions. Raises OutputError."""
    value = as_dict(decode(DISCOVERY, text))
    rows = value.get("device_list")
    if not isinstance(rows, list):
        raise unknown(DISCOVERY, text, _error(value) or "an object with the list device_list expected")
    devices: dict[int, Gpu] = {}
    unread: list[Unread] = []
    for at, row in enumerate(rows):
        told = as_dict(row)
        index = Facts().whole("index", told.get("device_id"), most=4096)
        if index is None or index in devices:
            unread.append(Unread(f"device {at}", f"its device_id is {told.get('device_id')!r:.40}"))
        elif told.get("device_function_type", "physical") == "physical":
            devices[index] = read_device(index, told)
    return tuple(devices[index] for index in sorted(devices)), tuple(unread)


def read_details(text: str, device: Gpu) -> Gpu:
    """One device of `discovery -d N -j`, whose list of all has no memory. Raises OutputError."""
    told = as_dict(decode(f"xpu-smi discovery -d {device.index} -j", text))
    return read_device(device.index, told) if "device_name" in told else device


def read_device(index: int, told: dict[str, Any]) -> Gpu:
    facts = Facts()
    name = facts.text("name", told.get("device_name"))
    card = facts.text("device_file", told.get("drm_device"))
    tiles = Facts().whole("tiles", told.get("number_of_tiles"), most=64)
    return Gpu(
        index=index,
        name=name,
        type=gpu_type(name),
        uuid=facts.text("uuid", told.get("uuid")),
        bus=bus_of(Facts().text("bus", told.get("pci_bdf_address"))),
        memory=facts.whole("memory", told.get("memory_physical_size_byte")),
        partition=f"{tiles} tiles" if tiles and tiles > 1 else None,
        device_file=card if card and re.fullmatch(r"/dev/dri/(card|renderD)\d{1,4}", card) else None,
        unknown=facts.unknown,
    )


def driver_of(text: str) -> str | None:
    """The version of the driver, of `discovery -d N -j`."""
    try:
        return Facts().text("driver", as_dict(decode(DISCOVERY, text)).get("driver_version"))
    except OutputError:
        return None


def read_stats(text: str, device: Gpu) -> GpuUse:
    """`stats -d N -j`. A value that is told for each tile only is their sum (memory, power) or the greatest of them."""
    source = f"xpu-smi stats -d {device.index} -j"
    value = as_dict(decode(source, text))
    if not isinstance(value.get("device_level"), list):
        raise unknown(source, text, _error(value) or "an object with the list device_level expected")
    levels = [value["device_level"]]
    tiles = value.get("tile_level")
    for tile in tiles if isinstance(tiles, list) else ():
        rows = as_dict(tile).get("data_list")
        levels.append(rows if isinstance(rows, list) else [])
    told = [{one.get("metrics_type"): one for one in map(as_dict, level) if _named(one)} for level in levels]
    facts = Facts()

    def number(field: str, name: str, *, most: float, least: float = 0, total: bool = False) -> float | None:
        metric = f"XPUM_STATS_{name}"
        some = [told[0][metric]] if metric in told[0] else [level[metric] for level in told[1:] if metric in level]
        found = [facts.number(field, one.get("value", one.get("avg")), least=least, most=most) for one in some]
        known = [one for one in found if one is not None]
        if not found:
            facts.unknown[field] = "not told"
        return None if not found or len(known) < len(found) else sum(known) if total else max(known)

    used = number("memory_used", "MEMORY_USED", most=2**30, total=True)
    missing = dict.fromkeys(("processes", "ecc_corrected", "ecc_uncorrected"), "xpu-smi stats does not tell them")
    return GpuUse(
        index=device.index,
        name=device.name,
        uuid=device.uuid,
        bus=device.bus,
        utilization=number("utilization", "GPU_UTILIZATION", most=100),
        memory_used=facts.used(None if used is None else int(used * _MIB), device.memory),
        memory_total=device.memory,
        temperature=number("temperature", "GPU_CORE_TEMPERATURE", most=200, least=-60),
        power=number("power", "POWER", most=100_000, total=True),
        unknown=facts.unknown | missing,
    )


def _named(row: dict[str, Any]) -> bool:
    return isinstance(row.get("metrics_type"), str)


def _error(value: dict[str, Any]) -> str:
    """What it says in place of an answer: {"error": "device not found", "errno": 16}."""
    said = value.get("error")
    return said[:200] if isinstance(said, str) else ""
