"""Read the JSON of nvme-cli: `nvme list -o json` in its two shapes, and `nvme smart-log -o json`.

Version 1 lists namespaces with a DevicePath; version 2 lists hosts with subsystems with controllers with namespaces.
NVM Express Base Specification 2.0, figure 207 (SMART / Health Information).
"""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.reading import Record, each, read_object, strange


@dataclass(frozen=True, slots=True)
class NvmeUse:
    """How much of a namespace is allocated. Bytes. problem: why the entry can't be read, or ""."""

    name: str
    model: str | None
    firmware: str | None
    size: int | None
    used: int | None
    sector: int | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NvmeWear:
    """wear: percent of the life that the maker expects, may be over 100. spare: percent of spare blocks left.
    temperature: degrees Celsius. warnings: bits that the device sets when something is wrong, 0 for none. Bytes written
    are counted by the host.
    """

    device: str
    wear: int | None
    spare: int | None
    temperature: int | None
    warnings: int | None
    written: int | None


def read_list(text: str) -> list[NvmeUse]:
    """The namespaces of `nvme list -o json`. Raises OutputError."""
    found = []
    answer = read_object("nvme list -o json", text)
    if "Devices" not in answer.fields:
        raise strange("nvme list -o json", "has no Devices", text)
    for device in answer.parts("Devices"):
        if "Subsystems" not in device.fields:
            found.append((device, device))
            continue
        for subsystem in device.parts("Subsystems"):
            controllers = subsystem.parts("Controllers")
            for controller in controllers:
                found += [(namespace, controller) for namespace in controller.parts("Namespaces")]
            # With multipath they belong to the subsystem, and any of its controllers tells what they are.
            if controllers:
                found += [(namespace, controllers[0]) for namespace in subsystem.parts("Namespaces")]
    owners = {id(namespace): owner for namespace, owner in found}
    return each([one for one, _ in found], lambda one: _use(one, owners[id(one)]), _unread)


def read_smart(text: str, device: str) -> NvmeWear:
    """The health of `nvme smart-log -o json`. Raises OutputError."""
    record = read_object(f"nvme smart-log {device}", text)
    kelvin = record.number("temperature")
    warning = record.get("critical_warning")
    # Since 2.x it is an object with the value and its bits.
    part, name = (
        (record.part("critical_warning"), "value") if isinstance(warning, dict) else (record, "critical_warning")
    )
    wear = NvmeWear(
        device=device,
        wear=record.number("percent_used", "percentage_used"),
        spare=record.number("avail_spare"),
        temperature=kelvin - 273 if kelvin is not None and 173 <= kelvin <= 573 else None,
        warnings=part.number(name),
        # A data unit is 1,000 times 512 bytes (ibid.).
        written=record.number("data_units_written", unit=512_000),
    )
    if wear.wear is None and wear.spare is None:
        raise record.error("has neither percent_used nor avail_spare")
    return wear


def read_error(text: str) -> str:
    """The error in what nvme-cli prints where it fails, "" where there is none."""
    try:
        return read_object("nvme", text).text("error", default="")
    except OutputError:
        return ""


def _use(record: Record, owner: Record) -> NvmeUse:
    name = record.get("DevicePath", "NameSpace", "Namespace")
    if not isinstance(name, str):
        raise record.error(f"NameSpace must be a text, not {name!r:.60}")
    size, used = record.number("PhysicalSize"), record.number("UsedBytes")
    if size is not None and used is not None and used > size:
        raise record.error(f"of {size} bytes {used} can't be in use")
    return NvmeUse(
        name=record.text("DevicePath", "NameSpace", "Namespace").removeprefix("/dev/"),
        model=owner.text("ModelNumber", default="").strip() or None,
        firmware=owner.text("Firmware", default="").strip() or None,
        size=size,
        used=used,
        sector=record.number("SectorSize"),
    )


def _unread(reason: str) -> NvmeUse:
    return NvmeUse("", None, None, None, None, None, problem=reason)
