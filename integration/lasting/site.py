"""An engine, as all of them are here: what runs on it, what of it can be killed, and how it is left."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence

from lasting.house import Act, House, Kept
from lasting.loads import Load, RunLoad

PATIENCE = 120.0  # seconds for an engine to come up
KINDS = (signal.SIGKILL, signal.SIGTERM)


class Site:
    """One engine. touched: when it was killed last (monotonic); wiped: so that it lost what it knew last."""

    name = ""

    def __init__(self, house: House) -> None:
        self.house = house
        self.loads: list[Load] = []
        self.touched = self.wiped = float("-inf")

    def acts(self) -> list[Act]:
        return [act for load in self.loads if isinstance(load, RunLoad) for act in load.acts()]

    def kept(self) -> Sequence[Kept]:
        """What is kept going of it, other than its loads."""
        return ()

    def tick(self) -> None:
        for one in self.kept():
            self.ended(one, one.killed, one.tick())

    def ended(self, one: Kept, killed: str, code: int | None) -> None:
        if code is not None and not killed:
            line = (one.said.strip().splitlines() or ["nothing"])[-1]
            self.house.notes[f"{self.name}: {one.name} ended by itself with {code}: {line[:120]}"] += 1
        if code is not None and ("Traceback" in one.said or code == 70):
            self.house.find(f"{one.name} ended with {code}: {one.said[-400:]}")

    def taken(self, since: float) -> bool:
        return self.touched >= since

    def forgot(self, since: float) -> bool:
        return self.wiped >= since

    def engine(self, kill: Callable[[], bool], *, wipes: bool = False) -> Callable[[], bool]:
        """The same, noting that the engine was touched. wipes: it then knows what it had saved, and no more."""

        def do() -> bool:
            done = kill()
            if done:
                self.touched = time.monotonic()
                self.wiped = self.touched if wipes else self.wiped
            return done

        return do

    def rest(self) -> None:
        """Look at what is left when the loads have ended."""

    def close(self) -> None:
        for one in self.kept():
            one.end()


def missing(*modules: str) -> str:
    from importlib.util import find_spec

    return ", ".join(module for module in modules if find_spec(module) is None)
