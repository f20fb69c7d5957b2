"""GNU Guix: what a user's profile holds, asked through the `guix` command."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.software._common import (
    Presence,
    fields_of,
    is_compiler,
    optional,
    presence,
    read_json,
    text_of,
    unreadable,
)
from resource_secretary.values import Name

_VERSION = re.compile(r"^guix \(GNU Guix\) (\S+)", re.MULTILINE)
_GENERATION = re.compile(r"^Generation ([0-9]{1,9})\t(.+?)(\t\(current\))?[ \t]*$")


@dataclass(frozen=True, slots=True)
class Guix:
    """version: of a release, or the commit that `guix pull` brought."""

    version: str


@dataclass(frozen=True, slots=True)
class GuixPackage:
    """output: the part of the package, mostly `out`. path: where it is in the store."""

    name: str
    version: str
    output: str
    path: str


@dataclass(frozen=True, slots=True)
class Channel:
    """Where package definitions come from. branch: None where Guix does not tell."""

    name: str
    url: str
    branch: str | None
    commit: str


@dataclass(frozen=True, slots=True)
class Generation:
    """A state of the profile, to which one can go back. created: as Guix writes it, in local time."""

    number: int
    created: str
    current: bool


class GuixProvider(BaseProvider):
    category = "software"
    name = "guix"
    description = "GNU Guix: packages of the user's profile, its generations, and the channels they come from."
    fresh_for = 3600.0
    variables = ("GUIX_PROFILE", "HOME")

    def probe(self) -> Active[Guix] | Absent | Unreachable:
        if not self.system.which("guix"):
            return Absent("the command guix on PATH")
        answer = self.system.run("guix", "--version")
        if not answer.ok:
            return answer.unreachable()
        found = _VERSION.search(answer.stdout)
        if not found:
            raise unreadable("guix --version", answer.stdout, "guix (GNU Guix) VERSION expected")
        return Active(Guix(found[1]))

    @secretary_tool
    def packages(self) -> list[GuixPackage]:
        """The packages that the user's profile has."""
        return read_packages(self.system.run("guix", "package", "--list-installed").text())

    @secretary_tool
    def compilers(self) -> list[GuixPackage]:
        """The packages of the profile that are compilers."""
        return [one for one in self.packages() if is_compiler(one.name)]

    @secretary_tool
    def find(self, name: Name) -> Presence:
        """Is a package in the user's profile, and in which version?
        name: the package's name, also with a version: gcc-toolchain@12."""
        return presence(name, ((one.name, one.version) for one in self.packages()))

    @secretary_tool
    def channels(self) -> list[Channel]:
        """The channels (repositories of package definitions) in use and their commits."""
        return read_channels(self.system.run("guix", "describe", "--format=json").text())

    @secretary_tool
    def generations(self) -> list[Generation]:
        """The generations of the user's profile, the oldest first."""
        return read_generations(self.system.run("guix", "package", "--list-generations").text())


def read_packages(text: str) -> list[GuixPackage]:
    """Of `guix package --list-installed` (Guix manual, "Invoking guix package"): four columns with tabs between.

    Raises OutputError with the line.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        words = [word.strip() for word in line.split("\t")]
        if len(words) != 4 or not all(words):
            raise OutputError(
                "guix package --list-installed", f"line {number}", f"four columns expected: {line[:80]!r}"
            )
        found.append(GuixPackage(*words))
    return found


def read_channels(text: str) -> list[Channel]:
    """Of `guix describe --format=json` (Guix manual, "Invoking guix describe"). Raises OutputError."""
    source = "guix describe --format=json"
    value = read_json(source, text)
    if not isinstance(value, list):
        raise unreadable(source, text, "a list expected")
    found = []
    for number, record in enumerate(value, 1):
        try:
            fields = fields_of(record)
            name, url, commit = (text_of(fields, key) for key in ("name", "url", "commit"))
            found.append(Channel(name, url, optional(fields, "branch"), commit))
        except ValueError as error:
            raise OutputError(source, f"channel {number}", str(error)) from None
    return found


def read_generations(text: str) -> list[Generation]:
    """Of `guix package --list-generations`: `Generation N<tab>DATE`, below it what changed. Raises OutputError."""
    found = []
    for line in text.splitlines():
        if line.startswith("Generation"):
            match = _GENERATION.match(line)
            if not match:
                raise OutputError("guix package --list-generations", "", f"Generation N DATE expected: {line[:80]!r}")
            found.append(Generation(int(match[1]), match[2].strip(), bool(match[3])))
    if text.strip() and not found:
        raise unreadable("guix package --list-generations", text, "lines `Generation N` expected")
    return found
