"""Why a request does not fit a pool: what is short, by how much, on which best host, and whether it ever can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.answer import Answer, Place, Shortage
from resources.errors import InputError
from resources.idset import ids_of
from resources.placement import largest, most, place
from resources.resource import Resource, combine, holds
from resources.shape import multiplied
from resources.shortage import shortage, shortages

if TYPE_CHECKING:
    from resources.pool import Pool
    from resources.shape import Shape, Unit


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
        return _not_now(pool, shape, softT)
    short, host = _short_ever(pool, shape)
    return Answer("INCOMPATIBLE", f"can never fit: {_listed(short, host)}", tuple(short), host)


def _not_now(pool: Pool, shape: Shape, softT: int | None) -> Answer:
    """The answer where the totals hold it: BUSY, or UNKNOWN where what nobody told could make it fit."""
    short, host, have = _short_now(pool, shape, softT)
    holding = _holding(pool, shape, _tasks_on_a_host(shape))
    silent = holding & pool.unknown
    unlicensed = any(each.kind == "licenses" for each in short)
    if have >= _places(shape)[1] and pool.shared_unknown:
        return Answer("UNKNOWN", "may fit: how many of the licenses are free is not known")
    if silent and have + _room(pool, shape, silent) >= _places(shape)[1] and (pool.shared_unknown or not unlicensed):
        hosts = silent.bit_count()
        opening = f"may fit: {hosts} host{'s do' if hosts > 1 else ' does'} not say what is free"
        return Answer(
            "UNKNOWN",
            f"{opening}; on the others it does not fit now: {_listed(short, host)}",
            tuple(short),
            host,
        )
    reason = f"does not fit now: {_listed(short, host)}"
    away = (holding & ~pool.up & ~pool.unknown).bit_count()
    if away and have < _places(shape)[1]:
        reason += f"; {away} host{'s' * (away > 1)} that could take it {'are' if away > 1 else 'is'} not up"
    return Answer("BUSY", reason, tuple(short), host)


def _listed(short: list[Shortage], host: str) -> str:
    return "; ".join(map(str, short)) + (f" on {host}, the best host" if host else "")


def ever(pool: Pool, shape: Shape) -> bool:
    """Whether it fits the pool's totals: all hosts up and nothing else running."""
    if shape.impossible or (shape.licenses is not None and not holds(pool.shared.fresh, shape.licenses)):
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
    return _holding(pool, shape, tasks).bit_count()


def _holding(pool: Pool, shape: Shape, tasks: int) -> int:
    """The hosts whose totals hold so many tasks, as bits."""
    return sum(hosts for provider, hosts in pool.providers if _holds(pool, provider, shape, tasks))


def _room(pool: Pool, shape: Shape, hosts: int) -> int:
    """How many of the places that are needed the totals of some hosts hold; each of them holds one."""
    if _places(shape)[0] == "hosts":
        return hosts.bit_count()
    return sum((own & hosts).bit_count() * _most_of(pool, provider, shape) for provider, own in pool.providers)


def _tasks_on_a_host(shape: Shape) -> int:
    """The most tasks of a spread that one host takes; where they are placed freely, one."""
    return -(-shape.tasks // shape.nodes) if shape.nodes > 1 and shape.tasks > 1 else shape.each


def _holds(pool: Pool, provider: Resource, shape: Shape, tasks: int) -> bool:
    try:
        return holds(provider, _on_host(pool, shape, tasks))
    except InputError:  # so many tasks that no integer of a scheduler holds the amount
        return False


def _on_host(pool: Pool, shape: Shape, tasks: int) -> Resource:
    """What so many tasks need of a host, its time included."""
    limit = [leaf for leaf in pool._limits(shape).job.leaves if leaf.kind == "walltime"]
    return combine([*multiplied(shape.base, tasks).leaves, *limit])


def _most_of(pool: Pool, provider: Resource, shape: Shape) -> int:
    """How many tasks the total of a host holds."""
    return largest(0, shape.tasks, lambda number: _holds(pool, provider, shape, number))


def _ready(where: tuple[Place, ...]) -> str:
    hosts = [place.host for place in where]
    return f"fits now on {hosts[0]}" if len(hosts) == 1 else f"fits now on {len(hosts)} hosts, {hosts[0]} first"


def _short_now(pool: Pool, shape: Shape, softT: int | None) -> tuple[list[Shortage], str, int]:
    """What is short of what is free, on which host, and how many of the places that are needed there are."""
    short: list[Shortage] = []
    if shape.licenses is not None and not pool.shared.request(shape.licenses):
        short.append(shortage(pool.shared.get("licenses"), shape.licenses))
    tasks = _tasks_on_a_host(shape)
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
        return short, "", have
    rest = usable & unit.static & ~sum(1 << host for host in fitting)
    rest = rest & _holding(pool, shape, tasks) or rest  # one that can never hold it is not the best host
    if not rest:
        if needed == 1:
            short.append(Shortage("hosts", 1, 0, "no host is up that can hold it"))
        return short, "", have
    host = min(ids_of(rest), key=lambda at: _distance(pool, unit, at))
    return short + shortages(_now_on(pool, host), _on_host(pool, shape, tasks)), pool.names[host], have


def _now_on(pool: Pool, host: int) -> Resource:
    """A host as a provider of what is free: of kinds of others itself, for only they know what is left of them."""
    others = [kept[host] for kept in pool.custom.values() if host in kept]
    return combine([leaf for leaf in pool.free_on(host).leaves if leaf.kind not in pool.custom] + others)


def _distance(pool: Pool, unit: Unit, host: int) -> tuple[int, float]:
    """How far a host is from what is needed: kinds that are short, then the largest share that is missing."""
    missing = [(number - counter.free[host]) / number for counter, number in unit.counts if counter.free[host] < number]
    missing += [1.0 for leaf in unit.custom if not pool.custom[leaf.kind][host]._request(leaf)]
    return len(missing), max(missing, default=0.0)


def _short_ever(pool: Pool, shape: Shape) -> tuple[list[Shortage], str]:
    """What is short of the totals."""
    short: list[Shortage] = []
    if shape.licenses is not None and not holds(pool.shared.fresh, shape.licenses):
        short.append(shortage(pool.shared.fresh.get("licenses"), shape.licenses))
    what, needed = _places(shape)
    have = _capacity(pool, shape)
    if have >= needed:
        return short, ""
    if needed > 1:
        short.append(Shortage(what, needed, have))
    need = _on_host(pool, shape, _tasks_on_a_host(shape))
    closest = min(
        ((shortages(provider, need), hosts) for provider, hosts in pool.providers if not holds(provider, need)),
        key=lambda row: (len(row[0]), max((s.short / max(s.needed, 1) for s in row[0]), default=0.0)),
        default=None,
    )
    if closest is None:
        return short, ""
    first = (closest[1] & -closest[1]).bit_length() - 1
    return short + closest[0], pool.names[first]
