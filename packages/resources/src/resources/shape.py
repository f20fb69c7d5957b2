"""A request, compiled for one pool: what to take from which column, and where it could ever go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resources.columns import Counter, Level
from resources.errors import InputError
from resources.resource import PLACEMENT, Resource, combine

if TYPE_CHECKING:
    from resources.kinds.walltime import WTime
    from resources.pool import Pool

JOB = frozenset({"licenses", "walltime"})  # of the job as a whole, not of a task or a host


class Unit:
    """What one host must give for so many tasks.

    takes: (column, amount) in the order of the request's kinds. counts: (counter, number) of the same.
    levels: sets of hosts whose `&` holds every host that fits. exact: the counts that their level only
    bounds. static: hosts that have the kinds and bear the tokens. custom: parts of kinds that no column
    counts; each host has a provider of its own for them.
    """

    __slots__ = ("counts", "custom", "exact", "levels", "need", "static", "takes")

    def __init__(self, pool: Pool, need: Resource) -> None:
        self.need = need
        self.takes: list[tuple[Any, Any]] = []
        self.counts: list[tuple[Counter, int]] = []
        self.levels: list[Level] = []
        self.exact: list[tuple[Counter, int]] = []
        self.custom: list[Resource] = []
        for leaf in need.leaves:
            column = pool.columns.get(leaf.kind)
            if column is not None:
                amount = column.amount(leaf)
                self.takes.append((column, amount))
                self.counts += column.counted(amount)
            elif leaf.kind in pool.custom:
                self.custom.append(leaf)
        for counter, number in self.counts:
            level = counter.level(number)
            self.levels.append(level)
            if level.need < number:
                self.exact.append((counter, number))
        if need.get("token") is None and pool.everywhere.issuperset(need.kinds):
            self.static = pool.all
        else:
            self.static = sum(hosts for provider, hosts in pool.providers if could_hold(provider, need))

    def likely(self, pool: Pool) -> int:
        """Hosts among which are all where it fits now, as bits; `fits` tells for each."""
        bits = pool.up & self.static
        for level in self.levels:
            bits &= level.bits
        return bits

    def fits(self, pool: Pool, host: int) -> bool:
        """Whether a likely host has the exact amounts, and its own providers of custom kinds say yes."""
        for counter, number in self.exact:
            if counter.free[host] < number:
                return False
        return all(pool.custom[leaf.kind][host]._request(leaf) for leaf in self.custom)

    def first(self, pool: Pool, bits: int) -> int:
        """The first of some likely hosts where it fits, or -1."""
        while bits:
            low = bits & -bits
            host = low.bit_length() - 1
            if self.fits(pool, host):
                return host
            bits ^= low
        return -1

    def all_of(self, pool: Pool, bits: int) -> int:
        """Those of some likely hosts where it fits, as bits."""
        if not self.exact and not self.custom:
            return bits
        fitting, rest = 0, bits
        while rest:
            low = rest & -rest
            if self.fits(pool, low.bit_length() - 1):
                fitting |= low
            rest ^= low
        return fitting


class Shape:
    """A request compiled for a pool.

    base: what a task (or a host) needs. job: what belongs to the job as a whole. each: tasks on a host where
    one unit is placed per host. impossible: why no host of any pool could take it, or "". plain: one host, and
    nothing but columns to look at.
    """

    __slots__ = (
        "_units", "base", "cores", "each", "impossible", "job", "licenses", "never", "nodes", "plain", "tasks", "time",
        "unit",
    )  # fmt: skip

    def __init__(self, pool: Pool, need: Resource) -> None:
        nodes, tasks = need.get("nodes"), need.get("tasks")
        self.nodes: int = 0 if nodes is None else nodes.N
        self.tasks: int = 0 if tasks is None else tasks.N
        self.time: WTime | None = need.get("walltime")
        self.licenses: Resource | None = need.get("licenses")
        self.job = combine([leaf for leaf in need.leaves if leaf.kind in JOB])
        self.base = combine([leaf for leaf in need.leaves if leaf.kind not in PLACEMENT | JOB])
        self.each = self.tasks if self.nodes == 1 and self.tasks else 1
        self.never: bool | None = None
        self.impossible = ""
        if self.nodes > self.tasks > 0:
            self.impossible = f"{self.tasks} tasks can't be spread over {self.nodes} hosts"
        if need.get("cores") is not None and need.get("threads") is not None:
            self.impossible = "cores and threads are the same silicon: a request names one of them"
        self._units: dict[int, Unit] = {}
        try:
            self.unit = self.times(pool, self.each)
            if self.nodes > 1 and not self.impossible:
                self.times(pool, -(-self.tasks // self.nodes) or 1)  # the most that a host of a spread takes
        except InputError as error:  # so many tasks that no integer of a scheduler holds the amount
            self.impossible, self.each = error.message, 1
            self.unit = self.times(pool, 1)
        kinds = [column.cls.kind for column, _ in self.unit.takes]
        self.cores = kinds.index("cores") if "cores" in kinds else None
        self.plain = (
            pool.first_fit
            and not (pool.timed or self.licenses or self.unit.custom or self.impossible)
            and (self.nodes == 1 or (self.nodes == 0 and self.tasks <= 1))
            and (self.time is None or self.time.group is None)
        )

    def times(self, pool: Pool, tasks: int) -> Unit:
        """The unit for so many tasks on one host. Raises InputError where an amount grows beyond 64 bits."""
        unit = self._units.get(tasks)
        if unit is None:
            unit = self._units[tasks] = Unit(pool, multiplied(self.base, tasks))
        return unit


def multiplied(need: Resource, tasks: int) -> Resource:
    """The amounts of so many tasks."""
    return need if tasks == 1 else combine([leaf._times(tasks) for leaf in need.leaves])


def could_hold(provider: Resource, need: Resource) -> bool:
    """Whether a provider has every kind that is needed, and the tokens."""
    for leaf in need.leaves:
        own = provider.get(leaf.kind)
        if own is None and not leaf.asks_nothing:
            return False
        if leaf.kind == "token" and not own._request(leaf):
            return False
    return True
