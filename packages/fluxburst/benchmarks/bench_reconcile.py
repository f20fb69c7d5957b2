"""Passes of the controller over a queue of 10,000 jobs: `python bench_reconcile.py [--json FILE]`.

The lead is the fake one, the ledger a real file, the provider the mock. Times are of the wall clock, medians: with
nothing new the reading of the ledger and the providers is all that a pass does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fluxburst.client import FluxBurst
from fluxburst.demand import Demand
from fluxburst.handles.fake import FakeHandle
from fluxburst.settings import Settings

JOBS, BURSTS = 10_000, 20
LIMIT = 0.050  # seconds for a pass with nothing new


def median(work: Callable[[], object], rounds: int) -> float:
    """Seconds that `work` takes."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    lead = FakeHandle({"lead0": (4, 0), **{f"mock{n}": (16, 0) for n in range(1000)}}, ["lead0"], clock=time.time)
    for n in range(JOBS):
        lead.submit(Demand(1 + n % 8, 1, 1 + n % 16, 0), 1000.0 + n % 50)
    with tempfile.TemporaryDirectory(prefix="bench-reconcile-") as folder:
        client = FluxBurst(lead, settings=Settings(delay=0, interval=0), ledger=Path(folder, "burst.sqlite"))
        client.load("mock", max_nodes=500)
        start = time.perf_counter()
        made = client.run_burst()
        first = time.perf_counter() - start
        nodes = sum(burst.nodes for burst in made.created)
        quiet = median(client.run_burst, 50)

        def one_more() -> None:
            lead.submit(Demand(3, 1, 2, 0), 500.0)
            client.run_burst()

        changed = median(one_more, 5)
        client.close()
    rows = {
        "first pass": first,
        "nothing new": quiet,
        "one new job": changed,
    }
    for name, seconds in rows.items():
        note = f"limit {LIMIT * 1000:.0f} ms, {LIMIT / seconds:.0f} times within it" if name == "nothing new" else ""
        print(f"{name:12} {seconds * 1000:9.2f} ms  {note}")
    ratio = first / quiet
    print(f"{JOBS:,} jobs wait, {nodes} nodes are coming; nothing new is {ratio:.0f} times faster than the first")
    if arguments.json:
        arguments.json.write_text(json.dumps({"jobs": JOBS, "nodes": nodes, "limit": LIMIT, "seconds": rows}))


if __name__ == "__main__":
    main()
