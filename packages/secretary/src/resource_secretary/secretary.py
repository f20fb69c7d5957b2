"""The secretary: detect what is here, call the tools of what was found, say what it has to offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from resource_secretary.errors import (
    CommandFailed,
    InactiveProvider,
    SecretaryError,
    ToolFailed,
    UnknownProvider,
)
from resource_secretary.result import Absent, Active, Broken, Probe, Unreachable
from resource_secretary.sidebyside import first_line, side_by_side
from resource_secretary.system import DEADLINE, System

if TYPE_CHECKING:
    from resources.documents import Inventory

    from resource_secretary.catalog import Catalog, Known
    from resource_secretary.manifest import Manifest, ToolResult
    from resource_secretary.providers import BaseProvider

T = TypeVar("T")
ASKING = 10.0  # seconds for a tool or an inventory: a large cluster's manager takes its time
_SETTLE = 0.3  # seconds after the deadline in which a command that has to be killed is


class Secretary:
    """Knows the providers and asks them.

    system: the machine; tests give a recorded one. catalog: the providers; by default the built-in and installed ones.
    """

    def __init__(self, *, system: System | None = None, catalog: Catalog | None = None) -> None:
        self.system = system or System()
        self._catalog = catalog

    @cached_property
    def catalog(self) -> Catalog:
        from resource_secretary.catalog import Catalog

        return self._catalog or Catalog()

    def detect(self, category: str | None = None, name: str | None = None, timeout: float = DEADLINE) -> Manifest:
        """Probe all providers, or those of a category or name, side by side, each once.

        Each has `timeout` seconds; the whole takes little longer than that, whatever a provider does, and one that
        fails changes only its own entry. Raises UnknownProvider for a category or name that there is not.
        """
        from resource_secretary.manifest import Entry, Manifest

        chosen = self.catalog.select(category, name)
        outcomes = side_by_side([partial(self._probe, known, timeout) for known in chosen], timeout + _SETTLE)
        where, now = self.system.where(), self.system.now()
        late = Unreachable("probe", f"no answer in {timeout:g} s")
        entries = []
        for known, outcome in zip(chosen, outcomes, strict=True):
            result = (outcome and outcome.value) or (outcome and outcome.error and _broken(outcome.error)) or late
            entries.append(Entry(known, result, outcome.seconds if outcome else timeout, now, where))
        return Manifest(tuple(entries), now, where)
