"""Choose the hosts of a request: one, N, or as many as its tasks need."""

from __future__ import annotations

from collections.abc import Callable
from heapq import nsmallest
from typing import TYPE_CHECKING, NamedTuple

from resources.errors import InputError
from resources.idset import ids_of

if TYPE_CHECKING:
    from resources.pool import Pool
    from resources.resource import Resource
    from resources.shape import Shape, Unit


class Limits(NamedTuple):
    """Hard and soft time limit in seconds (None: no limit), and what is granted to the job as a whole."""

    T: int | None
    softT: int | None
    job: Resource


def place(pool: Pool, shape: Shape, softT: int | None) -> list[tuple[int, int]] | None:
    """(host, tasks) for each host, or None where it does not fit now."""
    if shape.impossible or (shape.licenses is not None and not pool.shared.request(shape.licenses)):
        return None
    hosts = pool.in_time(softT)
    if shape.tasks > 1 and shape.nodes != 1:
        return _spread(pool, shape, hosts) if shape.nodes else _scatter(pool, shape, hosts)
    chosen = _pick(pool, shape.unit, hosts, shape.nodes or 1)
    return None if chosen is None else [(host, shape.each) for host in sorted(chosen)]


def _pick(pool: Pool, unit: Unit, hosts: int, n: int) -> list[int] | None:
    """n different hosts that fit, by the pool's policy; None where there are fewer."""
    bits = unit.likely(pool) & hosts
    if n == 1 and pool.first_fit:
        host = unit.first(pool, bits)
        return None if host < 0 else [host]
    fitting = ids_of(unit.all_of(pool, bits))
    if len(fitting) < n:
        return None
    return fitting[:n] if pool.first_fit else best(pool, unit, fitting, n)


def best(pool: Pool, unit: Unit, hosts: list[int], n: int) -> list[int]:
    """The n hosts that have the least free of the request's first kind, then of the next."""
    columns = [column for column, _ in unit.takes]
    others = [pool.custom[leaf.kind] for leaf in unit.custom]

    def left(host: int) -> tuple[list[int], int]:
        return [column.left(host) for column in columns] + [kept[host]._stat()[0] for kept in others], host

    return nsmallest(n, hosts, key=left)


def _spread(pool: Pool, shape: Shape, hosts: int) -> list[tuple[int, int]] | None:
    """Tasks spread evenly over a number of hosts: some take one task more."""
    fewer, extra = divmod(shape.tasks, shape.nodes)
    chosen: list[tuple[int, int]] = []
    for n, tasks in ((extra, fewer + 1), (shape.nodes - extra, fewer)):
        if n:
            picked = _pick(pool, shape.times(pool, tasks), hosts, n)
            if picked is None:
                return None
            chosen += [(host, tasks) for host in picked]
            hosts &= ~sum(1 << host for host in picked)
    return sorted(chosen)


def _scatter(pool: Pool, shape: Shape, hosts: int) -> list[tuple[int, int]] | None:
    """Tasks placed freely: each host in turn takes as many as it holds."""
    unit = shape.times(pool, 1)
    fitting = ids_of(unit.all_of(pool, unit.likely(pool) & hosts))
    if not pool.first_fit:
        fitting = best(pool, unit, fitting, len(fitting))
    chosen: list[tuple[int, int]] = []
    left = shape.tasks
    for host in fitting:
        tasks = most(pool, shape, host, left)
        chosen.append((host, tasks))
        left -= tasks
        if not left:
            return sorted(chosen)
    return None


def most(pool: Pool, shape: Shape, host: int, limit: int) -> int:
    """How many tasks, at most `limit`, fit on a host where one does."""
    unit = shape.times(pool, 1)
    tasks = min([limit, *(counter.free[host] // number for counter, number in unit.counts if number)])
    if not unit.custom:
        return tasks
    # One fits; custom kinds only say yes or no to more.
    return largest(1, tasks, lambda number: _takes(pool, shape, host, number))


def largest(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The largest number from `low`, which holds, to `high` that holds; above one that does not, none does."""
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _takes(pool: Pool, shape: Shape, host: int, tasks: int) -> bool:
    try:
        return shape.times(pool, tasks).fits(pool, host)
    except InputError:  # more than the kind can say
        return False
