"""The public contracts, run on what is built in and on the shipped example."""

import pytest
from resources import Cores, Disk, Gpus, Licenses, Memory, Pool, Threads, Token, WTime, parse
from resources.kinds import REGISTRY
from resources.testing import check_kind, check_registry


@pytest.mark.parametrize(
    "make",
    [Cores, Threads, Memory, Disk, Gpus, lambda n: Gpus(n, "a100"), lambda n: Licenses("x", n)],
    ids=["cores", "threads", "memory", "disk", "gpus", "typed gpus", "licenses"],
)
def test_counted_kinds(make):
    check_kind(make)


@pytest.mark.parametrize("make", [lambda n: WTime(n * 60), lambda n: Token("big")], ids=["walltime", "token"])
def test_kinds_that_are_not_used_up(make):
    check_kind(make)


def test_the_registry_of_kinds():
    check_registry(REGISTRY)
    built_in = ["cores", "disk", "gpus", "licenses", "memory", "nodes", "tasks", "threads", "token", "walltime"]
    assert [line.name for line in REGISTRY.listing() if line.found.origin == "built-in"] == built_in


def test_the_example_kind_is_like_a_built_in_one(bandwidth):
    check_kind(bandwidth)
    check_registry(REGISTRY)
    need = parse("cores=1 bandwidth=25")
    assert need == Cores(1) & bandwidth(25)
    assert need.gbps == 25
    pool = Pool.from_config({"hosts": "a[0-1]", "cores": 8, "bandwidth": 100})
    held = [pool.alloc(need) for _ in range(8)]
    assert [got.host for got in held] == ["a0"] * 4 + ["a1"] * 4
    assert pool.explain(need).verdict == "BUSY"
    assert "Bandwidth(25) does not fit" in pool.explain(need).reason
    assert pool.explain(parse("bandwidth=101")).verdict == "INCOMPATIBLE"
    for got in held:
        pool.dealloc(got)
    assert pool.stat()["bandwidth"] == (200, 200)
    assert [p.tasks for p in pool.alloc(parse("tasks=6 bandwidth=25")).parts] == [4, 2]
    assert pool.inventory().from_text(pool.inventory().to_text()) == pool.inventory()


class Failing(Exception):
    pass


def test_a_check_that_fails_says_why():
    class Leaky(Cores):
        def _dealloc(self, res):
            """Forgets to put back."""

    Leaky.kind = "cores"
    with pytest.raises(AssertionError, match=r"text does not read back|freed in another order"):
        check_kind(Leaky)
