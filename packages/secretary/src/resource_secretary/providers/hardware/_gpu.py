"""What GPUs of all makers have in common: the facts that are told of them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.result import Absent, Unreachable
from resource_secretary.system import System

_PCI = "/sys/bus/pci/devices"
MOST_MEMORY = 2**50  # bytes; more is no GPU of today, but a number that was read wrongly
_BUS = re.compile(r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\.([0-7])")
# What tools print in place of a value that they can't or won't tell, in brackets or without.
_NOTHING = re.compile(
    r"\[?(n/a|not (supported|available|found)|unknown( error)?|insufficient permissions?|function not found|"
    r"requested functionality has been deprecated|gpu is lost|gpu requires (a )?(reset|restart)|err!|none|-)\]?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a GPU that a process may be given: a MIG instance (NVIDIA), a partition (AMD). Never a whole GPU.

    instance: its ids within the GPU, such as 3/0 (GPU and compute instance). profile: such as 1g.10gb. memory: bytes.
    allowed: whether this process may use it, None where that can't be told.
    """

    index: int
    instance: str
    profile: str | None = None
    uuid: str | None = None
    memory: int | None = None
    allowed: bool | None = True


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. A value that is not known is null, and `unknown` says why, by the field's name.

    type: the short name that sites use for it, such as a100; the offer of this host is by it. memory: bytes. bus: its
    PCI address. integrated: it has no memory of its own. partition: how it is cut: MIG, off, SPX/NPS1. allowed:
    whether this process may use it as a whole; `excluded` says why not, or why that can't be told.
    """

    index: int
    name: str | None = None
    type: str | None = None
    uuid: str | None = None
    bus: str | None = None
    memory: int | None = None
    architecture: str | None = None
    compute_capability: str | None = None
    numa_node: int | None = None
    device_file: str | None = None
    integrated: bool = False
    partition: str | None = None
    slices: tuple[Slice, ...] = ()
    allowed: bool | None = True
    excluded: str = ""
    unknown: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """memory: bytes of the GPU. kind: C computes, G draws. instance: of the slice that it runs on, null for none."""

    pid: int
    kind: str | None
    name: str | None
    memory: int | None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class GpuUse:
    """How much a GPU does now. utilization: percent of the time; memory: bytes; temperature: degrees Celsius; power: W.

    ecc_*: memory errors since the driver was loaded. processes: null where they can't be seen. slices_used: bytes used
    of each slice, by its instance. A value that is not known is null, and `unknown` says why.
    """

    index: int
    name: str | None = None
    uuid: str | None = None
    bus: str | None = None
    utilization: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: float | None = None
    power: float | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    processes: tuple[GpuProcess, ...] | None = None
    slices_used: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unread:
    """A device that is there and can't be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs of a maker. total: all of the host; allowed: whole ones that this process may use, null where that can't
    be told. slices: parts into which GPUs are cut; they are not counted among the GPUs. source: who told. driver,
    runtime: versions (of CUDA or ROCm). notice: what did not answer.
    """

    source: str
    driver: str | None
    runtime: str | None
    total: int
    allowed: int | None
    slices: int
    allowed_slices: int | None
    devices: tuple[Gpu, ...]
    unread: tuple[Unread, ...] = ()
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one source told of the GPUs: the same devices, with what does not change and with their use."""

    source: str
    driver: str | None
    runtime: str | None
    devices: tuple[Gpu, ...]
    uses: tuple[GpuUse, ...]
    unread: tuple[Unread, ...] = ()
    notice: str = ""

    def summary(self) -> Gpus:
        every = [part.allowed for device in self.devices for part in device.slices]
        return Gpus(
            self.source,
            self.driver,
            self.runtime,
            total=len(self.devices) + len(self.unread),
            allowed=_count([device.allowed for device in self.devices]),
            slices=len(every),
            allowed_slices=_count(every),
            devices=self.devices,
            unread=self.unread,
            notice=self.notice,
        )


def told(name: str, found: Seen | Absent | Unreachable) -> Seen:
    """What was seen, for a tool. Raises CommandFailed where nobody tells, OutputError where no GPU can be read."""
    if not isinstance(found, Seen):
        raise CommandFailed(name, found.reason)
    if found.unread and not found.devices:
        raise OutputError(found.source, found.unread[0].name, found.unread[0].reason)
    return found


@dataclass(frozen=True, slots=True)
class Affinity:
    """What is near a GPU. cpus: the hardware threads of its NUMA node; nics: network devices of the same node."""

    index: int
    name: str | None
    bus: str | None
    numa_node: int | None
    cpus: str | None
    nics: tuple[str, ...]


