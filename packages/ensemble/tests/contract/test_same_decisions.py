"""The same file gives the same decisions on every member, where its rules are on counts."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .test_slurm_real import slurm as cluster  # noqa: F401 - a fixture, which starts only where it is asked for

CLI = [sys.executable, "-c", "from ensemble.cli import main; main(prog_name='ensemble')"]
# What a whole study does: a first group, one that follows from it, a failure that is answered, one that waits.
FILE = """
jobs:
  - {name: sleep, command: sleep 0.2, count: 5}
  - {name: echo, command: echo hello world, count: 5}
  - {name: bad, command: [sh, -c, exit 3], count: 2, retries: 1}
  - {name: last, command: "true", count: 3, depends_on: [echo]}
rules:
  - {trigger: start, action: {name: submit, label: sleep}}
  - {trigger: metric, name: count.sleep.success, when: 3, action: {name: submit, label: echo}}
  - {trigger: metric, name: count.echo.finished, when: 5, action: {name: submit, label: last}}
  - {trigger: metric, name: count.last.success, when: 3, action: {name: submit, label: bad}}
  - {trigger: metric, name: count.bad.failed, when: 1, action: {name: custom, label: more, repetitions: 2}}
custom: |
  def more(*, metrics, **known):
      return Action({"name": "submit", "label": "last", "value": {"count": 1}})
"""
FIRED = ["start", "count.sleep.success", "count.echo.finished", "count.last.success", *["count.bad.failed"] * 2]
COUNTS = {
    "sleep": {"submitted": 5, "finished": 5, "success": 5},
    "echo": {"submitted": 5, "finished": 5, "success": 5},
    "bad": {"submitted": 2, "finished": 2, "failed": 2, "retried": 2},
    "last": {"submitted": 5, "finished": 5, "success": 5},
}
HELLO = [("start", "sleep"), ("count.sleep.success", "echo")]
MEMBERS = ["local", "sim", "flux", "slurm", "hyperqueue"]


class Place:
    """Runs a file on a member, as a user does there."""

    def __init__(self, member: str, before: list[str], environment: dict[str, str], folder: Path) -> None:
        self.member, self.before, self.environment, self.folder = member, before, environment, folder

    def run(self, file: Path) -> tuple[int, list[dict[str, Any]]]:
        command = [*self.before, *CLI, "run", "--json", "--member", self.member, str(file), "--dir", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=240)
        assert "Traceback" not in done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, done.stderr
        return done.returncode, lines


@pytest.fixture(params=MEMBERS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    outside = {key: value for key, value in os.environ.items() if not key.startswith(("FLUX_", "HQ_"))}
    before: list[str] = []
    match request.param:
        case "flux":
            flux = shutil.which("flux")
            if not flux:
                pytest.skip("no flux on this machine")
            if subprocess.run([sys.executable, "-c", "import flux.job"], capture_output=True).returncode:
                pytest.skip(
                    "flux is here, but its Python bindings are not: pip install flux-python of its version, and ply"
                )
            before = [flux, "start", "--test-size=2"]
        case "slurm":
            outside |= request.getfixturevalue("cluster").environ
        case "hyperqueue":
            if importlib.util.find_spec("hyperqueue") is None:
                pytest.skip("hyperqueue is not installed: pip install 'ensemble-python[hyperqueue]'")
            outside["HOME"] = str(tmp_path)
    return Place(request.param, before, outside, tmp_path / "run")


@pytest.mark.timeout(300)
def test_rules_on_counts(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    text = FILE
    if place.member == "sim":  # nothing is run there: the model says what fails
        text += "member: {name: sim, speed: max, nodes: 4, models: {bad: {duration: 1, fail: 1, status: 3}}}\n"
    file.write_text(text)
    code, lines = place.run(file)
    assert [line["name"] for line in lines if line["type"] == "trigger"] == FIRED
    assert lines[-1]["counts"] == COUNTS
    assert lines[-1]["met"] is False  # two jobs failed
    assert code == 1


@pytest.mark.timeout(300)
def test_hello_world_gives_the_triggers_of_the_document_in_order(place: Place, examples: Path) -> None:
    code, lines = place.run(examples / "hello-world.yaml")
    assert code == 0
    fired = [line["name"] for line in lines if line["type"] == "trigger"]
    submitted = [line["label"] for line in lines if line["type"] == "submit"]
    assert list(zip(fired, submitted, strict=True)) == HELLO
    five = {"submitted": 5, "finished": 5, "success": 5}
    assert lines[-1]["counts"] == {"sleep": five, "echo": five}
