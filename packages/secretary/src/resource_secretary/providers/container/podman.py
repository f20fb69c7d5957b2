"""Podman, which runs containers without a daemon, as root or as a user."""

from __future__ import annotations

from resource_secretary.errors import CommandFailed
from resource_secretary.providers import Absent, Active, Unreachable, secretary_tool
from resource_secretary.providers.container._container import (
    CDI,
    Container,
    ContainerProvider,
    GpuOption,
    Image,
    Presence,
)
from resource_secretary.providers.container._docker_text import (
    Podman,
    PodmanVersion,
    not_here,
    read_podman,
    read_podman_containers,
    read_podman_images,
    read_podman_version,
    read_presence,
)
from resource_secretary.values import Name


class PodmanProvider(ContainerProvider):
    name = "podman"
    description = "Podman: rootless or not, storage, images and containers."
    fresh_for = 60.0
    variables = ("CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "STORAGE_DRIVER", "XDG_RUNTIME_DIR")
    gpu_options = (
        GpuOption("nvidia", "--device=nvidia.com/gpu=all", CDI),
        GpuOption("amd", "--device=/dev/kfd --device=/dev/dri"),
    )

    def probe(self) -> Active[PodmanVersion] | Absent | Unreachable:
        if not self.system.which("podman"):
            return Absent("the command podman on PATH")
        answer = self.system.run("podman", "version", "--format", "json")
        if not answer.ok:
            return answer.unreachable()
        return Active(read_podman_version(answer.stdout))

    @secretary_tool
    def info(self) -> Podman:
        """How Podman runs here: rootless or not, storage, cgroups, runtime, network, what security modules are on."""
        return read_podman(self.system.run("podman", "info", "--format", "json").text())

    @secretary_tool
    def images(self) -> list[Image]:
        """The images in this user's storage."""
        return read_podman_images(self.system.run("podman", "images", "--format", "json").text())

    @secretary_tool
    def image(self, name: Name) -> Presence:
        """Whether an image is in this user's storage, for which platform, and how large.
        name: of the image, with its tag or digest."""
        answer = self.system.run("podman", "image", "inspect", "--", name)
        if not answer.ok:
            if not answer.problem and not_here(answer.stderr):
                return Presence(name, False)
            raise CommandFailed(answer.command, answer.said)
        return read_presence(answer.stdout, name)

    @secretary_tool
    def containers(self) -> list[Container]:
        """The containers of this user, running or not."""
        return read_podman_containers(self.system.run("podman", "ps", "--all", "--format", "json").text())
