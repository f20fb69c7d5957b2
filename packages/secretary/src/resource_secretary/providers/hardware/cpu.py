"""The processors of this host, and which of them this process may use."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from resources import idset
from resources.errors import InputError

from resource_secretary.cgroup import cpu_quota
from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.system import System

_FOLDER = "/sys/devices/system/cpu"
_SIZE = re.compile(r"(\d{1,9})([KMG]?)", re.ASCII)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
# Vector, matrix and cryptographic extensions, as the kernel names them (x86 cpufeatures.h; arm64 elf_hwcaps.rst).
_FLAGS = re.compile(
    r"avx|avx2|avx512\w*|avx_\w+|amx_\w+|fma|f16c|sse4_[12]|aes|vaes|sha_ni|sve\w*|sme(?!p)\w*|asimd\w*|bf16|i8mm"
)
_VENDORS = {  # MIDR_EL1.Implementer of the Arm architecture; x86 vendors say their own name
    "0x41": "ARM",
    "0x43": "Cavium",
    "0x46": "Fujitsu",
    "0x48": "HiSilicon",
    "0x4e": "NVIDIA",
    "0x50": "Ampere (APM)",
    "0x61": "Apple",
    "0xc0": "Ampere",
    "GenuineIntel": "Intel",
    "AuthenticAMD": "AMD",
}


@dataclass(frozen=True, slots=True)
class Cpu:
    """sockets, cores, threads: online on this host (None where the kernel doesn't tell). allowed_*: those that the
    affinity of this process has. quota: CPUs' worth of time by control groups, None without a limit. usable_*: what
    affinity and quota together leave, in whole ones. smt: whether cores run several threads at once. flags: of the
    instruction set, those that decide which binaries run fast or at all. base_mhz, max_mhz: clock rates. virtual:
    whether a hypervisor gives these processors (None where that isn't told).
    """

    architecture: str
    microarchitecture: str
    model: str | None
    sockets: int | None
    cores: int | None
    threads: int
    allowed_cores: int | None
    allowed_threads: int
    quota: float | None
    quota_source: str
    usable_cores: int | None
    usable_threads: int
    vendor: str | None = None
    smt: bool | None = None
    flags: tuple[str, ...] = ()
    base_mhz: int | None = None
    max_mhz: int | None = None
    virtual: bool | None = None


@dataclass(frozen=True, slots=True)
class Cache:
    """size: bytes of one of them. count: how many there are; threads: hardware threads that share one."""

    level: int
    type: str
    size: int
    count: int
    threads: int


@dataclass(frozen=True, slots=True)
class Load:
    """Mean number of threads that ran or waited to run in the last 1, 5 and 15 minutes (on the whole host)."""

    one: float
    five: float
    fifteen: float


class CpuProvider(BaseProvider):
    category = "hardware"
    name = "cpu"
    description = "Processors: microarchitecture, sockets, cores and threads, and what of them this process may use."

    def probe(self) -> Active[Cpu] | Absent:
        cpu = read_cpu(self.system)
        return Active(cpu) if cpu else Absent(f"{_FOLDER}/online")

    @secretary_tool
    def load(self) -> Load:
        """The load averages of this host."""
        text = self.system.read("/proc/loadavg") or ""
        try:
            one, five, fifteen = (float(word) for word in text.split()[:3])
        except ValueError:
            raise OutputError("/proc/loadavg", "", f"three numbers expected, not {text[:60]!r}") from None
        return Load(one, five, fifteen)

    @secretary_tool
    def caches(self) -> list[Cache]:
        """The caches of this host's processors, by level and type."""
        seen: dict[tuple[int, str, int, frozenset[int]], None] = {}
        for cpu in sorted(_cpus(self.system, "online")):
            for index in self.system.entries(f"{_FOLDER}/cpu{cpu}/cache"):
                folder = f"cpu{cpu}/cache/{index}"
                level = self.system.read(f"{_FOLDER}/{folder}/level") or ""
                size = _SIZE.fullmatch(self.system.read(f"{_FOLDER}/{folder}/size") or "")
                if not size or not re.fullmatch(r"[1-9]", level):
                    continue
                kind = self.system.read(f"{_FOLDER}/{folder}/type") or "unknown"
                shared = _cpus(self.system, f"{folder}/shared_cpu_list") or frozenset((cpu,))
                seen[int(level), kind, int(size[1]) * _UNITS[size[2]], shared] = None
        kinds: dict[tuple[int, str, int, int], int] = {}
        for level_, kind, bytes_, shared in seen:
            key = (level_, kind, bytes_, len(shared))
            kinds[key] = kinds.get(key, 0) + 1
        return [Cache(key[0], key[1], key[2], count, key[3]) for key, count in sorted(kinds.items())]


def read_cpu(system: System) -> Cpu | None:
    """The processors of a host; None where the kernel shows none. Raises OutputError."""
    online = _cpus(system, "online")
    if not online:
        return None
    allowed = online & system.affinity()
    cores = {
        cpu: _cpus(system, f"cpu{cpu}/topology/core_cpus_list")
        or _cpus(system, f"cpu{cpu}/topology/thread_siblings_list")
        for cpu in online
    }
    sockets = {system.read(f"{_FOLDER}/cpu{cpu}/topology/physical_package_id") for cpu in online}
    known = all(cpu in siblings for cpu, siblings in cores.items())
    allowed_cores = len({cores[cpu] for cpu in allowed}) if known else None
    quota = cpu_quota(system)
    info = _info(system.read("/proc/cpuinfo") or "")
    words = info.get("flags", info.get("Features", "")).split()
    # Half a CPU's worth of time runs no whole core's work: what is offered is rounded down.
    most = math.inf if quota.amount is None else math.floor(quota.amount)
    return Cpu(
        architecture=system.machine(),
        microarchitecture=system.microarchitecture(),
        model=info.get("model name"),
        sockets=len(sockets) if None not in sockets else None,
        cores=len(set(cores.values())) if known else None,
        threads=len(online),
        allowed_cores=allowed_cores,
        allowed_threads=len(allowed),
        quota=quota.amount,
        quota_source=quota.source,
        usable_cores=None if allowed_cores is None else int(min(allowed_cores, most)),
        usable_threads=int(min(len(allowed), most)),
        vendor=_vendor(info),
        smt=any(len(siblings) > 1 for siblings in cores.values()) if known else None,
        flags=tuple(word for word in words if _FLAGS.fullmatch(word)),
        base_mhz=_mhz(system, min(online), "base_frequency"),
        max_mhz=_mhz(system, min(online), "cpuinfo_max_freq"),
        # The hypervisor bit of CPUID says so on x86; other architectures have nothing of the kind.
        virtual="hypervisor" in words if "flags" in info else None,
    )


def _cpus(system: System, name: str) -> frozenset[int]:
    text = system.read(f"{_FOLDER}/{name}")
    try:
        return frozenset(idset.ids_of(idset.parse(text, "CPU"))) if text else frozenset()
    except InputError as error:
        raise OutputError(f"{_FOLDER}/{name}", "", str(error)) from None


def _info(cpuinfo: str) -> dict[str, str]:
    """What /proc/cpuinfo says of the first processor."""
    rows: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if not colon and rows:
            break
        if colon:
            rows.setdefault(key.strip(), value.strip())
    return rows


def _vendor(info: dict[str, str]) -> str | None:
    told = info.get("vendor_id") or info.get("CPU implementer") or info.get("vendor")
    return _VENDORS.get(told, told) if told else None


def _mhz(system: System, cpu: int, name: str) -> int | None:
    text = system.read(f"{_FOLDER}/cpu{cpu}/cpufreq/{name}") or ""  # kHz
    return int(text) // 1000 if text.isascii() and text.isdecimal() and len(text) < 9 else None
