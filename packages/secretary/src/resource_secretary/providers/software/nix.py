"""Nix: what the user's profile holds, asked through `nix` and, where that is old or its features off, `nix-env`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import CommandFailed
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers.software._common import Presence, is_compiler, presence, unreadable
from resource_secretary.providers.software._nix_text import (
    NixPackage,
    read_env_query,
    read_profile,
    read_profile_lines,
)
from resource_secretary.values import Name

# nix (Nix) 2.8.0; nix (Lix, like Nix) 2.91.1; nix (Determinate Nix 3.6.2) 2.29.0; nix-env (Nix) 2.3.16
_VERSION = re.compile(r"^nix(?:-env)? \(([^()]+)\) (\S+)", re.MULTILINE)
_FEATURES = ("--extra-experimental-features", "nix-command flakes")


@dataclass(frozen=True, slots=True)
class Nix:
    """implementation: Nix, or one that calls itself otherwise, such as `Lix, like Nix`."""

    version: str
    implementation: str


@dataclass(frozen=True, slots=True)
class NixChannel:
    name: str
    url: str


class NixProvider(BaseProvider):
    category = "software"
    name = "nix"
    description = "Nix: packages of the user's profile, and the channels they come from."
    fresh_for = 3600.0
    variables = ("XDG_STATE_HOME", "HOME")

    def probe(self) -> Active[Nix] | Absent | Unreachable:
        command = next((name for name in ("nix", "nix-env") if self.system.which(name)), None)
        if command is None:
            return Absent("the command nix or nix-env on PATH")
        answer = self.system.run(command, "--version")
        if not answer.ok:
            return answer.unreachable()
        found = _VERSION.search(answer.stdout)
        if not found:
            raise unreadable(f"{command} --version", answer.stdout, "nix (NAME) VERSION expected")
        return Active(Nix(found[2], found[1]))

    @secretary_tool
    def packages(self) -> list[NixPackage]:
        """The packages that the user's profile has, with their versions and paths in the store."""
        return self._packages()

    @secretary_tool
    def compilers(self) -> list[NixPackage]:
        """The packages of the profile that are compilers."""
        return [one for one in self._packages() if is_compiler(one.name)]

    @secretary_tool
    def find(self, name: Name) -> Presence:
        """Is a package in the user's profile, and in which version?
        name: the package's name, also with a version: hello@2.12.1."""
        return presence(name, ((one.name, one.version) for one in self._packages()))

    @secretary_tool
    def channels(self) -> list[NixChannel]:
        """The channels that the user is subscribed to; none where flakes are used instead."""
        home = self.system.environ.get("HOME", "")
        text = self.system.read(f"{home}/.nix-channels") if home.startswith("/") else None
        lines = (line.split(None, 1) for line in (text or "").splitlines() if line.strip())
        return [NixChannel(words[1] if len(words) > 1 else "", words[0]) for words in lines]

    def _packages(self) -> list[NixPackage]:
        """By `nix profile list --json` (since 2.17), `nix-env -q --json`, or the lines of an older `nix profile list`.

        nix-env refuses a profile that `nix profile` has written; an older `nix profile` has no --json. Where there is
        no profile nothing is asked, since both would make one.
        """
        profile = self._profile()
        if profile is None:
            return []
        said = []
        if self.system.which("nix"):
            answer = self.system.run("nix", *_FEATURES, "profile", "list", "--profile", profile, "--json")
            if answer.ok:
                return read_profile(answer.stdout)
            said.append(f"{answer.command}: {answer.said}")
        if self.system.which("nix-env"):
            answer = self.system.run("nix-env", "--profile", profile, "--query", "--json", "--out-path")
            if answer.ok:
                return read_env_query(answer.stdout)
            said.append(f"{answer.command}: {answer.said}")
        if self.system.which("nix"):
            answer = self.system.run("nix", *_FEATURES, "profile", "list", "--profile", profile)
            if answer.ok:
                return read_profile_lines(answer.stdout)
            said.append(f"{answer.command}: {answer.said}")
        raise CommandFailed("nix profile list", "; ".join(said))

    def _profile(self) -> str | None:
        """The user's profile: where the XDG base directories are used, or ~/.nix-profile (Nix manual, "Profiles")."""
        home = self.system.environ.get("HOME", "")
        state = self.system.environ.get("XDG_STATE_HOME", "")
        paths = [f"{state}/nix/profile"] if state.startswith("/") else []
        if home.startswith("/"):
            paths += [f"{home}/.local/state/nix/profile", f"{home}/.nix-profile"]
        return next((path for path in paths if self.system.exists(path)), None)
