"""Conda environments, of conda, mamba or micromamba: read from disk, as each keeps `conda-meta` in every environment.

Starting conda takes a second or more, so what can be read is not asked: conda-meta/NAME-VERSION-BUILD.json is there for
each package, and the base environment has a package `conda` (or `mamba`) of the version that the command is of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from resource_secretary.errors import ArgumentError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers._paths import folder_of, real
from resource_secretary.providers.software._common import (
    Presence,
    is_compiler,
    optional,
    presence,
    read_json,
    unreadable,
)
from resource_secretary.run import Ran
from resource_secretary.values import Name, Text

_COMMANDS = ("conda", "mamba", "micromamba")
_FILE = re.compile(r"^(?P<name>[^/]+)-(?P<version>[^-/]+)-(?P<build>[^-/]+)\.json$")
_VERSIONS = ("conda_version", "mamba version", "micromamba version", "libmamba version")
_HOMES = ("miniforge3", "mambaforge", "miniconda3", "anaconda3", "micromamba")


@dataclass(frozen=True, slots=True)
class Conda:
    """command: its path, None where there are only environments. active: the active environment's folder."""

    command: str | None
    version: str | None
    active: str | None
    environments: int


@dataclass(frozen=True, slots=True)
class Environment:
    """name: base for the root, else its folder's name. python: the version of its Python, None without one."""

    name: str
    path: str
    active: bool
    packages: int
    python: str | None


@dataclass(frozen=True, slots=True)
class CondaPackage:
    name: str
    version: str
    build: str


@dataclass(frozen=True, slots=True)
class CondaInfo:
    """virtual_packages: what conda knows of this machine: __cuda=12.2=0, __glibc=2.36=0, __archspec=1=zen3."""

    version: str | None
    platform: str | None
    root: str | None
    channels: tuple[str, ...]
    virtual_packages: tuple[str, ...]


