"""Lines of a stream, however it is cut, and where each one ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ensemble import lines
from ensemble.lines import Lines

Given = list[tuple[bytes, int]]


def read(pieces: list[bytes]) -> Given:
    source = Lines()
    found = [(line, source.offset) for piece in pieces for line in source.add(piece)]
    assert source.position == sum(map(len, pieces))
    found += [(line, source.offset) for line in source.end()]
    assert source.position == source.offset == sum(map(len, pieces))
    return found


def test_each_end_of_a_line() -> None:
    assert read([b"a\nb\r\n\nc\rd\r", b"\n\r", b"e"]) == [
        (b"a", 2),
        (b"b", 5),
        (b"", 6),
        (b"c", 8),
        (b"d", 11),
        (b"", 12),
        (b"e", 13),
    ]


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\r\n", b""]), max_size=12))
def test_where_it_is_cut_does_not_matter(pieces: list[bytes]) -> None:
    assert read(pieces) == read([b"".join(pieces)])


def test_a_long_line_is_cut_and_the_next_one_is_found_at_its_place(monkeypatch) -> None:
    monkeypatch.setattr(lines, "LONGEST", 10)
    assert read([b"0123", b"45678", b"9abc", b"def", b"g\nx\n", b"y"]) == [(b"0123456789", 18), (b"x", 20), (b"y", 21)]
