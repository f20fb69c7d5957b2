"""All or nothing, with a fault at each leaf and at each call."""

import copy
import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resources import (
    AllocationError,
    Cores,
    Disk,
    Gpus,
    InsufficientResources,
    Licenses,
    Memory,
    Node,
    Nodes,
    Pool,
    Tasks,
    Threads,
    Token,
    WTime,
)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Boom(BaseException):
    """Not even an Exception, as a KeyboardInterrupt is not."""


@pytest.fixture
def lanes(kinds):
    yield kinds["lanes"]
    kinds["lanes"].arm()


def fault():
    import sys

    return sys.modules["resources_lanes"].Fault


PARTS = [Cores(8), Threads(8), Memory(16), Gpus(4, "a100"), Disk(10), Licenses("m", 3), WTime(1000), Token("big")]
NEED = [Cores(2), Threads(2), Memory(3), Gpus(1), Disk(1), Licenses("m"), WTime(10), Token("big")]


def combined(parts):
    return functools.reduce(lambda a, b: a & b, parts)


@pytest.mark.parametrize("leaf", [type(part) for part in PARTS], ids=lambda leaf: leaf.kind)
@pytest.mark.parametrize("error", [RuntimeError, Boom])
def test_a_fault_in_any_leaf_leaves_a_provider_as_it_was(monkeypatch, leaf, error):
    provider = combined(PARTS)
    held = provider.alloc(combined(NEED))
    twin = copy.deepcopy(provider)

    def strike(self, res):
        for name in ("_taken", "_size", "_n"):  # half done
            if hasattr(self, name) and isinstance(getattr(self, name), int):
                setattr(self, name, 7)
        raise error

    for method, call in (
        ("_alloc", lambda: provider.alloc(combined(NEED))),
        ("_dealloc", lambda: provider.dealloc(held)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(leaf, method, strike)
            with pytest.raises(error):
                call()
        assert provider == twin
        assert provider.stat() == twin.stat()
    provider.dealloc(held)  # it is still held, and can still be freed, once
    assert provider == combined(PARTS)
    with pytest.raises(AllocationError):
        provider.dealloc(held)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_third_party_leaf_may_fail_half_done(lanes, place):
    parts = [Cores(8), Memory(16)]
    parts.insert(place, lanes(4))
    provider = combined(parts)
    twin = copy.deepcopy(provider)
    lanes.arm(alloc=[1])
    with pytest.raises(fault()):
        provider.alloc(lanes(1) & Node(1, 1))
    assert provider == twin
    assert vars(provider.get("lanes")) == vars(twin.get("lanes"))  # the attribute of the half-done call is gone too
    got = provider.alloc(lanes(1) & Node(1, 1))
    lanes.arm(dealloc=[1])
    taken = copy.deepcopy(provider)
    with pytest.raises(fault()), got:
        pass
    assert provider == taken
    provider.dealloc(got)
    assert provider == twin


def test_a_failed_call_leaves_a_provider_its_clock(lanes):
    clock = Clock()
    limit = WTime(100)
    limit.start(clock)
    provider = lanes(4) & Cores(4) & limit
    lanes.arm(alloc=[1])
    with pytest.raises(fault()):
        provider.alloc(lanes(1) & Cores(1) & WTime(10))
    clock.now += 95
    assert not provider.request(WTime(10))
    clock.now += 5
    assert not provider.request(Cores(1))


def state(pool):
    return pool.inventory(), pool.stat(), [leaf.lanes for leaf in pool.custom["lanes"].values()], pool.shared.stat()


@given(data=st.data())
def test_a_fault_at_any_call_leaves_a_pool_as_it_was(kinds, data):
    lanes = kinds["lanes"]
    lanes.arm()
    policy = data.draw(st.sampled_from(["first-fit", "best-fit"]))
    host = Cores(8) & Threads(16) & Memory(8) & Gpus(2) & lanes(6)
    pool = Pool([("a[0-1]", host), ("b[0-1]", host & Token("big"))], shared=Licenses("m", 4), policy=policy)
    before_all = state(pool)
    held = []
    for _ in range(data.draw(st.integers(1, 6))):
        need = lanes(data.draw(st.integers(0, 2))) & Memory(1) & data.draw(st.sampled_from([Cores(1), Threads(3)]))
        need = need & data.draw(st.sampled_from([Nodes(3), Tasks(5), Nodes(2) & Tasks(5), Licenses("m"), Gpus(1)]))
        before = state(pool)
        lanes.arm(alloc=[data.draw(st.integers(1, 4))], dealloc=data.draw(st.sampled_from([[], [1], [2]])))
        try:
            held.append(pool.alloc(need))
        except (fault(), InsufficientResources):
            assert state(pool) == before
        if held and data.draw(st.booleans()):
            got = held.pop()
            before = state(pool)
            lanes.arm(dealloc=[data.draw(st.integers(1, 3))])
            try:
                pool.dealloc(got)
            except fault():
                assert state(pool) == before
                assert got.live
                held.append(got)
    lanes.arm()
    for got in held:
        pool.dealloc(got)
    assert state(pool) == before_all


@pytest.mark.parametrize("need", [Cores(1), Nodes(2) & Cores(1), Cores(1) & Licenses("m"), Cores(1) & WTime(5)])
def test_a_clock_that_fails_takes_nothing(need):
    clock = Clock()
    pool = Pool.uniform("a[0-1]", Node(4, 4), shared=Licenses("m", 1), clock=lambda: clock.now / clock.now * clock.now)
    before = pool.inventory(), pool.stat()
    clock.now = 0
    with pytest.raises(ZeroDivisionError):
        pool.alloc(need)
    assert (pool.inventory(), pool.stat()) == before


def test_a_kind_may_return_the_request_itself(kinds):
    rate = kinds["rate"]
    provider = rate(5) & Cores(4)
    need = rate(1)
    one, two = provider.alloc(need), provider.alloc(need)
    provider.dealloc(one)
    provider.dealloc(two)
    with pytest.raises(AllocationError):
        provider.dealloc(need)
