"""Docker, asked through its client: an engine that answers, here or on another host."""

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
    Engine,
    not_here,
    read_containers,
    read_engine,
    read_images,
    read_presence,
    read_versions,
)
from resource_secretary.values import Name

_JSON = ("--format", "{{json .}}")  # `-f json` means the same only since Docker 23
_SOCKET = "/var/run/docker.sock"
_EMULATION = "Emulate Docker CLI using podman"


class DockerProvider(ContainerProvider):
    name = "docker"
    description = "Docker: its engine, images, containers, and what it can limit."
    fresh_for = 60.0
    variables = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
    gpu_options = (GpuOption("nvidia", "--gpus=all", ("/usr/bin/nvidia-container-runtime-hook", *CDI)),)

    def probe(self) -> Active[Engine] | Absent | Unreachable:
        path = self.system.which("docker")
        if path is None:
            return Absent("the command docker on PATH")
        if why := self._no_engine(path):
            return Unreachable("docker", why)
        answer = self.system.run("docker", "version", *_JSON)
        if _EMULATION in answer.stderr:
            return Absent("Docker: the command docker on PATH is podman-docker, which runs Podman")
        if not answer.ok:
            return answer.unreachable()
        versions = read_versions(answer.stdout)
        if versions.podman:
            return Absent("Docker: the command docker on PATH runs Podman")
        if versions.server is None:
            return Unreachable(answer.command, "it names no server", answer.code)
        info = self.system.run("docker", "info", *_JSON)
        if not info.ok:
            return info.unreachable()
        return Active(read_engine(info.stdout, versions, self.system.environ.get("DOCKER_HOST")))

    def _no_engine(self, path: str) -> str:
        """Why there can be no engine to ask; "" where there may be one: here, elsewhere, or Podman as docker."""
        environ = self.system.environ
        config = environ.get("DOCKER_CONFIG") or f"{environ.get('HOME', '')}/.docker"
        told = any(environ.get(name) for name in ("DOCKER_HOST", "DOCKER_CONTEXT"))
        if told or self.system.exists(f"{config}/contexts") or self.system.exists(_SOCKET):
            return ""
        script = (self.system.read(path, 2) or "") != "\x7fE"  # podman-docker's is a script
        return "" if script else f"no engine runs on this host: there is no {_SOCKET}"

    @secretary_tool
    def images(self) -> list[Image]:
        """The images that the engine has."""
        return read_images(self.system.run("docker", "images", "--no-trunc", *_JSON).text())

    @secretary_tool
    def image(self, name: Name) -> Presence:
        """Whether the engine has an image, for which platform, and how large.
        name: of the image, with its tag or digest."""
        answer = self.system.run("docker", "image", "inspect", "--", name)
        if not answer.ok:
            if not answer.problem and not_here(answer.stderr):
                return Presence(name, False)
            raise CommandFailed(answer.command, answer.said)
        return read_presence(answer.stdout, name)

    @secretary_tool
    def containers(self) -> list[Container]:
        """The containers of the engine, running or not."""
        return read_containers(self.system.run("docker", "ps", "--all", "--no-trunc", *_JSON).text())
