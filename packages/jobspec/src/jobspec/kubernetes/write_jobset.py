"""A JobSet (jobset.x-k8s.io/v1alpha2): a replicated Job for each component, whose pods reach one another by name.

JobSet API reference, "JobSetSpec", "ReplicatedJob", "Network".
"""

from __future__ import annotations

from typing import Any

from jobspec.kubernetes.affinity import JOB_NAME, apart
from jobspec.kubernetes.amounts import Pods
from jobspec.kubernetes.amounts import pods as pods_of
from jobspec.kubernetes.arrays import Indexes, indexes
from jobspec.kubernetes.build import NO_IMAGE, config_map, elements, job_spec, metadata, name_of, rest
from jobspec.kubernetes.dump import dump
from jobspec.writing import File, Saying, Script

_ROOM = len("-main-99999-99999-abcde")  # the end of a pod's name
_REPLICA = "JOBSET_REPLICA"  # the variable with the number of a pod's Job
_JOB_INDEX = "metadata.annotations['jobset.sigs.k8s.io/job-index']"
_TOGETHER = "the script runs in the pods of every component"


def write(say: Saying, script: Script) -> list[File]:
    """The ConfigMap with the script, and the JobSet."""
    name = name_of(say, _ROOM, letter=True)
    several = len(say.components) > 1
    if several:
        say.approximate("tasks", _TOGETHER)
    array = None if several else elements(say)
    if several and say.job.array:
        say.drop("array", "the components of a heterogeneous job have no indexes")
    jobs = []
    for number, job in enumerate(say.components):
        pods = pods_of(say, job)
        jobs.append(_replicated(say, f"c{number}" if several else "main", number, pods, array, script, name))
    spec: dict[str, Any] = {"network": {"enableDNSHostnames": True}, "failurePolicy": {"maxRestarts": 0}}
    if say.job.hold:
        spec["suspend"] = True
    spec["replicatedJobs"] = jobs
    made = [
        config_map(f"{name}-script", script),
        {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": metadata(say, name), "spec": spec},
    ]
    rest(say)
    notes = [] if say.profile.image else [f"The script {NO_IMAGE}."]
    return [File(".yaml", dump(made, notes), head=len(notes))]


def _replicated(
    say: Saying, role: str, number: int, pods: Pods, array: Indexes | None, script: Script, name: str
) -> dict[str, Any]:
    """One entry of replicatedJobs. The elements of an array that are larger than a pod are its replicas."""
    job = say.components[number]
    config = f"{name}-script"
    if not (array and pods.count > 1 and job.array):
        labels = {JOB_NAME: f"{name}-{role}-0"}
        return {
            "name": role,
            "replicas": 1,
            "template": {"spec": job_spec(say, job, pods, script, config, array, labels)},
        }
    by_replica = indexes(job.array, _REPLICA)
    spec = job_spec(say, job, Pods(1, pods.cpus, pods.resources, pods.labels), script, config, by_replica, {})
    spec |= {"parallelism": pods.count, "completions": pods.count}
    pod = spec["template"]["spec"]
    apart(pod, {"jobset.sigs.k8s.io/jobset-name": name}, each=JOB_NAME)
    container = pod["containers"][0]
    container.setdefault("env", []).append({"name": _REPLICA, "valueFrom": {"fieldRef": {"fieldPath": _JOB_INDEX}}})
    spec.pop("backoffLimitPerIndex", None)
    spec["backoffLimit"] = 0
    if job.array.throttle:
        say.approximate("array", "the elements may all run at once: a JobSet has no limit for them")
    return {"name": role, "replicas": array.count, "template": {"spec": spec}}