class CondaProvider(BaseProvider):
    category = "software"
    name = "conda"
    description = "Conda environments (conda, mamba, micromamba) and the packages in them."
    fresh_for = 3600.0
    variables = (
        "CONDA_EXE",
        "CONDA_PREFIX",
        "CONDA_ENVS_PATH",
        "CONDA_ENVS_DIRS",
        "MAMBA_EXE",
        "MAMBA_ROOT_PREFIX",
        "HOME",
    )

    def probe(self) -> Active[Conda] | Absent | Unreachable:
        command, environments = self._command(), self._environments()
        if command is None and not environments:
            return Absent("the command conda, mamba or micromamba on PATH, and environments with conda-meta")
        version = self._version_on_disk(environments)
        if version is None and command is not None:
            answer = self.system.run(command, "info", "--json")
            if not answer.ok:
                return answer.unreachable()
            version = _read_info(answer).version
        active = self.system.environ.get("CONDA_PREFIX") or None
        path = self.system.which(command) if command else None
        return Active(Conda(path, version, active, len(environments)))

    @secretary_tool
    def environments(self) -> list[Environment]:
        """The environments that are known of, with their paths and the version of Python in each."""
        found = []
        active = self.system.environ.get("CONDA_PREFIX", "").rstrip("/")
        for path in self._environments():
            packages = self._packages(path)
            python = next((one.version for one in packages if one.name == "python"), None)
            found.append(Environment(self._name(path), path, path == active, len(packages), python))
        return found

    @secretary_tool
    def packages(self, environment: Text = "") -> list[CondaPackage]:
        """The packages of an environment, by name.
        environment: its name or absolute path, as `environments` tells; empty: the active one, else base."""
        return self._packages(self._chosen(environment, "packages"))

    @secretary_tool
    def compilers(self, environment: Text = "") -> list[CondaPackage]:
        """The packages of an environment that are compilers.
        environment: its name or absolute path, as `environments` tells; empty: the active one, else base."""
        return [one for one in self._packages(self._chosen(environment, "compilers")) if is_compiler(one.name)]

    @secretary_tool
    def find(self, name: Name, environment: Text = "") -> Presence:
        """Is a package in an environment, and in which version?
        name: the package's name, also with a version: numpy=1.26.4.
        environment: its name or absolute path, as `environments` tells; empty: the active one, else base."""
        packages = self._packages(self._chosen(environment, "find"))
        return presence(name, ((one.name, one.version) for one in packages), ("==", "="))

    @secretary_tool
    def info(self) -> CondaInfo:
        """What conda knows of this machine: platform, channels, and virtual packages such as __cuda."""
        command = self._command() or _COMMANDS[0]
        return _read_info(self.system.run(command, "info", "--json"))

    def _command(self) -> str | None:
        """A command of PATH, else the one that CONDA_EXE or MAMBA_EXE names by an absolute path that is executable."""
        for name in _COMMANDS:
            if self.system.which(name):
                return name
        named = (self.system.environ.get(variable, "") for variable in ("CONDA_EXE", "MAMBA_EXE"))
        return next((path for path in named if path.startswith("/") and self.system.which(path)), None)

    def _environments(self) -> list[str]:
        """The folders with a conda-meta, each once: roots, those in their `envs`, and those of environments.txt.

        environments.txt is where every one of these commands notes the environments that it makes (conda's
        documentation, "Managing environments").
        """
        found: dict[str, None] = {}
        for root in self._roots():
            envs = [f"{root}/envs/{name}" for name in self.system.entries(f"{root}/envs")]
            for path in (root, *envs):
                if self.system.exists(f"{path}/conda-meta/history") or self.system.entries(f"{path}/conda-meta"):
                    found.setdefault(path)
        return list(found)

    def _roots(self) -> Iterator[str]:
        environ = self.system.environ
        home = environ.get("HOME", "")
        listed = [environ.get("MAMBA_ROOT_PREFIX", ""), environ.get("CONDA_PREFIX", "")]
        commands = [environ.get(variable, "") for variable in ("CONDA_EXE", "MAMBA_EXE")]
        for name in _COMMANDS:
            path = self.system.which(name)
            commands += [path, real(self.system, path)] if path else []
        listed += [folder_of(folder_of(path)) for path in commands if path]
        for variable in ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS"):
            for folder in environ.get(variable, "").split(":"):
                listed += [f"{folder}/{name}" for name in self.system.entries(folder)] if folder.startswith("/") else []
        if home.startswith("/"):
            listed += (self.system.read(f"{home}/.conda/environments.txt") or "").splitlines()
            listed += [f"{home}/{name}" for name in _HOMES]
        seen = set()
        for one in listed:
            path = one.strip().rstrip("/")
            if path.startswith("/") and path not in seen and "\0" not in path:
                seen.add(path)
                yield path

    def _version_on_disk(self, environments: list[str]) -> str | None:
        for path in environments:
            for one in self._packages(path):
                if one.name in ("conda", "mamba"):
                    return one.version
        return None

    def _packages(self, path: str) -> list[CondaPackage]:
        matches = (_FILE.match(name) for name in self.system.entries(f"{path}/conda-meta"))
        return [CondaPackage(found["name"], found["version"], found["build"]) for found in matches if found]

    def _name(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        return name if folder.endswith("/envs") or not self.system.exists(f"{path}/condabin") else "base"

    def _chosen(self, asked: str, tool: str) -> str:
        """The folder of an environment by its name or path: only those that are known, no other folder is read."""
        known = self._environments()
        if not asked:
            active = self.system.environ.get("CONDA_PREFIX", "").rstrip("/")
            if active in known or known:
                base = next((path for path in known if self._name(path) == "base"), known[0])
                return active if active in known else base
        for path in known:
            if asked.rstrip("/") == path or asked == self._name(path):
                return path
        names = ", ".join(self._name(path) for path in known[:20]) or "none"
        raise ArgumentError(f"conda.{tool}", "environment", f"no environment {asked!r} is known; there are: {names}")


def _read_info(answer: Ran) -> CondaInfo:
    """Of `conda info --json` or `micromamba info --json`, whose keys have blanks. Raises CommandFailed, OutputError."""
    text = answer.text()
    value = read_json(answer.command, text)
    if not isinstance(value, Mapping):
        raise unreadable(answer.command, text, "an object expected")
    version = next((found for key in _VERSIONS if (found := optional(value, key))), None)
    root = optional(value, "root_prefix") or optional(value, "base environment")
    if version is None and root is None:
        raise unreadable(answer.command, text, "conda_version or micromamba version expected")
    virtual = value.get("virtual_pkgs", value.get("virtual packages"))
    return CondaInfo(version, optional(value, "platform"), root, _texts(value.get("channels")), _texts(virtual))


def _texts(value: Any) -> tuple[str, ...]:
    """A list of texts, or of lists of them (conda writes virtual packages as [name, version, build])."""
    if not isinstance(value, list):
        return ()
    return tuple("=".join(map(str, one)) if isinstance(one, list) else str(one) for one in value)
