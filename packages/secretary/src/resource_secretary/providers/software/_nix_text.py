"""Read what Nix tells of a profile. Versions 1 to 3 of the profile's manifest, and nix-env's own list.

`nix profile list --json` prints the manifest: `elements` is a list in versions 1 and 2 and an object by name since
version 3 (Nix 2.20 release notes). A package's name and version are in its store path: HASH-NAME-VERSION.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.providers.software._common import fields_of, optional, read_json, text_of, unreadable

_LIST = "nix profile list"
_STORE = re.compile(r"^/.+/[0-9a-df-np-sv-z]{32}-([^/]+)$")
_VERSION = re.compile(r"-(?=[^a-zA-Z])")  # Nix manual, builtins.parseDrvName: the first dash before a non-letter
_KNOWN = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class NixPackage:
    """source: the flake or attribute that it is from, where it tells. problem: why a part of it could not be read."""

    name: str
    version: str
    path: str | None
    source: str | None
    problem: str = ""


def split_name(text: str) -> tuple[str, str]:
    """Name and version of a derivation: `gcc-wrapper-13.2.0` is gcc-wrapper, 13.2.0."""
    found = _VERSION.search(text, 1)
    return (text[: found.start()], text[found.end() :]) if found else (text, "")


def read_profile(text: str) -> list[NixPackage]:
    """Of `nix profile list --json`. Raises OutputError, with what it said, for a version that is not known."""
    value = read_json(f"{_LIST} --json", text)
    version = value.get("version") if isinstance(value, dict) else None
    elements = value.get("elements") if isinstance(value, dict) else None
    if version not in _KNOWN or isinstance(version, bool):
        raise unreadable(f"{_LIST} --json", text, f"a manifest of version 1 to 3 expected, not {version!r:.40}")
    if isinstance(elements, dict):
        records: list[tuple[str, Any]] = list(elements.items())
    elif isinstance(elements, list):
        records = [("", record) for record in elements]
    else:
        raise unreadable(f"{_LIST} --json", text, "elements expected")
    return [_element(name, record, number) for number, (name, record) in enumerate(records)]


def _element(name: str, record: Any, number: int) -> NixPackage:
    if not isinstance(record, Mapping):
        return NixPackage(name or f"element {number}", "", None, None, f"an object expected, not {record!r:.40}")
    source = optional(record, "originalUrl") or optional(record, "originalUri")
    attribute = optional(record, "attrPath")
    source = f"{source}#{attribute}" if source and attribute else source or attribute
    paths = record.get("storePaths")
    path = paths[0] if isinstance(paths, list) and paths and isinstance(paths[0], str) else None
    found = _STORE.match(path or "")
    if path is None or not found:
        called = name or (attribute or "").rpartition(".")[2] or f"element {number}"
        return NixPackage(called, "", path, source, f"no store path to read its version from: {path!r:.80}")
    base, version = split_name(found[1])
    return NixPackage(base, version, path, source)


def read_env_query(text: str) -> list[NixPackage]:
    """Of `nix-env --query --json --out-path`: an object of objects. Raises OutputError."""
    source = "nix-env --query --json"
    value = read_json(source, text)
    if not isinstance(value, dict):
        raise unreadable(source, text, "an object expected")
    found = []
    for key, record in value.items():
        try:
            fields = fields_of(record)
            # Nix before 2.0 has neither pname nor version.
            name, version = split_name(text_of(fields, "name"))
            outputs = fields.get("outputs")
            path = optional(outputs, "out") if isinstance(outputs, Mapping) else None
            found.append(
                NixPackage(optional(fields, "pname") or name, optional(fields, "version") or version, path, None)
            )
        except ValueError as error:
            found.append(NixPackage(str(key), "", None, None, str(error)))
    return found


def read_profile_lines(text: str) -> list[NixPackage]:
    """Of `nix profile list` until 2.16: INDEX ORIGINAL LOCKED STORE-PATHS, `-` for none. Raises OutputError."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        match = _STORE.match(words[3]) if len(words) >= 4 and words[0].isdecimal() else None
        if words and not match:
            raise OutputError(_LIST, f"line {number}", f"index, flake and store path expected, not {line[:80]!r}")
        if match:
            name, version = split_name(match[1])
            found.append(NixPackage(name, version, words[3], None if words[1] == "-" else words[1]))
    return found
