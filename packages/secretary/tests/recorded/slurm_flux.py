"""Slurm 22.05 and Flux 0.88, as they were recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from resource_secretary.providers.workload._flux_nodes import DRAINED
from resource_secretary.providers.workload._flux_nodes import QUEUE as FLUX_QUEUE
from resource_secretary.providers.workload._slurm_accounting import SACCT
from resource_secretary.providers.workload._slurm_jobs import SQUEUE
from resource_secretary.providers.workload._slurm_limits import ASSOCIATION, CLUSTER
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem

DATA = Path(__file__).parents[1] / "data"
SLURM, FLUX = DATA / "slurm-22.05.8", DATA / "flux-0.88.0"
QUEUE = ("squeue", "--noheader", "--local")
LAYOUT = f"--format={'|'.join(SQUEUE.values())}"
MANAGER = ("sacctmgr", "--noheader", "--parsable2", "show")

FLUX_JOBS = ("flux", "jobs", "--json")
FLUX_DRAINED = ("flux", "resource", "drain", "-n", "-o", "|".join(f"{{{name}}}" for name in DRAINED))
FLUX_QUEUES = ("flux", "queue", "list", "-n", "-o", "|".join(f"{{{name}}}" for name in FLUX_QUEUE))
FLUX_DEPTH = ("flux", "jobs", "-A", "--count=0", "--filter=pending,running", "-n", "-o", "{state} {ncores}")
FAILED = "ƒ2cNjmSf"  # a job whose program is not there


def said(name: str, code: int = 0) -> Ran:
    """What a command wrote to its standard error."""
    return Ran((), code, "", (SLURM / name).read_text())


def job(number: int | str) -> tuple[str, ...]:
    return ("scontrol", "--oneliner", "show", "job", str(number))


def job_json(number: int | str) -> tuple[str, ...]:
    return ("scontrol", "--json", "show", "job", str(number))


def sacct(number: int | str) -> tuple[str, ...]:
    return ("sacct", "--noheader", "--parsable2", "--local", f"--jobs={number}", f"--format={','.join(SACCT)}")


def test_only(*options: str) -> tuple[str, ...]:
    return ("sbatch", "--test-only", "--export=NONE", *options)


def slurm() -> RecordedSystem:
    accounting = (SLURM / "accounting.txt").read_text().splitlines(keepends=True)
    commands: dict[tuple[str, ...], Ran | str] = {
        ("scontrol", "ping"): (SLURM / "ping-up.txt").read_text(),
        ("scontrol", "--version"): (SLURM / "version.txt").read_text(),
        ("scontrol", "--details", "--oneliner", "show", "nodes"): (SLURM / "nodes.txt").read_text(),
        ("scontrol", "--oneliner", "show", "partitions"): (SLURM / "partitions.txt").read_text(),
        ("scontrol", "--oneliner", "show", "reservations"): (SLURM / "reservations.txt").read_text(),
        ("scontrol", "--oneliner", "show", "licenses"): (SLURM / "licenses.txt").read_text(),
        (*QUEUE, "--user=user", LAYOUT): (SLURM / "queue.txt").read_text(),
        (*QUEUE, LAYOUT): (SLURM / "queue.txt").read_text(),
        (*QUEUE, "--array", "--format=%T|%C"): (SLURM / "depth.txt").read_text(),
        ("sinfo", "--noheader", "--exact", "--format=%c|%X|%Y"): (SLURM / "cpus.txt").read_text(),
        (*MANAGER, "associations", "where", "user=user", f"format={','.join(ASSOCIATION)}"): (
            SLURM / "associations.txt"
        ).read_text(),
        (*MANAGER, "clusters", f"format={','.join(CLUSTER)}"): (SLURM / "clusters.txt").read_text(),
        test_only("--nodes=1", "--ntasks=1"): said("start.stderr.txt"),
        sacct(3): (SLURM / "accounting-array.txt").read_text(),
        sacct(999): "",
        job(999): said("job-unknown.stderr.txt", 1),
    }
    for number in (1, 2, 3, 5, 6):
        commands[job(number)] = (SLURM / f"job-{number}.txt").read_text()
        commands[job_json(number)] = said("json-unknown.stderr.txt", 1)
    for number in (1, 5, 6):
        commands[sacct(number)] = "".join(line for line in accounting if line.startswith((f"{number}|", f"{number}.")))
    return RecordedSystem(commands=commands)


def flux() -> RecordedSystem:
    commands: dict[tuple[str, ...], Ran | str] = {
        ("flux", "getattr", "size"): (FLUX / "size.txt").read_text(),
        ("flux", "getattr", "instance-level"): (FLUX / "instance-level.txt").read_text(),
        ("flux", "version"): (FLUX / "version.txt").read_text(),
        ("flux", "resource", "R", "-s", "all"): (FLUX / "R-all.json").read_text(),
        ("flux", "resource", "R", "-s", "free"): (FLUX / "R-free.json").read_text(),
        ("flux", "resource", "list", "-s", "down", "-n", "-o", "{ranks}"): (FLUX / "down-ranks.txt").read_text(),
        ("flux", "resource", "status", "-s", "drain", "-n", "-o", "{ranks}"): (FLUX / "drained-ranks.txt").read_text(),
        FLUX_DRAINED: (FLUX / "drained.txt").read_text(),
        ("flux", "queue", "status"): (FLUX / "queue-status.txt").read_text(),
        FLUX_QUEUES: (FLUX / "queues.txt").read_text(),
        (*FLUX_JOBS, "--count=0", "--filter=pending,running", "--user=user"): (FLUX / "jobs.json").read_text(),
        FLUX_DEPTH: (FLUX / "depth.txt").read_text(),
        (*FLUX_JOBS, "--", FAILED): (FLUX / "job-failed.json").read_text(),
        ("flux", "job", "eventlog", "--format=json", "--", FAILED): (FLUX / "eventlog-failed.jsonl").read_text(),
    }
    return RecordedSystem(commands=commands)


MACHINES: dict[str, Callable[[], RecordedSystem]] = {"slurm": slurm, "flux": flux}
