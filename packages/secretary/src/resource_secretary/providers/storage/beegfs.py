"""BeeGFS, as this host has it mounted, asked through `beegfs` (version 8) or `beegfs-ctl` and `beegfs-df` (7)."""

from __future__ import annotations

from typing import Literal

from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers import secretary_tool
from resource_secretary.providers.storage._beegfs_text import (
    BeegfsServer,
    BeegfsTarget,
    read_df,
    read_quota_csv,
    read_quota_json,
    read_servers,
    read_targets,
)
from resource_secretary.providers.storage._quota import Quota
from resource_secretary.providers.storage._storage import MountedProvider
from resource_secretary.values import AbsolutePath

_CLIENTS = "/proc/fs/beegfs"  # a folder for each mount


class BeegfsProvider(MountedProvider):
    name = "beegfs"
    description = "BeeGFS: mounted file systems, space on each target, and quotas."
    types = frozenset({"beegfs"})

    @secretary_tool
    def targets(self, path: AbsolutePath | None = None) -> list[BeegfsTarget]:
        """The metadata and storage targets, with size, free space and state as far as this version tells.
        path: only of the file system that this path is on."""
        found = []
        for _, mount in self._one("targets", path):
            if self._new():
                answer = self.system.run("beegfs", "health", "df", "--output=json", f"--mount={mount.point}")
                found += read_targets(answer.text())
            else:
                found += read_df(self.system.run("beegfs-df", "-p", mount.point).text())
        return found

    @secretary_tool
    def servers(self) -> list[BeegfsServer]:
        """The servers that this client knows, and its connections to them: over RDMA or TCP, or none yet."""
        found = []
        for client in self.system.entries(_CLIENTS):
            for kind in ("mgmt", "meta", "storage"):
                found += read_servers(self.system.read(f"{_CLIENTS}/{client}/{kind}_nodes") or "", kind)
        if not found:
            raise OutputError(_CLIENTS, "", "tells of no server")
        return found

    @secretary_tool
    def quota(self, kind: Literal["user", "group"] = "user", path: AbsolutePath | None = None) -> list[Quota]:
        """The quotas of this user, or of this user's own group, on the mounted file systems.
        kind: whose quota.
        path: only on the file system that this path is on."""
        found = []
        for _, mount in self._one("quota", path):
            try:
                found += self._quotas(kind, mount.point)
            except (CommandFailed, OutputError) as error:
                found.append(Quota(mount.point, kind, "", problem=str(error)))
        return found

    def _quotas(self, kind: str, point: str) -> list[Quota]:
        letter = {"user": "u", "group": "g"}[kind]
        if self._new():
            # Only root may ask for others; `current` stands for this user and this user's groups.
            asked = ("beegfs", "quota", "list-usage", f"--{letter}ids=current", "--output=ndjson", f"--mount={point}")
            return read_quota_json(self.system.run(*asked).text(), point)
        whose = self.system.user() if kind == "user" else self.system.run("id", "-gn").text().strip() or "0"
        asked = ("beegfs-ctl", "--getquota", "--csv", f"--{letter}id", whose, f"--mount={point}")
        return read_quota_csv(self.system.run(*asked).text(), point, kind)

    def _new(self) -> bool:
        """Whether the tool of version 8 is here."""
        return self.system.which("beegfs") is not None

    def _version(self) -> str | None:
        return self.system.read("/sys/module/beegfs/version") or None
