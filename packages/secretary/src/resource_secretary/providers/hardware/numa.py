"""The NUMA nodes of this host, what is near each, and which of their cores and memory this process may really use."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resources import idset
from resources.errors import InputError

from resource_secretary.cgroup import groups
from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.providers.hardware.memory import meminfo
from resource_secretary.system import System

_FOLDER = "/sys/devices/system/node"
_PCI = "/sys/bus/pci/devices"
_CLASSES = {"0x03": "gpu", "0x12": "gpu", "0x02": "network", "0x01": "storage"}  # base classes of PCI codes


@dataclass(frozen=True, slots=True)
class Near:
    """A device of a node. kind: gpu, network, storage. names: as the kernel calls it, such as mlx5_0 and ib0."""

    kind: str
    bus: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One NUMA node. cpus: its hardware threads; allowed_cpus: those that this process may run on ("" for none).

    memory, free: bytes, None where the kernel doesn't tell. memory_allowed: whether this process may have memory of it.
    distances: to each node in the order of their ids; 10 is itself (ACPI specification, "SLIT").
    """

    id: int
    cpus: str
    allowed_cpus: str
    threads: int
    allowed_threads: int
    memory: int | None
    memory_allowed: bool | None
    distances: tuple[int, ...]
    devices: tuple[Near, ...]


@dataclass(frozen=True, slots=True)
class NodeFree:
    """free: bytes that nothing uses. available: with what caches of files hold and could be dropped."""

    id: int
    memory: int | None
    free: int | None
    available: int | None
    memory_allowed: bool | None


@dataclass(frozen=True, slots=True)
class Numa:
    """allowed_cpus: where affinity and control groups both let this process run. allowed_memory_nodes: from which nodes
    it may have memory, None where the kernel doesn't tell. cpuset_*: as the control group has it, None without one.
    notice: where the nodes together have not the memory of the host.
    """

    nodes: tuple[Node, ...]
    allowed_cpus: str
    allowed_memory_nodes: str | None
    cpuset_cpus: str | None
    cpuset_memory_nodes: str | None
    cpuset_source: str
    notice: str = ""


class NumaProvider(BaseProvider):
    category = "hardware"
    name = "numa"
    description = "NUMA topology: nodes with their cores, memory, distances and devices, and what of it may be used."

    def probe(self) -> Active[Numa] | Absent:
        found = self._read()
        return Active(found) if found else Absent(f"NUMA nodes in {_FOLDER}")

    @secretary_tool
    def nodes(self) -> list[Node]:
        """The nodes with their hardware threads, memory, distances, near devices, and what this process may use."""
        found = self._read()
        return list(found.nodes) if found else []

    @secretary_tool
    def free(self) -> list[NodeFree]:
        """The memory that is free now on each node, in bytes."""
        found = self._read()
        made = []
        for node in found.nodes if found else ():
            text = self.system.read(f"{_FOLDER}/node{node.id}/meminfo") or ""
            free, inactive = (meminfo(text, name) for name in ("MemFree", "Inactive\\(file\\)"))
            reclaimable = meminfo(text, "SReclaimable")
            available = None if free is None else free + (inactive or 0) + (reclaimable or 0)
            if available is not None and node.memory is not None:
                available = min(available, node.memory)
            made.append(NodeFree(node.id, node.memory, free, available, node.memory_allowed))
        return made

    def _read(self) -> Numa | None:
        system = self.system
        names = [re.fullmatch(r"node([0-9]{1,4})", name) for name in system.entries(_FOLDER)]
        ids = sorted(int(match[1]) for match in names if match)
        if not ids:
            return None
        usable = system.affinity()
        source, cpus, memory = _cpuset(system)
        if cpus is not None:
            usable &= cpus
        status = re.search(r"^Mems_allowed_list:\s*(\S+)$", system.read("/proc/self/status") or "", re.MULTILINE)
        allowed = _ids("/proc/self/status", status[1]) if status else memory
        if allowed is not None and memory is not None:
            allowed &= memory
        devices = _devices(system)
        nodes = tuple(_node(system, one, usable, allowed, devices.get(one, [])) for one in ids)
        return Numa(
            nodes,
            _text(usable),
            None if allowed is None else _text(allowed),
            None if cpus is None else _text(cpus),
            None if memory is None else _text(memory),
            source,
            _compared(nodes, meminfo(system.read("/proc/meminfo") or "", "MemTotal")),
        )


def _node(
    system: System, number: int, usable: frozenset[int], allowed: frozenset[int] | None, devices: list[Near]
) -> Node:
    folder = f"{_FOLDER}/node{number}"
    cpus = _ids(f"{folder}/cpulist", system.read(f"{folder}/cpulist") or "")
    distances = (system.read(f"{folder}/distance") or "").split()
    if not all(word.isascii() and word.isdecimal() and len(word) < 4 for word in distances):
        raise OutputError(f"{folder}/distance", "", f"numbers expected, not {' '.join(distances)[:60]!r}")
    return Node(
        number,
        _text(cpus),
        _text(cpus & usable),
        len(cpus),
        len(cpus & usable),
        meminfo(system.read(f"{folder}/meminfo") or "", "MemTotal"),
        None if allowed is None else number in allowed,
        tuple(int(word) for word in distances),
        tuple(devices),
    )


def _compared(nodes: tuple[Node, ...], host: int | None) -> str:
    """What to say where memory that comes and goes (hot-plug, balloons of virtual machines) makes two figures."""
    own = [node.memory for node in nodes]
    known = [one for one in own if one is not None]
    if host is None or len(known) < len(own) or abs(sum(known) - host) <= host // 50:
        return ""
    return f"the nodes together have {sum(known)} bytes of memory, and the host {host}: some of it comes and goes"


def _cpuset(system: System) -> tuple[str, frozenset[int] | None, frozenset[int] | None]:
    """What the control group leaves: cpuset.cpus.effective and cpuset.mems.effective (cgroup-v2.rst, "Cpuset")."""
    version, folders = groups(system, "cpuset")
    names = ("cpuset.cpus.effective", "cpuset.mems.effective")
    if version == 1:
        names = ("cpuset.effective_cpus", "cpuset.effective_mems")
    for folder in folders:  # a group without the controller has not the file; that of the nearest one above holds
        texts = [system.read(f"{folder}/{name}") for name in names]
        if any(texts):
            sets = [_ids(f"{folder}/{name}", text) if text else None for name, text in zip(names, texts, strict=True)]
            return f"cgroup v{version}", sets[0], sets[1]
    return "none", None, None


def _devices(system: System) -> dict[int, list[Near]]:
    found: dict[int, list[Near]] = {}
    for bus in system.entries(_PCI):
        kind = _CLASSES.get((system.read(f"{_PCI}/{bus}/class") or "")[:4])
        node = system.read(f"{_PCI}/{bus}/numa_node") or ""
        if kind is None or not (node.isascii() and node.isdecimal() and len(node) < 5):
            continue
        names = [
            name
            for sub in ("infiniband", "cxi", "net", "drm", "nvme")
            for name in system.entries(f"{_PCI}/{bus}/{sub}")
        ]
        found.setdefault(int(node), []).append(Near(kind, bus, tuple(names)))
    return found


def _ids(source: str, text: str) -> frozenset[int]:
    try:
        return frozenset(idset.ids_of(idset.parse(text, "id"))) if text else frozenset()
    except InputError as error:
        raise OutputError(source, "", str(error)) from None


def _text(ids: frozenset[int]) -> str:
    return idset.text(idset.mask_of(ids, "id")) if ids else ""
