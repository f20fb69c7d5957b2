"""What the tests of the five together share: their commands, the engines, and a word on each engine not here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "integration"))  # the package `engines`, and the modules beside this one

import installed  # noqa: E402
from engines import ENGINES, flux, slurm  # noqa: E402

from documents import tally  # noqa: E402

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NEEDS = "Skipped: needs "
MUST = "INTEGRATION_MUST_HAVE"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--must-have",
        metavar="ENGINE,...",
        default=os.environ.get(MUST, ""),
        help=f"fail where one of these is not here: {', '.join(ENGINES)} (default: what the variable {MUST} says)",
    )
    parser.addoption(
        "--wheels", action="store_true", help="fail unless the five packages are installed from the wheels of dist/"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*engines): run only where these engines are")
    if hasattr(config, "workerinput"):  # of pytest-xdist: the one that starts it has looked
        return
    wanted = [name.strip() for name in config.getoption("--must-have").split(",") if name.strip()]
    if unknown := set(wanted) - set(ENGINES):
        raise pytest.UsageError(f"no engine is called {', '.join(sorted(unknown))}: there are {', '.join(ENGINES)}")
    lines = [_absent(name) for name in wanted if ENGINES[name].missing()]
    if config.getoption("--wheels"):
        lines += installed.not_from(ROOT / "dist")
    if lines:
        raise pytest.UsageError("\n".join(lines))


def _absent(name: str) -> str:
    engine = ENGINES[name]
    return f"{engine.name} is not here (no {', no '.join(engine.missing())}): {engine.install}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _needs(*(name for mark in item.iter_markers("needs") for name in mark.args))


def _needs(*names: str) -> None:
    lacking = [name for name in dict.fromkeys(names) if ENGINES[name].missing()]
    if lacking:
        pytest.skip(NEEDS.removeprefix("Skipped: ") + ", ".join(lacking))


@pytest.fixture(scope="session")
def needs() -> Callable[..., None]:
    """As the mark, for fixtures that several tests use."""
    return _needs


def _lacks(report: Any) -> list[str]:
    """The engines for want of which a test did not run."""
    reason = report.longrepr[2] if report.outcome == "skipped" and isinstance(report.longrepr, tuple) else ""
    names = reason.removeprefix(NEEDS).split(", ") if reason.startswith(NEEDS) else []
    return names if set(names) <= set(ENGINES) else []  # other things are needed too, and their skips are told in full


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """They are counted apart from other tests that are skipped, and told by engine instead of one by one."""
    return ("without their engine", "s", "SKIPPED") if _lacks(report) else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    kept = Counter(name for report in terminalreporter.getreports("without their engine") for name in _lacks(report))
    if kept:
        terminalreporter.section("engines that are not here")
    for name, count in kept.items():
        terminalreporter.line(f"{count} {'test' if count == 1 else 'tests'} did not run: {_absent(name)}")
    tally.tell(terminalreporter)


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


@pytest.fixture(scope="session")
def flux_of_four(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Flux of four brokers; gives the environment that reaches it. Whoever uses it leaves it as it was."""
    needs("flux")
    with flux.flux(tmp_path_factory.mktemp("flux")) as environ:
        yield environ


@pytest.fixture(scope="session")
def slurm_of_four(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Cluster]:
    """A Slurm of four nodes. Whoever uses it leaves it as it was."""
    needs("slurm")
    nodes = ("n1", "n2", "n3", "n4")
    with slurm.slurm(tmp_path_factory.mktemp("slurm"), nodes=nodes, conf=slurm.FOUR) as cluster:
        yield cluster


@pytest.fixture(params=["local", pytest.param("flux", marks=pytest.mark.needs("flux"))])
def engine(request: pytest.FixtureRequest) -> tuple[str, tuple[str, ...]]:
    """Where jobs run: the name that the commands take, and what to start them under."""
    return request.param, ("flux", "start", "--test-size=2") if request.param == "flux" else ()
