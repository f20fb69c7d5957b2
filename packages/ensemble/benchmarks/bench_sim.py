"""A simulated run of a million jobs: `python bench_sim.py [--jobs N] [--nodes N] [--cores N] [--json FILE]`.

`whole` is the command `ensemble simulate FILE --json`: the engine names the jobs and decides, jobs that fail are tried
again, the answer is printed. `alone` is the simulated queue with nobody who listens. Each also with a tenth of the
jobs, to show that time is linear; each in a process of its own, whose peak resident set has the imports in it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DOCUMENT = """
jobs:
- {name: work, command: sleep 60, count: COUNT, retries: 5}
- {name: last, command: sleep 10}
rules:
- trigger: start
  action: {name: submit, label: work}
- trigger: metric
  name: count.work.finished
  when: COUNT
  action: {name: submit, label: last}
"""


def whole(jobs: int, nodes: int, cores: int) -> int:
    """The command; how many events there were."""
    from ensemble.cli import main as ensemble

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.yaml"
        file.write_text(DOCUMENT.replace("COUNT", str(jobs)))
        command = ["simulate", str(file), "--nodes", str(nodes), "--cores", str(cores), "--json"]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = ensemble([*command, "--model", "work=duration:60,spread:0.1,fail:0.01"], standalone_mode=False)
    answer = json.loads(out.getvalue())
    if code or answer["counts"]["work"]["success"] != jobs or answer["counts"]["last"]["success"] != 1:
        raise SystemExit(f"not every job ended well: {answer['why_ended']} {answer['counts']}")
    return int(answer["events"])


def alone(jobs: int, nodes: int, cores: int) -> int:
    """The queue, with nobody who listens."""
    from ensemble.sim.models import Model, Recipe
    from ensemble.sim.queue import Need, SimQueue

    queue = SimQueue(nodes, cores)
    need, recipe = Need(), Recipe(Model(spread=0.1, distribution="normal", fail=0.01), 60.0)
    queue.submit(((f"work.{number}", need, recipe) for number in range(jobs)), 0.0)
    now, events = 0.0, 0
    while (then := queue.next_time(now)) is not None:
        now = then
        events += len(queue.advance(now))
    if len(queue.waits) != jobs:
        raise SystemExit(f"{len(queue.waits)} of {jobs} jobs ran")
    return events


PARTS = {"whole": whole, "alone": alone}


def measured(part: str, jobs: int, nodes: int, cores: int) -> dict[str, float | str]:
    command = [sys.executable, __file__, "--part", part, "--jobs", jobs, "--nodes", nodes, "--cores", cores]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--cores", type=int, default=4)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", choices=PARTS)
    args = parser.parse_args()
    if args.part:
        begun, busy = time.perf_counter(), time.process_time()
        events = PARTS[args.part](args.jobs, args.nodes, args.cores)
        seconds, busy = time.perf_counter() - begun, time.process_time() - busy
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        result = {"part": args.part, "jobs": args.jobs, "events": events, "nodes": args.nodes, "cores": args.cores}
        print(json.dumps(result | {"seconds": seconds, "cpu_seconds": busy, "peak_bytes": peak}))
        return
    rows = [measured(part, jobs, args.nodes, args.cores) for part in PARTS for jobs in (args.jobs // 10, args.jobs)]
    for row in rows:
        print(
            f"{row['part']:6} {row['jobs']:>9,} jobs {row['events']:>10,} events on {row['nodes']:,} nodes:"
            f" {row['seconds']:6.1f} s ({row['cpu_seconds']:.1f} s of processor), {row['peak_bytes'] / 2**20:,.0f} MiB"
        )
    if args.json:
        args.json.write_text(json.dumps({"sim": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
