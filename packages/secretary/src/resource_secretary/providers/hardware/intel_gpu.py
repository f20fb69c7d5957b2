"""Intel's GPUs, asked through `xpu-smi`, else what the kernel's drivers i915 and xe show."""

from __future__ import annotations

import re
from dataclasses import replace

from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.hardware._gpu import (
    Affinity,
    Facts,
    Gpu,
    Gpus,
    GpuUse,
    Seen,
    Unread,
    near,
    pci_devices,
    told,
    with_nodes,
)
from resource_secretary.providers.hardware._gpu_access import visible, with_files

VENDOR = "0x8086"
_PCI = "/sys/bus/pci/devices"
_MAJOR = 226  # of /dev/dri/renderD128 and so on: Documentation/admin-guide/devices.txt
_DRIVERS = ("i915", "xe")
_DISCOVERY = ("xpu-smi", "discovery", "-j")
_MOST = 16  # devices that are asked one by one
# Intel's processors have their graphics at this address, whatever it is called.
_INTEGRATED = "0000:00:02.0"


class IntelGpuProvider(BaseProvider):
    category = "hardware"
    name = "intel-gpu"
    description = "Intel GPUs: what they are and their use; integrated ones, which share the host's memory, are told."
    fresh_for = 60.0
    variables = ("ZE_AFFINITY_MASK", "ZE_FLAT_DEVICE_HIERARCHY", "SLURM_JOB_ID", "FLUX_JOB_ID")

    def probe(self) -> Active[Gpus] | Absent | Unreachable:
        found = self._look()
        return Active(found.summary()) if isinstance(found, Seen) else found

    @secretary_tool
    def devices(self) -> list[Gpu]:
        """The GPUs with their memory, whether they are integrated, and whether this process may use them."""
        return list(self._seen().devices)

    @secretary_tool
    def use(self) -> list[GpuUse]:
        """How busy each GPU is now: utilisation, memory in use, temperature, power."""
        from resource_secretary.providers.hardware._intel_json import read_stats

        seen = self._seen()
        if not self.system.which("xpu-smi"):
            raise CommandFailed("xpu-smi", "not found on PATH, and the kernel does not tell the use of Intel's GPUs")
        made = []
        for device in seen.devices[:_MOST]:
            why = "xpu-smi does not know it"  # the kernel does not tell names
            if device.name is not None:
                ran = self.system.run("xpu-smi", "stats", "-d", str(device.index), "-j")
                try:
                    made.append(read_stats(ran.text(), device))
                    continue
                except (CommandFailed, OutputError) as error:
                    why = str(error)[:300]
            unknown = dict.fromkeys(("utilization", "memory_used", "temperature", "power"), why)
            made.append(GpuUse(device.index, device.name, device.uuid, device.bus, unknown=unknown))
        return made

    @secretary_tool
    def topology(self) -> list[Affinity]:
        """What is near each GPU: its NUMA node, the hardware threads and the network devices of that node."""
        return near(self.system, self._seen().devices)

    def _seen(self) -> Seen:
        return told(self.name, self._look())

    def _look(self) -> Seen | Absent | Unreachable:
        buses = pci_devices(self.system, VENDOR)
        tool = self.system.which("xpu-smi")
        if not buses and not tool:
            return Absent(f"a PCI display device of Intel (vendor {VENDOR}), and the command xpu-smi on PATH")
        failed: tuple[str, str] | None = None
        told: tuple[Gpu, ...] = ()
        driver: str | None = None
        unread: tuple[Unread, ...] = ()
        if tool:
            try:
                told, unread, driver = self._xpu_smi()
            except CommandFailed as error:
                failed = (error.command, error.said)
            except OutputError as error:
                failed = (error.source, str(error).removeprefix(f"{error.source}: "))
        told = tuple(replace(device, integrated=device.bus == _INTEGRATED) for device in told)
        # What xpu-smi leaves out: integrated ones, and those of drivers that it does not know.
        others = [bus for bus in buses if bus not in {device.bus for device in told}]
        first = max((device.index for device in told), default=-1) + 1
        shown = tuple(one for one in (self._sysfs(first + at, bus) for at, bus in enumerate(others)) if one)
        if not told and not shown and not unread:
            if failed and (buses or "no device" not in failed[1].lower()):
                return Unreachable(*failed)
            if buses:
                return Unreachable(
                    "the drivers i915 and xe", f"they have none of {', '.join(buses[:8])} on the PCI bus"
                )
            return Absent("an Intel GPU: xpu-smi tells of none")
        source = " and ".join(part for part, some in ((" ".join(_DISCOVERY), told), ("sysfs", shown)) if some)
        notice = f"{failed[0]}: {failed[1]}" if failed else ""
        devices = with_files(self.system, [*told, *shown], _MAJOR, "/dev/dri")
        if self._counts_tiles(devices):
            why = "ZE_AFFINITY_MASK counts tiles unless ZE_FLAT_DEVICE_HIERARCHY is COMPOSITE"
            devices = tuple(replace(one, allowed=one.allowed and None, excluded=one.excluded or why) for one in devices)
        else:
            devices = visible(devices, self._mask(), ("ZE_AFFINITY_MASK",))
        return Seen(source, driver, None, with_nodes(self.system, devices), (), unread, notice)

    def _counts_tiles(self, devices: tuple[Gpu, ...]) -> bool:
        """Whether the numbers of ZE_AFFINITY_MASK are not those of devices (Level Zero, "Device Hierarchy")."""
        environ = self.system.environ
        flat = environ.get("ZE_FLAT_DEVICE_HIERARCHY", "FLAT") != "COMPOSITE"
        return bool(environ.get("ZE_AFFINITY_MASK")) and flat and any(device.partition for device in devices)

    def _mask(self) -> dict[str, str]:
        """ZE_AFFINITY_MASK with the devices only: 0.1 is tile 1 of device 0 (oneAPI Level Zero specification)."""
        mask = self.system.environ.get("ZE_AFFINITY_MASK")
        if not mask:
            return {}
        devices = dict.fromkeys(word.strip().partition(".")[0] for word in mask.split(","))
        return {"ZE_AFFINITY_MASK": ",".join(devices)}

    def _xpu_smi(self) -> tuple[tuple[Gpu, ...], tuple[Unread, ...], str | None]:
        from resource_secretary.providers.hardware._intel_json import driver_of, read_details, read_discovery

        devices, unread = read_discovery(self.system.run(*_DISCOVERY).text())
        made: list[Gpu] = []
        driver: str | None = None
        for device in devices:
            answer = None
            if device.memory is None and len(made) < _MOST:
                answer = self.system.run("xpu-smi", "discovery", "-d", str(device.index), "-j")
            if answer is None or not answer.ok:
                made.append(device)
                continue
            driver = driver or driver_of(answer.stdout)
            try:
                made.append(read_details(answer.stdout, device))
            except OutputError as error:
                made.append(replace(device, unknown=device.unknown | {"memory": str(error)[:200]}))
        return tuple(made), unread, driver

    def _sysfs(self, index: int, bus: str) -> Gpu | None:
        """A device that i915 or xe drives. lmem_total_bytes is of i915 with memory of its own, tile0/... of xe."""
        folder = f"{_PCI}/{bus}"
        driver = (self.system.target(f"{folder}/driver") or "").rpartition("/")[2]
        if driver not in _DRIVERS:
            return None
        facts = Facts()
        nodes = self.system.entries(f"{folder}/drm")
        card = next((one for one in nodes if re.fullmatch(r"card\d{1,4}", one)), None)
        render = next((one for one in nodes if re.fullmatch(r"renderD\d{1,4}", one)), None)
        sizes = [self.system.read(f"{folder}/drm/{card}/lmem_total_bytes")] if card else []
        sizes += [
            self.system.read(f"{folder}/{name}/physical_vram_size_bytes")
            for name in self.system.entries(folder)
            if re.fullmatch(r"tile\d", name)
        ]
        told = [facts.whole("memory", size, most=2**50) for size in sizes if size is not None]
        own = sum(size for size in told if size is not None)
        integrated = bus == _INTEGRATED and not own
        if not own:
            why = "it is integrated: it shares the host's memory" if integrated else f"{driver} does not tell"
            facts.unknown["memory"] = why
        number = self.system.read(f"{folder}/device") or ""
        facts.unknown["name"] = f"the kernel knows only its PCI number {number[:10]}"
        return Gpu(
            index=index,
            bus=bus,
            memory=own or None,
            device_file=f"/dev/dri/{render}" if render else None,
            integrated=integrated,
            unknown=facts.unknown,
        )
