"""What a check finds, and what a lead that runs says of itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from resources import hostlist

from fluxburst.commands import flux
from fluxburst.errors import FluxBurstError
from fluxburst.lead import SOCKET, is_of


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. state: `unknown` where it could not be tried. cure: what to do about a problem."""

    check: str
    state: Literal["ok", "problem", "unknown"]
    text: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.text}" + (f" -> {self.cure}" if self.cure else "")

    def as_dict(self) -> dict[str, str]:
        return {"check": self.check, "state": self.state, "text": self.text, "cure": self.cure}


@dataclass(frozen=True, slots=True)
class Running:
    """What a lead that runs says of itself: its attributes (flux-broker-attributes(7))."""

    attributes: Mapping[str, str]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(hostlist.expand(self.attributes.get("hostlist", "")))


def ok(check: str, text: str) -> Finding:
    return Finding(check, "ok", text)


def problem(check: str, text: str, cure: str) -> Finding:
    return Finding(check, "problem", text, cure)


def running(folder: Path | None = None) -> Running | None:
    """The lead of a folder, by its socket there, or else the one around this process; None where none answers.

    One around this process that is another's does not count where a folder is given.
    """
    uri = os.environ.get("FLUX_URI", "")
    if folder is not None and (folder / SOCKET).is_socket():
        uri = f"local://{folder / SOCKET}"
    if not uri:
        return None
    try:
        said = flux("lsattr", "-v", uri=uri)
    except FluxBurstError:
        return None
    pairs = (line.split(None, 1) for line in said.splitlines())
    made = Running({pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2})
    if folder is not None and not is_of(made.attributes.get("config.path", ""), folder):
        return None
    return made
