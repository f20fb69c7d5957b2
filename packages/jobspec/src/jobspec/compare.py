"""Whether two jobs ask for the same, each in the words of its own system."""

from __future__ import annotations

from typing import Any

from jobspec import arrays, patterns
from jobspec.explain import job_dict
from jobspec.job import Array, Job

_PATHS = ("input", "output", "error")
_MOST_INDEXES = 100_000  # beyond it two arrays are compared by how they are written


def differences(first: tuple[Job, ...], second: tuple[Job, ...]) -> list[tuple[str, Any, Any]]:
    """(field, value here, value there) for each field that differs; components one by one."""
    if len(first) != len(second):
        return [("components", len(first), len(second))]
    found: list[tuple[str, Any, Any]] = []
    for index, (one, other) in enumerate(zip(first, second, strict=True)):
        prefix = f"{index}." if len(first) > 1 else ""
        here, there = meaning(one), meaning(other)
        shown_here, shown_there = job_dict(one), job_dict(other)
        if one.system != other.system:  # what only one of them has a word for can't be compared
            here.pop("native")
        found += [
            (prefix + name, shown_here.get(name), shown_there.get(name)) for name in here if here[name] != there[name]
        ]
    return found


def meaning(job: Job) -> dict[str, Any]:
    """The values of a job such that equal ones ask for the same."""
    values: dict[str, Any] = job_dict(job)
    values.pop("array_throttle")
    for name in _PATHS:
        if values[name] is not None:
            values[name] = tuple(patterns.meaning(values[name], job.system))
    values["gpus"] = sorted((one.per, one.type, one.count) for one in job.gpus)
    values["gres"] = sorted((one.name, one.type, one.count) for one in job.gres)
    values["licenses"] = sorted(job.licenses)
    values["native"] = sorted((one.option, one.value or "") for one in job.native)
    if job.mail:
        values["mail"] = (job.mail.user, sorted(job.mail.types))
    if job.array:
        values["array"] = (indexes(job.array), job.array.throttle)
    if job.dependency and job.dependency.terms:
        terms = {(kind, tuple(sorted(ids))) for kind, ids in job.dependency.terms}
        values["dependency"] = (job.dependency.any, sorted(terms))
    if job.begin and (job.begin.at or job.begin.offset_s is not None):
        values["begin"] = (job.begin.offset_s, job.begin.at)
    if job.constraint and job.constraint.all_of:
        values["constraint"] = sorted(job.constraint.all_of)
    if job.environment:
        one = job.environment
        values["environment"] = (one.all, sorted(one.names), sorted(one.values))
    return values


def indexes(array: Array) -> object:
    """The set of the indexes, or their ranges where they are too many to list."""
    if arrays.count(array.ranges) > _MOST_INDEXES:
        return tuple(sorted(array.ranges))
    return frozenset(arrays.elements(array.ranges))
