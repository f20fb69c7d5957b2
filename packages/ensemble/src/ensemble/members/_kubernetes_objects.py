"""Kubernetes objects as plain data: the Jobs that we write, and what the pods and Jobs that we read tell.

Field names and reasons are those of the Kubernetes API (batch/v1 Job, v1 Pod; "Pod Lifecycle", "Jobs") and of the
kubelet. Nothing here talks to a server.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ensemble.job import Job, Spec

RUN, GROUP = "ensemble.run", "ensemble.group"  # labels
TOKENS = "ensemble.tokens"  # annotation of a Job: its tokens, in the order of its indexes
LONGEST = 50  # characters of a Job's name: those of its pods and hosts are longer, and end at 63
LARGEST = 200_000  # bytes of TOKENS; all annotations of an object have 256 KiB
INDEX = "batch.kubernetes.io/job-completion-index"
HOSTNAME = "kubernetes.io/hostname"
ATTRIBUTES = ("image", "pod", "container", "labels", "annotations")

# Why a pod or its container ended, to the type of exception ("": its exit code says it all), where Kubernetes says so:
# `reason` of the state `terminated` of a container,
TERMINATED: Mapping[str, str] = {
    "Completed": "",
    "Error": "",
    "OOMKilled": "memory",
    "DeadlineExceeded": "timeout",
    "StartError": "exec",
    "ContainerCannotRun": "exec",
    "ContainerStatusUnknown": "node-lost",
}
# `reason` of a pod's status,
POD_REASONS: Mapping[str, str] = {
    "DeadlineExceeded": "timeout",
    "Evicted": "preempted",
    "Preempting": "preempted",
    "Preempted": "preempted",
    "NodeLost": "node-lost",
    "NodeShutdown": "node-lost",
    "Shutdown": "node-lost",
    "Terminated": "node-lost",
    "NodeAffinity": "boot",
    "UnexpectedAdmissionError": "boot",
    "OutOfcpu": "boot",
    "OutOfmemory": "boot",
    "OutOfpods": "boot",
}
# `reason` of the condition DisruptionTarget of a pod,
DISRUPTIONS: Mapping[str, str] = {
    "PreemptionByScheduler": "preempted",
    "PreemptionByKubeScheduler": "preempted",
    "EvictionByEvictionAPI": "preempted",
    "TerminationByKubelet": "preempted",
    "DeletionByTaintManager": "node-lost",
    "DeletionByPodGC": "node-lost",
}
# `reason` of the condition Failed of a Job, for those whose pods are gone.
JOB_REASONS: Mapping[str, str] = {
    "DeadlineExceeded": "timeout",
    "BackoffLimitExceeded": "node-lost",
    "FailedIndexes": "node-lost",
    "MaxFailedIndexesExceeded": "node-lost",
    "PodFailurePolicy": "node-lost",
}
# `reason` of the state `waiting` of a container that may never come up. The others (ContainerCreating, PodInitializing)
# are waited for.
WAITING: Mapping[str, str] = {
    "ErrImagePull": "boot",
    "ImagePullBackOff": "boot",
    "RegistryUnavailable": "boot",
    "ImageInspectError": "boot",
    "ErrImageNeverPull": "exec",
    "InvalidImageName": "exec",
    "CreateContainerConfigError": "exec",
    "CreateContainerError": "exec",
    "RunContainerError": "exec",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a pod tells of its job; times in epoch seconds, None is not (yet).

    status: as wait(2) encodes it. exception: a type of ensemble.events.CAUSES, empty for none. stuck: the type of the
    exception that it will be if it stays as it is. pending: why it has no node yet.
    """

    uid: str
    pod: str
    host: str = ""
    scheduled: float | None = None
    started: float | None = None
    ended: float | None = None
    status: int | None = None
    exception: str = ""
    note: str = ""
    stuck: str = ""
    pending: str = ""


