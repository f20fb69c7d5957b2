"""Numbers: exact, never drifting, and read as the specification says."""

import json
import random
import statistics
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resources import Cores, Disk, Estimator, Gpus, InputError, Licenses, Memory, Pool, WTime, parse, units
from resources.units import LARGEST

sizes = st.integers(0, LARGEST)
SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


# Kubernetes quantities


@given(
    st.integers(0, 10**12), st.integers(0, 12), st.sampled_from([*SUFFIXES, *BINARY, "e3", "E3", "e-3", "e+2", "E0"])
)
def test_a_quantity_is_the_fraction_it_writes(digits, places, suffix):
    number = f"{digits:0{places + 1}d}"
    text = (f"{number[:-places]}.{number[-places:]}" if places else number) + suffix
    expected = Fraction(digits, 10**places)
    if suffix in SUFFIXES:
        expected *= Fraction(10) ** SUFFIXES[suffix]
    elif suffix in BINARY:
        expected *= 1024 ** BINARY[suffix]
    else:
        expected *= Fraction(10) ** int(suffix[1:])
    assert units.quantity(text) == expected
    assert units.quantity("+" + text) == expected
    if expected <= LARGEST:
        assert units.memory_from_quantity(text) == ceil(expected)
    else:
        with pytest.raises(InputError):
            units.memory_from_quantity(text)
    if expected:
        with pytest.raises(InputError, match="negative"):
            units.quantity("-" + text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.7Gi", Fraction(27, 10) * 2**30),
        ("2899102924800m", Fraction(2899102924800, 1000)),
        ("1e3", 1000),
        ("500m", Fraction(1, 2)),
        ("128974848", 128974848),
        ("129e6", 129 * 10**6),
        ("129M", 129 * 10**6),
        ("123Mi", 123 * 2**20),
        ("0.1", Fraction(1, 10)),
        (".5", Fraction(1, 2)),
        ("1.", 1),
        ("1E", 10**18),
    ],
)
def test_quantities_of_the_manual(text, value):
    assert units.quantity(text) == value


@pytest.mark.parametrize(
    "bad",
    [
        "",
        ".",
        "m",
        "1 Gi",
        "1GB",
        "1K",
        "1ki",
        "1e",
        "1e1000",
        "0x1",
        "1,5",
        "-1",
        "1Gi ",
        "nan",
        "inf",
        "٣",
        None,
        True,
        [],
        "1" * 31,
        float("nan"),
        float("inf"),
    ],
)
def test_what_is_no_quantity_is_an_error(bad):
    with pytest.raises(InputError):
        units.quantity(bad)


@given(sizes)
def test_memory_is_written_in_whole_mebibytes_rounded_up(size):
    text = units.memory_quantity(size)
    assert text.endswith("Mi") and text[:-2].isdigit()
    assert 0 <= int(text[:-2]) * 2**20 - size < 2**20
    assert units.quantity(text) >= size


@given(st.fractions(0, 1000))
def test_cpus_are_written_in_milli_rounded_up(cores):
    written = units.quantity(units.cpu_quantity(cores))
    assert 0 <= written - cores < Fraction(1, 1000)


# memory and time


@given(st.integers(0, 10**9), st.integers(0, 9), st.sampled_from("BKMGTP"), st.sampled_from(["", "B", "iB", "b"]))
def test_memory_with_a_unit_is_exact(digits, places, prefix, suffix):
    number = f"{digits:0{places + 1}d}"
    number = f"{number[:-places]}.{number[-places:]}" if places else number
    unit = "B" if prefix == "B" else prefix + suffix
    expected = ceil(Fraction(digits, 10**places) * 1024 ** "BKMGTP".index(prefix))
    if expected > LARGEST:
        with pytest.raises(InputError):
            Memory(number + unit)
        return
    assert Memory(number + unit).size == expected
    assert Memory(f"{number} {unit}".lower()).size == expected
    assert parse(f"memory={number}{unit}") == Memory.of_bytes(expected)


@given(st.integers(0, 2**33 - 1) | st.floats(0, 2**32))
def test_a_bare_number_is_gigabytes(amount):
    assert Memory(amount).size == Disk(amount).size == ceil(Fraction(amount) * 2**30)


@given(sizes)
def test_bytes_survive_every_way_of_writing_them(size):
    one = Memory.of_bytes(size)
    assert units.memory(units.memory_text(size)) == size
    assert parse(str(one)).size == size
    assert eval(repr(one)).size == size
    if size < 2**53:
        assert Memory(one.M).size == size


