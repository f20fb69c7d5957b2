"""containerd, asked through `nerdctl` where it is here, else through `ctr`, which is for root only on most hosts."""

from __future__ import annotations

from resource_secretary.errors import ArgumentError
from resource_secretary.providers import Absent, Active, Unreachable, secretary_tool
from resource_secretary.providers.container._container import CDI, Container, ContainerProvider, GpuOption, Image
from resource_secretary.providers.container._containerd_text import (
    Containerd,
    Snapshotter,
    read_images,
    read_names,
    read_snapshotters,
    read_version,
)
from resource_secretary.providers.container._docker_text import read_containers, read_versions
from resource_secretary.providers.container._docker_text import read_images as read_nerdctl_images
from resource_secretary.values import Name

_SOCKET = "/run/containerd/containerd.sock"
_JSON = ("--format", "{{json .}}")


class ContainerdProvider(ContainerProvider):
    name = "containerd"
    description = "containerd: its version, namespaces, images and containers."
    fresh_for = 60.0
    variables = ("CONTAINERD_ADDRESS", "CONTAINERD_NAMESPACE", "CONTAINERD_SNAPSHOTTER")
    gpu_options = (GpuOption("nvidia", "nerdctl run --gpus=all", ("/usr/bin/nvidia-container-cli", *CDI)),)

    def probe(self) -> Active[Containerd] | Absent | Unreachable:
        client = self._client()
        if client is None:
            return Absent("the command nerdctl or ctr on PATH")
        socket = self.system.environ.get("CONTAINERD_ADDRESS") or _SOCKET
        if client == "ctr" and not self.system.exists(socket):
            # It would wait ten seconds for one.
            return Unreachable("containerd", f"there is no socket {socket}, or this user may not see it")
        answer = self.system.run(client, "version", *(_JSON if client == "nerdctl" else ()))
        if not answer.ok:
            return answer.unreachable()
        if client == "ctr":
            return Active(Containerd(client, *read_version(answer.stdout)))
        versions = read_versions(answer.stdout)
        if versions.server is None:
            return Unreachable(answer.command, "it names no server", answer.code)
        return Active(Containerd(client, versions.client, versions.server))

    @secretary_tool
    def namespaces(self) -> list[str]:
        """The namespaces of containerd, each with images and containers of its own: default, k8s.io, moby."""
        if self._client() == "nerdctl":
            return read_names(self.system.run("nerdctl", "namespace", "ls", "--quiet").text(), "nerdctl namespace ls")
        return read_names(self.system.run("ctr", "namespaces", "ls", "--quiet").text(), "ctr namespaces ls")

    @secretary_tool
    def images(self, namespace: Name | None = None) -> list[Image]:
        """The images in a namespace.
        namespace: by default the one that is usual for this user."""
        space = self._namespace("images", namespace)
        if self._client() == "nerdctl":
            asked = ("nerdctl", f"--namespace={space}", "images", "--no-trunc", *_JSON)
            return read_nerdctl_images(self.system.run(*asked).text())
        return read_images(self.system.run("ctr", f"--namespace={space}", "images", "ls").text(), space)

    @secretary_tool
    def containers(self, namespace: Name | None = None) -> list[Container]:
        """The containers in a namespace, running or not.
        namespace: by default the one that is usual for this user."""
        space = self._namespace("containers", namespace)
        if self._client() == "nerdctl":
            asked = ("nerdctl", f"--namespace={space}", "ps", "--all", "--no-trunc", *_JSON)
            return read_containers(self.system.run(*asked).text())
        text = self.system.run("ctr", f"--namespace={space}", "containers", "ls", "--quiet").text()
        return [Container(name, name) for name in read_names(text, "ctr containers ls")]

    @secretary_tool
    def snapshotters(self) -> list[Snapshotter]:
        """How images can become root file systems here, and which of those ways work."""
        return read_snapshotters(self.system.run("ctr", "plugins", "ls").text())

    def _client(self) -> str | None:
        return next((name for name in ("nerdctl", "ctr") if self.system.which(name)), None)

    def _namespace(self, tool: str, given: str | None) -> str:
        known = self.namespaces()
        space = given or self.system.environ.get("CONTAINERD_NAMESPACE") or "default"
        # Without any image containerd has not even its default namespace yet.
        if space not in known and (given or space != "default"):
            raise ArgumentError(
                tool, "namespace", f"no namespace {space!r:.60}; there are: {', '.join(known) or 'none'}"
            )
        return space
