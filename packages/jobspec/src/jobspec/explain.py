"""A reading as one JSON object: what `jobspec explain --json` prints on a line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from jobspec.job import Job
from jobspec.reading import Problem, Reading

# Slurm requeues jobs unless they or the site say otherwise (slurm.conf(5), JobRequeue).
REQUEUES = frozenset({"slurm"})


def as_dict(file: str, reading: Reading) -> dict[str, Any]:
    """The object; an absent value is None."""
    result: dict[str, Any] = {
        "file": file,
        "system": reading.system,
        "accepted": reading.accepted,
        "errors": problems(reading.errors),
        "warnings": problems(reading.warnings),
        "job": _held(reading.jobs[0]) if reading.jobs and reading.accepted else None,
    }
    if reading.accepted and len(reading.jobs) > 1:
        result["components"] = [_held(job) for job in reading.jobs]
    result["unknown"] = [one.text for one in reading.directives if one.fields == ("native",) and one.state == "obeyed"]
    result["report"] = [
        {
            "line": one.line,
            "column": one.column,
            "text": one.text,
            "option": one.option,
            "fields": list(one.fields),
            "state": one.state,
            "why": one.why or None,
        }
        for one in reading.directives
    ]
    return result


def _held(job: Job) -> dict[str, Any]:
    """The job with what its scheduler adds where nobody said it."""
    found = job_dict(job)
    if job.requeue is None and job.system in REQUEUES:
        found["requeue"] = True
    return found


def problems(found: Iterable[Problem]) -> list[dict[str, Any]]:
    """The problems as JSON."""
    return [
        {"line": one.line, "column": one.column, "message": one.message, "meant": one.meant or None} for one in found
    ]


def job_dict(job: Job) -> dict[str, Any]:
    """The neutral job as JSON."""
    return {
        "name": job.name,
        "nodes": {"min": job.nodes.least, "max": job.nodes.most} if job.nodes else None,
        "tasks": job.tasks,
        "tasks_per_node": job.tasks_per_node,
        "cpus_per_task": job.cpus_per_task,
        "threads_per_core": job.threads_per_core,
        "gpus": [{"count": one.count, "per": one.per, "type": one.type or None} for one in job.gpus],
        "gres": [{"name": one.name, "type": one.type or None, "count": one.count} for one in job.gres],
        "memory": {"bytes": job.memory.bytes, "per": job.memory.per} if job.memory else None,
        "disk_per_node": job.disk_per_node,
        "walltime_s": job.walltime_s,
        "walltime_min_s": job.walltime_min_s,
        "queue": job.queue,
        "account": job.account,
        "qos": job.qos,
        "constraint": job.constraint.text if job.constraint else None,
        "hosts": job.hosts,
        "exclude_hosts": job.exclude_hosts,
        "placement": job.placement,
        "array": job.array.text if job.array else None,
        "array_throttle": job.array.throttle if job.array else None,
        "dependency": job.dependency.text if job.dependency else None,
        "exclusive": job.exclusive,
        "begin": job.begin.text if job.begin else None,
        "deadline": job.deadline,
        "input": job.input,
        "output": job.output,
        "error": job.error,
        "join": job.join,
        "open_mode": job.open_mode,
        "workdir": job.workdir,
        "reservation": job.reservation,
        "comment": job.comment,
        "licenses": [{"name": name, "count": count} for name, count in job.licenses],
        "requeue": job.requeue,
        "hold": job.hold,
        "priority": job.priority,
        "signal": asdict(job.signal) if job.signal else None,
        "environment": job.environment.text if job.environment else None,
        "shell": job.shell,
        "burst_buffer": list(job.burst_buffer),
        "mail": {"user": job.mail.user, "types": list(job.mail.types)} if job.mail else None,
        "native": [{"option": one.option, "value": one.value} for one in job.native],
    }
