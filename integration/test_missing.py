"""An engine that is not here: one line that says what to install and how much did not run, or a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# A plugin of pytest, with which the daemons of an engine are not there.
HIDE = """
import dataclasses, os
import engines
name = os.environ["HIDDEN"]
engines.ENGINES[name] = dataclasses.replace(engines.ENGINES[name], commands=("no-such-daemon",))
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def without(tmp_path: Path) -> Run:
    """Run some tests where an engine is hidden."""
    (tmp_path / "hide.py").write_text(HIDE)

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(tmp_path), str(HERE), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "pytest", "-p", "hide", "-p", "no:cacheprovider", *arguments]
        command += [str(HERE / file) for file in ("test_offers.py", "test_missing.py")]
        environ = {**os.environ, "PYTHONPATH": path, "HIDDEN": name, "INTEGRATION_MUST_HAVE": ""}
        return subprocess.run(command, cwd=HERE, env=environ, capture_output=True, text=True, timeout=120)

    return run


@pytest.mark.parametrize(
    ("name", "apart", "install"),
    [("slurm", (), "apt-get install"), ("flux", ("-n", "1"), "fluxrm/flux-core")],
    ids=["alone", "side by side"],
)
def test_it_is_told_in_one_line(without: Run, name: str, apart: tuple[str, ...], install: str) -> None:
    if apart:
        pytest.importorskip("xdist")
    done = without(name, "-k", f"(offers and {name}) or nothing", *apart)
    assert done.returncode == 0, done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if install in line]
    assert line.startswith("2 tests did not run: ") and " is not here (no no-such-daemon): " in line
    assert "1 passed" in done.stdout and "2 without their engine" in done.stdout


def test_one_that_must_be_here_is_a_failure(without: Run) -> None:
    done = without("slurm", "--must-have=hyperqueue,slurm", "-k", "nothing")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: Slurm is not here (no no-such-daemon): apt-get install" in done.stderr


def test_nothing() -> None:
    """What the runs above run beside."""
