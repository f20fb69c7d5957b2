"""Find what of a body may concern a batch system: a few searches for fixed strings, each linear in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from jobspec.body.commands import COMMANDS
from jobspec.body.launchers import LAUNCHERS
from jobspec.body.variables import MEANING, PREFIXES, STEERING

Kind = Literal["variable", "launcher", "command", "module", "directive"]
_NAME = re.compile(r"[A-Za-z_]\w{0,120}", re.ASCII)
_COMMAND = re.compile(r"[A-Za-z_][\w.-]{0,60}", re.ASCII)
_DIRECTIVES = {
    "slurm": ("#SBATCH",),
    "flux": ("#flux:", "#FLUX:"),
    "pbspro": ("#PBS",),
    "torque": ("#PBS",),
    "moab": ("#MSUB", "#PBS"),
    "lsf": ("#BSUB",),
    "cobalt": ("#COBALT",),
    "oar": ("#OAR",),
    "gridengine": ("#$ ",),
    "loadleveler": ("#@", "# @"),
}
LONGEST = 1 << 20  # characters of a body that is read as a program; a longer one carries data
_MOST = 200_000  # a script has not so many; more of them are not looked at
# Every byte that is no part of a command's name becomes a blank.
_BLANKED = bytes(byte if byte > 127 or chr(byte).isalnum() or byte in b"_.-" else 32 for byte in range(256))
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place of the body that may matter: `at` to `end`, and the name that stands there."""

    at: int
    end: int
    kind: Kind
    name: str


@cache
def _needles(source: str) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]:
    """What to search for: starts of variables, whole variables, commands and launchers."""
    prefixes = PREFIXES.get(source, ())
    known = set(MEANING.get(source, {})) | (STEERING if source == "slurm" else set())
    whole = tuple(sorted(name for name in known if not name.startswith(prefixes)))
    return prefixes, whole, COMMANDS.get(source, frozenset()).union(LAUNCHERS, ("flux",))


def _present(body: str, names: frozenset[str]) -> list[str]:
    """Which of the names may be words of the body."""
    if len(body) > LONGEST:
        return [name for name in names if name in body]
    words = set(body.encode("utf-8", "surrogateescape").translate(_BLANKED).split())
    return [name for name in names if name.encode() in words]


def find(body: str, source: str, modules: bool) -> list[Finding]:
    """Everything that may matter, in order."""
    prefixes, whole, commands = _needles(source)
    found: list[Finding] = []
    for prefix in prefixes:
        if prefix in body:
            _variables(body, prefix, found)
    for name in whole:
        if name in body:
            _words(body, name, "variable", found)
    for name in _present(body, commands):
        _commands(body, name, found)
    for directive in _DIRECTIVES.get(source, ()):
        if directive in body:
            _lines(body, directive, found)
    if modules:
        for word in ("module", "ml"):
            _words(body, word, "module", found)
    found.sort()
    return found


def _variables(body: str, prefix: str, found: list[Finding]) -> None:
    at = body.find(prefix)
    while at >= 0 and len(found) < _MOST:
        match = _NAME.match(body, at)
        end = match.end() if match else at + len(prefix)
        if at == 0 or body[at - 1] not in _WORD:
            found.append(Finding(at, end, "variable", body[at:end]))
        at = body.find(prefix, end)


def _words(body: str, name: str, kind: Kind, found: list[Finding]) -> None:
    at = body.find(name)
    while at >= 0 and len(found) < _MOST:
        end = at + len(name)
        if (at == 0 or body[at - 1] not in _WORD) and (end == len(body) or body[end] not in _WORD):
            found.append(Finding(at, end, kind, name))
        at = body.find(name, end)


def _commands(body: str, name: str, found: list[Finding]) -> None:
    kind: Kind = "launcher" if name == "flux" or name in LAUNCHERS else "command"
    at = body.find(name)
    while at >= 0 and len(found) < _MOST:
        match = _COMMAND.match(body, at)
        end = match.end() if match else at + len(name)
        if body[at:end] == name and (at == 0 or body[at - 1] not in _WORD):
            found.append(Finding(at, end, kind, name))
        at = body.find(name, end)


def _lines(body: str, directive: str, found: list[Finding]) -> None:
    at = 0 if body.startswith(directive) else body.find("\n" + directive) + 1
    while at > 0 or (at == 0 and body.startswith(directive)):
        found.append(Finding(at, at + len(directive), "directive", directive))
        at = body.find("\n" + directive, at) + 1
        if at == 0:
            break
