"""A pool against a naive oracle, under any interleaving of what a scheduler does to it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from law_oracle import AMOUNTS, Host, Oracle
from resources import (
    AllocationError,
    Cores,
    Disk,
    Gpus,
    InfeasibleRequest,
    InputError,
    Inventory,
    Licenses,
    Memory,
    Nodes,
    Pool,
    Tasks,
    Threads,
    Token,
)
from resources.allocation import Granted
from resources.idset import ids_of
from resources.kinds import REGISTRY
from resources.resource import combine

TYPES = ("a100", "v100")
TAGS = ("big", "ssd")
MAKE = {"cores": Cores, "threads": Threads, "memory": Memory.of_bytes, "disk": Disk.of_bytes, "gpus": Gpus}


def provider_of(host):
    """A host of the oracle as a provider."""
    leaves = []
    for kind, total in host.total.items():
        if total is None:
            continue
        if kind == "gpus":
            types = sorted(set(total.values()))
            leaves.append(Gpus({name: [i for i, own in total.items() if own == name] for name in types}))
        else:
            leaves.append(REGISTRY.load("slots")(total) if kind == "slots" else MAKE[kind](total))
    if host.tags:
        leaves.append(Token(host.tags))
    return combine(leaves)


def request_of(need):
    """A request of the oracle as a resource."""
    leaves = [MAKE[kind](need[kind]) for kind in MAKE if kind in need]
    leaves += [REGISTRY.load("slots")(need["slots"])] if "slots" in need else []
    leaves += [Nodes(need["nodes"])] if "nodes" in need else []
    leaves += [Tasks(need["tasks"])] if "tasks" in need else []
    leaves += [Token(need["tags"])] if need.get("tags") else []
    leaves += [Licenses(need["licenses"])] if need.get("licenses") else []
    return combine(leaves)


@st.composite
def hosts(draw, name):
    """One host; ids with gaps, threads linked to cores or alone, and now and then a kind missing."""
    ids = st.sets(st.integers(0, 40), min_size=1, max_size=24)
    run = st.integers(1, 24).map(lambda n: set(range(n)))
    cores = draw(st.none() | ids | run)
    width = len(cores or {0, 1})
    twice = st.sampled_from([set(range(2 * width)), set(range(2 * width)), set(range(max(1, width // 2)))])
    gpus = draw(st.none() | st.dictionaries(st.integers(0, 9), st.sampled_from(TYPES), min_size=1, max_size=6))
    if gpus and draw(st.booleans()):
        gpus = dict.fromkeys(gpus, "")
    return Host(
        name,
        cores=cores,
        threads=draw(st.none() | twice | twice | ids),
        memory=draw(st.none() | st.integers(0, 200)),
        gpus=gpus,
        disk=draw(st.none() | st.integers(0, 50)),
        tags=draw(st.sets(st.sampled_from(TAGS))),
        slots=draw(st.none() | st.none() | st.integers(0, 12)),
    )


@st.composite
def needs(draw):
    """A request: {kind: amount}, with tags, licenses, nodes and tasks."""
    need = {}
    for kind in draw(st.sets(st.sampled_from(["cores", "cores", "threads", "memory", "gpus", "disk"]), max_size=3)):
        if kind == "gpus":
            typed = st.dictionaries(st.sampled_from(TYPES), st.integers(0, 3), min_size=1, max_size=2)
            need["gpus"] = draw(typed | st.integers(0, 4).map(lambda n: {"": n}))
        else:
            need[kind] = draw(st.integers(0, {"cores": 20, "threads": 30, "memory": 120, "disk": 40}[kind]))
    if "cores" in need and "threads" in need and draw(st.integers(0, 5)):
        del need["cores"]
    if not draw(st.integers(0, 3)):
        need["slots"] = draw(st.integers(0, 6))
    if not draw(st.integers(0, 3)):
        need["tags"] = draw(st.sets(st.sampled_from(TAGS), min_size=1))
    if not draw(st.integers(0, 4)):
        need["licenses"] = draw(st.dictionaries(st.sampled_from("mn"), st.integers(0, 2), min_size=1))
    if not draw(st.integers(0, 2)):
        need["nodes"] = draw(st.integers(1, 4))
    if not draw(st.integers(0, 2)):
        need["tasks"] = draw(st.integers(1, 7))
    return need


class PoolMachine(RuleBasedStateMachine):
    @initialize(
        data=st.data(),
        policy=st.sampled_from(["first-fit", "best-fit"]),
        licenses=st.dictionaries(st.sampled_from("mn"), st.integers(0, 4), max_size=2),
    )
    def start(self, data, policy, licenses):
        made = [data.draw(hosts(f"h{at}")) for at in range(data.draw(st.integers(1, 3)))]
        # some more that are alike, as in a cluster
        made += [
            Host(f"h{at + len(made)}", tags=made[0].tags, **made[0].total) for at in range(data.draw(st.integers(0, 2)))
        ]
        made = [host for host in made if provider_of(host).leaves] or [Host("h0", cores={0})]
        self.oracle = Oracle(made, licenses, policy)
        shared = Licenses(licenses) if licenses else combine([])
        self.pool = Pool([([h.name], provider_of(h)) for h in made], shared=shared, policy=policy)
        self.held, self.freed, self.foreign = [], [], False
        self.initial = self.pool.inventory(), self.pool.stat()

    # what a scheduler does

    @rule(need=needs())
    def ask(self, need):
        self.check_answer(need, self.oracle.choose(need))

    @rule(need=needs(), ask_first=st.booleans(), times=st.integers(1, 4))
    def alloc(self, need, ask_first, times):
        for _ in range(times):
            self.alloc_once(need, ask_first)

    def alloc_once(self, need, ask_first):
        request, expected = request_of(need), self.oracle.choose(need)
        if ask_first:
            assert self.pool.request(request) is (expected is not None)
        before = self.pool.inventory()
        try:
            got = self.pool.alloc(request)
        except (InfeasibleRequest, InputError) as error:
            assert expected is None, f"{request}: oracle says {expected}"
            assert self.oracle.empty().choose(need) is None
            assert self.pool.inventory() == before
            assert error.answer.verdict == "INCOMPATIBLE"
        except Exception as error:
            assert expected is None, f"{request}: oracle says {expected}"
            assert self.oracle.empty().choose(need) is not None, f"{request} was called {error!r}"
            assert self.pool.inventory() == before
        else:
            assert expected is not None, f"{request}: the oracle has no place, the pool gave {got}"
            self.take(need, expected, got)

    @rule(data=st.data())
    def free(self, data):
        if not self.held:
            return
        need, chosen, grants, got = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        with_block = data.draw(st.booleans())
        if with_block:
            with got:
                pass
        else:
            self.pool.dealloc(got)
        for (at, _), grant in zip(chosen, grants, strict=True):
            self.oracle.hosts[at].held.remove(grant)
        for name, n in need.get("licenses", {}).items():
            self.oracle.used[name] = self.oracle.used.get(name, 0) - n
        self.freed.append(got)

    @rule(data=st.data(), up=st.booleans())
    def drain(self, data, up):
        at = data.draw(st.integers(0, len(self.oracle.hosts) - 1))
        host = data.draw(st.sampled_from([self.oracle.hosts[at].name, at]))
        (self.pool.undrain if up else self.pool.drain)(host)
        self.oracle.hosts[at].up = up

    @rule(data=st.data())
    def calls_that_fail(self, data):
        before = self.pool.inventory(), self.pool.stat()
        if self.freed:
            with pytest.raises(AllocationError):
                self.pool.dealloc(data.draw(st.sampled_from(self.freed)))
        other = Pool.uniform("x", Cores(1))
        if self.held:
            with pytest.raises(AllocationError):
                other.dealloc(self.held[0][3])
        with pytest.raises(AllocationError):
            self.pool.dealloc(other.alloc(Cores(1)))
        for bad in (None, 3, "cores=1", [Cores(1)], Cores):
            with pytest.raises(InputError):
                self.pool.alloc(bad)
            with pytest.raises(InputError):
                self.pool.request(bad)
        for bad in ("nowhere", "h0,nowhere", "h[", 99, -1, True):
            with pytest.raises(InputError):
                self.pool.drain(bad)
        assert (self.pool.inventory(), self.pool.stat()) == before

    @rule(policy=st.sampled_from(["first-fit", "best-fit"]), form=st.sampled_from(["as it is", "text", "json"]))
    def restart(self, policy, form):
        """A new pool of the old one's inventory: what was held stays held, by others."""
        if self.foreign:
            return
        inventory, stat = self.pool.inventory(), self.pool.stat()
        if form != "as it is":
            read = (
                Inventory.from_text(inventory.to_text()) if form == "text" else Inventory.from_json(inventory.to_json())
            )
            assert read == inventory
            inventory = read
        self.held, self.freed, self.foreign = [], [], True
        self.pool = Pool.from_inventory(inventory, policy=policy)
        assert self.pool.stat() == stat
        assert self.pool.inventory() == inventory
        self.oracle.policy = policy
        for host in self.oracle.hosts:
            host.up = self.pool.up >> self.oracle.hosts.index(host) & 1 == 1
        self.initial = None

    # what holds at any time

    @invariant()
    def amounts_are_conserved(self):
        if not hasattr(self, "pool"):
            return
        assert self.pool.stat() == self.oracle.stat()
        for at, host in enumerate(self.oracle.hosts):
            free = self.pool.free_on(at)
            for kind in AMOUNTS:
                own, leaf = host.free(kind), free.get(kind)
                if own is None:
                    assert leaf is None
                elif kind in ("cores", "threads", "gpus"):
                    assert set(ids_of(leaf.mask)) == set(own), f"{kind} of {host.name}"
                else:
                    assert {"memory": "size", "disk": "size", "slots": "slots"}[kind] and amount(leaf) == own

    @invariant()
    def no_two_hold_the_same(self):
        for host in self.oracle.hosts if hasattr(self, "pool") else ():
            cores, threads, gpus = set(), set(), set()
            for grant in host.held:
                for kind, seen in (("cores", cores), ("threads", threads), ("gpus", gpus)):
                    mine = set(grant.get(kind, ()))
                    assert not mine & seen, f"{kind} {mine & seen} of {host.name} are granted twice"
                    seen |= mine
            assert not {host.core_of[t] for t in threads if t in host.core_of} & cores, "a core and its thread"

    def teardown(self):
        if not hasattr(self, "pool"):
            return
        for *_, got in self.held:
            self.pool.dealloc(got)
        for at in range(len(self.oracle.hosts)):
            self.pool.undrain(at)
        if self.initial is not None:
            assert (self.pool.inventory(), self.pool.stat()) == self.initial

    # against the oracle

    def take(self, need, expected, got):
        """The pool must have chosen the oracle's hosts, and granted free ids of the right number and type."""
        assert [(self.oracle.hosts[at].name, tasks) for at, tasks in expected] == [(p.host, p.tasks) for p in got.parts]
        grants = []
        for (at, tasks), part in zip(expected, got.parts, strict=True):
            host, grant = self.oracle.hosts[at], {}
            assert part.rank == at
            for kind in AMOUNTS:
                leaf = part.resources.get(kind)
                if kind not in need:
                    assert leaf is None
                    continue
                free = host.free(kind) or (0 if kind in ("memory", "disk", "slots") else ())  # a host may have none
                if kind == "gpus":
                    for name, n in need["gpus"].items():
                        mine = [i for i in leaf.g if name in ("", host.total["gpus"][i])]
                        assert len(mine) == n * tasks
                    assert sum(need["gpus"].values()) * tasks == leaf.N
                    assert all(leaf.masks[host.total["gpus"][i]] >> i & 1 for i in leaf.g)
                    grant[kind] = leaf.g
                elif kind in ("cores", "threads"):
                    grant[kind] = leaf.c if kind == "cores" else leaf.t
                    assert len(grant[kind]) == need[kind] * tasks
                else:
                    grant[kind] = amount(leaf)
                    assert grant[kind] == need[kind] * tasks <= free
                if kind in ("cores", "threads", "gpus"):
                    assert set(grant[kind]) <= set(free), f"{kind} {grant[kind]} of {host.name} are not free"
            grants.append(grant)
        for (at, _), grant in zip(expected, grants, strict=True):
            self.oracle.hosts[at].held.append(grant)
        for name, n in need.get("licenses", {}).items():
            self.oracle.used[name] = self.oracle.used.get(name, 0) + n
        self.held.append((need, expected, grants, got))
        told = Granted.from_json(got.to_json())
        assert (told.parts, told.job, told.start) == (got.parts, got.job, got.start)

    def check_answer(self, need, expected):
        """`request` and `explain` say what the oracle says, and `explain` says true things."""
        request = request_of(need)
        assert self.pool.request(request) is (expected is not None)
        answer = self.pool.explain(request)
        if expected is not None:
            assert answer.verdict == "READY" and answer
            where = [(place.host, place.rank, place.tasks) for place in answer.placement]
            assert where == [(self.oracle.hosts[at].name, at, tasks) for at, tasks in expected]
            return
        can = self.oracle.empty().choose(need) is not None
        assert answer.verdict == ("BUSY" if can else "INCOMPATIBLE"), f"{request}: {answer}"
        assert not answer and "\n" not in answer.reason and not answer.placement
        assert answer.shortages, f"{request}: nothing is said to be short: {answer}"
        names = {host.name: host for host in self.oracle.hosts}
        here = [s for s in answer.shortages if s.kind not in ("hosts", "tasks", "licenses")]
        assert all(s.short > 0 for s in answer.shortages), f"{request}: {answer}"
        if answer.best_host:
            assert here, f"{request}: nothing is short on the best host: {answer}"
            host = names[answer.best_host]
            for s in here:
                if s.kind in ("cores", "threads", "memory", "disk"):
                    total = host.total[s.kind]
                    if not can:
                        free = total if isinstance(total, int) else len(total or ())
                    else:
                        free = host.left(s.kind)
                    assert s.available == free, f"{request}: {answer}"


def amount(leaf):
    return leaf.slots if leaf.kind == "slots" else leaf.size


@pytest.mark.usefixtures("kinds")
class TestPool(PoolMachine.TestCase):
    settings = settings(max_examples=2 * settings.default.max_examples, stateful_step_count=25)
