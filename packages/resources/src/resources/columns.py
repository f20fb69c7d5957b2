"""What is free of one countable kind on every host of a pool, and which hosts have at least so much.

Hosts are bits of an integer. A `Level` is the set of hosts that have `need` or more free; asking for a
host is then an `&` of levels, and taking from a host touches only the levels that its free amount crosses.
Levels are rounded down to four significant bits, so there are few of them whatever is asked for; the
caller checks the exact amount where a level is lower than the need.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from resources.idset import ids_of, joined, lowest
from resources.kinds._amount import Bytes
from resources.kinds._ids import Ids
from resources.kinds.cores import Cores
from resources.kinds.disk import Disk
from resources.kinds.gpus import ANY, Gpus
from resources.kinds.memory import Memory
from resources.kinds.threads import Threads
from resources.resource import Resource


class Level:
    """The hosts with at least `need` free, as bits."""

    __slots__ = ("bits", "need")

    def __init__(self, need: int, bits: int) -> None:
        self.need, self.bits = need, bits


class Counter:
    """Free amounts of the hosts, and their levels."""

    __slots__ = ("free", "levels", "top")

    def __init__(self, free: list[int]) -> None:
        self.free = free
        self.levels: list[Level] = []
        self.top = 0  # the highest need of a level: an amount above it crosses none

    def level(self, need: int) -> Level:
        """The level to ask for `need`: at most as high."""
        shift = max(need.bit_length() - 4, 0)
        need = need >> shift << shift
        for level in self.levels:
            if level.need == need:
                return level
        bits = joined([host for host, free in enumerate(self.free) if free >= need])
        level = Level(need, bits)
        self.levels.append(level)
        self.levels.sort(key=lambda each: each.need)
        self.top = self.levels[-1].need
        return level

    def left(self, host: int) -> int:
        """How much is free on a host."""
        return self.free[host]

    def set(self, host: int, new: int) -> None:
        """The free amount of a host is now `new`."""
        old = self.free[host]
        self.free[host] = new
        low, high = (new, old) if new < old else (old, new)
        if low < self.top:
            bit = 1 << host
            for level in self.levels:
                if low < level.need:
                    if level.need > high:
                        break
                    level.bits ^= bit


class BytesColumn(Counter):
    """Memory or disk: a grant is its number of bytes."""

    __slots__ = ("cls",)

    def __init__(self, cls: type[Bytes], providers: Iterable[Bytes | None]) -> None:
        super().__init__([0 if one is None else one.size for one in providers])
        self.cls = cls

    @staticmethod
    def amount(leaf: Bytes) -> int:
        return leaf.size

    def counted(self, amount: int) -> list[tuple[Counter, int]]:
        return [(self, amount)]

    def take(self, host: int, amount: int) -> int:
        old = self.free[host]
        new = old - amount
        if new < self.top:
            self.set(host, new)
        else:
            self.free[host] = new
        return amount

    def give(self, host: int, amount: int) -> None:
        old = self.free[host]
        if old < self.top:
            self.set(host, old + amount)
        else:
            self.free[host] = old + amount

    def limit(self, host: int, free: Bytes) -> None:
        """Only `free` of the host's total is free: others hold the rest."""
        self.set(host, free.size)

    def granted(self, host: int, grant: int) -> Resource:
        return self.cls.of_bytes(grant)

    def free_leaf(self, host: int) -> Resource:
        return self.cls.of_bytes(self.free[host])


