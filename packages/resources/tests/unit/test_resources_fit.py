"""Fitting several copies, and amounts of zero: what is said to never fit never does."""

from itertools import combinations

import pytest
from resources import Cores, InfeasibleRequest, Licenses, Node, Pool, fit, parse


def most_by_trying(rooms, nodes):
    """How many copies of a request for so many different hosts fit, by trying every choice."""
    tried = [
        most_by_trying([room - (at in hosts) for at, room in enumerate(rooms)], nodes)
        for hosts in combinations([at for at, room in enumerate(rooms) if room], nodes)
    ]
    return max((1 + one for one in tried), default=0)


@pytest.mark.parametrize("rooms", [(2, 2, 2), (1, 1, 2), (1, 2, 3), (3, 1, 1, 1), (4, 1, 1), (2, 2, 1, 1), (5, 0, 0)])
@pytest.mark.parametrize("request_", ["nodes=2 cores=1", "nodes=2 tasks=2 cores=1", "nodes=2 tasks=4 cores=1"])
def test_copies_over_several_hosts_are_not_miscounted_by_placing_them_in_order(rooms, request_):
    need = parse(request_)
    tasks = need.get("tasks")
    each = 1 if tasks is None else tasks.N // 2
    inventory = Pool([(f"h{at}", Cores(room * each)) for at, room in enumerate(rooms)]).inventory()
    most = most_by_trying(rooms, 2)
    if most:
        assert fit(need, inventory, most).verdict == "READY"
        assert fit(need, inventory, most + 1).fits == most
    assert fit(need, inventory, most + 1).verdict == "INCOMPATIBLE"


def test_copies_over_several_hosts_are_bounded_by_licenses_too():
    pool = Pool.uniform("n[0-3]", Node(8, 8), shared=Licenses("x", 5))
    answer = fit(parse("nodes=2 cores=1 licenses=x:2"), pool.inventory(), 3)
    assert (answer.verdict, answer.fits) == ("INCOMPATIBLE", 2)
    with pool.alloc(parse("licenses=x:2")):
        answer = fit(parse("nodes=2 cores=1 licenses=x:2"), pool.inventory(), 2)
        assert (answer.verdict, answer.fits) == ("BUSY", 1)
        assert "licenses of x short by 1" in answer.reason


@pytest.mark.parametrize("nothing", ["gpus=0", "gpus=0:a100", "disk=0", "threads=0", "licenses=x:0"])
def test_none_of_a_kind_fits_where_there_is_none(nothing):
    need = parse(f"cores=1 {nothing}")
    mixed = Pool([("a", Cores(4)), ("b", parse("cores=4 gpus=1:a100 disk=1GB"))])
    for pool in (Pool.uniform("a", Cores(4)), mixed):
        if "threads" not in nothing:
            before = pool.stat()
            with pool.alloc(need) as got:
                assert (got.host, got.c) == ("a", [0])
                assert "gpus" not in nothing or got.g == []
            assert pool.stat() == before
    host = Cores(4)
    with host.alloc(parse(nothing)):
        assert host.stat() == {"cores": (4, 4)}
    with pytest.raises(InfeasibleRequest):
        Pool.uniform("a", Cores(4)).alloc(parse("cores=1 gpus=1"))


def test_a_number_of_licenses_in_quotes_is_a_number():
    assert Licenses({"x": "2"}) == Licenses("x", 2)
    assert Licenses.from_json({"x": "2"}).stat() == {"licenses": (2, 2)}
