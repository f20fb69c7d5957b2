"""Spaces of parameters: every combination once, every stratum once, the same seed the same points."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from ensemble.document import JobGroup
from ensemble.parameters import Grid, Samples, override, read_space

scalars = st.integers(-5, 5) | st.text("ab c", max_size=3)
grids = st.dictionaries(st.sampled_from(["lr", "n", "x-y"]), st.lists(scalars, min_size=1, max_size=4), min_size=1)


@given(grids)
def test_a_grid_has_every_combination_in_order(axes: dict[str, list[object]]) -> None:
    space = read_space(axes)
    points = [space.point(index) for index in range(space.size)]
    assert points == [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


@given(st.integers(1, 60), st.integers(0, 10**9))
def test_each_stratum_of_a_latin_hypercube_has_exactly_one_point(samples: int, seed: int) -> None:
    ranges = {"a": {"min": 0, "max": 1}, "b": {"min": 1e-5, "max": 1.0, "log": True}}
    space = read_space({"latin": ranges, "samples": samples, "seed": seed})
    assert isinstance(space, Samples)
    for name in ranges:
        strata = [int(space.at(index, name) * samples + 1e-9) for index in range(samples)]
        assert sorted(strata) == list(range(samples))
    values = sorted(space.point(index)["a"] for index in range(samples))
    assert all(stratum / samples <= value <= (stratum + 1) / samples for stratum, value in enumerate(values))


@given(
    st.sampled_from(["random", "latin"]), st.integers(1, 30), st.integers(0, 99), st.integers(-5, 5), st.integers(0, 9)
)
def test_samples_are_within_their_range_and_the_same_each_time(
    form: str, samples: int, seed: int, least: int, width: int
) -> None:
    spec = {
        "n": {"min": least, "max": least + width, "integer": True},
        "f": {"min": least, "max": least + width},
        "c": {"choice": ["a", 2]},
    }
    one, other = (read_space({form: spec, "samples": samples}, seed) for _ in range(2))
    for index in range(samples):
        point = one.point(index)
        assert point == other.point(index)
        assert isinstance(point["n"], int) and least <= point["n"] <= least + width
        assert least <= point["f"] <= least + width
        assert point["c"] in ("a", 2)


@given(grids, grids)
def test_an_override_replaces_what_it_names_and_keeps_the_rest(
    base: dict[str, list[object]], given_: dict[str, list[object]]
) -> None:
    space = override(read_space(base), read_space(given_))
    expected = {**{name: values for name, values in base.items() if name not in given_}, **given_}
    assert isinstance(space, Grid)
    assert {name: list(values) for name, values in space.values} == expected


@given(grids, st.integers(1, 3))
def test_a_submission_has_each_point_count_times(axes: dict[str, list[object]], count: int) -> None:
    group = JobGroup(name="g", command=["x", *[f"{{{name}}}" for name in axes]], parameters=axes, count=count)
    points = group.total() // count
    seen = [group.spec(f"g.{index}", index).argv[1:] for index in range(group.total())]
    assert seen == seen[:points] * count
    expected = [tuple(str(value) for value in values) for values in product(*axes.values())]
    assert seen[:points] == expected
