"""The secretary: detect what is here, call the tools of what was found, say what there is to offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from resource_secretary.errors import (
    ArgumentError,
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
ASKING = 10.0  # seconds for a tool or an inventory: the manager of a large cluster takes its time
_SETTLE = 0.3  # seconds after the deadline for killing a command that did not end by then


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
        entries = []
        for known, outcome in zip(chosen, outcomes, strict=True):
            result: Probe | None = outcome.value if outcome else None
            if result is None:
                result = Unreachable("probe", f"no answer in {timeout:g} s")
            entries.append(Entry(known, result, outcome.seconds if outcome else timeout, now, where))
        return Manifest(tuple(entries), now, where)

    def call(self, tool: str, arguments: Mapping[str, object] | None = None, timeout: float = ASKING) -> ToolResult:
        """Call `PROVIDER.TOOL`; arguments are checked against its type hints, texts are read as those types.

        Raises UnknownProvider, ArgumentError, InactiveProvider where the provider is not active here, CommandFailed,
        OutputError, or ToolFailed.
        """
        from resource_secretary.manifest import ToolResult
        from resource_secretary.tools import as_json

        name, _, method = tool.partition(".")
        known = self._one(name)
        tools = {one.name: one for one in known.provider.tools()} if known.provider else {}
        if known.provider and method not in tools:
            raise UnknownProvider(f"tool of {known.name}", method, list(tools))
        given = tools[method].read(arguments or {}) if tools else {}
        result = self._ask(known, timeout, lambda provider: as_json(getattr(provider, method)(**given)))
        return ToolResult(f"{known.name}.{method}", result, self.system.now(), self.system.where())

    def offer(self, name: str | None = None, timeout: float = ASKING) -> Inventory:
        """What there is to give: this host, or every node of the cluster that a provider manages, with what is free.

        Raises as `call` does, and ArgumentError for a provider that manages no cluster.
        """
        from resource_secretary.providers import Offering

        if name is None:
            from resource_secretary.host import host_inventory

            return host_inventory(self.system.within(timeout))
        known = self._one(name)
        if known.provider and not issubclass(known.provider, Offering):
            some = [one.name for one in self.catalog.entries if one.provider and issubclass(one.provider, Offering)]
            raise ArgumentError(
                "offer", "from", f"{known.name} manages no cluster; these do: {', '.join(some) or 'none'}"
            )

        def question(provider: BaseProvider) -> Inventory:
            if not isinstance(provider, Offering):
                raise TypeError(f"{type(provider).__name__} has no inventory")
            return provider.inventory()

        return self._ask(known, timeout, question)

    def _one(self, name: str) -> Known:
        return self.catalog.select(name=name)[0]

    def _probe(self, known: Known, timeout: float) -> Probe:
        if known.provider is None:
            return Broken(known.reason)
        try:
            return _checked(known.provider(self.system.within(timeout)).probe())
        except CommandFailed as error:
            return Unreachable(error.command, error.said)
        except SecretaryError as error:
            return Unreachable(known.name, str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one bad detector disables nothing else
            return Broken(first_line(error))

    def _ask(self, known: Known, timeout: float, question: Callable[[BaseProvider], T]) -> T:
        """Probe a provider and, where it is active, put a question to it; both within `timeout` seconds."""
        if known.provider is None:
            raise InactiveProvider(known.name, known.reason)
        provider = known.provider(self.system.within(timeout))

        def both() -> T:
            result = provider.probe()
            if not isinstance(result, Active):
                raise InactiveProvider(known.name, result.reason)
            return question(provider)

        [outcome] = side_by_side([both], timeout + _SETTLE)
        if outcome is None:
            raise CommandFailed(known.name, f"no answer in {timeout:g} s")
        if isinstance(outcome.error, SecretaryError):
            raise outcome.error
        if outcome.error is not None:
            raise ToolFailed(known.name, first_line(outcome.error)) from outcome.error
        value: T = outcome.value  # type: ignore[assignment]  # None only if T holds it
        return value


def _checked(result: object) -> Probe:
    """The result of a probe, if it is one and its metadata can be shown. Raises TypeError."""
    from resource_secretary.tools import as_json

    if not isinstance(result, (Active, Absent, Unreachable, Broken)):
        raise TypeError(f"probe() returned {type(result).__name__}, not Active, Absent or Unreachable")
    if isinstance(result, Active) and not isinstance(as_json(result.metadata), dict):
        raise TypeError("the metadata of a provider is a dataclass or a dict")
    return result
