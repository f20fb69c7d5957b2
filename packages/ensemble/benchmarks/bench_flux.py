"""The Flux member against Flux's own means, on one instance in one run: `python bench_flux.py [--json FILE]`.

Submission: against bare `flux.job.submit_async` of one jobspec with the same environment, while the queue is stopped.
Completion: against `flux submit --cc --wait`. The order alternates, and the best of the rounds counts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ensemble.events import Event
from ensemble.fluxqueue.jobspec import inherited
from ensemble.job import Job, Spec
from ensemble.member import Options
from ensemble.members.flux import FluxMember

SUBMITTED, COMPLETED, ROUNDS = 1000, 300, 3
NUMBERS = itertools.count()


def flux(*arguments: str) -> None:
    subprocess.run(["flux", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def clear() -> None:
    flux("cancel", "--all")
    flux("queue", "drain")
    flux("job", "purge", "--force", "--num-limit=0")


def bare() -> float:
    """Jobs a second."""
    import flux.job as job
    from flux import Flux

    handle = Flux()
    spec = job.JobspecV1.from_command(["true"])
    spec.environment, spec.cwd = inherited(os.environ), str(Path.cwd())
    start = time.perf_counter()
    futures = [job.submit_async(handle, spec) for _ in range(SUBMITTED)]
    for future in futures:
        future.get_id()
    return SUBMITTED / (time.perf_counter() - start)


async def run(count: int, wait_for: str) -> float:
    """Jobs a second, through the member and all its events, until each has had this event, or was answered."""
    name = f"bench{next(NUMBERS)}"
    left, done = count, asyncio.Event()

    def emit(event: Event) -> None:
        nonlocal left
        if event.name == wait_for:
            left -= 1
            if not left:
                done.set()

    member = FluxMember(Options(run=name))
    await member.open(emit, print)
    jobs = [Job(f"true.{number}", f"{name}-true.{number}", Spec("true", ("true",), nodes=0)) for number in range(count)]
    start = time.perf_counter()
    await member.submit(jobs)
    if wait_for:
        await done.wait()
    rate = count / (time.perf_counter() - start)
    await member.close(leave=True)
    return rate


def command_line() -> float:
    """Jobs a second."""
    start = time.perf_counter()
    flux("submit", f"--cc=1-{COMPLETED}", "--wait", "--quiet", "true")
    return COMPLETED / (time.perf_counter() - start)


def compare(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float]:
    rates: dict[Callable[[], float], list[float]] = {ours: [], theirs: []}
    for turn in range(ROUNDS):
        for one in (ours, theirs) if turn % 2 else (theirs, ours):
            rates[one].append(one())
            clear()
    return max(rates[ours]), max(rates[theirs])


def measure() -> dict[str, dict[str, float]]:
    found = {}
    flux("queue", "stop", "--all")
    ours, theirs = compare(lambda: asyncio.run(run(SUBMITTED, "")), bare)
    found["submission, of flux.job.submit_async"] = {"ours": ours, "theirs": theirs, "ratio": ours / theirs}
    flux("queue", "start", "--all")
    ours, theirs = compare(lambda: asyncio.run(run(COMPLETED, "clean")), command_line)
    found["completion, of flux submit --cc"] = {"ours": ours, "theirs": theirs, "ratio": ours / theirs}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        program = shutil.which("flux")
        bindings = subprocess.run([sys.executable, "-c", "import flux.job"], capture_output=True)
        if not program or bindings.returncode:
            print("skipped: no flux with its Python bindings on this machine")
            return 0
        return subprocess.run([program, "start", "--test-size=2", sys.executable, *sys.argv, "--inside"]).returncode
    found = measure()
    for what, rates in found.items():
        print(f"{what:40} {rates['ours']:7.0f}/s {rates['theirs']:7.0f}/s  {rates['ratio']:5.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
