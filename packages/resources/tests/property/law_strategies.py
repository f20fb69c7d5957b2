"""Requests, providers and documents as hypothesis draws them."""

from hypothesis import strategies as st
from resources import Cores, Disk, Gpus, Licenses, Memory, Nodes, Tasks, Threads, Token, WTime
from resources.documents import Group, Inventory
from resources.kinds import REGISTRY
from resources.resource import combine
from resources.units import LARGEST

AWKWARD = "ab09.- ,\"'\\=:[]{}|#/+_eé中😀"
words = st.text(
    st.sampled_from(AWKWARD) | st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8
).filter(str.isprintable)
small = st.integers(0, 40)
counts = st.one_of(small, st.integers(0, LARGEST))
bytes_ = st.one_of(st.integers(0, 100), st.integers(0, 64).map(lambda n: n * 2**28), st.integers(0, LARGEST))
id_sets = st.sets(st.integers(0, 70), max_size=20)


@st.composite
def times(draw):
    T = draw(st.none() | st.integers(0, 10**7))
    group = draw(words) if T is None else draw(st.none() | words)
    soft = draw(st.none() | st.integers(0, 10**7 if T is None else T))
    return WTime(T, soft, group, draw(st.none() | st.booleans()))


@st.composite
def gpus(draw, numbers=counts):
    names = draw(st.sets(words, max_size=3))
    if draw(st.booleans()):
        if not names:
            return Gpus(draw(numbers))
        return Gpus({name: draw(numbers) for name in names})
    ids = draw(id_sets)
    if not names:
        return Gpus(ids)
    split = {name: [] for name in names}
    for one in ids:
        split[draw(st.sampled_from(sorted(names)))].append(one)
    return Gpus(split)


def leaves():
    """kind -> strategy, for every registered kind: the built-in ones and those of tests/data/kinds."""
    made = {
        "cores": counts.map(Cores) | id_sets.map(Cores),
        "threads": counts.map(Threads) | id_sets.map(Threads),
        "memory": bytes_.map(Memory.of_bytes),
        "disk": bytes_.map(Disk.of_bytes),
        "gpus": gpus(),
        "licenses": st.dictionaries(words, counts, min_size=1, max_size=3).map(Licenses),
        "walltime": times(),
        "token": st.sets(words, min_size=1, max_size=3).map(Token),
        "tasks": st.integers(1, LARGEST).map(Tasks),
        "nodes": st.integers(1, LARGEST).map(Nodes),
    }
    if "slots" in REGISTRY.names():
        slots = REGISTRY.load("slots")
        made["slots"] = st.builds(slots, st.integers(0, 10**6), st.none() | words)
        made["rate"] = (st.integers(0, 10**6) | st.floats(0, 1e299)).map(REGISTRY.load("rate"))
        made["lanes"] = st.integers(0, 10**6).map(REGISTRY.load("lanes"))
    return made


@st.composite
def resources(draw, without=(), most=5):
    """Any combination of any kinds."""
    offers = {kind: one for kind, one in leaves().items() if kind not in without}
    kinds = draw(st.sets(st.sampled_from(sorted(offers)), max_size=most))
    return combine([draw(offers[kind]) for kind in sorted(kinds)])


host_names = st.from_regex(r"[a-z#.]{0,3}[0-9]{0,4}[a-z-]{0,2}[0-9]{0,3}[a-z]?", fullmatch=True).filter(bool)


@st.composite
def inventories(draw):
    groups, ranks = [], iter(draw(st.permutations(range(20))))
    for _ in range(draw(st.integers(0, 3))):
        hosts = draw(st.lists(host_names, min_size=1, max_size=4))
        total = draw(resources(without=("nodes", "tasks", "licenses"), most=4))
        # what is provided has ids, so no more than a host may have
        total = combine([x for x in total.leaves if x.kind not in ("cores", "threads", "gpus") or x.N < 2**20])
        free = draw(st.sampled_from([None, total, combine([])]) | parts(total))
        state = draw(st.sampled_from(["up", "down", "drained", "unknown"]))
        seen = st.just("") | words | st.text(max_size=5)
        own = tuple(next(ranks) for _ in hosts)
        groups.append(Group(tuple(hosts), own, total, free, state, draw(seen), draw(seen)))
    flux = draw(st.sampled_from([{}, {"execution": {"starttime": 1.5, "expiration": 0.0, "é|\"'": [None, {"a": []}]}}]))
    shared = draw(st.sampled_from([combine([]), Licenses({"a b": 3, "m": 1})]))
    left = draw(st.sampled_from([shared, None, combine([])]))
    return Inventory(tuple(groups), draw(words | st.just("")), draw(words), shared, left, flux)


@st.composite
def parts(draw, total):
    """Something within a total."""
    made = []
    for leaf in total.leaves:
        if not draw(st.booleans()):
            continue
        if leaf.kind in ("cores", "threads"):
            made.append(type(leaf).of_mask(leaf.mask & draw(st.integers(0, 2**20))))
        elif leaf.kind in ("memory", "disk"):
            made.append(leaf.of_bytes(draw(st.integers(0, leaf.size))))
        elif leaf.kind == "gpus":
            made.append(leaf.part(leaf.mask & draw(st.integers(0, 2**20))))
        else:
            made.append(leaf)
    return combine(made)
