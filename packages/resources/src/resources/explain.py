"""Why a request does not fit a pool: what is short, by how much, on which best host, and whether it ever can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.answer import Answer, Place, Shortage
from resources.errors import InputError
from resources.idset import ids_of
from resources.placement import most, place
from resources.resource import Resource, combine, refusal
from resources.shape import multiplied
from resources.shortage import shortage, shortages

if TYPE_CHECKING:
    from resources.pool import Pool
    from resources.shape import Shape


def explain(pool: Pool, shape: Shape) -> Answer:
    """The answer for one request."""
    softT = pool._limits(shape).softT
    chosen = place(pool, shape, softT)
    if chosen is not None:
        where = tuple(Place(pool.names[host], pool.ranks[host], tasks) for host, tasks in chosen)
        return Answer("READY", _ready(where), placement=where, fits=1)
    if shape.impossible:
        return Answer(
            "INCOMPATIBLE", f"can never fit: {shape.impossible}", (Shortage("refused", 1, 0, shape.impossible),)
        )
    if ever(pool, shape):
        verdict = "UNKNOWN" if pool.unknown else "BUSY"
        short, host = _short_now(pool, shape, softT)
        opening = "does not fit now"
        if pool.unknown:
            opening = (
                f"may fit: {pool.unknown.bit_count()} hosts do not say what is free; on the others it does not fit now"
            )
    else:
        verdict, opening = "INCOMPATIBLE", "can never fit"
        short, host = _short_ever(pool, shape)
    where_ = f" on {host}, the best host" if host else ""
    return Answer(verdict, f"{opening}: {'; '.join(map(str, short))}{where_}", tuple(short), host)  # type: ignore[arg-type]


def ever(pool: Pool, shape: Shape) -> bool:
    """Whether it fits the pool's totals: all hosts up and nothing else running."""
    if shape.impossible or (shape.licenses is not None and refusal(pool.shared.fresh, shape.licenses)):
        return False
    return _capacity(pool, shape) >= (_places(shape)[1])


def _places(shape: Shape) -> tuple[str, int]:
    """What is counted to see whether there are enough places, and how many are needed."""
    if shape.tasks > 1 and not shape.nodes:
        return "tasks", shape.tasks
    return "hosts", shape.nodes or 1


def _capacity(pool: Pool, shape: Shape) -> int:
    """How many of the places that are needed the totals hold."""
    if shape.tasks > 1 and shape.nodes > 1:
        fewer, extra = divmod(shape.tasks, shape.nodes)
        if _hosts_for(pool, shape, fewer + 1) < extra:
            return _hosts_for(pool, shape, fewer + 1)
        return _hosts_for(pool, shape, fewer)
    if _places(shape)[0] == "hosts":
        return _hosts_for(pool, shape, shape.each)
    return sum(hosts.bit_count() * _most_of(pool, provider, shape) for provider, hosts in pool.providers)


def _hosts_for(pool: Pool, shape: Shape, tasks: int) -> int:
    return sum(hosts.bit_count() for provider, hosts in pool.providers if _holds(pool, provider, shape, tasks))


def _holds(pool: Pool, provider: Resource, shape: Shape, tasks: int) -> bool:
    try:
        return refusal(provider, _on_host(pool, shape, tasks)) is None
    except InputError:  # so many tasks that no integer of a scheduler holds the amount
        return False


def _on_host(pool: Pool, shape: Shape, tasks: int) -> Resource:
    """What so many tasks need of a host, its time included."""
    limit = [leaf for leaf in pool._limits(shape).job.leaves if leaf.kind == "walltime"]
    return combine([*multiplied(shape.base, tasks).leaves, *limit])


def _most_of(pool: Pool, provider: Resource, shape: Shape) -> int:
    """How many tasks the total of a host holds."""
    low, high = 0, shape.tasks
    while low < high:
        middle = (low + high + 1) // 2
        if _holds(pool, provider, shape, middle):
            low = middle
        else:
            high = middle - 1
    return low


def _ready(where: tuple[Place, ...]) -> str:
    hosts = [place.host for place in where]
    return f"fits now on {hosts[0]}" if len(hosts) == 1 else f"fits now on {len(hosts)} hosts, {hosts[0]} first"


def _short_now(pool: Pool, shape: Shape, softT: int | None) -> tuple[list[Shortage], str]:
    """What is short of what is free."""
    short: list[Shortage] = []
    if shape.licenses is not None and not pool.shared.request(shape.licenses):
        short.append(shortage(pool.shared.get("licenses"), shape.licenses))
    tasks = shape.each if shape.nodes <= 1 or shape.tasks <= 1 else -(-shape.tasks // shape.nodes)
    unit = shape.times(pool, tasks)
    usable = pool.up & pool.in_time(softT)
    fitting = ids_of(unit.all_of(pool, unit.likely(pool) & usable))
    what, needed = _places(shape)
    if what == "tasks":
        have = sum(most(pool, shape, host, shape.tasks) for host in fitting)
    else:
        have = len(fitting)
    if needed > 1 and have < needed:
        short.append(Shortage(what, needed, have))
    elif have >= needed:
        return short, ""
    rest = usable & unit.static & ~sum(1 << host for host in fitting)
    if not rest:
        if not short or needed == 1:
            away = (pool.all & ~pool.up & unit.static).bit_count()
            short.append(Shortage("hosts", 1, 0, f"no host is up that can hold it ({away} that could are not)"))
        return short, ""
    host = min(ids_of(rest), key=lambda at: _distance(pool, shape, at))
    need = _on_host(pool, shape, tasks)
    return short + shortages(pool.free_on(host), need), pool.names[host]


def _distance(pool: Pool, shape: Shape, host: int) -> tuple[int, float]:
    """How far a host is from what is needed: kinds that are short, then the largest share that is missing."""
    missing = [
        (number - counter.free[host]) / number for counter, number in shape.unit.counts if counter.free[host] < number
    ]
    return len(missing), max(missing, default=0.0)


def _short_ever(pool: Pool, shape: Shape) -> tuple[list[Shortage], str]:
    """What is short of the totals."""
    short: list[Shortage] = []
    if shape.licenses is not None and refusal(pool.shared.fresh, shape.licenses):
        short.append(shortage(pool.shared.fresh.get("licenses"), shape.licenses))
    what, needed = _places(shape)
    have = _capacity(pool, shape)
    if have >= needed:
        return short, ""
    if needed > 1:
        short.append(Shortage(what, needed, have))
    tasks = -(-shape.tasks // shape.nodes) if shape.nodes > 1 and shape.tasks > 1 else shape.each
    need = _on_host(pool, shape, tasks)
    closest = min(
        ((shortages(provider, need), hosts) for provider, hosts in pool.providers if refusal(provider, need)),
        key=lambda row: (len(row[0]), max((s.short / max(s.needed, 1) for s in row[0]), default=0.0)),
        default=None,
    )
    if closest is None:
        return short, ""
    first = (closest[1] & -closest[1]).bit_length() - 1
    return short + closest[0], pool.names[first]
