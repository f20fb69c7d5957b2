"""Does a request fit an inventory: once, or several times at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from resources.answer import Answer
from resources.documents import Inventory
from resources.errors import InputError, Unavailable
from resources.idset import ids_of
from resources.placement import largest, most
from resources.pool import Pool
from resources.resource import Resource
from resources.units import count as number

if TYPE_CHECKING:
    from resources.shape import Shape

MOST_COPIES = 1_000_000  # copies of a request that asks for nothing would fit for ever


def fit(need: Resource, inventory: Inventory, count: int = 1) -> Answer:
    """Whether `count` copies of a request fit an inventory at the same time.

    The answer's `fits` says how many do; its placement is that of the first copy. Its verdict is
    INCOMPATIBLE where so many can never fit at once, even with nothing else running.
    """
    count = number(count, "count", least=1)
    if count > MOST_COPIES:
        raise InputError(f"count is at most {MOST_COPIES}, not {count}")
    now = time.time()  # stands still meanwhile: a run as long as the hosts' own limit fits
    pool = Pool.from_inventory(inventory, clock=lambda: now)
    first = pool.explain(need)
    if not first:
        return first._replace(copies=count)
    bound = _bound(pool, need, count)
    placed = _placed(pool, need, count)
    # Tasks that do not divide evenly are of two sizes; the bound may then be too high, first fit never is.
    fits = placed if bound is None or _uneven(pool._shape(need)) else bound
    if fits == count:
        return first._replace(copies=count, fits=fits)
    why = pool.explain(need)
    totals = [(group.hosts, group.total) for group in inventory.groups]
    empty = Pool(totals, shared=inventory.shared_total, clock=lambda: now)
    ever = _bound(empty, need, count)
    if ever is None:
        ever = _placed(empty, need, count)
    verdict = why.verdict if ever == count else "INCOMPATIBLE"
    reason = f"{fits} of {count} fit now" if ever == count else f"{ever} of {count} can ever fit at once, {fits} now"
    if placed == fits:
        reason += f"; the next {why.reason}"
    return why._replace(verdict=verdict, reason=reason, copies=count, fits=fits)


def _placed(pool: Pool, need: Resource, limit: int) -> int:
    """Place at most `limit` copies by the pool's policy, and say how many found a place."""
    for fits in range(limit):
        try:
            pool.alloc(need)
        except Unavailable:
            return fits
    return limit


def _bound(pool: Pool, need: Resource, limit: int) -> int | None:
    """How many of at most `limit` copies of a request for several hosts fit at once; None for one host or tasks.

    Which hosts the first copies take matters to the later ones, so that placing them in order proves nothing.
    But a copy takes a host once: k copies fit exactly where the hosts' rooms, each counted up to k, hold k * nodes.
    """
    shape = pool._shape(need)
    if shape.nodes < 2:
        return None
    each = max(shape.tasks // shape.nodes, 1)
    unit = shape.times(pool, each)
    hosts = ids_of(unit.all_of(pool, unit.likely(pool) & pool.in_time(pool._limits(shape).softT)))
    rooms = [most(pool, shape, host, limit * each) // each for host in hosts]
    if shape.licenses is not None:
        own = pool.shared.get("licenses")
        counts = shape.licenses.licenses  # type: ignore[attr-defined]
        limit = min([limit, *(own.free_of(name) // n for name, n in counts.items() if n)])
    return largest(0, limit, lambda copies: sum(min(room, copies) for room in rooms) >= copies * shape.nodes)


def _uneven(shape: Shape) -> bool:
    return bool(shape.tasks and shape.tasks % shape.nodes)
