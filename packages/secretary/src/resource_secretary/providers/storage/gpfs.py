"""IBM Storage Scale (GPFS), as this host has it mounted, asked through its `mm` commands."""

from __future__ import annotations

from resource_secretary.providers import secretary_tool
from resource_secretary.providers.storage._gpfs_text import (
    GpfsFileSystem,
    GpfsNode,
    read_file_systems,
    read_nodes,
    read_quotas,
)
from resource_secretary.providers.storage._quota import Quota
from resource_secretary.providers.storage._storage import MountedProvider

_FOLDER = "/usr/lpp/mmfs/bin"  # where it is installed; often not on PATH


class GpfsProvider(MountedProvider):
    name = "gpfs"
    description = "IBM Storage Scale (GPFS): mounted file systems, quotas, and the state of this node."
    types = frozenset({"gpfs"})

    @secretary_tool
    def quota(self) -> list[Quota]:
        """The quotas of this user, this user's group and the default filesets, on every file system that has some."""
        return read_quotas(self._ask("mmlsquota", "-Y"))

    @secretary_tool
    def file_systems(self) -> list[GpfsFileSystem]:
        """The file systems of the cluster, also those that are not mounted here: block size, replicas, quotas."""
        return read_file_systems(self._ask("mmlsfs", "all", "-Y"))

    @secretary_tool
    def health(self) -> list[GpfsNode]:
        """The state of this node's daemon, and how many nodes of the cluster are up."""
        return read_nodes(self._ask("mmgetstate", "-Y"))

    def _ask(self, name: str, *arguments: str) -> str:
        command = name if self.system.which(name) else f"{_FOLDER}/{name}"
        return self.system.run(command, *arguments).text()
