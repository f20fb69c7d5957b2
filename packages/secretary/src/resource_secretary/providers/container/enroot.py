"""Enroot (NVIDIA): containers as unpacked folders in user namespaces."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, Unreachable, secretary_tool
from resource_secretary.providers.container._container import Container, ContainerProvider, GpuOption
from resource_secretary.providers.container._singularity import Setting
from resource_secretary.reading import strange
from resource_secretary.run import printable

_CONFIGURATION = "/etc/enroot/enroot.conf"
_HOOKS = "/etc/enroot/hooks.d"
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+\S*")
_SETTING = re.compile(r"\s*(ENROOT_[A-Z_]+)\s+(\S.*?)\s*")


@dataclass(frozen=True, slots=True)
class Enroot:
    """data_path: where this user's containers are, None where it is left to the configuration. hooks: what runs when a
    container starts, such as 98-nvidia.sh for GPUs. pyxis: whether Slurm's plugin for it is here, by its usual places.
    """

    version: str
    data_path: str | None
    hooks: tuple[str, ...]
    pyxis: bool


_PYXIS = ("/usr/local/lib/slurm/spank_pyxis.so", "/usr/lib64/slurm/spank_pyxis.so", "/usr/lib/slurm/spank_pyxis.so")


def read_version(text: str) -> str:
    """The version of `enroot version`. Raises OutputError."""
    line = text.strip()
    if not _VERSION.fullmatch(line):
        raise strange("enroot version", "is no version", text)
    return printable(line)


def read_containers(text: str) -> list[Container]:
    """The containers of `enroot list`, one a line; their names may hold blanks."""
    return [Container(printable(line.strip())) for line in text.splitlines() if line.strip()]


def read_settings(text: str) -> list[Setting]:
    """The settings of enroot.conf: `ENROOT_NAME value`, comments behind `#`."""
    matches = (_SETTING.fullmatch(line) for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [Setting(match[1], printable(match[2])) for match in matches if match]


class EnrootProvider(ContainerProvider):
    name = "enroot"
    description = "Enroot: unprivileged containers, the site's settings, and hooks for GPUs."
    fresh_for = 3600.0
    variables = ("ENROOT_DATA_PATH", "ENROOT_CACHE_PATH", "ENROOT_RUNTIME_PATH", "XDG_DATA_HOME")
    gpu_options = (GpuOption("nvidia", "NVIDIA_VISIBLE_DEVICES=all", (f"{_HOOKS}/98-nvidia.sh",)),)

    def probe(self) -> Active[Enroot] | Absent | Unreachable:
        if not self.system.which("enroot"):
            return Absent("the command enroot on PATH")
        answer = self.system.run("enroot", "version")
        if not answer.ok:
            return answer.unreachable()
        return Active(
            Enroot(
                version=read_version(answer.stdout),
                data_path=self.system.environ.get("ENROOT_DATA_PATH"),
                hooks=tuple(self.system.entries(_HOOKS)),
                pyxis=any(self.system.exists(path) for path in _PYXIS),
            )
        )

    @secretary_tool
    def containers(self) -> list[Container]:
        """The containers of this user, unpacked and ready to start."""
        return read_containers(self.system.run("enroot", "list").text())

    @secretary_tool
    def configuration(self) -> list[Setting]:
        """The site's settings: where data and cache lie, what is mounted, what is allowed."""
        text = self.system.read(_CONFIGURATION)
        if text is None:
            raise OutputError(_CONFIGURATION, "", "can't be read")
        return read_settings(text)
