"""Laws of the statistics, against what the definitions give in exact arithmetic."""

from __future__ import annotations

import json
import math
import random
import statistics
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.metrics import EXACT, STATISTICS, Metrics, Series
from ensemble.metrics.exact import LARGEST, Ordered
from ensemble.metrics.sketch import ERROR, Sketch

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ROUND = st.floats(min_value=-1e6, max_value=1e6)
# Many values from few draws: enough of them to reach the sketch, with outliers, zeros, negative and equal ones.
SHAPES = {
    "uniform": lambda chance: chance.uniform(-1, 1),
    "offset": lambda chance: 1e6 + chance.gauss(0, 0.01),
    "heavy": lambda chance: chance.paretovariate(0.3),
    "both": lambda chance: chance.choice((-1, 1)) * chance.lognormvariate(0, 5),
    "steps": lambda chance: float(chance.randrange(-3, 4)),
    "outliers": lambda chance: 1e300 if chance.random() < 0.01 else chance.expovariate(1),
    "zeros": lambda chance: 0.0 if chance.random() < 0.6 else chance.gauss(5, 1),
    "drift": lambda chance: chance.random() + 100 * (chance.random() < 0.5),
}


def drawn(shape: str, seed: int, count: int) -> list[float]:
    chance = random.Random(seed)
    return [SHAPES[shape](chance) for _ in range(count)]


def exact_quantile(ordered: list[float], percent: int) -> Fraction:
    place, rest = divmod(percent * (len(ordered) - 1), 100)
    if not rest:
        return Fraction(ordered[place])
    return (Fraction(ordered[place]) * (100 - rest) + Fraction(ordered[place + 1]) * rest) / 100


def exact_mad(ordered: list[float]) -> Fraction:
    middle = exact_quantile(ordered, 50)
    return statistics.median([abs(Fraction(value) - middle) for value in ordered])


def rounding(ordered: list[float], *more: float) -> Fraction:
    """What a few roundings of doubles as large as these are worth."""
    return 4 * Fraction(math.ulp(max(map(abs, (ordered[0], ordered[-1], *more))))) + Fraction(5e-324)


