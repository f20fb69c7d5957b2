"""On which nodes: selectors and affinities, as the writers make them and the reader knows them again."""

from __future__ import annotations

from typing import Any

from resources.errors import InputError
from resources.hostlist import expand

from jobspec.job import Job
from jobspec.kubernetes.amounts import Pods, differs
from jobspec.kubernetes.names import is_label_key, is_label_value, is_subdomain
from jobspec.writing import Saying

HOSTNAME = "kubernetes.io/hostname"
JOB_NAME = "batch.kubernetes.io/job-name"  # every pod of a Job has this label
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ALONE = {"matchExpressions": [{"key": JOB_NAME, "operator": "Exists"}]}


def place(say: Saying, job: Job, pods: Pods) -> dict[str, Any]:
    """The fields of a pod's spec that say where it may run."""
    selector = dict(pods.labels)
    if job.constraint:
        selector.update(_constraint(say, job))
    affinity: dict[str, Any] = {}
    terms = []
    for field, text, operator in (("hosts", job.hosts, "In"), ("exclude_hosts", job.exclude_hosts, "NotIn")):
        names = _hosts(say, field, text, pods.count) if text else []
        if names and operator == "In" and len(names) == 1:
            selector[HOSTNAME] = names[0]
        elif names:
            terms.append({"key": HOSTNAME, "operator": operator, "values": names})
    if terms:
        affinity["nodeAffinity"] = {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": terms}]}}
    if job.exclusive:
        differs(say, "exclusive", "kept apart from the pods of all other Jobs; what is no Job may run on its node")
        affinity["podAntiAffinity"] = {
            REQUIRED: [{"labelSelector": ALONE, "namespaceSelector": {}, "topologyKey": HOSTNAME}]
        }
    return {key: value for key, value in (("nodeSelector", selector), ("affinity", affinity)) if value}


def apart(spec: dict[str, Any], labels: dict[str, str], each: str = "") -> None:
    """Keep the pods with these labels on different nodes; with `each` only those that have one value of that label."""
    affinity = spec.setdefault("affinity", {})
    if "podAntiAffinity" in affinity:
        return  # they are kept apart from all others anyhow
    term: dict[str, Any] = {"labelSelector": {"matchLabels": labels}, "topologyKey": HOSTNAME}
    if each:
        term["matchLabelKeys"] = [each]
    affinity["podAntiAffinity"] = {REQUIRED: [term]}


def _constraint(say: Saying, job: Job) -> dict[str, str]:
    """Labels for a plain list of features: as the profile maps them, or where they are labels already."""
    labels: dict[str, str] = {}
    if not job.constraint:
        return labels
    features = job.constraint.all_of
    if not features and job.constraint.text in say.profile.constraints:
        features = (job.constraint.text,)
    if not features:
        say.drop("constraint", "a node selector is a plain list of labels; constraints of the profile may map features")
    for feature in features:
        mapped = say.profile.constraints.get(feature, feature)
        if not mapped:
            say.drop("constraint", "the profile drops it")
            continue
        key, equals, value = mapped.partition("=")
        if equals and is_label_key(key) and is_label_value(value) and labels.setdefault(key, value) == value:
            say.exact("constraint")
        else:
            say.drop("constraint", f"constraints of the profile must say which label=value of nodes {feature[:60]} is")
    return labels


def _hosts(say: Saying, field: str, text: str, pods: int) -> list[str]:
    try:
        names = list(dict.fromkeys(say.profile.nodes.get(name, name) for name in expand(text)))
    except InputError:
        say.drop(field, "it is no list of node names")
        return []
    if "" in names or not all(map(is_subdomain, names)):
        say.drop(field, "not all of them are names that nodes of Kubernetes can have")
        return []
    if field == "hosts" and len(names) != pods and not say.same:
        say.approximate(field, f"on {pods} of these nodes" if pods < len(names) else "on these nodes only")
    else:
        say.exact(field)
    return names
