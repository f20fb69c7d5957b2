"""What a refusal says is true: of hosts away or silent, of licenses, of kinds of others, and of the best host."""

import asyncio

import pytest
from resources import (
    AllocationError,
    Cores,
    Gpus,
    InputError,
    InsufficientResources,
    Inventory,
    Memory,
    Node,
    Pool,
    Tasks,
    TimeLimitExceeded,
    WTime,
    current,
    fit,
    parse,
)
from resources.allocation import Granted


def inventory(*lines):
    return Inventory.from_text("\n".join(["inventory version=1", *lines]))


def test_a_silent_host_matters_only_where_it_could_take_the_request():
    found = inventory("hosts=a,b | cores=4 | cores=1", "hosts=c state=unknown | cores=2 | unknown")
    assert fit(parse("cores=3"), found).verdict == "BUSY"
    answer = fit(parse("cores=2"), found)
    assert answer.verdict == "UNKNOWN"
    assert answer.reason.startswith("may fit: 1 host does not say what is free; on the others")
    assert [str(short) for short in answer.shortages] == ["cores short by 1 (needs 2, has 1)"]
    two = inventory("hosts=a | cores=4 | cores=1", "hosts=c,d state=unknown | cores=2 | unknown")
    assert fit(parse("cores=2"), two).reason.startswith("may fit: 2 hosts do not say what is free; on the others")
    assert fit(parse("nodes=2 cores=2"), found).verdict == "BUSY"  # one silent host is not two
    assert fit(parse("tasks=3 cores=2"), found).verdict == "BUSY"
    verdicts = [fit(parse(f"tasks={n} cores=1"), found).verdict for n in (2, 3, 4, 5)]
    assert verdicts == ["READY", "UNKNOWN", "UNKNOWN", "BUSY"]


def test_the_number_of_hosts_is_short_where_two_can_never_be_had():
    found = inventory("hosts=a | cores=4", "hosts=b | cores=1")
    answer = fit(parse("nodes=2 cores=4"), found)
    assert (answer.verdict, [short.kind for short in answer.shortages]) == ("INCOMPATIBLE", ["hosts", "cores"])


def test_what_is_free_on_a_host_has_the_host_s_own_time():
    pool = Pool.uniform("queue", Node(8, 8) & WTime(100, countdown=False))
    pool.alloc(Cores(3))
    assert pool.inventory().groups[0].free == Cores([3, 4, 5, 6, 7]) & Memory(8) & WTime(100, countdown=False)


def test_licenses_that_nobody_told_of_are_unknown_and_not_short():
    found = inventory("hosts=a | cores=4", "shared | licenses=x:2 | unknown")
    answer = fit(parse("cores=1 licenses=x:1"), found)
    assert (answer.verdict, answer.shortages) == ("UNKNOWN", ())
    assert "licenses" in answer.reason
    assert fit(parse("cores=1 licenses=x:3"), found).verdict == "INCOMPATIBLE"
    assert fit(parse("cores=1"), found).verdict == "READY"
    assert Pool.from_inventory(found).inventory().shared_free is None
    silent = inventory("hosts=a | cores=4 | unknown", "shared | licenses=x:2 | licenses=x:0")
    assert fit(parse("cores=1 licenses=x:1"), silent).verdict == "BUSY"  # whatever is free on the host


def test_hosts_that_are_away_are_told_where_they_could_take_it():
    pool = Pool([("small", Cores(2)), ("big[0-1]", Cores(64))])
    pool.drain("big[0-1]")
    assert pool.explain(Cores(2)).verdict == "READY"
    assert pool.explain(Cores(8)).reason.endswith("; 2 hosts that could take it are not up")
    pool.undrain("big0")
    assert pool.explain(parse("nodes=2 cores=8")).reason == (
        "does not fit now: 1 of 2 hosts find a place; cores short by 6 (needs 8, has 2) on small, the best host;"
        " 1 host that could take it is not up"
    )


def test_the_best_host_is_one_that_can_ever_hold_it():
    pool = Pool([("small", Cores(3)), ("big", Cores(64))])
    pool.alloc(Cores(60))
    pool.alloc(Cores(3))
    assert pool.explain(Cores(5)).best_host == "big"


def test_gpus_of_another_type_are_named():
    reason = Pool.uniform("a", Gpus(2, "a100")).explain(Gpus(1, "A100")).reason
    assert "gpus of type A100 (there are: 2 of a100) short by 1" in reason
    assert "(there are: 2 without a type)" in Pool.uniform("a", Gpus(2)).explain(Gpus(1, "a100")).reason


def test_a_run_as_long_as_the_limit_of_the_hosts_fits_an_inventory():
    found = inventory("hosts=a | cores=4 walltime=24:00:00")
    assert fit(parse("walltime=24:00:00"), found, 4).verdict == "READY"
    assert fit(parse("walltime=1-00:00:01"), found).verdict == "INCOMPATIBLE"


