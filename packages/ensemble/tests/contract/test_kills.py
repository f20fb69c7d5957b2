"""Killed at 200 random moments, and resumed: no job lost, none run twice, the decisions of an unbroken run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MOMENTS = 200
FLUX = shutil.which("flux")
NO_BINDINGS = FLUX is None or subprocess.run([sys.executable, "-c", "import flux.job"], capture_output=True).returncode


@pytest.mark.timeout(600)
class TestLocal:  # classes, so that both can run side by side (pytest-xdist's loadscope)
    def test_killed_and_resumed_again_and_again(self, tmp_path: Path) -> None:
        killed_and_resumed_again_and_again("local", tmp_path)


@pytest.mark.timeout(600)
@pytest.mark.skipif(NO_BINDINGS, reason="no Flux with its bindings here")
class TestFlux:
    def test_killed_and_resumed_again_and_again(self, tmp_path: Path) -> None:
        killed_and_resumed_again_and_again("flux", tmp_path)


def killed_and_resumed_again_and_again(member: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("kills.py")
    command = [sys.executable, str(script), member, str(tmp_path), str(MOMENTS), "1"]
    if member == "flux":
        command = [str(FLUX), "start", "--test-size=2", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=590)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["kills"] >= MOMENTS
    assert answer["once"], answer.get("found")
    assert answer["same"], answer.get("found")
