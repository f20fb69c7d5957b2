"""Worlds in which nothing goes wrong but what a test does."""

from __future__ import annotations

from fluxburst.ledger import Row
from fluxburst.model import Budget
from simulation.world import Chance, World, settings


def world(*plugins: str, chance: Chance | None = None, limits: Budget | None = None, **durations: int) -> World:
    each = dict.fromkeys(plugins or ("one",), Budget())
    return World(1, chance or Chance(), settings(limits or Budget(), each, **durations))


def run(a: World, steps: int, seconds: float = 10.0) -> None:
    for _ in range(steps):
        a.advance(seconds)
        a.step()
        a.check()


def rows(a: World) -> tuple[Row, ...]:
    return a.controller.ledger.rows()
