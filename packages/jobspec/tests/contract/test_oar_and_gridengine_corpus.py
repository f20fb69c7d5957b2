"""The corpus' scripts of OAR and Grid Engine: read, or refused for what the scheduler itself refuses; and again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.profile import DEFAULT

# A real oarsub 2.6.1 says of these: "queue '$$QUEUE$$' does not exist", "you must set the --use-job-key (or -k)".
REFUSED = {"there is no queue '$$QUEUE$$'", "a job key needs -k (--use-job-key)"}


@pytest.fixture(scope="module")
def scripts(corpus):
    names = {"oar": "oar", "sge": "gridengine"}
    return [(names[system], text) for system, text in corpus if system in names]


def test_accepted_or_refused_for_a_reason(scripts):
    assert len(scripts) == 36
    refused = {error.message for system, text in scripts for error in readers.read(text, system).errors}
    assert refused == REFUSED


def test_there_and_back(scripts):
    for system, text in scripts:
        reading = readers.read(text, system)
        if not reading.accepted:
            continue
        result = convert(text, reading, system)
        assert not result.lost()
        again = readers.read(result.files[0].text, system, DEFAULT)
        assert replace(again.jobs[0], where={}) == replace(reading.jobs[0], where={}), text
        assert sum(entry.kind == "directive" for entry in result.entries) == len(reading.directives)
