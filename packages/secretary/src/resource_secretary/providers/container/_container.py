"""What the providers of container runtimes share: images and containers as values, what this host lets a user do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from resource_secretary.providers import BaseProvider, secretary_tool
from resource_secretary.reading import whole
from resource_secretary.system import System

_NAMESPACES = "/proc/sys/user/max_user_namespaces"
# Debian and Ubuntu add these two to the kernel's own limit.
_CLONE = "/proc/sys/kernel/unprivileged_userns_clone"
_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
# Where the driver of a GPU shows itself.
_DRIVERS = {"nvidia": "/proc/driver/nvidia/version", "amd": "/dev/kfd"}
CDI = ("/etc/cdi/nvidia.yaml", "/var/run/cdi/nvidia.yaml", "/etc/cdi/nvidia.json", "/var/run/cdi/nvidia.json")


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is here. size: bytes, rounded where the tool rounds; None where not told. problem: why the entry
    can't be read, or "".
    """

    name: str
    id: str | None = None
    size: int | None = None
    created: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether an image is here. platform: such as `linux/amd64`, None where not told."""

    name: str
    present: bool
    id: str | None = None
    size: int | None = None
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class Container:
    """A container. state: as the runtime writes it. problem: why the entry can't be read, or ""."""

    name: str
    id: str | None = None
    image: str | None = None
    state: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Unprivileged:
    """Whether a user may make user namespaces here, which every runtime without root or setuid needs.

    possible: None where it can't be told for sure. reasons: what speaks against it, or limits it. user_namespaces: how
    many there may be. subordinate_*: how many ids of others the user may map, None where the file can't be read.
    cgroup: v1 or v2, None where no control groups are mounted.
    """

    possible: bool | None
    reasons: tuple[str, ...]
    user_namespaces: int | None
    subordinate_uids: int | None
    subordinate_gids: int | None
    newuidmap: bool
    fuse: bool
    cgroup: str | None


@dataclass(frozen=True, slots=True)
class GpuOption:
    """How a runtime gives GPUs to a container: an option or a command; `needs`: files of which one must be there."""

    vendor: str
    option: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GpuSupport:
    """ready: whether the option works on this host as far as files tell. why: what is missing, or ""."""

    vendor: str
    option: str
    ready: bool
    why: str


class ContainerProvider(BaseProvider):
    """Base of the providers of container runtimes. gpu_options: how it gives GPUs to containers."""

    category = "container"
    gpu_options: ClassVar[tuple[GpuOption, ...]] = ()

    @secretary_tool
    def unprivileged(self) -> Unprivileged:
        """Whether a user can run containers here without root: user namespaces, subordinate ids, FUSE, cgroups."""
        return unprivileged(self.system)

    @secretary_tool
    def gpus(self) -> list[GpuSupport]:
        """How this runtime gives GPUs to a container, and whether that can work on this host."""
        return [self._gpu(option) for option in self.gpu_options]

    def _gpu(self, option: GpuOption) -> GpuSupport:
        driver = _DRIVERS[option.vendor]
        if not self.system.exists(driver):
            return GpuSupport(option.vendor, option.option, False, f"no driver of such a GPU: {driver} is not there")
        if option.needs and not any(self.system.exists(path) for path in option.needs):
            return GpuSupport(option.vendor, option.option, False, f"none is there of: {', '.join(option.needs)}")
        return GpuSupport(option.vendor, option.option, True, "")


def unprivileged(system: System) -> Unprivileged:
    """user_namespaces(7), subuid(5), newuidmap(1)."""
    most = whole(system.read(_NAMESPACES))
    reasons = []
    possible: bool | None = True
    if most is None:
        possible = None
        reasons.append(f"{_NAMESPACES} can't be read")
    elif most == 0:
        possible = False
        reasons.append(f"{_NAMESPACES} is 0")
    if system.read(_CLONE) == "0":
        possible = False
        reasons.append(f"{_CLONE} is 0")
    if possible and system.read(_APPARMOR) == "1":
        possible = None
        reasons.append(f"{_APPARMOR} is 1: only programs with a profile of AppArmor may")
    user = system.user()
    uids, gids = (subordinate(system.read(f"/etc/sub{kind}"), user) for kind in ("uid", "gid"))
    if user != "root" and not (uids and gids):
        said = "can't be read" if uids is None or gids is None else f"name no ids for {user}"
        reasons.append(f"/etc/subuid and /etc/subgid {said}: files of several users in an image can't be kept apart")
    newuidmap = system.which("newuidmap") is not None
    return Unprivileged(
        possible, tuple(reasons), most, uids, gids, newuidmap, system.exists("/dev/fuse"), _cgroup(system)
    )


def subordinate(text: str | None, user: str) -> int | None:
    """How many subordinate ids a user has (subuid(5): `name:first:count` a line); None where the file can't be read."""
    if text is None:
        return None
    count = 0
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        number = whole(rest.partition(":")[2].strip())
        if name == user and number is not None:
            count += number
    return min(count, 2**32)


def _cgroup(system: System) -> str | None:
    if system.exists("/sys/fs/cgroup/cgroup.controllers"):
        return "v2"
    return "v1" if system.entries("/sys/fs/cgroup") else None
