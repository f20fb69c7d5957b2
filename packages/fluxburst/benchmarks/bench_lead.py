"""Looks at a real Flux instance with 10,000 jobs that wait: `python bench_lead.py [--json FILE]`.

The first look reads the queue, each one after that follows the job manager's journal. Compared with what Flux's own
bindings need to list the same jobs with their jobspecs, in the same run. Without Flux it says so and does nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

JOBS = 10_000
LIMIT = 3.0  # seconds for the first look
QUIET = 20  # looks with nothing new


def took(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bindings() -> None:
    """The same by job-list and one look-up in the KVS for each job."""
    import flux
    import flux.job

    handle = flux.Flux()
    jobs = flux.job.job_list(handle, max_entries=0, states=flux.constants.FLUX_JOB_STATE_PENDING).get_jobs()
    found = flux.job.JobKVSLookup(handle, ids=[job["id"] for job in jobs]).data()
    if len(found) != JOBS:
        raise SystemExit(f"{len(found)} jobs were found, not {JOBS}")


def inside() -> dict[str, Any]:
    """In the instance: submit, and look."""
    import flux
    import flux.job

    from fluxburst.handles.flux import FluxHandle

    subprocess.run(["flux", "queue", "stop", "--quiet"], check=True)
    handle = flux.Flux()
    spec = flux.job.JobspecV1.from_command(["true"], num_tasks=1)
    spec.environment, spec.cwd = dict(os.environ), "/tmp"
    text = spec.dumps()
    for _ in range(JOBS // 500):
        futures = [flux.job.submit_async(handle, text) for _ in range(500)]
        for future in futures:
            future.get_id()
    lead = FluxHandle()
    found: list[int] = []
    first = took(lambda: found.append(len(lead.jobs())))
    if found != [JOBS]:
        raise SystemExit(f"{found} jobs were found, not {JOBS}")
    quiet = statistics.median(took(lead.jobs) for _ in range(QUIET))
    listed = took(bindings)
    for _ in range(10):
        flux.job.submit_async(handle, text).get_id()
    return {"first": first, "nothing new": quiet, "ten new": took(lead.jobs), "bindings": listed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(inside()))
        return
    if (
        not shutil.which("flux")
        or subprocess.run([sys.executable, "-c", "import flux"], capture_output=True).returncode
    ):
        print("no Flux, or not its Python bindings: nothing is measured")
        return
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FLUX_")}
    command = ["flux", "start", sys.executable, __file__, "--inside"]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds = json.loads(done.stdout.splitlines()[-1])
    for name, value in seconds.items():
        note = f"limit {LIMIT:g} s, {LIMIT / value:.1f} times within it" if name == "first" else ""
        print(f"{name:12} {value * 1000:9.2f} ms  {note}")
    print(f"the first look is {seconds['bindings'] / seconds['first']:.1f} times faster than Flux's own listing")
    if arguments.json:
        arguments.json.write_text(json.dumps({"jobs": JOBS, "limit": LIMIT, "seconds": seconds}))


if __name__ == "__main__":
    main()
