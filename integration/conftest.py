"""What the tests of the five together share: running their commands, on this machine and on Flux."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "packages/secretary/tests"), str(ROOT / "integration")]  # for `engines` and `documents`
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the tree; commands run in it."""
    return ROOT


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command of the environment that the tests run in; `stdin` is text."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(*argv: str, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": path}
        return subprocess.run(
            argv, cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True, timeout=timeout
        )

    return run


@pytest.fixture(params=["local", "flux"])
def engine(request: pytest.FixtureRequest) -> tuple[str, tuple[str, ...]]:
    """Where jobs run: the name that the commands take, and what to start them under."""
    if request.param == "local":
        return "local", ()
    if not shutil.which("flux"):
        pytest.skip("Flux is not here: no `flux` on PATH")
    return "flux", ("flux", "start", "--test-size=2")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much of the documents was run."""
    tally = sys.modules.get("documents.tally")
    if tally is not None and tally.TALLY.pages:
        terminalreporter.section("documents")
        for line in tally.TALLY.lines(sys.modules["documents.held"].waiting()):
            terminalreporter.write_line(line)
