"""A controller that goes on: pass after pass until it is told to stop, telling what happened as it happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from math import inf
from threading import Event
from typing import Any

from fluxburst.errors import HandleError, LedgerError
from fluxburst.ledger import Pause
from fluxburst.model import Decision, Plan
from fluxburst.planning.offers import pause_text
from fluxburst.reconcile import Pass, Reconciler
from fluxburst.report import pauses, report

TICK = 1.0  # seconds between two looks at the lead; providers are asked by their own interval
LEAST = 0.1  # seconds between two looks at the lead, where providers may be asked all the time
PATIENCE = 10.0  # seconds that a lead that can't be asked is left alone, at most

Message = dict[str, Any]


class Controller:
    """Steps a reconciler. until_idle: end once no burstable job waits and no burst is left."""

    def __init__(self, reconciler: Reconciler, *, until_idle: bool = False) -> None:
        self.reconciler, self.until_idle = reconciler, until_idle
        self.ledger = reconciler.ledger
        self.stop = Event()
        self._seq = self.ledger.last_event
        self._plan: Plan | None = None
        self._told: dict[str, Any] = {}

    def run(self, tell: Callable[[list[Message], dict[str, Any]], None]) -> str:
        """Go on until `stop` is set ("stopped"), or there is nothing to do: "idle", or "hopeless" where jobs are left
        that can never run. tell: gets what has happened since, and how things are."""
        failures = 0
        while not self.stop.is_set():
            try:
                done = self.reconciler.step()
                messages = [*self._back(), *self.changes(done)]
                failures = 0
            except (HandleError, LedgerError) as error:
                failures += 1
                wait = min(PATIENCE, TICK * 2.0 ** min(failures, 10))
                messages = list(self._lost(str(error), wait))
                if isinstance(error, HandleError):
                    self._end()
            else:
                wait = min(TICK, max(LEAST, float(self.reconciler.settings.interval)))
            tell(messages, self.state())
            if not failures and self.until_idle and (why := self._idle()):
                return why
            self.stop.wait(wait)
        return "stopped"

    def _end(self) -> None:
        """What needs no lead goes on without it: what is to end ends."""
        try:
            self.reconciler.end()
        except LedgerError:
            return  # it shows at the next pass

    def state(self) -> dict[str, Any]:
        """How things are, as `report` tells it, and what is wrong at the moment."""
        now = self.reconciler.clock()
        try:
            document = report(self.ledger, now, self.reconciler.up)
        except LedgerError:
            document = {"at": now}
        return {**document, "trouble": self.reconciler.trouble, "lead": self._told.get("lead", "")}

    def changes(self, done: Pass) -> Iterator[Message]:
        """What a pass changed."""
        self._plan = done.plan or self._plan
        for seq, at, burst, state, note in self.ledger.events_after(self._seq):
            self._seq = seq
            yield {"type": "event", "seq": seq, "time": at, "burst": burst, "state": state, "note": note}
        now = self.reconciler.clock()
        there = {(one.plugin, one.shape, one.place): one for one in pauses(self.ledger, now)}
        for key, one in there.items():
            if self._new(f"pause {key}", (one.until, one.reason)):
                yield {"type": "pause", "time": now, **_pause(one)}
        for gone in [key for key in self._told if key.startswith("pause ")]:
            if gone not in {f"pause {key}" for key in there}:
                del self._told[gone]
        for name in self.reconciler.plugins:
            reason = done.trouble.get(name, "")
            if self._new(f"trouble {name}", reason, ""):
                yield {"type": "trouble", "time": now, "plugin": name, "reason": reason}
        if done.plan is not None:
            document = json.loads(self.ledger.meta()["plan"])
            if self._new("plan", document):
                yield {"type": "queue", "time": now, **document}

    def _new(self, key: str, value: object, before: object = None) -> bool:
        """Whether this has not been told yet."""
        if self._told.get(key, before) == value:
            return False
        self._told[key] = value
        return True

    def _lost(self, reason: str, wait: float) -> Iterator[Message]:
        if self._new("lead", reason):
            yield {"type": "lead", "time": self.reconciler.clock(), "reason": reason, "again": wait}

    def _back(self) -> Iterator[Message]:
        if self._told.pop("lead", None):
            yield {"type": "lead", "time": self.reconciler.clock(), "reason": "", "again": 0.0}

    def _idle(self) -> str:
        """Why there is nothing left to do, "" while there is."""
        if self.ledger.rows() or not self.reconciler.tidy or self._plan is None or self._plan.due < inf:
            return ""
        waiting = [one for one in self._plan.decisions if self._waits(one)]
        if not waiting:
            return "idle"
        stopped = {one.plugin for one in self.ledger.pauses() if one.until == inf and not one.shape}
        hopeless = all(one.outcome == "refused" and one.why.verdict != "BUSY" for one in waiting)
        return "hopeless" if hopeless or stopped >= self.reconciler.plugins.keys() else ""

    def _waits(self, decision: Decision) -> bool:
        """Whether a job is one that nodes may still be made for."""
        if decision.outcome in {"burst", "refused"}:
            return True
        job = decision.job
        return job.state in {"DEPEND", "PRIORITY"} and self.reconciler.selector(job.info)


def _pause(one: Pause) -> dict[str, Any]:
    until = one.until if one.until < inf else None
    return {
        "plugin": one.plugin,
        "shape": one.shape,
        "place": one.place,
        "until": until,
        "kind": one.kind,
        "reason": one.reason,
        "text": pause_text(one),
    }
