"""Spack: what it has installed, asked through the `spack` command. It is slow to start: seconds on a network disk."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import CommandFailed
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.software._common import similar, unreadable
from resource_secretary.providers.software._spack_text import (
    SpackCompiler,
    SpackPackage,
    read_compilers,
    read_environments,
    read_find,
)
from resource_secretary.values import Name

_VERSION = re.compile(r"^([0-9]+\.[0-9]+\S*)(?: \((\S+)\))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Spack:
    """commit: of a Spack from its repository, None of a release. environment: the active one's folder or name."""

    version: str
    commit: str | None
    root: str | None
    environment: str | None


@dataclass(frozen=True, slots=True)
class SpackAnswer:
    """packages: the installed ones of that name, with their variants. similar: names like it where there is none."""

    name: str
    there: bool
    packages: tuple[SpackPackage, ...]
    similar: tuple[str, ...]


class SpackProvider(BaseProvider):
    category = "software"
    name = "spack"
    description = "Spack: packages that it has installed with versions, compilers and variants, and its environments."
    fresh_for = 3600.0
    variables = ("SPACK_ROOT", "SPACK_ENV")

    def probe(self) -> Active[Spack] | Absent | Unreachable:
        command = self._command()
        if command is None:
            return Absent("the command spack on PATH, or in the bin of $SPACK_ROOT")
        answer = self.system.run(command, "--version")
        if not answer.ok:
            return answer.unreachable()
        found = _VERSION.search(answer.stdout)
        if not found:
            raise unreadable("spack --version", answer.stdout, "a version expected")
        environ = self.system.environ
        return Active(Spack(found[1], found[2], environ.get("SPACK_ROOT") or None, environ.get("SPACK_ENV") or None))

    @secretary_tool
    def packages(self) -> list[SpackPackage]:
        """The packages that Spack has installed (in the active environment, if one is), with variants and compilers."""
        return read_find(self._ask("find", "--json"))

    @secretary_tool
    def find(self, name: Name) -> SpackAnswer:
        """Is a package installed, in which versions, with which variants and compilers?
        name: the package's name, also with a version: hdf5 or hdf5@1.14.3."""
        every = self.packages()
        base, _, version = name.partition("@")
        version = version.removeprefix("=")
        found = tuple(one for one in every if one.name == base and (not version or _is(one.version, version)))
        near = () if found else similar(base, {one.name for one in every})
        return SpackAnswer(name, bool(found), found, near)

    @secretary_tool
    def compilers(self) -> list[SpackCompiler]:
        """The compilers that Spack can build with."""
        return read_compilers(self._ask("compilers"))

    @secretary_tool
    def environments(self) -> list[str]:
        """The names of Spack's managed environments."""
        return read_environments(self._ask("env", "list"))

    @secretary_tool
    def architecture(self) -> str:
        """The architecture that Spack would build for here: platform, operating system, target."""
        text = self._ask("arch").strip()
        if len(text.splitlines()) != 1:
            raise unreadable("spack arch", text, "one line expected")
        return text

    def _command(self) -> str | None:
        """The command of PATH; without its shell set-up, the one below an absolute SPACK_ROOT, if it is there."""
        if self.system.which("spack"):
            return "spack"
        root = self.system.environ.get("SPACK_ROOT", "").rstrip("/")
        return f"{root}/bin/spack" if root.startswith("/") and self.system.which(f"{root}/bin/spack") else None

    def _ask(self, *words: str) -> str:
        command = self._command()
        if command is None:
            raise CommandFailed("spack", "it is gone")
        return self.system.run(command, "--color=never", *words).text()


def _is(version: str, asked: str) -> bool:
    """Spack's `@1.14` is every 1.14.x ("Spec Syntax", version specifier)."""
    return version == asked or version.startswith((f"{asked}.", f"{asked}-"))
