"""NVIDIA's GPUs, asked through NVML, else `nvidia-smi -q -x`, else what its kernel driver shows in /proc."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from resource_secretary.errors import CommandFailed, OutputError, SecretaryError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.hardware._gpu import (
    Affinity,
    Gpu,
    Gpus,
    GpuUse,
    Seen,
    bus_of,
    gpu_type,
    near,
    pci_devices,
    told,
    with_nodes,
)
from resource_secretary.providers.hardware._gpu_access import visible, with_files
from resource_secretary.sidebyside import side_by_side

VENDOR = "0x10de"
_PROC = "/proc/driver/nvidia"
_MAJOR = 195  # of /dev/nvidia0 and so on: Documentation/admin-guide/devices.txt
_SMI = ("nvidia-smi", "-q", "-x")
_CAPABILITY = ("nvidia-smi", "--query-gpu=pci.bus_id,compute_cap", "--format=csv,noheader")
_NO_DEVICE = "No devices were found"
_RESERVE = 0.1  # seconds of the deadline that NVML does not get


class NvidiaGpuProvider(BaseProvider):
    category = "hardware"
    name = "nvidia-gpu"
    description = "NVIDIA GPUs: what they are, MIG slices, use and errors, and which of them this process may use."
    fresh_for = 60.0
    variables = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "SLURM_JOB_ID", "FLUX_JOB_ID")

    def probe(self) -> Active[Gpus] | Absent | Unreachable:
        found = self._look(use=False)
        return Active(found.summary()) if isinstance(found, Seen) else found

    @secretary_tool
    def devices(self) -> list[Gpu]:
        """The GPUs with their memory, their slices, and whether this process may use them, and why not."""
        return list(self._seen(use=False).devices)

    @secretary_tool
    def use(self) -> list[GpuUse]:
        """How busy each GPU is now: utilisation, memory in use, temperature, power, memory errors, processes on it."""
        seen = self._seen(use=True)
        if not seen.uses:
            raise CommandFailed(seen.source, "it does not tell the use of GPUs; install nvidia-smi or nvidia-ml-py")
        return list(seen.uses)

    @secretary_tool
    def topology(self) -> list[Affinity]:
        """What is near each GPU: its NUMA node, the hardware threads and the network devices of that node."""
        return near(self.system, self._seen(use=False).devices)

    def _seen(self, *, use: bool) -> Seen:
        return told(self.name, self._look(use=use))

    def _look(self, *, use: bool) -> Seen | Absent | Unreachable:
        buses = pci_devices(self.system, VENDOR)
        driver = self.system.exists(f"{_PROC}/version")
        if not buses and not driver and not self.system.which("nvidia-smi"):
            return Absent(
                f"a PCI display device of NVIDIA (vendor {VENDOR}), {_PROC}/version, and the command nvidia-smi on PATH"
            )
        failed: list[tuple[str, str]] = []
        seen: Seen | None = None
        for source in (partial(self._nvml, use), self._smi):
            try:
                seen = source()
            except CommandFailed as error:
                failed.append((error.command, error.said))
            except OutputError as error:
                failed.append((error.source, str(error).removeprefix(f"{error.source}: ")))
            # What hangs the library hangs nvidia-smi too: it is not asked in what little time is left.
            if seen is not None or self.system.left() < 2 * _RESERVE:
                break
        notice = "; ".join(f"{command}: {said}" for command, said in failed)
        if seen is None and not failed:
            seen = self._proc()
        if seen is None:
            return _nothing(failed, buses)
        if not seen.devices and not seen.unread and not buses:
            return Absent(f"an NVIDIA GPU: {seen.source} tells of none")
        return self._judged(replace(seen, notice=notice), buses)

    def _nvml(self, use: bool) -> Seen | None:
        """By the library. A call of it may hang in the kernel: its thread is left behind then."""
        nvml = self.system.nvml()
        if nvml is None:
            return None
        from resource_secretary.providers.hardware._nvidia_nvml import SOURCE, read_nvml

        wait = max(0.0, self.system.left() - _RESERVE)
        [outcome] = side_by_side([partial(read_nvml, nvml, use=use)], wait)
        if outcome is None:
            raise CommandFailed(SOURCE, f"no answer in {round(wait, 1):g} s")
        if isinstance(outcome.error, SecretaryError):
            raise outcome.error
        if outcome.error is not None:
            raise CommandFailed(SOURCE, f"{type(outcome.error).__name__}: {outcome.error}"[:200])
        return outcome.value

    def _smi(self) -> Seen | None:
        if not self.system.which(_SMI[0]):
            return None
        from resource_secretary.providers.hardware._nvidia_xml import SOURCE, read_smi

        ran = self.system.run(*_SMI)
        if _NO_DEVICE in ran.stdout[:200] and not ran.problem:  # exit code 6, or 0 of older ones
            return Seen(SOURCE, None, None, (), ())
        seen = read_smi(ran.text())
        capability = self.system.run(*_CAPABILITY)
        rows = [row.partition(",")[::2] for row in capability.stdout.splitlines()] if capability.ok else []
        told = {bus_of(bus): value.strip() for bus, value in rows}
        why = "" if capability.ok else f"{capability.command}: {capability.said}"
        return replace(seen, devices=tuple(_capable(device, told.get(device.bus), why) for device in seen.devices))

    def _proc(self) -> Seen | None:
        """What the driver shows where neither tool is installed: names and addresses, no memory and no use."""
        devices = []
        for index, bus in enumerate(self.system.entries(f"{_PROC}/gpus")):
            text = self.system.read(f"{_PROC}/gpus/{bus}/information") or ""
            rows = dict(row.partition(":")[::2] for row in text.splitlines())
            facts = {key.strip(): value.strip() for key, value in rows.items()}
            name, minor = facts.get("Model"), facts.get("Device Minor", "")
            known = minor.isascii() and minor.isdecimal() and len(minor) < 5
            why = f"{_PROC} does not tell"
            unknown = dict.fromkeys(("memory", "architecture", "compute_capability", "partition"), why)
            uuid = facts.get("GPU UUID") or None
            if uuid is None or "?" in uuid:  # the driver writes question marks until the device was opened once
                uuid, unknown["uuid"] = None, "the device has not been opened yet"
            device = Gpu(index, name, gpu_type(name), uuid, bus_of(bus), unknown=unknown)
            devices.append(replace(device, device_file=f"/dev/nvidia{int(minor)}") if known else device)
        return Seen(f"{_PROC}/gpus", None, None, tuple(devices), ()) if devices else None

    def _judged(self, seen: Seen, buses: list[str]) -> Seen:
        """With the devices that the tool was not shown, and with what this process may use of them all."""
        listed = {device.bus for device in seen.devices}
        why = f"the PCI bus has it and {seen.source} does not tell of it: a container or control group hides it"
        # A device that the tool could not read is on the bus too, and is counted already.
        hidden = [bus for bus in buses if bus not in listed]
        hidden = hidden[: max(0, len(buses) - len(seen.devices) - len(seen.unread))]
        first = len(seen.devices) + len(seen.unread)
        unknown = ("name", "memory")
        others = [
            Gpu(
                first + at,
                bus=bus,
                allowed=False,
                excluded=self._taken(bus) or why,
                unknown=dict.fromkeys(unknown, "hidden"),
            )
            for at, bus in enumerate(hidden)
        ]
        devices = with_files(self.system, seen.devices, _MAJOR, "/dev/nvidiactl")
        doubt = _doubt(devices, self.system.environ)
        if doubt:
            devices = tuple(_doubtful(device, doubt) for device in devices)
        else:
            usable = [device for device in devices if device.allowed is not False or device.slices]
            chosen = {
                device.index: device for device in visible(usable, self.system.environ, ("CUDA_VISIBLE_DEVICES",))
            }
            devices = tuple(chosen.get(device.index, device) for device in devices)
        return replace(seen, devices=with_nodes(self.system, [*devices, *others]))

    def _taken(self, bus: str) -> str:
        """Whether another driver has a device, such as vfio-pci for a virtual machine."""
        driver = (self.system.target(f"/sys/bus/pci/devices/{bus}/driver") or "").rpartition("/")[2]
        return f"the driver {driver} has it" if driver not in ("", "nvidia") else ""


def _nothing(failed: list[tuple[str, str]], buses: list[str]) -> Absent | Unreachable:
    on_bus = f"{len(buses)} on the PCI bus ({', '.join(buses[:8])})" if buses else ""
    if failed:
        command, said = failed[-1]
        others = "; ".join(f"{one}: {what}" for one, what in failed[:-1])
        return Unreachable(command, "; ".join(part for part in (said, others, on_bus) if part))
    if buses:
        return Unreachable("the NVIDIA driver", f"it is not loaded, or not shown here; NVIDIA devices: {on_bus}")
    return Absent(f"an NVIDIA GPU in {_PROC}/gpus")


def _capable(device: Gpu, told: str | None, why: str) -> Gpu:
    if not told or not told.isascii() or not told.replace(".", "", 1).isdecimal() or len(told) > 8:
        said = why or told or device.unknown["compute_capability"]
        return replace(device, unknown=device.unknown | {"compute_capability": said[:200]})
    unknown = {name: why for name, why in device.unknown.items() if name != "compute_capability"}
    return replace(device, compute_capability=told, unknown=unknown)


def _doubt(devices: tuple[Gpu, ...], environ: dict[str, str]) -> str:
    """Why numbers in CUDA_VISIBLE_DEVICES can't be told to be the numbers that NVML gives, "" where they are the same.

    CUDA counts the fastest GPU first unless CUDA_DEVICE_ORDER is PCI_BUS_ID, and counts slices in a way of its own
    (CUDA C++ Programming Guide; MIG User Guide, "CUDA Device Enumeration").
    """
    words = [word.strip() for word in environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    numbers = {word for word in words if word.isdecimal()}
    if not numbers:
        return ""
    if any(device.slices for device in devices):
        return "CUDA_VISIBLE_DEVICES has numbers, and with MIG it counts otherwise than the driver"
    if len(numbers) >= len(devices):
        return ""
    mixed = len({device.name for device in devices}) > 1
    if mixed and environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        return (
            "CUDA_VISIBLE_DEVICES has numbers, and CUDA_DEVICE_ORDER is not PCI_BUS_ID: CUDA counts the fastest first"
        )
    return ""


def _doubtful(device: Gpu, why: str) -> Gpu:
    slices = tuple(replace(one, allowed=None if one.allowed else one.allowed) for one in device.slices)
    if device.allowed is False:
        return replace(device, slices=slices)
    return replace(device, allowed=None, excluded=why, slices=slices)