def double(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return LARGEST if value > 0 else -LARGEST


@given(st.lists(FINITE, min_size=1, max_size=60), st.integers(1, 99))
def test_below_exact_every_statistic_is_the_definitions(values: list[float], percent: int) -> None:
    series = Series()
    for value in values:
        series.update(value)
        series.get("median")  # read in between, as rules do
    exact, ordered = [Fraction(value) for value in values], sorted(values)
    assert series.get("count") == len(values)
    assert series.get("mean") == float(sum(exact) / len(exact))
    assert series.get("sum") == double(sum(exact, Fraction()))
    assert series.get("variance") == (double(statistics.variance(exact)) if len(exact) > 1 else 0)
    assert (series.get("min"), series.get("max"), series.get("last")) == (ordered[0], ordered[-1], values[-1])
    slack = rounding(ordered)
    for name, right in (
        (f"p{percent}", exact_quantile(ordered, percent)),
        ("median", exact_quantile(ordered, 50)),
        ("iqr", exact_quantile(ordered, 75) - exact_quantile(ordered, 25)),
        ("mad", exact_mad(ordered)),
    ):
        value = series.get(name)
        assert value is not None and math.isfinite(value)
        assert abs(Fraction(value) - min(right, Fraction(LARGEST))) <= slack, name


@given(st.lists(ROUND, min_size=2, max_size=60))
def test_the_same_as_the_standard_library(values: list[float]) -> None:
    series = Series()
    for value in values:
        series.update(value)
    middle, quartiles = statistics.median(values), statistics.quantiles(values, n=4, method="inclusive")
    assert series.get("median") == middle
    assert series.get("mad") == statistics.median([abs(value - middle) for value in values])
    assert series.get("iqr") == pytest.approx(quartiles[2] - quartiles[0], rel=1e-9, abs=1e-9)
    assert series.get("variance") == pytest.approx(statistics.variance(values), rel=1e-9, abs=1e-9)


def check_bounds(order: Sketch, values: list[float], percent: int) -> None:
    """The error that `Sketch` states."""
    ordered = sorted(values)
    centre, error = Fraction(order.centre), Fraction(order.error) * Fraction(1 + 1e-9)
    slack = rounding(ordered, order.centre)

    def far(at: int) -> Fraction:
        place, rest = divmod(at * (len(ordered) - 1), 100)
        near = ordered[place : place + 2] if rest else ordered[place : place + 1]
        return max(abs(Fraction(value) - centre) for value in near)

    for at in (percent, 25, 50, 75):
        assert abs(Fraction(order.quantile(at)) - exact_quantile(ordered, at)) <= error * far(at) + slack, at
    mad = min(exact_mad(ordered), Fraction(LARGEST))
    assert abs(Fraction(order.mad()) - mad) <= error * (mad + 2 * far(50)) + slack


@given(FINITE, st.lists(FINITE, min_size=1, max_size=80), st.integers(1, 99), st.data())
def test_the_error_of_the_sketch_is_what_it_states(
    centre: float, values: list[float], percent: int, data: st.DataObject
) -> None:
    order = Sketch(centre)
    seen: list[float] = []
    for value in values:
        order.fresh.append(value)
        seen.append(value)
        if data.draw(st.booleans()):  # asked in between: places that were found before move along
            check_bounds(order, seen, percent)
    check_bounds(order, seen, percent)
    assert order.error == pytest.approx(ERROR)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_distance_that_no_double_holds(sign: int) -> None:
    values = [sign * value for value in (-1.7e308, -1.6e308, -1.0, 0.0, 1e308)]
    for percent in (1, 10, 26, 60, 99):
        check_bounds(Sketch(sign * 1.6e308, values), values, percent)


@settings(max_examples=24, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), st.integers(0, 999), st.integers(EXACT, 3 * EXACT), st.integers(1, 99))
def test_the_error_beyond_exact(shape: str, seed: int, count: int, percent: int) -> None:
    values = drawn(shape, seed, count)
    series = Series()
    for number, value in enumerate(values):
        series.update(value)
        if number % 7 == 0:
            series.get("mad")
    assert isinstance(series.order, Sketch)
    assert series.error == pytest.approx(ERROR)
    check_bounds(series.order, values, percent)
    assert series.get("mean") == float(sum(map(Fraction, values)) / count)
    iqr, ordered = series.get("iqr"), sorted(values)
    for at in range(1, 100):
        found = series.get(f"p{at}")
        assert found is not None
        assert ordered[0] <= found <= ordered[-1]
    low, high = (exact_quantile(ordered, at) for at in (25, 75))
    centre = Fraction(statistics.median(values[:EXACT]))
    assert iqr is not None
    bound = Fraction(ERROR) * (abs(low - centre) + abs(high - centre))
    if shape not in ("steps", "zeros", "drift"):  # there two neighbours at a quantile may be far apart
        assert abs(Fraction(iqr) - (high - low)) <= bound * Fraction(101, 100) + rounding(ordered)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_the_error_of_many(shape: str) -> None:
    values = drawn(shape, 7, 100_000)
    series = Series()
    for value in values:
        series.update(value)
    assert isinstance(series.order, Sketch)
    ordered, centre, error = sorted(values), series.order.centre, series.error * (1 + 1e-9)
    for percent in (1, 10, 50, 90, 99):
        place, rest = divmod(percent * (len(values) - 1), 100)
        near = ordered[place : place + 2] if rest else ordered[place : place + 1]
        value = series.get(f"p{percent}")
        assert value is not None
        slack = error * max(abs(one - centre) for one in near) + float(rounding(ordered[:-2000], centre))
        assert near[0] - slack <= value <= near[-1] + slack


