"""The answer to "does this request fit": the verdict, why, and what a hub needs to choose between many such answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from resource_secretary.errors import CommandFailed
from resource_secretary.sidebyside import Outcome, first_line, side_by_side

if TYPE_CHECKING:
    from resources.documents import Group, Inventory
    from resources.resource import Resource

    from resource_secretary.providers import Offering

Verdict = Literal["READY", "BUSY", "INCOMPATIBLE", "UNKNOWN"]
HOST = "host"  # the manager of an answer for this very host
MOST_FITS = 1000  # further copies of a request are not counted
# From the best to the worst for one who wants to run something. That it might fit is better than that it never does.
ORDER: tuple[Verdict, ...] = ("READY", "BUSY", "UNKNOWN", "INCOMPATIBLE")
_FOR_ALL = frozenset({"nodes", "tasks", "walltime"})  # of a request only: layout, and what a host need not limit


@dataclass(frozen=True, slots=True)
class Depth:
    """The queue of a manager: jobs that wait, jobs that run; cores that waiting jobs ask for, None where not told."""

    pending: int
    running: int
    pending_cores: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one secretary says to a request.

    verdict: READY fits now, BUSY fits when others have ended, INCOMPATIBLE never fits, UNKNOWN could not be found out.
    reasons: why it is not READY, one line each. manager: who was asked, such as `slurm`, or `host`. depth: its queue.
    start: when the manager expects such a job to start (RFC 3339, UTC), and wait: seconds until then; both None where
    it doesn't tell. cores, free_cores: of all nodes that are up; None where unknown. fits: how many of such
    requests would fit one after the other on what is free now (1000: or more), None where not READY or not counted.
    observed_at, observed_on: when and from where this was seen. request: what was asked, in its canonical text.
    notes: what else is to be known, such as the managers that were passed over, and why; one line each.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    manager: str
    observed_at: str
    observed_on: str
    depth: Depth | None = None
    start: str | None = None
    wait: float | None = None
    cores: int | None = None
    free_cores: int | None = None
    fits: int | None = None
    request: str = ""
    notes: tuple[str, ...] = ()


def unknown(need: Resource, manager: str, reason: str, observed_at: str, observed_on: str) -> Answer:
    """The answer of one who could not find out."""
    return Answer("UNKNOWN", (reason,), manager, observed_at, observed_on, request=need.text)


def decide(need: Resource, inventory: Inventory, manager: str, *, now: str, where: str) -> Answer:
    """The answer for a request and an inventory: pure, but for the clock of `resources`.

    now, where: when and from where, for an inventory that doesn't say so. What a request asks for and no entry of the
    inventory speaks of (memory, where a manager keeps none) is unknown, not short; but who tells of no GPU has none,
    unless some of this host could not be seen.
    """
    from resources import fit

    seen = (inventory.observed_at or now, inventory.observed_on or where)
    if not inventory.groups:
        return unknown(need, manager, f"{manager} tells of no node", *seen)
    inventory = _away(inventory)
    told, untold = _told(need, inventory, manager)
    found = fit(told, inventory)
    verdict: Verdict = found.verdict
    reasons: tuple[str, ...] = () if found else (found.reason,)
    fits = None
    if untold:
        of = "of this host" if manager == HOST else f"by {manager}"
        reasons += (f"not known {of}: {', '.join(untold)}",)
        verdict = "UNKNOWN" if verdict == "READY" else verdict
    elif found:
        fits = fit(told, inventory, MOST_FITS).fits
    up = [group for group in inventory.groups if group.state == "up"]
    return Answer(
        verdict,
        reasons,
        manager,
        *seen,
        cores=_cores(up, free=False),
        free_cores=_cores(up, free=True),
        fits=fits,
        request=need.text,
    )


def ask_manager(provider: Offering, need: Resource, timeout: float) -> Answer:
    """What a manager says: its nodes and its queue, asked side by side, then when the request would start.

    timeout: the seconds that `provider.system` was given. What it doesn't tell of its queue costs a note and no more.
    Raises as `Offering.inventory` does.
    """
    system = provider.system
    nodes, queue = side_by_side([provider.inventory, provider.depth], system.left())
    if nodes is None:
        raise CommandFailed(provider.name, f"no answer in {timeout:g} s")
    if nodes.error is not None:
        raise nodes.error
    inventory = cast("Inventory", nodes.value)
    answer = decide(need, inventory, provider.name, now=system.now(), where=system.where())
    answer = replace(answer, depth=cast("Depth | None", queue.value if queue else None))
    notes = _failed("its queue", queue, timeout)
    if answer.verdict in ("READY", "BUSY"):
        [start] = side_by_side([lambda: provider.estimated_start(need)], system.left())
        answer = with_start(answer, start.value if start else None, time.time())
        notes += _failed("when it would start", start, timeout)
    return replace(answer, notes=notes)


def _failed(what: str, outcome: Outcome[Any] | None, timeout: float) -> tuple[str, ...]:
    if outcome is None:
        return (f"{what} is not known: no answer in {timeout:g} s",)
    return (f"{what} is not known: {first_line(outcome.error)}",) if outcome.error is not None else ()


def with_start(answer: Answer, start: float | None, now: float) -> Answer:
    """The answer with when such a job would start, in seconds since the epoch; not later than now means now."""
    if start is None:
        return answer
    text = datetime.fromtimestamp(max(start, now), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return replace(answer, start=text, wait=round(max(0.0, start - now), 3))


def best(answers: Sequence[Answer], notes: Sequence[str] = ()) -> Answer:
    """The first of those with the best verdict, with a note for each of the others; there is at least one."""
    chosen = min(answers, key=lambda one: ORDER.index(one.verdict))
    rest = [
        f"{one.manager}: {one.verdict}{': ' * bool(one.reasons)}{'; '.join(one.reasons)}"
        for one in answers
        if one is not chosen
    ]
    return replace(chosen, notes=(*chosen.notes, *rest, *notes))


def _away(inventory: Inventory) -> Inventory:
    """The inventory where nothing is free on hosts that are down or drained: that may be unknown, but none of it is."""
    from resources.resource import ZERO

    groups = [
        replace(group, free=ZERO) if group.free is None and group.state in ("down", "drained") else group
        for group in inventory.groups
    ]
    return replace(inventory, groups=tuple(groups))


def _told(need: Resource, inventory: Inventory, manager: str) -> tuple[Resource, list[str]]:
    """The parts of a request that the inventory speaks of, and the kinds of the others."""
    from resources.resource import combine

    spoken_of = {kind for group in inventory.groups for kind in group.total.kinds}
    spoken_of |= {*inventory.shared_total.kinds, *_FOR_ALL}
    if manager != HOST or "; without " not in inventory.observed_on:  # as `host_inventory` says of GPUs not seen
        spoken_of.add("gpus")
    untold = [leaf.kind for leaf in need.leaves if leaf.kind not in spoken_of and not leaf.asks_nothing]
    return combine([leaf for leaf in need.leaves if leaf.kind not in untold]), untold


def _cores(groups: Sequence[Group], *, free: bool) -> int | None:
    """The cores of all hosts of some groups; None where one of them doesn't tell. A full host has none free."""
    amount = 0
    for group in groups:
        total = group.total.get("cores")
        if total is None or (free and group.free is None):
            return None
        part = group.free.get("cores") if free and group.free is not None else total
        amount += (part.N if part is not None else 0) * len(group.hosts)
    return amount
