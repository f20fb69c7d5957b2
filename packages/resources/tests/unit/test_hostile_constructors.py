"""What no constructor takes, in every kind: one clear InputError, and texts that nobody types by accident."""

import itertools
import math
import time
from decimal import Decimal

import pytest
from resources import (
    CombineError,
    Cores,
    Disk,
    Gpus,
    InputError,
    Licenses,
    Memory,
    Node,
    Nodes,
    Pool,
    Tasks,
    Threads,
    Token,
    WTime,
    parse,
)
from resources.documents import Group
from resources.kinds import REGISTRY

NEVER = [
    -1, -0.5, -(2**70), True, False, math.nan, math.inf, -math.inf, None, object(), b"4", {}, 2**63, 10**400, 1e300,
    1 + 2j, Decimal(4), slice(1), Cores(1), Cores, "-1", "nan", "inf", "", " ", "four", "1e3", "0x10", "٣", "1_0",
    "9" * 5000, "\x00", "\ud800", "4\n4", "unlimited", "infinite", "none", "null", "true",
]  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        Cores,
        Threads,
        Memory,
        Disk,
        Gpus,
        WTime,
        Tasks,
        Nodes,
        lambda n: Licenses("m", n),
        lambda n: Gpus(n, "a"),
        lambda n: Gpus({"a": n, "b": 1}),
        lambda n: Node(n, 1),
        lambda n: Node(1, n),
        lambda n: WTime(100, softT=n) if n is not None else WTime(),
        Memory.of_bytes,
        lambda n: Licenses({"m": 1, "n": n}),
    ],
)
@pytest.mark.parametrize("bad", NEVER, ids=lambda bad: repr(bad)[:20])
def test_no_constructor_takes_it(make, bad):
    with pytest.raises((InputError, CombineError)) as caught:
        make(bad)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    assert len(text) < 300


@pytest.mark.parametrize("make", [Cores, Threads, Gpus, lambda ids: Gpus(ids, "a"), lambda ids: Gpus({"a": ids})])
@pytest.mark.parametrize(
    "ids",
    [
        [1, 1],
        [0, 5, 0],
        [-1],
        [True],
        [1, True],
        [1.0],
        ["1"],
        [None],
        [[1]],
        [2**20],
        [10**30],
        (1, 1),
        itertools.repeat(1),
    ],
    ids=repr,
)
def test_bad_ids_are_refused(make, ids):
    with pytest.raises(InputError, match=r"ids?"):
        make(ids)


def test_ids_without_end_are_refused_in_time():
    start = time.process_time()
    with pytest.raises(InputError):
        Cores(itertools.count())
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gpus({"a": [0, 1], "b": [1]}),
        lambda: Gpus({"a": [0], "b": 1}),
        lambda: Gpus({"": 1, "a": 1}),
        lambda: Gpus({1: 1}),
        lambda: Gpus(1, ""),
        lambda: Gpus(1, "\n"),
        lambda: Gpus(1, 1),
        lambda: Gpus({"a": 1}, "b"),
        lambda: Token(""),
        lambda: Token([]),
        lambda: Token(["a", "a"]),
        lambda: Token(["a", 1]),
        lambda: Token(5),
        lambda: Token(None),
        lambda: Token(b"a"),
        lambda: Token("a\nb"),
        lambda: Token("\ud800"),
        lambda: Token("\x1b[31m"),
        lambda: Licenses(""),
        lambda: Licenses({}),
        lambda: Licenses({"": 1}),
        lambda: Licenses({1: 1}),
        lambda: Licenses("x" * 2**20, -1),
        lambda: Licenses("\n"),
        lambda: Licenses(5),
        lambda: Licenses(None),
        lambda: Licenses([("a", 1)]),
        lambda: WTime(),
        lambda: WTime(1, softT=2),
        lambda: WTime(group=""),
        lambda: WTime(group="\n"),
        lambda: WTime(group=5),
        lambda: WTime(1, countdown=1),
        lambda: WTime(1, countdown="true"),
        lambda: WTime("4:00"),
        lambda: WTime([1]),
        lambda: Memory("4.GB"),
        lambda: Memory(".5GB"),
        lambda: Memory("8 8GB"),
        lambda: Memory("-0GB"),
        lambda: Group((), (), Cores(1), None),
        lambda: Group(("a",), (0, 1), Cores(1), None),
        lambda: Group(("a",), (0,), Cores(1), Cores(2)),
        lambda: Group(("a",), (0,), Cores([1]), Cores([0])),
        lambda: Group(("a",), (0,), Cores(1), None, "sideways"),
        lambda: Pool([]),
        lambda: Pool.uniform("", Cores(1)),
        lambda: Pool.uniform("a[", Cores(1)),
        lambda: Pool.uniform("a", Cores(1), policy="worst-fit"),
        lambda: Pool.uniform("a", Cores(1), policy=None),
        lambda: Pool.uniform("a", None),
        lambda: Pool.uniform("a", "cores=1"),
        lambda: Pool.uniform([1], Cores(1)),
        lambda: Pool.uniform(["a b"], Cores(1)),
        lambda: Pool.uniform("a", Cores(2**40)),
        lambda: Pool.uniform("a", Licenses("m")),
        lambda: Pool.uniform("a", Cores(1), shared="licenses=m:1"),
    ],
)
def test_other_things_that_are_refused(make):
    with pytest.raises(InputError) as caught:
        make()
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", REGISTRY.names())
@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        ",,",
        "=",
        ":",
        "1:",
        ":1",
        "[",
        "]",
        "[]]",
        "[1",
        "1,",
        '"',
        '"x',
        'x"',
        '"\\',
        '"\\ud800"',
        "'",
        "-1",
        "1 1",
        "x" * 2**16,
        "," * 2**16,
        '"' * 2**16,
        "[" * 2**16,
        "1," * 2**15,
        '"\\' * 2**15,
        "\ud800",
        "\x00",
        "T=1,T=1",
        "softT=",
        "group=,",
        "countdown=maybe",
        "group=a,group=a",
        "a:b:c",
        "2:a,2:a",
        "m:1,m:1",
    ],
    ids=lambda value: repr(value[:12]),
)
def test_the_text_of_a_kind_is_read_or_refused_at_its_place(kind, value):
    start = time.process_time()
    for text in (f"{kind}={value}", f"cores=1 {kind}={value}", f"{kind}={value} x"):
        try:
            made = parse(text)
        except InputError as error:
            assert error.place.startswith("column ")
            assert len(str(error)) < 1000
            assert str(error).isprintable()
        else:
            assert parse(str(made)) == made
    assert time.process_time() - start < 1.5  # of this process: what others run does not count


@pytest.mark.parametrize("text", [None, 3, b"cores=1", ["cores=1"], True, object()])
def test_only_text_is_parsed(text):
    with pytest.raises(InputError):
        parse(text)


def test_a_text_of_more_than_a_megabyte_is_no_request():
    with pytest.raises(InputError, match="characters"):
        parse("cores=1" + " " * 2**20)
