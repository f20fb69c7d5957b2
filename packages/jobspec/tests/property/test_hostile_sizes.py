"""What is small to write and could be slow to answer, or no text at all."""

from __future__ import annotations

import time

import pytest

from jobspec.convert import convert
from jobspec.readers import read

JOBSPEC = (
    '{"version": 1, "resources": [{"type": "slot", "count": 1, "label": "t", "with": [{"type": "core", "count": 1}]}], '
    '"tasks": [{"command": ["a"], "slot": "t", "count": {"per_slot": 1}}], "attributes": {"system": {"duration": 1}}}'
)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("target", ["pbspro", "torque"])
def test_many_hosts(target):
    text = "#!/bin/sh\n#SBATCH -w n[1-20000]\nhostname\n"
    reading, start = read(text), time.process_time()
    assert "n20000" in convert(text, reading, target).files[0].text
    assert time.process_time() - start < 2


@pytest.mark.timeout(60)
def test_a_key_twice_among_many():
    keys = ", ".join(f'"k{number}": "a"' for number in range(50_000))
    text = JOBSPEC.replace('"duration": 1', f'"duration": 1, "environment": {{{keys}, "k49999": "b"}}')
    start = time.process_time()
    [error] = read(text, "flux-jobspec").errors
    assert "'k49999' occurs twice" in error.message
    assert time.process_time() - start < 2


@pytest.mark.parametrize("text", [r"\ud800", r"\uDFFF", r"a\ud83dx"])
def test_half_of_a_pair_of_surrogates(text):
    [error] = read(JOBSPEC.replace('"a"', f'"{text}"'), "flux-jobspec").errors
    assert "half of a pair" in error.message


def test_a_whole_pair_is_a_character():
    assert read(JOBSPEC.replace('"a"', r'"\ud83d\ude00"'), "flux-jobspec").accepted
