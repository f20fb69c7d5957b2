"""What is admitted is granted, what is refused is refused for the reason that is given, and more is never less."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from law_strategies import gpus, resources
from resources import (
    Cores,
    Disk,
    Estimator,
    Gpus,
    InfeasibleRequest,
    InputError,
    InsufficientResources,
    Licenses,
    Memory,
    Nodes,
    Pool,
    Tasks,
    Threads,
    Token,
    WTime,
    fit,
    parse,
)
from resources.resource import combine
from resources.units import LARGEST

pytestmark = pytest.mark.usefixtures("kinds")
few = st.integers(0, 12)


@st.composite
def amounts(draw, numbers=few):
    """Some kinds with small amounts."""
    made = [
        draw(numbers.map(Cores) | numbers.map(Threads)),
        draw(numbers.map(Memory)),
        draw(numbers.map(Disk)),
        draw(st.sampled_from([Gpus(1), Gpus(2), Gpus(1, "a"), Gpus({"a": 1, "b": 1})])),
        draw(st.integers(0, 100).map(WTime) | st.integers(0, 50).map(lambda n: WTime(100, softT=n))),
    ]
    return combine([leaf for leaf in made if draw(st.booleans())])


@st.composite
def providers(draw):
    made = [Cores(draw(few)), Memory(draw(few)), Disk(draw(few)), Gpus({"a": 2, "b": 1}), Token("x")]
    made += draw(st.sampled_from([[], [Threads(16)], [WTime(60)], [WTime(60, countdown=False)]]))
    return combine([leaf for leaf in made if draw(st.integers(0, 4))] or [Cores(1)])


def agrees(provider, need):
    """request, alloc and explain of one provider say the same; returns whether it fits."""
    try:
        says, answer = provider.request(need), provider.explain(need)
    except InputError:  # no answer at all, from none of the three
        with pytest.raises(InputError):
            provider.alloc(need)
        return False
    before = provider.stat()
    try:
        got = provider.alloc(need)
    except InfeasibleRequest as error:
        assert (says, answer.verdict) == (False, "INCOMPATIBLE")
        assert str(error) == answer.reason
        assert provider.stat() == before
        return False
    except InsufficientResources as error:
        assert (says, answer.verdict) == (False, "BUSY")
        assert error.answer.verdict == "BUSY"
        assert provider.stat() == before
        return False
    assert (says, answer.verdict) == (True, "READY")
    provider.dealloc(got)
    assert provider.stat() == before
    return True


@given(provider=providers(), first=amounts(), need=amounts())
def test_a_provider_admits_exactly_what_it_grants(provider, first, need):
    if agrees(provider, first):
        provider.alloc(first)
    agrees(provider, need)
    agrees(provider, combine([*need.leaves, Tasks(3)]))


@given(data=st.data())
def test_a_provider_of_anything_asked_for_anything(data):
    small = data.draw(resources(without=("cores", "threads", "gpus", "nodes", "tasks", "rate", "lanes")))
    provider = small & Cores(4) & data.draw(gpus(st.integers(0, 9)))
    agrees(provider, data.draw(resources(without=("nodes",))))


@given(
    data=st.data(),
    hosts=st.lists(providers(), min_size=1, max_size=4),
    policy=st.sampled_from(["first-fit", "best-fit"]),
)
def test_a_pool_admits_exactly_what_it_grants(data, hosts, policy):
    now = [0.0]
    pool = Pool(
        [(f"h{at}", host) for at, host in enumerate(hosts)],
        shared=Licenses("m", 2),
        policy=policy,
        clock=lambda: now[0],
        estimator=Estimator(floor=0),
    )
    for _ in range(data.draw(st.integers(1, 5))):
        need = data.draw(amounts())
        extra = [Nodes(data.draw(st.integers(1, 4))), Tasks(data.draw(st.integers(1, 9))), Licenses("m", 1), Token("x")]
        need = combine([*need.leaves, *(leaf for leaf in extra if data.draw(st.booleans()))])
        now[0] += data.draw(st.integers(0, 30))
        if agrees(pool, need):
            pool.alloc(need)


@given(data=st.data())
def test_a_pool_asked_for_anything_at_all(data):
    """Amounts up to 64 bits, any number of tasks and nodes, kinds that no host has: an answer, never another error."""
    slots = st.sampled_from([[], [parse("slots=9,red")], [parse("lanes=9")]])
    host = combine([Cores(8), Threads(16), Memory(8), Gpus({"a": 2}), Disk(LARGEST // 2**31), *data.draw(slots)])
    pool = Pool.uniform(
        "h[0-2]", host, shared=Licenses("m", 2), policy=data.draw(st.sampled_from(["first-fit", "best-fit"]))
    )
    need = data.draw(resources(most=7))
    before = pool.inventory(), pool.stat()
    assert pool.request(need) in (True, False)
    agrees(pool, need)
    assert (pool.inventory(), pool.stat()) == before


@pytest.mark.parametrize(
    "text",
    [
        "tasks=9223372036854775807 nodes=2 cores=9999",
        "tasks=9223372036854775807 nodes=2 memory=9GB",
        "tasks=9223372036854775807 cores=1",
        "nodes=9223372036854775807",
        "tasks=9223372036854775807 nodes=9223372036854775807 cores=1",
        "nodes=1 tasks=9223372036854775807 threads=2",
        "tasks=9223372036854775807 slots=1",
        "tasks=9223372036854775807 nodes=2 slots=1",
    ],
)
def test_more_tasks_than_any_integer_holds_never_fit(text):
    pool = Pool([("a[0-3]", Cores(4) & Memory(4)), ("b", parse("threads=8 slots=4"))])
    assert not pool.request(parse(text))
    assert pool.explain(parse(text)).verdict == "INCOMPATIBLE"
    with pytest.raises(InfeasibleRequest):
        pool.alloc(parse(text))


# monotonicity


@given(data=st.data(), hosts=st.lists(providers(), min_size=1, max_size=3))
def test_freeing_never_makes_refuse_what_fitted(data, hosts):
    pool = Pool([(f"h{at}", host) for at, host in enumerate(hosts)])
    held = []
    for _ in range(data.draw(st.integers(1, 6))):
        first = data.draw(amounts())
        if pool.request(first):
            held.append(pool.alloc(first))
    asked = [data.draw(amounts()) for _ in range(3)] + [combine([*data.draw(amounts()).leaves, Tasks(4)])]
    fitted = [need for need in asked if pool.request(need)]
    while held:
        pool.dealloc(held.pop(data.draw(st.integers(0, len(held) - 1))))
        assert all(pool.request(need) for need in fitted)
        fitted = [need for need in asked if pool.request(need)]


@given(data=st.data(), hosts=st.lists(providers(), min_size=1, max_size=3))
def test_more_never_refuses_what_less_took(data, hosts):
    """A larger host, one host more, one license more: whatever fitted fits, and what could ever fit still can."""
    need = combine([*data.draw(amounts()).leaves, *data.draw(st.sampled_from([[], [Tasks(3)], [Nodes(2)]]))])
    names = [f"h{at}" for at in range(len(hosts))]
    small = Pool(list(zip(([name] for name in names), hosts, strict=True)))
    more = []
    for host in hosts:
        grown = [leaf._times(data.draw(st.integers(1, 3))) if leaf.kind != "threads" else leaf for leaf in host.leaves]
        more.append(combine(grown))
    large = Pool([*(([name], host) for name, host in zip(names, more, strict=True)), (["extra"], Cores(1))])
    # threads are linked to cores: with more cores the same number of threads is of other cores, all still free
    if small.request(need):
        assert large.request(need)
    order = {"INCOMPATIBLE": 0, "BUSY": 1, "READY": 2}
    assert order[large.explain(need).verdict] >= order[small.explain(need).verdict]


@given(
    data=st.data(),
    hosts=st.lists(providers(), min_size=1, max_size=3),
    policy=st.sampled_from(["first-fit", "best-fit"]),
)
def test_a_smaller_request_fits_wherever_a_larger_one_does(data, hosts, policy):
    pool = Pool([(f"h{at}", host) for at, host in enumerate(hosts)], policy=policy)
    for _ in range(data.draw(st.integers(0, 4))):
        first = data.draw(amounts())
        if pool.request(first):
            pool.alloc(first)
    large = combine(
        [*data.draw(amounts()).leaves, *data.draw(st.sampled_from([[], [Tasks(4)], [Nodes(2)], [Nodes(2), Tasks(5)]]))]
    )
    assume(pool.request(large))
    for leaf in large.leaves:
        rest = [other for other in large.leaves if other is not leaf]
        if leaf.kind in ("nodes", "tasks") and len(rest) < len(large.leaves) - 1:
            continue
        if leaf.kind == "nodes" and large.get("tasks") is not None:
            continue  # spread over fewer hosts each takes more: not smaller
        if leaf.kind not in ("nodes", "tasks"):
            assert pool.request(combine(rest)), f"without {leaf}"
        n = getattr(leaf, "N", 0)
        if leaf.kind in ("cores", "threads", "nodes", "tasks") and n > 1:
            fewer = type(leaf)(data.draw(st.integers(1, n - 1)))
            if leaf.kind == "tasks" and large.get("nodes") is not None and fewer.N < large.get("nodes").N:
                continue
            assert pool.request(combine([*rest, fewer])), f"{fewer} instead of {leaf}"
        if leaf.kind in ("memory", "disk"):
            assert pool.request(combine([*rest, leaf.of_bytes(data.draw(st.integers(0, leaf.size)))]))


@given(need=amounts(), hosts=st.lists(providers(), min_size=1, max_size=3), count=st.integers(1, 12))
def test_fit_says_how_many_copies_an_inventory_takes(need, hosts, count):
    pool = Pool([(f"h{at}", host) for at, host in enumerate(hosts)])
    answer = fit(need, pool.inventory(), count)
    taken = 0
    while taken < count and pool.request(need):
        pool.alloc(need)
        taken += 1
    assert answer.fits == taken
    assert bool(answer) is (taken == count)
