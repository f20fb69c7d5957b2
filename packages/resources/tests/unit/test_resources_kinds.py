"""The document's names, each as it says, and the kinds beside them."""

import math

import pytest
from resources import (
    ZERO,
    CombineError,
    Cores,
    Disk,
    Gpus,
    InputError,
    Licenses,
    Memory,
    Node,
    Nodes,
    Tasks,
    Threads,
    Token,
    UnknownKind,
    WTime,
    parse,
)


def test_requested_and_allocated_roles_of_the_document():
    worker = Node(8, 16)
    got = worker.alloc(Cores(3) & Memory(8))
    assert got.c == [0, 1, 2]
    assert got.N == 3
    assert got.M == 8
    assert worker.alloc(Cores(2)).c == [3, 4]
    assert not hasattr(Cores(3), "c")  # which cores is known once they are allocated


def test_an_allocation_is_a_request_elsewhere():
    there = Node(4, 8)
    assert there.request(Node(8, 16).alloc(Cores(4)))
    assert not there.request(Node(8, 16).alloc(Cores(5)))


def test_node_is_cores_and_memory():
    assert Node(N=1, M=8) == Cores(1) & Memory(8)
    both = Node(N=1, M=8) & WTime(group="g1")
    assert (both.N, both.M, both.group) == (1, 8, "g1")


@pytest.mark.parametrize(
    "text", ["8GB", "8GiB", "8Gi", "8192MB", "8G", "8 GB", "8gb", "8388608KB", "8589934592B", "0.0078125TB"]
)
def test_memory_units_are_powers_of_1024(text):
    assert Memory(text) == Memory(8)
    assert Memory(text).size == 8 * 2**30


def test_memory_is_gigabytes_int_or_float():
    assert Memory(1.5).M == 1.5
    assert Memory(8).M == 8
    assert isinstance(Memory(8).M, int)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (90, 90),
        ("90", 90),
        ("1:00:00", 3600),
        ("01:02:03", 3723),
        ("2-00:00:00", 172800),
        ("1-23:59:59", 172799),
        ("100:00:00", 360000),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1d", 86400),
        ("1d12h", 129600),
        ("1.5h", 5400),
    ],
)
def test_times(given, seconds):
    assert seconds == WTime(given).T
    assert WTime(T=given).softT == seconds  # the same value unless it is given


@pytest.mark.parametrize(
    "text", ["4:00", "0:30", "", "unlimited", "1:60:00", "1:00:60", "1-24:00:00", "-1:00:00", "1h30", "∞", "1:00:00:00"]
)
def test_a_time_that_can_not_be_read_is_an_error_never_unlimited(text):
    with pytest.raises(InputError):
        WTime(text)


def test_two_part_times_show_both_readings():
    with pytest.raises(InputError, match=r"0:04:00.*4:00:00"):
        parse("walltime=4:00")


@pytest.mark.parametrize("text", ["", "8X", "GB", "8 8", "lots", "-1", "1e3GB", "0x10", "8GBB", "nan", "inf"])
def test_a_size_that_can_not_be_read_is_an_error(text):
    with pytest.raises(InputError):
        Memory(text)


@pytest.mark.parametrize("make", [Cores, Threads, Memory, Disk, Gpus, WTime, Tasks, Nodes])
@pytest.mark.parametrize("bad", [-1, True, math.nan, math.inf, None, object(), b"4", {}, 2**64])
def test_bad_amounts_are_refused(make, bad):
    with pytest.raises(InputError):
        make(bad)


@pytest.mark.parametrize("ids", [[1, 1], [-1], [True], ["1"], [1.0], [2**40]])
def test_bad_ids_are_refused(ids):
    with pytest.raises(InputError):
        Cores(ids)


def test_cores_and_threads_are_different_things():
    host = Cores(128) & Threads(256)
    assert host.N == 128
    assert host.threads == 256
    assert Cores(4) != Threads(4)
    assert not Cores(8).request(Threads(4))


def test_tokens_match_exactly():
    worker = Node(1, 1) & Token("big")
    assert worker.request(Token("big"))
    assert not worker.request(Token("Big"))
    assert not Node(1, 1).request(Token("big"))
    assert worker.request(Cores(1))
    assert Token("big").token == "big"


def test_same_kind_is_refused_and_operands_stay_untouched():
    left, right = Cores(2), Memory(4)
    both = left & right
    both.alloc(Cores(2))
    assert (left, right) == (Cores(2), Memory(4))
    assert left.request(Cores(2))
    with pytest.raises(CombineError, match="memory"):
        _ = both & Memory(1)
    with pytest.raises(CombineError):
        _ = left & 3


def test_zero_is_nothing():
    assert ZERO & Cores(1) == Cores(1) == Cores(1) & ZERO
    assert Node(1, 1).request(ZERO)
    assert str(ZERO) == ""
    assert parse("") == ZERO


def test_gpus_by_type_and_any():
    host = Gpus({"a100": 2, "v100": 1})
    assert host.alloc(Gpus(1, "v100")).g == [2]
    assert host.alloc(Gpus(2)).g == [0, 1]
    assert not host.request(Gpus(1))
    assert not Gpus(4).request(Gpus(1, "a100"))  # a provider that does not say its type


def test_licenses_by_name():
    pool = Licenses({"ansys": 1, "matlab": 2})
    held = pool.alloc(Licenses("matlab", 2))
    assert not pool.request(Licenses("matlab"))
    assert pool.request(Licenses("ansys"))
    pool.dealloc(held)
    assert pool.request(Licenses("matlab", 2))


def test_a_provider_whose_time_is_up_refuses_new_work_and_says_so():
    now = [0.0]
    limit = WTime(100)
    limit.start(lambda: now[0])
    worker = Node(4, 4) & limit
    assert worker.request(WTime(100) & Cores(1))
    now[0] = 60.0
    assert not worker.request(WTime(41))
    assert worker.request(WTime("60", softT=40))  # the soft limit decides
    now[0] = 100.0
    assert not worker.request(Cores(1))
    assert "time is up" in worker.explain(Cores(1)).reason


def test_unknown_kinds_say_what_was_meant():
    with pytest.raises(UnknownKind, match="did you mean 'cores'"):
        parse("core=4")


def test_errors_say_where():
    with pytest.raises(InputError) as caught:
        parse("cores=4 memory=8XB")
    assert caught.value.place == "column 9"


@pytest.mark.parametrize(
    "text",
    [
        "nodes=2 cores=4 memory=8GB gpus=2:a100 walltime=1:00:00 token=big",
        "tasks=8 threads=2 disk=100GB licenses=ansys:1,matlab:2",
        'gpus=4:a100,2:v100 token="a b","c,d"',
        "cores=[0-3,7] gpus=[1,3]:a100",
        "walltime=1:00:00,softT=0:50:00,group=g1,countdown=true",
    ],
)
def test_text_reads_back_as_written(text):
    need = parse(text)
    assert str(need) == text
    names = {k.__name__: k for k in (Cores, Disk, Gpus, Licenses, Memory, Nodes, Tasks, Threads, Token, WTime)}
    assert eval(repr(need), names) == need
