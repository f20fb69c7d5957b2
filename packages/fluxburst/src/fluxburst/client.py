"""The Python API: load plugins, say which jobs burst and in which order plugins are asked, and run a burst."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fluxburst.errors import FluxBurstError, HandleError, LoadError
from fluxburst.handles import Handle
from fluxburst.model import Burst, Observed, Plan, Policy, Selector
from fluxburst.planning.planner import plan
from fluxburst.plugins import REGISTRY, BurstPlugin
from fluxburst.selection import in_order, is_burstable
from fluxburst.settings import Settings

if TYPE_CHECKING:
    from fluxburst.lead import Lead
    from fluxburst.ledger import Ledger
    from fluxburst.reconcile import Ordering, Pass, Reconciler


class FluxBurst:
    """Bursts of a lead.

    `FluxBurst()` is that of the Flux instance around. Where `flux-burst init` has written its folder, that is the
    lead, with the settings of its `burst.toml` and the ledger that the commands use. Jobs burst at once there, unless
    `burst.toml` or `set_delay` names a delay.

    handle: the lead, by default the Flux instance that this runs in. settings: limits, timeouts and what each plugin
    may do; jobs burst at once where none are given. ledger: the file that says what was made; None keeps it in
    memory, so that nothing but the leases ends what a process leaves behind when it dies. lead: how brokers join.
    clock: seconds since the epoch, if not this machine's. Raises LeadError where the lead's folder is damaged.
    """

    def __init__(
        self,
        handle: Handle | None = None,
        *,
        settings: Settings | None = None,
        ledger: Path | None = None,
        lead: Lead | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.plugins: OrderedDict[str, BurstPlugin] = OrderedDict()
        if handle is None and settings is None and ledger is None and lead is None:
            handle, settings, ledger, lead = _around()
        self.settings = settings or Settings(delay=0)
        self.lead = lead
        self._handle, self._path, self._clock = handle, ledger, clock
        self._selector: Selector = is_burstable
        self._ordering: Ordering = in_order
        self._reconciler: Reconciler | None = None

    def load(self, name: str, params: object = None, /, **kwargs: object) -> BurstPlugin:
        """Load a plugin with its dataclass, or with keyword arguments for one on top of what the settings say of it.

        Raises what the registry raises (`resources.errors.PluginError`), LoadError or ParameterError.
        """
        if name in self.plugins:
            raise LoadError(name, "it is loaded already")
        given = kwargs if params is not None else {**self.settings.of(name).parameters, **kwargs}
        plugin = REGISTRY.load(name).start(name, params, given)
        plugin.lead = self.lead
        if self._reconciler is not None:
            plugin.clock = self._reconciler.clock
        self.plugins[name] = plugin
        return plugin

    def set_selector(self, selector: Selector) -> None:
        """Choose jobs with a function that takes the job information and returns whether the job may burst."""
        if not callable(selector):
            raise FluxBurstError("a selector is a function of one job")
        self._selector = selector
        self._changed()

    def set_delay(self, seconds: int) -> None:
        """Leave out jobs that have waited for less."""
        self.settings = replace(self.settings, delay=seconds)
        self._changed()

    def set_ordering(self, ordering: Ordering) -> None:
        """Order or filter plugins with a function that takes them by name and yields (name, plugin)."""
        if not callable(ordering):
            raise FluxBurstError("an ordering is a function of the plugins")
        self._ordering = ordering
        self._changed()

    def _changed(self) -> None:
        if self._reconciler is not None:
            self._reconciler.use(self.settings)

    def bursts(self) -> tuple[Burst, ...]:
        """Every burst that has not ended, as the ledger knows it."""
        return tuple(row.burst for row in self.controller.ledger.rows())

    def plan(self) -> Plan:
        """Look at the queue and say what the next run would do. Nothing is changed."""
        return plan(*self.situation())

    def situation(self) -> tuple[Observed, Policy]:
        """What a plan is made from now: the lead, the offers, and what the ledger knows of bursts and limits."""
        lead = self._lead()
        if self._reconciler is not None:
            return self._situation(self._reconciler, lead)
        exists = self._path is not None and self._path.exists()
        with self._open(self._path if exists else None, writable=not exists) as ledger:
            observed, policy = self._situation(self._made(ledger), lead)
        return observed, policy if exists else replace(policy, name=None)  # no ledger yet to name bursts for all time

    @staticmethod
    def _situation(reconciler: Reconciler, lead: Handle) -> tuple[Observed, Policy]:
        found = reconciler.situation(reconciler.clock(), lead.jobs(), lead.inventory())
        for trouble in reconciler.trouble.values():
            raise FluxBurstError(trouble)
        return found

    def run_burst(self) -> Pass:
        """One pass of the controller: look, have bursts go on or end, plan, and have plugins make what was planned."""
        return self.controller.step()

    @property
    def controller(self) -> Reconciler:
        """What `run_burst` steps; made when it is first asked for, and the ledger is held from then on."""
        if self._reconciler is None:
            self._reconciler = self._made(self._open(self._path))
        return self._reconciler

    def _open(self, path: Path | None, *, writable: bool = True) -> Ledger:
        from fluxburst.ledger import Ledger

        owner, folder = (self.lead.owner, self.lead.folder) if self.lead else (self.settings.owner, None)
        return Ledger.open(path, owner, writable=writable, lead=folder)

    def _made(self, ledger: Ledger) -> Reconciler:
        from fluxburst.reconcile import Reconciler

        return Reconciler(
            self._lead(),
            self.plugins,
            ledger,
            self.settings,
            selector=lambda job: self._selector(job),
            ordering=self._ordered,
            clock=self._clock,
        )

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


def _around() -> tuple[Handle | None, Settings | None, Path | None, Lead | None]:
    """The Flux instance around, and of a lead with a folder the settings, the ledger and how brokers join.

    Nothing where there is no Flux: what asks it says so.
    """
    import tomllib

    from fluxburst.handles.flux import FluxHandle
    from fluxburst.lead import LEDGER, SETTINGS, Lead, is_lead, read
    from fluxburst.settings import read_settings

    try:
        handle = FluxHandle()
        path = handle.attribute("config.path")
    except HandleError:
        return None, None, None, None
    if not path or not is_lead(path):
        return handle, None, None, None
    lead = Lead.at(path)
    text = read(lead.folder / SETTINGS)
    settings = read_settings(text, str(lead.folder / SETTINGS))
    if "delay" not in tomllib.loads(text):
        settings = replace(settings, delay=0)
    return handle, settings, lead.folder / LEDGER, lead
