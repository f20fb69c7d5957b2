"""Environment modules: Lmod, or Environment Modules 3 to 5 (Tcl), whichever this user's shell would use.

`module` is a function of the shell. Behind it is one executable that prints code for the shell to evaluate; it is run
here, and what it prints is read, never evaluated. Where it is named by an environment variable (LMOD_CMD, MODULES_CMD,
MODULESHOME, LMOD_DIR: those that the function itself uses) it is run only if that is an absolute path of an executable
file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from resource_secretary.errors import CommandFailed, OutputError, SecretaryError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.software._common import is_compiler, similar
from resource_secretary.providers.software._modules_text import (
    Module,
    Shown,
    Version,
    grouped,
    read_json_avail,
    read_show,
    read_spider,
    read_terse_avail,
    refuse_errors,
)
from resource_secretary.run import Ran, printable
from resource_secretary.values import Name

Flavor = Literal["lmod", "environment-modules"]
LMOD: Flavor = "lmod"
TCL: Flavor = "environment-modules"
# The variable, what follows its value, and which of the two that is.
_NAMED: tuple[tuple[str, str, Flavor], ...] = (
    ("LMOD_CMD", "", LMOD),
    ("MODULES_CMD", "", TCL),
    ("MODULESHOME", "/libexec/lmod", LMOD),
    ("MODULESHOME", "/libexec/modulecmd.tcl", TCL),
    ("MODULESHOME", "/bin/modulecmd", TCL),
)
_USUAL = "/usr/share/lmod/lmod/libexec/lmod"  # Debian's; in a shell without its function no variable is set
_VERSIONS = {
    LMOD: re.compile(r"Modules based on Lua: Version +([0-9][^\s]*)"),
    TCL: re.compile(r"(?:Modules Release |VERSION=)([0-9][^\s]*)"),
}


@dataclass(frozen=True, slots=True)
class Modules:
    """command: the executable behind `module`. paths: MODULEPATH, where modules are looked for."""

    flavor: str
    version: str
    command: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModuleAnswer:
    """versions: those that are there, with what must be loaded before. loaded: of them, those that are loaded now.

    similar: names that contain the one asked for, where it is not there.
    """

    name: str
    there: bool
    versions: tuple[Version, ...]
    loaded: tuple[str, ...]
    similar: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A module that this process was started with. path: its modulefile, None where that is not told."""

    name: str
    path: str | None


@dataclass(frozen=True, slots=True)
class ModulePath:
    """A folder that modules are looked for in."""

    path: str
    exists: bool


