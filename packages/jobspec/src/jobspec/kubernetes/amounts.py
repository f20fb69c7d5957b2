"""What each pod of a job needs: the neutral job's amounts, a pod standing for a node."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from jobspec.job import Job
from jobspec.kubernetes.names import bytes_quantity, is_label_key, is_label_value
from jobspec.writing import Saying

# Names of resources and of the node labels with the type: NVIDIA's GPU feature discovery, AMD's node labeller.
NVIDIA, AMD = "nvidia.com/gpu", "amd.com/gpu"
PRODUCT = {NVIDIA: "nvidia.com/gpu.product", AMD: "amd.com/gpu.product-name"}
_AMD_TYPE = re.compile(r"(?:amd|gfx|mi[0-9])", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Pods:
    """count: pods at once, each on its own node. resources: name -> quantity of each; labels: of their nodes."""

    count: int
    cpus: int
    resources: dict[str, str]
    labels: dict[str, str]


def differs(say: Saying, field: str, why: str) -> None:
    """Say that a field is approximate, unless it goes back to where it came from."""
    if say.same:
        say.exact(field)
    else:
        say.approximate(field, why)


def pods(say: Saying, job: Job) -> Pods:
    """The pods of a job. CPUs are left out where a manifest had none."""
    count, tasks = _spread(say, job)
    cpus = tasks * job.cpus_per_task
    resources, labels = dict[str, str](), dict[str, str]()
    if not say.same or cpus > 1 or "cpus_per_task" in job.where:
        resources["cpu"] = str(cpus)
    say.exact("cpus_per_task")
    if job.threads_per_core:
        say.approximate("threads_per_core", "a CPU of Kubernetes is what the node counts as one")
    gpus = _gpus(say, job, count, tasks, labels)
    size = _memory(say, job, count, tasks, cpus, sum(gpus.values()))
    if size:
        resources["memory"] = bytes_quantity(size)
    if job.disk_per_node is not None:
        say.exact("disk_per_node")
        if job.disk_per_node:
            resources["ephemeral-storage"] = bytes_quantity(job.disk_per_node)
    resources.update({name: str(number) for name, number in gpus.items()})
    for one in job.gres:
        if "/" in one.name and is_label_key(one.name):
            resources[one.name] = str(one.count)
            say.exact("gres")
        else:
            say.drop("gres", f"a resource of Kubernetes has a domain in its name, and {one.name} has none")
    return Pods(count, cpus, resources, labels)


def _spread(say: Saying, job: Job) -> tuple[int, int]:
    """How many pods, and how many tasks each of them must have room for."""
    cores = say.profile.cores_per_node
    if job.nodes:
        count = max(job.nodes.least, 1)
        if job.nodes.most != job.nodes.least:
            say.approximate("nodes", f"the least of the range: {count}")
    elif job.tasks_per_node:
        count = math.ceil(job.tasks / job.tasks_per_node)
    elif cores and job.tasks * job.cpus_per_task > cores:
        count = math.ceil(job.tasks / max(cores // job.cpus_per_task, 1))
    else:
        count = 1
    tasks = max(math.ceil(job.tasks / count), 1)
    if count > 1:
        differs(say, "nodes", f"{count} pods, each on its own node; the script runs in every one, and nothing like MPI")
    elif job.nodes:
        say.exact("nodes")
    if job.tasks == count:
        say.exact("tasks")
    else:
        differs(say, "tasks", f"a pod has room for {tasks}; the script itself must start them")
    if job.tasks_per_node in {None, tasks}:
        say.exact("tasks_per_node")
    else:
        say.approximate("tasks_per_node", f"a pod has room for {tasks} tasks, as many as it needs")
    return count, tasks


def _gpus(say: Saying, job: Job, count: int, tasks: int, labels: dict[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in job.gpus:
        number = one.count
        if one.per == "task":
            number *= tasks
        elif one.per == "job":
            number = math.ceil(one.count / count)
            if number * count != one.count:
                say.approximate("gpus", f"{one.count} GPUs on {count} pods: {number} each")
        resource, label = _gpu_type(say, one.type)
        if label and labels.setdefault(PRODUCT[resource], label) != label:
            say.approximate("gpus", f"one pod has GPUs of one type: {labels[PRODUCT[resource]]}")
        found[resource] = found.get(resource, 0) + number
        say.exact("gpus")
    return {name: number for name, number in found.items() if number}


def _gpu_type(say: Saying, kind: str) -> tuple[str, str]:
    """The name of the resource, and the value that its product label must have, "" for any."""
    mapped = say.gpu_type(kind)
    if "/" in mapped and is_label_key(mapped):
        return mapped, ""
    resource = AMD if _AMD_TYPE.match(kind) else NVIDIA
    if not kind:
        return resource, ""
    if (say.same or kind in say.profile.gpu_types) and is_label_value(mapped):
        return resource, mapped
    why = f"any type: gpu_types of the profile says what {kind} is by the label {PRODUCT[resource]}, or its resource"
    say.approximate("gpus", why)
    return resource, ""


def _memory(say: Saying, job: Job, count: int, tasks: int, cpus: int, gpus: int) -> int:
    """Bytes of a pod, 0 where it has no such limit."""
    if job.memory is None:
        return 0
    size, per = job.memory.bytes, job.memory.per
    if not size:
        say.drop("memory", "a pod can't ask for all the memory of its node")
        return 0
    if per == "job":
        if size % count:
            say.approximate("memory", f"{size} bytes on {count} pods, rounded up")
        else:
            say.exact("memory")
        return -(-size // count)
    say.exact("memory")
    return size * {"node": 1, "cpu": cpus, "gpu": gpus, "task": tasks, "slot": tasks}[per]