@given(st.lists(ROUND, min_size=1, max_size=60), st.integers(1, 99))
def test_joined_bins_keep_the_error_that_they_tell(values: list[float], percent: int) -> None:
    order = Sketch(0.0, values)
    for _ in range(3):
        state = order.state()
        joined: dict[int, int] = {}
        for key, count in zip(state["keys"], state["counts"], strict=True):
            wide = math.copysign((abs(key) + 1) // 2, key)
            joined[int(wide)] = joined.get(int(wide), 0) + count
        state |= {"level": state["level"] + 1, "keys": list(joined), "counts": list(joined.values())}
        order = Sketch.restored(state)
        check_bounds(order, values, percent)
    assert order.error == pytest.approx(8 * ERROR, rel=0.01)


@given(st.lists(ROUND, min_size=1, max_size=80), st.integers(1, 20))
def test_values_taken_out_leave_no_trace(values: list[float], size: int) -> None:
    order = Ordered()
    for number, value in enumerate(values):
        order.fresh.append(value)
        if number >= size:
            order.remove(values[number - size])
    assert order.settle() == sorted(values[-size:])


MOMENTS = st.tuples(st.floats(0, 3).map(lambda step: round(step, 1)), FINITE, st.sampled_from("ab"))


@given(st.lists(MOMENTS, max_size=60), st.integers(1, 12), st.integers(1, 12))
def test_windows_are_a_recount(happened: list[tuple[float, float, str]], size: int, seconds: int) -> None:
    metrics, now, told = Metrics(), 0.0, []
    names = (*STATISTICS, "median", "p90", "count", "sum", "last")
    for group in "ab":
        for name in names:
            metrics.watch(f"{name}[{size}].{group}-x")
            metrics.watch(f"{name}[{seconds}s].{group}-x")
        metrics.watch(f"rate[{seconds}s].{group}-x")
        metrics.watch(f"rate[{seconds}s].{group}.success")
        metrics.watch(f"count[{seconds}s].{group}.success")
    for step, value, group in happened:
        now += step
        told.append((now, value, group))
        metrics.advance(now)
        metrics.add(group, "x", value, now - len(told) % 3)  # told late: it counts as of now
        metrics.increment(group, "success", now - len(told) % 3)
        for one in "ab":
            of = [(time, value) for time, value, which in told if which == one]
            within = [value for time, value in of if time > now - seconds]
            for window, kept in ((f"{size}", [value for _, value in of[-size:]]), (f"{seconds}s", within)):
                fresh = Series()
                for item in kept:
                    fresh.update(item)
                for name in names:
                    assert metrics.get(f"{name}[{window}].{one}-x") == fresh.get(name), (name, window)
            assert metrics.get(f"rate[{seconds}s].{one}-x") == len(within) / seconds
            assert metrics.get(f"rate[{seconds}s].{one}.success") == len(within) / seconds
            assert metrics.get(f"count[{seconds}s].{one}.success") == len(within)


NAMES = [f"{name}{window}.a-x" for name in (*STATISTICS, "p90", "last") for window in ("", "[5]", "[4s]")]
NAMES += ["rate[4s].a-x", "rate.a.success", "count.a.success", "count.a-x", "max.a-age"]


def tell(metrics: Metrics, values: list[float], start: int = 0) -> list[list[float | None]]:
    seen = []
    for number, value in enumerate(values, start):
        metrics.add("a", "x", value, number / 10)
        metrics.of_job("a.1").add("a", "x", value, number / 10)
        metrics.increment("a", "success", number / 10)
        metrics.ages("a", [value, 1.0])
        if number % 10 == 0:
            seen.append([metrics.get(name) for name in NAMES] + [metrics.of_job("a.1").get("mean[5].a-x")])
    return seen


def watching() -> Metrics:
    metrics = Metrics()
    for name in NAMES:
        metrics.watch(name)
    metrics.watch("mean[5].a-x", per_job=True)
    return metrics


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(SHAPES)),
    st.integers(0, 999),
    st.one_of(st.integers(0, 60), st.integers(EXACT - 3, EXACT + 30)),
    st.lists(st.one_of(FINITE, st.just(float("nan"))), max_size=40),
    st.booleans(),
)
def test_restored_in_the_middle_is_as_unbroken(
    shape: str, seed: int, before: int, after: list[float], watched: bool
) -> None:
    first = drawn(shape, seed, before)
    whole = watching()
    broken = watching()
    assert tell(whole, first) == tell(broken, first)
    text = json.dumps(broken.state(), allow_nan=False)
    again = watching() if watched else Metrics()
    again.restore(json.loads(text))
    assert again.state() == broken.state()
    assert tell(again, after, before) == tell(whole, after, before)
    assert again.state() == whole.state()
    assert again.as_dict() == whole.as_dict()


def test_river_means_the_same() -> None:
    stats = pytest.importorskip("river.stats")
    values = drawn("uniform", 5, 5 * EXACT)
    series = Series()
    for value in values:
        series.update(value)
    for name, kind in (("mean", stats.Mean), ("variance", stats.Var), ("max", stats.Max), ("min", stats.Min)):
        theirs = kind()
        for value in values:
            theirs.update(value)
        assert series.get(name) == pytest.approx(theirs.get()), name
    for name, kind in (("iqr", stats.IQR), ("mad", stats.MAD)):  # estimates, without a bound
        theirs = kind()
        for value in values:
            theirs.update(value)
        assert series.get(name) == pytest.approx(theirs.get(), rel=0.1), name
