"""Counts, statistics, windows and names."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
from fractions import Fraction

import pytest

from ensemble.errors import SpecError
from ensemble.metrics import (
    ERROR,
    EXACT,
    NAMED,
    PERCENTILES,
    STATISTICS,
    WINDOW_VALUES,
    MetricName,
    Metrics,
    Series,
    parse_metric,
)
from ensemble.metrics.sketch import BINS, Sketch


def filled(values: list[float]) -> Series:
    series = Series()
    for value in values:
        assert series.update(value)
    return series


def test_an_outlier_does_not_move_mad_and_iqr() -> None:
    # river's estimates after these ten values are off by two orders of magnitude.
    series = filled([1.0, 1.1, 0.9, 1000.0, 1.0, 1.05, 0.95, 1.0, 1.02, 0.98])
    assert series.get("mad") == pytest.approx(0.035, abs=1e-6)
    assert series.get("iqr") == pytest.approx(0.06, abs=0.005)


def test_one_value_and_none() -> None:
    assert [Series().get(name) for name in STATISTICS] == [None] * 6
    assert [filled([4.0]).get(name) for name in STATISTICS] == [0.0, 4.0, 0.0, 4.0, 4.0, 0.0]
    assert Series().get("count") == 0
    assert [filled([2.0, 4.0]).get(name) for name in ("median", "sum", "last", "p25", "count")] == [3, 6, 4, 2.5, 2]


@pytest.mark.parametrize(
    "values",
    [
        [1e15 + 0.125 * number for number in range(9)],
        [1e16, 1.0, -1e16],
        [5e-324, 1e-323, 5e-324],
        [-1.0, -2.0, -4.0],
        [0.1] * 7,
        [1.7e308, 1.7e308, 1.7e308],
    ],
    ids=["offset", "cancelling", "denormal", "negative", "equal", "huge"],
)
def test_sums_are_correctly_rounded_whatever_the_values(values: list[float]) -> None:
    series, exact = filled(values), [Fraction(value) for value in values]
    assert series.get("mean") == float(statistics.mean(exact))
    assert series.get("variance") == float(statistics.variance(exact))
    assert series.get("median") == statistics.median(values)


def test_a_result_that_no_double_holds_is_the_largest_one() -> None:
    series = filled([-1.7e308, 1.7e308, 1.7e308])
    assert {series.get(name) for name in ("variance", "iqr", "sum")} == {sys.float_info.max, 1.7e308}
    assert series.get("mean") == float(Fraction(1.7e308) / 3)


def test_mean_and_variance_stay_exact_where_a_running_mean_drifts() -> None:
    chance = random.Random(1)
    values = [1e15 + chance.randrange(8) for _ in range(3 * EXACT)]
    series, exact = filled(values), [Fraction(value) for value in values]
    assert series.get("mean") == float(statistics.mean(exact))
    assert series.get("variance") == float(statistics.variance(exact))


def test_memory_is_bounded_beyond_the_exact_values_and_nothing_jumps() -> None:
    values = [(number * 7919 % 10007) / 100 for number in range(5 * EXACT)]
    series = filled(values[: EXACT - 1])
    before = {name: series.get(name) for name in (*STATISTICS, "p90")}
    assert series.error == 0
    for value in values[EXACT - 1 :]:
        series.update(value)
    after = {name: series.get(name) for name in (*STATISTICS, "p90")}
    assert isinstance(series.order, Sketch)
    assert len(series.order.keys) <= BINS
    assert not series.order.fresh
    assert series.error == pytest.approx(ERROR)
    assert series.get("count") == 5 * EXACT
    assert after["mean"] == pytest.approx(statistics.fmean(values))
    assert after["variance"] == pytest.approx(statistics.variance(values))
    assert (after["min"], after["max"]) == (min(values), max(values))
    for name in ("iqr", "mad", "p90"):
        assert after[name] == pytest.approx(before[name], rel=0.1)


def test_the_spread_of_values_far_from_zero_is_seen() -> None:
    # Ten seconds give or take milliseconds: an error relative to the value would be larger than the spread.
    chance = random.Random(2)
    values = [10.015 + chance.gauss(0, 0.002) for _ in range(20_000)]
    series = filled(values)
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    assert series.get("iqr") == pytest.approx(quartiles[2] - quartiles[0], rel=ERROR)
    assert series.get("mad") == pytest.approx(statistics.median([abs(v - quartiles[1]) for v in values]), rel=2 * ERROR)


@pytest.mark.parametrize("end", [1.0, 2.0, 3.0, 4.0, 5.0, -1.0, -2.0, -3.0])
def test_a_quantile_is_never_beyond_the_ends(end: float) -> None:
    series = filled([0.0] * EXACT + [end] * EXACT)
    assert min(0.0, end) <= series.get("p1") <= series.get("p99") <= max(0.0, end)


def test_bins_are_joined_where_values_span_everything() -> None:
    chance = random.Random(3)
    values = [chance.choice((-1, 1)) * 10 ** chance.uniform(-300, 300) for _ in range(30_000)]
    series = filled(values)
    order, ordered = series.order, sorted(values)
    assert isinstance(order, Sketch)
    assert order.settle() is None and len(order.keys) <= BINS
    assert ERROR < series.error < 0.6
    place = (len(values) - 1) * 10 // 100
    assert series.get("p10") == pytest.approx(ordered[place], rel=1.01 * series.error)


def test_what_is_no_number_is_left_out_and_counted() -> None:
    series = filled([1.0, 2.0])
    assert not any(series.update(value) for value in (float("nan"), float("inf"), float("-inf"), 10**400))
    assert (series.get("count"), series.get("mean"), series.dropped) == (2, 1.5, 4)
    metrics = Metrics()
    assert metrics.add("a", "duration", float("nan")) == ""
    assert metrics.get("mean.a-duration") is None
    assert list(metrics.summaries()) == []
    assert metrics.add("a", "duration", 3) == "a-duration"
    assert metrics.series["a-duration"].dropped == 1


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("count.sleep.success", MetricName("count", "sleep", what="success")),
        ("rate.sleep.success", MetricName("rate", "sleep", what="success", window="60s")),
        ("rate[10s].sleep.success", MetricName("rate", "sleep", what="success", window="10s")),
        ("count[5m].sleep.success", MetricName("count", "sleep", what="success", window="300s")),
        ("mean.sleep-duration", MetricName("mean", "sleep", series="duration")),
        ("mad.a-b_c-pending", MetricName("mad", "a-b_c", series="pending")),
        ("mean.sleep-pending-time", MetricName("mean", "sleep", series="pending")),
        ("count.sleep-duration", MetricName("count", "sleep", series="duration")),
        ("max.sleep-age", MetricName("max", "sleep", series="age")),
        ("p90.l-1-temperature_K", MetricName("p90", "l-1", series="temperature_K")),
        ("mean[100].sleep-duration", MetricName("mean", "sleep", series="duration", window="100")),
        ("mean[1h30m].sleep-duration", MetricName("mean", "sleep", series="duration", window="5400s")),
        ("rate[60s].sleep-duration", MetricName("rate", "sleep", series="duration", window="60s")),
    ],
)
def test_names(text: str, name: MetricName) -> None:
    assert parse_metric(text) == name
    assert parse_metric(str(name)) == name


def test_the_canonical_name_and_the_key() -> None:
    assert str(parse_metric("mean[1m].sleep-pending-time")) == "mean[60s].sleep-pending"
    assert str(parse_metric("rate[60s].sleep.success")) == "rate.sleep.success"
    assert parse_metric("mean[1m].sleep-pending-time").key == "sleep-pending"
    assert parse_metric("rate[1m].sleep.success").key == "count.sleep.success"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("count.sleep.sucess", "did you mean 'success'"),
        ("maen.sleep-duration", "did you mean 'mean'"),
        ("mean.sleep.success", "there are: count, rate"),
        ("p100.sleep-duration", "p1 to p99"),
        ("p05.sleep-duration", "p1 to p99"),
        ("mean[0].sleep-duration", "no window [0]"),
        ("mean[].sleep-duration", "no window []"),
        ("mean[5x].sleep-duration", "no window [5x]"),
        ("mean[0s].sleep-duration", "no window [0s]"),
        ("mean[1s1s].sleep-duration", "the window"),
        ("mean[10001].sleep-duration", "at most 10000"),
        ("rate[100].sleep-duration", "did you mean rate[100s]?"),
        ("count[100].sleep.success", "did you mean count[100s]?"),
        ("max[60s].sleep-age", "ages are those of now"),
        ("rate.sleep-age", "ages are those of now"),
        ("mean.sleep", "mean.GROUP-duration"),
        ("mean", "mean.GROUP-duration"),
        ("mean.sleep-", "mean.GROUP-duration"),
        ("mean.sleep-2x", "mean.GROUP-duration"),
        ("mean.sl eep-duration", "mean.GROUP-duration"),
        ("", "mean.GROUP-duration"),
        (3, "mean.GROUP-duration"),
        ("count.sleep", "mean.GROUP-duration"),
    ],
)
def test_unknown_names_say_what_was_meant(text: object, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_metric(text)
    assert says in str(caught.value)
    assert caught.value.key == "name"


def test_every_statistic_has_a_value() -> None:
    metrics = Metrics()
    names = [f"{name}{window}.a-x" for name in (*NAMED, *PERCENTILES) for window in ("[9s]", "[9]", "")]
    names = [name for name in names if name != "rate[9].a-x"]
    for name in names:
        metrics.watch(name)
    for value in range(2 * EXACT):
        metrics.add("a", "x", float(value), value / 100)
    assert all(isinstance(metrics.get(name), (int, float)) for name in names)


def test_pending_time_is_pending() -> None:
    metrics = Metrics()
    assert metrics.get("mean.sleep-pending-time") is None
    metrics.add("sleep", "pending", 2.0)
    assert metrics.get("mean.sleep-pending-time") == metrics.get("mean.sleep-pending") == 2.0
    assert metrics.get("count.sleep.success") == 0


def test_ages_are_replaced_as_a_whole_and_are_not_pending() -> None:
    metrics = Metrics()
    oldest = metrics.getter(parse_metric("max.a-age"))
    assert metrics.ages("a", [1.0, 9.0, float("nan")]) == "a-age"
    assert oldest() == 9.0
    metrics.ages("a", [2.0])
    assert (oldest(), metrics.get("count.a-age"), metrics.get("count.a-pending")) == (2.0, 1, 0)
    metrics.ages("a", [])
    assert oldest() is None
    assert list(metrics.summaries()) == []


def test_windows_and_rates_are_kept_only_where_watched() -> None:
    metrics = Metrics()
    metrics.add("a", "duration", 1.0, 5.0)
    for name in ("mean[2].a-duration", "mean[10s].a-duration", "rate.a-duration", "rate.a.success"):
        with pytest.raises(SpecError, match="only where a rule names it"):
            metrics.get(name)
        metrics.watch(name)
    assert metrics.get("mean[2].a-duration") is None
    for time, value in ((10.0, 2.0), (12.0, 4.0), (14.0, 8.0)):
        metrics.add("a", "duration", value, time)
        metrics.increment("a", "success", time)
    metrics.watch("mean[2].a-duration")  # again: nothing is lost
    assert metrics.get("mean[2].a-duration") == 6.0
    assert metrics.get("mean[10s].a-duration") == pytest.approx(14 / 3)
    assert metrics.get("rate.a-duration") == metrics.get("rate.a.success") == 3 / 60
    metrics.advance(22.0)  # the value of second 12 is ten seconds old: just over
    assert metrics.get("mean[10s].a-duration") == 8.0
    metrics.advance(1000.0)
    assert metrics.get("mean[10s].a-duration") is None
    assert metrics.get("rate.a.success") == 0
    assert metrics.get("mean[2].a-duration") == 6.0


def test_a_time_window_is_bounded_and_a_rate_still_counts_all() -> None:
    metrics, many = Metrics(), 3 * WINDOW_VALUES
    metrics.watch("count[1d].a-x")
    metrics.watch("min[1d].a-x")
    metrics.watch("rate[1d].a-x")
    for number in range(many):
        metrics.add("a", "x", float(number), number / 100)
    assert metrics.get("count[1d].a-x") == WINDOW_VALUES
    assert metrics.get("min[1d].a-x") == many - WINDOW_VALUES
    assert metrics.get("rate[1d].a-x") == many / 86400
    metrics.advance(1e6)
    assert metrics.get("rate[1d].a-x") == 0


def test_a_getter_is_made_before_there_is_anything_and_lives_through_a_restore() -> None:
    metrics, other = Metrics(), Metrics()
    names = ("count.a.success", "count.a-x", "mean.a-x", "max.a-x", "rate.a.success", "mean[2].a-x")
    getters = [metrics.getter(metrics.watch(name)) for name in names]
    assert [getter() for getter in getters] == [0, 0, None, None, 0, None]
    for name in names:
        other.watch(name)
    other.increment("a", "success", 3.0)
    other.add("a", "x", 5.0, 3.0)
    metrics.restore(other.state())
    assert [getter() for getter in getters] == [1, 1, 5.0, 5.0, 1 / 60, 5.0]


def test_series_of_one_job() -> None:
    metrics = Metrics()
    metrics.watch("mean[2].a-x", per_job=True)
    for value in (1.0, 2.0, 4.0):
        assert metrics.of_job("a.1").add("a", "x", value) == "a-x"
    metrics.of_job("a.2").add("a", "x", 9.0)
    assert metrics.of_job("a.1").get("mean[2].a-x") == 3.0
    assert metrics.of_job("a.2").get("max.a-x") == 9.0
    assert metrics.series == {}
    again = Metrics()
    again.restore(metrics.state())
    again.of_job("a.1").add("a", "x", 6.0)
    assert again.of_job("a.1").get("mean[2].a-x") == 5.0
    metrics.forget("a.1")
    metrics.forget("never")
    assert metrics.of_job("a.1").get("max.a-x") is None


def test_shown_statistic_by_statistic() -> None:
    metrics = Metrics()
    metrics.increment("a", "success")
    metrics.add("a", "duration", 2.0)
    shown = metrics.as_dict()
    assert list(shown) == [*STATISTICS, "count"]
    assert shown["mean"] == {"a-duration": 2.0}
    assert shown["count"] == {"a": {"success": 1}}
    assert str(metrics) == str(shown)


def test_nothing_heavy_is_imported() -> None:
    code = f"""if True:
        import sys
        from ensemble.metrics import Series
        series = Series()
        for value in range({2 * EXACT}):
            series.update(value)
        series.get("mad")
        assert not {{"river", "numpy", "scipy", "resources"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_copy_says_the_same_and_stays_as_it_was():
    metrics = Metrics()
    names = ["mean.a-duration", "median[5].a-duration", "rate[60s].a-duration", "count[60s].a.success", "max.a-age"]
    for name in names:
        metrics.watch(name)
    copy = None
    for number in range(1500):
        metrics.add("a", "duration", float(number % 7), float(number))
        metrics.increment("a", "success", float(number))
        metrics.ages("a", [float(number)], float(number))
        if number % 300 == 10:
            copy = metrics.copy(copy)
            said = [metrics.get(name) for name in names]
            assert [copy.get(name) for name in names] == said
            metrics.add("b", "duration", 1.0, float(number))
            assert (
                "b-duration" not in copy.series or copy.get("count.b-duration") == metrics.get("count.b-duration") - 1
            )
    assert copy is not None
    assert [copy.get(name) for name in names] == said
