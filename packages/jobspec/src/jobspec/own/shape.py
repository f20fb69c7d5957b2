"""Resources of a document and the job that they make: slots, one for each task, that hold what a task needs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from resources.units import memory_text

from jobspec.job import Environment, Gpus, Job, Memory
from jobspec.shape import job_of
from jobspec.spec import Task

LABEL = "task"
_MOST = 2**31 - 1  # the largest count of a vertex


def resources(job: Job) -> dict[str, Any]:
    """The smallest tree of vertices, evenly shared, in which the job fits."""
    nodes = max(job.nodes.least, 1) if job.nodes else 0
    each = math.ceil(max(job.tasks, 1) / nodes) if nodes else max(job.tasks, 1)
    slot: dict[str, Any] = {"type": "slot", "label": LABEL, "count": each}
    if job.exclusive and not nodes:
        slot["exclusive"] = True
    inside: list[dict[str, Any]] = [{"type": "core", "count": job.cpus_per_task}]
    gpus = sum(_each(one, job, nodes, each) for one in job.gpus)
    if gpus:
        inside.append({"type": "gpu", "count": gpus})
    size = _memory(job.memory, job, nodes, each, gpus) if job.memory else 0
    if size:
        inside.append({"type": "memory", **_amount(size)})
    slot["with"] = inside
    if not nodes:
        return slot
    exclusive = {"exclusive": True} if job.exclusive else {}
    return {"type": "node", "count": nodes, **exclusive, "with": [slot]}


def _each(one: Gpus, job: Job, nodes: int, each: int) -> int:
    """GPUs of a task, rounded up."""
    if one.per == "task":
        return one.count
    return math.ceil(one.count / (each if one.per == "node" else each * max(nodes, 1)))


def _memory(asked: Memory, job: Job, nodes: int, each: int, gpus: int) -> int:
    """Bytes of a task, rounded up."""
    size = asked.bytes
    if asked.per == "job":
        return math.ceil(size / (each * max(nodes, 1)))
    if asked.per == "node":
        return math.ceil(size / each)
    return size * {"cpu": job.cpus_per_task, "gpu": gpus}.get(asked.per, 1)


def _amount(size: int) -> dict[str, Any]:
    """Bytes as a count and a unit; rounded up where the count would be too large for one."""
    text = memory_text(size)
    for unit in ("", "KB", "MB", "GB", "TB"):
        number = int(text.rstrip("KMGTPEB"))
        if number <= _MOST:
            return {"count": number, "unit": text[len(str(number)) :]}
        scale = 1024 ** (("", "KB", "MB", "GB", "TB").index(unit) + 1)
        text = memory_text(math.ceil(size / scale) * scale)
    return {"count": _MOST, "unit": "TB"}


def from_resources(task: Task) -> Job:
    """The job of a task, without what `attributes.user` says. Raises DocumentError."""
    job = job_of(task)
    values = tuple(task.attributes.environment.items())
    return replace(
        job,
        system="jobspec",
        workdir=task.attributes.cwd or None,
        environment=environment(Environment("", all=True, values=values)) if values else None,
    )


def environment(given: Environment) -> Environment:
    """The same in our words: `ALL,NAME,NAME=value`, or `NONE`."""
    words = ["ALL"] if given.all else []
    words += [*given.names, *(f"{name}={value}" for name, value in given.values)]
    return replace(given, text=",".join(words) or "NONE")


def totals(job: Job) -> tuple[int, int]:
    """All GPUs and all bytes of memory of a job; 0 where it does not say how many."""
    nodes = job.nodes.least if job.nodes else 1
    gpus = sum(one.count * {"job": 1, "node": nodes, "task": job.tasks}[one.per] for one in job.gpus)
    if job.memory is None:
        return gpus, 0
    times = {"job": 1, "node": nodes, "cpu": job.tasks * job.cpus_per_task, "gpu": gpus}
    return gpus, job.memory.bytes * times.get(job.memory.per, job.tasks)
