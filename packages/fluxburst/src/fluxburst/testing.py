"""The contract of a burstable plugin, for its own tests. Raises AssertionError with what is broken."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields

from resources.plugins import check_names

from fluxburst.client import FluxBurst
from fluxburst.model import Burst
from fluxburst.parameters import build, click_options
from fluxburst.plugins import REGISTRY, BurstPlugin, offer
from fluxburst.settings import Settings


def check_burstable(name: str, *, create: bool = False, **values: object) -> BurstPlugin:
    """Load the plugin `name` with these parameters, check it, and return it.

    create: also have it make one node, twice under one name, which must make one burst, and end it, twice; leave it
    out where that costs money, or needs a lead (use `check_create` and `check_destroy` then).
    """
    check_names([name])
    module = REGISTRY.load(name)
    if module.parameters:
        made = build(module.parameters, values)
        again = build(module.parameters, {one.name: getattr(made, one.name) for one in fields(made) if one.init})
        _require(made == again, "its dataclass does not survive the way to options and back")
        click_options(name, module.options())
    plugin = FluxBurst(settings=Settings()).load(name, **values)
    offered = offer(name, plugin)
    _require(bool(offered.shapes), "it offers no node shape")
    _require(offer(name, plugin) == offered, "its offer changes from one call to the next")
    if create:
        deadline = plugin.clock() + 3600
        burst = Burst(f"{name}-0", name, offered.shapes[0].name, (f"{name}-0-0",), ("1",), deadline=deadline)
        check_create(plugin, burst)
        check_destroy(plugin, burst)
    return plugin


def check_create(plugin: BurstPlugin, burst: Burst) -> None:
    """Have a burst made, twice under its name: one is there then, and everybody who asks is shown it."""
    _require(burst.name not in _names(plugin, ()), f"{burst.name} is there before it was made")
    for _ in range(2):
        plugin.create(burst)
    found = [one for one in plugin.status([burst]) if one.name == burst.name and one.seen != "gone"]
    _require(len(found) == 1, f"one name made {len(found)} bursts")
    _require(found[0].seen in {"pending", "running"}, f"a burst that was just made is {found[0].seen!r}")
    _require(burst.name in _names(plugin, ()), "a burst is shown only to those who know of it")


def check_destroy(plugin: BurstPlugin, burst: Burst, *, patience: float = 60.0) -> None:
    """Have a burst end, twice, and wait (seconds) until the plugin confirms it."""
    for _ in range(2):
        plugin.destroy(burst)
    end = time.monotonic() + patience
    while True:
        seen = {one.name: one.seen for one in plugin.status([burst])}
        if seen.get(burst.name) == "gone":
            return
        _require(time.monotonic() < end, f"{burst.name} is {seen.get(burst.name, 'unknown')}, not gone")
        time.sleep(0.2)


def _names(plugin: BurstPlugin, known: Sequence[Burst]) -> set[str]:
    return {one.name for one in plugin.status(known)}


def _require(true: bool, what: str) -> None:
    if not true:
        raise AssertionError(what)
