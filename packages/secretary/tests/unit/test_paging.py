"""Pages: every entry once, none of them too large, and a cursor is of one call only."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_secretary.errors import ArgumentError, OutputError
from resource_secretary.paging import MOST, cut, page


@given(st.lists(st.text(max_size=3000)), st.integers(1, 1000))
def test_the_pages_together_are_the_list(items, limit):
    seen, cursor = [], ""
    for _ in range(len(items) + 1):
        result, notice = page("tool", {"a": 1}, items, limit, cursor)
        assert len(result["items"]) <= limit and result["total"] == len(items)
        assert len(msgspec.json.encode(result)) <= MOST
        assert bool(notice) == bool(result["next"])
        seen += result["items"]
        if result["next"] is None:
            break
        cursor = result["next"]
    assert seen == items


def test_a_large_entry_is_cut_and_says_so():
    result, notice = page("tool", {}, ["x" * 2 * MOST, "y"], 10, "")
    assert len(result["items"]) == 1 or result["items"][1] == "y"
    assert "more)" in result["items"][0] and "cut" in notice


@pytest.mark.parametrize("cursor", ["1", "1.", "-1.0123456789", "x.y", "9" * 5000, "1.0000000000"])
def test_a_cursor_of_something_else(cursor):
    with pytest.raises(ArgumentError, match="cursor: is not one that this tool gave"):
        page("tool", {}, [1, 2, 3], 1, cursor)


def test_a_cursor_is_of_the_same_arguments():
    cursor = page("tool", {"queue": "a"}, [1, 2, 3], 1, "")[0]["next"]
    assert page("tool", {"queue": "a"}, [1, 2, 3], 1, cursor)[0]["items"] == [2]
    for tool, arguments in (("tool", {"queue": "b"}), ("other", {"queue": "a"})):
        with pytest.raises(ArgumentError):
            page(tool, arguments, [1, 2, 3], 1, cursor)
    assert page("tool", {"queue": "a"}, [], 1, cursor)[0] == {"items": [], "total": 0, "next": None}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5000),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=30,
)


@given(JSON, st.integers(2000, 30000))
def test_what_is_cut_fits_and_says_so(value, most):
    try:
        short, notice = cut(value, most)
    except OutputError:
        return
    assert len(msgspec.json.encode(short)) <= most and (short == value) == (not notice)


def test_what_can_not_be_cut_is_refused():
    with pytest.raises(OutputError, match="larger than 2000 bytes"):
        cut({str(one): {str(other): "x" * 60 for other in range(40)} for one in range(40)}, 2000)