class IdColumn(Counter):
    """Cores or threads: a grant is the bit mask of its ids."""

    __slots__ = ("cls", "masks")

    def __init__(self, cls: type[Ids], providers: Iterable[Ids | None]) -> None:
        given = list(providers)
        once = {id(one): one for one in given}  # hosts of a group share a provider: its mask is made once
        masks = {key: 0 if one is None else one.mask for key, one in once.items()}
        self.masks = [masks[id(one)] for one in given]
        super().__init__([0 if one is None else one.N for one in given])
        self.cls = cls

    @staticmethod
    def amount(leaf: Ids) -> int:
        return leaf.N

    def counted(self, amount: int) -> list[tuple[Counter, int]]:
        return [(self, amount)]

    def take(self, host: int, amount: int) -> int:
        mask = self.masks[host]
        grant = ((1 << amount) - 1) * (mask & -mask)
        if mask & grant != grant:  # the lowest free ids are not neighbours
            grant = lowest(mask, amount)
        self.masks[host] = mask ^ grant
        new = self.free[host] - amount
        if new < self.top:
            self.set(host, new)
        else:
            self.free[host] = new
        return grant

    def give(self, host: int, grant: int) -> None:
        self.masks[host] |= grant
        old = self.free[host]
        if old < self.top:
            self.set(host, old + grant.bit_count())
        else:
            self.free[host] = old + grant.bit_count()

    def limit(self, host: int, free: Ids) -> None:
        """Only `free` of the host's total is free; where it is a number, the lowest ids are."""
        self.put(host, free.mask if free.is_list else lowest(self.masks[host], free.N))

    def put(self, host: int, mask: int) -> None:
        """Exactly these ids of the host are free now."""
        self.masks[host] = mask
        self.set(host, mask.bit_count())

    def granted(self, host: int, grant: int) -> Resource:
        return self.cls.of_mask(grant)

    def free_leaf(self, host: int) -> Resource:
        return self.cls.of_mask(self.masks[host])


class Link:
    """Which threads are a core's, on a host that states both: the k-th thread id is of core k modulo their number.

    That is Linux's usual numbering: first one thread of every core, then the second ones. A core that is left
    without a thread is linked to nothing. A linked core is free exactly when all of its threads are.
    """

    __slots__ = ("core_of", "every", "linked", "threads_of_core")

    def __init__(self, cores: int, threads: int) -> None:
        core_ids, thread_ids = ids_of(cores), ids_of(threads)
        width = len(core_ids)
        self.threads_of_core = {core: thread_ids[at::width] for at, core in enumerate(core_ids[: len(thread_ids)])}
        self.every, self.linked = threads, joined(self.threads_of_core)
        self.core_of = {thread: core for core, own in self.threads_of_core.items() for thread in own}

    def threads_of(self, cores: int) -> int:
        """All threads of some cores."""
        return joined([thread for core in ids_of(cores) for thread in self.threads_of_core.get(core, ())])

    def cores_of(self, threads: int) -> int:
        """The cores of some threads."""
        return joined({self.core_of[thread] for thread in ids_of(threads)})

    def whole(self, cores: int, threads: int) -> int:
        """Those of some cores that have threads, all of them in a set of threads."""
        inside = set(ids_of(threads & self.threads_of(cores)))
        owned = [(core, self.threads_of_core.get(core, ())) for core in ids_of(cores)]
        return joined([core for core, own in owned if own and inside.issuperset(own)])


class LinkedColumn(IdColumn):
    """Cores, or threads, where hosts state both: what one kind takes is gone from the other."""

    __slots__ = ("counted_only", "is_cores", "links", "other")
    other: LinkedColumn

    def __init__(self, cls: type[Ids], providers: Iterable[Ids | None], links: list[Link | None]) -> None:
        super().__init__(cls, providers)
        self.is_cores = cls.kind == "cores"
        self.counted_only = False  # whether what is free, as it was told last, was a number
        self.links = links

    def take(self, host: int, amount: int) -> int:
        grant = super().take(host, amount)
        if link := self.links[host]:
            gone = link.threads_of(grant) if self.is_cores else link.cores_of(grant)
            self.other.put(host, self.other.masks[host] & ~gone)
        return grant

    def give(self, host: int, grant: int) -> None:
        super().give(host, grant)
        if link := self.links[host]:
            back = link.threads_of(grant) if self.is_cores else link.whole(link.cores_of(grant), self.masks[host])
            self.other.put(host, self.other.masks[host] | back)

    def limit(self, host: int, free: Ids) -> None:
        """Only `free` is free; a number of cores or threads is taken to be of the same cores as the other kind.

        Cores come first. Then what the two say is made to agree: what is in use by either is in use.
        """
        link = self.links[host]
        if link is None or self.is_cores:
            self.counted_only = not free.is_list
            super().limit(host, free)
            return
        cores = self.other.masks[host]
        if free.is_list:
            self.put(host, free.mask)
            if self.other.counted_only:
                whole = link.whole(link.cores_of(free.mask), free.mask)
                cores = lowest(whole, min(cores.bit_count(), whole.bit_count()))
        else:
            near = link.threads_of(cores)
            n = near.bit_count()
            rest = self.masks[host] & ~near
            self.put(host, lowest(near, free.N) if n >= free.N else near | lowest(rest, free.N - n))
        cores &= ~link.cores_of(link.every & ~self.masks[host])
        others = link.whole(link.linked & ~cores, self.masks[host])
        self.other.put(host, cores)
        self.put(host, self.masks[host] & ~link.threads_of(others))


