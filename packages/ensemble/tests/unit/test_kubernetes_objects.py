"""What pods and Jobs tell, and the Jobs that are written: tables, on objects as the API documents them."""

from __future__ import annotations

from typing import Any

import pytest

from ensemble.events import CAUSES
from ensemble.job import Job, Spec
from ensemble.members import _kubernetes_objects as objects

BEGAN, ENDED = "2026-03-01T10:00:05Z", "2026-03-01T10:00:09Z"


def pod(
    state: dict[str, Any] | None = None, conditions: tuple[dict[str, Any], ...] = (), **status: Any
) -> dict[str, Any]:
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-03-01T10:00:00Z"}
    containers = [{"name": "job", "state": state}] if state else []
    return {
        "metadata": {"name": "sleep-0-x7k2p", "uid": "u1", "creationTimestamp": "2026-03-01T09:59:59Z"},
        "spec": {"nodeName": "node-7"},
        "status": {"phase": "Running", "containerStatuses": containers, "conditions": [placed, *conditions], **status},
    }


def ended(code: int, reason: str = "Error", **more: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": BEGAN, "finishedAt": ENDED, **more}}


@pytest.mark.parametrize(
    ("code", "signal", "status"),
    [(0, 0, 0), (3, 0, 3 << 8), (137, 0, 9), (143, 0, 15), (0, 9, 9), (128, 0, 128 << 8), (255, 0, 255 << 8)],
)
def test_exit_codes_as_wait_has_them(code: int, signal: int, status: int) -> None:
    assert objects.wait_status(code, signal) == status


def test_a_pod_that_ran() -> None:
    facts = objects.pod_facts(pod(ended(3), phase="Failed"))
    assert (facts.host, facts.status, facts.exception) == ("node-7", 3 << 8, "")
    assert facts.scheduled is not None and facts.started == facts.scheduled + 5 and facts.ended == facts.scheduled + 9


@pytest.mark.parametrize("reason", objects.TERMINATED)
def test_every_reason_of_a_container(reason: str) -> None:
    facts = objects.pod_facts(pod(ended(137, reason), phase="Failed"))
    assert facts.exception == objects.TERMINATED[reason]
    assert (facts.status is None) == (reason in ("StartError", "ContainerCannotRun", "ContainerStatusUnknown"))


@pytest.mark.parametrize("reason", objects.POD_REASONS)
@pytest.mark.parametrize("ran", [True, False])
def test_every_reason_of_a_pod(reason: str, ran: bool) -> None:
    facts = objects.pod_facts(pod(ended(137) if ran else None, phase="Failed", reason=reason, message="so it is"))
    assert (facts.exception, facts.note) == (objects.POD_REASONS[reason], f"{reason}: so it is")
    assert (facts.status is not None) == ran
    assert facts.ended


@pytest.mark.parametrize("reason", objects.DISRUPTIONS)
def test_every_disruption(reason: str) -> None:
    target = {"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": ENDED}
    assert objects.pod_facts(pod(ended(143), (target,), phase="Failed")).exception == objects.DISRUPTIONS[reason]


@pytest.mark.parametrize("reason", objects.WAITING)
def test_every_way_not_to_come_up(reason: str) -> None:
    facts = objects.pod_facts(pod({"waiting": {"reason": reason, "message": "no such image"}}, phase="Pending"))
    assert (facts.stuck, facts.note, facts.ended) == (objects.WAITING[reason], f"{reason}: no such image", None)


def test_creating_is_waited_for() -> None:
    assert not objects.pod_facts(pod({"waiting": {"reason": "ContainerCreating"}}, phase="Pending")).stuck


def test_a_pod_without_a_node_is_pending() -> None:
    waiting = pod(phase="Pending")
    waiting["spec"] = {}
    waiting["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    ]
    facts = objects.pod_facts(waiting)
    assert (facts.scheduled, facts.ended, facts.pending) == (None, None, "Unschedulable: 0/3 nodes are available")


@pytest.mark.parametrize("reason", objects.JOB_REASONS)
def test_every_reason_of_a_failed_job(reason: str) -> None:
    failed = {"status": {"conditions": [{"type": "Failed", "status": "True", "reason": reason}]}}
    assert objects.job_failure(failed)[0] == objects.JOB_REASONS[reason]


def test_tables_use_the_types_of_exceptions() -> None:
    tables = (objects.TERMINATED, objects.POD_REASONS, objects.DISRUPTIONS, objects.JOB_REASONS, objects.WAITING)
    assert {kind for table in tables for kind in table.values()} - {""} <= set(CAUSES)


def jobs(count: int, group: str = "sleep", **fields: Any) -> list[Job]:
    spec = Spec(group, ("sleep", "1"), **fields)
    return [Job(f"{group}.{n}", f"run1-{group}.{n}", spec) for n in range(count)]


def test_2500_jobs_are_one_indexed_job() -> None:
    many = jobs(2_500)
    (same,) = objects.alike(many, 10)
    body = objects.manifest("run1", same, "image", "nvidia.com/gpu", None)
    assert body["spec"]["completions"] == 2_500
    assert body["spec"]["backoffLimitPerIndex"] == 0
    assert "backoffLimit" not in body["spec"]
    assert objects.job_tokens(body) == [job.token for job in many]
    assert len(body["metadata"]["annotations"][objects.TOKENS]) < 250_000


def test_jobs_that_differ_are_apart_and_few_are_single() -> None:
    parts = list(objects.alike([*jobs(12), *jobs(3, "other"), *jobs(11, "third", cores=2)], 10))
    assert [len(part) for part in parts] == [12, 1, 1, 1, 11]


def test_large_annotations_are_split() -> None:
    parts = list(objects.alike(jobs(9_000, "g" * 60), 10))
    assert len(parts) > 1
    assert sum(map(len, parts)) == 9_000


def test_a_job_with_everything() -> None:
    attributes = {"image": "mine:1", "burstable": True, "pod": {"serviceAccountName": "s"}, "labels": {"a": "b"}}
    spec = Spec(
        "sleep", ("echo", "$(HOME) $x"), cores=2, gpus=1, memory=1 << 30, duration=60, workdir="/w",
        environment={"A": "$(B)"}, attributes=attributes,
    )  # fmt: skip
    job = Job("sleep.0", "run1-sleep.0", spec, avoid=("bad",))
    body = objects.manifest("run1", [job], "image", "amd.com/gpu", 9)
    assert (body["spec"]["backoffLimit"], body["spec"]["ttlSecondsAfterFinished"]) == (0, 9)
    made = body["spec"]["template"]["spec"]
    (container,) = made["containers"]
    amounts = {"cpu": "2", "memory": str(1 << 30), "amd.com/gpu": "1"}
    assert container["resources"] == {"requests": amounts, "limits": amounts}
    assert container["command"] == ["echo", "$$(HOME) $$x"]
    assert container["env"] == [{"name": "A", "value": "$$(B)"}]
    assert (container["image"], container["workingDir"]) == ("mine:1", "/w")
    assert (made["restartPolicy"], made["activeDeadlineSeconds"], made["serviceAccountName"]) == ("Never", 60, "s")
    (term,) = made["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["bad"]
    assert body["spec"]["template"]["metadata"]["annotations"] == {"ensemble.burstable": "true"}
    assert body["spec"]["template"]["metadata"]["labels"]["a"] == "b"


@pytest.mark.parametrize("token", ["run-a", "run-A.1", "run-a.1", "r" * 200, "run-a_1", "1-x", "run-a.1.1"])
def test_names_are_valid_and_each_its_own(token: str) -> None:
    name = objects.object_name([token])
    assert name == objects.object_name([token])
    assert len(name) <= objects.LONGEST
    assert name.strip("-") == name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    others = {
        objects.object_name([other])
        for other in ("run-a", "run-A.1", "run-a.1", "r" * 200, "run-a_1")
        if other != token
    }
    assert name not in others


@pytest.mark.parametrize("text", ["run", "a" * 80, "-a-", "ä b", "_"])
def test_labels_are_valid(text: str) -> None:
    value = objects.label(text)
    assert 0 < len(value) <= 63
    assert value[0].isalnum()
    assert value[-1].isalnum()


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"nodes": 2}, "minicluster"), ({"tasks": 2}, "minicluster"), ({"stdin": "f"}, "stdin"), ({}, "image")],
)
def test_what_is_no_container_is_refused(fields: dict[str, Any], said: str) -> None:
    assert said in objects.misfit(Spec("g", ("true",), **fields), "")
    assert not objects.misfit(Spec("g", ("true",)), "image")
