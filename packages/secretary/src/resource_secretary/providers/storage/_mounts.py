"""Read /proc/self/mountinfo: what is mounted where, and which of it can be seen.

proc(5), "/proc/pid/mountinfo"; Documentation/filesystems/proc.rst of the kernel, section 3.5. Blanks, tabs, line ends
and backslashes in a name are written in octal, as in fstab(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from resource_secretary.reading import whole
from resource_secretary.run import printable

_OCTAL = re.compile(r"\\([0-3][0-7]{2})")
_DEVICE = re.compile(r"[0-9]{1,7}:[0-9]{1,7}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount. device: `major:minor`. root: what of the file system is mounted. point: where. options: of this mount.
    super_options: of the file system. type: such as `nfs4` or `fuse.sshfs`. source: a device, server or name.
    """

    id: int
    parent: int
    device: str
    root: str
    point: str
    options: tuple[str, ...]
    type: str
    source: str
    super_options: tuple[str, ...]

    @property
    def read_only(self) -> bool:
        return "ro" in self.options or "ro" in self.super_options

    def option(self, name: str) -> str | None:
        """The value of an option `name=value` of the file system, None where it is not there."""
        start = f"{name}="
        found = (one for one in (*self.super_options, *self.options) if one.startswith(start))
        return next((one[len(start) :] for one in found), None)


def read_mounts(text: str) -> tuple[list[Mount], list[str]]:
    """The mounts in their order, and the lines that can't be read, each with its number."""
    mounts, unread = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        mount = _mount(line)
        if mount:
            mounts.append(mount)
        else:
            unread.append(f"line {number}: {printable(line)[:80]}")
    return mounts, unread


def visible(mounts: list[Mount]) -> list[Mount]:
    """Those that a path can reach: no other one is mounted over them, or over a folder above them.

    A mount over another one has that one as its parent, and the same mount point.
    """
    by_id = {mount.id: mount for mount in mounts}
    # The points of what is mounted on a mount. The root may be its own parent, and lies over nothing for that.
    points: dict[int, set[str]] = {}
    for mount in mounts:
        if mount.parent != mount.id:
            points.setdefault(mount.parent, set()).add(mount.point)
    known: dict[int, bool] = {}

    def hidden(mount: Mount) -> bool:
        """Whether something lies over a folder above it, or above a mount that it is on."""
        chain: list[int] = []
        at: Mount | None = mount
        over = False
        while at is not None and not over and at.id not in chain:
            if at.id in known:
                over = known[at.id]
                break
            chain.append(at.id)
            beside = points.get(at.parent, set())
            over = any(folder in beside for folder in _above(at.point))
            at = by_id.get(at.parent)
        known.update(dict.fromkeys(chain, over))
        return over

    return [mount for mount in mounts if mount.point not in points.get(mount.id, set()) and not hidden(mount)]


def inside(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it; both absolute, without `.` and `..`."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _above(path: str) -> Iterator[str]:
    """The folders that an absolute path lies in."""
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that a path is on: the innermost one, the last one where several have the same mount point."""
    best = None
    for mount in mounts:
        if inside(path, mount.point) and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def _mount(line: str) -> Mount | None:
    # The optional fields before the separator are of any number; ` - ` itself can't be in a name.
    before, separator, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not separator or len(left) < 6 or len(right) < 3:
        return None
    number, parent = whole(left[0]), whole(left[1])
    if number is None or parent is None or not _DEVICE.fullmatch(left[2]) or not left[4].startswith("/"):
        return None
    return Mount(
        id=number,
        parent=parent,
        device=left[2],
        root=_plain(left[3]),
        point=_plain(left[4]),
        options=tuple(left[5].split(",")),
        type=printable(right[0]),
        source=_plain(right[1]),
        super_options=tuple(_plain(one) for one in right[2].split(",")),
    )


def _plain(text: str) -> str:
    r"""A name without its escapes: `\040` is a blank. Bytes beyond ASCII stand for themselves."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
