"""jobspec's own YAML, version 1 or nested: the job of each of its tasks.

Resources are read as `jobspec run` reads them; `attributes.user` may say more, see `jobspec.own.write`.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

from jobspec.document import load
from jobspec.errors import DocumentError, JobspecError, ScriptError
from jobspec.job import Job, Native
from jobspec.kubernetes.claims import Claims
from jobspec.kubernetes.manifest import Manifest
from jobspec.kubernetes.manifest import load as load_located
from jobspec.kubernetes.paths import differences, value_at
from jobspec.own.fields import known, value
from jobspec.own.shape import from_resources
from jobspec.own.write import REST, document
from jobspec.profile import Profile
from jobspec.reading import Problem, Reading
from jobspec.spec import Task, Vertex
from jobspec.writing import Saying

# The steps that a script stands for; others only `jobspec run` does.
_ONE_SCRIPT = (["submit"], ["write", "submit"], ["write", "batch"])
_VERTICES = {"node": "nodes", "slot": "tasks", "core": "cpus_per_task", "gpu": "gpus", "memory": "memory"}


def read(text: str, profile: Profile) -> Reading:
    """The reading of a document. Raises ScriptError with the place of what is wrong."""
    [manifest, *others] = load_located(text) or [Manifest({}, {})]
    if others:
        raise others[0].refuse("", "a second document: a jobspec is one")
    try:
        loaded = load(text)
        tasks = list(loaded.tasks)
        if not tasks:
            raise DocumentError("there is no task in it", "tasks")
        jobs = [from_resources(task) for task in tasks]
        asked = {name: value(kind, loaded.user[name], f"attributes.user.{name}")
                 for name, kind in known().items() if name in loaded.user}  # fmt: skip
    except DocumentError as error:
        raise _at(error, manifest) from None
    claims = Claims(manifest)
    _claim(claims, tasks, asked)
    script = _script(tasks[0])
    jobs = [replace(job, **asked, where=claims.where) for job in jobs]
    jobs[0] = _with_natives(jobs[0], manifest, script)
    warnings = []
    if len(tasks) > 1:
        place = manifest.where("tasks")
        message = f"{len(tasks)} tasks are read as the components of one job; the script is that of the first"
        warnings.append(Problem(place.line, place.column, message))
    directives = sorted(claims.directives(), key=lambda one: (one.line, one.column))
    return Reading("jobspec", tuple(jobs), warnings=tuple(warnings), directives=tuple(directives), script=script)


def _claim(claims: Claims, tasks: list[Task], asked: dict[str, Any]) -> None:
    """Which keys went into which fields."""
    marks = claims.manifest.marks

    def claim(path: str, field: str) -> None:
        if path in marks:
            claims.claim(path, field)

    def claim_vertices(vertex: Vertex) -> None:
        field = _VERTICES.get(vertex.type, "tasks")
        for key in ("type", "count", "unit", "label", "schedule"):
            claim(f"{vertex.place}.{key}", field)
        claim(f"{vertex.place}.exclusive", "exclusive")
        for inner in vertex.within:
            claim_vertices(inner)

    claims.body("version")
    for task in tasks:
        claim(f"{task.place}.name", "name")
        for key in ("slot", "count"):
            claim(f"{task.place}.{key}", "tasks")
        for key in ("command", "scripts"):
            claims.body(f"{task.place}.{key}")
        for key in ("transform", "steps"):
            if [step.name for step in task.transform] in _ONE_SCRIPT:
                claims.body(f"{task.place}.{key}")
        for key in ("resources", "requires"):
            if task.requires and isinstance(value_at(claims.manifest.value, f"{task.place}.{key}"), (dict, list)):
                claim(f"{task.place}.{key}", "constraint")
        if task.resources:
            claim_vertices(task.resources)
    for key, field in (("duration", "walltime_s"), ("cwd", "workdir"), ("environment", "environment")):
        for above in ("attributes.system", "attributes", *(f"{task.place}.attributes" for task in tasks)):
            claim(f"{above}.{key}", field)
    for field in asked:
        claim(f"attributes.user.{field}", field)


def _script(task: Task) -> str:
    """What the task starts, as a script: the file of its last step that starts one, else its command."""
    for step in reversed(task.transform):
        name = step.options.get("filename")
        if step.name in {"batch", "submit"} and isinstance(name, str) and name in task.scripts:
            return task.scripts[name]
    if task.command:
        return f"#!/bin/sh\nexec {shlex.join(task.command)}\n"
    return "#!/bin/sh\n"


def _with_natives(job: Job, manifest: Manifest, script: str) -> Job:
    """The job with all that our own document for it would not have, or have otherwise."""
    try:
        made = document(Saying(job, "jobspec"), script)
    except JobspecError as error:
        raise manifest.refuse("", str(error)) from None
    rest = dict(sorted(differences(manifest.value, made)))
    return replace(job, native=(Native(REST, json.dumps(rest)),)) if rest else job


def _at(error: DocumentError, manifest: Manifest) -> ScriptError:
    """The error with its line."""
    place = manifest.where(error.place)
    return ScriptError(str(error), place.line, place.column)
