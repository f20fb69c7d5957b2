"""A world in virtual time for the controller: a lead, a provider that errs as a seed says, and the truth of both.

One number gives one schedule: crashes of the controller at any call and at any step of the ledger, lost answers,
failures of each kind, late and missing joins, preemption, jumps of the controller's clock.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from resources import Cores

from fluxburst.demand import Demand
from fluxburst.errors import (
    AuthenticationError,
    CapacityError,
    ConfigurationError,
    HandleError,
    QuotaError,
    UncertainError,
)
from fluxburst.handles.fake import FakeHandle
from fluxburst.handles.hosts import Size
from fluxburst.ledger import Ledger
from fluxburst.model import Budget, Burst, NodeShape, Sighting
from fluxburst.plugins import BurstPlugin
from fluxburst.reconcile import Reconciler
from fluxburst.settings import PluginSettings, Settings

SLOTS = 6
CORES = 4
SECRET = "do-not-tell-this"
SETTLE = 20.0
DEFINITE = (CapacityError, QuotaError, AuthenticationError, ConfigurationError)


class Killed(BaseException):
    """The controller is gone, at this very point."""


@dataclass
class Thing:
    """What the provider really has. Times are the world's. joins: when each host joins; those left out never do."""

    burst: Burst
    made: float
    shown: float
    starts: float
    joins: dict[str, float]
    ends: float
    reason: str = ""
    preempted: bool = False
    ending: float = float("inf")


@dataclass
class Chance:
    """How often what goes wrong, of 100."""

    kill: float = 0
    refuse: float = 0
    lose: float = 0
    blind: float = 0
    boot: float = 0
    preempt: float = 0
    jump: float = 0
    lead: float = 0
    bug: float = 0
    slow: float = 0


class World:
    """The truth. now: the world's time. skew: what the clock of this controller is ahead; jump: of the next one."""

    def __init__(self, seed: int, chance: Chance, settings: Settings) -> None:
        self.random = random.Random(seed)
        self.chance, self.settings = chance, settings
        self.now, self.skew, self.jump = 1_000_000.0, 0.0, 0.0
        self.running = False  # whether the controller is in a pass
        self.things: dict[str, Thing] = {}  # of all plugins; those that have ended stay
        self.joined: set[str] = set()
        self.wrong: list[str] = []  # what only a call shows; raised there it would be the plugin's failure
        self.asked: list[str] = []
        self.calls: Counter[str] = Counter()
        self.plugins = {name: Provider(self, name) for name in settings.plugins}
        slots = [f"{plugin}{number}" for plugin in self.plugins for number in range(SLOTS)]
        self.lead = Lead(self, dict.fromkeys(["lead0", *slots], (CORES, 0)))
        ledger = Ledger.open(None, "own")
        self.database = ledger._db
        self.controller = self.restart()

    def clock(self) -> float:
        return self.now + self.skew

    def hits(self, percent: float) -> bool:
        return percent > 0 and self.random.random() * 100 < percent

    # The controller, and its end

    def restart(self) -> Reconciler:
        if self.database.in_transaction:
            self.database.execute("ROLLBACK")
        self.skew = self.jump
        ledger = FrailLedger(None, self.database)
        ledger.world = self
        self.controller = Reconciler(self.lead, dict(self.plugins), ledger, self.settings, clock=self.clock)
        return self.controller

    def step(self) -> None:
        """One pass of the controller, which may be killed in it."""
        if self.hits(self.chance.jump):
            self.jump += self.random.choice((-300.0, 60.0, 900.0))
        self.running = True
        try:
            self.controller.step()
        except HandleError:
            pass
        except Killed:
            self.restart()
        finally:
            self.running = False

    def maybe_kill(self) -> None:
        if self.hits(self.chance.kill):
            raise Killed

    # Time, and what happens in it

    def submit(self, nodes: int, seconds: float) -> str:
        demand = Demand(nodes, 1, CORES, 0)
        return self.lead.submit(demand, seconds, system={"environment": {"TOKEN": SECRET}})

    def cancel_pending(self) -> None:
        for job in self.lead.jobs():
            self.lead.cancel(job.id)

    def advance(self, seconds: float) -> None:
        """Let time pass: what ends ends, what joins joins, and the lead's scheduler starts what it can."""
        self.now += seconds
        for thing in self.alive():
            if thing.starts <= self.now and self.hits(self.chance.preempt):
                thing.ends, thing.reason, thing.preempted = self.now, "the provider took it back", True
        self.settle()

    def settle(self) -> None:
        """Brokers join and leave, as what they run on comes and goes."""
        there = {
            host
            for thing in self.things.values()
            for host, when in thing.joins.items()
            if when <= self.now < min(thing.ends, thing.ending)
        }
        for host in self.joined - there:
            self.lead.leave(host)
        for host in sorted(there - self.joined):
            self.lead.join(host)
        self.joined = there
        self.lead.settle()

    @property
    def busy(self) -> set[str]:
        """Hosts on which a job runs."""
        return {host.name for running in self.lead.running.values() for host in running.holds}

    # What must hold

    def alive(self) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.ends > self.now]

    def check(self) -> None:
        alive = self.alive()
        assert not self.wrong, self.wrong
        assert len(set(self.asked)) == len(self.asked), "a burst was asked for twice"
        hosts = [host for thing in alive for host in thing.burst.hosts]
        assert len(set(hosts)) == len(hosts), f"two bursts have one slot: {hosts}"
        self._within(alive, self.settings.limits, "all")
        for name, one in self.settings.plugins.items():
            self._within([thing for thing in alive if thing.burst.plugin == name], one.limits, name)

    def _within(self, alive: Collection[Thing], limits: Budget, who: str) -> None:
        assert sum(thing.burst.nodes for thing in alive) <= limits.nodes, f"{who}: too many nodes"
        assert len(alive) <= limits.bursts, f"{who}: too many bursts"

    def spent(self) -> float:
        """Node-hours of all that there was."""
        return sum(t.burst.nodes * max(0.0, min(t.ends, self.now) - t.made) / 3600 for t in self.things.values())

    def told(self) -> str:
        """Every text that the ledger holds."""
        return "\n".join(self.database.iterdump())


