"""What the tests of this package share."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result


def pytest_configure() -> None:
    """Started in the background, as by `nohup ... &`, what tests start would ignore the signals that they send it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def examples() -> Path:
    folder = ROOT / "examples"
    if not folder.is_dir():
        pytest.skip("the examples are not beside this package")
    return folder


@pytest.fixture(autouse=True)
def private_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stages are made here, so that a test sees what is left."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def no_flux_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite gives the same answers inside a Flux instance; tests of Flux start their own."""
    monkeypatch.delenv("FLUX_URI", raising=False)


@pytest.fixture
def jobspec() -> Callable[..., Result]:
    """Call the command line in this process: `jobspec("run", "-t", "local", path)`."""

    def call(*arguments: object, stdin: str | bytes | None = None) -> Result:
        from jobspec.cli import main

        result = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin, prog_name="jobspec")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code != 70, result.stderr
        return result

    return call


@pytest.fixture(scope="session")
def flux_uri() -> Iterator[str]:
    """A Flux instance of two brokers, for the whole session."""
    if not shutil.which("flux"):
        pytest.skip("Flux is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLUX_")}
    # The instance ends with its first program, which ends when its stdin does.
    argv = ["flux", "start", "--test-size=2", "sh", "-c", "echo $FLUX_URI; exec cat"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.fixture
def in_flux(flux_uri: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in an environment from which Flux is reachable."""

    def call(*command: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FLUX_URI": flux_uri}
        argv = [str(word) for word in command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environment, check=False)

    return call


@pytest.fixture(scope="session", params=["bindings", "commands"])
def in_python(request: pytest.FixtureRequest, flux_uri: str) -> tuple[str, ...]:
    """The start of a command that runs Python code, with Flux's Python bindings and without any."""
    if request.param == "bindings":
        code = "from jobspec.transformer._flux_bindings import connect; print(*connect(), sep='|')"
        environment = {**os.environ, "FLUX_URI": flux_uri}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        found, _, why = done.stdout.strip().partition("|")
        if found == "None":
            pytest.skip(f"Flux's Python bindings {why or 'are not installed'}")
        return (sys.executable, "-c", "exec(__import__('sys').argv.pop(1))")
    return (sys.executable, "-c", "import sys; sys.modules['flux'] = None; exec(sys.argv.pop(1))")


@pytest.fixture
def flux_jobspec(in_python: tuple[str, ...]) -> tuple[str, ...]:
    """The command `jobspec`, with Flux's Python bindings and without any."""
    return (*in_python, "from jobspec.cli import main; main(prog_name='jobspec')")


def corpus_folder() -> Path:
    folder = ROOT.parent / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("the corpus of real scripts is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def slurm_corpus() -> list[tuple[str, dict[str, Any]]]:
    """(script, what a real sbatch said of it), rebuilt as the corpus' README says."""
    folder = corpus_folder()
    said = {row["id"]: row for row in _lines(folder / "slurm-says.jsonl")}
    return [(_rebuilt(row), said[row["id"]]) for row in _lines(folder / "directives.jsonl") if row["id"] in said]


@pytest.fixture(scope="session")
def corpus() -> list[tuple[str, str]]:
    """(system, script) of every system, rebuilt; the corpus' short names of systems as they are there."""
    return [(row["system"], _rebuilt(row)) for row in _lines(corpus_folder() / "directives.jsonl")]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        for line in file:
            yield json.loads(line)


def _rebuilt(row: dict[str, Any]) -> str:
    lines = [row["shebang"]] if row.get("shebang") else []
    lines += [line["text"] for line in row["lines"] if not line["after_command"]]
    lines += ["hostname", *(line["text"] for line in row["lines"] if line["after_command"])]
    return "\n".join(lines) + "\n"
