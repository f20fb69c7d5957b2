"""Wishes, and how they come true: by the controller that runs, or by this process where none does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fluxburst.cli.common import Place, connect, given, load
from fluxburst.client import FluxBurst
from fluxburst.errors import FluxBurstError, HeldError
from fluxburst.handles.absent import AbsentHandle
from fluxburst.ledger import Ledger, Row, Wish, holder
from fluxburst.reconcile import Reconciler
from fluxburst.report import controller

STEP = 0.5  # seconds between two looks; providers are asked by the settings' interval


class Carrier:
    """Has wishes carried out; a context manager. Raises LedgerError where there is no ledger; new: make it then.

    by_us: whether this process does it, which no controller keeps from it then. failed: plugins that can't be used,
    and why. plugins: those that have or may have bursts.
    """

    def __init__(
        self, place: Place, names: Iterable[str] = (), values: Mapping[str, Any] | None = None, *, new: bool = False
    ) -> None:
        self.place = place
        if new:
            place.make_ledger()
        self.ledger = Ledger.open(place.ledger, writable=False)
        told = controller(self.ledger)
        rows = {row.plugin: None for row in self.ledger.rows()}
        self.plugins = tuple(dict.fromkeys((*names, *place.settings.plugins, *told.get("plugins", ()), *rows)))
        self._options: dict[str, Any] = {**told.get("options", {})}
        for name in names:
            self._options[name] = {**self._options.get(name, {}), **given(name, values or {})}
        self._client: FluxBurst | None = None
        self.failed: dict[str, str] = {}
        self.lead = ""  # why the lead can't be asked
        self._take()

    def __enter__(self) -> Carrier:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()
        else:
            self.ledger.close()

    @property
    def by_us(self) -> bool:
        return self._client is not None

    def rows(self) -> tuple[Row, ...]:
        self.ledger.refresh()
        return self.ledger.rows()

    def wish(self, wish: Wish, names: Iterable[str]) -> None:
        self.ledger.wish(wish, names)

    def now(self) -> float:
        return self._client.controller.clock() if self._client else time.time()

    def until(
        self,
        done: Callable[[], bool],
        seconds: float,
        *,
        least: int = 1,
        step: Callable[[Reconciler], None] = Reconciler.end,
    ) -> bool:
        """Whether that comes true in time. least: passes that are made by us in any case. step: such a pass."""
        end, passes = time.monotonic() + seconds, 0
        while True:
            if self._client is None:
                self._take()  # the controller may have gone without doing it
            if self._client is not None:
                step(self._client.controller)
                passes += 1
            if passes >= least or not self.by_us:
                if done():
                    if self._client is not None:
                        step(self._client.controller)  # what has gone may have left its drain
                    return True
                if time.monotonic() >= end:
                    return False
            time.sleep(STEP)

    def trouble(self) -> dict[str, str]:
        """Plugins that can't be used or asked, and why."""
        return {**self.failed, **(self._client.controller.trouble if self._client else {})}

    def _take(self) -> None:
        """Be the one who does it, unless a controller is."""
        if holder(self.place.ledger):
            return
        place = self.place
        client = FluxBurst(self._handle(), settings=place.settings, ledger=place.ledger, lead=place.lead)
        for name in self.plugins:
            try:
                load(client, name, {**place.settings.of(name).parameters, **self._options.get(name, {})})
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are ended
                self.failed[name] = f"plugin {name} can't be used: {error}"
        try:
            ledger = client.controller.ledger
        except HeldError:
            return
        self.ledger.close()
        self._client, self.ledger = client, ledger

    def _handle(self) -> Any:
        try:
            return connect(self.place.lead)
        except FluxBurstError as error:
            self.lead = str(error)
            return AbsentHandle()


def who(carrier: Carrier) -> str:
    """Who does it."""
    if carrier.by_us:
        return "no controller runs, so this does it"
    return f"the controller (process {holder(carrier.place.ledger)}) does it"


def check_names(carrier: Carrier, names: Iterable[str]) -> list[Row]:
    """The open bursts of these names. Raises FluxBurstError for one that is unknown or has ended."""
    from fluxburst.texts import hint

    open_ = {row.name: row for row in carrier.rows()}
    for name in names:
        if name in open_:
            continue
        row = carrier.ledger.row(name)
        if row is not None:
            raise FluxBurstError(f"{name} has ended already ({row.state}: {row.reason})")
        raise FluxBurstError(f"there is no open burst {name!r}; {hint(name, open_)}")
    return [open_[name] for name in dict.fromkeys(names)]
