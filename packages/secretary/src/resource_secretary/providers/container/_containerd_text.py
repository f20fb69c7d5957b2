"""Read what `ctr` prints, which has no other format than tables. containerd, docs/man and `ctr --help`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers.container._container import Image
from resource_secretary.reading import scaled, strange
from resource_secretary.run import printable

_IMAGE = re.compile(r"(\S+)\s+(\S+)\s+([a-z0-9]+:[0-9a-f]{32,128})\s+([0-9.]+ [A-Za-z]+)\s+(\S+)\s+(.*)")
_PLUGIN = re.compile(r"io\.containerd\.snapshotter\.v1\s+(\S+)\s+(\S+)\s+(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Containerd:
    """client: `nerdctl` or `ctr`, and the versions of it and of the daemon."""

    client: str
    client_version: str | None
    version: str


@dataclass(frozen=True, slots=True)
class Snapshotter:
    """How images become root file systems. state: ok, skip (of no use on this host) or error."""

    name: str
    state: str


def read_version(text: str) -> tuple[str | None, str]:
    """The versions of client and server of `ctr version`. Raises OutputError."""
    section, found = "", dict[str, str]()
    for line in text.splitlines():
        if line.rstrip() in ("Client:", "Server:"):
            section = line.strip()
        key, _, value = line.partition(":")
        if key.strip() == "Version" and section:
            found.setdefault(section, printable(value.strip()))
    if not found.get("Server:"):
        raise strange("ctr version", "names no server", text)
    return found.get("Client:") or None, found["Server:"]


def read_images(text: str, namespace: str) -> list[Image]:
    """The images of `ctr images ls` in a namespace. Raises OutputError where the heading is another one."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or lines[0].split()[:4] != ["REF", "TYPE", "DIGEST", "SIZE"]:
        raise strange(f"ctr images ls of {namespace}", "has another heading than REF TYPE DIGEST SIZE", text)
    found = []
    for line in lines[1:]:
        match = _IMAGE.fullmatch(line.rstrip() + " ")
        size = scaled(match[4]) if match else None
        if match and size is not None:
            found.append(Image(printable(match[1]), match[3], size))
        else:
            found.append(Image("", problem=f"can't be read: {printable(line)[:100]}"))
    return found


def read_snapshotters(text: str) -> list[Snapshotter]:
    """The snapshotters of `ctr plugins ls`. Raises OutputError."""
    found = [Snapshotter(match[1], match[3]) for line in text.splitlines() if (match := _PLUGIN.fullmatch(line))]
    if not found:
        raise strange("ctr plugins ls", "names no snapshotter", text)
    return found


def read_names(text: str, source: str) -> list[str]:
    """The names that a command lists, one a line. Raises OutputError for what is none."""
    names = [line.strip() for line in text.splitlines() if line.strip()]
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name, re.ASCII):
            raise OutputError(source, "", f"{printable(name)[:60]!r} is no name")
    return names
