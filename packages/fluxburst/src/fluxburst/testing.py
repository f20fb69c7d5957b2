"""The contract of a burstable plugin, for its own tests. Raises AssertionError with what is broken."""

from __future__ import annotations

from dataclasses import fields, replace

from resources.plugins import check_names

from fluxburst.client import FluxBurst
from fluxburst.model import Burst
from fluxburst.parameters import build, click_options
from fluxburst.plugins import REGISTRY, BurstPlugin, offer


def check_burstable(name: str, *, create: bool = False, **values: object) -> BurstPlugin:
    """Load the plugin `name` with these parameters, check it, and return it.

    create: also have it make one node, twice under one name, which must make one burst; leave it out where
    that costs money.
    """
    check_names([name])
    module = REGISTRY.load(name)
    if module.parameters:
        made = build(module.parameters, values)
        again = build(module.parameters, {one.name: getattr(made, one.name) for one in fields(made) if one.init})
        _require(made == again, "its dataclass does not survive the way to options and back")
        click_options(name, module.options())
    plugin = FluxBurst().load(name, **values)
    offered = offer(name, plugin)
    _require(bool(offered.shapes), "it offers no node shape")
    _require(offer(name, plugin) == offered, "its offer changes from one call to the next")
    if create:
        _check_create(plugin, Burst(f"{name}-0", name, offered.shapes[0].name, (f"{name}-0-0",), ("1",)))
    return plugin


def _check_create(plugin: BurstPlugin, burst: Burst) -> None:
    _require(burst.name not in {one.name for one in plugin.status()}, f"{burst.name} is there before it was made")
    for _ in range(2):
        plugin.create(burst)
    found = [one for one in plugin.status() if one.name == burst.name]
    _require(len(found) == 1, f"one name made {len(found)} bursts")
    _require(found[0].state != "planned", "a burst that was made is not 'planned' any more")
    _require(replace(found[0], state="planned") == burst, f"{found[0]} is not what was asked for: {burst}")


def _require(true: bool, what: str) -> None:
    if not true:
        raise AssertionError(what)
