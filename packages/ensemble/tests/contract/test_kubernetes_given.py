"""Kubernetes: the contract on a cluster that is given, with real nodes on which nothing is played (of kind, say).

TEST_KUBECONFIG names the kubeconfig. Each test has a namespace of its own, which goes with all that is in it.
TEST_KUBERNETES_IMAGE is an image with sh, sleep and true.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("kubernetes", reason="kubernetes is not installed: pip install 'ensemble-python[kubernetes]'")

from kubernetes import client, config

from ensemble.member import Options
from ensemble.members.kubernetes import KubernetesMember
from ensemble.testing import SCENARIOS, Scenario, Session, check_member

GIVEN = os.environ.get("TEST_KUBECONFIG", "")
IMAGE = os.environ.get("TEST_KUBERNETES_IMAGE", "busybox:1.37.0")
if not GIVEN:
    pytest.skip("no cluster is given: TEST_KUBECONFIG=FILE, as of `kind create cluster --kubeconfig FILE`", True)
# A pod's log has both streams in one.
LOGS = ("output_and_errors_are_kept",)


@pytest.fixture
def namespace() -> Iterator[str]:
    configuration = client.Configuration()
    config.load_kube_config(GIVEN, client_configuration=configuration)
    with client.ApiClient(configuration) as api:
        core, name = client.CoreV1Api(api), f"ensemble-{uuid.uuid4().hex[:12]}"
        core.create_namespace({"metadata": {"name": name}})
        yield name
        core.delete_namespace(name)


def member(namespace: str, folder: Path) -> KubernetesMember:
    settings = {"kubeconfig": GIVEN, "namespace": namespace, "image": IMAGE}
    return KubernetesMember(Options(run="R1", folder=folder, settings=settings))


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if one.__name__ not in LOGS], ids=lambda scenario: scenario.__name__
)
def test_contract(scenario: Scenario, namespace: str, tmp_path: Path) -> None:
    check_member(scenario, lambda: member(namespace, tmp_path))


def test_twelve_jobs_of_one_group(namespace: str, tmp_path: Path) -> None:
    async def many(session: Session) -> None:
        names = await session.submit(["sh", "-c", "exit 3"], count=12)
        assert await session.outcomes(names) == {"failed"}
        ids = [event.context["id"] for event in session.events if event.name == "submit"]
        assert len(set(ids)) == 12
        assert {event.context["status"] for event in session.events if event.name == "finish"} == {3 << 8}

    check_member(many, lambda: member(namespace, tmp_path))
