"""Pools: many hosts that grant what requests ask for, with the ids of cores and GPUs.

A pool is not thread-safe: it belongs to one event loop or one thread.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from resources import hostlist
from resources.allocation import Allocation as Allocation
from resources.allocation import Part
from resources.columns import columns_of
from resources.errors import AllocationError, InfeasibleRequest, InputError, InsufficientResources
from resources.idset import ids_of
from resources.kinds.walltime import WTime
from resources.placement import Limits, place
from resources.resource import PLACEMENT, ZERO, Resource, as_request, combine
from resources.shape import JOB, Shape
from resources.units import memory_shown, shown

if TYPE_CHECKING:
    from pathlib import Path

    from resources.answer import Answer
    from resources.documents import Inventory
    from resources.estimator import Estimator

MOST_SHAPES = 4096  # compiled requests that are kept
BYTES = frozenset({"memory", "disk"})
POLICIES = ("first-fit", "best-fit")
Hosts = str | Sequence[str]
Held = tuple[int, int, list[Any]]  # host, tasks, grants


class Pool:
    """Hosts and what each provides.

    groups: (hosts, provider) pairs; hosts as a hostlist text or names, the provider as for one host. Ranks
        count through. shared: what belongs to no host, such as licenses. policy: "first-fit" takes the first
        host in order, "best-fit" the one that has the least left. clock: Unix time in seconds. estimator:
        gives walltime groups their limits, and learns from runs that end well.
    """

    def __init__(
        self,
        groups: Iterable[tuple[Hosts, Resource]],
        *,
        shared: Resource = ZERO,
        policy: str = "first-fit",
        clock: Callable[[], float] = time.time,
        estimator: Estimator | None = None,
    ) -> None:
        if policy not in POLICIES:
            raise InputError(f"policy is one of {', '.join(POLICIES)}, not {shown(policy)}")
        if other := [kind for kind in as_request(shared).kinds if kind != "licenses"]:
            raise InputError(f"a pool shares licenses; {other[0]} belongs to hosts")
        self.names: list[str] = []
        self.providers: list[tuple[Resource, int]] = []
        self.of_host: list[Resource] = []
        for hosts, provider in groups:
            self._add(hostlist.expand(hosts) if isinstance(hosts, str) else hostlist.checked(hosts), provider, clock)
        if not self.names:
            raise InputError("a pool needs a host")
        self.ranks: list[int] = list(range(len(self.names)))
        self.shared = copy.deepcopy(as_request(shared))
        self.clock, self.estimator = clock, estimator
        self.first_fit = policy == "first-fit"
        self.columns = columns_of(self.of_host)
        kinds = [set(provider.kinds) for provider, _ in self.providers]
        self.everywhere = set.intersection(*kinds)
        self.timed = any("walltime" in each for each in kinds)
        taken_care_of = {*self.columns, *PLACEMENT, *JOB, "token"}
        self.custom: dict[str, dict[int, Resource]] = {
            kind: {
                host: copy.deepcopy(provider.get(kind))
                for host, provider in enumerate(self.of_host)
                if provider.get(kind) is not None
            }
            for kind in sorted(set.union(*kinds) - taken_care_of)
        }
        self.all = (1 << len(self.names)) - 1
        self.up = self.all
        self.unknown = self.down = 0  # hosts that an inventory found so, as bits
        self.shared_unknown = False  # whether nobody told what is free of what is shared
        self._shapes: dict[str, Shape] = {}

    def _add(self, names: list[str], provider: Resource, clock: Callable[[], float]) -> None:
        provider = copy.deepcopy(as_request(provider))
        if placement := PLACEMENT.intersection(provider.kinds):
            raise InputError(f"{min(placement)} is of requests: the hosts of a pool are named, as in hosts=n[0-3]")
        if provider.get("licenses") is not None:
            raise InputError("licenses belong to no host: give them as shared=Licenses(...)")
        if (walltime := provider.get("walltime")) is not None:
            walltime.start(clock)
        bits = ((1 << len(names)) - 1) << len(self.names)
        self.names += names
        self.of_host += [provider] * len(names)
        self.providers.append((provider, bits))

    @classmethod
    def uniform(cls, hosts: Hosts, provider: Resource, **options: Any) -> Pool:
        """A pool of hosts that are alike; options as of the class."""
        return cls([(hosts, provider)], **options)

    @classmethod
    def from_config(cls, table: Mapping[str, Any], **options: Any) -> Pool:
        """A pool from a table such as a TOML file's: see `resources.config`. Raises InputError."""
        from resources.config import pool_arguments

        groups, shared = pool_arguments(table)
        return cls(groups, shared=shared, **options)

    @classmethod
    def from_toml(cls, source: str | Path, **options: Any) -> Pool:
        """A pool from a TOML text, or from a file where a Path is given. Raises InputError."""
        from resources.config import load_toml

        return cls.from_config(load_toml(source), **options)

    @classmethod
    def from_inventory(cls, inventory: Inventory, **options: Any) -> Pool:
        """A pool of an inventory's hosts, of which only what is free can be granted.

        Hosts that are down, drained or of unknown state grant nothing.
        """
        from resources.config import limited

        if not inventory.groups:
            raise InputError("the inventory has no hosts")
        pool = cls([(group.hosts, group.total) for group in inventory.groups], shared=inventory.shared_total, **options)
        limited(pool, inventory)
        return pool

    @classmethod
    def this_machine(cls, cores: int | None = None, **options: Any) -> Pool:
        """A pool of this machine: the cores and memory that this process may use, or so many cores."""
        from resources.machine import hostname, provider

        return cls.uniform([hostname()], provider(cores), **options)

    # Asking

    def request(self, need: Any) -> bool:
        """Whether `alloc(need)` would succeed now."""
        shape = self._shape(need)
        return place(self, shape, self._limits(shape).softT) is not None

    def explain(self, need: Any) -> Answer:
        """Whether it fits and where; if not what is short, by how much, on which best host, and whether it ever can."""
        from resources.explain import explain

        return explain(self, self._shape(need))

    def stat(self) -> dict[str, tuple[int, int]]:
        """kind -> (free, total) over all hosts, in the kind's unit; "hosts" -> (up, all).

        Free is what could be granted: nothing on a host that is drained, down, or of unknown state.
        """
        made = {"hosts": (self.up.bit_count(), len(self.names))}
        for kind, column in self.columns.items():
            parts = [provider.get(kind) for provider in self.of_host]
            total = sum(part._stat()[1] for part in parts if part is not None)
            made[kind] = (sum(column.left(host) for host in ids_of(self.up)), total)
        for kind, leaves in self.custom.items():
            total = sum(self.of_host[host].get(kind)._stat()[1] for host in leaves)
            made[kind] = (sum(leaf._stat()[0] for host, leaf in leaves.items() if self.up >> host & 1), total)
        made.update(self.shared.stat())
        return made

    def __repr__(self) -> str:
        rows = [(kind, memory_shown if kind in BYTES else str, *pair) for kind, pair in self.stat().items()]
        return f"<Pool: {', '.join(f'{kind} {text(free)} of {text(total)} free' for kind, text, free, total in rows)}>"

    def free_on(self, host: int) -> Resource:
        """What is free on a host (by its place in the pool), as a resource."""
        leaves = [column.free_leaf(host) for kind, column in self.columns.items() if self.of_host[host].get(kind)]
        left = [copy.deepcopy(kept[host]._free()) for kept in self.custom.values() if host in kept]
        leaves += [leaf for leaf in left if leaf is not None]
        leaves += [leaf for leaf in self.of_host[host].leaves if leaf.kind in {"token", "walltime"}]
        return combine(leaves)

    def inventory(self) -> Inventory:
        """The pool as a document: totals, and what is free now."""
        from resources.config import inventory_of

        return inventory_of(self)

    # Granting

    def alloc(self, need: Any) -> Allocation:
        """Grant what is needed. Raises InsufficientResources or InfeasibleRequest; then nothing has changed."""
        shape = self._shapes.get(need.text) if isinstance(need, Resource) else None
        if shape is None:
            shape = self._shape(need)
        if not shape.plain:
            return self._alloc(shape)
        unit = shape.unit
        bits = self.up & unit.static
        for level in unit.levels:
            bits &= level.bits
        host = unit.first(self, bits) if unit.exact else (bits & -bits).bit_length() - 1
        if host < 0:
            raise self._refusal(shape)
        start = self.clock()
        grants = [column.take(host, amount) for column, amount in unit.takes]
        deadline = None if shape.time is None else start + shape.time._T  # type: ignore[operator]
        return Allocation(self, shape, [(host, shape.each, grants)], start, deadline)

    def dealloc(self, allocation: Allocation, *, counts: bool = True) -> None:
        """Free an allocation. Raises AllocationError unless this pool granted it and it is still held.

        counts: whether the run tells the estimator how long its group takes; a failed one should not.
        """
        if not isinstance(allocation, Allocation) or allocation._pool is not self:
            raise AllocationError(f"{shown(allocation)} was not granted by this pool; free it where it was")
        if not allocation._live:
            raise AllocationError(f"{shown(allocation)} was freed already")
        shape = allocation._shape
        if shape.plain:
            [(host, _, grants)] = allocation._held
            for (column, _), grant in zip(shape.unit.takes, grants, strict=True):
                column.give(host, grant)
            allocation._live = False
            return
        self._give_all(shape, allocation._held, allocation._shared)
        allocation._live = False
        if counts and self.estimator is not None and shape.time is not None and shape.time.group is not None:
            self.estimator.record(shape.time.group, self.clock() - allocation._start)

    def drain(self, hosts: Hosts | int) -> None:
        """Grant nothing more on these hosts (names, or one rank); what runs there goes on."""
        self.up &= ~self._bits(hosts)

    def undrain(self, hosts: Hosts | int) -> None:
        """Grant on these hosts again; not where the inventory found them down, or of unknown state."""
        self.up |= self._bits(hosts) & ~(self.unknown | self.down)

    def _bits(self, hosts: Hosts | int) -> int:
        if isinstance(hosts, int):
            if isinstance(hosts, bool) or hosts not in self.ranks:
                raise InputError(f"the pool has no rank {shown(hosts)}")
            return 1 << self.ranks.index(hosts)
        names = set(hostlist.expand(hosts) if isinstance(hosts, str) else hosts)
        if missing := names.difference(self.names):
            raise InputError(f"the pool has no host {shown(min(missing))}")
        return sum(1 << at for at, name in enumerate(self.names) if name in names)

    def _shape(self, need: Any) -> Shape:
        need = as_request(need)
        shape = self._shapes.get(need.text)
        if shape is None:
            if len(self._shapes) >= MOST_SHAPES:
                self._shapes.clear()
            shape = self._shapes[need.text] = Shape(self, copy.deepcopy(need))
        return shape

    def _limits(self, shape: Shape) -> Limits:
        """Hard and soft limit of a run that starts now; a group's come from the estimator, once it knows them."""
        time_ = shape.time
        if time_ is None:
            return Limits(None, None, shape.job)
        if time_.T is None and self.estimator is not None and time_.group is not None:
            known = self.estimator.limits(time_.group)
            if known is not None:
                limit = WTime(known.T, known.softT, time_.group)
                return Limits(known.T, known.softT, combine([limit if x is time_ else x for x in shape.job.leaves]))
        return Limits(time_.T, time_.softT, shape.job)

    def in_time(self, softT: int | None) -> int:
        """The hosts whose own time allows a run of this soft limit, as bits."""
        if not self.timed:
            return self.all
        bits = 0
        for provider, hosts in self.providers:
            walltime = provider.get("walltime")
            if walltime is None or (not walltime.expired and walltime.remaining() >= (softT or 0)):
                bits |= hosts
        return bits

    def _end_of(self, host: int, start: float) -> float | None:
        """When the host's own time is up for a run that starts now."""
        walltime = self.of_host[host].get("walltime")
        if walltime is None or walltime.T is None:
            return None
        return walltime._deadline if walltime._deadline is not None else start + walltime.T  # type: ignore[no-any-return]

    def _refusal(self, shape: Shape) -> InsufficientResources | InfeasibleRequest:
        from resources.explain import ever, explain

        never = shape.never
        if never is None:
            never = not ever(self, shape)
            if not self.timed:
                shape.never = never
        return (InfeasibleRequest if never else InsufficientResources)(lambda: explain(self, shape))

    def _alloc(self, shape: Shape) -> Allocation:
        """The general way: several hosts, time, licenses, custom kinds. All or nothing."""
        limits = self._limits(shape)
        chosen = place(self, shape, limits.softT)
        if chosen is None:
            raise self._refusal(shape)
        units = [(host, tasks, shape.times(self, tasks)) for host, tasks in chosen]
        start = self.clock()
        # First the custom kinds, which may fail, then what does not.
        saved = self._saved([(leaf.kind, host) for host, _, unit in units for leaf in unit.custom])
        try:
            given = [[self.custom[leaf.kind][host]._alloc(leaf) for leaf in unit.custom] for host, _, unit in units]
            shared = None if shape.licenses is None else self.shared.alloc(shape.licenses)
        except BaseException:
            self._restore(saved)
            raise
        held = [
            (host, tasks, [column.take(host, amount) for column, amount in unit.takes] + own)
            for (host, tasks, unit), own in zip(units, given, strict=True)
        ]
        ends = [end for host, _ in chosen if (end := self._end_of(host, start)) is not None]
        if limits.T is not None:
            ends.append(start + limits.T)
        made = Allocation(self, shape, held, start, min(ends, default=None))
        made._job, made._shared = limits.job, shared
        return made

    def _saved(self, places: list[tuple[str, int]]) -> list[tuple[str, int, Resource]]:
        return [(kind, host, copy.deepcopy(self.custom[kind][host])) for kind, host in places]

    def _restore(self, saved: list[tuple[str, int, Resource]]) -> None:
        for kind, host, state in saved:
            self.custom[kind][host] = state

    def _give_all(self, shape: Shape, held: list[Held], shared: Resource | None) -> None:
        units = [(shape.times(self, tasks), host, grants) for host, tasks, grants in held]
        saved = self._saved([(leaf.kind, host) for unit, host, _ in units for leaf in unit.custom])
        try:
            for unit, host, grants in units:
                for leaf, grant in zip(unit.custom, grants[len(unit.takes) :], strict=False):
                    self.custom[leaf.kind][host]._dealloc(grant)
        except BaseException:
            self._restore(saved)
            raise
        for unit, host, grants in units:
            for (column, _), grant in zip(unit.takes, grants, strict=False):
                column.give(host, grant)
        if shared is not None:
            self.shared.dealloc(shared)

    def _parts(self, allocation: Allocation) -> tuple[Part, ...]:
        """What an allocation holds, host by host, as resources."""
        shape, made = allocation._shape, []
        for host, tasks, grants in allocation._held:
            unit = shape.times(self, tasks)
            leaves = [column.granted(host, grant) for (column, _), grant in zip(unit.takes, grants, strict=False)]
            leaves += grants[len(unit.takes) :]
            leaves += [leaf for leaf in unit.need.leaves if leaf.kind == "token"]
            given = {leaf.kind for leaf in leaves}
            # None of a kind that no host has is granted as none, and an unlimited kind that none has as asked.
            rest: list[Any] = [leaf for leaf in unit.need.leaves if leaf.asks_nothing and leaf.kind not in given]
            leaves += [leaf if leaf.unlimited else leaf.of_nothing() for leaf in rest]
            made.append(Part(self.names[host], self.ranks[host], tasks, combine(leaves)))
        return tuple(made)
