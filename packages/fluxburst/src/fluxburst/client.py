"""The Python API: load plugins, say which jobs burst and in which order plugins are asked, and run a burst."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fluxburst.errors import FluxBurstError, LoadError
from fluxburst.handles import Handle
from fluxburst.model import Burst, Observed, Plan, Policy, Selector
from fluxburst.planner import plan
from fluxburst.plugins import REGISTRY, BurstPlugin, offer
from fluxburst.selection import in_order, is_burstable
from fluxburst.settings import Settings

if TYPE_CHECKING:
    from fluxburst.lead import Lead
    from fluxburst.ledger import Ledger
    from fluxburst.reconcile import Ordering, Pass, Reconciler


class FluxBurst:
    """Bursts of a lead.

    handle: the lead, by default the Flux instance that this runs in. settings: limits, timeouts and what each plugin
    may do; jobs burst at once where none are given. ledger: the file that says what was made; None keeps it in
    memory, so that nothing but the leases ends what a process leaves behind when it dies. lead: how brokers join.
    """

    def __init__(
        self,
        handle: Handle | None = None,
        *,
        settings: Settings | None = None,
        ledger: Path | None = None,
        lead: Lead | None = None,
    ) -> None:
        self.plugins: OrderedDict[str, BurstPlugin] = OrderedDict()
        self.settings = settings or Settings(delay=0)
        self.lead = lead
        self._handle, self._path = handle, ledger
        self._selector: Selector = is_burstable
        self._ordering: Ordering = in_order
        self._reconciler: Reconciler | None = None

    def load(self, name: str, params: object = None, /, **kwargs: object) -> BurstPlugin:
        """Load a plugin with its dataclass, or with keyword arguments for one.

        Raises what the registry raises (`resources.errors.PluginError`), LoadError or ParameterError.
        """
        if name in self.plugins:
            raise LoadError(name, "it is loaded already")
        plugin = REGISTRY.load(name).start(name, params, kwargs)
        plugin.lead = self.lead
        self.plugins[name] = plugin
        return plugin

    def set_selector(self, selector: Selector) -> None:
        """Choose jobs with a function that takes the job information and returns whether the job may burst."""
        if not callable(selector):
            raise FluxBurstError("a selector is a function of one job")
        self._selector = selector

    def set_ordering(self, ordering: Ordering) -> None:
        """Order or filter plugins with a function that takes them by name and yields (name, plugin)."""
        if not callable(ordering):
            raise FluxBurstError("an ordering is a function of the plugins")
        self._ordering = ordering

    def bursts(self) -> tuple[Burst, ...]:
        """Every burst that has not ended, as the ledger knows it."""
        return tuple(row.burst for row in self.controller.ledger.rows())

    def plan(self) -> Plan:
        """Look at the queue and say what a first run would do, as if there were no bursts yet. Nothing is changed."""
        lead = self._lead()
        observed = Observed(tuple(lead.jobs()), lead.inventory())
        offers = tuple(
            replace(offer(name, plugin), lease=self.settings.of(name).lease)
            for name, plugin in self._ordered(self.plugins)
        )
        return plan(observed, Policy(self._selector, offers, budget=self.settings.limits, rules=self.settings.rules))

    def run_burst(self) -> Pass:
        """One pass of the controller: look, have bursts go on or end, plan, and have plugins make what was planned."""
        return self.controller.step()

    @property
    def controller(self) -> Reconciler:
        """What `run_burst` steps; made when it is first asked for, and the ledger is held from then on."""
        if self._reconciler is None:
            from fluxburst.ledger import Ledger
            from fluxburst.reconcile import Reconciler

            ledger: Ledger = Ledger.open(self._path, self.lead.owner if self.lead else self.settings.owner)
            self._reconciler = Reconciler(
                self._lead(),
                self.plugins,
                ledger,
                self.settings,
                selector=lambda job: self._selector(job),
                ordering=self._ordered,
            )
        return self._reconciler

    def close(self) -> None:
        """Let go of the ledger; bursts go on."""
        if self._reconciler is not None:
            self._reconciler.ledger.close()
            self._reconciler = None

    def _ordered(self, plugins: Mapping[str, BurstPlugin]) -> Iterator[tuple[str, BurstPlugin]]:
        ordered: Iterable[tuple[str, BurstPlugin]] = OrderedDict(self._ordering(plugins)).items()
        if unknown := [name for name, plugin in ordered if plugins.get(name) is not plugin]:
            raise FluxBurstError(f"the ordering yields {', '.join(map(repr, unknown))}, which was not loaded")
        yield from ordered

    def _lead(self) -> Handle:
        if self._handle is None:
            from fluxburst.handles.flux import FluxHandle

            self._handle = FluxHandle()
        return self._handle
