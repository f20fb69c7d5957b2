"""The parts that a Job and a JobSet share: the spec of a Job, its pods, the script in a ConfigMap.

Kubernetes: Job v1, PodTemplateSpec v1, ConfigMap v1; "Handling pod and container failures".
"""

from __future__ import annotations

import base64
import re
from pathlib import PurePath
from typing import Any

from jobspec.errors import JobspecError
from jobspec.job import Job
from jobspec.kubernetes.affinity import apart, place
from jobspec.kubernetes.amounts import Pods, differs
from jobspec.kubernetes.arrays import MOST, Indexes, indexes
from jobspec.kubernetes.environment import FILE, FOLDER, INDEX, command, is_utf8, variables, working_directory
from jobspec.kubernetes.names import is_label_value, label
from jobspec.writing import Saying, Script

IMAGE = "debian:stable-slim"
NO_IMAGE = f"runs in {IMAGE}: image of the profile names one that has its programs"
QUEUE = "kueue.x-k8s.io/queue-name"
ACCOUNT = "jobspec/account"
ARRAY = "jobspec/array"
COMMENT = "kubernetes.io/description"
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?(?::([0-9]{1,9}))?", re.ASCII)
LARGEST_SCRIPT = 1024 * 1024 - 4096  # bytes of a ConfigMap, with room for its name
# A pod that its node loses, or that is pushed out, is made again, and a script that fails is not.
REQUEUE = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}

# What no part of a Job says.
CANT = (
    ("reservation", "Kubernetes has no reservations"),
    ("licenses", "Kubernetes counts no licenses"),
    ("burst_buffer", "Kubernetes has no burst buffers; storage is a volume"),
    ("walltime_min_s", "Kubernetes does not shrink a time limit"),
    ("begin", "a Job starts when it is made; CronJobs start on time, again and again"),
    ("deadline", "a Job has no time by which it must have ended"),
    ("dependency", "a Job can't wait for another one"),
    ("priority", "a priority of Kubernetes is a PriorityClass of the cluster: qos of the profile names it"),
    ("placement", "a pod lies on one node, and the scheduler spreads pods as it likes"),
    ("input", "a container has no file for its input"),
    ("open_mode", "the log of a pod is kept by Kubernetes"),
    ("mail", "Kubernetes sends no mail"),
)


def name_of(say: Saying, room: int, *, letter: bool = False) -> str:
    """The name of the object: a DNS-1123 label, with a letter in front where it must have one."""
    given = say.job.name
    text = given or PurePath(say.file).stem.strip("-") or "job"
    made = label(text, room)
    if letter and not made[0].isalpha():
        made = label(f"job-{made}", room)
    if given is not None:
        if made == given:
            say.exact("name")
        else:
            say.approximate("name", f"{made}: a name has lower-case letters, digits and -, and {63 - room} at most")
    return made


def metadata(say: Saying, name: str) -> dict[str, Any]:
    """The metadata of a Job or JobSet."""
    labels, annotations = dict[str, str](), dict[str, str]()
    queue = say.named("queue")
    if queue and is_label_value(queue):
        labels[QUEUE] = queue
        if say.job.queue and say.job.queue not in say.profile.queues:
            differs(say, "queue", "a LocalQueue of Kueue, which the cluster must have")
    elif queue:
        say.drop("queue", "a LocalQueue of Kueue can't have this name: queues of the profile names one")
    account = say.named("account")
    if account and not is_utf8(account):
        say.drop("account", "an annotation is text in UTF-8")
    elif account:
        (labels if is_label_value(account) else annotations)[ACCOUNT] = account
        if say.job.account is not None:
            differs(say, "account", f"as {ACCOUNT}, by which nothing is charged unless the cluster reads it")
    array = say.job.array
    if array and array.ranges and (array.ranges[0][0] or len(array.ranges) > 1 or array.ranges[0][2] != 1):
        annotations[ARRAY] = ",".join(map(_range_text, array.ranges))
    comment = say.job.comment
    if comment is not None and is_utf8(comment):
        annotations[COMMENT] = comment
        say.exact("comment")
    elif comment is not None:
        say.drop("comment", "an annotation is text in UTF-8")
    return {
        "name": name,
        **({"labels": labels} if labels else {}),
        **({"annotations": annotations} if annotations else {}),
    }


def _range_text(one: tuple[int, int, int]) -> str:
    first, last, step = one
    return (str(first) if first == last else f"{first}-{last}") + (f":{step}" if step != 1 else "")


def ranges_of(text: str) -> tuple[tuple[int, int, int], ...]:
    """The ranges of the annotation; none where it is not of that form."""
    found = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        if not match:
            return ()
        found.append((int(match[1]), int(match[2] or match[1]), int(match[3] or 1)))
    return tuple(found)


