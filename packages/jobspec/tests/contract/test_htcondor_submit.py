"""HTCondor itself reads what we write: `condor_submit -dry-run` where there is one, else the parser of its bindings."""

from __future__ import annotations

import shutil
import subprocess
from importlib import import_module

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.profile import DEFAULT


@pytest.fixture(scope="module")
def descriptions(corpus):
    found = []
    for _, text in corpus[::40]:
        reading = readers.read(text)
        if reading.accepted:
            try:
                files = convert(text, reading, "htcondor", DEFAULT, file="job.sh").files
            except JobspecError:
                continue
            # Directories of the places where these scripts come from are not here.
            lines = [line for line in files[0].text.split("\n") if not line.startswith("initialdir")]
            found.append("\n".join(lines))
    assert len(found) > 20
    return found


def test_condor_submit_takes_them(descriptions, tmp_path):
    if not shutil.which("condor_submit"):
        pytest.skip("condor_submit is not installed")
    (tmp_path / "job.sh").write_text("#!/bin/sh\n")
    for text in descriptions:
        (tmp_path / "job.sub").write_text(text)
        argv = ["condor_submit", "-dry-run", "/dev/null", "job.sub"]
        ran = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
        assert ran.returncode == 0, (text, ran.stderr)


def test_the_bindings_read_them(descriptions, monkeypatch):
    monkeypatch.setenv("CONDOR_CONFIG", "/dev/null")  # no pool is asked
    try:
        submit = import_module("htcondor2").Submit
    except ImportError:
        pytest.skip("HTCondor's Python bindings (htcondor2) are not installed")
    for text in descriptions:
        found = submit(text)
        for line in text.split("\n"):
            key, equals, value = line.partition(" = ")
            if equals:
                assert found[key] == value, line
        assert found.getQArgs() == text.rstrip("\n").rpartition("\n")[2].removeprefix("queue").strip()
