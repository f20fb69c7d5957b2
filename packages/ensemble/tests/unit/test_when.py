"""Conditions and expressions: what can be said, what can't, and what it means."""

from __future__ import annotations

import pytest

from ensemble.errors import SpecError
from ensemble.metrics import MetricName
from ensemble.when import parse_expression, parse_when


@pytest.mark.parametrize(
    ("text", "operator", "number"),
    [
        (3, ">=", 3.0),
        (2.5, ">=", 2.5),
        (-1, ">=", -1.0),
        ("3", ">=", 3.0),
        ("> 3", ">", 3.0),
        (">=2.5", ">=", 2.5),
        ("  <   -0.5 ", "<", -0.5),
        ("<= 1e3", "<=", 1000.0),
        ("== .5", "==", 0.5),
        ("!= +4.", "!=", 4.0),
        ("value > 3", ">", 3.0),
        ("3 < value", ">", 3.0),
        ("3 >= (value)", "<=", 3.0),
    ],
)
def test_a_number_and_a_comparison_with_one_are_simple(text: object, operator: str, number: float) -> None:
    assert parse_when(text).simple == (operator, number)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("=> 3", "did you mean '>='"),
        ("= 3", "did you mean '=='"),
        ("<> 3", "did you mean '!='"),
        ("> 3 && < 5", "did you mean 'and'"),
        ("!! 3", "there are > >="),
        ("> three", "'three' is unknown"),
        ("", "a condition such as"),
        ("> 3 or 1", "a comparison is expected on both sides of 'or', not 1"),
        ("> 3 4", "an operator is missing before '4'"),
        ("(value > 3", "a ')' is missing at the end"),
        ("value > 3)", "a ')' too many"),
        ("1 < value < 3", "write 1 < value and value < ..."),
        ("value", "when is a condition, and value is a number"),
        ("not value", "a comparison is expected after 'not'"),
        ("(value > 3) + 1 > 2", "a number is expected at '+'"),
        ("value > 3 AND value < 5", "'AND'"),
        ("value >", "it ends where a number or a metric is missing"),
        ("sqrt(value) > 3", "no function 'sqrt'"),
        ("abs(1, 2) > 3", "abs takes 1, not 2"),
        ("abs > 3", "abs is a function"),
        ("__import__('os')", "can't be read"),
        ("__import__(1) > 2", "no function '__import__'"),
        ("value.__class__ > 3", "no metric"),
        ("mean.a-duration-3 > 1", "put blanks around a minus"),
        ("mean.a-duration-mean.b-duration > 1", "put blanks around a minus"),
        ("meen.a-duration > 1", "did you mean 'mean'?"),
        ("var.a-b > 1", "put blanks around a minus"),
        ("(" * 10_000 + "1" + ")" * 10_000, "longer than 4000"),
        ("(" * 1500 + "1" + ")" * 1500, "nested more than 50 deep"),
        ("not " * 900 + "value > 1", "nested more than 50 deep"),
        ("-" * 3000 + "1 > value", "nested more than 50 deep"),
        ("(-1 + " * 60 + "1" + ")" * 60 + " > value", "nested more than 50 deep"),
        (True, "a condition such as"),
        (None, "a condition such as"),
        ([3], "a condition such as"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ("> 1e999", "finite"),
        (10**400, "finite"),
        ("> ٣", "can't be read"),
        ("> 3x", "can't be read"),
        ("value > 0x10", "can't be read"),
        ("> 3; value", "can't be read"),
    ],
)
def test_what_can_not_be_said_is_one_clear_line(text: object, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_when(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


VALUES = {
    "mean.a-duration": 4.0,
    "count.a.success": 3,
    "mean.my-group-loss_2": -1.5,
    "var.x": 2.0,
    "max.b-pending": None,
}


def lookup(name: MetricName | str):
    key = name if isinstance(name, str) else str(name)
    return lambda: VALUES[key]


@pytest.mark.parametrize(
    ("text", "own", "expected"),
    [
        ("> 3 and < 5", 4, True),
        ("> 3 and < 5", 5, False),
        ("> 3", None, None),
        ("mean.a-duration > 3 and count.a.success >= 3", None, True),
        ("mean.a-duration - count.a.success == 1", None, True),
        ("mean.my-group-loss_2 < -1.25", None, True),
        ("-mean.my-group-loss_2 * 2 == 3", None, True),
        ("1 + 2 * 3 == 7 and (1 + 2) * 3 == 9 and 8 / 2 / 2 == 2 and 8 - 2 - 2 == 4", None, True),
        ("not value > 3 and value > 1", 2, True),
        ("value == 1 or value == 2 and value == 3", 1, True),
        ("abs(0 - 3) == 3 and min(3, 1, 2) == 1 and max(1, var.x) == 2 and round(2.6) == 3", None, True),
        ("max.b-pending > 3", None, None),
        ("max.b-pending > 3 and 1 > 2", None, False),
        ("max.b-pending > 3 or 1 < 2", None, True),
        ("max.b-pending > 3 or 1 > 2", None, None),
        ("not max.b-pending > 3", None, None),
        ("abs(max.b-pending) > 3", None, None),
        ("1 / 0 > 3", None, None),
        ("1 / (count.a.success - 3) > 3", None, None),
        ("1e308 * 10 > 3", None, None),
        ("1 / 0 > 3 or var.x == 2", None, True),
    ],
)
def test_what_it_means(text: str, own: float | None, expected: bool | None) -> None:
    condition = parse_when(text)
    assert condition.compile(lookup)(own) is expected
    assert parse_when(str(condition)) == condition


def test_a_condition_names_its_metrics_and_variables_once() -> None:
    condition = parse_when("mean.a-duration > var.x and mean.a-duration < 2 * var.y or count.my-a.success > value")
    assert condition.metrics == (
        MetricName("mean", "a", series="duration"),
        MetricName("count", "my-a", what="success"),
    )
    assert condition.variables == ("x", "y")
    assert condition.own and condition.simple is None


def test_an_expression_is_a_number() -> None:
    assert parse_expression("mean.a-duration * 2 - 1").compile(lookup)(None) == 7.0
    assert parse_expression(3).compile(lookup)(None) == 3.0
    with pytest.raises(SpecError, match="value is a number, and value > 3 is a condition"):
        parse_expression("value > 3")
