"""Network file systems of the usual kinds: NFS, CIFS (SMB) and their like, as this host has them mounted."""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.providers import secretary_tool
from resource_secretary.providers.storage._mounts import Mount, visible
from resource_secretary.providers.storage._network_text import read_quotas
from resource_secretary.providers.storage._quota import Quota
from resource_secretary.providers.storage._storage import MountedProvider
from resource_secretary.reading import whole
from resource_secretary.run import printable


@dataclass(frozen=True, slots=True)
class Served:
    """Where a file system comes from. export: what the server gives. hard: whether programs wait without end for a
    server that is gone (NFS), None where the file system knows no such option.
    """

    point: str
    type: str
    server: str
    export: str
    version: str | None
    transport: str | None
    security: str | None
    hard: bool | None
    read_size: int | None
    write_size: int | None


@dataclass(frozen=True, slots=True)
class Automount:
    """A place where the automounter mounts something as soon as it is used. map: what decides."""

    point: str
    map: str


class NetworkFsProvider(MountedProvider):
    name = "network-fs"
    description = "Network file systems (NFS, CIFS and their like): mounts, space, servers, and quotas."
    types = frozenset(
        {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "panfs", "wekafs"}
        | {"fuse.sshfs", "fuse.glusterfs", "fuse.cvmfs2"}
    )

    @secretary_tool
    def servers(self) -> list[Served]:
        """From which server each file system comes, and how: protocol, security, sizes of reads and writes."""
        return [_served(mount) for mount in self._mounts()]

    @secretary_tool
    def quota(self) -> list[Quota]:
        """The quotas of this user that the servers tell, by quota(1)."""
        return read_quotas(self.system.run("quota", "-w", "-p"))

    @secretary_tool
    def automounts(self) -> list[Automount]:
        """Where the automounter will mount something as soon as it is used."""
        every, _ = self._table()
        return [Automount(one.point, printable(one.source)) for one in visible(every) if one.type == "autofs"]


def _served(mount: Mount) -> Served:
    server, export = _source(mount.source)
    options = {*mount.super_options, *mount.options}
    return Served(
        point=mount.point,
        type=mount.type,
        server=printable(server),
        export=printable(export),
        version=mount.option("vers"),
        transport=mount.option("proto") or mount.option("trans"),
        security=mount.option("sec"),
        hard=True if "hard" in options else False if "soft" in options or "softerr" in options else None,
        read_size=whole(mount.option("rsize")),
        write_size=whole(mount.option("wsize")),
    )


def _source(source: str) -> tuple[str, str]:
    """Server and export: nfs(5) `host:/path`, `[fe80::1]:/path`; mount.cifs(8) `//server/share`."""
    if source.startswith("//"):
        server, _, export = source[2:].partition("/")
        return server, export
    if source.startswith("["):
        server, _, export = source[1:].partition("]:")
        return server, export
    server, colon, export = source.partition(":")
    return (server, export) if colon else ("", source)
