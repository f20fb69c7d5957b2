"""The controller: observe, decide, act, again and again. Each step is in the ledger before it is taken.

Killed at any moment and started again it goes on: what the ledger says was asked for is looked for at the provider by
its name, never asked for twice under another, and what is left over ends.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any

from resources.documents import Inventory

from fluxburst.decide import COMING, DRAIN_MARK, IDLE, Change, Destroy, Drain, Look, Undrain, decide, is_over, pause
from fluxburst.errors import CapacityError, FluxBurstError, HandleError, ProviderError, UncertainError
from fluxburst.handles import Handle
from fluxburst.jobs import Job
from fluxburst.ledger import Ledger, Pause, Row, Stray
from fluxburst.model import (
    NO_LIMIT,
    Burst,
    NodeShape,
    Observed,
    Offer,
    Plan,
    Policy,
    Selector,
    Sighting,
    amount,
)
from fluxburst.planning.offers import Books, left, narrowed
from fluxburst.planning.planner import plan
from fluxburst.plugins import BurstPlugin, bounded, offer, sightings
from fluxburst.selection import in_order, is_burstable
from fluxburst.settings import Settings
from fluxburst.texts import count

Ordering = Callable[[Mapping[str, BurstPlugin]], Iterable[tuple[str, BurstPlugin]]]

BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine sleeps, too
MOST_ROUNDS = 50  # plans in one pass: one more for each shape that turns out to have no capacity
OFFERS_LAST = 300.0  # seconds for which the shapes of a plugin count as known
MOST_REASONS = 20  # refusals that the ledger keeps of the last plan


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did. plan: None where nothing that it depends on had changed.

    created: bursts that plugins took on; failed: those that they did not, with the reason. trouble: what plugins that
    could not be asked said, by name.
    """

    plan: Plan | None
    created: tuple[Burst, ...]
    failed: tuple[tuple[Burst, str], ...]
    trouble: Mapping[str, str]


@dataclass(slots=True)
class _Asked:
    """A plugin's last answer. at: when it was asked, fresh: in this pass; what went wrong, "" if nothing."""

    at: float = -inf
    fresh: bool = False
    found: Mapping[str, Sighting] | None = None
    trouble: str = ""
    offer: Offer | None = None
    offered: float = -inf


