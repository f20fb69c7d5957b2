"""Machines with GPUs and fabrics: files in the shape that the kernel documents, and recordings of the makers' tools."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

from resource_secretary.providers.hardware.amd_gpu import _METRIC, _PROCESS, _STATIC
from resource_secretary.providers.hardware.nvidia_gpu import _CAPABILITY, _SMI
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem

DATA = Path(__file__).parents[1] / "data"
PCI = "/sys/bus/pci/devices"
Parts = tuple[dict[str, str], dict[str, str]]  # files, links


def text(name: str) -> str:
    return (DATA / name).read_text()


def pci(bus: str, vendor: str, kind: str, driver: str | None = None, node: int = -1, **more: str) -> Parts:
    """A PCI device; more: files below it, with __ for / in their names."""
    folder = f"{PCI}/{bus}"
    files = {f"{folder}/vendor": vendor, f"{folder}/class": kind, f"{folder}/numa_node": str(node)}
    files |= {f"{folder}/{name.replace('__', '/')}": value for name, value in more.items()}
    return files, {f"{folder}/driver": f"../../../bus/pci/drivers/{driver}"} if driver else {}


def rdma(name: str, driver: str, layer: str, **facts: str) -> Parts:
    """An RDMA device of one port."""
    folder = f"/sys/class/infiniband/{name}"
    state, physical = facts.get("state", "4: ACTIVE"), facts.get("phys_state", "5: LinkUp")
    files = {
        f"{folder}/node_type": facts.get("node_type", "1: CA"),
        f"{folder}/fw_ver": "28.39.1002",
        f"{folder}/device/numa_node": facts.get("node", "0"),
        f"{folder}/ports/1/link_layer": layer,
        f"{folder}/ports/1/state": state,
        f"{folder}/ports/1/phys_state": physical,
        f"{folder}/ports/1/rate": facts.get("rate", "400 Gb/sec (4X NDR)"),
        f"{folder}/ports/1/lid": facts.get("lid", "0x33f9"),
        f"{folder}/ports/1/counters/port_xmit_data": "1000",
        f"{folder}/ports/1/counters/port_rcv_data": "2000",
        f"{folder}/ports/1/counters/link_downed": "2",
        f"{folder}/ports/1/counters/symbol_error": "0",
        f"{folder}/ports/1/counters/port_rcv_errors": "7",
    }
    links = {
        f"{folder}/device": f"../../../{facts.get('bus', '0000:1a:00.0')}",
        f"{folder}/device/driver": f"../../../../bus/pci/drivers/{driver}",
    }
    return files, links


def net(name: str, driver: str | None = "ice", **facts: str) -> Parts:
    """A network interface; without a driver it is virtual. facts: files below it, with __ for / in their names."""
    folder = f"/sys/class/net/{name}"
    given = {"type": "1", "operstate": "up", "speed": "100000", "mtu": "9000", "statistics__rx_dropped": "3"} | facts
    files = {f"{folder}/{key.replace('__', '/')}": value for key, value in given.items()}
    place = "pci0000:00/0000:00:03.0" if driver else "virtual"
    links = {folder: f"../../devices/{place}/net/{name}"}
    if driver:
        files[f"{folder}/device/numa_node"] = "0"
        links[f"{folder}/device"] = "../../../0000:00:03.0"
        links[f"{folder}/device/driver"] = f"../../../../bus/pci/drivers/{driver}"
    return files, links


def cxi(number: int, state: str = "up") -> Parts:
    """A Cassini card with its interface."""
    folder = f"/sys/class/cxi/cxi{number}"
    files, links = net(f"hsn{number}", "cxi_ss1", operstate=state, speed="200000")
    files |= {
        f"{folder}/device/net/hsn{number}/mtu": "9000",
        f"{folder}/device/properties/nid": "0x6863",
        f"{folder}/device/properties/cassini_version": "1.1",
        f"{folder}/device/numa_node": "1",
    }
    return files, links | {f"{folder}/device": "../../../0000:d5:00.0"}


def machine(*parts: Parts, **more: object) -> RecordedSystem:
    """A machine of these parts."""
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    for some_files, some_links in parts:
        files |= some_files
        links |= some_links
    return RecordedSystem(files=files, links=links, **more)  # type: ignore[arg-type]


class NvmlError(Exception):
    """As pynvml.NVMLError."""


class Nvml:
    """Stands for the module pynvml: `devices` are facts by name, one that is an exception is raised when asked for."""

    NVMLError = NvmlError

    def __init__(self, *devices: Mapping[str, object], init: Exception | None = None, hang: float = 0) -> None:
        self.devices, self.init, self.hang = list(devices), init, hang
        self.open = 0

    def nvmlInit(self) -> None:
        time.sleep(self.hang)
        if self.init:
            raise self.init
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.124.06"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return 12080

    def nvmlSystemGetProcessName(self, pid: int) -> bytes:
        return b"python3"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Mapping[str, object]:
        return self._fact(self.devices[index], "handle", self.devices[index])

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Mapping[str, object], index: int) -> object:
        slices = handle.get("slices", ())
        if index >= len(slices):
            raise NvmlError("Not Found")
        return slices[index]

    def nvmlDeviceGetPciInfo(self, handle: Mapping[str, object]) -> object:
        return SimpleNamespace(busId=self._fact(handle, "busId"))

    def nvmlDeviceGetMemoryInfo(self, handle: Mapping[str, object]) -> object:
        total = self._fact(handle, "memory")
        return SimpleNamespace(total=total, used=handle.get("used", 0), free=0)

    def nvmlDeviceGetUtilizationRates(self, handle: Mapping[str, object]) -> object:
        return SimpleNamespace(gpu=self._fact(handle, "utilization"), memory=0)

    def nvmlDeviceGetTemperature(self, handle: Mapping[str, object], sensor: int) -> object:
        return self._fact(handle, "temperature")

    def nvmlDeviceGetTotalEccErrors(self, handle: Mapping[str, object], kind: int, counter: int) -> object:
        return self._fact(handle, "ecc")

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Mapping[str, object]) -> object:
        return self._fact(handle, "processes")

    def __getattr__(self, name: str) -> Callable[..., object]:
        """nvmlDeviceGetName and others that only return one value."""
        if not name.startswith("nvmlDeviceGet") or name == "nvmlDeviceGetArchitecture":
            raise AttributeError(name)
        return lambda handle: self._fact(handle, name.removeprefix("nvmlDeviceGet"))

    def _fact(self, handle: Mapping[str, object], name: str, default: object = None) -> object:
        value = handle.get(name, default)
        if value is None:
            raise NvmlError("Not Supported")
        if isinstance(value, Exception):
            raise value
        return value


def h100(index: int, **more: object) -> dict[str, object]:
    """What NVML tells of an H100."""
    process = SimpleNamespace(pid=4242, usedGpuMemory=2**30, gpuInstanceId=0xFFFFFFFF, computeInstanceId=0xFFFFFFFF)
    facts: dict[str, object] = {
        "Name": b"NVIDIA H100 80GB HBM3",
        "UUID": f"GPU-0000000{index}-1111-2222-3333-444444444444",
        "busId": f"00000000:{index + 1:02X}:00.0".encode(),
        "memory": 85520809984,
        "used": 2 * 2**30,
        "MinorNumber": index,
        "CudaComputeCapability": (9, 0),
        "MigMode": [0, 0],
        "utilization": 97,
        "temperature": 61,
        "PowerUsage": 412345,
        "ecc": 0,
        "processes": [process],
    }
    return facts | more


def mig(gpu: int, compute: int = 0) -> dict[str, object]:
    """A MIG instance as NVML tells it."""
    return {
        "Name": "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "UUID": f"MIG-feb8889{gpu}-0321-5fef-9c87-d4af3b54259e",
        "memory": 10 * 2**30,
        "used": 2**20,
        "GpuInstanceId": gpu,
        "ComputeInstanceId": compute,
    }


def nvidia_pci(*buses: str) -> Parts:
    """3D controllers of NVIDIA on the PCI bus, and the driver's version."""
    files: dict[str, str] = {
        "/proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06"
    }
    for bus in buses:
        files |= pci(bus, "0x10de", "0x030200", "nvidia", 0, local_cpulist="0-15")[0]
    return files, {}


