"""10,000 schedules of crashes, failures, delays, lost answers and clock jumps: nothing twice, nothing left over.

A failure names its seed: `BURST_SEED=n pytest ...` runs that one alone; BURST_SEEDS sets how many there are.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from simulation.world import SECRET, Chance, World, settings

from fluxburst import plugins
from fluxburst.model import Budget

SEEDS = int(os.environ.get("BURST_SEEDS", "10000"))
PARTS = 10


def schedule(seed: int) -> None:
    """One life: demand comes and goes while things go wrong; then all is well again, and everything must end."""
    roll = random.Random(f"shape of {seed}")
    pick = roll.choice
    chance = Chance(
        kill=pick((0, 0, 2, 10)),
        refuse=pick((0, 0, 20, 60)),
        lose=pick((0, 0, 10, 50)),
        blind=pick((0, 0, 10, 40)),
        boot=pick((0, 0, 20, 80)),
        preempt=pick((0, 0, 1, 5)),
        jump=pick((0, 0, 0, 3)),
        lead=pick((0, 0, 5)),
        bug=pick((0, 0, 0, 10)),
        slow=pick((0, 0, 20)),
    )
    limits = Budget(nodes=pick((2, 5, 8)), bursts=pick((1, 3, 9)), node_hours=pick((6.0, 40.0)), cost=pick((9.0, 90.0)))
    each = {name: Budget(nodes=pick((2, 4, 6))) for name in ("one", "two")}
    world = World(seed, chance, settings(limits, each))
    world.lead.drain(["one5"], "somebody else's")
    for _ in range(roll.randrange(8, 24)):
        if roll.random() < 0.4:
            for _ in range(roll.randrange(1, 3)):
                world.submit(roll.randrange(1, 6), roll.choice((20.0, 200.0, 1000.0)))
        if roll.random() < 0.1:
            world.cancel_pending()
        world.advance(roll.choice((3.0, 8.0, 30.0, 90.0)))
        world.step()
        world.check()
    if not chance.jump:
        assert world.spent() <= limits.node_hours, "too many node-hours"
    end(world, limits)
    assert SECRET not in world.told()
    assert world.lead.drains() == {"one5": "somebody else's"}


def end(world: World, limits: Budget) -> None:
    """No more demand, and nothing goes wrong any more: in a bounded time nothing is left."""
    world.chance.__init__()  # type: ignore[misc]
    world.cancel_pending()
    for step in range(60):
        world.advance(20.0 if step < 20 else 120.0)
        world.step()
        world.check()
        if not world.alive() and not world.controller.ledger.rows() and not world.lead.running:
            break
    left = [(row.name, row.state, row.reason) for row in world.controller.ledger.rows()]
    assert not left, f"the ledger does not close: {left}"
    assert not world.alive(), f"left behind: {[thing.burst.name for thing in world.alive()]}"
    for _ in range(3):
        world.advance(30.0)
        world.step()


class InPlace:
    """Stands for the thread in which a plugin is asked: nothing hangs in virtual time, and threads cost a third."""

    def __init__(self, target: Callable[[], None], daemon: bool) -> None:
        self.start = target

    def join(self, timeout: float) -> None: ...

    def is_alive(self) -> bool:
        return False


@pytest.fixture(autouse=True)
def in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "Thread", InPlace)


@pytest.mark.parametrize("part", range(0, PARTS, 2))
class TestEvenParts:  # classes, so that both can run side by side (pytest-xdist's loadscope)
    def test_whatever_happens_nothing_is_made_twice_and_nothing_is_left(self, part: int) -> None:
        whatever_happens(part)


@pytest.mark.parametrize("part", range(1, PARTS, 2))
class TestOddParts:
    def test_whatever_happens_nothing_is_made_twice_and_nothing_is_left(self, part: int) -> None:
        whatever_happens(part)


def whatever_happens(part: int) -> None:
    one = os.environ.get("BURST_SEED")
    seeds = [int(one)] if one else range(part * SEEDS // PARTS, (part + 1) * SEEDS // PARTS)
    for seed in seeds:
        try:
            schedule(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}: BURST_SEED={seed} repeats it")
            raise