class ModulesProvider(BaseProvider):
    category = "software"
    name = "modules"
    description = "Environment modules (Lmod or Environment Modules): which software a site has for users to load."
    fresh_for = 3600.0
    variables = ("LMOD_CMD", "LMOD_DIR", "MODULES_CMD", "MODULESHOME", "MODULEPATH")

    def probe(self) -> Active[Modules] | Absent | Unreachable:
        found = self._command()
        if found is None:
            named = ", ".join(dict.fromkeys(name for name, _, _ in _NAMED))
            return Absent(f"an executable named by an absolute path in {named}, modulecmd on PATH, and {_USUAL}")
        command, flavor = found
        answer = self.system.run(command, "bash", "--version")
        if not answer.ok:
            return answer.unreachable()
        said = f"{answer.stdout}\n{answer.stderr}"
        version = _VERSIONS[flavor].search(said)
        if not version:
            raise OutputError(answer.command, "", f"a version expected; it said: {printable(said.strip()[:2000])}")
        return Active(Modules(flavor, version[1], command, self._paths()))

    @secretary_tool
    def available(self) -> list[Module]:
        """The modules that can be loaded, with their versions and default; with Lmod also those behind others."""
        return grouped(self._versions())

    @secretary_tool
    def compilers(self) -> list[Module]:
        """The modules that are compilers."""
        return [one for one in self.available() if is_compiler(one.name)]

    @secretary_tool
    def find(self, name: Name) -> ModuleAnswer:
        """Is a module there, in which versions, and what has to be loaded before?
        name: the module's name, also with its version: gcc or gcc/12.2.0."""
        every = self._versions()
        chosen = [one for one in every if name in (one.name, one.name.removesuffix(f"/{one.version}"))]
        if not chosen:
            low = name.lower()
            chosen = [
                one for one in every if low in (one.name.lower(), one.name.lower().removesuffix(f"/{one.version}"))
            ]
        names = {one.name for one in chosen}
        loaded = tuple(one.name for one in self.loaded() if one.name in names)
        near = () if chosen else similar(name.partition("/")[0], {one.name for one in every})
        return ModuleAnswer(name, bool(chosen), tuple(chosen), loaded, near)

    @secretary_tool
    def show(self, name: Name) -> Shown:
        """What loading a module would set: variables, paths, conflicts, and which modules it needs.
        name: the module's name, also with its version."""
        answer = self._ask("show", name)
        refuse_errors(f"module show {name}", answer.stdout, answer.stderr)
        return read_show(name, answer.stderr if answer.stderr.strip() else answer.stdout)

    @secretary_tool
    def loaded(self) -> list[Loaded]:
        """The modules that this process was started with (LOADEDMODULES), in the order of loading."""
        names = [name for name in self.system.environ.get("LOADEDMODULES", "").split(":") if name]
        paths = [path for path in self.system.environ.get("_LMFILES_", "").split(":") if path]
        if len(paths) != len(names):
            return [Loaded(name, None) for name in names]
        return [Loaded(name, path) for name, path in zip(names, paths, strict=True)]

    @secretary_tool
    def paths(self) -> list[ModulePath]:
        """The folders that modules are looked for in (MODULEPATH), and whether they exist."""
        return [ModulePath(path, self.system.exists(path)) for path in self._paths()]

    def _versions(self) -> list[Version]:
        """Every version of every module. Raises CommandFailed where there is no folder to look in."""
        if not self._paths():
            raise CommandFailed("module avail", "MODULEPATH is not set: the site's set-up of modules was not sourced")
        if not any(self.system.exists(path) for path in self._paths()):
            raise CommandFailed("module avail", "none of the folders that MODULEPATH names exists")
        found = self._command()
        if found is not None and found[1] == LMOD:
            spider = self._spider(found[0])
            if spider is not None:
                try:
                    return read_spider(
                        self.system.run(spider, "-o", "jsonSoftwarePage", ":".join(self._paths())).text()
                    )
                except SecretaryError:
                    if self.system.left() < 1:
                        raise
            return self._terse()
        answer = self._ask("--json", "avail")
        for text in (answer.stderr, answer.stdout):
            if text.lstrip().startswith("{") or "\n{" in text:
                return read_json_avail(text)
        return self._terse()  # before 4.5 there is no --json

    def _terse(self) -> list[Version]:
        answer = self._ask("-t", "avail")
        if answer.code:
            raise CommandFailed(answer.command, answer.said)
        refuse_errors("module -t avail", answer.stdout, answer.stderr)
        return read_terse_avail(answer.stderr)

    def _ask(self, *words: str) -> Ran:
        """What the tool answers. Its exit code says little: see `refuse_errors`. Raises CommandFailed."""
        found = self._command()
        if found is None:
            raise CommandFailed("module", "it is gone")
        answer = self.system.run(found[0], "bash", *words)
        if answer.problem or (answer.code and not answer.stderr.strip()):
            raise CommandFailed(answer.command, answer.said)
        return answer

    def _command(self) -> tuple[str, Flavor] | None:
        for variable, end, flavor in _NAMED:
            folder = self.system.environ.get(variable, "")
            if folder.startswith("/") and self.system.which(f"{folder}{end}"):
                return f"{folder}{end}", flavor
        if self.system.which("modulecmd"):
            return "modulecmd", TCL
        return (_USUAL, LMOD) if self.system.which(_USUAL) else None

    def _spider(self, lmod: str) -> str | None:
        """Lmod's spider: beside lmod, or in LMOD_DIR."""
        folders = [self.system.environ.get("LMOD_DIR", ""), lmod.rpartition("/")[0]]
        paths = [f"{folder}/spider" for folder in folders if folder.startswith("/")]
        return next((path for path in paths if self.system.which(path)), None)

    def _paths(self) -> tuple[str, ...]:
        return tuple(path for path in self.system.environ.get("MODULEPATH", "").split(":") if path.startswith("/"))
