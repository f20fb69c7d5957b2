"""The secretary: detect what is here, call the tools of what was found, say what there is to offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from resource_secretary.errors import (
    ArgumentError,
    CommandFailed,
    InactiveProvider,
    OutputError,
    SecretaryError,
    ToolFailed,
    UnknownProvider,
)
from resource_secretary.result import Absent, Active, Broken, Probe, Unreachable
from resource_secretary.sidebyside import first_line, side_by_side
from resource_secretary.system import DEADLINE, System

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

    from resource_secretary.asking import Answer
    from resource_secretary.cache import Cache
    from resource_secretary.catalog import Catalog, Known
    from resource_secretary.manifest import Entry, Manifest, ToolResult
    from resource_secretary.paging import Pages
    from resource_secretary.providers import BaseProvider, Offering
    from resource_secretary.site.facts import Site
    from resource_secretary.tools import Tool

T = TypeVar("T")
ASKING = 10.0  # seconds for a tool or an inventory: the manager of a large cluster takes its time
WORKLOAD = "workload"  # the category of the providers that manage clusters
READ = "read"  # the kind of tools that change nothing
_NEAREST = ("flux",)  # a Flux instance that can be reached is the one around this process, or the system's
_SETTLE = 0.3  # seconds after the deadline for killing a command that did not end by then


class Secretary:
    """Knows the providers and asks them.

    system: the machine; tests give a recorded one. catalog: the providers; by default the built-in and installed ones.
    only, skip: of the providers, those that are asked, and those that are not: names (`slurm`), categories
    (`hardware`), or both (`hardware.nvidia-gpu`); an unknown one raises UnknownProvider where the catalogue is first
    used. dispatch: whether tools that change state exist. cache: where what was found is kept; by default nothing is.
    pages: where long lists are kept while their pages are turned; by default each page asks anew.
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
        pages: Pages | None = None,
    ) -> None:
        self.system = system or System()
        self.dispatch, self.cache, self.pages = dispatch, cache, pages
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
        systems = {known.name: self.system.within(timeout) for known in asked}
        probes = [partial(self._probe, known, systems[known.name]) for known in asked]
        outcomes = side_by_side(probes, timeout + _SETTLE)
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
        self._keep([entry for entry in entries if not entry.cached], systems)
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
            return described.result(given, value, self._keep_list if self.pages else None)

        if known.provider:
            described = tools[method]
            given = described.read(arguments or {}, text=text)
            if described.paged and self.pages and (kept := self.pages.find(given["cursor"])):
                result, notice = described.result(given, kept)
                return ToolResult(f"{known.name}.{method}", result, kept.observed_at, kept.observed_on, notice)
        result, notice = self._ask(known, timeout, question)
        return ToolResult(f"{known.name}.{method}", result, self.system.now(), self.system.where(), notice)

    def offer(self, name: str | None = None, timeout: float = ASKING) -> Inventory:
        """What there is to give: this host, or every node of the cluster that a provider manages, with what is free.

        name: the provider; `host`, as without one, is this host. Raises as `call` does, and ArgumentError for a
        provider that manages no cluster.
        """
        from resource_secretary.asking import HOST
        from resource_secretary.providers import Offering

        if name is None or name.lower() == HOST:
            from resource_secretary.host import host_inventory

            return host_inventory(self.system.within(timeout))
        known = self._offering("offer", name)

        def question(provider: BaseProvider) -> Inventory:
            if not isinstance(provider, Offering):
                raise TypeError(f"{type(provider).__name__} has no inventory")
            return provider.inventory()

        return self._ask(known, timeout, question)

    def ask(self, request: str | Resource, name: str | None = None, timeout: float = ASKING) -> Answer:
        """Does a request (its text, its JSON document, or a resource) fit: now, later, never; and why not.

        name: the manager that is asked, `host` for this host. Without one all workload managers that are active here
        are asked side by side, and the best verdict counts; where two are alike, that of the nearest one: the Flux
        instance that this process is in, then in the order of the catalogue. Where none is active it is this host.
        Managers that were passed over are in the answer's notes.

        One that gives no answer within `timeout` seconds, or is not active, has the verdict UNKNOWN with what it said.
        Raises InputError (of `resources`) for a request that can't be read, and for `name` as `offer` does.
        """
        from resources.documents import load_request

        from resource_secretary import asking

        need = load_request(request) if isinstance(request, str) else request
        if name is not None and name.lower() == asking.HOST:
            return self._host_answer(need, timeout)
        if name is not None:
            return self._answer(need, self._offering("ask", name), timeout)
        asked, notes = self._managers(min(timeout, DEADLINE))
        if not asked:
            return asking.best([self._host_answer(need, timeout)], notes)
        jobs = [partial(self._answer, need, known, timeout, probed=True) for known in asked]
        outcomes = side_by_side(jobs, timeout + 2 * _SETTLE)
        answers = []
        for known, outcome in zip(asked, outcomes, strict=True):
            if outcome is not None and outcome.error is not None:
                raise outcome.error
            answers.append(outcome.value if outcome and outcome.value else self._silent(need, known.name, timeout))
        return asking.best(answers, notes)

    def site(self, name: str | None = None, timeout: float = ASKING) -> Site:
        """What the site of a manager is like: queues, nodes, limits; a reason for each that is not known.

        name: as of `ask`; without one it is the first active manager's, in the same order, else this host's.
        Raises as `offer` does.
        """
        from resource_secretary.asking import HOST
        from resource_secretary.site.read import host_site, manager_site

        known = None
        if name is None:
            known = next(iter(self._managers(min(timeout, DEADLINE))[0]), None)
        elif name.lower() != HOST:
            known = self._offering("profile", name)
        if known is None:
            return host_site(self.offer(timeout=timeout), self.system)
        return self._ask(known, timeout, lambda provider: manager_site(cast("Offering", provider)), probed=name is None)

    def _managers(self, timeout: float) -> tuple[list[Known], list[str]]:
        """The active workload managers that tell their nodes, the nearest first; and why others can't be asked."""
        from resource_secretary.providers import Offering

        if WORKLOAD not in self.catalog.categories():
            return [], []
        asked, notes = [], []
        for entry in self.detect(WORKLOAD, timeout=timeout).entries:
            known = entry.known
            if entry.active and known.provider and issubclass(known.provider, Offering):
                asked.append(known)
            elif not isinstance(entry.result, Absent):
                why = "it does not tell its nodes" if entry.active else entry.result.reason
                notes.append(f"{known.name} was not asked: {why}")
        return sorted(asked, key=lambda known: known.name not in _NEAREST), notes

    def _offering(self, command: str, name: str) -> Known:
        """The provider of a name, which manages a cluster or can't be used. Raises UnknownProvider, ArgumentError."""
        from resource_secretary.providers import Offering

        known = self._one(name)
        if known.provider and not issubclass(known.provider, Offering):
            some = [one.name for one in self.catalog.entries if one.provider and issubclass(one.provider, Offering)]
            raise ArgumentError(
                command, "from", f"{known.name} manages no cluster; these do: {', '.join(some) or 'none'}"
            )
        return known

    def _answer(self, need: Resource, known: Known, timeout: float, *, probed: bool = False) -> Answer:
        """What a manager says to a request. `probed`: whether it was just seen to be active."""
        from resource_secretary.asking import ask_manager

        def question(provider: BaseProvider) -> Answer:
            return ask_manager(cast("Offering", provider), need, timeout)

        try:
            return self._ask(known, timeout, question, probed=probed)
        except (InactiveProvider, CommandFailed, OutputError, ToolFailed) as error:
            return self._unknown(need, known.name, str(error))

    def _host_answer(self, need: Resource, timeout: float) -> Answer:
        from resource_secretary.asking import HOST, decide

        system = self.system.within(timeout)
        try:
            return decide(need, self.offer(timeout=timeout), HOST, now=system.now(), where=system.where())
        except OutputError as error:
            return self._unknown(need, HOST, str(error))

    def _silent(self, need: Resource, name: str, timeout: float) -> Answer:
        return self._unknown(need, name, f"{name}: no answer in {timeout:g} s")

    def _unknown(self, need: Resource, name: str, reason: str) -> Answer:
        from resource_secretary.asking import unknown

        return unknown(need, name, reason, self.system.now(), self.system.where())

    def _keep_list(self, items: Sequence[Any]) -> str:
        return self.pages.keep(items, self.system.now(), self.system.where()) if self.pages else ""

    def _keep(self, entries: Sequence[Entry], systems: Mapping[str, System]) -> None:
        if self.cache is None:
            return
        found = []
        for entry in entries:
            if entry.metadata is not None and entry.known.provider and entry.known.provider.fresh_for:
                programs = systems[entry.known.name].programs
                seen = (entry.observed_at, entry.observed_on)
                found.append((entry.known, self.cache.kept(entry.known, entry.metadata, *seen, programs)))
        self.cache.put(found)

    def _one(self, name: str) -> Known:
        return self.catalog.select(name=name)[0]

    def _probe(self, known: Known, system: System) -> Probe:
        if known.provider is None:
            return Broken(known.reason)
        try:
            return _checked(known.provider(system).probe())
        except CommandFailed as error:
            return Unreachable(error.command, error.said)
        except SecretaryError as error:
            return Unreachable(known.name, str(error))
        except BaseException as error:  # noqa: BLE001 - one bad detector disables nothing else
            return Broken(first_line(error))

    def _ask(self, known: Known, timeout: float, question: Callable[[BaseProvider], T], *, probed: bool = False) -> T:
        """Put a question to a provider that is active (it was lately, or is now); all within `timeout` seconds."""
        if known.provider is None:
            raise InactiveProvider(known.name, known.reason)
        provider = known.provider(self.system.within(timeout))

        def both() -> T:
            if not probed and (self.cache is None or self.cache.get(known) is None):
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