class FrailLedger(Ledger):
    """A ledger whose process may be killed before and after each commit."""

    world: World

    def _event(self, time: float, burst: str, state: str, note: str) -> None:
        super()._event(time, burst, state, note)
        self.world.maybe_kill()

    def change(self, name: str, now: float, **values: object):  # type: ignore[no-untyped-def]
        row = super().change(name, now, **values)
        self.world.maybe_kill()
        return row


class Lead(FakeHandle):
    """A lead that fails now and then, and whose controller may be killed while it asks."""

    def __init__(self, world: World, hosts: Mapping[str, Size]) -> None:
        self.world = world
        super().__init__(hosts, ["lead0"], clock=lambda: world.now)

    def _answer(self) -> None:
        super()._answer()
        if self.world.running:
            self.world.maybe_kill()
            if self.world.hits(self.world.chance.lead):
                raise HandleError("the lead does not answer")


@dataclass
class Account:
    token: str = SECRET
    max_nodes: int = SLOTS


class Provider(BurstPlugin):
    """What a plugin and its provider do. It makes what it is asked for each time: asking twice would show."""

    settle = SETTLE

    def __init__(self, world: World, name: str) -> None:
        super().__init__(Account())
        self.world, self.name = world, name

    def shapes(self) -> Sequence[NodeShape]:
        return [NodeShape("big", Cores(2 * CORES), 2.0, "a"), NodeShape("fit", Cores(CORES), 1.0, "b")]

    def create(self, burst: Burst) -> None:
        world = self.world
        world.calls["create"] += 1
        world.asked.append(burst.name)
        if world.hits(world.chance.slow):
            world.now += world.random.uniform(0, 5 * SETTLE)
        world.maybe_kill()
        if world.hits(world.chance.refuse):
            raise world.random.choice(DEFINITE)("the provider refuses")
        lost = world.hits(world.chance.lose)
        if lost and world.random.random() < 0.5:
            raise UncertainError("no answer")
        bug = world.hits(world.chance.bug)
        if bug and world.random.random() < 0.5:
            raise RuntimeError("a bug before the request")
        self._make(burst)
        world.maybe_kill()
        if lost:
            raise UncertainError("the answer was lost")
        if bug:
            raise RuntimeError("a bug after the request")

    def _make(self, burst: Burst) -> None:
        world, roll = self.world, self.world.random
        starts = world.now + roll.choice((0.0, 30.0, 300.0))
        joins = {host: starts + roll.uniform(0, 60) for host in burst.hosts if not world.hits(world.chance.boot)}
        ends = world.now + (burst.deadline - world.clock())
        reason = "its lease has ended"
        if not joins and roll.random() < 0.5:
            ends, reason = min(ends, starts + roll.uniform(0, 60)), "the start-up script failed"
        shown = world.now + roll.uniform(0, SETTLE * 0.9)
        world.things[burst.name] = Thing(burst, world.now, shown, starts, joins, ends, reason)

    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        world = self.world
        world.calls["status"] += 1
        world.maybe_kill()
        if world.hits(world.chance.blind):
            raise UncertainError("the provider does not answer")
        found = [
            self._sighting(thing)
            for thing in world.things.values()
            if thing.burst.plugin == self.name and thing.shown <= world.now and thing.ends > world.now
        ]
        names = {one.name for one in found}
        gone = [burst.name for burst in known if burst.name not in names and not world.hits(world.chance.blind)]
        return [*found, *(self._gone(name) for name in gone)]

    def _sighting(self, thing: Thing) -> Sighting:
        seen = (
            "ending" if thing.ending <= self.world.now else "running" if thing.starts <= self.world.now else "pending"
        )
        return Sighting(thing.burst.name, seen, f"id-{thing.burst.name}", thing.made + self.world.skew)  # type: ignore[arg-type]

    def _gone(self, name: str) -> Sighting:
        thing = self.world.things.get(name)
        if thing is None:
            return Sighting(name, "gone")
        return Sighting(name, "gone", reason=thing.reason, preempted=thing.preempted, output="what it printed")

    def destroy(self, burst: Burst) -> None:
        world = self.world
        world.calls["destroy"] += 1
        world.maybe_kill()
        thing = world.things.get(burst.name)
        if world.hits(world.chance.lose) and world.random.random() < 0.5:
            raise UncertainError("no answer")
        if thing is not None and thing.ends > world.now:
            self._check_idle(thing)
            thing.ending = min(thing.ending, world.now)
            thing.ends = min(thing.ends, world.now + world.random.choice((0.0, 10.0, 60.0)))
            thing.reason = ""
            world.settle()
        world.maybe_kill()

    def _check_idle(self, thing: Thing) -> None:
        """Nobody's job is ended but by the end of the lease, or of the provider's."""
        row = self.world.controller.ledger.row(thing.burst.name)
        busy = self.world.busy & set(thing.burst.hosts)
        open_one = row is not None and not row.closed and thing.ending > self.world.now
        if busy and row is not None and open_one and row.reason != "its lease has ended":
            self.world.wrong.append(f"{row.name} was ended with a job on it: {row.reason}")


def settings(limits: Budget, plugins: Mapping[str, Budget], **durations: int) -> Settings:
    """Short durations, as the world's steps are some seconds."""
    times = {
        "interval": 5,
        "delay": 10,
        "idle_timeout": 60,
        "cooldown": 20,
        "start_timeout": 400,
        "join_timeout": 120,
        "lease": 2400,
        "grace": 120,
        "backoff": 20,
        **durations,
    }
    each = {name: PluginSettings(None, times["lease"], times["join_timeout"], one) for name, one in plugins.items()}
    return Settings("own", **times, limits=limits, plugins=each)  # type: ignore[arg-type]