@given(st.integers(0, 10**11))
def test_seconds_survive_every_way_of_writing_them(n):
    assert units.seconds(units.seconds_text(n)) == n
    assert WTime(n).T == WTime(str(n)).T == WTime(f"{n}s").T == n
    days, rest = divmod(n, 86400)
    assert n == WTime(f"{days}-{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}").T
    assert n == WTime(f"{days}d{rest // 3600}h{rest // 60 % 60}m{rest % 60}s").T
    assert n == WTime(f"{n // 3600}:{n // 60 % 60:02d}:{n % 60:02d}").T


@given(st.integers(0, 10**6), st.integers(0, 6), st.sampled_from("smhd"))
def test_fractions_of_a_time_are_rounded_up_once(digits, places, unit):
    number = f"{digits:0{places + 1}d}"
    number = f"{number[:-places]}.{number[-places:]}" if places else number
    exact = Fraction(digits, 10**places) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert ceil(exact) == WTime(number + unit).T


@given(st.text(max_size=12))
def test_a_time_or_size_that_is_no_number_is_an_error_and_never_unlimited(text):
    for make in (WTime, Memory, Disk):
        try:
            made = make(text)
        except InputError:
            continue
        assert any(c.isdigit() for c in text)
        assert isinstance(made.T if make is WTime else made.size, int)


# no drift


def test_a_hundred_thousand_odd_amounts_leave_not_a_byte_behind():
    rnd = random.Random(1)
    provider = Memory("3.3GB") & Disk("7.7GB") & Cores(64) & Gpus({"a": 4, "b": 4}) & Licenses("m", 50)
    pool = Pool.uniform("a[0-2]", Cores(64) & Memory("3.3GB") & Disk("7.7GB") & Gpus(8), shared=Licenses("m", 50))
    start = provider.stat(), pool.stat(), pool.inventory()
    for what, rounds in ((provider, 1500), (pool, 15000)):
        held = []
        for _ in range(rounds):
            if held and (rnd.random() < 0.5 or len(held) > 30):
                what.dealloc(held.pop(rnd.randrange(len(held))))
                continue
            need = Memory(rnd.random() / 10) & Disk(f"{rnd.random() / 10:.9f}GB") & Cores(rnd.randint(0, 2))
            if rnd.random() < 0.2:
                need = need & Gpus(1) & Licenses("m")
            if what.request(need):
                held.append(what.alloc(need))
        for got in held:
            what.dealloc(got)
    assert (provider.stat(), pool.stat(), pool.inventory()) == start


def test_a_deadline_does_not_depend_on_how_often_it_is_asked():
    now = [1_700_000_000.1]
    pool = Pool.uniform("a", Cores(4) & WTime("10:00:00"), clock=lambda: now[0])
    got = pool.alloc(Cores(1) & WTime("1:00:00"))
    for _ in range(1000):
        now[0] += 0.1
        assert got.remaining() == max(0.0, got.deadline - now[0])
        pool.dealloc(pool.alloc(Cores(1) & WTime(60)))
    assert got.deadline == 1_700_000_000.1 + 3600


# the estimator: "based on first 8 tasklet runs, set T = mean + 5 stdev, softT = mean + 2 stdev; runs that take
# <= 10s are not counted"

runs = st.lists(st.floats(0, 10**6) | st.integers(0, 100) | st.sampled_from([10, 10.0, 10.000001, 9.999]), max_size=30)


@given(runs, st.sampled_from([0, 0.05, 1]))
def test_limits_are_the_document_s_rule(times, floor):
    estimator = Estimator(floor=floor)
    for at, seconds in enumerate(times):
        counted = [s for s in times[:at] if s > 10][:8]
        if len(counted) < 8:
            assert estimator.limits("g") is None
        estimator.record("g", seconds)
    counted = [s for s in times if s > 10][:8]
    if len(counted) == 8:
        mean, deviation = statistics.fmean(counted), statistics.stdev(map(float, counted))
        deviation = max(deviation, floor * mean)
        assert estimator.limits("g") == (ceil(mean + 5 * deviation), ceil(mean + 2 * deviation))
        assert WTime(*estimator.limits("g")).softT <= WTime(*estimator.limits("g")).T
    assert estimator.limits("other") is None
    again = Estimator.from_json(json.dumps(estimator.to_json()))
    assert (again.limits("g"), again.to_json()) == (estimator.limits("g"), estimator.to_json())


def test_eight_equal_runs_kill_the_ninth_only_to_the_letter():
    plain, kind = Estimator(floor=0), Estimator()
    for one in (plain, kind):
        for _ in range(8):
            one.record("g", 100)
    assert plain.limits("g") == (100, 100)
    assert kind.limits("g") == (125, 110)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), True, None, "12", 10**400, 1e300, [12]])
def test_a_run_that_took_no_time_at_all_is_an_error(bad):
    with pytest.raises(InputError):
        Estimator().record("g", bad)
    if bad is not None:
        with pytest.raises(InputError):
            Estimator(floor=bad)
    with pytest.raises(InputError):
        Estimator().record("", 12)