def test_a_spread_is_explained_by_what_a_host_of_it_needs():
    pool = Pool.uniform("n[0-1]", Cores(4))
    pool.alloc(Cores(3))
    assert "cores short by 3 (needs 4, has 1) on n0" in pool.explain(parse("nodes=2 tasks=4 cores=2")).reason


def test_a_kind_of_others_says_what_is_left_of_it(bandwidth):
    found = inventory(
        "hosts=a,b | cores=4 bandwidth=100 | cores=4 bandwidth=40", "hosts=c | cores=4 bandwidth=100 | cores=4"
    )
    pool = Pool.from_inventory(found)
    assert pool.stat()["bandwidth"] == (80, 300)
    assert [pool.alloc(bandwidth(30)).host for _ in range(2)] == ["a", "b"]  # each host has its own
    with pytest.raises(InsufficientResources, match=r"Bandwidth\(30\) does not fit \(free: 10 of 40\) on a"):
        pool.alloc(bandwidth(30))  # c says nothing of it, so nothing of it is free there
    assert str(found.groups[0].free) == "cores=4 bandwidth=40"


def test_what_is_free_is_what_could_be_granted():
    found = inventory(
        "hosts=a | cores=4 | cores=1",
        "hosts=b state=down | cores=4",
        "hosts=c state=drained | cores=4",
        "hosts=d | cores=4 | unknown",
    )
    pool = Pool.from_inventory(found)
    assert pool.stat() == {"hosts": (1, 4), "cores": (1, 16)}
    assert [group.state for group in pool.inventory().groups] == ["up", "down", "drained", "unknown"]
    pool.undrain("a,b,c,d")
    assert pool.stat() == {"hosts": (2, 4), "cores": (5, 16)}  # b does not come up by being wished so


def test_what_a_pool_would_never_use_is_no_provider():
    with pytest.raises(InputError, match="shares licenses"):
        Pool.uniform("a", Cores(1), shared=Cores(4))
    with pytest.raises(InputError, match=r"nodes is of requests.*hosts="):
        Pool.from_config({"nodes": 4, "cores": 2})
    with pytest.raises(InputError, match="tasks is of requests"):
        Pool.uniform("a", Cores(1) & Tasks(2))


def test_a_file_name_is_no_toml():
    with pytest.raises(InputError, match=r"a file is given as a pathlib\.Path"):
        Pool.from_toml("pool.toml")


def test_an_allocation_is_held_by_one_with_block():
    pool = Pool.uniform("a", Node(4, 4))
    with pool.alloc(Cores(1)) as got:
        with pytest.raises(AllocationError, match="already"), got:
            pass
        assert got.live
    assert not got.live


def test_a_time_limit_says_whose_it_was():
    async def over(got):
        async with got.time_limit():
            await asyncio.sleep(10)

    with pytest.raises(TimeLimitExceeded, match=r"the time limit of 0:00:00 is reached"):
        asyncio.run(over(Pool.uniform("a", Cores(1)).alloc(Cores(1) & WTime(0))))
    now = [0.0]
    got = Pool.uniform("a", Cores(1) & WTime(5), clock=lambda: now[0]).alloc(Cores(1))
    now[0] = 6
    with pytest.raises(TimeLimitExceeded, match=r"the time limit of a itself is reached"):
        asyncio.run(over(got))


def test_a_pool_is_shown_as_people_write_it():
    assert repr(Pool.uniform("a", Node(4, 8))) == "<Pool: hosts 1 of 1 free, cores 4 of 4 free, memory 8GB of 8GB free>"


def test_an_allocation_that_cannot_be_read_is_said_to_be_of_the_environment(monkeypatch):
    monkeypatch.setenv("RESOURCES_ALLOCATION", "{")
    with pytest.raises(InputError, match="RESOURCES_ALLOCATION: line 1"):
        current()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"parts": [{"host": 1, "rank": 0, "tasks": 1, "resources": {}}]}, "parts[0]: host is a text"),
        ({"parts": [{"host": "a", "rank": 0, "tasks": 1, "resources": {"cores": "x"}}]}, "parts[0].resources.cores"),
        ({"job": {"walltime": []}}, "job.walltime"),
    ],
)
def test_what_is_wrong_in_an_allocation_is_told_with_its_place(change, place):
    document = {"type": "allocation", "version": 1, "parts": [], "job": {}, "start": 0, "deadline": None}
    document["parts"] = [{"host": "a", "rank": 0, "tasks": 1, "resources": {"cores": 1}}]
    assert Granted.from_json(document).remaining() is None
    with pytest.raises(InputError) as caught:
        Granted.from_json({**document, **change})
    assert place in str(caught.value)