def pod_facts(pod: Mapping[str, Any]) -> Facts:
    """What a v1 Pod tells."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    facts = Facts(meta["uid"], meta["name"], spec.get("nodeName") or "")
    placed = conditions.get("PodScheduled", {})
    if placed.get("status") == "True" or facts.host:
        begin = placed.get("lastTransitionTime") or meta.get("creationTimestamp")
        facts = replace(facts, scheduled=seconds(begin))
    elif placed.get("status") == "False":
        facts = replace(facts, pending=f"{placed.get('reason', '')}: {placed.get('message', '')}")
    state: Mapping[str, Any] = {}
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
    if running := state.get("running"):
        facts = replace(facts, started=seconds(running.get("startedAt")))
    elif waiting := state.get("waiting"):
        reason = waiting.get("reason", "")
        facts = replace(
            facts, stuck=WAITING.get(reason, ""), note=f"{reason}: {waiting.get('message', '')}".strip(": ")
        )
    ended = state.get("terminated")
    if status.get("phase") in ("Succeeded", "Failed") or ended:
        facts = _end(facts, status, conditions, ended or {})
    return facts


def _end(facts: Facts, status: Mapping[str, Any], conditions: Mapping[str, Any], ended: Mapping[str, Any]) -> Facts:
    target = conditions.get("DisruptionTarget", {})
    reason = ended.get("reason", "")
    why = ""
    note = ""
    if target.get("status") == "True":
        why = DISRUPTIONS.get(target.get("reason", ""), "preempted")
        note = f"{target.get('reason', '')}: {target.get('message', '')}"
    elif status.get("reason"):
        why = POD_REASONS.get(status["reason"], "" if ended else "boot")
        note = f"{status['reason']}: {status.get('message', '')}"
    elif TERMINATED.get(reason):
        why = TERMINATED[reason]
        note = f"{reason}: {ended.get('message', '')}"
    ran = bool(ended.get("startedAt")) and why != "exec" and reason != "ContainerStatusUnknown"
    if not ran and not why:
        why, note = "boot", f"it ended as {status.get('phase')} without having run"
    return replace(
        facts,
        started=seconds(ended["startedAt"]) if ran else facts.started,
        ended=seconds(ended.get("finishedAt")) or seconds(target.get("lastTransitionTime")) or facts.scheduled or 0.0,
        status=wait_status(ended.get("exitCode", 1), ended.get("signal", 0)) if ran else None,
        exception=why,
        note=note.strip(": "),
        stuck="",
    )


def wait_status(code: int, signal: int = 0) -> int:
    """A container's exit code and signal as wait(2) encodes them. 128 + N is how runtimes tell of signal N."""
    if not signal and 128 < code < 128 + 65:
        signal = code - 128
    return signal or code << 8


def job_failure(job: Mapping[str, Any]) -> tuple[str, str]:
    """The type of exception and a note for a batch/v1 Job that has failed; two empty ones where it has not."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Failed" and condition["status"] == "True":
            reason = condition.get("reason", "")
            return JOB_REASONS.get(reason, "node-lost"), f"{reason}: {condition.get('message', '')}"
    return "", ""


def seconds(text: str | None) -> float | None:
    """Epoch seconds of a time as the API writes it (RFC 3339)."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None


def job_tokens(job: Mapping[str, Any]) -> list[str]:
    """The tokens that a Job of ours carries, by index."""
    text = (job["metadata"].get("annotations") or {}).get(TOKENS, "")
    try:
        data = json.loads(text)
        return [data["start"] + end for end in data["ends"]]
    except (ValueError, KeyError, TypeError):
        return []


def pod_index(pod: Mapping[str, Any]) -> int:
    """Which of the tokens of its Job a pod has."""
    meta = pod["metadata"]
    text = (meta.get("annotations") or {}).get(INDEX) or (meta.get("labels") or {}).get(INDEX) or "0"
    return int(text)


def label(text: str) -> str:
    """A label's value from any text: at most 63 of letters, digits, `-`, `_` and `.`; what is cut gets a hash."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:63].strip("-_.")
    return plain if plain == text else f"{plain[:52].rstrip('-_.')}-{_hash(text)}".lstrip("-")


def object_name(tokens: Sequence[str]) -> str:
    """The name of the Job of these attempts (RFC 1123 label), always the same: a second creation meets the first."""
    text = tokens[0]
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if len(tokens) == 1 and plain == text and len(plain) <= LONGEST:
        return plain
    stem = re.sub(r"^[^a-z]+", "", plain)[: LONGEST - 11].rstrip("-") or "ensemble"
    return f"{stem}-{_hash(chr(10).join(tokens))}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def literal(text: str) -> str:
    """As it must be written so that the kubelet, which expands $(NAME), leaves it as it is."""
    return text.replace("$", "$$")


def misfit(spec: Spec, image: str) -> str:
    """Why a job can't be one container of one pod, empty where it can."""
    if spec.nodes > 1 or spec.tasks > 1:
        return "a Job of Kubernetes runs a command once, on one node: use the member minicluster for several"
    if spec.stdin:
        return "stdin can't be given to a container: put the file into the image or mount it (attributes: pod)"
    if not (spec.attributes.get("image") or image):
        return "it has no container image: set `image` below `member`, or in the job's attributes"
    for key in ("pod", "container", "labels", "annotations"):
        if not isinstance(spec.attributes.get(key, {}), Mapping):
            return f"attributes: {key} is a mapping"
    return ""


