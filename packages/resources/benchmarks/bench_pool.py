"""Pools under load, against grain-scheduler in the same run: `python bench_pool.py [--json FILE]`.

Every time is the best of several rounds of processor time. Requests are drawn before the clock starts; a pair
is `alloc`, reading the core ids, and `dealloc`, through the calls that users make.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from resources import Cores, InsufficientResources, Memory, Node, Pool, Resource, Unavailable, WTime

HOSTS, CORES, MEMORY = 1563, 64, 256
SHAPES = [Cores(cores) & Memory(memory) for cores in range(1, 9) for memory in (1, 2, 4, 8)]
LARGE = [Cores(CORES + 1) & Memory(1), Cores(1) & Memory(MEMORY + 1)]  # never fit
ROUNDS = 5


def pool() -> Pool:
    return Pool.uniform(f"n[0-{HOSTS - 1}]", Node(CORES, MEMORY))


def best(work: Callable[[], int]) -> float:
    """Microseconds of processor time for one unit of work, in the best round."""
    times = []
    for _ in range(ROUNDS):
        gc.collect()
        start = time.process_time()
        units = work()
        times.append((time.process_time() - start) / units * 1e6)
    return min(times)


def pairs(ours: Pool, draw: list[Resource]) -> int:
    for need in draw:
        got = ours.alloc(need)
        if not got.c:
            raise SystemExit("no core ids were granted")
        ours.dealloc(got)
    return len(draw)


def churn(ours: Pool, draw: list[Resource], held: list[Any], dice: random.Random) -> tuple[int, int]:
    """Requests against a full pool: what is refused frees something for the next."""
    granted = refused = 0
    for need in draw:
        try:
            held.append(ours.alloc(need))
            granted += 1
        except InsufficientResources:
            refused += 1
            at = dice.randrange(len(held))
            held[at], held[-1] = held[-1], held[at]
            ours.dealloc(held.pop())
        except Unavailable:
            refused += 1
    return granted, refused


def fill(ours: Pool, dice: random.Random) -> list[Any]:
    """Grant until the first refusal."""
    held = []
    try:
        while True:
            held.append(ours.alloc(dice.choice(SHAPES)))
    except InsufficientResources:
        return held


def growth_of(draw: list[Resource]) -> int:
    """Bytes that a pool, empty again, holds more after it has served these requests a second time."""
    tracemalloc.start()
    ours, sizes = pool(), []
    for _ in range(2):
        dice = random.Random(2)
        held = fill(ours, dice)
        churn(ours, draw, held, dice)
        while held:
            ours.dealloc(held.pop())
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return sizes[1] - sizes[0]


def grain_pairs(number: int = 400) -> float | None:
    """Microseconds for a pair of grain-scheduler on as many cores, or None where it is not installed."""
    try:
        from grain.resource import Cores as GrainCores
    except ImportError:
        return None
    theirs = GrainCores(HOSTS * CORES)

    def work() -> int:
        for _ in range(number):
            theirs.dealloc(theirs.alloc(GrainCores(4)))
        return number

    return best(work)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--json", metavar="FILE")
    file = options.parse_args().json
    dice = random.Random(1)
    draw = [dice.choice(SHAPES) for _ in range(50_000)]
    fresh = pool()
    pair = best(lambda: pairs(fresh, draw))
    timed = [need & WTime(3600) for need in SHAPES]
    pair_timed = best(lambda: pairs(fresh, [dice.choice(timed) for _ in range(20_000)]))

    full = pool()
    held = fill(full, dice)
    million = [dice.choice(SHAPES) if dice.random() > 0.02 else dice.choice(LARGE) for _ in range(1_000_000)]
    start = time.process_time()
    granted, refused = churn(full, million, held, dice)
    seconds = time.process_time() - start
    growth = growth_of(million[:100_000])

    theirs = grain_pairs()
    peer = f"grain-scheduler {_version('grain-scheduler')}"
    result = {
        "benchmark": "pool",
        "hosts": HOSTS,
        "cores": HOSTS * CORES,
        "pair_us": round(pair, 2),
        "pair_with_walltime_us": round(pair_timed, 2),
        "peer": peer,
        "peer_pair_us": None if theirs is None else round(theirs, 1),
        "ratio": None if theirs is None else round(theirs / pair),
        "million_s": round(seconds, 2),
        "granted": granted,
        "refused": refused,
        "growth_bytes": growth,
        "loops_us": round(statistics.median(_loop() for _ in range(5)), 4),
    }
    rows = [
        ("alloc, ids, free (µs a pair)", f"{pair:.2f}", "at most 5"),
        ("the same with a walltime (µs a pair)", f"{pair_timed:.2f}", ""),
        (f"{peer}, Cores({HOSTS * CORES}) (µs a pair)", "not installed" if theirs is None else f"{theirs:.0f}", ""),
        ("ratio to it", "-" if theirs is None else f"{theirs / pair:.0f}", "at least 100"),
        ("1,000,000 requests, full pool (s)", f"{seconds:.2f}", "under 10"),
        ("of them granted, refused", f"{granted}, {refused}", ""),
        ("memory grown by 100,000 requests (bytes)", f"{growth}", "does not grow"),
        ("one empty loop turn here (µs)", f"{result['loops_us']}", ""),
    ]
    width = max(len(row[0]) for row in rows)
    print(f"Pool of {HOSTS} hosts, {HOSTS * CORES} cores, requests of 1 to 8 cores with memory ({os.uname().machine})")
    for name, value, wanted in rows:
        print(f"  {name:<{width}}  {value:>16}  {wanted}".rstrip())
    if file:
        with open(file, "w") as out:
            json.dump(result, out, indent=2)


def _loop() -> float:
    start = time.process_time()
    for _ in range(1_000_000):
        pass
    return (time.process_time() - start) * 1e6 / 1_000_000


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
