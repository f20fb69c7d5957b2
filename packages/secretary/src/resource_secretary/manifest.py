"""What was detected, as typed values that print and that become JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resource_secretary.catalog import Known
from resource_secretary.result import Active, Probe
from resource_secretary.tools import Tool, as_json


@dataclass(frozen=True, slots=True)
class Entry:
    """One provider and what its probe found. `seconds` is how long that took; the rest says when and from where.

    tools: those that can be called: of an active provider, and only what this secretary may do. cached: whether that
    was found earlier and kept.
    """

    known: Known
    result: Probe
    seconds: float
    observed_at: str
    observed_on: str
    tools: tuple[Tool, ...] = ()
    cached: bool = False

    @property
    def active(self) -> bool:
        return isinstance(self.result, Active)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The static metadata of an active provider, as JSON has it; None of another."""
        if not isinstance(self.result, Active):
            return None
        metadata: dict[str, Any] = as_json(self.result.metadata)
        return metadata

    def as_dict(self) -> dict[str, Any]:
        return {
            "category": self.known.category,
            "name": self.known.name,
            "description": self.known.description,
            "origin": self.known.origin,
            "active": self.active,
            "state": self.result.state,
            "reason": self.result.reason or None,
            "metadata": self.metadata,
            "tools": [tool.as_dict() for tool in self.tools],
            "cached": self.cached,
            "seconds": round(self.seconds, 3),
            "observed_at": self.observed_at,
            "observed_on": self.observed_on,
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was found, in the order of the catalogue; what is not active is there too, with its reason."""

    entries: tuple[Entry, ...]
    observed_at: str
    observed_on: str

    @property
    def active(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.active)

    def __getitem__(self, name: str) -> Entry:
        """The entry of the provider of that name. Raises KeyError."""
        for entry in self.entries:
            if entry.known.name == name:
                return entry
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        return {
            "observed_at": self.observed_at,
            "observed_on": self.observed_on,
            "providers": [entry.as_dict() for entry in self.entries],
        }


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered, as an object of its output schema; `notice` says what was cut of it."""

    tool: str
    result: dict[str, Any]
    observed_at: str
    observed_on: str
    notice: str = ""