def alike(jobs: Sequence[Job], least: int) -> Iterator[list[Job]]:
    """Split jobs into those that can be one Indexed Job (same in everything but name and output), and single ones."""
    kinds: dict[str, list[Job]] = {}
    for job in jobs:
        key = repr((replace(job.spec, output=""), job.avoid))
        kinds.setdefault(key, []).append(job)
    for same in kinds.values():
        if len(same) < least:
            yield from ([job] for job in same)
            continue
        part: list[Job] = []
        size = 0
        for job in same:
            if part and size + len(job.token) + 4 > LARGEST:
                yield part
                part, size = [], 0
            part.append(job)
            size += len(job.token) + 4
        yield part


def manifest(run: str, jobs: Sequence[Job], image: str, gpu: str, ttl: int | None) -> dict[str, Any]:
    """A batch/v1 Job for attempts that are alike; an Indexed one for several. image: where a job names none."""
    spec = jobs[0].spec
    tokens = [job.token for job in jobs]
    start = _common(tokens)
    labels = {RUN: label(run), GROUP: label(spec.group)}
    annotations = {TOKENS: json.dumps({"start": start, "ends": [token[len(start) :] for token in tokens]})}
    job: dict[str, Any] = {"backoffLimit": 0, "template": _template(spec, labels, image, gpu, jobs[0].avoid)}
    if len(jobs) > 1:
        # "Backoff limit per index": one that fails ends no other, and is not run again.
        del job["backoffLimit"]
        job |= {
            "completionMode": "Indexed",
            "completions": len(jobs),
            "parallelism": len(jobs),
            "backoffLimitPerIndex": 0,
            "maxFailedIndexes": len(jobs),
        }
    if ttl is not None:
        job["ttlSecondsAfterFinished"] = ttl
    meta = {"name": object_name(tokens), "labels": labels, "annotations": annotations}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": job}


def _template(spec: Spec, labels: dict[str, str], image: str, gpu: str, avoid: Sequence[str]) -> dict[str, Any]:
    asked = spec.attributes
    amounts = {"cpu": str(spec.cores)}
    if spec.memory:
        amounts["memory"] = str(spec.memory)
    if spec.gpus:
        amounts[gpu] = str(spec.gpus)
    container: dict[str, Any] = {
        "name": "job",
        "image": asked.get("image") or image,
        "command": [literal(word) for word in spec.argv],
        "env": [{"name": key, "value": literal(value)} for key, value in spec.environment.items()],
        "resources": {"requests": amounts, "limits": dict(amounts)},
    }
    if spec.workdir:
        container["workingDir"] = spec.workdir
    pod: dict[str, Any] = {"restartPolicy": "Never", "containers": [{**container, **asked.get("container", {})}]}
    if spec.duration:
        pod["activeDeadlineSeconds"] = spec.duration  # of the pod, whose time starts when it has a node
    if avoid:
        away = {"key": HOSTNAME, "operator": "NotIn", "values": list(avoid)}
        required = {"nodeSelectorTerms": [{"matchExpressions": [away]}]}
        pod["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    notes = {f"ensemble.{key}": _text(value) for key, value in asked.items() if key not in ATTRIBUTES}
    meta = {"labels": {**asked.get("labels", {}), **labels}, "annotations": {**asked.get("annotations", {}), **notes}}
    return {"metadata": meta, "spec": {**pod, **asked.get("pod", {})}}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _common(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    for at, character in enumerate(first):
        if at >= len(last) or character != last[at]:
            return first[:at]
    return first
