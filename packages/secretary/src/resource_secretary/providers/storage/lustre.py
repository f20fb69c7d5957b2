"""Lustre, as this host has it mounted, asked through `lfs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resource_secretary.errors import ArgumentError, CommandFailed, OutputError
from resource_secretary.providers import secretary_tool
from resource_secretary.providers.storage._lustre_text import (
    LustreTarget,
    Server,
    Stripe,
    read_layout,
    read_project,
    read_quota,
    read_servers,
    read_targets,
)
from resource_secretary.providers.storage._quota import Quota
from resource_secretary.providers.storage._storage import MountedProvider
from resource_secretary.values import AbsolutePath, Name

_VERSION = "/sys/fs/lustre/version"
_HEALTH = "/sys/fs/lustre/health_check"
_OPTION = {"user": "-u", "group": "-g", "project": "-p"}


@dataclass(frozen=True, slots=True)
class LustreHealth:
    """health_check: what the kernel says of itself, None where it does not. servers: the connections of this client,
    None where they can't be asked, and then `problem` says why.
    """

    health_check: str | None
    servers: tuple[Server, ...] | None
    problem: str


class LustreProvider(MountedProvider):
    name = "lustre"
    description = "Lustre: mounted file systems, space on each target, quotas, layouts and health."
    types = frozenset({"lustre"})

    @secretary_tool
    def targets(self, path: AbsolutePath | None = None) -> list[LustreTarget]:
        """The targets (MDT and OST) of the mounted file systems, with size and free bytes of each.
        path: only of the file system that this path is on."""
        found = []
        for _, mount in self._one("targets", path):
            # --lazy: a target that is gone is told, not waited for.
            answer = self.system.run("lfs", "df", "--lazy", mount.point)
            found += read_targets(answer.text(), mount.point)
        return found

    @secretary_tool
    def quota(
        self,
        kind: Literal["user", "group", "project"] = "user",
        name: Name | None = None,
        path: AbsolutePath | None = None,
    ) -> list[Quota]:
        """The quotas of a user, a group or a project on the mounted file systems.
        kind: whose quota. A project is that of a path, or a number.
        name: of whom; by default this user, this user's own group, or the project of the path.
        path: only on the file system that this path is on."""
        found = []
        for place, mount in self._one("quota", path):
            try:
                whose = name or self._whose(kind, place)
                answer = self.system.run("lfs", "quota", "-q", _OPTION[kind], whose, mount.point)
                found.append(read_quota(answer.text(), mount.point, kind, whose))
            except (CommandFailed, OutputError) as error:
                found.append(Quota(mount.point, kind, name or "", problem=str(error)))
        return found

    @secretary_tool
    def layout(self, path: AbsolutePath) -> list[Stripe]:
        """How a file is striped over the targets, or how new files of a folder will be.
        path: a file or folder on Lustre."""
        place, _ = self._place("layout", path)
        return read_layout(self.system.run("lfs", "getstripe", "-d", place).text(), place)

    @secretary_tool
    def health(self) -> LustreHealth:
        """Whether the client says that it is healthy, and the state of its connections to the servers."""
        check = self.system.read(_HEALTH)
        answer = self.system.run("lfs", "check", "servers")
        if not answer.ok:
            return LustreHealth(check, None, f"{answer.command}: {answer.said}")
        # It has written to one or the other stream, by version.
        servers = read_servers(answer.stdout or answer.stderr)
        return LustreHealth(check, tuple(servers), "" if servers else "lfs check servers names none")

    def _whose(self, kind: str, place: str) -> str:
        if kind == "user":
            return self.system.user()
        if kind == "group":
            return self.system.run("id", "-gn").text().strip() or "0"
        project = read_project(self.system.run("lfs", "project", "-d", place).text(), place)
        if project is None:
            raise ArgumentError("quota", "path", f"{place!r:.200} is of no project")
        return str(project)

    def _version(self) -> str | None:
        text = self.system.read(_VERSION)
        return text.splitlines()[0].removeprefix("lustre:").strip() if text else None
