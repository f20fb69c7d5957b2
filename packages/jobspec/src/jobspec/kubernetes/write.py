"""A Kubernetes Job: its script in a ConfigMap, a Service by whose name several pods reach one another, the Job.

Several nodes are an Indexed Job with a pod for each; `$JOB_COMPLETION_INDEX` tells them apart ("Job with
Pod-to-Pod Communication"). The elements of an array are the completions of one.
"""

from __future__ import annotations

import json
from typing import Any

from jobspec.kubernetes.affinity import JOB_NAME
from jobspec.kubernetes.amounts import pods as pods_of
from jobspec.kubernetes.build import NO_IMAGE, config_map, elements, job_spec, metadata, name_of, rest
from jobspec.kubernetes.dump import dump
from jobspec.kubernetes.paths import put
from jobspec.report import EXACT
from jobspec.writing import FIELDS, File, Saying, Script

REST = "manifest"  # the native option that holds what the neutral job does not
_ROOM = len("-script")  # as long as "-99999", the end of a pod's host name, or more


def write(say: Saying, script: Script) -> list[File]:
    """The documents, in one file."""
    made = documents(say, script)
    if say.same:
        restore(say, made)
    notes = [] if say.profile.image or say.same else [f"The script {NO_IMAGE}."]
    return [File(".yaml", dump(made, notes), head=len(notes))]


def documents(say: Saying, script: Script) -> list[dict[str, Any]]:
    """The ConfigMap, the Service where one is needed, and the Job."""
    name = name_of(say, _ROOM)
    job = say.job
    pods = pods_of(say, job)
    array = elements(say)
    if array and pods.count > 1:
        say.drop("array", "an element of several pods would need a Job of its own: a JobSet says it")
        array = None
    spec = job_spec(say, job, pods, script, f"{name}-script", array, {JOB_NAME: name})
    made = [config_map(f"{name}-script", script)]
    if pods.count > 1:
        service = name if name[0].isalpha() else f"job-{name}"[:63].rstrip("-")
        spec["template"]["spec"]["subdomain"] = service
        selector = {"clusterIP": "None", "selector": {JOB_NAME: name}}
        made.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": service}, "spec": selector})
    if job.hold:
        spec = {"suspend": True, **spec}
    made.append({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(say, name), "spec": spec})
    rest(say)
    return made


def key_of(document: Any) -> str:
    """What a document is called beside the paths of the Job."""
    metadata = document.get("metadata")
    name, space = (metadata.get("name"), metadata.get("namespace")) if isinstance(metadata, dict) else ("", "")
    return f"{document.get('kind')}/{space}/{name}" if space else f"{document.get('kind')}/{name}"


def restore(say: Saying, made: list[dict[str, Any]]) -> None:
    """Put back what only a manifest can say: paths of the Job, "KIND/NAME" of other documents; None is taken out."""
    job = made[-1]
    rest = json.loads(next((one.value or "" for one in say.job.native if one.option == REST), "{}"))
    for path, value in rest.items():
        if "/" not in path.split("[")[0]:
            put(job, path, value)
            continue
        made[:-1] = [other for other in made[:-1] if key_of(other) != path]
        if value is not None:
            made.insert(-1, value)
    # The manifest is what it was, but for names that the profile maps.
    for field in FIELDS:
        if field not in {"queue", "account", "qos"}:
            say.fates[field] = (EXACT, "")
