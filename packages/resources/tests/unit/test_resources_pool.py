"""Pools as users call them."""

import json
import os
import subprocess
import sys

import pytest
from resources import (
    AllocationError,
    Cores,
    Disk,
    Estimator,
    Gpus,
    InfeasibleRequest,
    InputError,
    InsufficientResources,
    Licenses,
    Memory,
    Node,
    Nodes,
    Pool,
    Tasks,
    Threads,
    TimeLimitExceeded,
    Token,
    WTime,
    current,
    parse,
)


class Clock:
    """Unix time that stands still until it is told."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_reads_like_this():
    pool = Pool.uniform("n[0-1562]", Node(64, 256))
    need = Cores(4) & Memory("8GB") & WTime("1:00:00")
    assert need == parse("cores=4 memory=8GB walltime=1:00:00")
    with pool.alloc(need) as got:
        assert (got.host, got.c, got.M) == ("n0", [0, 1, 2, 3], 8)
        assert 3590 < got.remaining() <= 3600
    assert pool.stat() == {"hosts": (1563, 1563), "cores": (100032, 100032), "memory": (1563 * 256 * 2**30,) * 2}
    elsewhere = pool.alloc(need)
    pool.dealloc(elsewhere)
    assert pool.request(need)
    assert str(pool.explain(need)) == "READY: fits now on n0"
    assert repr(Pool.uniform("a[0-1]", Cores(4))) == "<Pool: hosts 2 of 2 free, cores 8 of 8 free>"


def test_freed_once_and_not_elsewhere():
    pool, other = Pool.uniform("a", Node(4, 4)), Pool.uniform("a", Node(4, 4))
    got = pool.alloc(Cores(1))
    with pytest.raises(AllocationError, match="not granted by this pool"):
        other.dealloc(got)
    pool.dealloc(got)
    with pytest.raises(AllocationError, match="freed already"):
        pool.dealloc(got)
    with pytest.raises(AllocationError), got:
        pass
    with pytest.raises(AllocationError):
        pool.dealloc(Cores([0]))


def test_a_block_that_frees_early_is_fine():
    pool = Pool.uniform("a", Node(1, 1))
    with pool.alloc(Cores(1)) as got:
        pool.dealloc(got)
    assert pool.request(Cores(1))


def test_several_hosts():
    pool = Pool([("a[0-1]", Node(4, 16)), ("b[0-1]", Node(8, 32))])
    got = pool.alloc(Nodes(2) & Cores(6) & Memory(1))
    assert got.hosts == ["b0", "b1"]
    assert [part.resources.c for part in got.parts] == [[0, 1, 2, 3, 4, 5]] * 2
    with pytest.raises(AttributeError, match="spans 2 hosts"):
        _ = got.c


def test_tasks_are_placed_freely_or_spread_evenly():
    pool = Pool([("a[0-1]", Node(4, 16)), ("b[0-1]", Node(8, 32))])
    free = pool.alloc(Tasks(5) & Cores(3))
    assert [(part.host, part.tasks, part.resources.N) for part in free.parts] == [
        ("a0", 1, 3),
        ("a1", 1, 3),
        ("b0", 2, 6),
        ("b1", 1, 3),
    ]
    pool.dealloc(free)
    even = pool.alloc(Tasks(3) & Nodes(2) & Cores(3))
    assert [(part.host, part.tasks) for part in even.parts] == [("a0", 1), ("b0", 2)]
    pool.dealloc(even)
    one = pool.alloc(Tasks(2) & Nodes(1) & Cores(3))
    assert [(part.host, part.tasks, part.resources.N) for part in one.parts] == [("b0", 2, 6)]


def test_first_fit_and_best_fit():
    for policy, host in (("first-fit", "a"), ("best-fit", "b")):
        pool = Pool([("a", Node(8, 8)), ("b", Node(2, 8))], policy=policy)
        assert pool.alloc(Cores(2)).host == host
    with pytest.raises(InputError, match="first-fit"):
        Pool.uniform("a", Node(1, 1), policy="worst")


def test_gpu_ids_and_types():
    pool = Pool.uniform("g", Cores(8) & Gpus({"a100": 2, "v100": 2}))
    first, second = pool.alloc(Gpus(1, "v100")), pool.alloc(Gpus(3))
    assert (first.g, second.g) == ([2], [0, 1, 3])
    assert pool.explain(Gpus(1, "v100")).verdict == "BUSY"
    assert pool.explain(Gpus(1, "h100")).verdict == "INCOMPATIBLE"


def test_a_core_and_its_threads_go_to_one_holder():
    pool = Pool.uniform("h", Cores(2) & Threads(4))
    thread = pool.alloc(Threads(1))
    core = pool.alloc(Cores(1))
    assert (thread.t, core.c) == ([0], [1])
    with pytest.raises(InsufficientResources):
        pool.alloc(Cores(1))
    assert pool.alloc(Threads(1)).t == [2]  # the other thread of core 0


def test_a_host_of_2_sockets_64_cores_2_threads_has_128_and_256():
    pool = Pool.uniform("h", Cores(2 * 64) & Threads(2 * 64 * 2))
    assert pool.stat()["cores"] == (128, 128)
    assert pool.stat()["threads"] == (256, 256)
    assert pool.explain(Cores(129)).verdict == "INCOMPATIBLE"
    assert pool.request(Threads(256))


def test_explain_says_what_is_short_by_how_much_on_which_host():
    pool = Pool([("a", Node(4, 16)), ("b", Node(8, 32))])
    pool.alloc(Cores(8))
    answer = pool.explain(Cores(6) & Memory(20))
    assert answer.verdict == "BUSY"
    assert (answer.best_host, [(s.kind, s.needed, s.available, s.short) for s in answer.shortages]) == (
        "b",
        [("cores", 6, 0, 6)],
    )
    never = pool.explain(Cores(6) & Memory(40))
    assert never.verdict == "INCOMPATIBLE"
    assert never.best_host == "b"
    assert [(s.kind, s.short) for s in never.shortages] == [("memory", 8 * 2**30)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nodes=5 cores=1", "4 of 5 hosts find a place"),
        ("tasks=100 cores=1", "24 of 100 tasks find a place"),
        ("token=huge", "token huge is not offered (there is: big)"),
        ("licenses=matlab:3", "licenses of matlab short by 1 (needs 3, has 2)"),
        ("licenses=ansys:1", "licenses of ansys short by 1 (needs 1, has 0)"),
        ("gpus=1:v100", "gpus of type v100 (there are: 2 of a100) short by 1 (needs 1, has 0)"),
        ("disk=1GB", "disk short by 1GB (needs 1GB, has 0B)"),
        ("cores=1 threads=1", "the same silicon"),
        ("tasks=2 nodes=3 cores=1", "2 tasks can't be spread over 3 hosts"),
    ],
)
def test_every_refusal_has_its_reason(text, reason):
    pool = Pool(
        [("a[0-1]", Node(4, 16) & Gpus(2, "a100") & Token("big")), ("b[0-1]", Node(8, 32))],
        shared=Licenses("matlab", 2),
    )
    with pytest.raises(InfeasibleRequest) as caught:
        pool.alloc(parse(text))
    assert reason in str(caught.value)
    assert caught.value.answer.verdict == "INCOMPATIBLE"
    assert not pool.request(parse(text))


def test_licenses_are_of_the_pool_and_of_the_job():
    pool = Pool.uniform("a[0-3]", Node(4, 4), shared=Licenses("m", 2))
    got = pool.alloc(parse("nodes=3 cores=1 licenses=m:2"))
    assert got.licenses == {"m": 2}
    with pytest.raises(InsufficientResources):
        pool.alloc(Licenses("m"))
    pool.dealloc(got)
    assert pool.request(Licenses("m", 2))
    with pytest.raises(InputError, match="shared="):
        Pool.uniform("a", Node(1, 1) & Licenses("m"))


def test_drain():
    pool = Pool.uniform("a[0-1]", Node(4, 4))
    held = pool.alloc(Cores(1))
    pool.drain("a0")
    assert pool.alloc(Cores(1)).host == "a1"
    pool.drain(1)
    assert pool.explain(Cores(1)).verdict == "BUSY"
    assert pool.explain(Cores(1)).reason.endswith(
        "no host is up that can hold it; 2 hosts that could take it are not up"
    )
    pool.dealloc(held)
    pool.undrain("a0")
    assert pool.alloc(Cores(4)).host == "a0"
    with pytest.raises(InputError, match="no host"):
        pool.drain("b")


def test_one_name_may_occur_several_times():
    pool = Pool.uniform("vm,vm,vm,vm", Node(2, 4))
    got = pool.alloc(Nodes(4) & Cores(2))
    assert got.hosts == ["vm"] * 4
    assert [part.rank for part in got.parts] == [0, 1, 2, 3]


def test_deadlines_and_the_provider_s_own_time():
    clock = Clock()
    pool = Pool.uniform("a", Node(8, 8) & WTime(100), clock=clock)
    assert pool.explain(WTime(101)).verdict == "INCOMPATIBLE"
    clock.now += 40
    got = pool.alloc(WTime(90, softT=60))
    assert got.deadline == 1100.0  # the provider's end comes before the hard limit
    clock.now += 20
    assert got.remaining() == 40.0
    clock.now += 40
    with pytest.raises(InfeasibleRequest, match="time is up"):
        pool.alloc(Cores(1))


def test_a_limit_that_does_not_count_down_holds_for_every_run():
    clock = Clock()
    pool = Pool.uniform("queue", Node(8, 8) & WTime(100, countdown=False), clock=clock)
    clock.now += 1000
    assert pool.alloc(WTime(100)).deadline == 2100.0
    assert pool.alloc(Cores(1)).deadline == 2100.0
    assert not pool.request(WTime(101))


def test_groups_learn_their_limits():
    clock = Clock()
    pool = Pool.uniform("a", Node(1, 1), clock=clock, estimator=Estimator(floor=0))
    need = Cores(1) & WTime(group="g1")
    for seconds in [5, 100, 110, 90, 100, 105, 95, 100, 100]:
        with pool.alloc(need) as got:
            assert got.deadline is None
            clock.now += seconds
    with pytest.raises(RuntimeError), pool.alloc(need):
        clock.now += 1
        raise RuntimeError  # a run that failed teaches nothing
    got = pool.alloc(need)
    # the 8 runs above 10 s: mean 100, standard deviation of the sample sqrt(250 / 7) = 5.98
    assert (got.T, got.softT) == (130, 112)
    assert got.remaining() == 130
    assert got.job == WTime(130, 112, "g1")
    hosts = Pool.uniform("a", Node(1, 1) & WTime(112, countdown=False), clock=clock, estimator=pool.estimator)
    assert hosts.request(need)  # until the soft limit is enough
    hosts = Pool.uniform("a", Node(1, 1) & WTime(111, countdown=False), clock=clock, estimator=pool.estimator)
    assert not hosts.request(need)


def test_a_run_that_is_given_back_by_hand_teaches_its_group_unless_told_otherwise():
    clock = Clock()
    pool = Pool.uniform("a", Node(1, 1), clock=clock, estimator=Estimator(floor=0))
    for counts in [False] * 8 + [True] * 8:
        assert pool.estimator.limits("g") is None
        got = pool.alloc(Cores(1) & WTime(group="g"))
        clock.now += 100
        pool.dealloc(got, counts=False) if not counts else pool.dealloc(got)
    assert pool.estimator.limits("g") == (100, 100)


async def _over_time(pool):
    import asyncio

    with pool.alloc(Cores(1) & WTime(1)) as got:
        got._deadline = pool.clock() + 0.01
        async with got.time_limit():
            await asyncio.sleep(30)


def test_asyncio_time_limit():
    import asyncio

    with pytest.raises(TimeLimitExceeded, match="time limit"):
        asyncio.run(_over_time(Pool.uniform("a", Node(1, 1))))

    async def in_time():
        with Pool.uniform("a", Node(1, 1)).alloc(WTime(100)) as got:
            async with got.time_limit():
                return current() is got

    assert asyncio.run(in_time())
    assert current() is None


CHILD = """
import json, os
from resources import current
got = current()
print(json.dumps([got.host, got.c, got.M, got.g, got.remaining() > 0, os.environ["CUDA_VISIBLE_DEVICES"]]))
"""


def test_a_child_process_knows_what_it_was_given():
    pool = Pool.uniform("a", Node(8, 16) & Gpus(4, "a100"))
    pool.alloc(Cores(2) & Gpus(1))
    got = pool.alloc(Cores(2) & Memory(3) & Gpus(2) & WTime(60))
    made = subprocess.run(
        [sys.executable, "-c", CHILD], env={**os.environ, **got.environ()}, check=True, capture_output=True, text=True
    )
    assert json.loads(made.stdout) == ["a", [2, 3], 3, [1, 2], True, "1,2"]
    assert pool.alloc(Cores(1)).environ()["CUDA_VISIBLE_DEVICES"] == ""  # sees no GPU of others
    assert "CUDA_VISIBLE_DEVICES" not in Pool.uniform("a", Node(1, 1)).alloc(Cores(1)).environ()


def test_a_spoilt_environment_is_one_clear_error(monkeypatch):
    monkeypatch.setenv("RESOURCES_ALLOCATION", '{"type": "allocation"}')
    with pytest.raises(InputError, match="missing"):
        current()


def test_binding_keeps_to_the_cores_that_were_given():
    pool = Pool.this_machine()
    got = pool.alloc(Cores(1))
    code = "import os; from resources import current; print(sorted(current().bind()), sorted(os.sched_getaffinity(0)))"
    made = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **got.environ()}, check=True, capture_output=True, text=True
    )
    bound, affinity = made.stdout.strip().split("] ")
    assert bound.lstrip("[") == affinity.strip("[]")
    assert set(map(int, affinity.strip("[]").split(","))) == got.cpus()


def test_this_machine_gives_what_this_process_may_use():
    stat = Pool.this_machine().stat()
    assert 1 <= stat["cores"][1] <= len(os.sched_getaffinity(0))
    assert stat["memory"][1] > 2**20
    assert Pool.this_machine(cores=1).stat()["cores"] == (1, 1)
    assert Pool.this_machine(cores=1000).stat()["cores"] == (1000, 1000)


def test_a_pool_from_a_table():
    pool = Pool.from_toml(
        'hosts = "w[1-2]"\ncores = 8\nmemory = "32GB"\nwalltime = "24:00:00"\ntokens = ["big", "ssd"]\n'
        'disk = 100\n[licenses]\nmatlab = 3\n[gpus]\ncount = 2\ntype = "a100"\n'
    )
    got = pool.alloc(parse("nodes=2 cores=8 memory=32GB gpus=2:a100 disk=100GB token=ssd licenses=matlab:3"))
    assert got.hosts == ["w1", "w2"]
    assert pool.explain(parse("walltime=1-00:00:01")).verdict == "INCOMPATIBLE"
    assert Pool.from_config({"cores": 2}).stat()["cores"] == (2, 2)
    groups = Pool.from_config({"groups": [{"hosts": "a", "cores": 1}, {"hosts": "b[0-1]", "cores": 2}]})
    assert groups.stat()["cores"] == (5, 5)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"core": 4}, "did you mean 'cores'"),
        ({"cores": "four"}, "cores: cores must be a whole number"),
        ({"groups": [{"hosts": "a", "memory": "8X"}]}, r"groups\[0\].memory"),
        ({"groups": [], "cores": 1}, "beside groups"),
        ({"cores": 1, "hosts": "a["}, "hosts"),
        ([], "table"),
    ],
)
def test_a_bad_table_says_where(table, says):
    with pytest.raises(InputError, match=says):
        Pool.from_config(table)


def test_memory_does_not_grow_with_requests_served():
    pool = Pool.uniform("n[0-9]", Node(8, 32))
    for i in range(20000):
        need = Cores(1) & Memory(f"{i + 1}KB")
        pool.dealloc(pool.alloc(need))
    assert len(pool._shapes) <= 4096
    assert sum(len(column.levels) for column in pool.columns.values()) < 200


def test_a_disk_only_request():
    pool = Pool.uniform("a", Node(1, 1) & Disk("10GB"))
    assert pool.alloc(Disk("4GB")).disk == 4
    assert pool.explain(Disk("7GB")).shortages[0].short == 2**30