def nvidia(recording: str = "nvidia-smi/t4-v11.xml", *parts: Parts, **more: object) -> RecordedSystem:
    """A machine where nvidia-smi answers."""
    commands: dict[tuple[str, ...], Ran | str] = {_SMI: text(recording)}
    commands[_CAPABILITY] = "00000000:00:1E.0, 7.5\n"
    return machine(*(parts or (nvidia_pci("0000:00:1e.0"),)), commands=commands, **more)


def amd(
    recording: str = "amd-smi/mi210-7.0-static.json", metric: str = "amd-smi/gpu-data-metric.json"
) -> RecordedSystem:
    """A machine where amd-smi answers."""
    commands: dict[tuple[str, ...], Ran | str] = {_STATIC: text(recording), _METRIC: text(metric)}
    commands[_PROCESS] = text("amd-smi/process.json")
    return machine(amd_pci("0000:c4:00.0"), commands=commands)


def amd_pci(*buses: str, driver: str = "amdgpu", **more: str) -> Parts:
    """GPUs of AMD as amdgpu shows them."""
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    for number, bus in enumerate(buses):
        facts = {
            "product_name": "AMD Instinct MI300X",
            "unique_id": f"dc9128487920700{number}",
            "mem_info_vram_total": "206141652992",
            "mem_info_vram_used": "295698432",
            "gpu_busy_percent": "3",
            "current_compute_partition": "SPX",
            "current_memory_partition": "NPS1",
            "hwmon__hwmon3__temp1_input": "46000",
            "hwmon__hwmon3__power1_average": "135000000",
            f"drm__renderD{128 + number}__dev": f"226:{128 + number}",
            f"drm__card{number + 1}__dev": f"226:{number + 1}",
        }
        some_files, some_links = pci(bus, "0x1002", "0x120000", driver, number, **(facts | more))
        files |= some_files
        links |= some_links
    return files, links


