"""Every script of the corpus into every system: nothing vanishes, nothing is said twice, nothing crashes."""

from __future__ import annotations

from collections import Counter

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.profile import Profile
from jobspec.systems import SYSTEMS, writers
from jobspec.writing import FIELDS, Saying

# What a site must say before some targets can be written at all.
SITE = Profile(
    parallel_environments={"mpi": "mpi", "smp": "smp"},
    cores_per_node=32,
    gpus_per_node=4,
    memory_per_node=2**37,
    image="debian",
)
DULL = "has nothing like it"


@pytest.fixture(scope="module")
def readings(corpus):
    found = [(name, text, readers.read(text)) for name, text in corpus]
    assert Counter(reading.accepted for _, _, reading in found)[True] > len(found) * 0.85
    return found


def test_each_directive_lands_once(readings):
    for _, text, reading in readings:
        places = [(one.line, one.column, one.option) for one in reading.directives]
        assert len(set(places)) == len(places), text
        for one in reading.directives:
            if reading.accepted:
                assert one.fields or (one.state != "obeyed" and one.why), (one, text)
            assert 1 <= one.line <= text.count("\n") + 1


def test_every_obeyed_line_is_in_the_report(readings):
    for _, text, reading in readings:
        if reading.accepted and reading.obeyed:
            lines = text.split("\n")
            told = {one.line for one in reading.directives}
            for number in reading.obeyed - told:
                # A line may hold nothing but its prefix and a comment, or values that the line before asks for.
                words = lines[number - 1].split("#", 2)[-1].split()[1:]
                assert not any(word.startswith("-") for word in words), lines[number - 1]


@pytest.mark.parametrize("target", writers())
def test_into_every_system(readings, target):
    fates, refused = Counter(), Counter()
    for _, text, reading in readings[:: 1 if target == "flux" else 4]:
        if not reading.accepted:
            continue
        try:
            result = convert(text, reading, target, SITE)
        except JobspecError as error:
            assert "\n" not in str(error)
            refused[str(error)[:60]] += 1
            continue
        assert result.files
        directives = [one for one in result.entries if one.kind == "directive"]
        assert len(directives) == len(reading.directives)
        for one in result.entries:
            assert bool(one.why) == (one.fate != "exact") or one.kind == "body", one
            assert DULL not in one.why, one
            fates[one.fate] += 1
        if target == reading.system:
            assert not result.lost(), result.lost()
    print(target, dict(fates), dict(refused))
    assert sum(refused.values()) < 20, refused
    assert fates["exact"] > fates["dropped"]


@pytest.mark.parametrize("target", [name for name in writers() if SYSTEMS[name].prefixes])
def test_the_body_is_carried_over(readings, target):
    for _, text, reading in readings[::9]:
        if reading.accepted:
            [first, *_] = convert(text, reading, target, SITE).files
            kept = [line for number, line in enumerate(text.split("\n"), 1) if number not in reading.obeyed]
            body = "\n".join(kept).split("hostname\n", 1)[1]
            assert first.text.endswith(("hostname\n" + body, body)) or "# was: " in first.text


def test_fields_are_known_to_the_account():
    say = Saying(readers.read("#!/bin/sh\n", "slurm").jobs[0], "flux")
    assert "tasks" in FIELDS
    with pytest.raises(KeyError):
        say.exact("no such field")
