"""Counts and statistics."""

from __future__ import annotations

import statistics
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.errors import SpecError
from ensemble.metrics import EXACT, STATISTICS, MetricName, Metrics, Series, parse_metric

NUMBERS = st.floats(min_value=-1e6, max_value=1e6)


def filled(values: list[float]) -> Series:
    series = Series()
    for value in values:
        assert series.update(value)
    return series


@given(st.lists(NUMBERS, min_size=2, max_size=60))
def test_exact_statistics_are_those_of_the_standard_library(values: list[float]) -> None:
    series = filled(values)
    middle = statistics.median(values)
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    assert series.get("count") == len(values)
    assert series.get("mean") == pytest.approx(statistics.fmean(values))
    assert series.get("variance") == pytest.approx(statistics.variance(values), rel=1e-9, abs=1e-9)
    assert series.get("min") == min(values)
    assert series.get("max") == max(values)
    assert series.get("iqr") == pytest.approx(quartiles[2] - quartiles[0], rel=1e-9, abs=1e-9)
    assert series.get("mad") == statistics.median([abs(value - middle) for value in values])


def test_an_outlier_does_not_move_mad_and_iqr() -> None:
    # river's estimates after these ten values are off by two orders of magnitude.
    series = filled([1.0, 1.1, 0.9, 1000.0, 1.0, 1.05, 0.95, 1.0, 1.02, 0.98])
    assert series.get("mad") == pytest.approx(0.035, abs=1e-6)
    assert series.get("iqr") == pytest.approx(0.06, abs=0.005)


def test_one_value_and_none() -> None:
    assert [Series().get(name) for name in STATISTICS] == [None] * 6
    assert [filled([4.0]).get(name) for name in STATISTICS] == [0.0, 4.0, 0.0, 4.0, 4.0, 0.0]


def test_memory_is_bounded_beyond_the_exact_values_and_nothing_jumps() -> None:
    values = [(number * 7919 % 10007) / 100 for number in range(3 * EXACT)]
    series = filled(values[: EXACT - 1])
    before = {name: series.get(name) for name in STATISTICS}
    for value in values[EXACT - 1 :]:
        series.update(value)
    after = {name: series.get(name) for name in STATISTICS}
    assert not series._values and not series._sorted
    assert series.get("count") == 3 * EXACT
    assert after["mean"] == pytest.approx(statistics.fmean(values))
    assert after["variance"] == pytest.approx(statistics.variance(values))
    assert (after["min"], after["max"]) == (min(values), max(values))
    for name in ("iqr", "mad"):
        assert after[name] == pytest.approx(before[name], rel=0.1)


def test_what_is_no_number_is_left_out() -> None:
    series = filled([1.0, 2.0])
    assert not any(series.update(value) for value in (float("nan"), float("inf"), float("-inf")))
    assert series.get("count") == 2
    assert series.get("mean") == 1.5


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("count.sleep.success", MetricName("count", "sleep", what="success")),
        ("mean.sleep-duration", MetricName("mean", "sleep", series="duration")),
        ("mad.a-b_c-pending", MetricName("mad", "a-b_c", series="pending")),
        ("mean.sleep-pending-time", MetricName("mean", "sleep", series="pending")),
        ("count.sleep-duration", MetricName("count", "sleep", series="duration")),
    ],
)
def test_names(text: str, name: MetricName) -> None:
    assert parse_metric(text) == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("count.sleep.sucess", "did you mean 'success'"),
        ("maen.sleep-duration", "did you mean 'mean'"),
        ("mean.sleep", "mean.GROUP-duration"),
        ("mean", "mean.GROUP-duration"),
        ("", "mean.GROUP-duration"),
        (3, "mean.GROUP-duration"),
        ("count.sleep", "mean.GROUP-duration"),
    ],
)
def test_unknown_names_say_what_was_meant(text: object, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_metric(text)
    assert says in str(caught.value)


def test_pending_time_is_pending() -> None:
    metrics = Metrics()
    assert metrics.get("mean.sleep-pending-time") is None
    metrics.add("sleep", "pending", 2.0)
    assert metrics.get("mean.sleep-pending-time") == metrics.get("mean.sleep-pending") == 2.0
    assert metrics.get("count.sleep.success") == 0


def test_river_is_imported_when_it_is_needed_only() -> None:
    code = f"""if True:
        import sys
        from ensemble.metrics import Series
        series = Series()
        for value in range({EXACT - 1}):
            series.update(value)
        assert "river" not in sys.modules and "numpy" not in sys.modules
        series.update(1)
        assert "river" in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)
