"""The Python API: load plugins, say which jobs burst and in which order plugins are asked, and run a burst."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from fluxburst.errors import FluxBurstError, LoadError, PluginFailed
from fluxburst.handles import Handle
from fluxburst.model import Burst, Observed, Plan, Policy, Selector
from fluxburst.planner import plan
from fluxburst.plugins import REGISTRY, BurstPlugin, guarded, offer
from fluxburst.selection import in_order, is_burstable

Ordering = Callable[[Mapping[str, BurstPlugin]], Iterable[tuple[str, BurstPlugin]]]


@dataclass(frozen=True, slots=True)
class BurstRun:
    """What one run did: the plan, the bursts that plugins took on, and those that they did not, with the reason."""

    plan: Plan
    created: tuple[Burst, ...]
    failed: tuple[tuple[Burst, str], ...]


class FluxBurst:
    """Bursts of a lead. handle: where its queue is read; by default the Flux instance that this runs in."""

    def __init__(self, handle: Handle | None = None) -> None:
        self.plugins: OrderedDict[str, BurstPlugin] = OrderedDict()
        self._handle = handle
        self._selector: Selector = is_burstable
        self._ordering: Ordering = in_order

    def load(self, name: str, params: object = None, /, **kwargs: object) -> BurstPlugin:
        """Load a plugin with its dataclass, or with keyword arguments for one.

        Raises what the registry raises (`resources.errors.PluginError`), LoadError or ParameterError.
        """
        if name in self.plugins:
            raise LoadError(name, "it is loaded already")
        self.plugins[name] = plugin = REGISTRY.load(name).start(name, params, kwargs)
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
        """Every burst that the loaded plugins say exists."""
        return ()

    def plan(self) -> Plan:
        """Look at the queue and say what a run would do. Nothing is changed."""
        ordered = OrderedDict(self._ordering(self.plugins))
        if unknown := [name for name in ordered if self.plugins.get(name) is not ordered[name]]:
            raise FluxBurstError(f"the ordering yields {', '.join(map(repr, unknown))}, which was not loaded")
        lead = self._lead()
        observed = Observed(tuple(lead.jobs()), lead.inventory(), self.bursts())
        offers = tuple(offer(name, plugin) for name, plugin in ordered.items())
        return plan(observed, Policy(self._selector, offers))

    def run_burst(self) -> BurstRun:
        """Look, plan, and have the plugins make what was planned. One that fails does not stop the others."""
        planned = self.plan()
        created: list[Burst] = []
        failed: list[tuple[Burst, str]] = []
        for burst in planned.bursts:
            plugin = self.plugins[burst.plugin]
            try:
                guarded(burst.plugin, "create", partial(plugin.create, burst))
                created.append(burst)
            except PluginFailed as error:
                failed.append((burst, str(error)))
        return BurstRun(planned, tuple(created), tuple(failed))

    def _lead(self) -> Handle:
        if self._handle is None:
            from fluxburst.handles.flux import FluxHandle

            self._handle = FluxHandle()
        return self._handle
