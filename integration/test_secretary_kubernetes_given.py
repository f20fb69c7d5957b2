"""The secretary on a cluster that is given, with real nodes (of kind, say): what it says is what kubectl prints.

TEST_KUBECONFIG names the kubeconfig. Nothing is made or changed there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from resource_secretary import Secretary
from resource_secretary.system import System

GIVEN = os.environ.get("TEST_KUBECONFIG", "")
if not GIVEN:
    pytest.skip("no cluster is given: TEST_KUBECONFIG=FILE, as of `kind create cluster --kubeconfig FILE`", True)
if not shutil.which("kubectl"):
    pytest.skip("no kubectl on PATH to compare with", True)
ENVIRON = {**os.environ, "KUBECONFIG": GIVEN}


@pytest.fixture
def secretary() -> Secretary:
    return Secretary(system=System(environ=ENVIRON, timeout=30))


def kubectl(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        ["kubectl", *words, "-o", "json"], env=ENVIRON, capture_output=True, text=True, check=True, timeout=60
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_the_version(secretary: Secretary) -> None:
    entry = secretary.detect("workload", "kubernetes", timeout=30)["kubernetes"]
    assert entry.metadata is not None, entry.result
    assert entry.metadata["server"] == kubectl("version")["serverVersion"]["gitVersion"]


def test_the_nodes_and_whole_cores_that_they_give(secretary: Secretary) -> None:
    nodes = {one["metadata"]["name"]: one["status"]["allocatable"]["cpu"] for one in kubectl("get", "nodes")["items"]}
    listed = secretary.call("kubernetes.nodes").result["items"]
    assert nodes and sorted(one["name"] for one in listed) == sorted(nodes)
    offered = secretary.offer("kubernetes").groups
    assert sorted(host for group in offered for host in group.hosts) == sorted(nodes)
    for group in offered:
        for host in group.hosts:
            cpu = nodes[host]
            cores = int(cpu[:-1]) // 1000 if cpu.endswith("m") else int(cpu)
            assert f"cores={cores}" in str(group.total).split()


def test_the_pods_of_a_namespace(secretary: Secretary) -> None:
    for one in kubectl("get", "namespaces")["items"]:
        name = one["metadata"]["name"]
        wanted = {pod["metadata"]["name"] for pod in kubectl("-n", name, "get", "pods")["items"]}
        listed = secretary.call("kubernetes.pods", {"namespace": name}).result["items"]
        assert {pod["name"] for pod in listed} == wanted
