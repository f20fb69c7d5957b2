"""Shared by the tests of ensemble."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, settings


def pytest_configure() -> None:
    """Started in the background, as by `nohup ... &`, what tests start would ignore the signals that they send it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


# A machine that others use, too, is slow at times.
settings.register_profile("patient", deadline=None)
# Few examples, the same every time, and the first failure as it is found: for a run on many mutants.
settings.register_profile("first", deadline=None, max_examples=25, derandomize=True, phases=[Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "patient"))
ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def examples() -> Path:
    if not (EXAMPLES / "hello-world.yaml").is_file():
        pytest.skip("the examples are not there")
    return EXAMPLES


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directories of runs that name none don't go to the user's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def ensemble(tmp_path: Path) -> Run:
    """Run the command line as a user does, in an empty folder and away from any Flux instance."""

    def run(
        *args: str | Path, env: dict[str, str] | None = None, stdin: str = "", timeout: float = 30
    ) -> subprocess.CompletedProcess[str]:
        outside = {key: value for key, value in os.environ.items() if not key.startswith("FLUX_")}
        return subprocess.run(
            [sys.executable, "-c", "from ensemble.cli import main; main(prog_name='ensemble')", *map(str, args)],
            capture_output=True,
            input=stdin,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
            env={**outside, "TMPDIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), **(env or {})},
        )

    return run


@pytest.fixture
def document(tmp_path: Path) -> Callable[[str], Path]:
    """A file with this text."""

    def write(text: str) -> Path:
        path = tmp_path / "ensemble.yaml"
        path.write_text(text)
        return path

    return write