def config_map(name: str, script: Script) -> dict[str, Any]:
    """The script, byte for byte. Raises JobspecError where it is too large for one."""
    text = script.text()
    data = text.encode(errors="surrogateescape")
    if len(data) > LARGEST_SCRIPT:
        raise JobspecError(
            f"a script of {len(data)} bytes does not fit into a ConfigMap (1 MiB): put it into the image"
        )
    try:
        text.encode()
        content = {"data": {FILE: text}}
    except UnicodeEncodeError:
        content = {"binaryData": {FILE: base64.b64encode(data).decode()}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **content}


def elements(say: Saying) -> Indexes | None:
    """The elements of the job's array, where pods can be them."""
    array = say.job.array
    if array is None:
        return None
    found = indexes(array, INDEX)
    if not found:
        say.drop("array", f"an Indexed Job has from 1 to {MOST} completions")
    return found


def job_spec(
    say: Saying, job: Job, pods: Pods, script: Script, config: str, array: Indexes | None, gang: dict[str, str]
) -> dict[str, Any]:
    """The spec of a Job: one pod, an array of them, or several that run together (with the labels `gang`)."""
    spec: dict[str, Any] = {}
    pod = _pod(say, job, pods, script, config, array)
    seconds = job.walltime_s if isinstance(job.walltime_s, int) else 0
    if array:
        throttle = job.array.throttle if job.array else None
        spec["parallelism"] = min(throttle or array.count, array.count)
        say.exact("array")
    elif pods.count > 1:
        spec["parallelism"] = pods.count
        apart(pod, gang)
    if spec:
        spec |= {"completions": array.count if array else pods.count, "completionMode": "Indexed"}
    if job.walltime_s is not None:
        say.exact("walltime_s")
    if seconds and array:
        # For each pod: the limit of the Job is one for all of its elements.
        pod["activeDeadlineSeconds"] = min(seconds, 2**31 - 1)
    elif seconds:
        spec["activeDeadlineSeconds"] = seconds
        differs(say, "walltime_s", "counted from the start of the Job: waiting for a node and its image is within it")
    if array:
        spec["backoffLimitPerIndex"] = 0  # one that fails leaves the others alone
    else:
        spec["backoffLimit"] = 0
    if job.requeue:
        spec["podFailurePolicy"] = REQUEUE
    say.exact("requeue")
    return {**spec, "template": {"spec": pod}}


def _pod(say: Saying, job: Job, pods: Pods, script: Script, config: str, array: Indexes | None) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "main",
        "image": say.profile.image or IMAGE,
        "command": command(say, script, array.expression if array else ""),
        **working_directory(say, job),
    }
    if not say.profile.image and not say.same:
        say.remark(NO_IMAGE)
    env = variables(say, job)
    if env:
        container["env"] = env
    if pods.resources:
        # Of a node of its own the job may use all CPUs.
        limits = {name: amount for name, amount in pods.resources.items() if name != "cpu" or not job.exclusive}
        container["resources"] = {"requests": dict(pods.resources), **({"limits": limits} if limits else {})}
    container["volumeMounts"] = [{"name": "script", "mountPath": FOLDER}]
    pod: dict[str, Any] = {"restartPolicy": "Never", **place(say, job, pods)}
    if job.qos is not None and (say.same or job.qos in say.profile.qos):
        qos = say.named("qos")
        if qos:
            pod["priorityClassName"] = qos
    elif job.qos is not None:
        say.drop("qos", "qos of the profile names the PriorityClass of the cluster that stands for it")
    if job.signal:
        if job.signal.name.upper() in {"TERM", "SIGTERM", "15"}:
            pod["terminationGracePeriodSeconds"] = job.signal.before_s
            say.approximate("signal", "sent at the limit, and the end comes that much later")
        else:
            say.drop("signal", "Kubernetes sends SIGTERM only")
    pod["containers"] = [container]
    pod["volumes"] = [{"name": "script", "configMap": {"name": config, "defaultMode": 0o555}}]
    return pod


def rest(say: Saying) -> None:
    """The account of what was not asked of the parts."""
    say.drop_all(CANT)
    for field, what in (("output", "instead of a file"), ("error", "together with the output")):
        if say.asked(field):
            differs(say, field, f"in the log of the pod (kubectl logs), {what}")
    if say.job.join:
        say.exact("join")  # a log has both
    if say.job.hold:
        say.exact("hold")
    if say.job.native and not say.same:
        say.drop("native", "an option that only its own system has")
    for other in say.components[1:]:
        for field, why in CANT:
            if getattr(other, field) != getattr(Job(), field):
                say.drop(field, why)
