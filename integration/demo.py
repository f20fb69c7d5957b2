"""The main job, told through the five command lines, each run for real.

What does this machine have, does a batch script fit it and if not why not, run a job of several
steps, let rules drive an ensemble, and plan where a queue that is too long could burst to. Steps
3 and 4 run on this machine's processes, and on Flux too where it is there. Exits 1 at the first
step that does not do what it should, and names it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from story import StepFailed, Story

ROOT = Path(__file__).resolve().parents[1]


def has(story: Story, folder: Path) -> Path:
    """Step 1: what this machine has. Gives the file with its inventory."""
    story.step("1  What does this machine have?")
    story.run("resource-secretary", "detect", lines=24)
    offer = folder / "offer.json"
    story.run("resource-secretary", "offer", "--json", save=offer, lines=9)
    groups = json.loads(offer.read_text())["groups"]
    story.tell(f"{len(groups)} group(s) of alike hosts; every other tool here reads this document.")
    return offer


def fits(story: Story, folder: Path, offer: Path) -> None:
    """Step 2: what a batch script asks for, whether it fits, and a request that can't."""
    story.step("2  Does a batch script fit, and if not, why not?")
    request = folder / "request.txt"
    story.run("jobspec", "request", "examples/batch-script.sh", save=request)
    wanted = request.read_text().strip()
    answer = story.run("resources", "fit", wanted, "--in", "-", stdin=offer, allowed=(0, 1))
    story.tell("It fits." if answer.code == 0 else "It does not fit, and the line above says what is short.")
    more = f"cores={1 + max(cores_of(group) for group in json.loads(offer.read_text())['groups'])}"
    refused = story.run("resources", "explain", more, "--in", "-", stdin=offer, allowed=(1,))
    story.tell(f"One core more than any host here has: {first_line(refused.out)}")


def main() -> int:
    console = Console(highlight=False)
    story = Story(console, ROOT)
    try:
        with tempfile.TemporaryDirectory(prefix="demo-") as folder:
            tell_all(story, Path(folder))
    except StepFailed as error:
        console.print(Text(f"Step failed: {story.title}: {error}", style="bold red"))
        return 1
    return 0
