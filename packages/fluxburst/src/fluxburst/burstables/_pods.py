"""What pods and Jobs say of a burst. Reasons are those of the Kubernetes API ("Pod Lifecycle", "Jobs")."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fluxburst.burstables._minicluster import HOSTS, NAME
from fluxburst.texts import one_line

ENDED = ("Succeeded", "Failed")  # phases
# Why the cluster itself ends a pod: `reason` of its status, and of its condition DisruptionTarget ("Disruptions").
TAKEN = frozenset({"Preempting", "Preempted", "Evicted", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"})
DISRUPTED = frozenset(
    {
        "PreemptionByScheduler",
        "DeletionByTaintManager",
        "EvictionByEvictionAPI",
        "DeletionByPodGC",
        "TerminationByKubelet",
    }
)
INDEXES = ("batch.kubernetes.io/job-completion-index", "job-index")  # annotations or labels of a pod

Object = Mapping[str, Any]


def burst_of(found: Object) -> str:
    return str((found["metadata"].get("labels") or {}).get(NAME, ""))


def stamp(found: Object) -> float:
    """When an object was made, seconds since the epoch; 0 where that is not told."""
    text = found["metadata"].get("creationTimestamp") or ""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def ended(job: Object) -> str:
    """Why a Job has ended; "" where it has not."""
    for one in (job.get("status") or {}).get("conditions") or ():
        if one.get("type") in {"Failed", "Complete"} and one.get("status") == "True":
            return _line(one.get("reason") or one["type"], one.get("message", ""))
    return ""


def phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def index(pod: Object) -> int | None:
    """A pod's number in its Job: as the Job's controller or the operator marks it, or from its host name."""
    meta = pod["metadata"]
    for place in (meta.get("annotations") or {}, meta.get("labels") or {}):
        for key in INDEXES:
            if str(place.get(key, "")).isdecimal():
                return int(place[key])
    match = re.fullmatch(r".*-(\d{1,9})", str((pod.get("spec") or {}).get("hostname", "")))
    return int(match[1]) if match else None


def existing(found: Object | None, pods: Sequence[Object]) -> tuple[str, ...] | None:
    """The hosts whose pod is there or on its way, None for all: one that has only pods that ended has none."""
    text = ((found or {}).get("metadata") or {}).get("annotations") or {}
    hosts = [host for host in str(text.get(HOSTS, "")).split(",") if host]
    over: set[int | None] = set()
    alive: set[int | None] = set()
    for pod in pods:
        (over if phase(pod) in ENDED else alive).add(index(pod))
    missing = over - alive
    if not missing or not hosts:
        return None
    return tuple(host for number, host in enumerate(hosts) if number not in missing)


def waiting(pod: Object) -> str:
    """Why a pod does not run yet or runs no more; "" where there is nothing to say."""
    status = pod.get("status") or {}
    if status.get("reason"):
        return _line(status["reason"], status.get("message", ""))
    for one in _containers(status):
        state = one.get("state") or {}
        inner = state.get("waiting")
        if inner and inner.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
            return _line(inner["reason"], inner.get("message", ""))
        over = state.get("terminated")
        if over and (over.get("exitCode") or over.get("reason") not in {None, "Completed"}):
            return _line(f"{over.get('reason') or 'ended'} (exit code {over.get('exitCode')})", over.get("message", ""))
    for one in status.get("conditions") or () if phase(pod) == "Pending" else ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            return _line(one.get("reason") or "not scheduled", one.get("message", ""))
    return ""


def taken(pod: Object) -> bool:
    """Whether it was the cluster that ended a pod: for another one, or because its node went."""
    status = pod.get("status") or {}
    return status.get("reason") in TAKEN or any(
        one.get("type") == "DisruptionTarget" and one.get("status") == "True" and one.get("reason") in DISRUPTED
        for one in status.get("conditions") or ()
    )


def failed(pod: Object) -> tuple[str, bool] | None:
    """The container of a pod that failed, and whether it has been started anew since; None where none has."""
    for one in _containers(pod.get("status") or {}):
        state = one.get("state") or {}
        if (state.get("terminated") or {}).get("exitCode"):
            return str(one["name"]), False
        if one.get("restartCount") and ((one.get("lastState") or {}).get("terminated") or {}).get("exitCode"):
            return str(one["name"]), True
    return None


def _containers(status: Object) -> list[Object]:
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _line(reason: str, message: str) -> str:
    return one_line(f"{reason}: {message}" if str(message).strip() else str(reason))
