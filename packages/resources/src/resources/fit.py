"""Does a request fit an inventory: once, or several times at once."""

from __future__ import annotations

from resources.answer import Answer
from resources.documents import Inventory
from resources.errors import Unavailable
from resources.pool import Pool
from resources.resource import Resource
from resources.units import count as number


def fit(need: Resource, inventory: Inventory, count: int = 1) -> Answer:
    """Whether `count` copies of a request fit an inventory at the same time.

    The answer's `fits` says how many do; its placement is that of the first copy. Its verdict is
    INCOMPATIBLE where so many can never fit at once, even with nothing else running.
    """
    count = number(count, "count", least=1)
    pool = Pool.from_inventory(inventory)
    first = pool.explain(need)
    if not first:
        return first._replace(copies=count)
    fits = _copies(pool, need, count)
    if fits == count:
        return first._replace(copies=count, fits=fits)
    why = pool.explain(need)
    empty = Pool([(group.hosts, group.total) for group in inventory.groups], shared=inventory.shared_total)
    most = _copies(empty, need, count)
    verdict = why.verdict if most == count else "INCOMPATIBLE"
    opening = f"{fits} of {count} fit now" if most == count else f"{most} of {count} can ever fit at once, {fits} now"
    return why._replace(verdict=verdict, reason=f"{opening}; the next {why.reason}", copies=count, fits=fits)


def _copies(pool: Pool, need: Resource, most: int) -> int:
    """How many of at most `most` copies fit at once."""
    for fits in range(most):
        try:
            pool.alloc(need)
        except Unavailable:
            return fits
    return most
