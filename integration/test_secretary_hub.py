"""The hub over real secretaries: one of this host, one inside a Flux instance; and profiles that `jobspec` reads."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the extra mcp of resource-secretary is not installed")
Run = Callable[..., "subprocess.CompletedProcess[str]"]
BIN = Path(sys.executable).parent
TOKEN = "a-token-for-the-tests-of-the-hub"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


@contextmanager
def serving(token: Path, *options: str, under: Sequence[str] = ()) -> Iterator[str]:
    """A real server, maybe under another command; its address."""
    words = [*under, str(BIN / "resource-secretary"), "serve", "--http", "0", "--token-file", str(token), *options]
    environ = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environ, start_new_session=True)
    try:
        told = []
        for line in process.stderr or ():
            told.append(line)
            if found := re.search(r"http://\S+/mcp", line):
                yield found[0]
                break
        else:
            pytest.fail("".join(told))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture(scope="module")
def host(token: Path) -> Iterator[str]:
    with serving(token, "--only", "hardware") as url:
        yield url


@pytest.fixture(scope="module")
def flux(token: Path) -> Iterator[str]:
    if not shutil.which("flux") or subprocess.run(["flux", "start", "true"], capture_output=True).returncode:
        pytest.skip("Flux is not here: `flux start` does not work")
    with serving(token, "--only", "flux", under=("flux", "start", "--test-size=3")) as url:
        yield url


def ask(run: Run, token: Path, request: str, *words: str) -> dict[str, object]:
    done = run("resource-secretary", "hub", "ask", request, *words, "--token-file", str(token), "--json")
    assert done.returncode in (0, 1) and done.stderr == "", done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_only_the_cluster_has_three_nodes(run: Run, token: Path, host: str, flux: str) -> None:
    dead = "http://127.0.0.1:9/mcp"
    found = ask(run, token, "nodes=3 cores=1", *(word for url in (host, flux, dead) for word in ("--worker", url)))
    assert (found["chosen"], found["verdict"], found["ranked"]) == (flux, "READY", [flux])
    answers = {one["worker"]: one for one in found["answers"]}  # type: ignore[attr-defined]
    assert answers[host]["verdict"] == "INCOMPATIBLE" and answers[flux]["manager"] == "flux"
    assert [one["worker"] for one in found["rejected"]] == [dead]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("policy", "first"), [("best-fit", "host"), ("least-waste", "host"), ("soonest", None)])
def test_policies_on_real_answers(run: Run, token: Path, host: str, flux: str, policy: str, first: str | None) -> None:
    workers = ("--worker", host, "--worker", flux, "--policy", policy, "--seed", "5")
    found = [ask(run, token, "cores=1", *workers) for _ in range(2)]
    assert found[0]["ranked"] == found[1]["ranked"] and {host, flux} == set(found[0]["ranked"])  # type: ignore[call-overload]
    assert first is None or found[0]["chosen"] == host  # the host has a third of the cores of three brokers on it


def test_the_screen_shows_the_choice_and_why_others_were_not_chosen(run: Run, token: Path, host: str) -> None:
    done = run("resource-secretary", "hub", "ask", "nodes=2", "--worker", host, "--token-file", str(token))
    assert done.returncode == 1 and "verdict   INCOMPATIBLE: it can never fit" in done.stdout
    assert f" • {host}: INCOMPATIBLE: can never fit: 1 of 2 hosts find a place" in done.stdout


def test_jobspec_reads_the_profile_of_this_host(run: Run, tmp_path: Path) -> None:
    done = run("resource-secretary", "profile", "--from", "host")
    assert done.returncode == 0, done.stderr
    (tmp_path / "site.yaml").write_text(done.stdout)
    script = "examples/batch-script.sh"
    done = run("jobspec", "convert", script, "--to", "flux", "--profile", str(tmp_path / "site.yaml"))
    assert done.returncode == 0, done.stderr
    cores = re.search(r"^cores_per_node: (\d+)", (tmp_path / "site.yaml").read_text(), re.MULTILINE)
    assert cores and f"of the {cores[1]} cores of a node" in done.stderr  # memory becomes cores, by the profile
