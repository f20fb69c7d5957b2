"""Charliecloud: containers in user namespaces, unpacked into folders."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers import Absent, Active, Unreachable, secretary_tool
from resource_secretary.providers.container._container import ContainerProvider, GpuOption, Image, Presence
from resource_secretary.reading import strange
from resource_secretary.run import printable
from resource_secretary.values import Name

_VERSION = re.compile(r"[0-9]+\.[0-9]+\S*")
_IMAGE = re.compile(r"[^\s:]\S*")


@dataclass(frozen=True, slots=True)
class Charliecloud:
    """storage: the folder with this user's images; exists: whether it was made yet."""

    version: str
    storage: str
    exists: bool


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Whether this host makes the namespaces that Charliecloud needs, tried by `ch-checkns`; said: what it said."""

    work: bool
    said: str


def read_images(text: str) -> list[Image]:
    """The images of `ch-image list`, one a line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [
        Image(printable(line))
        if _IMAGE.fullmatch(line)
        else Image("", problem=f"can't be read: {printable(line)[:100]}")
        for line in lines
    ]


def read_version(text: str) -> str:
    """The version of `ch-run --version`. Raises OutputError."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if not _VERSION.fullmatch(line):
        raise strange("ch-run --version", "is no version", text)
    return printable(line)


class CharliecloudProvider(ContainerProvider):
    name = "charliecloud"
    description = "Charliecloud: unprivileged containers, this user's images, and whether namespaces work."
    fresh_for = 3600.0
    variables = ("CH_IMAGE_STORAGE", "USER")
    gpu_options = (GpuOption("nvidia", "ch-fromhost --nvidia IMAGE", ("/usr/bin/nvidia-container-cli",)),)

    def probe(self) -> Active[Charliecloud] | Absent | Unreachable:
        if not self.system.which("ch-run"):
            return Absent("the command ch-run on PATH")
        answer = self.system.run("ch-run", "--version")
        if not answer.ok:
            return answer.unreachable()
        # It writes to stderr, at least until 0.31.
        version = read_version(answer.stdout.strip() or answer.stderr)
        storage = self._storage()
        return Active(Charliecloud(version, storage, self.system.exists(storage)))

    @secretary_tool
    def images(self) -> list[Image]:
        """The images in this user's storage; none where the storage was not made yet."""
        if not self.system.exists(self._storage()):
            return []  # `ch-image list` would make it
        return read_images(self.system.run("ch-image", "list").text())

    @secretary_tool
    def image(self, name: Name) -> Presence:
        """Whether an image is in this user's storage.
        name: of the image, with its tag."""
        found = self.images()
        if any(one.name == name for one in found):
            return Presence(name, True)
        if problem := next((one.problem for one in found if one.problem), ""):
            raise OutputError("ch-image list", "", problem)
        return Presence(name, False)

    @secretary_tool
    def check(self) -> Namespaces:
        """Try whether this host makes the namespaces that containers need, as this user."""
        answer = self.system.run("ch-checkns")
        if answer.problem:
            raise CommandFailed(answer.command, answer.said)
        lines = [line.strip() for text in (answer.stdout, answer.stderr) for line in text.splitlines() if line.strip()]
        return Namespaces(answer.ok, printable(lines[-1])[:200] if lines else answer.said)

    def _storage(self) -> str:
        # ch-image(1), "Storage directory".
        environ = self.system.environ
        return environ.get("CH_IMAGE_STORAGE") or f"/var/tmp/{environ.get('USER') or self.system.user()}.ch"  # noqa: S108