class Facts:
    """Reads values for one device, and keeps why one is not known."""

    def __init__(self) -> None:
        self.unknown: dict[str, str] = {}

    def text(self, name: str, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            self.unknown[name] = "not told" if value is None else f"can't be read: {value!r:.60}"
            return None
        text = " ".join(str(value).split())
        if not text or _NOTHING.fullmatch(text):
            self.unknown[name] = text or "not told"
            return None
        if len(text) > 200 or not text.isprintable():
            self.unknown[name] = f"can't be read: {text!r:.60}"
            return None
        return text

    def number(
        self, name: str, value: object, unit: str = "", *, least: float = 0, most: float = MOST_MEMORY
    ) -> float | None:
        """A number with its unit behind it, as in `27 C`. A number out of bounds is not known."""
        text = self.text(name, value)
        if text is None:
            return None
        bare = text.removesuffix(unit).rstrip() if unit else text
        if (unit and bare == text) or not _NUMBER.fullmatch(bare) or not bare.isascii():
            self.unknown[name] = f"can't be read: {text!r:.60}"
            return None
        number = float(bare) if "." in bare else int(bare)
        if not (math.isfinite(number) and least <= number <= most):
            self.unknown[name] = f"can't be: {text[:60]}"
            return None
        return number

    def whole(self, name: str, value: object, unit: str = "", *, most: int = MOST_MEMORY, times: int = 1) -> int | None:
        number = self.number(name, value, unit, most=most / times)
        return None if number is None else int(number * times)

    def percent(self, name: str, value: object, unit: str = "%") -> float | None:
        return self.number(name, value, unit, most=100)

    def used(self, used: int | None, total: int | None) -> int | None:
        """The bytes in use, unless they are more than there are."""
        if used is None or total is None or used <= total:
            return used
        self.unknown["memory_used"] = f"can't be: {used} of {total} bytes"
        return None


def bus_of(text: str | None) -> str | None:
    """A PCI address as the kernel writes it: 0000:01:00.0. None where it is none."""
    match = _BUS.fullmatch(text.strip()) if text else None
    if not match:
        return None
    return f"{int(match[1] or '0', 16):04x}:{match[2]}:{match[3]}.{match[4]}".lower()


# Short names, as sites call the types of their GPUs: the first pattern that fits.
_TYPES = (
    (r"\b(mi\d{2,3}[a-z]?)\b", r"\1"),
    (r"\b((?:gb|gh|a|b|h|l|t|v|p|k|m)\d{1,3}0?[a-z]?)(?=$|[\s_-])", r"\1"),
    (r"\b(gtx|rtx|gt)[\s_-]*(pro)?[\s_-]*(a?\d{3,4})[\s_-]*(ti|super|ada|max-q|blackwell)?", r"\1\2\3\4"),
    (r"\b(flex|max)\s+(\d{3,4}[a-z]?)", r"\1\2"),
    (r"\barc(?:\(tm\))?\s+(?:pro\s+)?([ab]\d{2,3}[a-z]?)", r"\1"),
)
_MAKERS = re.compile(r"\((?:r|tm|c)\)|\b(nvidia|amd|intel|corporation|graphics)\b|[\[\]]")


def gpu_type(name: str | None) -> str | None:
    """The short name of a GPU: a100 of NVIDIA A100-SXM4-80GB, mi100 of Arcturus GL-XL [Instinct MI100]."""
    if not name:
        return None
    text = name.lower()
    for pattern, short in _TYPES:
        if match := re.search(pattern, text):
            return re.sub(r"[^a-z0-9]", "", match.expand(short))
    return re.sub(r"[^a-z0-9.]+", "-", _MAKERS.sub(" ", text)).strip("-") or None


def pci_devices(system: System, vendor: str, classes: Collection[str] = ("0x0300", "0x0302", "0x0380")) -> list[str]:
    """The PCI addresses of a maker's devices, without virtual functions of a device that is here too (SR-IOV).

    By default displays: VGA, 3D and other controllers (PCI code 03).
    """
    return [
        bus
        for bus in system.entries(_PCI)
        if system.read(f"{_PCI}/{bus}/vendor") == vendor
        and (system.read(f"{_PCI}/{bus}/class") or "")[:6] in classes
        and not system.exists(f"{_PCI}/{bus}/physfn")
    ]


def numa_node(system: System, bus: str | None) -> int | None:
    """The NUMA node that a PCI device is near; None where the firmware doesn't tell (the kernel says -1)."""
    text = system.read(f"{_PCI}/{bus}/numa_node") if bus else None
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else None


def with_nodes(system: System, devices: Iterable[Gpu]) -> tuple[Gpu, ...]:
    """The devices, each with its NUMA node from sysfs where its own tool did not tell it."""
    made = []
    for device in devices:
        unknown = dict(device.unknown)
        node = device.numa_node if device.numa_node is not None else numa_node(system, device.bus)
        if node is None:
            unknown.setdefault("numa_node", "the firmware does not tell")
        else:
            unknown.pop("numa_node", None)
        made.append(replace(device, numa_node=node, unknown=unknown))
    return tuple(made)


def near(system: System, devices: Iterable[Gpu]) -> list[Affinity]:
    """What is near each device, by sysfs."""
    nics: dict[int, list[str]] = {}
    for kind in ("infiniband", "cxi", "net"):
        for name in system.entries(f"/sys/class/{kind}"):
            text = system.read(f"/sys/class/{kind}/{name}/device/numa_node") or ""
            if text.isascii() and text.isdecimal() and len(text) < 6:
                nics.setdefault(int(text), []).append(name)
    return [
        Affinity(
            device.index,
            device.name,
            device.bus,
            device.numa_node,
            system.read(f"{_PCI}/{device.bus}/local_cpulist") or None if device.bus else None,
            tuple(nics.get(device.numa_node, ())) if device.numa_node is not None else (),
        )
        for device in devices
    ]


def _count(allowed: Iterable[bool | None]) -> int | None:
    some = list(allowed)
    return None if None in some else sum(1 for one in some if one)


def as_dict(value: Any) -> dict[str, Any]:
    """A JSON object, or an empty one where it is none."""
    return value if isinstance(value, dict) else {}
