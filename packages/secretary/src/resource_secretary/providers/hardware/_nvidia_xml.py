"""`nvidia-smi -q -x`: one XML document of all GPUs, in the schemas v10 to v13 (nvsmi_device_vN.dtd)."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from resource_secretary.errors import OutputError
from resource_secretary.providers.hardware._gpu import (
    Facts,
    Gpu,
    GpuProcess,
    GpuUse,
    Seen,
    Slice,
    Unread,
    bus_of,
    gpu_type,
)

SOURCE = "nvidia-smi -q -x"
SCHEMAS = range(10, 14)
_SHOWN = 2000  # characters of a document that can't be read
_DOCTYPE = re.compile(r'<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v(\d{1,4})\.dtd">')
_MIB = 2**20
# Where a value has moved from one schema to the next, the newer place first.
_POWER = (
    "gpu_power_readings/instant_power_draw",
    "gpu_power_readings/power_draw",
    "gpu_power_readings/average_power_draw",
    "power_readings/power_draw",
)
_ECC = "ecc_errors/volatile/"
_CORRECTED = (("sram_correctable", "dram_correctable"), ("single_bit/total",))
_UNCORRECTED = (
    ("sram_uncorrectable_parity", "sram_uncorrectable_secded", "dram_uncorrectable"),
    ("sram_uncorrectable", "dram_uncorrectable"),
    ("double_bit/total",),
)


def read_smi(text: str) -> Seen:
    """What the document tells. Raises OutputError with its beginning where it is no such document or of another schema.

    The one DOCTYPE that nvidia-smi writes is cut out; any other declaration is refused, because an XML parser would
    expand the entities that it defines.
    """
    match = _DOCTYPE.search(text)
    if match:
        if int(match[1]) not in SCHEMAS:
            raise _unknown(text, f"the schema v{match[1]} is not one that is known (v10 to v13)")
        text = text[: match.start()] + text[match.end() :]
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _unknown(text, "a declaration that nvidia-smi does not write is refused")
    try:
        root = ElementTree.fromstring(text.strip())  # noqa: S314 - without a DOCTYPE there are no entities
    except (ElementTree.ParseError, ValueError) as error:
        raise _unknown(text, f"no XML: {error}") from None
    if root.tag != "nvidia_smi_log":
        raise _unknown(text, f"<nvidia_smi_log> expected, not <{root.tag[:40]}>")
    facts = Facts()
    devices: list[Gpu] = []
    uses: list[GpuUse] = []
    unread: list[Unread] = []
    for index, element in enumerate(root.findall("gpu")):
        bus = bus_of(element.get("id")) or bus_of(element.findtext("pci/pci_bus_id"))
        if bus is None or bus in {device.bus for device in devices}:
            unread.append(Unread(f"GPU {index}", f"its PCI address can't be read: {element.get('id')!r:.60}"))
            continue
        devices.append(_device(index, bus, element))
        uses.append(_use(devices[-1], element))
    attached = facts.whole("attached_gpus", root.findtext("attached_gpus"), most=1024)
    told = len(devices) + len(unread)
    unread += [Unread(f"GPU {at}", "it is attached, and nothing is told of it") for at in range(told, attached or 0)]
    return Seen(
        SOURCE,
        facts.text("driver_version", root.findtext("driver_version")),
        facts.text("cuda_version", root.findtext("cuda_version")),
        tuple(devices),
        tuple(uses),
        tuple(unread),
    )


def _unknown(text: str, why: str) -> OutputError:
    shown = "".join(char if char.isprintable() or char == "\n" else "?" for char in text[:_SHOWN])
    return OutputError(SOURCE, "", f"{why}; it said: {shown}")


def _device(index: int, bus: str, element: ElementTree.Element) -> Gpu:
    facts = Facts()
    name = facts.text("name", element.findtext("product_name"))
    minor = facts.whole("device_file", element.findtext("minor_number"), most=4096)
    mig = facts.text("partition", element.findtext("mig_mode/current_mig"))
    facts.unknown["compute_capability"] = f"{SOURCE} does not tell it"
    slices = tuple(_slice(at, one) for at, one in enumerate(element.findall("mig_devices/mig_device")))
    cut = bool(slices) or mig == "Enabled"
    return Gpu(
        index=index,
        name=name,
        type=gpu_type(name),
        uuid=facts.text("uuid", element.findtext("uuid")),
        bus=bus,
        memory=facts.whole("memory", element.findtext("fb_memory_usage/total"), "MiB", times=_MIB),
        architecture=facts.text("architecture", element.findtext("product_architecture")),
        device_file=None if minor is None else f"/dev/nvidia{minor}",
        partition="MIG" if cut else ("off" if mig == "Disabled" else None),
        slices=slices,
        allowed=not cut,
        excluded="MIG is on: only its slices can be used" if cut else "",
        unknown=facts.unknown,
    )


def _slice(index: int, element: ElementTree.Element) -> Slice:
    facts = Facts()
    instances = [
        facts.whole(name, element.findtext(name), most=4096) for name in ("gpu_instance_id", "compute_instance_id")
    ]
    return Slice(
        index,
        "/".join("?" if one is None else str(one) for one in instances),
        uuid=facts.text("uuid", element.findtext("uuid")),
        memory=facts.whole("memory", element.findtext("fb_memory_usage/total"), "MiB", times=_MIB),
    )


def _use(device: Gpu, element: ElementTree.Element) -> GpuUse:
    facts = Facts()
    total = facts.whole("memory_total", element.findtext("fb_memory_usage/total"), "MiB", times=_MIB)
    used = facts.whole("memory_used", element.findtext("fb_memory_usage/used"), "MiB", times=_MIB)
    slices: dict[str, int] = {}
    for at, one in enumerate(element.findall("mig_devices/mig_device")):
        part = _slice(at, one)
        amount = Facts().whole("used", one.findtext("fb_memory_usage/used"), "MiB", times=_MIB)
        if "?" not in part.instance and amount is not None:
            slices[part.instance] = amount
    return GpuUse(
        index=device.index,
        name=device.name,
        uuid=device.uuid,
        bus=device.bus,
        utilization=facts.percent("utilization", element.findtext("utilization/gpu_util")),
        memory_used=facts.used(used, total),
        memory_total=total,
        temperature=facts.number("temperature", element.findtext("temperature/gpu_temp"), "C", least=-60, most=200),
        power=facts.number("power", _first(element, _POWER), "W", most=100_000),
        ecc_corrected=_errors(facts, "ecc_corrected", element, _CORRECTED),
        ecc_uncorrected=_errors(facts, "ecc_uncorrected", element, _UNCORRECTED),
        processes=_processes(facts, element),
        slices_used=slices,
        unknown=facts.unknown,
    )


def _first(element: ElementTree.Element, paths: tuple[str, ...]) -> str | None:
    """The first of several places that has a number, else what the last one that is there says."""
    found = [text for text in (element.findtext(path) for path in paths) if text is not None]
    told = [text for text in found if text.strip()[:1].isdigit()]
    return next(iter(told or found[-1:]), None)


def _errors(facts: Facts, name: str, element: ElementTree.Element, kinds: tuple[tuple[str, ...], ...]) -> int | None:
    """The sum of the counters of the first set of them that is there."""
    for names in kinds:
        texts = [element.findtext(_ECC + one) for one in names]
        if None in texts:
            continue
        counts = [facts.whole(name, text) for text in texts]
        return sum(one for one in counts if one is not None) if None not in counts else None
    facts.unknown[name] = "not told"
    return None


def _processes(facts: Facts, element: ElementTree.Element) -> tuple[GpuProcess, ...] | None:
    holder = element.find("processes")
    if holder is None or (not len(holder) and (holder.text or "").strip()):
        facts.text("processes", None if holder is None else holder.text)
        facts.unknown.setdefault("processes", "not told")
        return None
    made = []
    for one in holder.findall("process_info"):
        mine = Facts()
        pid = mine.whole("pid", one.findtext("pid"), most=2**31)
        if pid is None:
            facts.unknown["processes"] = f"a process can't be read: pid {mine.unknown['pid']}"
            return None
        instance = [
            mine.whole(name, one.findtext(name), most=4096) for name in ("gpu_instance_id", "compute_instance_id")
        ]
        made.append(
            GpuProcess(
                pid,
                mine.text("type", one.findtext("type")),
                mine.text("process_name", one.findtext("process_name")),
                mine.whole("used_memory", one.findtext("used_memory"), "MiB", times=_MIB),
                None if None in instance else f"{instance[0]}/{instance[1]}",
            )
        )
    return tuple(made)
