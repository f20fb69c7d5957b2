"""What is drawn for a job, and what is assumed where nothing is said."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from ensemble.errors import EnsembleError, SpecError
from ensemble.job import Spec
from ensemble.sim.models import Models, build_model, parse_option, read_recipe
from ensemble.sim.settings import Settings, read_settings


def spec(*argv: str, group: str = "a", **fields: Any) -> Spec:
    return Spec(group, argv, **fields)


def draws(model: dict[str, Any], count: int = 4000, seed: int = 0) -> list[float]:
    recipe = Models({"a": build_model(model, "a")}, seed).recipe(spec("x"))
    return [recipe.draw(f"a.{number}").seconds for number in range(count)]


@pytest.mark.parametrize(
    ("model", "mean", "deviation"),
    [
        ({"duration": 100}, 100, 0),
        ({"duration": "1m40s", "spread": 0.1}, 100, 10),
        ({"duration": 100, "spread": 0.5, "distribution": "lognormal"}, 100, 50),
        ({"duration": 100, "distribution": "exponential"}, 100, 100),
        ({"samples": [50, 150]}, 100, 50),
    ],
)
def test_durations_have_the_mean_and_spread_of_their_model(
    model: dict[str, Any], mean: float, deviation: float
) -> None:
    values = draws(model)
    assert fmean(values) == pytest.approx(mean, rel=0.05)
    assert stdev(values) == pytest.approx(deviation, rel=0.1, abs=0.01)


def test_what_is_drawn_depends_on_the_seed_and_the_name_alone() -> None:
    model = {"duration": 100, "spread": 0.1}
    assert draws(model) == draws(model)
    assert draws(model) != draws(model, seed=1)
    recipe = Models({"a": build_model(model, "a")}).recipe(spec("x"))
    backwards = [recipe.draw(f"a.{number}").seconds for number in reversed(range(100))]
    assert backwards[::-1] == draws(model, 100)
    assert recipe.draw("a.7.1") != recipe.draw("a.7")  # another attempt


def test_failures_and_lost_nodes_are_as_often_as_the_model_says() -> None:
    model = build_model({"duration": 3600, "fail": 0.25, "node_failure": 0.1, "status": 7}, "a")
    recipe = Models({"a": model}).recipe(spec("x", nodes=2))
    courses = [recipe.draw(f"a.{number}") for number in range(8000)]
    lost = [course for course in courses if course.exception == "node-lost"]
    assert len(lost) / 8000 == pytest.approx(1 - 2.718281828**-0.2, rel=0.1)
    failed = [course for course in courses if course.status == 7 << 8]
    assert len(failed) / (8000 - len(lost)) == pytest.approx(0.25, rel=0.1)


@pytest.mark.parametrize(
    ("job", "seconds", "status", "assumed"),
    [
        (spec("sleep", "10"), 10, 0, ""),
        (spec("/bin/sleep", "1m", "0.5"), 60.5, 0, ""),
        (spec("true"), 0.01, 0, "a: true takes 0.01 s"),
        (spec("false"), 0.01, 1 << 8, "a: false takes 0.01 s"),
        (spec("lmp", duration=600), 300, 0, "a: runs 300 s, half of its limit of 600 s"),
        (spec("lmp"), 60, 0, "a: runs 60 s, nothing tells how long"),
        (spec("sleep", "soon"), 60, 0, "a: runs 60 s"),
    ],
)
def test_without_a_model_what_is_assumed_is_said(job: Spec, seconds: float, status: int, assumed: str) -> None:
    models = Models()
    course = models.recipe(job).draw("a.0")
    assert (course.seconds, course.status) == (seconds, status)
    assert models.assumed.get("a", "").startswith(assumed)
    assert bool(models.assumed) == bool(assumed)


def test_a_curve_ends_with_its_job() -> None:
    curve = {"start": 300, "end": 100, "steps": 4, "shape": "settle"}
    model = build_model({"duration": 40, "metrics": {"temperature": curve}}, "a")
    whole = Models({"a": model}).recipe(spec("x")).draw("a.0").points
    assert [point.offset for point in whole] == [10, 20, 30, 40]
    assert whole[0].value < 250
    assert whole[-1].value == pytest.approx(100)
    cut = Models({"a": model}).recipe(spec("x", duration=25)).draw("a.0")
    assert (cut.exception, [point.offset for point in cut.points]) == ("timeout", [10, 20])


def test_a_recipe_is_the_same_after_it_was_written_down() -> None:
    curve = {"start": 300, "end": 100, "noise": 3}
    keys = {"duration": 40, "spread": 0.2, "fail": 0.5, "preemption": 9, "metrics": {"t": curve}, "startup": 1}
    recipe = Models({"a": build_model(keys, "a")}, 5).recipe(spec("x", duration=60))
    again = read_recipe(recipe.as_dict())
    assert [again.draw(f"a.{n}") for n in range(50)] == [recipe.draw(f"a.{n}") for n in range(50)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a", "a model is GROUP=duration:10"),
        ("a=duration", "'duration' is no KEY:VALUE"),
        ("a=length:3", "--model a.length: unknown key; there are: duration"),
        ("a=duration:-1", "--model a.duration: it is at least 0"),
        ("a=duration:nan", "--model a.duration: it is a number"),
        ("a=duration:soon", "is seconds"),
        ("a=fail:1.5", "--model a.fail: it is from 0 to 1"),
        ("a=distribution:flat", "it is one of constant, normal"),
        ("a=spread:1,distribution:constant", "a spread is for normal and lognormal"),
        ("a=status:0", "it is a whole number from 1 to 255"),
        ("a=metrics:3", "it is a mapping of names to curves"),
    ],
)
def test_bad_models_are_told(text: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_option(text)
    assert says in str(caught.value)


def test_an_option_is_a_model() -> None:
    assert parse_option("a=duration:1h,fail:0.05,status:2") == ("a", {"duration": "1h", "fail": 0.05, "status": 2})


def journal(folder: Path) -> Path:
    """A journal as a run leaves it, as far as this reads it."""
    with sqlite3.connect(folder / "run.sqlite") as connection:
        connection.execute(
            "CREATE TABLE jobs(name TEXT PRIMARY KEY, grp TEXT, attempt INTEGER, id TEXT, state TEXT, submitted REAL,"
            " started REAL, ended REAL, outcome TEXT, status INTEGER, reason TEXT, hosts TEXT)"
        )
        for number, (group, started, ended, outcome) in enumerate(
            [
                ("a", 10.0, 20.0, "success"),
                ("a", 10.0, 40.0, "failed"),
                ("a", 10.0, 90.0, "cancelled"),
                ("a", None, 50.0, "cancelled"),
                ("b", 10.0, None, None),
            ]
        ):
            row = (f"{group}.{number}", group, started, ended, outcome)
            connection.execute("INSERT INTO jobs(name, grp, started, ended, outcome) VALUES (?, ?, ?, ?, ?)", row)
    connection.close()
    return folder


def test_a_run_that_was_gives_its_durations(tmp_path: Path) -> None:
    models = read_settings({"like": str(journal(tmp_path))}).build()
    assert set(models.models) == {"a"}
    assert models.models["a"].samples == (10.0, 30.0)
    assert models.models["a"].fail == 0.5
    said = Settings(like=str(tmp_path)).build({"a": {"duration": 5}})
    assert (said.models["a"].duration, said.models["a"].samples, said.models["a"].fail) == (5, (), 0.5)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.sqlite").write_text("no database at all, but long enough for one" * 10)
    with pytest.raises(EnsembleError, match="can't read"):
        Settings(like=str(tmp_path)).build()
