"""From the fields of a manifest to those of the neutral job.

Kubernetes: "Jobs", "Resource Management for Pods and Containers", "Assigning Pods to Nodes". Each function
takes a checked part and gives values for `Job`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from jobspec.job import Array, Constraint, Environment, Gpus, Gres, Memory, Nodes
from jobspec.kubernetes.affinity import ALONE, HOSTNAME, JOB_NAME, REQUIRED
from jobspec.kubernetes.amounts import NVIDIA, PRODUCT
from jobspec.kubernetes.arrays import indexes
from jobspec.kubernetes.build import ACCOUNT, ARRAY, COMMENT, QUEUE, REQUEUE, ranges_of
from jobspec.kubernetes.check import amounts
from jobspec.kubernetes.claims import Claims
from jobspec.kubernetes.environment import INDEX
from jobspec.kubernetes.names import expand
from jobspec.kubernetes.paths import child
from jobspec.kubernetes.schema import POD

Values = dict[str, Any]
_HELD = {"cpu": "cpus_per_task", "memory": "memory", "ephemeral-storage": "disk_per_node"}


def metadata(claims: Claims, data: dict[str, Any]) -> Values:
    """Name, queue, account and comment."""
    found: Values = {}
    for field, part, key in (
        ("queue", "labels", QUEUE),
        ("account", "annotations", ACCOUNT),
        ("account", "labels", ACCOUNT),
        ("comment", "annotations", COMMENT),
    ):
        value = (data.get(part) or {}).get(key)
        if value:
            found[field] = value
            claims.claim(child(f"metadata.{part}", key), field)
    if data.get("name") is not None:
        found["name"] = data["name"]
        claims.claim("metadata.name", "name")
    return found


def spec(claims: Claims, top: dict[str, Any]) -> Values:
    """How many pods, how long, how often again."""
    found = _pods(claims, top)
    pod = top["template"]["spec"]
    if top.get("suspend"):
        found["hold"] = True
        claims.claim("spec.suspend", "hold")
    elif top.get("suspend") is False:
        claims.inert("spec.suspend", "it is the default")
    limits = []
    for path, seconds in (
        ("spec.activeDeadlineSeconds", top.get("activeDeadlineSeconds")),
        (f"{POD}.activeDeadlineSeconds", pod.get("activeDeadlineSeconds")),
    ):
        if seconds is None:
            continue
        if not seconds:
            raise claims.manifest.refuse(path, "a Job of 0 seconds never runs")
        limits.append(seconds)
        together = "array" in found and path.startswith("spec.active")
        claims.claim(path, "walltime_s", why="one limit for all completions together" if together else "")
    if limits:
        found["walltime_s"] = min(limits)
    return found | _again(claims, top, pod)


def _pods(claims: Claims, top: dict[str, Any]) -> Values:
    completions, parallel = top.get("completions"), top.get("parallelism")
    indexed = top.get("completionMode") == "Indexed"
    paths = [f"spec.{name}" for name in ("completions", "parallelism", "completionMode") if top.get(name) is not None]
    found: Values = {}
    if parallel == 0:
        found["hold"] = True
        claims.claim("spec.parallelism", "hold", why="no pods until it is raised")
        paths.remove("spec.parallelism")
    if completions == 0:
        raise claims.manifest.refuse("spec.completions", "a Job of 0 completions runs nothing")
    count = completions or parallel or 1
    if indexed and count > 1 and count == parallel and top["template"]["spec"].get("subdomain"):
        found |= {"nodes": Nodes(count, count), "tasks": count}
        claims.claim(f"{POD}.subdomain", "nodes")
        for path in paths:
            claims.claim(path, "nodes")
        return found
    if count == 1 and not indexed:
        for path in paths:
            claims.inert(path, "one pod is the default")
        return found
    # Without completions (a work queue) all pods start, and one that succeeds ends them all.
    throttle = (parallel or 1) if completions is not None and parallel != 0 else None
    found["array"] = Array(f"0-{count - 1}", ((0, count - 1, 1),), throttle if throttle and throttle < count else None)
    why = "" if indexed else "its pods have no index"
    if completions is None:
        why = "a work queue: the first pod that succeeds ends it"
    for path in paths:
        claims.claim(path, "array", why=why)
    return found


def annotated_array(claims: Claims, array: Array, expression: str) -> Values:
    """The array whose indexes the script sees, where the annotation that says them is right."""
    data = claims.manifest.value["metadata"]
    text = (data.get("annotations") or {}).get(ARRAY, "")
    ranges = ranges_of(text)
    stated = Array(text, ranges, array.throttle)
    found = indexes(stated, INDEX) if ranges else None
    if not found or found.expression != expression or found.count != array.ranges[0][1] + 1:
        return {}
    claims.claim(child("metadata.annotations", ARRAY), "array")
    return {"array": stated}


def _again(claims: Claims, top: dict[str, Any], pod: dict[str, Any]) -> Values:
    found: Values = {}
    for name in ("backoffLimit", "backoffLimitPerIndex"):
        tries = top.get(name)
        if tries is not None:
            found["requeue"] = bool(tries) or found.get("requeue", False)
            claims.claim(
                f"spec.{name}", "requeue", why=f"after failures of the script too, {tries} times" * bool(tries)
            )
    if top.get("podFailurePolicy") == REQUEUE and "requeue" in found:
        found["requeue"] = True
        claims.claim("spec.podFailurePolicy", "requeue")
    if pod["restartPolicy"] == "Never":
        claims.inert(f"{POD}.restartPolicy", "a pod that fails is not started again in its place")
    else:
        found["requeue"] = True
        claims.claim(f"{POD}.restartPolicy", "requeue", why="after failures of the script too, in the same pod")
    return found


def container(claims: Claims, pod: dict[str, Any]) -> Values:
    """Amounts, variables and the working directory; the pod holds what all of its containers hold together."""
    found = _amounts(claims, pod)
    path = f"{POD}.containers[0]"
    entry = pod["containers"][0]
    claims.inert(f"{path}.name", "a name within the pod")
    variables: dict[str, str] = {}
    places: dict[str, str] = {}
    for index, one in enumerate(entry.get("env") or ()):
        here = f"{path}.env[{index}]"
        if one.get("valueFrom") is not None:
            continue
        name = one["name"]
        if name in places:
            line = claims.manifest.where(here).line
            claims.inert(places[name], f"by line {line}", "overridden")
            variables.pop(name)
        variables[name] = expand(one.get("value") or "", variables)
        places[name] = here
        claims.claim(here, "environment")
    if variables:
        text = ",".join(f"{name}={value}" for name, value in variables.items())
        found["environment"] = Environment(text, all=False, values=tuple(variables.items()))
    if (entry.get("workingDir") or "").startswith("/"):
        found["workdir"] = entry["workingDir"]
        claims.claim(f"{path}.workingDir", "workdir")
    if pod.get("priorityClassName"):
        found["qos"] = pod["priorityClassName"]
        claims.claim(f"{POD}.priorityClassName", "qos")
    return found


def _amounts(claims: Claims, pod: dict[str, Any]) -> Values:
    """What the scheduler counts for the pod: the sum of its containers, or a larger init container."""
    totals: dict[str, Fraction] = {}
    places: dict[str, list[str]] = {}
    first: list[dict[str, Fraction]] = []
    for kind in ("containers", "initContainers"):
        for index, entry in enumerate(pod.get(kind) or ()):
            path = f"{POD}.{kind}[{index}].resources"
            requests, limits = amounts(claims.manifest, entry.get("resources"), path)
            claims.separate(f"{path}.limits")
            if kind == "initContainers" and entry.get("restartPolicy") != "Always":
                first.append(dict(requests))
                continue
            for name, amount in requests.items():
                totals[name] = totals.get(name, Fraction(0)) + amount
                asked = (entry["resources"].get("requests") or {}).get(name) is not None
                at = places.setdefault(name, [])
                at += [child(f"{path}.requests", name)] if asked else []
                at += [child(f"{path}.limits", name)] if limits.get(name) == amount else []
    for one in first:
        totals |= {name: max(totals.get(name, Fraction(0)), amount) for name, amount in one.items()}
    whole, _ = amounts(claims.manifest, pod.get("resources"), f"{POD}.resources")
    return _held(claims, {**totals, **whole}, places, pod.get("nodeSelector") or {})


def _held(
    claims: Claims, totals: dict[str, Fraction], places: dict[str, list[str]], selector: dict[str, str]
) -> Values:
    found: Values = {}
    for name, amount in sorted(totals.items()):
        count = math.ceil(amount)
        why = "" if count == amount else f"{float(amount):g} rounded up to {count}"
        field = _HELD.get(name) or ("gpus" if _is_gpu(name) else "gres" if "/" in name else "")
        for path in places.get(name, ()) if field else ():
            if count:
                claims.claim(path, field, why=why)
            else:
                claims.inert(path, "nothing is asked for")
        if not count or not field:
            continue
        if name == "cpu":
            found[field] = count
        elif name == "memory":
            found[field] = Memory(count, "node")
        elif name == "ephemeral-storage":
            found[field] = count
        elif field == "gpus":
            found[field] = (*found.get(field, ()), Gpus(count, "node", _gpu_type(name, selector)))
        else:
            found[field] = (*found.get(field, ()), Gres(name, "", count))
    return found


def _is_gpu(name: str) -> bool:
    return name in PRODUCT or name.startswith(("nvidia.com/", "gpu.intel.com/")) or name.endswith("/gpu")


def _gpu_type(name: str, selector: dict[str, str]) -> str:
    if name.startswith("nvidia.com/mig-"):
        return name.partition("/")[2]
    return selector.get(PRODUCT.get(name, PRODUCT[NVIDIA]), "")


def placed(claims: Claims, pod: dict[str, Any], values: Values) -> Values:
    """Constraints, hosts, whether the node is shared."""
    found: Values = {}
    affinity = pod.get("affinity") or {}
    path = f"{POD}.affinity.nodeAffinity"
    for field, names in _hosts(affinity.get("nodeAffinity")).items():
        found[field] = ",".join(names)
        claims.claim(path, field)
    features = []
    types = {one.type for one in values.get("gpus", ())}
    for key, value in sorted((pod.get("nodeSelector") or {}).items()):
        here = child(f"{POD}.nodeSelector", key)
        if key == HOSTNAME and "hosts" not in found and value:
            found["hosts"] = value
            claims.claim(here, "hosts")
        elif key in PRODUCT.values() and value in types:
            claims.claim(here, "gpus")
        else:
            features.append(f"{key}={value}")
            claims.claim(here, "constraint")
    if features:
        found["constraint"] = Constraint(",".join(features), tuple(features))
    path = f"{POD}.affinity.podAntiAffinity"
    if affinity.get("podAntiAffinity") == {
        REQUIRED: [{"labelSelector": ALONE, "namespaceSelector": {}, "topologyKey": HOSTNAME}]
    }:
        found["exclusive"] = True
        claims.claim(path, "exclusive")
    name = {JOB_NAME: values.get("name")}
    if "nodes" in values and affinity.get("podAntiAffinity") == {
        REQUIRED: [{"labelSelector": {"matchLabels": name}, "topologyKey": HOSTNAME}]
    }:
        claims.claim(path, "nodes")
    return found


def _hosts(affinity: object) -> dict[str, list[str]]:
    """Host names that are required or excluded, where nothing else is said of nodes."""
    found: dict[str, list[str]] = {}
    if not isinstance(affinity, dict) or set(affinity) != {REQUIRED}:
        return {}
    terms = affinity[REQUIRED].get("nodeSelectorTerms") if isinstance(affinity[REQUIRED], dict) else None
    if not isinstance(terms, list) or len(terms) != 1 or not isinstance(terms[0], dict):
        return {}
    if set(terms[0]) != {"matchExpressions"} or not isinstance(terms[0]["matchExpressions"], list):
        return {}
    for one in terms[0]["matchExpressions"]:
        if not isinstance(one, dict) or one.get("key") != HOSTNAME or not isinstance(one.get("values"), list):
            return {}
        field = {"In": "hosts", "NotIn": "exclude_hosts"}.get(str(one.get("operator")), "")
        if not field or field in found or not all(isinstance(name, str) and name for name in one["values"]):
            return {}
        found[field] = one["values"]
    return {field: names for field, names in found.items() if names}
