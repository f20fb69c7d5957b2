"""A simulated fleet answers one request: `python bench_hub.py [--workers N] [--json FILE]`.

`command` is `resource-secretary hub ask --simulate KIND --json` from start to end: the fleet is made, every worker
answers by the code that a real secretary runs, every answer is checked for lies, the policy ranks, and all of it is
printed. `ask` is without the fleet being made, without ranking and printing. A part of the workers is slow, dead,
malformed or lies. Every verdict that counts is held against the fleet's truth: only consistent lies may differ.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FAULTS = {"slow": 0.02, "dead": 0.02, "lying": 0.02, "malformed": 0.02}
REQUEST = "nodes=2 cores=4 memory=8GB"
COMMAND = (sys.executable, "-c", "from resource_secretary.cli import main; main()")


def command(kind: str, workers: int) -> dict[str, Any]:
    """The command in a process of its own."""
    words = ["hub", "ask", REQUEST, "--simulate", kind, "--workers", str(workers), "--seed", "1", "--json"]
    words += ["--faults", ",".join(f"{name}={share}" for name, share in FAULTS.items()), "--policy", "least-loaded"]
    start = time.perf_counter()
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1) or done.stderr:
        raise SystemExit(done.stderr)
    answer = json.loads(done.stdout)
    replies = len(answer["answers"]) + len(answer["rejected"])
    if replies != workers:
        raise SystemExit(f"{replies} of {workers} workers have replied")
    counted = {"verdict": answer["verdict"], "answers": len(answer["answers"]), "rejected": len(answer["rejected"])}
    return {"part": "command", "kind": kind, "workers": workers, "seconds": seconds, **counted}


def ask(kind: str, workers: int) -> dict[str, Any]:
    """The question and the answers alone; how many of them are not the truth."""
    from resources import parse

    from resource_secretary.fleet import differences, make_fleet
    from resource_secretary.hub.hub import ask_all
    from resource_secretary.hub.policy import Candidate

    fleet, need = make_fleet(kind, 1, workers, faults=FAULTS), parse(REQUEST)
    start = time.perf_counter()
    replies = asyncio.run(ask_all(fleet.workers, need, 15.0))
    seconds = time.perf_counter() - start
    held = [(one.worker, one.answer) for one in replies if isinstance(one, Candidate)]
    wrong = {one.worker for one in differences(fleet.truth(), need.text, held)}
    liars = {worker.name for worker in fleet.workers if worker.behaviour == "lying"}
    if not wrong <= liars:
        raise SystemExit(f"{len(wrong - liars)} honest answers are not the truth")
    return {"part": "ask", "kind": kind, "workers": workers, "seconds": seconds, "answers": len(held)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = [part(kind, args.workers) for kind in ("hpc", "cloud", "standalone") for part in (command, ask)]
    for row in rows:
        print(
            f"{row['kind']:10} {row['part']:8} {row['workers']:,} workers: {row['seconds']:5.2f} s,"
            f" {row['answers']:,} answers count"
        )
    if args.json:
        args.json.write_text(json.dumps({"hub": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
