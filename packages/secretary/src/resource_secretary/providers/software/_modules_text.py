"""Read what Lmod and Environment Modules print: lists of modules, and what a module sets.

Environment Modules: module(1), "-j, --json" (since 4.5) and "-t, --terse"; 3.2 prints the same terse lists. Lmod:
"Converting from TCL/C modules", and `spider -o jsonSoftwarePage`, which its documentation names for building pages of
what a site has ("How to use the spider tool").
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.providers.software._common import fields_of, optional, read_json, text_of, unreadable
from resource_secretary.reading import whole_text

_MARKS = re.compile(r"^(?P<name>[^\s()]+?)(?:\((?P<marks>[^()]*)\))?$")
_NOTHING = re.compile(r"No module(s|\(s\))?\b.*\bfound|Use \"module (spider|keyword)")
_ERROR = re.compile(r"(\S+\(\d+\):)?ERROR:|Lmod has detected the following error")
_PLAIN = re.compile(r"[\x21-\x7e]+")
# Lmod writes setenv("CC","gcc"), and since 8.7 setenv{"CC","gcc"} with named entries after: delim=":".
_LUA = re.compile(r"^([a-z_]+)(?:\((.*)\)|\{(.*)\})$")
_LUA_STRING = re.compile(r'\s*([a-z]+=)?(?:"((?:[^"\\]|\\.)*)"|([0-9.]+|true|false|nil))\s*(?:,|$)')
_TCL_WORD = re.compile(r'\{((?:[^{}\\]|\\.)*)\}|"((?:[^"\\]|\\.)*)"|(\S+)')
_TCL_LINE = re.compile(r"^([a-z][a-z-]*)[ \t]+(\S.*)$")
_TEXTS = ("whatis", "module-whatis")
_VALUE_OPTIONS = ("-d", "--delim")


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a module. name: as it is loaded: gcc/12.2.0. after: the sets of modules of which one must be
    loaded before it is visible; empty where it is visible at once. problem: why it could not be read."""

    name: str
    version: str
    default: bool
    path: str | None
    after: tuple[tuple[str, ...], ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Module:
    """A module and its versions, as they are listed. default: the one that is loaded by the bare name, where marked.

    hidden: whether every version needs others to be loaded first. problem: what of it could not be read.
    """

    name: str
    versions: tuple[str, ...]
    default: str | None
    hidden: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that loading a module does: setenv CC gcc; prepend-path PATH /opt/bin; conflict gcc."""

    action: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What loading a module does. text: as the tool prints it, where some of it is no plain setting (Tcl or Lua)."""

    name: str
    path: str
    effects: tuple[Effect, ...]
    text: str = field(default="")


def split_name(full: str) -> tuple[str, str]:
    """Name and version: `tools/vtune/2024` is tools/vtune, 2024; one without a version has ""."""
    name, slash, version = full.rpartition("/")
    return (name, version) if slash and name else (full, "")


def read_json_avail(text: str) -> list[Version]:
    """Of `module --json avail`: folder -> full name -> module. What precedes the JSON is what modulefiles printed.

    Raises OutputError where there is none.
    """
    source = "module --json avail"
    start = re.search(r"^\{", text, re.MULTILINE)
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start.start() if start else 0)
        value = whole_text(value, text)
    except (ValueError, RecursionError) as error:
        raise unreadable(source, text, f"not JSON: {str(error)[:100]}") from None
    if not isinstance(value, dict):
        raise unreadable(source, text, "an object expected")
    found = []
    for folder, modules in value.items():
        if not isinstance(modules, Mapping):
            found.append(Version(folder, "", False, None, problem="the modules of this folder are no object"))
            continue
        found += [one for key, record in modules.items() if (one := _of_json(key, record)) is not None]
    return found


def _of_json(key: str, record: Any) -> Version | None:
    try:
        fields = fields_of(record)
        name = text_of(fields, "name")
        if fields.get("type") in ("alias", "directory", "version"):
            return None  # told with what they stand for
        symbols = fields.get("symbols", [])
        default = isinstance(symbols, list) and "default" in symbols
        return Version(name, split_name(name)[1], default, optional(fields, "pathname"))
    except ValueError as error:
        return Version(key, "", False, None, problem=str(error))


def read_terse_avail(text: str) -> list[Version]:
    """Of `module --terse avail` of Lmod and of Environment Modules 3 to 5. Raises OutputError for an error message.

    Headings end with `:`, folders with `/`, aliases have `(@...)`. A line that is none of those is told as a problem.
    """
    found = []
    for line in text.splitlines():
        entry = line.strip()
        if not entry or entry.endswith((":", "/")) or _NOTHING.match(entry):
            continue
        match = _MARKS.match(entry)
        if not match or not _PLAIN.fullmatch(entry):
            if "ERROR" in entry or entry.startswith("Lmod has detected"):
                raise unreadable("module --terse avail", text, "an error message")
            found.append(Version(entry[:100], "", False, None, problem="not the name of a module"))
            continue
        marks = (match["marks"] or "").split(":")
        if marks[0].startswith("@"):
            continue
        name = match["name"]
        found.append(Version(name, split_name(name)[1], "default" in marks or "D" in marks, None))
    if found and all(one.problem for one in found):
        raise unreadable("module --terse avail", text, "no name of a module in it")
    return found


