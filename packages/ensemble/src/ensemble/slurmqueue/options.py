"""The options of sbatch: those that a job's needs become, and those that users may give as attributes or settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ensemble.errors import SpecError
from ensemble.job import Job

# sbatch(1), 22.05. Options with a value, and those without one (True gives them).
VALUES = frozenset(
    """
    account acctg-freq batch bb bbf begin comment constraint core-spec cores-per-socket
    cpu-freq cpus-per-gpu deadline delay-boot distribution dependency gpu-bind gpu-freq gres gres-flags gpus-per-node
    gpus-per-socket hint licenses mail-type mail-user mcs-label mem-bind nice network nodelist ntasks-per-core
    ntasks-per-gpu ntasks-per-node ntasks-per-socket nodefile partition power prefer priority profile qos reservation
    signal sockets-per-node switches thread-spec threads-per-core time-min tmp tres-per-task wckey
    """.split()  # noqa: SIM905 -- a table
)
FLAGS = frozenset(
    "contiguous exclusive overcommit oversubscribe requeue no-requeue reboot spread-job use-min-nodes".split()  # noqa: SIM905
)
# Options that are made from a field of the job, or that must be as this package sets them.
OURS = {
    "array": "count",
    "clusters": "nothing: a member is of one cluster",
    "chdir": "workdir",
    "cpus-per-task": "cores",
    "error": "output",
    "exclude": "nothing: hosts where jobs fail are avoided by themselves",
    "export": "environment",
    "gpus": "gpus",
    "gpus-per-task": "gpus",
    "input": "stdin",
    "job-name": "name",
    "mem": "memory",
    "mem-per-cpu": "memory",
    "mem-per-gpu": "memory",
    "nodes": "nodes",
    "ntasks": "tasks",
    "output": "output",
    "time": "duration",
}


def attributes(given: Mapping[str, Any], place: str) -> dict[str, str | bool]:
    """Options of sbatch by their long names, as users write them (`_` may be written for `-`). Raises SpecError."""
    found: dict[str, str | bool] = {}
    for key, value in given.items():
        name = str(key).replace("_", "-")
        if name in OURS:
            raise SpecError(f"say it by the job's own field: {OURS[name]}", f"{place}.{key}")
        if name in FLAGS and isinstance(value, bool):
            if value:
                found[name] = True
            elif name == "requeue":
                found["no-requeue"] = True
            continue
        if name not in VALUES and name not in ("exclusive",):
            raise SpecError(
                "it is no option of sbatch that can be given here (long names, without --)", f"{place}.{key}"
            )
        if isinstance(value, bool) or not isinstance(value, (str, int, float, list, tuple)):
            raise SpecError(f"a text, a number or a list is expected, not {value!r}", f"{place}.{key}")
        text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        if not text or any(ord(letter) < 32 for letter in text):
            raise SpecError(f"it is empty or has control characters: {text!r}", f"{place}.{key}")
        found[name] = text
    return found


def arguments(job: Job, defaults: Mapping[str, str | bool]) -> tuple[str, ...]:
    """What sbatch is told of a job's needs; jobs with the same arguments may share an array. Raises SpecError.

    Memory is asked for by core, so that it holds wherever tasks are placed; time in whole minutes, rounded up
    (the script of the job keeps the seconds).
    """
    spec = job.spec
    found = {**defaults, **attributes(spec.attributes, "attributes")}
    if spec.nodes:
        found["nodes"] = str(spec.nodes)
        if spec.tasks % spec.nodes == 0:
            found.setdefault("ntasks-per-node", str(spec.tasks // spec.nodes))
    if not spec.nodes or spec.tasks >= spec.nodes:
        found["ntasks"] = str(spec.tasks)
    found["cpus-per-task"] = str(spec.cores)
    if spec.gpus:
        found["gpus-per-task"] = str(spec.gpus)
        found.setdefault("ntasks", str(spec.tasks))
    if spec.memory:
        found["mem-per-cpu"] = f"{math.ceil(spec.memory / max(spec.cores, 1) / 1024)}K"
    if spec.duration:
        found["time"] = str(math.ceil(spec.duration / 60))
    if job.avoid:
        found["exclude"] = ",".join(job.avoid)
    return tuple(f"--{name}" if value is True else f"--{name}={value}" for name, value in found.items())
