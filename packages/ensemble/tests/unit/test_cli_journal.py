"""`python -m ensemble.members.flux` where there is no Flux instance: help, wrong usage, and one line that says why."""

from __future__ import annotations

import os
import subprocess
import sys


def journal(*args: str) -> subprocess.CompletedProcess[str]:
    outside = {key: value for key, value in os.environ.items() if not key.startswith("FLUX_")}
    return subprocess.run(
        [sys.executable, "-m", "ensemble.members.flux", *args], env=outside, capture_output=True, text=True, timeout=30
    )


def test_help_needs_no_instance() -> None:
    done = journal("--help")
    assert done.returncode == 0
    assert "JSON Lines" in done.stdout


def test_what_it_does_not_take_is_refused() -> None:
    done = journal("--uri", "local:///run/flux/local")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such option" in done.stderr


def test_without_an_instance_it_says_so_in_one_line() -> None:
    done = journal()
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "Flux" in done.stderr
