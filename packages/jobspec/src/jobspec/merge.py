"""One job that holds the components of a heterogeneous one, for targets that know no such thing."""

from __future__ import annotations

from dataclasses import replace

from jobspec.job import Gpus, Job, Nodes


def merged(jobs: tuple[Job, ...]) -> tuple[Job, list[str]]:
    """The smallest single job in which all components fit, and the names of the fields that are approximate.

    Nodes and tasks add up, amounts per task or node are the largest ones; texts are those of the first component.
    """
    first, *others = jobs
    if not others:
        return first, []
    changes: dict[str, object] = {"tasks": sum(job.tasks for job in jobs)}
    changes["nodes"] = Nodes(*(sum(job.nodes.least if job.nodes else 1 for job in jobs) for _ in "ab"))
    changes["cpus_per_task"] = max(job.cpus_per_task for job in jobs)
    changes["tasks_per_node"] = None
    changes["gpus"] = _gpus(jobs)
    memories = [job.memory for job in jobs if job.memory]
    scopes = {one.per for one in memories}
    changes["memory"] = max(memories, key=lambda one: one.bytes) if len(scopes) == 1 else None
    changes["disk_per_node"] = max((job.disk_per_node or 0 for job in jobs), default=0) or None
    changes["exclusive"] = any(job.exclusive for job in jobs)
    licenses: dict[str, int] = {}
    for job in jobs:
        for name, count in job.licenses:
            licenses[name] = licenses.get(name, 0) + count
    changes["licenses"] = tuple(licenses.items())
    places = {name: place for job in reversed(jobs) for name, place in job.where.items()}
    merged_job = replace(first, where=places, **changes)  # type: ignore[arg-type]
    differing = [name for name in changes if any(getattr(job, name) != getattr(merged_job, name) for job in jobs)]
    return merged_job, differing


def _gpus(jobs: tuple[Job, ...]) -> tuple[Gpus, ...]:
    """For each type and scope the largest number a task or node needs, or the sum of the jobs' own."""
    found: dict[tuple[str, str], int] = {}
    for job in jobs:
        for one in job.gpus:
            key = (one.per, one.type)
            found[key] = found.get(key, 0) + one.count if one.per == "job" else max(found.get(key, 0), one.count)
    return tuple(Gpus(count, per, kind) for (per, kind), count in found.items())  # type: ignore[arg-type]
