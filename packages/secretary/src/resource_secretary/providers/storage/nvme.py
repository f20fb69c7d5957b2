"""NVMe disks of this host, as sysfs tells them: models, namespaces, and what uses them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import ArgumentError, CommandFailed
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.providers.storage._mounts import read_mounts, visible
from resource_secretary.providers.storage._nvme_text import NvmeUse, NvmeWear, read_error, read_list, read_smart
from resource_secretary.providers.storage._storage import MOUNTINFO
from resource_secretary.reading import whole
from resource_secretary.run import Ran
from resource_secretary.values import Name

_CLASS = "/sys/class/nvme"
_BLOCK = "/sys/class/block"
_CONTROLLER = re.compile(r"nvme[0-9]{1,5}", re.ASCII)
# A namespace: nvme0n1; nvme0c0n1 is one path of a namespace that several controllers share.
_NAMESPACE = re.compile(r"nvme[0-9]{1,5}n[0-9]{1,9}", re.ASCII)
_SECTOR = 512  # bytes: sysfs counts in these whatever the disk has (Documentation/block/stat.rst)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A disk. size, sector: bytes. used_by: what it, its partitions and what is built of them are: mount points, swap,
    or devices of device mapper and md; empty where nothing seems to use it.
    """

    name: str
    size: int | None
    sector: int | None
    partitions: tuple[str, ...]
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Controller:
    """transport: pcie for a disk in this host, else a disk over the network (tcp, rdma, fc). state: live, or why not.
    numa_node: None where it is of none.
    """

    name: str
    model: str | None
    firmware: str | None
    state: str | None
    transport: str | None
    numa_node: int | None


@dataclass(frozen=True, slots=True)
class Nvme:
    controllers: tuple[Controller, ...]
    namespaces: tuple[Namespace, ...]


class NvmeProvider(BaseProvider):
    category = "storage"
    name = "nvme"
    description = "NVMe disks: models, sizes, namespaces, what uses them, and their wear."

    def probe(self) -> Active[Nvme] | Absent:
        found = self._controllers()
        if not found:
            return Absent(f"an NVMe controller in {_CLASS}")
        return Active(Nvme(tuple(found), tuple(self._namespaces())))

    @secretary_tool
    def controllers(self) -> list[Controller]:
        """The NVMe controllers: model, state, transport (local or over the network) and NUMA node."""
        return self._controllers()

    @secretary_tool
    def namespaces(self) -> list[Namespace]:
        """The disks (namespaces): size, partitions, and what uses them now: mount points, swap, other devices."""
        return self._namespaces()

    @secretary_tool
    def usage(self) -> list[NvmeUse]:
        """How much of each namespace is allocated, as nvme-cli tells it; most sites allow it to root only."""
        return read_list(_text(self.system.run("nvme", "list", "-o", "json")))

    @secretary_tool
    def wear(self, device: Name | None = None) -> list[NvmeWear]:
        """The wear, spare blocks and temperature of the disks, for users who may ask them (root, mostly).
        device: a controller such as nvme0; by default all of them."""
        names = [one.name for one in self._controllers()]
        if device is not None:
            if device not in names:
                raise ArgumentError("wear", "device", f"no controller {device!r:.60}; there are: {', '.join(names)}")
            names = [device]
        if not names:
            raise CommandFailed("nvme smart-log", f"there is no controller in {_CLASS}")
        return [
            read_smart(_text(self.system.run("nvme", "smart-log", f"/dev/{name}", "-o", "json")), name)
            for name in names
        ]

    def _controllers(self) -> list[Controller]:
        found = []
        for name in self.system.entries(_CLASS):
            if not _CONTROLLER.fullmatch(name):
                continue
            folder = f"{_CLASS}/{name}"
            read = {key: self.system.read(f"{folder}/{key}") or None for key in ("model", "firmware_rev", "state")}
            node = self.system.read(f"{folder}/numa_node") or self.system.read(f"{folder}/device/numa_node")
            transport = self.system.read(f"{folder}/transport") or None
            found.append(Controller(name, read["model"], read["firmware_rev"], read["state"], transport, whole(node)))
        return found

    def _namespaces(self) -> list[Namespace]:
        names = [name for name in self.system.entries(_BLOCK) if _NAMESPACE.fullmatch(name)]
        return [self._namespace(name) for name in names]

    def _namespace(self, name: str) -> Namespace:
        folder = f"{_BLOCK}/{name}"
        partitions = [one for one in self.system.entries(folder) if re.fullmatch(rf"{name}p[0-9]+", one, re.ASCII)]
        used = [use for one in (name, *partitions) for use in self._uses(one)]
        return Namespace(
            name=name,
            size=whole(self.system.read(f"{folder}/size"), _SECTOR),
            sector=whole(self.system.read(f"{folder}/queue/logical_block_size")),
            partitions=tuple(partitions),
            used_by=tuple(dict.fromkeys(used)),
        )

    def _uses(self, name: str, depth: int = 0) -> list[str]:
        """What a block device is used for, through what device mapper and md have made of it."""
        folder = f"{_BLOCK}/{name}"
        device = self.system.read(f"{folder}/dev")
        mounts, _ = read_mounts(self.system.read(MOUNTINFO) or "")
        uses = [
            f"{mount.point} ({mount.type})"
            for mount in visible(mounts)
            if (device and mount.device == device) or mount.source == f"/dev/{name}"
        ]
        swaps = [line.split()[0] for line in (self.system.read("/proc/swaps") or "").splitlines()[1:] if line.strip()]
        if f"/dev/{name}" in swaps:
            uses.append("swap")
        for holder in self.system.entries(f"{folder}/holders") if depth < 5 else ():
            label = self.system.read(f"{_BLOCK}/{holder}/dm/name")
            uses.append(f"{holder} ({label})" if label else holder)
            uses += self._uses(holder, depth + 1)
        return uses


def _text(answer: Ran) -> str:
    """The answer. Raises CommandFailed with the error that nvme-cli gives in JSON, since 2.x, beside its usage."""
    if not answer.ok and not answer.problem and (error := read_error(answer.stdout)):
        raise CommandFailed(answer.command, f"exit code {answer.code}: {error}")
    return answer.text()
