"""The processors of this host, and which of them this process may use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resources import idset
from resources.errors import InputError

from resource_secretary.cgroup import cpu_quota
from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.system import System

_FOLDER = "/sys/devices/system/cpu"


@dataclass(frozen=True, slots=True)
class Cpu:
    """sockets, cores, threads: online on this host (None where the kernel doesn't tell). allowed_*: those that the
    affinity of this process has. quota: CPUs' worth of time by control groups, None without a limit. usable_*: what
    affinity and quota together leave, in whole ones.
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
    # Half a CPU's worth of time runs no whole core's work: what is offered is rounded down.
    most = math.inf if quota.amount is None else math.floor(quota.amount)
    return Cpu(
        architecture=system.machine(),
        microarchitecture=system.microarchitecture(),
        model=_model(system.read("/proc/cpuinfo") or ""),
        sockets=len(sockets) if None not in sockets else None,
        cores=len(set(cores.values())) if known else None,
        threads=len(online),
        allowed_cores=allowed_cores,
        allowed_threads=len(allowed),
        quota=quota.amount,
        quota_source=quota.source,
        usable_cores=None if allowed_cores is None else int(min(allowed_cores, most)),
        usable_threads=int(min(len(allowed), most)),
    )


def _cpus(system: System, name: str) -> frozenset[int]:
    text = system.read(f"{_FOLDER}/{name}")
    try:
        return frozenset(idset.ids_of(idset.parse(text, "CPU"))) if text else frozenset()
    except InputError as error:
        raise OutputError(f"{_FOLDER}/{name}", "", str(error)) from None


def _model(cpuinfo: str) -> str | None:
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return None
