"""The `when` of metric rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.errors import SpecError
from ensemble.when import When, parse_when


@pytest.mark.parametrize(
    ("text", "operator", "number"),
    [
        (3, ">=", 3.0),
        (2.5, ">=", 2.5),
        ("3", ">=", 3.0),
        ("> 3", ">", 3.0),
        (">=2.5", ">=", 2.5),
        ("  <   -0.5 ", "<", -0.5),
        ("<= 1e3", "<=", 1000.0),
        ("== .5", "==", 0.5),
        ("!= +4.", "!=", 4.0),
    ],
)
def test_what_can_be_said(text: object, operator: str, number: float) -> None:
    assert parse_when(text) == When(operator, number)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("=> 3", "did you mean '>='"),
        ("= 3", "did you mean '=='"),
        ("<> 3", "did you mean '!='"),
        ("!! 3", "there are > >="),
        ("> three", "a comparison such as"),
        ("", "a comparison such as"),
        ("> 3 or 1", "a comparison such as"),
        ("__import__('os')", "a comparison such as"),
        (True, "a comparison such as"),
        (None, "a comparison such as"),
        ([3], "a comparison such as"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ("> 1e999", "finite"),
        (10**400, "finite"),
        ("> ٣", "a comparison such as"),
    ],
)
def test_what_can_not(text: object, says: str) -> None:
    with pytest.raises(SpecError, match=None) as caught:
        parse_when(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [
        (">", False, False, True),
        (">=", False, True, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        ("==", False, True, False),
        ("!=", True, False, True),
    ],
)
def test_each_comparison(operator: str, below: bool, at: bool, above: bool) -> None:
    when = When(operator, 3)
    assert (when.holds(2), when.holds(3), when.holds(4)) == (below, at, above)


@given(st.sampled_from([">", ">=", "<", "<=", "==", "!="]), st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_exactly(operator: str, number: float) -> None:
    assert parse_when(f"{operator} {number!r}") == When(operator, number)
