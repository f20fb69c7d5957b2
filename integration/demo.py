"""The main job, told through the five command lines, each run for real.

What does this machine have; does a batch script fit it, and if not why not; run a job of several
steps; let rules drive an ensemble; plan where a queue that is too long would burst to. Steps 3 and
4 run as processes of this machine, and on Flux too where it is there. Exits 1 at the first step
that does not do what it should, and names it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from resources.documents import Inventory
from rich.console import Console
from story import StepFailed, Story

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    story = Story(Console(highlight=False), ROOT)
    try:
        with tempfile.TemporaryDirectory(prefix="demo-") as folder:
            offer = what_is_here(story, Path(folder))
            does_it_fit(story, Path(folder), offer)
            under = flux()
            run_a_job(story, under)
            drive_an_ensemble(story, Path(folder), under)
            plan_a_burst(story)
    except StepFailed as error:
        story.fail(error)
        return 1
    story.end()
    return 0


def flux() -> tuple[str, ...] | None:
    """What to put before a command so that it reaches a Flux: nothing inside of one, else a small one of its own.

    None where there is no Flux.
    """
    if not shutil.which("flux"):
        return None
    try:
        asked = subprocess.run(["flux", "uptime"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        asked = None
    return () if asked and asked.returncode == 0 else ("flux", "start", "--test-size=2")


def what_is_here(story: Story, folder: Path) -> Path:
    """Step 1. Gives the file with the inventory of this machine."""
    story.step("1. What does this machine have?")
    story.run("resource-secretary", "detect")
    offer = folder / "offer.json"
    story.save(offer, "resource-secretary", "offer", "--json", lines=9)
    story.tell(f"What the other tools may use: {hosts_in(offer)}.")
    return offer


def hosts_in(offer: Path) -> str:
    """The hosts of an offer and what each one has, in words."""
    groups = Inventory.from_json(offer.read_text()).groups
    return "; ".join(f"{', '.join(dict.fromkeys(group.hosts))} ({group.total})" for group in groups)


def does_it_fit(story: Story, folder: Path, offer: Path) -> None:
    """Step 2: a batch script against the offer, one that fits most machines, and one that is refused."""
    story.step("2. Does a batch script fit here, and if not, why not?")
    request = folder / "request.txt"
    story.save(request, "jobspec", "request", "examples/batch-script.sh")
    wanted = request.read_text().strip()
    fits = story.ask("resources", "fit", wanted, "--in", "-", stdin=offer)
    story.tell("It fits." if fits else "It does not fit; the answer says what is short, and where.")
    if story.ask("resources", "fit", "cores=1", "--in", "-", stdin=offer):
        story.tell("One core is there; jobs of that size can start now.")
    cores = [group.total.get("cores") for group in Inventory.from_json(offer.read_text()).groups]
    more = f"cores={1 + max(leaf.N for leaf in cores if leaf)}"
    if story.ask("resources", "explain", more, "--in", "-", stdin=offer):
        raise StepFailed(f"{more} is more than any host here has, and it is said to fit")
    story.tell("One core more than the largest host has: refused, with what is short and by how much.")


def run_a_job(story: Story, under: tuple[str, ...] | None) -> None:
    """Step 3: a job of several steps."""
    story.step("3. Run a job of several steps: write, submit, wait")
    story.run("jobspec", "run", "-t", "local", "examples/hello-world-wait-jobspec.yaml")
    story.tell("Every step was done by real processes of this machine; no cluster was needed.")
    if under is None:
        story.tell("Flux is not here; where it is, this step and the next run on it too.")
    else:
        story.run("jobspec", "run", "-t", "flux", "examples/hello-world-wait-jobspec.yaml", under=under)
        story.tell("The same file, now as a job of Flux: only the transformer is another.")


def drive_an_ensemble(story: Story, folder: Path, under: tuple[str, ...] | None) -> None:
    """Step 4: rules that start jobs when others have ended; what they cost, before and after."""
    story.step("4. Let rules drive an ensemble: three sleeps done, start the echoes")
    story.run("ensemble", "simulate", "examples/hello-world.yaml", "--nodes", "2", "--model", "sleep=duration:1")
    story.tell("Nothing ran yet: this is virtual time, and what the run would cost in node-hours.")
    kept = str(folder / "run")
    story.run("ensemble", "run", "examples/hello-world.yaml", "--member", "local", "--dir", kept)
    story.tell("The rules saw each job end, started what was next, and stopped by themselves.")
    story.run("ensemble", "status", kept)
    story.tell("All of it is in the directory of the run: a run that is killed goes on from there.")
    if under is not None:
        on_flux = ("--member", "flux", "--dir", str(folder / "run-flux"))
        story.run("ensemble", "run", "examples/hello-world.yaml", *on_flux, under=under)
        story.tell("The same rules, with Flux to run the jobs.")


def plan_a_burst(story: Story) -> None:
    """Step 5: a recorded queue that is too long."""
    story.step("5. The queue is too long: which jobs would burst, and where to?")
    lead = ("--queue", "examples/queue.jsonl", "--inventory", "examples/queue.inventory.json")
    story.run("flux-burst", "plan", *lead, "--plugin", "mock")
    story.tell("Nothing was started: a plan is an answer, with its reasons.")


if __name__ == "__main__":
    sys.exit(main())