class Reconciler:
    """One controller of one lead; it does nothing but in `step`. clock: seconds since the epoch."""

    def __init__(
        self,
        handle: Handle,
        plugins: Mapping[str, BurstPlugin],
        ledger: Ledger,
        settings: Settings,
        *,
        selector: Selector = is_burstable,
        ordering: Ordering = in_order,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.handle, self.plugins, self.ledger, self.settings = handle, plugins, ledger, settings
        self.selector, self.ordering, self.clock = selector, ordering, clock or steady_clock()
        self._started = self.clock()
        self.tidy = False  # whether the last look was without bursts, so that none has left a drain
        for plugin in plugins.values():
            plugin.clock = self.clock  # deadlines are told to it and by it in one time
        self._asked: defaultdict[str, _Asked] = defaultdict(_Asked)
        self._plan: Plan | None = None
        self._planned_for: tuple[Any, ...] = ()
        self._plan_until = -inf
        self._ids: tuple[Sequence[Job], frozenset[str]] = ((), frozenset())
        self._hosts: tuple[Inventory | None, frozenset[str], frozenset[str]] = (None, frozenset(), frozenset())

    def use(self, settings: Settings) -> None:
        """Go on with other settings; what a plan depends on has changed."""
        self.settings, self._planned_for = settings, ()

    def step(self) -> Pass:
        """One pass. Raises HandleError where the lead can't be asked, and LedgerError; then nothing was done."""
        self._fulfil()
        now = self.clock()
        drains = self._drains()  # first: what is idle after a drain stays so
        jobs, inventory = self.handle.jobs(), self.handle.inventory()
        self._ask(now)
        self._act(decide(self._look(now, jobs, inventory, drains), self.settings), now)
        self._reap(now)
        return self._grow(now, jobs, inventory)

    def end(self) -> None:
        """A pass that only ends: what is wished for, drains, is being deleted or over, and what bears our mark unknown.

        Nothing is planned or made, and a lead that can't be asked is done without.
        """
        try:
            drains = self._drains()
            inventory = self.handle.inventory()
        except HandleError:
            inventory, drains = None, None
        self._states(inventory)
        self._fulfil()
        now = self.clock()
        self._ask(now, self.settings.interval)
        look = self._look(now, (), inventory, drains)
        self._act(decide(replace(look, rows=tuple(row for row in look.rows if is_over(row, look))), self.settings), now)
        self._reap(now)

    def collect(self, *, remove: bool) -> None:
        """A look at what bears our mark and is in no ledger; remove: end what may be ended. No lead is needed."""
        now = self.clock()
        self._ask(now, self.settings.interval)
        self._reap(now, remove=remove)

    @property
    def up(self) -> frozenset[str]:
        """The hosts of the lead that were up at the last look."""
        return self._hosts[1]

    @property
    def trouble(self) -> dict[str, str]:
        """What plugins that could not be asked said, by name."""
        return {name: asked.trouble for name, asked in self._asked.items() if asked.trouble}

    # Observe

    def _look(
        self, now: float, jobs: Sequence[Job], inventory: Inventory | None, drains: Mapping[str, str] | None
    ) -> Look:
        up, busy = self._states(inventory)
        rows = self.ledger.rows()
        self.tidy = not rows
        return Look(
            now,
            rows,
            {name: asked.found for name, asked in self._asked.items() if asked.found is not None},
            {name: plugin.settle for name, plugin in self.plugins.items()},
            up if inventory is not None else None,
            busy,
            drains,
            self.ledger.owner,
            self._started,
            self._pending(jobs),
            self._plan.unused if self._plan else {},
            tuple(self.ledger.pauses()),
        )

    def _pending(self, jobs: Sequence[Job]) -> frozenset[str]:
        if jobs is not self._ids[0]:
            self._ids = (jobs, frozenset(job.id for job in jobs))
        return self._ids[1]

    def _states(self, inventory: Inventory | None) -> tuple[frozenset[str], frozenset[str]]:
        """The hosts of the lead that are up, and those on which something runs, or may run."""
        if inventory is None:
            return frozenset(), frozenset()
        if inventory is not self._hosts[0]:
            there = [group for group in inventory.groups if group.state in {"up", "drained"}]
            up = frozenset(host for group in there for host in group.hosts)
            busy = frozenset(host for group in there if group.free != group.total for host in group.hosts)
            self._hosts = (inventory, up, busy)
        return self._hosts[1:]

    def _ask(self, now: float, idle: float = inf) -> None:
        """Ask each plugin what there is: once for all its bursts, an interval after the last time or later.

        idle: seconds between two looks at a plugin that has nothing, at most.
        """
        known: defaultdict[str, list[Burst]] = defaultdict(list)
        for row in self.ledger.rows():
            known[row.plugin].append(row.burst)
        strays = {stray.plugin for stray in self.ledger.strays()}
        for name, plugin in self.plugins.items():
            asked = self._asked[name]
            asked.fresh = False
            interval = self.settings.interval
            wait = interval if known[name] or name in strays else max(interval, min(idle, self.settings.grace / 4))
            if abs(now - asked.at) < wait:  # a clock that was set back does not stop us
                continue
            asked.at = now
            try:
                asked.found, asked.trouble, asked.fresh = sightings(name, plugin, known[name]), "", True
            except FluxBurstError as error:
                asked.found, asked.trouble = None, str(error)

    # Act

    def _act(self, steps: Iterator[Any], now: float) -> None:
        for step in list(steps):
            match step:
                case Change():
                    row = self.ledger.change(step.row.name, now, **step.values)
                    if row.state == "ready" and step.row.state != "ready":
                        self._joined(row)
                    if row.used and not step.row.used:
                        self.ledger.resume(row.plugin, "")
                case Destroy():
                    self._destroy(step, now)
                case Drain():
                    self._drain(step.row, step.hosts)
                case Undrain():
                    self._quietly(partial(self._live.undrain, step.hosts), now, "the lead does not undrain")
                case Pause():
                    self.ledger.pause(step)

    @property
    def _live(self) -> Any:
        return self.handle

    def _drains(self) -> Mapping[str, str] | None:
        found: Mapping[str, str] | None = self._live.drains() if hasattr(self.handle, "drains") else None
        return found

    def _quietly(self, call: Callable[[], object], now: float, what: str) -> None:
        """What goes wrong here shows again at the next look."""
        try:
            call()
        except HandleError as error:
            self.ledger.note(now, "", f"{what}: {error}")

    def _drain(self, row: Row, hosts: tuple[str, ...]) -> None:
        if hasattr(self.handle, "drain"):
            call = partial(self._live.drain, hosts, f"{DRAIN_MARK}{row.name}")
            self._quietly(call, self.clock(), f"the lead does not drain {', '.join(hosts)}")

    def _destroy(self, step: Destroy, now: float) -> None:
        values = {"state": "deleting", "ending": now, "reason": step.reason, "failure": step.failure}
        row = self.ledger.change(step.row.name, now, **values, output=step.output or step.row.output)
        up = tuple(host for host in row.hosts if host in self._hosts[1])
        if up:
            self._drain(row, up)  # nothing is to be placed on nodes that go
        plugin = self.plugins.get(row.plugin)
        if plugin is None:
            self.ledger.note(now, row.name, f"plugin {row.plugin} is not loaded, so nobody ends it")
            return
        self._ask_end(row.burst, plugin, now)

    def _joined(self, row: Row) -> None:
        """Failures are forgotten, and nodes that turn out smaller than promised are remembered so."""
        self.ledger.resume(row.plugin, "", keep="unused")  # that one until something runs
        self.ledger.resume(row.plugin, row.shape)
        if not hasattr(self.handle, "sizes") or self._hosts[0] is None:
            return
        try:
            found = self._live.sizes([host for host in row.hosts if host not in row.missing])
        except HandleError:
            return
        declared = {host: group.total for group in self._hosts[0].groups for host in group.hosts}
        for host, (cores, gpus) in found.items():
            promised = amount(declared[host], "cores"), amount(declared[host], "gpus")
            if cores < promised[0] or gpus < promised[1]:
                self.ledger.learn(row.plugin, row.shape, cores, gpus)
                what = f"{host} has {cores} cores and {gpus} GPUs; the lead believes {promised[0]} and {promised[1]}"
                self.ledger.note(self.clock(), row.name, f"{what}: no more of {row.shape} is made for such slots")

    def _reap(self, now: float, *, remove: bool = True) -> None:
        """End what bears our mark and is not in the ledger: seen twice, and older than the grace."""
        known = {row.name for row in self.ledger.rows()}
        before = {(stray.plugin, stray.name): stray for stray in self.ledger.strays()}
        for name, asked in self._asked.items():
            if not asked.fresh or asked.found is None:
                continue
            strays = []
            for sighting in asked.found.values():
                if sighting.name in known or sighting.seen == "gone":
                    continue
                old = before.get((name, sighting.name))
                first = min(old.first if old else now, sighting.since or now)
                strays.append(Stray(sighting.name, name, first, now, old.times + 1 if old else 1))
            self.ledger.set_strays(name, strays)
            for stray in strays:
                if remove and stray.times >= 2 and now - stray.first > self.settings.grace:
                    self._remove(stray, asked.found[stray.name], now)

    def _remove(self, stray: Stray, sighting: Sighting, now: float) -> None:
        if sighting.seen != "ending":
            self.ledger.note(now, stray.name, f"it is in no ledger of ours, and bears our mark: {stray.plugin} ends it")
        self._ask_end(Burst(stray.name, stray.plugin, "", (), id=sighting.id), self.plugins[stray.plugin], now)

    def _ask_end(self, burst: Burst, plugin: BurstPlugin, now: float) -> None:
        try:
            bounded(burst.plugin, plugin, "destroy", lambda: plugin.destroy(burst))
        except FluxBurstError as error:
            self.ledger.note(now, burst.name, f"its end could not be asked for, and will be again: {error}")

    def _fulfil(self) -> None:
        """Do what others have asked for by the ledger."""
        now = self.clock()
        rows = {row.name: row for row in self.ledger.rows()}
        for seq, wish, name in self.ledger.wishes():
            row = rows.get(name)
            if wish == "resume":
                self.ledger.resume(name)
            elif wish == "stop":
                self.ledger.pause(Pause(name, "", "", inf, "stopped", "stopped by hand", 0))
            elif wish == "destroy" and row and row.state != "deleting":
                self._destroy(Destroy(row, "ended by hand"), now)
            elif wish == "drain" and row and row.state in {*COMING, "ready"}:
                self.ledger.change(name, now, state="draining", reason="drained by hand")
            self.ledger.fulfilled(seq)

    # Grow

    def _grow(self, now: float, jobs: Sequence[Job], inventory: Inventory | None) -> Pass:
        created: list[Burst] = []
        failed: list[tuple[Burst, str]] = []
        planned: Plan | None = None
        for _ in range(MOST_ROUNDS):
            made = self._planned(now, jobs, inventory)
            planned = made or planned
            if not made or not made.bursts or self._revived(made, now):
                break
            rows = [self._row(burst, now) for burst in made.bursts]
            self.ledger.plan(rows)
            before = len(failed)
            for row in rows:
                if why := self._create(row, now):
                    failed.append((row.burst, why))
                else:
                    created.append(replace(row.burst, state="creating"))
            if len(failed) == before:
                break
        return Pass(planned, tuple(created), tuple(failed), self.trouble)

    def _planned(self, now: float, jobs: Sequence[Job], inventory: Inventory | None) -> Plan | None:
        """A new plan, None where nothing that the last one depended on has changed."""
        stale = any(now - one.offered > OFFERS_LAST for one in self._asked.values() if one.offer is not None)
        seen = self._stopped(), tuple(self.plugins), self._blind(), self._all_coming()
        key = (id(jobs), inventory, *seen, self.ledger.version)
        if self._plan and key == self._planned_for and now < self._plan_until and not stale:
            return None
        self._jobs = jobs  # kept, so that no other object gets its id
        observed, policy = self.situation(now, jobs, inventory)
        made = plan(observed, policy)
        self._plan, self._planned_for = made, ()
        self._plan_until = min([made.due, *(one.until for one in self.ledger.pauses() if one.until > now)])
        self._remember(made)
        if not made.bursts:  # what is to be made may come to nothing, and then has to be planned again
            self._planned_for = (*key[:-1], self.ledger.version)
        return made

    def situation(self, now: float, jobs: Sequence[Job], inventory: Inventory | None) -> tuple[Observed, Policy]:
        """What a plan is made from at this moment."""
        declared = {name: group.state for _, name, group in inventory.hosts()} if inventory is not None else {}
        books = Books(
            now,
            self.ledger.rows(),
            self.ledger.spent(),
            self.ledger.learnt(),
            tuple(one for one in self.ledger.pauses() if one.until > now),
            self._blind(),
            declared,
            hasattr(self.handle, "drain"),
        )
        offers = [
            narrowed(self._offer(name, plugin, now), self.settings.of(name), books)
            for name, plugin in self.ordering(self.plugins)
        ]
        first = self.ledger.next_number
        policy = Policy(
            self.selector,
            tuple(offers),
            self.settings.delay,
            left(self.settings.limits, books.rows, books.spent.values(), now),
            self.settings.rules,
            lambda _, at: self.ledger.name(first + at),
        )
        return Observed(tuple(jobs), inventory, self._all_coming(), now, self._stopped()), policy

    def _offer(self, name: str, plugin: BurstPlugin, now: float) -> Offer:
        """What a plugin offers by itself, asked anew from time to time."""
        asked = self._asked[name]
        if now - asked.offered > OFFERS_LAST or asked.offer is None:
            asked.offered = now
            try:
                asked.offer = offer(name, plugin)
            except FluxBurstError as error:
                asked.trouble = str(error)
                asked.offer = Offer(name, (), 0, paused=f"can't be asked what it has: {error}")
        return asked.offer

    def _stopped(self) -> Mapping[str, str]:
        """Queues of the lead that start no jobs: nodes would not help them."""
        found: Mapping[str, str] = self._live.stopped() if hasattr(self.handle, "stopped") else {}
        return found

    def _all_coming(self) -> tuple[Burst, ...]:
        """The bursts on their way, with the hosts that are there or can still come."""
        return tuple(self._coming(row) for row in self.ledger.rows() if row.state in COMING)

    def _coming(self, row: Row) -> Burst:
        found = self._asked[row.plugin].found
        sighting = found.get(row.name) if found else None
        if sighting is None or sighting.hosts is None:
            return row.burst
        return replace(row.burst, hosts=tuple(host for host in row.hosts if host in sighting.hosts))

    def _blind(self) -> dict[str, str]:
        """Plugins that make nothing, for it is not known what there is, and why: it could come to be too much."""
        found = {
            name: f"it can't be asked what there is: {asked.trouble}"
            for name, asked in self._asked.items()
            if asked.found is None and asked.trouble
        }
        for stray in self.ledger.strays():
            why = f"{stray.plugin} shows {stray.name}, which is in no ledger; it has to go first: flux-burst gc"
            for name in self.plugins if self.settings.limits != NO_LIMIT else (stray.plugin,):
                found.setdefault(name, why)
        return found

    def _row(self, burst: Burst, now: float) -> Row:
        shape = self._shape(burst)
        what = f"{count(burst.nodes, 'node')} of {burst.plugin}/{burst.shape}"
        return Row(
            burst.name,
            burst.plugin,
            burst.shape,
            burst.hosts,
            burst.jobs,
            place=shape.place,
            price=shape.price if shape.price < inf else 0.0,  # not known: then no limit counts it
            namespace=burst.namespace,
            planned=now,
            deadline=burst.deadline,
            reason=f"{what} for {count(len(burst.jobs), 'job')}",
            number=int(burst.name.rpartition("-")[2]),
        )

    def _shape(self, burst: Burst) -> NodeShape:
        offered = self._asked[burst.plugin].offer
        return next(shape for shape in (offered.shapes if offered else ()) if shape.name == burst.shape)

    def _create(self, row: Row, now: float) -> str:
        """Have a plugin make a burst. Why it does not, "" if it does or may."""
        plugin = self.plugins[row.plugin]
        row = self.ledger.change(row.name, now, state="creating", asked=self.clock())
        why = ""
        try:
            bounded(row.plugin, plugin, "create", lambda: plugin.create(row.burst))
        except UncertainError as error:
            self.ledger.note(now, row.name, f"no certain answer; the next looks tell: {error}")
        except ProviderError as error:
            shape, place = (row.shape, row.place) if isinstance(error, CapacityError) else ("", "")
            self._pause(now, row.plugin, error.kind, str(error), shape, place)
            self.ledger.change(
                row.name, now, state="failed", ended=now, asked=0.0, failure=error.kind, reason=str(error)
            )
            return str(error)
        except FluxBurstError as error:  # of a plugin that raises what it should not: it may have made something
            self.ledger.note(now, row.name, str(error))
            self._pause(now, row.plugin, "bug", str(error))
            why = str(error)
        # The call may have taken long, and its provider's listing lags behind the end of it.
        self.ledger.change(row.name, now, asked=self.clock())
        return why

    def _pause(self, now: float, plugin: str, kind: str, reason: str, shape: str = "", place: str = "") -> None:
        self.ledger.pause(pause(self.ledger.pauses(), self.settings, now, plugin, kind, reason, shape, place))

    def _revived(self, made: Plan, now: float) -> bool:
        """Whether bursts that were only draining for being idle are taken back instead of making new ones."""
        wanted = Counter((burst.plugin, burst.shape, burst.namespace) for burst in made.bursts)
        back = [
            row
            for row in self.ledger.rows()
            if row.state == "draining" and row.reason == IDLE and (row.plugin, row.shape, row.namespace) in wanted
        ]
        for row in back:
            self.ledger.change(row.name, now, state="ready", reason="taken back: jobs need it again", idle=0.0)
            drains = self._drains() or {}
            if ours := [host for host in row.hosts if drains.get(host) == f"{DRAIN_MARK}{row.name}"]:
                self._quietly(partial(self._live.undrain, ours), now, "the lead does not undrain")
        return bool(back)

    def _remember(self, made: Plan) -> None:
        """Keep for those who ask what the last plan said of the queue."""
        refused = [why for why in made.explanations if why.outcome == "refused"]
        counts = Counter(id(decision.why) for decision in made.decisions)
        document = {
            "totals": made.totals(),
            "refused": [{"jobs": counts[id(why)], **why.as_dict()} for why in refused[:MOST_REASONS]],
            "notes": list(made.notes),
            "due": made.due if made.due < inf else None,
        }
        self.ledger.remember("plan", json.dumps(document))


def steady_clock() -> Callable[[], float]:
    """Seconds since the epoch as they are now, from here on by a clock that nobody sets."""
    ahead = time.time() - time.clock_gettime(BOOT)
    return lambda: ahead + time.clock_gettime(BOOT)
