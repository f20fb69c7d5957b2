"""jobspec's own YAML, version 1: a script that `jobspec run` starts.

Resources, time, directory and variables stand where `jobspec run` looks for them. Whatever else a job can ask
for stands in `attributes.user`, by the names of the neutral job's fields, so that nothing is lost on the way to
another system; where that is more exact than the resources, it counts.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from jobspec.document import vertex_of
from jobspec.errors import DocumentError, JobspecError
from jobspec.job import UNLIMITED, Job
from jobspec.kubernetes.dump import dump
from jobspec.kubernetes.paths import put
from jobspec.own.fields import is_text, known, plain, sayable
from jobspec.own.shape import LABEL, environment, from_resources, resources, totals
from jobspec.spec import Attributes, Task
from jobspec.writing import File, Saying, Script

FILE = "batch.sh"
REST = "document"  # the native option that holds what the neutral job does not
_IDLE = "in attributes.user, which jobspec run does not act on"
_PATHS = ("input", "output", "error")


def write(say: Saying, script: Script) -> list[File]:
    """The document. Raises JobspecError where the script is no text."""
    text = script.text()
    if not is_text(text):
        raise JobspecError("the script has NUL bytes, or bytes that are no UTF-8: YAML can't hold them")
    return [File(".yaml", dump([document(say, text)]), head=0)]


def document(say: Saying, text: str) -> dict[str, Any]:
    """The document as plain values."""
    job = _translated(say)
    made = resources(job)
    system: dict[str, Any] = {}
    if isinstance(job.walltime_s, int):
        system["duration"] = job.walltime_s
        say.exact("walltime_s")
    if job.workdir is not None and job.workdir.startswith("/") and is_text(job.workdir):
        system["cwd"] = job.workdir
        say.exact("workdir")
    values = _variables(job)
    if values:
        system["environment"] = values
    name = job.name or ("" if say.same else PurePath(say.file).stem.strip("-"))
    task: dict[str, Any] = {"name": name} if name and is_text(name) else {}
    if job.name is not None and is_text(job.name):
        say.exact("name")
    elif job.name is not None:
        say.drop("name", "a document holds text in UTF-8")
    task |= {
        "slot": LABEL,
        "count": {"per_slot": 1},
        "scripts": [{"name": FILE, "content": text}],
        "transform": [
            {"step": "write", "filename": FILE, **({"executable": True} if text.startswith("#!") else {})},
            {"step": "batch", "filename": FILE},
        ],
    }
    user = _user(say, job, made)
    attributes = {key: value for key, value in (("system", system), ("user", user)) if value}
    result: dict[str, Any] = {"version": 1, "resources": made, "task": task}
    if attributes:
        result["attributes"] = attributes
    if say.same:
        rest = json.loads(next((one.value or "" for one in job.native if one.option == REST), "{}"))
        for path, value in rest.items():
            put(result, path, value)
        say.exact("native")
    elif job.native:
        say.drop("native", "an option that only its own system has")
    return result


def _translated(say: Saying) -> Job:
    """The job with its names as the profile maps them, and its paths in our patterns."""
    job = say.job
    changes: dict[str, Any] = {"queue": say.named("queue"), "account": say.named("account"), "qos": say.named("qos")}
    changes |= {field: say.path(field) for field in _PATHS}
    changes["gpus"] = tuple(replace(one, type=say.gpu_type(one.type)) for one in job.gpus)
    if job.environment and not say.same:
        changes["environment"] = environment(job.environment)
    return replace(job, **changes)


def _user(say: Saying, job: Job, made: dict[str, Any]) -> dict[str, Any]:
    """What the resources and `system` do not say, or not exactly."""
    said = from_resources(_task(made, job))
    user: dict[str, Any] = {}
    for field in known():
        value = getattr(job, field)
        if value == getattr(said, field):
            if say.asked(field):
                say.exact(field)
            continue
        made_plain = plain(value)
        if not sayable(made_plain):
            say.drop(field, "a document holds lines of text in UTF-8")
            continue
        user[field] = made_plain
        why = "" if say.same or value == UNLIMITED else _differs(field, job, said)
        if why:
            say.approximate(field, why)
        else:
            say.exact(field)
    return user


def _differs(field: str, job: Job, said: Job) -> str:
    """What `jobspec run` does otherwise, "" where the resources say the same in other words."""
    if field == "tasks_per_node":
        same = job.nodes and said.tasks == (job.tasks_per_node or 0) * job.nodes.least
        return "" if same else _IDLE
    if field == "gpus" and totals(job)[0] == totals(said)[0]:
        return f"the type is {_IDLE}" if any(one.type for one in job.gpus) else ""
    if field == "memory" and totals(job)[1] and totals(job)[1] == totals(said)[1]:
        return ""
    if field in {"nodes", "tasks", "gpus", "memory"}:
        return "the resources are the least that is evenly shared; attributes.user has it exactly"
    return _IDLE


def _task(made: dict[str, Any], job: Job) -> Task:
    """The task as a reader sees it, without `user`."""
    try:
        tree = vertex_of(made, "resources")
    except DocumentError as error:
        raise JobspecError(f"a document can't hold it: {error}") from None
    seconds = job.walltime_s if isinstance(job.walltime_s, int) and job.walltime_s else None
    cwd = job.workdir if job.workdir and job.workdir.startswith("/") and is_text(job.workdir) else ""
    return Task("task", slot=LABEL, resources=tree, attributes=Attributes(seconds, cwd, _variables(job)))


def _variables(job: Job) -> dict[str, str]:
    """The variables that a document can hold."""
    values = job.environment.values if job.environment else ()
    return {name: value for name, value in values if name and "=" not in name and is_text(name) and is_text(value)}
