"""What a ledger tells of the bursts of a lead, as a document: for `status --json` and the live table."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from math import inf, isfinite
from typing import Any

from fluxburst.ledger import Ledger, Pause, Row
from fluxburst.model import Budget
from fluxburst.planning.offers import pause_text, taken
from fluxburst.settings import LIMITS, Settings

MOST_FAILURES = 5  # boot failures that are shown
_CONTROLLER = "controller"  # the key under which a controller tells of itself


def controller(ledger: Ledger) -> dict[str, Any]:
    """What the last controller told of itself (`remember`); nothing where there was none."""
    told: dict[str, Any] = json.loads(ledger.meta().get(_CONTROLLER, "{}"))
    return told


def remember(ledger: Ledger, told: Mapping[str, Any]) -> None:
    """Leave in the ledger who controls with what: `plugins`, their `options`, `limits`, `pid`, `host`, `lead` ..."""
    ledger.remember(_CONTROLLER, json.dumps(told))


def report(ledger: Ledger, now: float, up: Collection[str] | None = None) -> dict[str, Any]:
    """Times in seconds since the epoch, ages in seconds, None for what is not known or has no end.

    up: the hosts that are up in the lead, where that is known.
    """
    meta = ledger.meta()
    rows = ledger.rows()
    return {
        "type": "burst-status",
        "version": 1,
        "owner": ledger.owner,
        "at": now,
        "bursts": [burst(row, now, up) for row in rows],
        "pauses": [
            {**asdict(one), "until": one.until if isfinite(one.until) else None, "text": pause_text(one)}
            for one in pauses(ledger, now)
        ],
        "boot_failures": list(_failures(ledger)),
        "strays": [{"name": one.name, "plugin": one.plugin, "since": one.first, "seen": one.times} for one in
                   ledger.strays()],
        "limits": list(_limits(controller(ledger).get("limits", {}), rows, ledger.spent(), now)),
        "learnt": [
            {"plugin": plugin, "shape": shape, "cores": cores, "gpus": gpus}
            for (plugin, shape), (cores, gpus) in ledger.learnt().items()
        ],
        "wishes": [{"wish": wish, "name": name} for _, wish, name in ledger.wishes()],
        "plan": json.loads(meta["plan"]) if "plan" in meta else None,
    }  # fmt: skip


def pauses(ledger: Ledger, now: float) -> list[Pause]:
    """Those that have not run out."""
    return [one for one in ledger.pauses() if one.until > now]


def burst(row: Row, now: float, up: Collection[str] | None = None) -> dict[str, Any]:
    """One burst. joined: how many of its hosts are in the lead. age, node_hours, cost: until now, or its end."""
    hours = row.node_hours(now)
    if up is not None:
        joined: int | None = sum(host in up for host in row.hosts)
    elif row.state in {"planned", "creating", "gone", "failed"}:
        joined = 0
    else:
        joined = len(row.hosts) - len(row.missing) if row.joined else None
    return {
        "name": row.name,
        "plugin": row.plugin,
        "shape": row.shape,
        "state": row.state,
        "nodes": len(row.hosts),
        "joined": joined,
        "hosts": list(row.hosts),
        "missing": list(row.missing),
        "jobs": list(row.jobs),
        "id": row.id,
        "namespace": row.namespace,
        "planned": row.planned,
        "asked": row.asked or None,
        "ended": row.ended or None,
        "deadline": row.deadline or None,
        "age": max(0.0, (row.ended or now) - row.planned),
        "left": max(0.0, row.deadline - now) if row.deadline and not row.closed else None,
        "node_hours": hours,
        "cost": hours * row.price,
        "reason": row.reason,
    }


def limits(settings: Settings, most: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """The limits that there are, overall ("") and by plugin. most: nodes that each plugin makes at most."""
    found = {"": _finite(settings.limits)}
    for name, count in most.items():
        mine = _finite(settings.of(name).limits)
        found[name] = {**mine, "nodes": min(mine.get("nodes", inf), count)}
    return found


def _finite(budget: Budget) -> dict[str, float]:
    return {key: value for key, value in asdict(budget).items() if isfinite(value)}


def _limits(
    found: Mapping[str, Mapping[str, float]],
    rows: Collection[Row],
    spent: Mapping[str, tuple[float, float]],
    now: float,
) -> Iterator[dict[str, Any]]:
    """What is used of each, and what is held: what the open bursts come to if they last as long as their leases."""
    for plugin in ["", *sorted({*found, *spent, *(row.plugin for row in rows)} - {""})]:
        mine = [row for row in rows if plugin in ("", row.plugin)]
        past = [amounts for name, amounts in spent.items() if plugin in ("", name)]
        used = taken(mine, past, lambda row: now)
        held = taken(mine, past, lambda row: max(row.deadline, now))
        for what in LIMITS:
            limit = found.get(plugin, {}).get(what)
            yield {
                "plugin": plugin or None,
                "what": what,
                "limit": limit,
                "used": getattr(used, what),
                "held": getattr(held, what),
            }


def _failures(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """The latest bursts of which not all brokers joined. over: all of a later one of that shape did."""
    latest = ledger.history(200)
    found = [row for row in latest if row.output or "boot failed" in (row.failure or row.reason)]
    names = {row.name for row in found}
    whole = [one for one in latest if one.joined and one.name not in names]
    for row in found[:MOST_FAILURES]:
        at = row.ended or row.joined or row.ending or row.planned
        yield {
            "name": row.name,
            "plugin": row.plugin,
            "shape": row.shape,
            "state": row.state,
            "at": at,
            "over": any(one.joined > at and (one.plugin, one.shape) == (row.plugin, row.shape) for one in whole),
            "reason": row.failure or row.reason,
            "output": row.output,
        }
