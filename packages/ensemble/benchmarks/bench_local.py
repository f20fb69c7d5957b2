"""The local member against others that run processes on this machine: `python bench_local.py [--json FILE] [--jobs N]`.

Each runs the same number of `/bin/true`, as many at a time as there are cores, in turns; what matters is the ratio of
two that ran in the same round, and of the rounds the median. The local member does all that it does in a run: jobs are
written down before they start, they can be adopted, their output is kept. The others keep nothing.
Parsl, Dask and HyperQueue are measured where they are installed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ensemble.journal import Journal
from ensemble.load import parse
from ensemble.member import Options
from ensemble.members.local import LocalMember
from ensemble.plugins import registry
from ensemble.reporting.text import TextReport
from ensemble.runtime import Runtime

ROUNDS = 5
COMMAND = ("/bin/true",)
CORES = len(os.sched_getaffinity(0))


def xargs(count: int, folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(["xargs", f"-P{CORES}", "-n1", *COMMAND], input=b"x\n" * count, check=True)
    return time.perf_counter() - start


def local(count: int, folder: Path) -> float:
    """A whole run, as `ensemble run` does it: rules, journal, supervisor, metrics, output."""
    text = f"jobs: [{{name: a, command: {COMMAND[0]}, count: {count}}}]\n"
    text += "rules: [{trigger: start, action: {name: submit, label: a}}]\n"
    document = parse(text, "bench.yaml")
    options = Options(run="bench", folder=folder / "run" / "member", cores=CORES)
    journal = Journal.create(folder / "run", {"run": "bench"}, durable=LocalMember.remote)
    runtime = Runtime(document, LocalMember(options), registry(), journal=journal)
    start = time.perf_counter()
    with contextlib.closing(journal):
        result = asyncio.run(runtime.run(TextReport(document, runtime.engine)))
    seconds = time.perf_counter() - start
    if not result.met or runtime.engine.metrics.counts["a"]["success"] != count:
        raise SystemExit(f"{result.failed} jobs failed")
    return seconds


def hyperqueue(count: int, folder: Path) -> float:
    from hyperqueue import Client, Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=CORES))
        client: Client = cluster.client()
        start = time.perf_counter()
        job = Job(default_workdir=folder)
        for _ in range(count):
            job.program(list(COMMAND))
        client.wait_for_jobs([client.submit(job)])
        return time.perf_counter() - start


def _call() -> int:
    import subprocess  # where it runs, nothing of this file is known

    return subprocess.run(["/bin/true"], check=True).returncode


def parsl_threads(count: int, folder: Path) -> float:
    from parsl.executors import ThreadPoolExecutor

    return _parsl(ThreadPoolExecutor(max_threads=CORES), count, folder)


def parsl_htex(count: int, folder: Path) -> float:
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    here = str(Path(sys.executable).parent)  # its programs are beside this interpreter
    if here not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = f"{here}{os.pathsep}{os.environ['PATH']}"
    provider = LocalProvider(init_blocks=1, max_blocks=1)
    return _parsl(
        HighThroughputExecutor(max_workers_per_node=CORES, address="127.0.0.1", provider=provider), count, folder
    )


def _parsl(executor: object, count: int, folder: Path) -> float:
    import parsl as library

    config = library.Config(executors=[executor], run_dir=str(folder), initialize_logging=False)
    app = library.python_app(_call)
    with library.load(config):
        app().result()  # its workers are there
        start = time.perf_counter()
        for future in [app() for _ in range(count)]:
            future.result()
        return time.perf_counter() - start


def dask(count: int, folder: Path) -> float:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=CORES, threads_per_worker=1, dashboard_address=None, local_directory=str(folder)) as c,
        Client(c) as client,
    ):
        start = time.perf_counter()
        client.gather([client.submit(_call, pure=False) for _ in range(count)])
        return time.perf_counter() - start


XARGS, LOCAL = "xargs -P", "ensemble run"
Peer = tuple[str, str, Callable[[int, Path], float]]
PEERS: tuple[Peer, ...] = (
    (XARGS, "", xargs),
    (LOCAL, "", local),
    ("HyperQueue", "hyperqueue", hyperqueue),
    ("Parsl threads", "parsl", parsl_threads),
    ("Parsl processes (HTEX)", "parsl", parsl_htex),
    ("Dask processes", "distributed", dask),
)


def installed(package: str) -> str:
    """Its version, empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def measure(peer: Peer, count: int) -> float:
    """Jobs a second, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder, silence():
        return count / peer[2](count, Path(folder))


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """HyperQueue's own code prints, on both streams."""
    kept = [os.dup(1), os.dup(2)]
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 1)
        os.dup2(null, 2)
        yield
    finally:
        for fd, number in zip(kept, (1, 2), strict=True):
            os.dup2(fd, number)
            os.close(fd)
        os.close(null)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--json", metavar="FILE")
    options.add_argument("--jobs", type=int, default=2000)
    given = options.parse_args()
    present = [peer for peer in PEERS if not peer[1] or installed(peer[1])]
    for peer in present[:2]:
        measure(peer, 200)  # warm
    rounds: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        rounds.append({peer[0]: measure(peer, given.jobs) for peer in present})

    def ratio(name: str, other: str) -> float:
        return statistics.median(rates[name] / rates[other] for rates in rounds)

    best = {peer[0]: max(rates[peer[0]] for rates in rounds) for peer in present}
    print(f"{given.jobs} times {COMMAND[0]} on {CORES} cores, {ROUNDS} rounds: the best rates, the median ratios")
    for name, package, _ in PEERS:
        shown = f"{name} {installed(package)}".strip() if package else name
        if name not in best:
            print(f"  {shown:<36}  not installed")
            continue
        aim = {LOCAL: "at least 0.6 of xargs", XARGS: ""}.get(name, f"local is {ratio(LOCAL, name):.1f} times as fast")
        print(f"  {shown:<36}  {best[name]:7.0f} a second  {ratio(name, XARGS):5.2f} of xargs  {aim}".rstrip())
    if given.json:
        result = {
            "benchmark": "local",
            "jobs": given.jobs,
            "cores": CORES,
            "rates": {name: round(rate) for name, rate in best.items()},
            "versions": {package: installed(package) for _, package, _ in PEERS if package},
            "ratio": round(ratio(LOCAL, XARGS), 3),
            "ratios_to_peers": {name: round(ratio(LOCAL, name), 2) for name in best if name != LOCAL},
        }
        with open(given.json, "w") as out:
            json.dump(result, out, indent=2)


if __name__ == "__main__":
    main()
