"""Estimated limits: the rule, the floor, the file."""

import pytest
from resources import Estimator, InputError


def test_eight_equal_runs_do_not_kill_the_ninth():
    plain, ours = Estimator(floor=0), Estimator()
    for _ in range(8):
        plain.record("g", 100.0)
        ours.record("g", 100.0)
    assert plain.limits("g") == (100, 100)  # the rule to the letter
    assert ours.limits("g") == (125, 110)  # with a standard deviation of 5% of the mean


def test_runs_of_ten_seconds_or_less_and_late_ones_do_not_count():
    one = Estimator(floor=0)
    for seconds in [10.0, 1.0, *range(11, 19)]:
        one.record("g", seconds)
    known = one.limits("g")
    one.record("g", 10_000)
    assert one.limits("g") == known
    assert one.limits("other") is None


def test_a_clock_of_one_s_own():
    now = [0.0]
    one = Estimator(clock=lambda: now[0])
    for _ in range(8):
        with one.run("g"):
            now[0] += 20
    with pytest.raises(OSError, match="broken"), one.run("h"):
        raise OSError("broken")
    assert one.limits("g") == (25, 22)
    assert one.to_json()["runs"].keys() == {"g"}


def test_persisted_on_request(tmp_path):
    one = Estimator(floor=0.1)
    for seconds in range(20, 28):
        one.record("g", seconds)
    path = tmp_path / "estimates.json"
    one.save(path)
    again = Estimator.load(path)
    assert (again.limits("g"), again.floor) == (one.limits("g"), 0.1)
    assert [p.name for p in tmp_path.iterdir()] == ["estimates.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"type": "estimates", "version": 1, "floor": -1, "runs": {}}',
        '{"type": "estimates", "version": 1, "floor": 0, "runs": {"g": ["x"]}}',
    ],
)
def test_a_spoilt_file_is_one_clear_error(tmp_path, text):
    path = tmp_path / "estimates.json"
    path.write_text(text)
    with pytest.raises(InputError):
        Estimator.load(path)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), True, "10", None])
def test_bad_times_are_refused(seconds):
    with pytest.raises(InputError):
        Estimator().record("g", seconds)
