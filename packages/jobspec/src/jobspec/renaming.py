"""The profile's names of features and nodes in a job that stays with its batch system: the rest is as it was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from resources.errors import InputError
from resources.hostlist import expand

from jobspec.job import Constraint, Job
from jobspec.profile import Profile

# Flux's writer names them itself, and a manifest of Kubernetes stays what it is.
RENAMED = frozenset({"slurm", "pbspro", "torque", "lsf", "gridengine", "oar", "cobalt"})
_NAME = re.compile(r"([A-Za-z0-9_.-]+)")


def renamed(job: Job, profile: Profile) -> tuple[Job, list[tuple[str, str]]]:
    """The job with the new names, and (field, why) for each that the profile drops."""
    lost: list[tuple[str, str]] = []
    changes: dict[str, Constraint | str | None] = {}
    if job.constraint and profile.constraints:
        text = _text(job.constraint.text, profile.constraints, "constraint", lost)
        if text != job.constraint.text:
            names = tuple(_text(name, profile.constraints, "", []) for name in job.constraint.all_of)
            changes["constraint"] = Constraint(text, tuple(filter(None, names))) if text else None
    if profile.nodes:
        for field, hosts in (("hosts", job.hosts), ("exclude_hosts", job.exclude_hosts)):
            if hosts and (text := _text(_expanded(hosts), profile.nodes, field, lost)) != _expanded(hosts):
                changes[field] = text or None
    return (replace(job, **changes), lost) if changes else (job, lost)  # type: ignore[arg-type]


def _expanded(hosts: str) -> str:
    try:
        return ",".join(expand(hosts)) if "[" in hosts else hosts
    except InputError:
        return hosts


def _text(text: str, names: Mapping[str, str], field: str, lost: list[tuple[str, str]]) -> str:
    """The text with the new names; one that is dropped goes with the sign before it, where all signs are alike."""
    parts = _NAME.split(text)
    dropped = [part for part in parts[1::2] if names.get(part) == ""]
    signs = set(parts[2:-1:2])
    if dropped:
        lost.append((field, f"the profile drops {', '.join(dropped)}"[:200]))
        if len(signs) > 1 or parts[0] or parts[-1]:
            return ""
        kept = [names.get(part, part) for part in parts[1::2]]
        return "".join(signs).join(filter(None, kept))
    return "".join(names.get(part, part) if at % 2 else part for at, part in enumerate(parts))
