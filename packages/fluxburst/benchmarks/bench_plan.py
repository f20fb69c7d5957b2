"""Plans of long queues over large catalogues: `python bench_plan.py [--json FILE]`.

100,000 jobs of 1,000 different demands, 20 plugins with 100 node shapes each, reasons included; and a tenth of the
jobs, for the ratio. Each case runs in a process of its own, jobs and catalogue are made before the clock starts, and
the garbage collector rests while a plan is made, as it does in `flux-burst plan`. Times are of the processor.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resources import Cores, Gpus
from resources.documents import Group, Inventory

from fluxburst.demand import Demand
from fluxburst.job_options import Wishes
from fluxburst.jobs import Job
from fluxburst.model import Budget, Burst, NodeShape, Observed, Offer, Policy
from fluxburst.planning.planner import plan

PLUGINS, SHAPES, DEMANDS = 20, 100, 1000
NOW = 2_000_000_000.0
LIMIT = 2.0  # seconds for 100,000 jobs
Case = tuple[list[Demand], tuple[Offer, ...], Inventory | None, tuple[Burst, ...]]


def shapes(gpus: bool = False) -> tuple[NodeShape, ...]:
    """From 2 cores up, each a little larger; with GPUs, every other one has 1, 2, 4 or 8."""
    return tuple(
        NodeShape(f"s{n}", Cores(2 * n + 2) & Gpus(2 ** (n // 2 % 4)) if gpus and n % 2 else Cores(2 * n + 2), 0.01 * n)
        for n in range(SHAPES)
    )


def offers(limit: int, found: tuple[NodeShape, ...] | None = None, **more: Any) -> tuple[Offer, ...]:
    return tuple(Offer(f"p{n}", found or shapes(), limit, **more) for n in range(PLUGINS))


def many(dice: random.Random, **fields: Callable[[], Any]) -> list[Demand]:
    """As many different demands as there are to be, in the same order at every run."""
    found: dict[Demand, None] = {}
    tries = 0
    while len(found) < DEMANDS and tries < 100 * DEMANDS:
        tries += 1
        found[Demand(**{"nodes": 0, "slots": 1, "cores": 1, "gpus": 0} | {k: make() for k, make in fields.items()})] = (
            None
        )
    if len(found) < DEMANDS:
        raise SystemExit(f"only {len(found)} different demands")
    return list(found)


def lead(hosts: int, cores: int) -> Inventory:
    names = tuple(f"n{n}" for n in range(hosts))
    return Inventory((Group(names, tuple(range(hosts)), Cores(cores), Cores(cores)),))


def existing(dice: random.Random) -> Case:
    demands = many(dice, slots=lambda: dice.randint(1, 40), cores=lambda: dice.randint(1, 40))
    return demands, offers(8), lead(1_000_000, 64), ()


def new(dice: random.Random) -> Case:
    demands = many(
        dice, nodes=lambda: dice.randint(1, 8), slots=lambda: dice.randint(1, 8), cores=lambda: dice.randint(1, 25)
    )
    return demands, offers(1_000_000), None, ()


def single(dice: random.Random) -> Case:
    """One host each, of 1,000 sizes: much is left over everywhere."""
    demands = many(
        dice, nodes=lambda: dice.randint(0, 1), slots=lambda: dice.randint(1, 8), cores=lambda: dice.randint(1, 100)
    )
    return demands, offers(1_000_000, tuple(NodeShape(f"s{n}", Cores(10 * n + 16)) for n in range(SHAPES))), None, ()


def refused(dice: random.Random) -> Case:
    demands = many(dice, nodes=lambda: dice.randint(1, 100), cores=lambda: dice.randint(201, 300))
    return demands, offers(8), lead(100, 64), ()


def limited(dice: random.Random) -> Case:
    """Refused for want of nodes, not of size."""
    demands = many(dice, slots=lambda: dice.randint(2000, 9000), cores=lambda: dice.randint(1, 200))
    return demands, offers(8), lead(100, 64), ()


def gpus(dice: random.Random) -> Case:
    demands = many(
        dice,
        nodes=lambda: dice.randint(0, 4),
        slots=lambda: dice.randint(1, 8),
        cores=lambda: dice.randint(1, 24),
        gpus=lambda: dice.choice([0, 0, 0, 1, 1, 2]),
    )
    return demands, offers(2000, shapes(gpus=True)), None, ()


def limits(dice: random.Random) -> Case:
    """10,000 nodes per plugin, which fill up one after the other."""
    demands = many(
        dice, nodes=lambda: dice.randint(1, 6), slots=lambda: dice.randint(1, 8), cores=lambda: dice.randint(1, 25)
    )
    return demands, offers(10_000), None, ()


def exclusive(dice: random.Random) -> Case:
    demands = many(
        dice,
        nodes=lambda: dice.randint(1, 16),
        slots=lambda: dice.randint(1, 8),
        cores=lambda: dice.randint(1, 25),
        exclusive=lambda: True,
    )
    return demands, offers(10_000), lead(1000, 64), ()


def open_nodes(dice: random.Random) -> Case:
    """200,000 nodes in 2,000 shapes are on their way, and jobs of all sizes and namespaces fill them in part."""
    found = shapes()
    there = tuple(
        Burst(
            f"p{p}-{n}",
            f"p{p}",
            shape.name,
            tuple(f"p{p}-{n}-{at}" for at in range(100)),
            state="joining",
            namespace=dice.choice(["", "a"]),
        )
        for p in range(PLUGINS)
        for n, shape in enumerate(found)
    )
    demands = many(
        dice,
        nodes=lambda: dice.randint(0, 3),
        slots=lambda: dice.randint(1, 8),
        cores=lambda: dice.randint(1, 20),
        wishes=lambda: Wishes(namespace=dice.choice(["", "a"])),
    )
    return demands, offers(20_000, found), None, there


def money(dice: random.Random) -> Case:
    """Slots, leases, budgets, deadlines and wishes of every kind."""
    demands = many(
        dice,
        nodes=lambda: dice.randint(1, 4),
        cores=lambda: dice.randint(1, 64),
        wishes=lambda: Wishes(
            max_cost=dice.choice([1.0, 50.0, float("inf")]),
            deadline=dice.choice([0, 3600, 7200]),
            shape=dice.choice(["", "", "s90"]),
        ),
    )
    made = tuple(
        Offer(
            f"p{p}", shapes(), 10_000, tuple(f"p{p}n{n}" for n in range(5000)), Budget(cost=50_000.0, bursts=40), 14400
        )
        for p in range(PLUGINS)
    )
    groups = [
        Group(offer.slots or (), tuple(range(5000 * p, 5000 * p + 5000)), Cores(64), None, "down")
        for p, offer in enumerate(made)
    ]
    return demands, made, Inventory(tuple(groups)), ()


CASES = (existing, new, single, refused, limited, gpus, limits, exclusive, open_nodes, money)


def measured(name: str, jobs: int) -> dict[str, Any]:
    """One case in this process."""
    make = next(case for case in CASES if case.__name__ == name)
    demands, offered, inventory, bursts = make(random.Random(1))
    info = {"burstable": 1}
    queue = tuple(
        Job(str(n), "", "SCHED", 16, NOW - 100, demands[n % len(demands)], info, "", float(n % 50 * 60))
        for n in range(jobs)
    )
    observed = Observed(queue, inventory, bursts, NOW)
    policy = Policy(lambda jobinfo: bool(jobinfo["burstable"]), offered, delay=30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gc.collect()
    gc.disable()
    start = time.process_time()
    made = plan(observed, policy)
    seconds = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return {
        "case": name,
        "jobs": jobs,
        "seconds": round(seconds, 3),
        **made.totals(),
        "bursts": len(made.bursts),
        "reasons": len(made.explanations),
        "grown_bytes": grown,
    }


def apart(name: str, jobs: int) -> dict[str, Any]:
    """The best of three processes: others use this machine too."""
    command = [sys.executable, __file__, "--case", name, "--jobs", str(jobs)]
    rows: list[dict[str, Any]] = []
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        rows.append(json.loads(done.stdout))
    return min(rows, key=lambda row: float(row["seconds"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--case", choices=[case.__name__ for case in CASES])
    args = parser.parse_args()
    if args.case:
        print(json.dumps(measured(args.case, args.jobs)))
        return
    print(f"{PLUGINS} plugins with {SHAPES} shapes each, {DEMANDS:,} demands; processor time, told limit {LIMIT:g} s")
    print(
        f"{'case':11} {'jobs':>8} {'s':>6} {'a tenth':>8} {'ratio':>6} {'burst':>8} {'lead':>8} {'refused':>8}"
        f" {'nodes':>8} {'reasons':>8} {'MiB':>5}"
    )
    rows = []
    for case in CASES:
        whole, tenth = apart(case.__name__, args.jobs), apart(case.__name__, args.jobs // 10)
        whole["tenth_seconds"] = tenth["seconds"]
        whole["ratio"] = round(whole["seconds"] / max(tenth["seconds"], 1e-3), 1)
        rows.append(whole)
        counts = " ".join(f"{whole[key]:>8,}" for key in ("burst", "lead", "refused", "nodes", "reasons"))
        over = "" if whole["seconds"] < LIMIT else "  over the limit"
        print(
            f"{whole['case']:11} {whole['jobs']:>8,} {whole['seconds']:>6.2f} {tenth['seconds']:>8.3f}"
            f" {whole['ratio']:>6} {counts} {whole['grown_bytes'] / 2**20:>5.0f}{over}",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps({"benchmark": "plan", "limit_seconds": LIMIT, "cases": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
