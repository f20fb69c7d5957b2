"""NVIDIA's management library (NVML), by the functions of the module pynvml of nvidia-ml-py.

NVML API Reference Guide: a function that a device, driver or user can't have returns an error, and its text is the
reason why that value is not known.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from resource_secretary.errors import CommandFailed
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

SOURCE = "NVML"
_TEMPERATURE_GPU = 0  # nvmlTemperatureSensors_t NVML_TEMPERATURE_GPU
_VOLATILE = 0  # nvmlEccCounterType_t NVML_VOLATILE_ECC: since the driver was loaded
_CORRECTED, _UNCORRECTED = 0, 1  # nvmlMemoryErrorType_t
_PROCESS_VERSIONS = ("_v3", "_v2", "")  # of drivers since 510, since 460, and before
_ARCHITECTURES = {  # nvmlDeviceArchitecture_t
    2: "Kepler",
    3: "Maxwell",
    4: "Pascal",
    5: "Volta",
    6: "Turing",
    7: "Ampere",
    8: "Ada Lovelace",
    9: "Hopper",
    10: "Blackwell",
}


def read_nvml(nvml: Any, *, use: bool = True) -> Seen:
    """What the library tells; use: also what the devices do now, which takes most of the calls.

    Raises CommandFailed where it can't be used: no driver, no library, no permission.
    """
    try:
        nvml.nvmlInit()
        try:
            return _Reader(nvml).everything(use)
        finally:
            with suppress(nvml.NVMLError):
                nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise CommandFailed(SOURCE, _said(error)) from None


def _said(error: BaseException) -> str:
    return (str(error).splitlines() or ["an error without a text"])[0][:200]


class _Reader:
    def __init__(self, nvml: Any) -> None:
        self.nvml = nvml
        # What a function raises that this version of the driver's library has not, where its name has no version.
        mismatch = getattr(nvml, "NVMLLibraryMismatchError", nvml.NVMLError)
        self.errors: tuple[type[Exception], ...] = (nvml.NVMLError, mismatch)

    def everything(self, use: bool) -> Seen:
        facts = Facts()
        cuda = self.ask(facts, "cuda", "nvmlSystemGetCudaDriverVersion")
        devices: list[Gpu] = []
        uses: list[GpuUse] = []
        unread: list[Unread] = []
        for index in range(int(self.nvml.nvmlDeviceGetCount())):
            try:
                handle = self.nvml.nvmlDeviceGetHandleByIndex(index)
            except self.nvml.NVMLError as error:
                unread.append(Unread(f"GPU {index}", _said(error)))
                continue
            devices.append(self.device(index, handle))
            if use:
                uses.append(self.use(devices[-1], handle))
        return Seen(
            SOURCE,
            self.text(facts, "driver", "nvmlSystemGetDriverVersion"),
            f"{cuda // 1000}.{cuda % 1000 // 10}" if isinstance(cuda, int) and 0 < cuda < 10**6 else None,
            tuple(devices),
            tuple(uses),
            tuple(unread),
        )

    def ask(self, facts: Facts, field: str, function: str, *arguments: object) -> Any:
        """What a function returns; None with the reason where it fails, or is not there in this version."""
        try:
            value = getattr(self.nvml, function)(*arguments)
        except self.errors as error:
            facts.unknown[field] = _said(error)
            return None
        except AttributeError:
            facts.unknown[field] = f"nvidia-ml-py has no {function}"
            return None
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def text(self, facts: Facts, field: str, function: str, *arguments: object) -> str | None:
        value = self.ask(facts, field, function, *arguments)
        return None if value is None else facts.text(field, value)

    def device(self, index: int, handle: Any) -> Gpu:
        facts = Facts()
        name = self.text(facts, "name", "nvmlDeviceGetName", handle)
        pci = self.ask(facts, "bus", "nvmlDeviceGetPciInfo", handle)
        bus = getattr(pci, "busId", None)
        memory = self.ask(facts, "memory", "nvmlDeviceGetMemoryInfo", handle)
        minor = self.ask(facts, "device_file", "nvmlDeviceGetMinorNumber", handle)
        capability = self.ask(facts, "compute_capability", "nvmlDeviceGetCudaComputeCapability", handle)
        architecture = self.ask(facts, "architecture", "nvmlDeviceGetArchitecture", handle)
        mig = self.ask(facts, "partition", "nvmlDeviceGetMigMode", handle)
        on = bool(mig) and mig[0] == 1
        return Gpu(
            index=index,
            name=name,
            type=gpu_type(name),
            uuid=self.text(facts, "uuid", "nvmlDeviceGetUUID", handle),
            bus=bus_of(bus.decode(errors="replace") if isinstance(bus, bytes) else bus),
            memory=None if memory is None else facts.whole("memory", memory.total),
            architecture=None if architecture is None else _ARCHITECTURES.get(architecture, f"{architecture}"),
            compute_capability=f"{capability[0]}.{capability[1]}" if capability else None,
            device_file=None if minor is None else f"/dev/nvidia{minor}",
            partition="MIG" if on else ("off" if mig else None),
            slices=tuple(self.slice(at, one) for at, one in enumerate(self.parts(handle))) if on else (),
            allowed=not on,
            excluded="MIG is on: only its slices can be used" if on else "",
            unknown=facts.unknown,
        )

    def parts(self, handle: Any) -> list[Any]:
        """The handles of the MIG devices of a GPU; a number without one is not in use."""
        facts = Facts()
        most = self.ask(facts, "slices", "nvmlDeviceGetMaxMigDeviceCount", handle) or 0
        found = [self.ask(facts, "slices", "nvmlDeviceGetMigDeviceHandleByIndex", handle, at) for at in range(most)]
        return [one for one in found if one is not None]

    def slice(self, index: int, handle: Any) -> Slice:
        facts = Facts()
        ids = [self.ask(facts, "instance", f"nvmlDeviceGet{which}InstanceId", handle) for which in ("Gpu", "Compute")]
        name = self.text(facts, "profile", "nvmlDeviceGetName", handle)  # NVIDIA A100-SXM4-80GB MIG 2g.20gb
        memory = self.ask(facts, "memory", "nvmlDeviceGetMemoryInfo", handle)
        return Slice(
            index,
            "/".join("?" if one is None else str(one) for one in ids),
            profile=name.partition(" MIG ")[2] or None if name else None,
            uuid=self.text(facts, "uuid", "nvmlDeviceGetUUID", handle),
            memory=None if memory is None else facts.whole("memory", memory.total),
        )

    def use(self, device: Gpu, handle: Any) -> GpuUse:
        facts = Facts()
        rates = self.ask(facts, "utilization", "nvmlDeviceGetUtilizationRates", handle)
        memory = self.ask(facts, "memory_used", "nvmlDeviceGetMemoryInfo", handle)
        warmth = self.ask(facts, "temperature", "nvmlDeviceGetTemperature", handle, _TEMPERATURE_GPU)
        power = self.ask(facts, "power", "nvmlDeviceGetPowerUsage", handle)
        errors = [
            self.ask(facts, field, "nvmlDeviceGetTotalEccErrors", handle, kind, _VOLATILE)
            for field, kind in (("ecc_corrected", _CORRECTED), ("ecc_uncorrected", _UNCORRECTED))
        ]
        total = None if memory is None else facts.whole("memory_total", memory.total)
        used = None if memory is None else facts.whole("memory_used", memory.used)
        slices: dict[str, int] = {}
        for part, one in zip(device.slices, self.parts(handle) if device.slices else (), strict=False):
            inside = self.ask(Facts(), "memory", "nvmlDeviceGetMemoryInfo", one)
            if inside is not None:
                slices[part.instance] = int(inside.used)
        return GpuUse(
            index=device.index,
            name=device.name,
            uuid=device.uuid,
            bus=device.bus,
            utilization=None if rates is None else facts.percent("utilization", rates.gpu, ""),
            memory_used=facts.used(used, total),
            memory_total=total,
            temperature=None if warmth is None else facts.number("temperature", warmth, least=-60, most=200),
            power=None if power is None else facts.number("power", power / 1000, most=100_000),
            ecc_corrected=None if errors[0] is None else facts.whole("ecc_corrected", errors[0]),
            ecc_uncorrected=None if errors[1] is None else facts.whole("ecc_uncorrected", errors[1]),
            processes=self.processes(facts, handle),
            slices_used=slices,
            unknown=facts.unknown,
        )

    def processes(self, facts: Facts, handle: Any) -> tuple[GpuProcess, ...] | None:
        found = None
        for version in _PROCESS_VERSIONS:
            found = self.ask(facts, "processes", f"nvmlDeviceGetComputeRunningProcesses{version}", handle)
            if found is not None:
                break
        else:
            return None
        facts.unknown.pop("processes", None)
        made = []
        for one in found:
            ids = [getattr(one, f"{which}InstanceId", None) for which in ("gpu", "compute")]
            # 0xFFFFFFFF: the process runs on no slice (nvmlProcessInfo_t).
            inside = all(isinstance(number, int) and number < 4096 for number in ids)
            made.append(
                GpuProcess(
                    int(one.pid),
                    "C",
                    self.text(Facts(), "name", "nvmlSystemGetProcessName", one.pid),
                    None if one.usedGpuMemory is None else Facts().whole("memory", one.usedGpuMemory),
                    f"{ids[0]}/{ids[1]}" if inside else None,
                )
            )
        return tuple(made)
