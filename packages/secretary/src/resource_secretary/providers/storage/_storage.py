"""What the providers of mounted file systems share: their mounts, the space on them, and whether a path is on one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from resource_secretary.errors import ArgumentError, OutputError
from resource_secretary.paths import resolved
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.providers.storage._mounts import Mount, mount_of, read_mounts, visible
from resource_secretary.run import printable
from resource_secretary.sidebyside import side_by_side
from resource_secretary.system import Disk, System
from resource_secretary.values import AbsolutePath

MOUNTINFO = "/proc/self/mountinfo"
_PATIENCE = 3.0  # seconds that all file systems together have to say how full they are
_SHARE = 0.7  # of what is left of the provider's time, where that is less


@dataclass(frozen=True, slots=True)
class Mounted:
    """Where a file system is mounted, and how. options: of the mount and the file system, without secrets."""

    point: str
    source: str
    type: str
    read_only: bool
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Storage:
    """version: of the client in the kernel, None where it does not tell. unread: lines of the mount table that could
    not be read.
    """

    file_systems: tuple[Mounted, ...]
    version: str | None
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """What there is on a file system. Bytes and files (inodes); free is what a user may use (None where not told).

    problem: why it does not tell, "" where it does: a server that is gone does not answer.
    """

    point: str
    source: str
    type: str
    read_only: bool
    total: int | None
    free: int | None
    files: int | None
    files_free: int | None
    problem: str


class MountedProvider(BaseProvider):
    """Base of the providers of file systems by their type. `types`: as the mount table writes them."""

    category = "storage"
    types: ClassVar[frozenset[str]] = frozenset()

    def probe(self) -> Active[Storage] | Absent:
        every, unread = self._table()
        mounts = [mount for mount in visible(every) if self._mine(mount)]
        if not mounts:
            known = ", ".join(sorted(self.types))
            return Absent(f"a mounted file system of type {known} in {MOUNTINFO}")
        return Active(Storage(tuple(map(described, mounts)), self._version(), tuple(unread[:5])))

    @secretary_tool
    def mounts(self) -> list[Space]:
        """The mounted file systems: where, how large, and what is free of bytes and files (inodes)."""
        mounts = self._mounts()
        return [space(mount, disk, problem) for mount, (disk, problem) in zip(mounts, self._disks(mounts), strict=True)]

    @secretary_tool
    def space(self, path: AbsolutePath) -> Space:
        """What is free on the file system that a path is on.
        path: a file or folder on a file system of this provider."""
        place, mount = self._place("space", path)
        [(disk, problem)] = sizes(self.system, [place])
        return space(mount, disk, problem)

    def _version(self) -> str | None:
        return None

    def _mine(self, mount: Mount) -> bool:
        return mount.type in self.types

    def _table(self) -> tuple[list[Mount], list[str]]:
        text = self.system.read(MOUNTINFO)
        return read_mounts(text) if text is not None else ([], [])

    def _mounts(self) -> list[Mount]:
        """Its mounts that a path can reach. Raises OutputError where the mount table can't be read."""
        every, _ = self._table()
        if not every:
            raise OutputError(MOUNTINFO, "", "can't be read")
        return [mount for mount in visible(every) if self._mine(mount)]

    def _disks(self, mounts: Sequence[Mount]) -> list[tuple[Disk | None, str]]:
        """How full they are, each file system asked once however often it is mounted."""
        points = {(mount.device, mount.root): mount.point for mount in mounts}
        found = dict(zip(points, sizes(self.system, list(points.values())), strict=True))
        return [found[mount.device, mount.root] for mount in mounts]

    def _place(self, tool: str, path: str, parameter: str = "path") -> tuple[str, Mount]:
        """A path without symbolic links, and its mount. Raises ArgumentError where that is not of this provider."""
        every, _ = self._table()
        place = resolved(self.system, path)
        if place is None:
            raise ArgumentError(tool, parameter, f"{path!r:.200} can't be followed: no answer, or links without end")
        mount = mount_of(place, visible(every))
        if mount is None or not self._mine(mount):
            there = f"is on {mount.point} ({mount.type})" if mount else "is on no mounted file system"
            mine = ", ".join(one.point for one in visible(every) if self._mine(one)) or "none"
            raise ArgumentError(tool, parameter, f"{path!r:.200} {there}; {self.name} has: {mine:.500}")
        return place, mount

    def _one(self, tool: str, path: str | None) -> list[tuple[str, Mount]]:
        """The place of a path, or every mount point where none is given."""
        if path is not None:
            return [self._place(tool, path)]
        return [(mount.point, mount) for mount in self._mounts()]


def sizes(system: System, paths: Sequence[str]) -> list[tuple[Disk | None, str]]:
    """How full the file systems of some paths are, asked side by side: one that hangs costs the others nothing.

    None, and why, where one does not tell. All together take no longer than a few seconds.
    """
    patience = max(0.2, min(_PATIENCE, system.left() * _SHARE))
    found: list[tuple[Disk | None, str]] = []
    for outcome in side_by_side([partial(system.disk, path) for path in paths], patience):
        if outcome is None:
            found.append((None, f"no answer in {patience:.1f} s"))
        elif outcome.value is None:
            found.append((None, "it does not tell: not there, stale, or not allowed"))
        else:
            found.append((outcome.value, ""))
    return found


def space(mount: Mount, disk: Disk | None, problem: str) -> Space:
    if disk is None:
        return Space(mount.point, mount.source, mount.type, mount.read_only, None, None, None, None, problem)
    # A file system without inodes of its own (btrfs, some network ones) tells 0 of them.
    files, files_free = (disk.files, disk.files_available) if disk.files else (None, None)
    total, free = disk.total, min(disk.available, disk.total)
    return Space(mount.point, mount.source, mount.type, mount.read_only, total, free, files, files_free, "")


_SECRET = ("password", "pass", "secret", "key", "credentials")


def described(mount: Mount) -> Mounted:
    options = tuple(
        one for one in dict.fromkeys((*mount.options, *mount.super_options)) if one.partition("=")[0] not in _SECRET
    )
    return Mounted(mount.point, printable(mount.source), mount.type, mount.read_only, options)
