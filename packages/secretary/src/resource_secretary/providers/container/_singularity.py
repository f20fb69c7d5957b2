"""What Apptainer and Singularity share, being of one origin: their commands, options and files are alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from resource_secretary.errors import ArgumentError, CommandFailed, OutputError
from resource_secretary.paths import resolved
from resource_secretary.providers import secretary_tool
from resource_secretary.providers.container._container import Container, ContainerProvider, GpuOption, Presence
from resource_secretary.reading import LONGEST_LINE, Record, each, read_object, scaled, strange
from resource_secretary.run import printable
from resource_secretary.values import AbsolutePath

_VERSION = re.compile(r"\s*(?:(apptainer|singularity(?:-ce|-pro)?) version )?([0-9]+(?:\.[0-9]+)+\S*)\s*")
_ENTRY = re.compile(r"\s*(\S.*?)\s+([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8})\s+([0-9.]+ [A-Za-z]+)\s+(\S+)\s*")
_SIF = ".sif"
_SUM = re.compile(r"There are [0-9]+ container file\(s\) using")


@dataclass(frozen=True, slots=True)
class SingularityLike:
    """runtime: apptainer, singularity, singularity-ce or singularity-pro. setuid: whether images are mounted by a
    setuid starter; False means by user namespaces, None that it can't be told. cache_dir: where images are cached.
    configuration: the file of the site's settings, None where it is not told.
    """

    runtime: str
    version: str
    command: str
    setuid: bool | None
    cache_dir: str | None
    configuration: str | None


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """An entry of the cache. type: library, oci-tmp, shub, oras, net or blob. size: bytes, rounded as it is printed.
    problem: why the entry can't be read, or "".
    """

    name: str
    created: str | None = None
    size: int | None = None
    type: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A line `name = value` of the site's settings; some names occur more than once."""

    name: str
    value: str


def read_version(text: str) -> tuple[str, str]:
    """Runtime and version of `apptainer --version`, or of `singularity --version` from 2.6 on. Raises OutputError."""
    for line in text.splitlines():
        if match := _VERSION.fullmatch(line):
            return match[1] or "singularity", printable(match[2])
    raise strange("--version", "names no version of Apptainer or Singularity", text)


def read_build(text: str) -> dict[str, str]:
    """The lines `NAME=value` of `apptainer buildcfg`."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): printable(value.strip()) for name, sign, value in pairs if sign}


def read_cache(text: str) -> list[CacheEntry]:
    """The entries of `cache list --verbose`. Raises OutputError where it is no such list."""
    if not _SUM.search(text):
        raise strange("cache list --verbose", "has no sum of the container files", text)
    found = []
    for line in text.splitlines():
        match = _ENTRY.fullmatch(line) if len(line) <= LONGEST_LINE else None
        size = scaled(match[3], decimal=True) if match else None
        if match and size is not None:
            found.append(CacheEntry(printable(match[1]), match[2], size, printable(match[4])))
        elif line.strip() and not line.lstrip().startswith(("NAME ", "There are", "Total space", "INFO:", "WARNING:")):
            found.append(CacheEntry("", problem=f"can't be read: {printable(line.strip())[:100]}"))
    return found


def read_header(text: str, path: str) -> Presence:
    """The image of `sif header`. Raises OutputError. An image without a system partition is for no platform."""
    pairs = (line.partition(":") for line in text.splitlines())
    fields = {name.strip(): printable(value.strip()) for name, sign, value in pairs if sign}
    if not fields.get("ID"):
        raise strange("sif header", "has no ID", text)
    machine = fields.get("Primary Architecture") or fields.get("Arch")
    return Presence(path, True, fields["ID"], platform=f"linux/{machine}" if machine else None)


def read_instances(text: str) -> list[Container]:
    """The instances of `instance list --json`. Raises OutputError."""
    record = read_object("instance list --json", text)
    if "instances" not in record.fields:
        raise record.error("instances is missing")

    def one(part: Record) -> Container:
        image = part.text("img", default="") or None
        pid = part.number("pid")
        return Container(part.text("instance"), str(pid) if pid is not None else None, image, "running")

    return each(record.parts("instances"), one, lambda reason: Container("", problem=reason))


def read_settings(text: str) -> list[Setting]:
    """The settings of apptainer.conf or singularity.conf: `name = value`, comments behind `#`."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return [Setting(printable(name.strip()), printable(value.strip())) for name, sign, value in pairs if sign]


class SingularityBase(ContainerProvider):
    """Base of both. `brand`: the first word of names of its own: APPTAINER_CACHEDIR, ~/.apptainer/cache."""

    brand: ClassVar[str] = ""
    fresh_for = 3600.0
    gpu_options = (GpuOption("nvidia", "--nv"), GpuOption("amd", "--rocm"))

    @secretary_tool
    def list_cache(self) -> list[CacheEntry]:
        """The images and layers in this user's cache, with sizes."""
        return read_cache(self.system.run(self._command(), "cache", "list", "--verbose").text())

    @secretary_tool
    def image(self, path: AbsolutePath) -> Presence:
        """Whether an image file (SIF) is there, and for which platform.
        path: of a file whose name ends with `.sif`."""
        place = resolved(self.system, path)
        if place is None or not path.endswith(_SIF) or not place.endswith(_SIF):
            raise ArgumentError("image", "path", f"must lead to a file whose name ends with {_SIF}, not {path!r:.200}")
        answer = self.system.run(self._command(), "sif", "header", place)
        if answer.ok:
            return read_header(answer.stdout, path)
        if not answer.problem and "no such file or directory" in answer.stderr:
            return Presence(path, False)
        raise CommandFailed(answer.command, answer.said)

    @secretary_tool
    def instances(self) -> list[Container]:
        """The instances (containers in the background) of this user on this host; their id is the process."""
        return read_instances(self.system.run(self._command(), "instance", "list", "--json").text())

    @secretary_tool
    def configuration(self) -> list[Setting]:
        """The site's settings: whether setuid is allowed, what is mounted, which images may run, defaults for GPUs."""
        path = self._conf(self._build())
        text = self.system.read(path) if path else None
        if text is None:
            raise OutputError(path or "the site's settings", "", "can't be read")
        return read_settings(text)

    def _command(self) -> str:
        return self.brand

    def _build(self) -> dict[str, str]:
        answer = self.system.run(self._command(), "buildcfg")
        return read_build(answer.stdout) if answer.ok else {}

    def _facts(self, runtime: str, version: str) -> SingularityLike:
        build, home = self._build(), self.system.environ.get("HOME", "")
        upper = self.brand.upper()
        starter = f"{build.get('LIBEXECDIR', '')}/{self.brand}/bin/starter-suid"
        flag = build.get(f"{upper}_SUID_INSTALL")
        # Packages are built for setuid and leave the starter to a package of its own.
        setuid = None if flag is None else flag == "1" and self.system.exists(starter)
        cache = self.system.environ.get(f"{upper}_CACHEDIR") or (f"{home}/.{self.brand}/cache" if home else None)
        return SingularityLike(runtime, version, self._command(), setuid, cache, self._conf(build))

    def _conf(self, build: dict[str, str]) -> str | None:
        upper = self.brand.upper()
        if path := build.get(f"{upper}_CONF_FILE"):
            return path
        base = build.get("SYSCONFDIR")
        folder = build.get(f"{upper}_CONFDIR") or (f"{base}/{self.brand}" if base else None)
        return f"{folder}/{self.brand}.conf" if folder else None