def kfd(*nodes: tuple[int, int]) -> Parts:
    """Nodes of KFD: (location_id, bytes of memory); the first one is a processor."""
    folder = "/sys/class/kfd/kfd/topology/nodes"
    files = {f"{folder}/0/properties": "cpu_cores_count 96\nsimd_count 0\nlocation_id 0\ndomain 0"}
    for number, (place, memory) in enumerate(nodes, 1):
        files[f"{folder}/{number}/properties"] = (
            f"cpu_cores_count 0\nsimd_count 152\ngfx_target_version 90402\nlocation_id {place}\ndomain 0"
        )
        files[f"{folder}/{number}/mem_banks/0/properties"] = f"heap_type 1\nsize_in_bytes {memory}\nflags 0\nwidth 8192"
    return files, {}


def intel() -> RecordedSystem:
    """A machine with a Max 1100 that xpu-smi knows, and with integrated graphics."""
    max1100 = pci("0000:29:00.0", "0x8086", "0x038000", "i915", 1)
    integrated = pci("0000:00:02.0", "0x8086", "0x030000", "i915", device="0x4680", drm__renderD128__dev="226:128")
    return machine(
        max1100,
        integrated,
        commands={
            ("xpu-smi", "discovery", "-j"): text("xpu-smi/max1100-1.2-discovery.json"),
            ("xpu-smi", "discovery", "-d", "0", "-j"): text("xpu-smi/max1100-1.2-device0.json"),
            ("xpu-smi", "stats", "-d", "0", "-j"): text("xpu-smi/stats-tiles.json"),
        },
    )


def numa() -> RecordedSystem:
    """Two nodes of 4 cores of 2 threads and a third of memory only; half of it is for this process."""
    folder = "/sys/devices/system/node"
    files = {
        "/proc/self/status": "Name:\tpython\nCpus_allowed_list:\t0-15\nMems_allowed_list:\t0-1",
        "/proc/self/cgroup": "0::/job",
        "/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw",
        "/sys/fs/cgroup/job/cpuset.cpus.effective": "0-3,8-11",
        "/sys/fs/cgroup/job/cpuset.mems.effective": "0",
    }
    for node, cpus in enumerate(("0-3,8-11", "4-7,12-15", "")):
        files[f"{folder}/node{node}/cpulist"] = cpus
        files[f"{folder}/node{node}/distance"] = " ".join("10" if node == other else "21" for other in range(3))
        files[f"{folder}/node{node}/meminfo"] = (
            f"Node {node} MemTotal:       65536000 kB\nNode {node} MemFree:        60000000 kB\n"
            f"Node {node} Inactive(file):  1000000 kB\nNode {node} SReclaimable:     500000 kB"
        )
    gpu = pci("0000:41:00.0", "0x10de", "0x030200", "nvidia", 1)
    nic = pci("0000:1a:00.0", "0x15b3", "0x020700", "mlx5_core", 0, infiniband__mlx5_0__dev="", net__ib0__mtu="2044")
    return machine((files, {}), gpu, nic, affinity=frozenset(range(2, 16)))


def infiniband() -> RecordedSystem:
    return machine(rdma("mlx5_0", "mlx5_core", "InfiniBand"))


def omni_path() -> RecordedSystem:
    return machine(rdma("hfi1_0", "hfi1", "InfiniBand", rate="100 Gb/sec (4X EDR)"))


def efa() -> RecordedSystem:
    ran = {("fi_info", "-p", "efa"): text("fabrics/fi_info-efa.txt")}
    card = rdma("rdmap0s6", "efa", "Unspecified", node_type="7: unspecified", rate="100 Gb/sec (4X EDR)")
    return machine(card, commands=ran)


def slingshot() -> RecordedSystem:
    return machine(cxi(0), cxi(1), commands={("fi_info", "-p", "cxi"): text("fabrics/fi_info-cxi.txt")})


MACHINES: dict[str, Callable[[], RecordedSystem]] = {
    "nvidia-gpu": nvidia,
    "amd-gpu": amd,
    "intel-gpu": intel,
    "numa": numa,
    "infiniband": infiniband,
    "omni-path": omni_path,
    "efa": efa,
    "slingshot": slingshot,
}