def read_spider(text: str) -> list[Version]:
    """Of Lmod's `spider -o jsonSoftwarePage`: a list of packages with versions. Raises OutputError."""
    source = "spider -o jsonSoftwarePage"
    value = read_json(source, text)
    if value == {}:
        return []  # Lua knows one empty table, which is no list and no object
    if not isinstance(value, list):
        raise unreadable(source, text, "a list of packages expected")
    found = []
    for number, package in enumerate(value, 1):
        name = f"package {number}"
        try:
            fields = fields_of(package)
            name = text_of(fields, "package")
            versions = fields.get("versions")
            if not isinstance(versions, list):
                found.append(Version(name, "", False, None, problem="versions must be a list"))
                continue
            found += [_of_spider(name, version) for version in versions]
        except ValueError as error:
            found.append(Version(name, "", False, None, problem=str(error)))
    return found


def _of_spider(package: str, record: Any) -> Version:
    try:
        fields = fields_of(record)
        full = text_of(fields, "full")
        version = optional(fields, "versionName") or (
            full[len(package) + 1 :] if full.startswith(f"{package}/") else ""
        )
        after = _alternatives(fields.get("parent"))
        return Version(full, version, fields.get("markedDefault") is True, optional(fields, "path"), after)
    except ValueError as error:
        return Version(package, "", False, None, problem=str(error))


def _alternatives(value: Any) -> tuple[tuple[str, ...], ...]:
    if value in (None, [], {}):
        return ()
    lists = isinstance(value, list) and all(isinstance(one, list) for one in value)
    if not lists or not all(isinstance(name, str) for one in value for name in one):
        raise ValueError(f"parent must be lists of names, not {value!r:.40}")
    return tuple(tuple(one) for one in value)


def grouped(versions: Iterable[Version]) -> list[Module]:
    """The modules of these versions, by name."""
    by_name: dict[str, list[Version]] = {}
    for one in versions:
        base = one.name[: -len(one.version) - 1] if one.version and one.name.endswith(f"/{one.version}") else one.name
        by_name.setdefault(base, []).append(one)
    made = []
    for name in sorted(by_name):
        same = [one for one in by_name[name] if not one.problem]
        default = next((one.version for one in same if one.default), None)
        problems = "; ".join(dict.fromkeys(one.problem for one in by_name[name] if one.problem))
        hidden = bool(same) and all(one.after for one in same)
        listed = tuple(dict.fromkeys(one.version for one in same if one.version))
        made.append(Module(name, listed, default, hidden, problems))
    return made


def read_show(name: str, text: str) -> Shown:
    """Of `module show`, of Lmod (Lua calls) or Environment Modules (Tcl commands). Raises OutputError."""
    lines = [line.rstrip() for line in text.splitlines()]
    heads = [number for number, line in enumerate(lines) if line.strip().startswith("/") and line.endswith(":")]
    if not heads:
        raise unreadable(f"module show {name}", text, "the path of a module expected")
    path = lines[heads[0]].strip().rstrip(":")
    effects, whole = [], True
    for line in lines[heads[0] + 1 :]:
        if not line.strip() or set(line.strip()) == {"-"}:
            continue
        effect = _lua(line) or _tcl(line)
        whole = whole and effect is not None
        if effect is not None:
            effects.append(effect)
    return Shown(name, path, tuple(effects), "" if whole else text)


def _lua(line: str) -> Effect | None:
    """A call of a function with texts: prepend_path("PATH","/opt/bin")."""
    match = _LUA.match(line.strip())
    if not match:
        return None
    arguments, at = [], 0
    text = match[2] if match[2] is not None else match[3]
    while at < len(text):
        word = _LUA_STRING.match(text, at)
        if not word:
            return None
        if word[1] is None:
            arguments.append(re.sub(r"\\(.)", r"\1", word[2]) if word[2] is not None else word[3])
        at = word.end()
    action = match[1].replace("_", "-")
    if action in _TEXTS:
        return Effect("whatis", "", " ".join(arguments))
    return Effect(action, arguments[0] if arguments else "", " ".join(arguments[1:]))


def _tcl(line: str) -> Effect | None:
    """A Tcl command with words: setenv MPI_HOME {/opt/my mpi}. Options before the words are left out."""
    match = _TCL_LINE.match(line)
    if not match:
        return None
    words: list[str] = []
    skip = False
    for braced, quoted, bare in _TCL_WORD.findall(match[2]):
        word = braced or quoted or bare
        if not words and (skip or bare.startswith("-")):
            skip = bare in _VALUE_OPTIONS and not skip
            continue
        words.append(word)
    if match[1] in _TEXTS:
        return Effect("whatis", "", " ".join(words))
    return Effect(match[1], words[0] if words else "", " ".join(words[1:]))


def error_in(stdout: str, stderr: str) -> str:
    """The error message in what was printed, to its first empty line; "" where there is none.

    A shell evaluates what modulecmd prints, so it exits 0 for a module that isn't there and prints `test 0 = 1;` or
    `false` for the shell to fail by.
    """
    lines = [line.strip() for line in stderr.splitlines()]
    start = next((number for number, line in enumerate(lines) if _ERROR.match(line)), None)
    if start is None:
        if not any(line.strip().rstrip(";") in ("test 0 = 1", "false") for line in stdout.splitlines()):
            return ""
        start = next((number for number, line in enumerate(lines) if line), 0)
    return " ".join(itertools.takewhile(bool, lines[start:])) or "it failed without a message"


def refuse_errors(command: str, stdout: str, stderr: str) -> None:
    """Raises OutputError where the tool printed an error."""
    if problem := error_in(stdout, stderr):
        raise OutputError(command, "", problem[:300])
