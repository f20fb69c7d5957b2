"""What plugins can be asked for now: their shapes, within what lead and ledger leave of slots and limits. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf

from fluxburst.lead import slot_hosts
from fluxburst.ledger import Pause, Row
from fluxburst.model import Budget, NodeShape, Offer, amount
from fluxburst.settings import PluginSettings


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger and the lead say at one moment, in seconds since the epoch.

    rows: the bursts that have not ended. spent: (node-hours, cost) of those that have, by plugin. learnt: (cores, GPUs)
    of nodes that were smaller than promised, by (plugin, shape). pauses: those that last. blind: plugins of which it is
    not known what there is, and why. declared: the lead's hosts and their states; real: whether the lead is one that
    runs, where a plugin without declared hosts has no slots.
    """

    now: float
    rows: tuple[Row, ...]
    spent: Mapping[str, tuple[float, float]]
    learnt: Mapping[tuple[str, str], tuple[int, int]]
    pauses: tuple[Pause, ...]
    blind: Mapping[str, str]
    declared: Mapping[str, str]
    real: bool


def narrowed(base: Offer, settings: PluginSettings, books: Books) -> Offer:
    """What is left of an offer. base: as the plugin made it."""
    mine = [row for row in books.rows if row.plugin == base.plugin]
    budget = left(settings.limits, mine, [books.spent.get(base.plugin, (0.0, 0.0))], books.now)
    nodes = max(0, base.max_nodes - sum(len(row.hosts) for row in mine))
    shapes = tuple(_learnt(shape, books.learnt.get((base.plugin, shape.name))) for shape in base.shapes)
    paused, cooling = _paused(base.plugin, shapes, books.pauses)
    return Offer(
        base.plugin,
        shapes,
        base.max_nodes,
        _slots(base.plugin, settings, books),
        replace(budget, nodes=min(budget.nodes, nodes)),
        settings.lease,
        base.paused or books.blind.get(base.plugin, "") or paused,
        cooling,
    )


def left(limits: Budget, rows: Iterable[Row], spent: Iterable[tuple[float, float]], now: float) -> Budget:
    """What is left of limits: each open burst, unknown ones too, counts with all that its lease can come to."""
    held = taken(rows, spent, lambda row: max(row.deadline, now))
    return Budget(
        limits.nodes - held.nodes,
        limits.bursts - held.bursts,
        limits.node_hours - held.node_hours,
        limits.cost - held.cost,
    )


def taken(rows: Iterable[Row], spent: Iterable[tuple[float, float]], until: Callable[[Row], float]) -> Budget:
    """What open bursts take if each lasts `until` then, with what those that have ended have spent."""
    rows, spent = list(rows), list(spent)
    hours = [(row.node_hours(until(row)), row.price) for row in rows]
    return Budget(
        sum(len(row.hosts) for row in rows),
        len(rows),
        sum(one for one, _ in hours) + sum(one for one, _ in spent),
        sum(one * price for one, price in hours) + sum(cost for _, cost in spent),
    )


def pause_text(one: Pause) -> str:
    """Why something is paused, until when, and how to go on."""
    until = "" if one.until == inf else f" until {time.strftime('%H:%M:%S', time.localtime(one.until))}"
    return f"paused{until} ({one.kind}: {one.reason}); to go on now: flux-burst resume {one.plugin}"


def _slots(plugin: str, settings: PluginSettings, books: Books) -> tuple[str, ...] | None:
    """The free slots of a plugin: declared for it in the lead, not up, and no burst has them.

    None where they are not known: a recorded lead that declares none, which is planned for as if it had any.
    """
    named, declared = settings.hosts, books.declared
    hosts = slot_hosts(plugin, declared) if named is None else [host for host in named if host in declared]
    if not hosts and not books.real:
        return None
    used = {host for row in books.rows for host in row.hosts}
    return tuple(host for host in hosts if declared[host] == "down" and host not in used)


def _learnt(shape: NodeShape, found: tuple[int, int] | None) -> NodeShape:
    """A shape with no more cores and GPUs than its nodes turned out to have."""
    if found is None:
        return shape
    from resources import Cores, Gpus

    holds = Cores(min(found[0], amount(shape.holds, "cores")))
    gpus = min(found[1], amount(shape.holds, "gpus"))
    return replace(shape, holds=holds & Gpus(gpus) if gpus else holds)


def _paused(plugin: str, shapes: Iterable[NodeShape], pauses: Iterable[Pause]) -> tuple[str, dict[str, str]]:
    """Why a plugin makes nothing now, and why some shapes of it are not made."""
    whole, some = "", {}
    for one in pauses:
        if one.plugin != plugin:
            continue
        if not one.shape:
            whole = pause_text(one)
        for shape in shapes:
            if (shape.name, shape.place) == (one.shape, one.place):
                some[shape.name] = pause_text(one)
    return whole, some
