"""AMD's GPUs, asked through `amd-smi`, else `rocm-smi`, else what the kernel's driver amdgpu shows."""

from __future__ import annotations

from dataclasses import replace

from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.hardware._gpu import (
    Affinity,
    Gpu,
    Gpus,
    GpuUse,
    Seen,
    near,
    pci_devices,
    told,
    with_nodes,
)
from resource_secretary.providers.hardware._gpu_access import visible, with_files

VENDOR = "0x1002"
_MAJOR = 226  # of /dev/dri/renderD128 and so on: Documentation/admin-guide/devices.txt
_CLASSES = ("0x0300", "0x0302", "0x0380", "0x1200")  # Instinct devices are processing accelerators (PCI code 12)
_STATIC, _METRIC = ("amd-smi", "static", "--json"), ("amd-smi", "metric", "--json")
_PROCESS = ("amd-smi", "process", "--json")
_ROCM = (
    *("rocm-smi", "--showid", "--showuniqueid", "--showproductname", "--showbus", "--showmeminfo", "vram", "--showuse"),
    *("--showtemp", "--showpower", "--showdriverversion", "--showtoponuma", "--json"),
)
_VARIABLES = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


class AmdGpuProvider(BaseProvider):
    category = "hardware"
    name = "amd-gpu"
    description = "AMD GPUs: what they are, partitions, use and errors, and which of them this process may use."
    fresh_for = 60.0
    variables = (*_VARIABLES, "SLURM_JOB_ID", "FLUX_JOB_ID")

    def probe(self) -> Active[Gpus] | Absent | Unreachable:
        found = self._look(use=False)
        return Active(found.summary()) if isinstance(found, Seen) else found

    @secretary_tool
    def devices(self) -> list[Gpu]:
        """The GPUs with their memory, their partitions, and whether this process may use them, and why not."""
        return list(self._seen(use=False).devices)

    @secretary_tool
    def use(self) -> list[GpuUse]:
        """How busy each GPU is now: utilisation, memory in use, temperature, power, memory errors, processes on it."""
        return list(self._seen(use=True).uses)

    @secretary_tool
    def topology(self) -> list[Affinity]:
        """What is near each GPU: its NUMA node, the hardware threads and the network devices of that node."""
        return near(self.system, self._seen(use=False).devices)

    def _seen(self, *, use: bool) -> Seen:
        return told(self.name, self._look(use=use))

    def _look(self, *, use: bool) -> Seen | Absent | Unreachable:
        buses = pci_devices(self.system, VENDOR, _CLASSES)
        tools = [name for name in ("amd-smi", "rocm-smi") if self.system.which(name)]
        if not buses and not tools:
            return Absent(
                f"a PCI display device of AMD (vendor {VENDOR}), and the commands amd-smi and rocm-smi on PATH"
            )
        failed: list[tuple[str, str]] = []
        for tool in tools:
            try:
                seen = self._amd_smi(use=use) if tool == "amd-smi" else self._rocm_smi()
            except CommandFailed as error:
                failed.append((error.command, error.said))
            except OutputError as error:
                failed.append((error.source, str(error).removeprefix(f"{error.source}: ")))
            else:
                if seen.devices or seen.unread:
                    return self._judged(replace(seen, notice=_notice(failed)), buses)
                failed.append((seen.source, "it tells of no GPU"))
        seen = self._sysfs(buses)
        if seen.devices:
            return self._judged(replace(seen, notice=_notice(failed)), buses)
        if buses:
            what = f"the driver amdgpu has none of the {len(buses)} on the PCI bus ({', '.join(buses[:8])})"
            return Unreachable("AMD devices", "; ".join(part for part in (what, _notice(failed)) if part))
        if any(said != "it tells of no GPU" for _, said in failed):
            return Unreachable(*failed[0])
        return Absent(f"an AMD GPU: {_notice(failed)}")

    def _amd_smi(self, *, use: bool) -> Seen:
        from resource_secretary.providers.hardware._amd_json import read_metric, read_processes, read_static

        found = read_static(self.system.run(*_STATIC).text())
        uses: tuple[GpuUse, ...] = ()
        if use:
            of = {device.index: device for device in found.devices}
            told = read_metric(self.system.run(*_METRIC).text())
            silent = of.keys() - {one.index for one in told}
            why = dict.fromkeys(("utilization", "memory_used", "processes"), "amd-smi metric tells nothing of it")
            every = [*told, *(GpuUse(index, unknown=why) for index in sorted(silent))]
            uses = tuple(_of(one, of.get(one.index)) for one in every)
            try:
                running = read_processes(self.system.run(*_PROCESS).text())
            except (CommandFailed, OutputError) as error:
                uses = tuple(replace(one, unknown=one.unknown | {"processes": str(error)[:200]}) for one in uses)
            else:
                known = [{k: v for k, v in one.unknown.items() if k != "processes"} for one in uses]
                uses = tuple(
                    replace(one, processes=running[one.index], unknown=rest) if one.index in running else one
                    for one, rest in zip(uses, known, strict=True)
                )
        return Seen(" ".join(_STATIC), found.driver, None, found.devices, uses, found.unread)

    def _rocm_smi(self) -> Seen:
        from resource_secretary.providers.hardware._amd_json import read_rocm

        ran = self.system.run(*_ROCM)
        if ran.ok and "{" not in ran.stdout and "no json data" in (ran.stdout + ran.stderr).lower():
            return Seen("rocm-smi", None, None, (), ())
        found, uses = read_rocm(ran.text())
        return Seen("rocm-smi", found.driver, None, found.devices, uses, found.unread)

    def _sysfs(self, buses: list[str]) -> Seen:
        from resource_secretary.providers.hardware._amd_sysfs import SOURCE, read_sysfs

        devices, uses = read_sysfs(self.system, buses)
        return Seen(SOURCE, self.system.read("/sys/module/amdgpu/version"), None, devices, uses)

    def _judged(self, seen: Seen, buses: list[str]) -> Seen:
        version = self.system.read("/opt/rocm/.info/version")
        files = {device.bus: device.device_file for device in self._sysfs(buses).devices}
        devices = tuple(
            replace(device, device_file=device.device_file or files.get(device.bus)) for device in seen.devices
        )
        devices = with_files(self.system, devices, _MAJOR, "/dev/kfd")
        if self.system.exists("/dev/kfd") and not self.system.may_use("/dev/kfd"):
            why = "this user may not open /dev/kfd"
            devices = tuple(replace(one, allowed=False, excluded=why) for one in devices)
        from resource_secretary.providers.hardware._amd_sysfs import hidden

        away = hidden(self.system, devices)
        why = "a control group hides it: its compute node can't be read"
        devices = tuple(replace(one, allowed=False, excluded=why) if one.bus in away else one for one in devices)
        devices = visible(devices, self.system.environ, _VARIABLES)
        return replace(seen, runtime=(version or "")[:40] or None, devices=with_nodes(self.system, devices))


def _notice(failed: list[tuple[str, str]]) -> str:
    return "; ".join(f"{command}: {said}" for command, said in failed)


def _of(use: GpuUse, device: Gpu | None) -> GpuUse:
    return use if device is None else replace(use, name=device.name, uuid=device.uuid, bus=device.bus)
