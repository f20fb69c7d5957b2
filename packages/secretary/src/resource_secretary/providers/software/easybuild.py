"""EasyBuild: what it has installed, read from its folder of software and the environment; `eb` tells where that is.

Each installation is `software/NAME/VERSION[-TOOLCHAIN-VERSION][SUFFIX]` with a folder `easybuild` in it, and a module
below `modules/all` (EasyBuild's documentation, "Configuring EasyBuild", installpath, and "Naming scheme").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.software._common import Presence, is_compiler, presence, unreadable
from resource_secretary.values import Name

_VERSION = re.compile(r"This is EasyBuild (\S+) \(framework: ([^,\s]+)")
_SETTING = re.compile(r"^(?P<name>[a-z0-9-]+)\s+\((?P<from>[CDEF])\)\s+=\s?(?P<value>.*)$", re.MULTILINE)
_LOADED = re.compile(r"^EBROOT([A-Z0-9_]+)$")
# Compilers and toolchains by which EasyBuild names installations ("Overview of common toolchains").
_TOOLCHAINS = (
    *("GCCcore", "GCC", "gcccuda", "gompi", "gompic", "gfbf", "gfbfc", "gobff", "foss", "fosscuda", "golf", "gomkl"),
    *("intel-compilers", "iccifort", "iimpi", "iimpic", "iimkl", "intel", "intelcuda", "iompi", "iomkl", "impmkl"),
    *("NVHPC", "nvompi", "nvofbf", "nvompic", "nvpsmpi", "nvsmpi", "llvm-compilers", "lompi", "lfbf", "lfoss"),
    *("Clang", "ClangGCC", "cgmpich", "cgompi", "cpeGNU", "cpeCray", "cpeAMD", "cpeAOCC", "cpeIntel", "cpeNVIDIA"),
    *("pompi", "pomkl", "PGI", "gimkl", "gimpi", "gmpich", "gmvapich2", "gmvolf", "goolf", "goolfc", "ictce", "ipsmpi"),
    *("gpsmpi", "gpsolf", "rocm-compilers", "rompi", "rfbf", "rfoss", "rocmcc", "SYSTEM"),
)
_NAMED = re.compile(
    rf"^(?P<version>.+?)-(?P<toolchain>{'|'.join(sorted(map(re.escape, _TOOLCHAINS), key=len, reverse=True))})"
    r"-(?P<release>[0-9][A-Za-z0-9.]*(?:-[0-9][A-Za-z0-9.]*)?)(?P<suffix>-.*)?$"
)


@dataclass(frozen=True, slots=True)
class EasyBuild:
    """version: None where there are installations and no `eb`. framework: of its framework, where it was asked.

    software: the folder of installations, where told."""

    version: str | None
    framework: str | None
    software: str | None


@dataclass(frozen=True, slots=True)
class EasyBuildPackage:
    """toolchain: what it was built with, such as foss-2023b; None of the system's. suffix: such as -CUDA-12.1.1.

    module: NAME/VERSION as it is loaded; None where no module of it is there.
    """

    name: str
    version: str
    toolchain: str | None
    suffix: str
    module: str | None


@dataclass(frozen=True, slots=True)
class LoadedPackage:
    """name: as in its variables, in capitals: EBROOTHDF5. root: its folder."""

    name: str
    version: str | None
    root: str


@dataclass(frozen=True, slots=True)
class Setting:
    """origin: command line, default, environment or configuration file."""

    name: str
    value: str
    origin: str


_ORIGINS = {"C": "command line", "D": "default", "E": "environment", "F": "configuration file"}


class EasyBuildProvider(BaseProvider):
    category = "software"
    name = "easybuild"
    description = "EasyBuild: software that it has installed, with versions and toolchains, and its configuration."
    fresh_for = 3600.0
    variables = (
        "EBVERSIONEASYBUILD",
        "EASYBUILD_INSTALLPATH",
        "EASYBUILD_INSTALLPATH_SOFTWARE",
        "EASYBUILD_PREFIX",
        "EASYBUILD_CONFIGFILES",
        "HOME",
    )

    def probe(self) -> Active[EasyBuild] | Absent | Unreachable:
        software = self._software_named()
        if not self.system.which("eb"):
            if software is None:
                return Absent(
                    "the command eb on PATH, and software installed below the folders that EASYBUILD_* and EBROOT* name"
                )
            return Active(EasyBuild(None, None, software))
        # The module of EasyBuild tells its version without starting Python, which may take longer than a probe has.
        loaded = self.system.environ.get("EBVERSIONEASYBUILD", "")
        if loaded:
            return Active(EasyBuild(loaded, None, software))
        answer = self.system.run("eb", "--version")
        if not answer.ok:
            return answer.unreachable()
        found = _VERSION.search(answer.stdout)
        if not found:
            raise unreadable("eb --version", answer.stdout, "This is EasyBuild VERSION expected")
        return Active(EasyBuild(found[1], found[2], software))

    @secretary_tool
    def installed(self) -> list[EasyBuildPackage]:
        """The software that EasyBuild has installed, with versions, toolchains and modules."""
        root = self._software()
        modules = f"{root.removesuffix('/software')}/modules/all"
        found = []
        for name in self.system.entries(root):
            if name.startswith("."):
                continue  # .locks
            known = {entry.removesuffix(".lua") for entry in self.system.entries(f"{modules}/{name}")}
            for folder in self.system.entries(f"{root}/{name}"):
                if not folder.startswith(".") and self.system.exists(f"{root}/{name}/{folder}/easybuild"):
                    version, toolchain, suffix = split_folder(folder)
                    module = f"{name}/{folder}" if folder in known else None
                    found.append(EasyBuildPackage(name, version, toolchain, suffix, module))
        return found

    @secretary_tool
    def compilers(self) -> list[EasyBuildPackage]:
        """The compilers that EasyBuild has installed."""
        return [one for one in self.installed() if is_compiler(one.name)]

    @secretary_tool
    def find(self, name: Name) -> Presence:
        """Has EasyBuild installed a package, and in which versions?
        name: the package's name, also with a version: HDF5 or HDF5/1.14.0."""
        return presence(name, ((one.name, one.version) for one in self.installed()), ("/", "-", "@"))

    @secretary_tool
    def loaded(self) -> list[LoadedPackage]:
        """The software whose modules this process was started with (EBROOT* in the environment)."""
        environ = self.system.environ
        names = sorted(found[1] for variable in environ if (found := _LOADED.match(variable)))
        return [LoadedPackage(name, environ.get(f"EBVERSION{name}"), environ[f"EBROOT{name}"]) for name in names]

    @secretary_tool
    def configuration(self) -> list[Setting]:
        """How EasyBuild is configured: install path, module syntax, and where each setting is from."""
        return read_config(self.system.run("eb", "--show-config").text())

    def _software(self) -> str:
        """The folder of installations. Raises CommandFailed, OutputError where none is known or it isn't there."""
        root = self._software_named()
        if root is None:
            settings = {one.name: one.value for one in self.configuration()}
            root = settings.get("installpath-software") or f"{settings.get('installpath', '')}/software"
            if not root.startswith("/"):
                raise OutputError("eb --show-config", "installpath", f"an absolute path expected, not {root!r}")
        if not self.system.exists(root):
            raise CommandFailed(f"looking into {root}", "there is no such folder, or it can't be read")
        return root

    def _software_named(self) -> str | None:
        """The folder of installations by the environment, if it is there."""
        environ = self.system.environ
        named = [environ.get("EASYBUILD_INSTALLPATH_SOFTWARE", "")]
        folders = (environ.get(variable) for variable in ("EASYBUILD_INSTALLPATH", "EASYBUILD_PREFIX"))
        named += [f"{folder.rstrip('/')}/software" for folder in folders if folder]
        # A module that is loaded lies in software/NAME/VERSION.
        for variable, value in sorted(environ.items()):
            root = value.rstrip("/").rpartition("/")[0].rpartition("/")[0]
            if _LOADED.match(variable) and root.endswith("/software") and self.system.exists(f"{value}/easybuild"):
                named.append(root)
        return next((path for path in named if path.startswith("/") and self.system.exists(path)), None)


def split_folder(name: str) -> tuple[str, str | None, str]:
    """Version, toolchain and suffix of an installation: `1.14.0-gompi-2023a-parallel` and so on."""
    found = _NAMED.match(name)
    if not found:
        return name, None, ""
    return found["version"], f"{found['toolchain']}-{found['release']}", found["suffix"] or ""


def read_config(text: str) -> list[Setting]:
    """Of `eb --show-config`: `name (D) = value` lines. Raises OutputError where there is none."""
    found = [Setting(one["name"], one["value"].strip(), _ORIGINS[one["from"]]) for one in _SETTING.finditer(text)]
    if not found:
        raise unreadable("eb --show-config", text, "lines `name (D) = value` expected")
    return found
