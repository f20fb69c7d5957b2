"""The secretary: detect what is here, call the tools of what was found, say what there is to offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

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

    from resource_secretary.cache import Cache
    from resource_secretary.catalog import Catalog, Known
    from resource_secretary.manifest import Entry, Manifest, ToolResult
    from resource_secretary.providers import BaseProvider
    from resource_secretary.tools import Tool

T = TypeVar("T")
ASKING = 10.0  # seconds for a tool or an inventory: the manager of a large cluster takes its time
READ = "read"  # the kind of tools that change nothing
_SETTLE = 0.3  # seconds after the deadline for killing a command that did not end by then


class Secretary:
    """Knows the providers and asks them.

    system: the machine; tests give a recorded one. catalog: the providers; by default the built-in and installed ones.
    only, skip: of the providers, those that are asked, and those that are not: names (`slurm`), categories
    (`hardware`), or both (`hardware.nvidia-gpu`); an unknown one raises UnknownProvider where the catalogue is first
    used. dispatch: whether tools that change state exist. cache: where what was found is kept; by default nothing is.
    """

    def __init__(
        self,
        *,
        system: System | None = None,
        catalog: Catalog | None = None,
        only: Sequence[str] = (),
        skip: Sequence[str] = (),
        dispatch: bool = False,
        cache: Cache | None = None,
    ) -> None:
        self.system = system or System()
        self.dispatch, self.cache = dispatch, cache
        self._given, self._only, self._skip = catalog, tuple(only), tuple(skip)

    @cached_property
    def catalog(self) -> Catalog:
        from resource_secretary.catalog import Catalog

        return (self._given or Catalog()).without(self._only, self._skip)

    def detect(self, category: str | None = None, name: str | None = None, timeout: float = DEADLINE) -> Manifest:
        """Probe all providers, or those of a category or name, side by side, each once.

        Each has `timeout` seconds; the whole takes little longer than that, whatever a provider does, and one that
        fails changes only its own entry. Raises UnknownProvider for a category or name that there is not.
        """
        from resource_secretary.manifest import Entry, Manifest

        chosen = self.catalog.select(category, name)
        kept = {known.name: self.cache.get(known) if self.cache else None for known in chosen}
        asked = [known for known in chosen if kept[known.name] is None]
        outcomes = side_by_side([partial(self._probe, known, timeout) for known in asked], timeout + _SETTLE)
        where, now = self.system.where(), self.system.now()
        by_name = {known.name: outcome for known, outcome in zip(asked, outcomes, strict=True)}
        entries = []
        for known in chosen:
            seen, outcome = kept[known.name], by_name.get(known.name)
            if seen is not None:
                tools = self.tools(known)
                entries.append(
                    Entry(known, Active(seen.metadata), 0.0, seen.observed_at, seen.observed_on, tools, cached=True)
                )
                continue
            result: Probe | None = outcome.value if outcome else None
            if result is None:
                result = Unreachable("probe", f"no answer in {timeout:g} s")
            tools = self.tools(known) if isinstance(result, Active) else ()
            entries.append(Entry(known, result, outcome.seconds if outcome else timeout, now, where, tools))
        self._keep([entry for entry in entries if not entry.cached])
        return Manifest(tuple(entries), now, where)

    def tools(self, known: Known) -> tuple[Tool, ...]:
        """The tools of a provider that this secretary may call. Without `dispatch` the others do not exist."""
        every = known.provider.tools() if known.provider else ()
        return tuple(tool for tool in every if self.dispatch or tool.kind == READ)

    def call(
        self,
        tool: str,
        arguments: Mapping[str, object] | None = None,
        timeout: float = ASKING,
        *,
        text: bool = False,
    ) -> ToolResult:
        """Call `PROVIDER.TOOL`; arguments are checked against its schema. text: they are words of a command line.

        Raises UnknownProvider (also for a tool that changes state, without `dispatch`), ArgumentError, InactiveProvider
        where the provider is not active here, CommandFailed, OutputError, or ToolFailed.
        """
        from resource_secretary.manifest import ToolResult

        name, _, method = tool.partition(".")
        known = self._one(name)
        tools = {one.name: one for one in self.tools(known)}
        if known.provider and method not in tools:
            raise UnknownProvider(f"tool of {known.name}", method, list(tools))

        def question(provider: BaseProvider) -> tuple[dict[str, Any], str]:
            value = getattr(provider, method)(**described.method_arguments(given))
            return described.result(given, value)

        if known.provider:
            described = tools[method]
            given = described.read(arguments or {}, text=text)
        result, notice = self._ask(known, timeout, question)
        return ToolResult(f"{known.name}.{method}", result, self.system.now(), self.system.where(), notice)

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

    def _keep(self, entries: Sequence[Entry]) -> None:
        if self.cache is None:
            return
        found = [
            (entry.known, self.cache.kept(entry.known, entry.metadata, entry.observed_at, entry.observed_on))
            for entry in entries
            if entry.metadata is not None and entry.known.provider and entry.known.provider.fresh_for
        ]
        self.cache.put(found)

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
        """Put a question to a provider that is active (it was lately, or is now); all within `timeout` seconds."""
        if known.provider is None:
            raise InactiveProvider(known.name, known.reason)
        provider = known.provider(self.system.within(timeout))

        def both() -> T:
            if self.cache is None or self.cache.get(known) is None:
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
