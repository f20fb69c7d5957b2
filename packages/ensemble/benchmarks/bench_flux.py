"""The Flux member against Flux's own means, on one instance in one run: `python bench_flux.py [--json FILE]`.

Submission: jobs a second until all ids are known, against bare `flux.job.submit_async` of the same jobspecs
(environment and attributes included), while the queue is stopped, so that no job runs. The member also hears and tells
all events of the journal meanwhile. Completion: from the start until the last job is clean, against
`flux submit --cc --wait`. The order alternates; the best of the rounds counts, for others use the machine, too. `cpu`
is processor time of this process in milliseconds a job, the least of the rounds.
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
from ensemble.fluxqueue.jobspec import Writer
from ensemble.job import Job, Spec
from ensemble.member import Options
from ensemble.members.flux import FluxMember

SUBMITTED, COMPLETED, ROUNDS = 1000, 300, 5
NUMBERS = itertools.count()


def flux(*arguments: str) -> None:
    subprocess.run(["flux", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def clear() -> None:
    flux("cancel", "--all")
    flux("queue", "drain")
    flux("job", "purge", "--force", "--num-limit=0")


def some(name: str, count: int) -> list[Job]:
    spec = Spec("true", ("true",), nodes=0)
    return [Job(f"true.{number}", f"{name}-true.{number}", spec) for number in range(count)]


def bare() -> float:
    """Jobs a second."""
    import flux.job as job
    from flux import Flux

    handle = Flux()
    writer = Writer("bare", str(Path.cwd()), os.environ)
    specs = [job.JobspecV1(**json.loads(writer.text(each))) for each in some("bare", SUBMITTED)]
    start = time.perf_counter()
    futures = [job.submit_async(handle, spec) for spec in specs]
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
    jobs = some(name, count)
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


def compare(ours: Callable[[], float], theirs: Callable[[], float]) -> dict[str, float]:
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    cpu: dict[str, list[float]] = {"ours": [], "theirs": []}
    both = (("ours", ours), ("theirs", theirs))
    for turn in range(ROUNDS):
        for name, one in both if turn % 2 else both[::-1]:
            start = time.process_time()
            rates[name].append(one())
            cpu[name].append(time.process_time() - start)
            clear()
    best = {name: max(found) for name, found in rates.items()}
    return {**best, "ratio": best["ours"] / best["theirs"], **{f"cpu {name}": min(cpu[name]) for name in cpu}}


def measure() -> dict[str, dict[str, float]]:
    found = {}
    flux("queue", "stop", "--all")
    found["submission, of flux.job.submit_async"] = compare(lambda: asyncio.run(run(SUBMITTED, "")), bare)
    flux("queue", "start", "--all")
    found["completion, of flux submit --cc"] = compare(lambda: asyncio.run(run(COMPLETED, "clean")), command_line)
    for each, count in zip(found.values(), (SUBMITTED, COMPLETED), strict=True):
        for name in ("cpu ours", "cpu theirs"):
            each[name] *= 1000 / count
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
