"""The demo, run as a user whose output goes into a pipe: each step did its work, and said so in plain text."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]


def tell(root: Path) -> subprocess.CompletedProcess[str]:
    demo = root / "integration" / "demo.py"
    return subprocess.run(
        [sys.executable, str(demo)], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240
    )


@pytest.fixture(scope="module")
def told() -> str:
    done = tell(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def part(told: str, command: str) -> str:
    """What the demo shows of one command: from its line to the next command or the word on what it means."""
    found = re.search(rf"^\$ (?:flux start \S+ )?{re.escape(command)}.*?(?=^[$→])", told, re.MULTILINE | re.DOTALL)
    assert found, f"{command} was not run"
    return found[0]


def test_it_is_plain_text(told: str) -> None:
    assert "\x1b" not in told


def test_the_refusal_names_what_is_short_here(told: str) -> None:
    program = str(Path(sys.executable).parent / "resource-secretary")
    offer = json.loads(subprocess.run([program, "offer", "--json"], capture_output=True, check=True).stdout)
    cores = max(group["total"]["cores"] for group in offer["groups"])
    refused = part(told, f"resources explain cores={cores + 1} ")
    assert f"short by 1 (needs {cores + 1}, has {cores})" in refused


def test_the_jobs_ran_here(told: str) -> None:
    said = part(told, "jobspec run -t local")
    assert f"hello world from {socket.gethostname()}" in said
    ensemble = part(told, "ensemble run examples/hello-world.yaml --member local")
    assert ensemble.index("trigger count.sleep.success") < ensemble.index("submit echo")
    assert "echo: 5 submitted, 5 finished, 5 success" in ensemble


@pytest.mark.needs("flux")
def test_the_jobs_ran_on_flux_too(told: str) -> None:
    assert "=> step submit ƒ" in part(told, "jobspec run -t flux")
    assert "echo: 5 submitted, 5 finished, 5 success" in part(
        told, "ensemble run examples/hello-world.yaml --member flux"
    )


def test_the_plan_shows_a_burst_and_a_refusal_with_its_reason(told: str) -> None:
    said = part(told, "flux-burst plan")
    program = str(Path(sys.executable).parent / "flux-burst")
    files = ["--queue", "examples/queue.jsonl", "--inventory", "examples/queue.inventory.json"]
    argv = [program, "plan", *files, "--plugin", "mock", "--json"]
    plan = json.loads(subprocess.run(argv, cwd=ROOT, capture_output=True, check=True).stdout)
    assert {entry["outcome"] for entry in plan["explanations"]} >= {"burst", "lead", "refused"}
    for entry in plan["explanations"]:
        assert entry["reason"] in said


def test_the_picture_shows_commands_that_the_demo_runs(told: str) -> None:
    picture = ElementTree.parse(ROOT / "docs" / "demo.svg")
    lines: dict[str, str] = {}
    for text in picture.iter("{http://www.w3.org/2000/svg}text"):
        lines[text.get("y", "")] = lines.get(text.get("y", ""), "") + (text.text or "").replace("\xa0", " ")

    def commands(lines: Iterable[str]) -> list[str]:
        # The number of cores and the name of the temporary folder are those of one run.
        return [re.sub(r"(cores=)\d+|(/demo-)\w+", r"\1\2", line.rstrip()) for line in lines if line.startswith("$ ")]

    drawn = commands(lines.values())
    assert len(drawn) >= 4
    assert set(drawn) <= set(commands(told.splitlines()))
    assert any(line.startswith("READY") for line in lines.values())
    assert any("short by" in line for line in lines.values())


def test_the_picture_loads_nothing() -> None:
    text = (ROOT / "docs" / "demo.svg").read_text()
    assert not re.search(r"url\((?!#)|href=|<image|<script|@import", text)


def test_a_step_that_fails_ends_the_demo_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "integration").mkdir()
    (tmp_path / "examples").mkdir()
    for name in ("integration/demo.py", "integration/story.py", "examples/batch-script.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = tell(tmp_path)
    assert done.returncode == 1
    assert "Failed: 3. " in done.stdout.splitlines()[-1]
    assert "hello-world-wait-jobspec.yaml" in done.stdout.splitlines()[-1]
    assert "4. " not in done.stdout