class GpuColumn:
    """GPUs: a grant is the bit mask of its ids; an amount is the (type, number) pairs of the request."""

    __slots__ = ("counters", "masks", "providers")
    cls = Gpus

    def __init__(self, providers: list[Gpus | None]) -> None:
        self.providers = providers
        self.masks = [0 if one is None else one.mask for one in providers]
        self.counters: dict[str, Counter] = {}

    @staticmethod
    def amount(leaf: Gpus) -> tuple[tuple[str, int], ...]:
        return tuple(leaf.types.items())

    def of_type(self, host: int, name: str) -> int:
        """The free ids of a type on a host, as bits."""
        own = self.providers[host]
        if own is None:
            return 0
        return self.masks[host] & (own.mask if name == ANY else own.masks.get(name, 0))

    def counted(self, amount: tuple[tuple[str, int], ...]) -> list[tuple[Counter, int]]:
        for name, _ in amount:
            if name not in self.counters:
                self.counters[name] = Counter([self.of_type(host, name).bit_count() for host in range(len(self.masks))])
        return [(self.counters[name], n) for name, n in amount]

    def take(self, host: int, amount: tuple[tuple[str, int], ...]) -> int:
        grant = 0
        for name, n in amount:
            grant |= lowest(self.of_type(host, name), n)
        self.put(host, self.masks[host] ^ grant)
        return grant

    def give(self, host: int, grant: int) -> None:
        self.put(host, self.masks[host] | grant)

    def limit(self, host: int, free: Gpus) -> None:
        """Only `free` of the host's total is free; where it is numbers, the lowest ids of each type are."""
        if free.is_list:
            self.put(host, free.mask)
        else:
            self.put(host, sum(lowest(self.of_type(host, name), n) for name, n in free.types.items()))

    def put(self, host: int, mask: int) -> None:
        self.masks[host] = mask
        for name, counter in self.counters.items():
            counter.set(host, self.of_type(host, name).bit_count())

    def granted(self, host: int, grant: int) -> Resource:
        own = self.providers[host]
        return Gpus.of_masks([]) if own is None else own.part(grant)

    def left(self, host: int) -> int:
        return self.masks[host].bit_count()

    def free_leaf(self, host: int) -> Resource:
        own = self.providers[host]
        return Gpus(0) if own is None else Gpus.of_masks((t, self.masks[host] & mask) for t, mask in own.masks.items())


Column = BytesColumn | IdColumn | GpuColumn


def columns_of(providers: list[Resource]) -> dict[str, Any]:
    """The columns of the kinds that some host has: kind -> Column."""
    made: dict[str, Any] = {}
    parts = {
        kind: [provider.get(kind) for provider in providers] for kind in ("cores", "threads", "memory", "gpus", "disk")
    }
    has = {kind for kind, leaves in parts.items() if any(leaf is not None for leaf in leaves)}
    both = zip(parts["cores"], parts["threads"], strict=True)
    if {"cores", "threads"} <= has:
        made_links: dict[tuple[int, int], Link] = {}
        links: list[Link | None] = []
        for cores, threads in both:
            masks = (cores.mask, threads.mask) if cores is not None and threads is not None else (0, 0)
            links.append(made_links.setdefault(masks, Link(*masks)) if all(masks) else None)
        one, two = (LinkedColumn(cls, parts[cls.kind], links) for cls in (Cores, Threads))
        one.other, two.other = two, one
        made["cores"], made["threads"] = one, two
    else:
        made.update({cls.kind: IdColumn(cls, parts[cls.kind]) for cls in (Cores, Threads) if cls.kind in has})
    made.update({cls.kind: BytesColumn(cls, parts[cls.kind]) for cls in (Memory, Disk) if cls.kind in has})
    if "gpus" in has:
        made["gpus"] = GpuColumn(parts["gpus"])
    return made
