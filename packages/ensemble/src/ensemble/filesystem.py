"""What kind of file system a directory is on."""

from __future__ import annotations

from pathlib import Path

# Types as /proc/self/mountinfo has them (proc(5)); `fuse.` stands for all file systems in user space.
NETWORK = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "9p", "afs", "glusterfs"}
    | {"orangefs", "panfs", "pvfs2", "wekafs", "virtiofs", "ocfs2", "gfs2"}
)


def on_network(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether a path is on a file system that several machines may share; False where that can't be told."""
    place = str(path.resolve())
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    best, kind = "", ""
    for line in lines:
        left, _, right = line.partition(" - ")
        fields, more = left.split(), right.split()
        if len(fields) < 5 or not more:
            continue
        point = fields[4].encode(errors="surrogateescape").decode("unicode_escape", errors="replace")  # \040 is a blank
        if (place == point or place.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, more[0]
    return kind in NETWORK or kind.startswith("fuse.")
