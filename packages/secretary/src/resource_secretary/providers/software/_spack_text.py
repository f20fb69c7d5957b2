"""Read what Spack prints: `spack find --json`, `spack compilers`, `spack env list`.

A node of `find --json` is that of Spack's spec file format ("Spec File Format" of its documentation): until version 4
(Spack 0.23) it has `compiler`; since version 5 (Spack 1.0) compilers are dependencies that provide the virtuals c, cxx
and fortran, and nodes read from older ones keep theirs in `annotations`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.providers.software._common import fields_of, optional, read_json, text_of, unreadable

_FIND = "spack find --json"
_FLAGS = {"cflags", "cxxflags", "cppflags", "fflags", "ldflags", "ldlibs"}
_LANGUAGES = {"c", "cxx", "fortran"}
_HEAD = re.compile(r"^-- (?P<family>[^\s]+)(?: (?P<place>[^\s]+))? -{3,}$")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_COMPILER = re.compile(
    r"(?:(?:\[(?P<mark>[e+^])\]|(?<!\S)(?P<remote>-))\s+)?(?P<name>[A-Za-z0-9._-]+)@=?(?P<version>[A-Za-z0-9._-]+)"
)


@dataclass(frozen=True, slots=True)
class SpackPackage:
    """An installed package. compiler: NAME@VERSION; None for one without, or where it is not told. variants: +mpi,
    ~shared, build_type=Release. external: the folder of one that Spack did not build. problem: why it can't be read."""

    name: str
    version: str
    compiler: str | None
    variants: tuple[str, ...]
    target: str | None
    os: str | None
    hash: str
    external: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SpackCompiler:
    """origin: external, installed (by Spack), remote (in a build cache), or None where Spack doesn't tell (before 1.0).

    os, target: None where Spack has no entry for them."""

    name: str
    version: str
    os: str | None
    target: str | None
    origin: str | None


def read_find(text: str) -> list[SpackPackage]:
    """Of `spack find --json`. Raises OutputError where it is no list; a node that can't be read tells its problem."""
    value = read_json(_FIND, text)
    if not isinstance(value, list):
        raise unreadable(_FIND, text, "a list of specs expected")
    versions: dict[str, str] = {}
    for node in value:
        if isinstance(node, Mapping) and isinstance(node.get("hash"), str) and isinstance(node.get("version"), str):
            versions[node["hash"]] = node["version"]
    return [_package(node, number, versions) for number, node in enumerate(value, 1)]


def _package(node: Any, number: int, versions: Mapping[str, str]) -> SpackPackage:
    name = f"package {number}"
    try:
        fields = fields_of(node)
        name = text_of(fields, "name")
        arch = fields_of(fields.get("arch") or {})
        target = arch.get("target")
        external = fields.get("external")
        return SpackPackage(
            name=name,
            version=text_of(fields, "version"),
            compiler=_compiler(fields, versions),
            variants=_variants(fields_of(fields.get("parameters") or {})),
            target=optional(target, "name") if isinstance(target, Mapping) else optional(arch, "target"),
            os=optional(arch, "platform_os"),
            hash=text_of(fields, "hash"),
            external=(optional(external, "path") or "without a path") if isinstance(external, Mapping) else None,
        )
    except ValueError as error:
        return SpackPackage(name, "", None, (), None, None, "", None, str(error))


def _compiler(fields: Mapping[str, Any], versions: Mapping[str, str]) -> str | None:
    annotations = fields.get("annotations")
    told = fields.get("compiler") or (annotations.get("compiler") if isinstance(annotations, Mapping) else None)
    if isinstance(told, str):
        return told.replace("@=", "@")
    if isinstance(told, Mapping):
        return f"{text_of(told, 'name')}@{text_of(told, 'version')}"
    dependencies = fields.get("dependencies")
    for one in dependencies if isinstance(dependencies, list) else ():
        parameters = one.get("parameters") if isinstance(one, Mapping) else None
        virtuals = parameters.get("virtuals") if isinstance(parameters, Mapping) else None
        if isinstance(virtuals, list) and any(word in _LANGUAGES for word in virtuals if isinstance(word, str)):
            name = text_of(one, "name")
            version = versions.get(str(one.get("hash")), "")
            return f"{name}@{version}" if version else name
    return None


def _variants(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    for name, value in parameters.items():
        if name in _FLAGS and not value:
            continue
        if isinstance(value, bool):
            found.append(f"{'+' if value else '~'}{name}")
        elif isinstance(value, list):
            found.append(f"{name}={','.join(map(str, value))}")
        else:
            found.append(f"{name}={value}")
    return tuple(sorted(found, key=lambda one: (one[0] not in "+~", one)))


def read_compilers(text: str) -> list[SpackCompiler]:
    """Of `spack compilers`: a heading `-- gcc ubuntu20.04-x86_64 ---` for each family, then NAME@VERSION entries.

    Raises OutputError for a line that is neither.
    """
    found: list[SpackCompiler] = []
    head: re.Match[str] | None = None
    bare = False
    origins = {"e": "external", "+": "installed", "^": "installed"}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("==>"):
            continue
        if match := _HEAD.match(line):
            head, bare = match, True
            continue
        entries = list(_COMPILER.finditer(line))
        rest = _COMPILER.sub("", line).strip()
        if head is None or not entries or rest:
            raise OutputError("spack compilers", f"line {number}", f"NAME@VERSION expected, not {line[:80]!r}")
        bare = False
        # os and target are joined by the last dash but one of x86_64-like names: targets have no dash.
        system, _, target = (head["place"] or "").rpartition("-")
        for one in entries:
            origin = "remote" if one["remote"] else origins.get(one["mark"] or "")
            found.append(SpackCompiler(one["name"], one["version"], system or None, target or None, origin))
    if bare:
        raise unreadable("spack compilers", text, "NAME@VERSION expected behind the last heading")
    return found


def read_environments(text: str) -> list[str]:
    """Of `spack env list`: a heading `==> 2 environments`, then names. Raises OutputError for what can't be one."""
    words = [word for line in text.splitlines() if not line.startswith("==>") for word in line.split()]
    for word in words:
        if not _NAME.fullmatch(word):
            raise OutputError("spack env list", "", f"the name of an environment expected, not {word[:80]!r}")
    told = re.search(r"^==> (\d{1,6}) environments?$", text, re.MULTILINE)
    if told and int(told[1]) != len(words):
        raise OutputError("spack env list", "", f"{told[1]} environments are announced, and {len(words)} named")
    return words
