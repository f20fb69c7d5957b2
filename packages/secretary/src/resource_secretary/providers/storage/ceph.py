"""CephFS, as this host has it mounted: by the kernel or by ceph-fuse."""

from __future__ import annotations

from resource_secretary.providers import secretary_tool
from resource_secretary.providers.storage._ceph_text import CephCluster, read_status
from resource_secretary.providers.storage._quota import Quota, quota
from resource_secretary.providers.storage._storage import MountedProvider
from resource_secretary.reading import whole
from resource_secretary.values import AbsolutePath


class CephProvider(MountedProvider):
    name = "ceph"
    description = "CephFS: mounted file systems, quotas of folders, and the health of the cluster."
    types = frozenset({"ceph", "fuse.ceph", "fuse.ceph-fuse"})
    variables = ("CEPH_CONF", "CEPH_ARGS")

    @secretary_tool
    def quota(self, path: AbsolutePath | None = None) -> list[Quota]:
        """The quotas that hold for a folder: its own, and those of the folders above it up to the mount.
        path: a folder on CephFS; by default every mount."""
        found = []
        for place, mount in self._one("quota", path):
            folders = [place]
            while folders[-1] != mount.point and "/" in folders[-1].strip("/"):
                folders.append(folders[-1].rpartition("/")[0])
            own = [self._folder(folder, mount.point) for folder in folders]
            limited = [one for one in own if one.hard is not None or one.files_hard is not None or one.problem]
            # Without any limit, what the folder holds is still told.
            found += limited or own[:1]
        return found

    @secretary_tool
    def health(self) -> CephCluster:
        """The health of the whole cluster, for users who have a key to ask for it."""
        return read_status(self.system.run("ceph", "-s", "--format=json", "--connect-timeout=5").text())

    def _folder(self, folder: str, point: str) -> Quota:
        names = ("ceph.quota.max_bytes", "ceph.quota.max_files", "ceph.dir.rbytes", "ceph.dir.rentries")
        texts = [self.system.attribute(folder, name) for name in names]
        hard, files_hard, used, files = (whole(text) if text is not None else None for text in texts)
        odd = [f"{name} is {text!r:.40}" for name, text in zip(names, texts, strict=True) if _odd(text)]
        if used is None and files is None and not odd:
            odd = ["its attributes ceph.dir.* can't be read"]
        return quota(point, "folder", folder, (used, None, hard), (files, None, files_hard), problem="; ".join(odd))


def _odd(text: str | None) -> bool:
    return text is not None and whole(text) is None
