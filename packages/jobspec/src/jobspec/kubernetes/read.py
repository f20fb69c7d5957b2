"""Kubernetes Jobs, read as the API server takes them.

A pod stands for a task on a node of its own. The pods of an Indexed Job that have a subdomain, by which they
reach one another, are the nodes of one job; other completions are the elements of an array. What only
Kubernetes says is kept by its path.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from resources.units import quantity

from jobspec.errors import JobspecError, ScriptError
from jobspec.job import Array, Job, Native
from jobspec.kubernetes.check import beside as check_beside
from jobspec.kubernetes.check import check
from jobspec.kubernetes.claims import Claims
from jobspec.kubernetes.fields import annotated_array, container, metadata, placed, spec
from jobspec.kubernetes.manifest import Manifest, load
from jobspec.kubernetes.paths import differences
from jobspec.kubernetes.schema import POD
from jobspec.kubernetes.script import Started, started
from jobspec.kubernetes.write import REST, documents, key_of
from jobspec.profile import Profile
from jobspec.reading import Directive, Problem, Reading
from jobspec.writing import Saying, Script


def read(text: str, profile: Profile) -> Reading:
    """The reading of a file of manifests with one Job. Raises ScriptError for what the API server refuses."""
    found = load(text)
    jobs = [one for one in found if one.value.get("kind") == "Job"]
    if not jobs:
        kinds = ", ".join(sorted({str(one.value.get("kind"))[:40] for one in found})) or "nothing"
        raise ScriptError(f"there is no Job in it, but {kinds}", meant="kind: Job")
    [manifest, *others] = jobs
    if others:
        raise others[0].refuse("", "a second Job: each is a job of its own", "one file for each")
    if manifest.value.get("apiVersion") != "batch/v1":
        raise manifest.refuse("apiVersion", "a Job is of batch/v1", "apiVersion: batch/v1")
    check(manifest)
    beside = [one for one in found if one is not manifest]
    for one in beside:
        check_beside(one)
    configs = {
        one.value["metadata"]["name"]: one.value
        for one in beside
        if one.value["kind"] == "ConfigMap" and one.value["metadata"].get("name")
    }
    claims = Claims(manifest)
    top = manifest.value
    values: dict[str, Any] = metadata(claims, top["metadata"])
    values |= spec(claims, top["spec"])
    pod = top["spec"]["template"]["spec"]
    values |= container(claims, pod)
    values |= placed(claims, pod, values)
    environment = values.get("environment")
    run = started(pod, dict(environment.values) if environment else {}, configs)
    values |= _run(claims, run, pod, values)
    job = Job(system="kubernetes", **values, where=claims.where)
    job = _with_natives(job, run, manifest, beside)
    warnings = []
    if not run.known:
        place = manifest.where(f"{POD}.containers[0].image")
        warnings.append(Problem(place.line, place.column, "the image says what runs, so the script is empty"))
    directives = [*claims.directives(), *_beside(beside, run, pod)]
    directives.sort(key=lambda one: (one.line, one.column))
    return Reading("kubernetes", (job,), warnings=tuple(warnings), directives=tuple(directives), script=run.text)


def _run(claims: Claims, run: Started, pod: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What the way in which the script is started says of the job."""
    found: dict[str, Any] = {}
    path = f"{POD}.containers[0]"
    for key in ("command", "args"):
        claims.body(f"{path}.{key}")
    if run.config:
        names = set()
        for index, volume in enumerate(pod["volumes"]):
            source = volume.get("configMap")
            if isinstance(source, dict) and source.get("name") == run.config:
                names.add(volume["name"])
                claims.body(f"{POD}.volumes[{index}]")
        for index, mount in enumerate(pod["containers"][0]["volumeMounts"]):
            if mount["name"] in names:
                claims.body(f"{path}.volumeMounts[{index}]")
    if run.shell:
        found["shell"] = run.shell
        claims.claim(f"{path}.command", "shell")
    array = values.get("array")
    if run.expression and isinstance(array, Array):
        found |= annotated_array(claims, array, run.expression)
    return found


def _with_natives(job: Job, run: Started, manifest: Manifest, beside: list[Manifest]) -> Job:
    """The job with all that our own manifest for it would not have, or have otherwise."""
    shebang, body = "", run.text
    if run.text.startswith("#!"):
        shebang, _, body = run.text.partition("\n")
    try:
        made = documents(Saying(job, "kubernetes"), Script(shebang, body))
    except JobspecError as error:
        raise manifest.refuse("", str(error)) from None
    wanted = _same_quantities(manifest.value, made[-1])
    rest: dict[str, Any] = dict(differences(wanted, made[-1]))
    ours = {key_of(one): one for one in made[:-1]}
    theirs = {key_of(one.value): one.value for one in beside}
    rest |= {key: document for key, document in theirs.items() if ours.get(key) != document}
    rest |= dict.fromkeys(key for key in ours if key not in theirs)
    return replace(job, native=(Native(REST, json.dumps(dict(sorted(rest.items())))),)) if rest else job


def _same_quantities(wanted: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """The manifest, with those quantities spelled as ours that mean the same."""
    ours = made["spec"]["template"]["spec"]["containers"][0].get("resources")
    if not ours:
        return wanted
    wanted = copy.deepcopy(wanted)
    theirs = wanted["spec"]["template"]["spec"]["containers"][0].get("resources") or {}
    for kind in ("requests", "limits"):
        for name, text in (theirs.get(kind) or {}).items():
            spelled = ours.get(kind, {}).get(name)
            if spelled is not None and quantity(text) == quantity(spelled):
                theirs[kind][name] = spelled
    return wanted


def _beside(others: list[Manifest], run: Started, pod: dict[str, Any]) -> Iterator[Directive]:
    """The other documents of the file, but for the one with the script."""
    for one in others:
        place = one.where("")
        key = key_of(one.value)
        if key == f"ConfigMap/{run.config}":
            continue
        service = key == f"Service/{pod.get('subdomain')}"
        fields = ("nodes",) if service else ("native",)
        yield Directive(place.line, place.column, key[:200], key[:200], fields)
