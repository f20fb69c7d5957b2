"""Local scratch: file systems on disks of this host where a job may write, and the variables that name them."""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.paths import resolved
from resource_secretary.providers import Absent, Active, secretary_tool
from resource_secretary.providers.storage import _scratch_places as places
from resource_secretary.providers.storage._mounts import Mount, inside, mount_of, visible
from resource_secretary.providers.storage._storage import MOUNTINFO, MountedProvider, sizes
from resource_secretary.run import printable
from resource_secretary.system import Disk


@dataclass(frozen=True, slots=True)
class Place:
    """A mounted file system, and whether it counts as scratch. kind: disk, or memory for a tmpfs: what is written there
    is taken from the memory of the job. why: what speaks for it, or against it. rotational: whether its disk turns,
    None where the kernel does not tell.
    """

    point: str
    source: str
    type: str
    kind: str
    scratch: bool
    why: str
    rotational: bool | None
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalScratch:
    """places: those that count. variables: those that are set and name one of them."""

    places: tuple[Place, ...]
    variables: tuple[str, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Room:
    """What is free in a place, in bytes and files (inodes); None where it is not told, and then `problem` says why."""

    point: str
    type: str
    kind: str
    scratch: bool
    why: str
    rotational: bool | None
    total: int | None
    free: int | None
    files: int | None
    files_free: int | None
    problem: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that names a folder. kind: disk, memory, or shared for a file system that other hosts see too; None
    where its folder is on none. free: bytes. problem: why it is of no use, or "".
    """

    name: str
    path: str
    point: str | None
    type: str | None
    kind: str | None
    free: int | None
    problem: str


class LocalScratchProvider(MountedProvider):
    name = "local-scratch"
    description = "Local scratch: disks of this host (XFS, ext4, ZFS, btrfs) and tmpfs for the files of a running job."
    types = places.LOCAL
    variables = places.VARIABLES

    def probe(self) -> Active[LocalScratch] | Absent:  # type: ignore[override]
        every, unread = self._table()
        found = self._places(every)
        scratch = tuple(place for place in found if place.scratch and place.kind == "disk")
        if not scratch:
            known = ", ".join(sorted(self.types))
            seen = "; ".join(f"{place.point}: {place.why}" for place in found if place.kind == "disk")
            return Absent(f"a mounted local file system ({known}) for scratch files: {seen[:500] or 'none is mounted'}")
        memory = tuple(place for place in found if place.scratch and place.kind == "memory")
        named = tuple(name for name in self.variables if self.system.environ.get(name, "").startswith("/"))
        return Active(LocalScratch(scratch + memory, named, tuple(unread[:5])))

    @secretary_tool
    def places(self) -> list[Room]:
        """The local file systems: which count as scratch and why, which don't, what is free, and on what disk."""
        every, _ = self._table()
        if not every:
            raise OutputError(MOUNTINFO, "", "can't be read")
        found = self._places(every)
        rooms = []
        for place, (disk, problem) in zip(found, sizes(self.system, [one.point for one in found]), strict=True):
            said = (place.point, place.type, place.kind, place.scratch, place.why, place.rotational)
            if disk is None:
                rooms.append(Room(*said, None, None, None, None, problem))
                continue
            files, files_free = (disk.files, disk.files_available) if disk.files else (None, None)
            rooms.append(Room(*said, disk.total, min(disk.available, disk.total), files, files_free, ""))
        return rooms

    @secretary_tool
    def named(self) -> list[Variable]:
        """The variables of this environment that name a folder for scratch files (TMPDIR, SLURM_TMPDIR and their
        like), what each one is on, and what is free there."""
        every, _ = self._table()
        mounts = visible(every)
        rows: list[tuple[str, str, str | None, Mount | None]] = []
        for name in self.variables:
            path = self.system.environ.get(name)
            if path:
                place = resolved(self.system, path) if path.startswith("/") else None
                rows.append((name, path, place, mount_of(place, mounts) if place else None))
        asked = sizes(self.system, [place or "/" for _, _, place, _ in rows])
        return [_variable(*row, *answer) for row, answer in zip(rows, asked, strict=True)]

    def _mine(self, mount: Mount) -> bool:
        return mount.type in self.types

    def _places(self, every: list[Mount]) -> list[Place]:
        mounts = visible(every)
        pointed: dict[str, list[str]] = {}
        for name in (*self.variables, ""):
            path = self.system.environ.get(name, "") if name else places.SHARED
            mount = mount_of(path, mounts) if path.startswith("/") else None
            if mount:
                pointed.setdefault(mount.point, []).append(name or places.SHARED)
        found = []
        for mount in mounts:
            if self._mine(mount) or mount.type in places.MEMORY:
                device = self._device(mount)
                why, scratch = _verdict(mount, pointed.get(mount.point, []), device)
                kind = "memory" if mount.type in places.MEMORY else "disk"
                if kind == "memory" and not scratch:
                    continue
                options = tuple(dict.fromkeys((*mount.options, *mount.super_options)))
                rotational = self._rotational(device) if kind == "disk" else None
                source = printable(mount.source)
                found.append(Place(mount.point, source, mount.type, kind, scratch, why, rotational, options))
        return found

    def _device(self, mount: Mount) -> str | None:
        """The folder of its block device in sysfs, None where it has none of its own (ZFS, overlay)."""
        # btrfs gives its mounts numbers that are no device's; then the source names one of its devices.
        folder = f"/sys/dev/block/{mount.device}"
        if not mount.device.startswith("0:") and self.system.exists(folder):
            return folder
        if not mount.source.startswith("/dev/"):
            return None
        name = (self.system.target(mount.source) or mount.source).rpartition("/")[2]
        folder = f"/sys/class/block/{name}"
        return folder if self.system.exists(folder) else None

    def _rotational(self, device: str | None) -> bool | None:
        # A partition has no queue of its own: its disk is the folder above, where the kernel resolves `..`.
        if device is None:
            return None
        text = self.system.read(f"{device}/queue/rotational") or self.system.read(f"{device}/../queue/rotational")
        return {"0": False, "1": True}.get(text or "")


def _verdict(mount: Mount, names: list[str], device: str | None) -> tuple[str, bool]:
    """What speaks for or against a mount as scratch, and whether it is."""
    if mount.read_only:
        return "mounted read-only", False
    name = (device or mount.source).rpartition("/")[2]
    remote = next((what for start, what in places.REMOTE.items() if mount.source.startswith(f"/dev/{start}")), None)
    if remote:
        return f"on a disk that comes over the network ({remote}, {name})", False
    reasons = [f"{one} is on it" if one == places.SHARED else f"{one} points into it" for one in reversed(names)]
    if any(inside(mount.point, folder) for folder in places.POINTS):
        reasons.append(f"{mount.point} is where scratch is mounted by convention")
    if reasons:
        return "; ".join(reasons), True
    if mount.type in places.MEMORY:
        return "a tmpfs of the system", False
    if any(inside(mount.point, folder) for folder in places.SYSTEM):
        return f"{mount.point} belongs to the system", False
    return "no variable points into it and its name is none that scratch has by convention", False


def _variable(
    name: str, path: str, place: str | None, mount: Mount | None, disk: Disk | None, problem: str
) -> Variable:
    shown = printable(path)[:300]
    if place is None:
        why = (
            "is no absolute path" if not path.startswith("/") else "can't be followed: no answer, or links without end"
        )
        return Variable(name, shown, None, None, None, None, why)
    if mount is None:
        return Variable(name, shown, None, None, None, None, "is on no mounted file system")
    kind = "memory" if mount.type in places.MEMORY else "disk" if mount.type in places.LOCAL else "shared"
    if mount.type in ("overlay", "aufs"):
        kind, problem = "disk", problem or "is in the layer of a container, which goes with it"
    free = min(disk.available, disk.total) if disk else None
    if free is not None and mount.read_only:
        problem = "is mounted read-only"
    return Variable(name, shown, mount.point, mount.type, kind, free, problem)
