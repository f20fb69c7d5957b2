"""sbatch's times, sizes and words against oracles that are written another way."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.job import UNLIMITED, Nodes
from jobspec.slurm import values
from jobspec.slurm.lexer import line_words

small = st.integers(0, 5000)
# sbatch(1), --time: "minutes", "minutes:seconds", "hours:minutes:seconds", "days-hours", "days-hours:minutes"
# and "days-hours:minutes:seconds"
FORMS = {
    "{}": ("minutes",),
    "{}:{}": ("minutes", "seconds"),
    "{}:{}:{}": ("hours", "minutes", "seconds"),
    "{}-": ("days",),
    "{}-{}": ("days", "hours"),
    "{}-{}:{}": ("days", "hours", "minutes"),
    "{}-{}:{}:{}": ("days", "hours", "minutes", "seconds"),
}


@given(st.sampled_from(sorted(FORMS)), st.lists(small, min_size=4, max_size=4), st.booleans())
def test_times(form, numbers, padded):
    units = FORMS[form]
    numbers = numbers[: len(units)]
    text = form.format(*(f"{number:02d}" if padded else number for number in numbers))
    exact = timedelta(**dict(zip(units, numbers, strict=True)))
    minutes, rest = divmod(exact, timedelta(minutes=1))
    expected = 60 * (minutes + bool(rest))
    assert values.time(text) == (expected or UNLIMITED)


def test_four_minutes():
    assert values.time("4:00") == 240
    assert values.time("24:00") == 24 * 60
    assert values.time("1:30") == 120
    assert values.time("1-12") == 36 * 3600


@pytest.mark.parametrize("text", ["0", "0:00", "-1", "INFINITE", "unlimited", "0-0"])
def test_unlimited(text):
    assert values.time(text) == UNLIMITED


@pytest.mark.parametrize(
    "text", ["", "1h", "1.5", " 5", "+5", "5:", "12-:30", "03-00:00:", "28:00:00:00", "1:2-3", "--5", "٣", "9" * 50]
)
def test_no_times(text):
    with pytest.raises(ValueError, match="no time"):
        values.time(text)


@given(st.integers(0, 10**6), st.sampled_from(["", "K", "M", "G", "T", "k", "m", "g", "t"]), st.booleans())
def test_memory(number, unit, with_b):
    text = f"{number}{unit}{'B' if with_b and unit else ''}"
    scale = {"": 1, "K": Decimal(1) / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}[unit.upper()]
    expected = (Decimal(number) * scale).to_integral_value(ROUND_CEILING)
    assert values.memory(text) == int(expected) * 2**20


@pytest.mark.parametrize("text", ["", "B", "1.5G", "-1", "4 G", "4GiB", "1P", "G", "9" * 40])
def test_no_memory(text):
    with pytest.raises(ValueError, match="memory"):
        values.memory(text)


@given(st.integers(0, 10**5), st.integers(0, 10**5))
def test_nodes(first, second):
    assert values.nodes(str(first)) == Nodes(first, first)
    if first <= second:
        assert values.nodes(f"{first}-{second}") == Nodes(first, second)
    else:
        with pytest.raises(ValueError, match="node count"):
            values.nodes(f"{first}-{second}")


@pytest.mark.parametrize(("text", "expected"), [("-4", Nodes(1, 4)), ("2k", Nodes(2048, 2048)), ("3 ", Nodes(3, 3))])
def test_odd_nodes(text, expected):
    assert values.nodes(text) == expected


@pytest.mark.parametrize("text", ["", "2-", "2,4", "1-4:2", "=2", "X", "k-2", "-"])
def test_no_nodes(text):
    with pytest.raises(ValueError, match="node count"):
        values.nodes(text)


word = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\\"'#:"), min_size=1, max_size=8)


@given(st.lists(word, max_size=6), st.sampled_from([" ", "\t", "  ", "\r"]))
def test_words_without_quotes_split_at_blanks(parts, blank):
    line = "#SBATCH" + blank + blank.join(parts)
    assert [found.text for found in line_words(line, 1, 7)] == parts


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=8), max_size=4))
def test_quoted_words_come_back(parts):
    quoted = ['"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts]
    assert [found.text for found in line_words("#SBATCH " + " ".join(quoted), 1, 7)] == parts
