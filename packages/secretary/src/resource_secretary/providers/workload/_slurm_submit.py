"""What `sbatch` is given and what it says: submissions, and when a job would start."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._slurm_values import clock, epoch
from resource_secretary.run import printable

if TYPE_CHECKING:
    from resources.resource import Resource

# What a job may have of the environment that submits it; the rest it gets where it runs. Slurm adds its own.
ENVIRONMENT = ("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ")
_SUBMITTED = re.compile(r"^(?:Submitted batch job )?([0-9]{1,12})(?:;([A-Za-z0-9_.-]+))?$", re.ASCII)
# Slurm 14: "sbatch: Job 3 to start at 2014-07-10T09:00:00 using 16 processors on n1"; later "on nodes n1", and since 18
# "in partition main". salloc and srun say the same with their own name in front.
_START = re.compile(
    r"Job ([0-9]{1,12}) to start at ([0-9T:-]{19}) using ([0-9]{1,9}) processors? on (?:nodes )?(\S+)"
    r"(?: in partition (\S+))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class SlurmSubmitted:
    """A job that was submitted. cluster: "" for the one that this host belongs to. script: what Slurm was given."""

    job_id: str
    cluster: str
    script: str


@dataclass(frozen=True, slots=True)
class SlurmStart:
    """When such a job would start if it was submitted now: RFC 3339 in UTC. Slurm tells no more than its guess."""

    start: str
    cpus: int
    nodes: str
    partition: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job asks for. Memory in MiB of each node, walltime in seconds, gpus of each node, cores of each task."""

    nodes: int | None = None
    tasks: int | None = None
    cores: int | None = None
    gpus: int | None = None
    gpu_type: str | None = None
    memory: int | None = None
    walltime: int | None = None
    partition: str | None = None
    account: str | None = None

    def options(self) -> list[str]:
        """The options of sbatch. Every value is part of its option, so it can't become one."""
        made = [f"--nodes={self.nodes}"] if self.nodes else []
        made.append(f"--ntasks={self.tasks or self.nodes or 1}")
        if self.cores:
            # A CPU of Slurm may be a thread: with one thread of each core it is a core everywhere.
            made += [f"--cpus-per-task={self.cores}", "--threads-per-core=1"]
        if self.gpus:
            made.append(f"--gres=gpu:{self.gpu_type}:{self.gpus}" if self.gpu_type else f"--gres=gpu:{self.gpus}")
        if self.memory:
            made.append(f"--mem={self.memory}M")
        if self.walltime:
            made.append(f"--time={clock(self.walltime)}")
        if self.partition:
            made.append(f"--partition={self.partition}")
        if self.account:
            made.append(f"--account={self.account}")
        return made


def script(argv: Sequence[str]) -> str:
    """A script that runs these words. The first is always quoted: `a=b` and `if` are words of a command here too.

    sbatch(1): it reads `#SBATCH` lines only up to the first that is no comment, so none in a word counts. Steps of the
    job get its whole environment, not only what was handed over.
    """
    first = argv[0].replace("'", "'\"'\"'")
    words = [f"'{first}'", *(shlex.quote(word) for word in argv[1:])]
    return f"#!/bin/sh\nexport SLURM_EXPORT_ENV=ALL\n{' '.join(words)}\n"


def read_submitted(text: str, made: str) -> SlurmSubmitted:
    """What `sbatch --parsable` says; a site may print lines of its own in front. Raises OutputError."""
    for line in reversed(text.splitlines()):
        if match := _SUBMITTED.match(line.strip()):
            return SlurmSubmitted(match[1], match[2] or "", made)
    raise OutputError("sbatch", "", f"no job id in what it says: {printable(text.strip()[:200])!r}")


def read_start(text: str) -> tuple[float, int, str, str] | None:
    """(seconds since the epoch, CPUs, nodes, partition) of what `sbatch --test-only` says; None where it tells none."""
    match = _START.search(text)
    if not match:
        return None
    try:
        start = epoch(match[2])
    except ValueError:
        return None
    return None if start is None else (start, int(match[3]), match[4], match[5] or "")


def options_of(need: Resource) -> list[str] | None:
    """The options of sbatch for a request; None where it asks for what they do not say.

    With tasks amounts are of each task, else of each node (the request language of `resources`).
    """
    if set(need.kinds) - {"nodes", "tasks", "cores", "memory", "gpus", "walltime"}:
        return None
    nodes, tasks, cores = need.get("nodes"), need.get("tasks"), need.get("cores")
    memory, gpus, walltime = need.get("memory"), need.get("gpus"), need.get("walltime")
    count = tasks.tasks if tasks is not None else None
    each = cores.N if cores is not None else 1
    made = [f"--nodes={nodes.nodes}"] if nodes is not None else ([] if count else ["--nodes=1"])
    made += [f"--ntasks={count}"] if count else ["--ntasks-per-node=1"]
    made += [f"--cpus-per-task={max(each, 1)}", "--threads-per-core=1"]
    if memory is not None:
        amount = -(-memory.size // 2**20)
        made.append(f"--mem-per-cpu={-(-amount // max(each, 1))}M" if count else f"--mem={amount}M")
    if gpus is not None and gpus.N:
        kinds = [f"{kind}:{n}" if kind else str(n) for kind, n in gpus.types.items()] or [str(gpus.N)]
        made.append(f"--gpus-per-{'task' if count else 'node'}={','.join(kinds)}")
    if walltime is not None and walltime.T:
        made.append(f"--time={clock(int(walltime.T))}")
    return made
