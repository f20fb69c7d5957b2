"""The secretary beside a real API server: what it says is what `kubectl` itself prints.

The server and etcd come from the folder in KUBEBUILDER_ASSETS or from PATH (the envtest convention).
test_secretary_kubernetes_given.py looks at a cluster that is there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from resource_secretary import Secretary
from resource_secretary.system import System

ROOT = Path(__file__).resolve().parents[1]


def _cluster() -> ModuleType:
    path = ROOT / "packages/ensemble/tests/contract/kubernetes_cluster.py"
    spec = importlib.util.spec_from_file_location("kubernetes_cluster", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


cluster = _cluster()
pytestmark = pytest.mark.needs("kubernetes")

CAPACITY = {"cpu": "8", "memory": "32Gi", "pods": "29", "nvidia.com/gpu": "4"}
ALLOCATABLE = {"cpu": "7910m", "memory": "31482288Ki", "pods": "29", "nvidia.com/gpu": "4"}
PODS = {
    "one": {"cpu": "1500m", "memory": "1G"},
    "two": {"cpu": "0.25", "memory": "128Mi", "nvidia.com/gpu": "3"},
    "waits": {"cpu": "100", "memory": "1Gi"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = cluster.Server(tmp_path_factory.mktemp("kubernetes"))
    core = started.core()
    core.create_node({"metadata": {"name": "n1", "labels": {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB"}}})
    ready = [{"type": "Ready", "status": "True"}]
    status = {"capacity": CAPACITY, "allocatable": ALLOCATABLE, "conditions": ready}
    core.patch_node_status("n1", {"status": status})
    for name, requests in PODS.items():
        limits = {key: amount for key, amount in requests.items() if "/" in key}
        container = {"name": "c", "image": "x", "resources": {"requests": requests, "limits": limits}}
        spec = {"containers": [container], "restartPolicy": "Never"}
        if name != "waits":
            spec["nodeName"] = "n1"
        core.create_namespaced_pod("default", {"metadata": {"name": name}, "spec": spec})
    yield started
    started.stop()


@pytest.fixture
def secretary(server: Any) -> Secretary:
    return Secretary(system=System(environ={**os.environ, "KUBECONFIG": str(server.kubeconfig)}, timeout=10))


def kubectl(server: Any, *words: str) -> str:
    environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig)}
    return subprocess.run(["kubectl", *words], env=environment, capture_output=True, text=True, check=True).stdout


def test_it_is_active_with_the_versions_that_kubectl_prints(server: Any, secretary: Secretary) -> None:
    entry = secretary.detect("workload", "kubernetes", timeout=10)["kubernetes"]
    said = json.loads(kubectl(server, "version", "-o", "json"))
    assert entry.metadata is not None, entry.result
    assert entry.metadata["server"] == said["serverVersion"]["gitVersion"]
    assert entry.metadata["client"] == said["clientVersion"]["gitVersion"]


def test_what_is_free_is_what_kubectl_describes(server: Any, secretary: Secretary) -> None:
    [group] = secretary.offer("kubernetes").groups
    assert (str(group.total), str(group.free)) == (
        "cores=7 memory=31482288KB gpus=4:a100",
        f"cores=6 memory={31482288 * 1024 - 10**9 - 128 * 2**20}B gpus=1:a100",
    )
    [node] = secretary.call("kubernetes.nodes").result["items"]
    # "Allocated resources" of `kubectl describe node`: cpu 1750m, nvidia.com/gpu 3
    described = [line.split() for line in kubectl(server, "describe", "node", "n1").splitlines()]
    allocated = {words[0]: words[1] for words in described if len(words) > 2 and words[0] in ("cpu", "nvidia.com/gpu")}
    assert allocated["cpu"] == f"{node['requested']['millicores']}m"
    assert int(allocated["nvidia.com/gpu"]) == node["requested"]["gpus"]["a100"]


def test_the_pods_are_those_that_kubectl_lists(server: Any, secretary: Secretary) -> None:
    pods = {pod["name"]: pod for pod in secretary.call("kubernetes.pods").result["items"]}
    names = kubectl(server, "get", "pods", "-o", "name").replace("pod/", "").split()
    assert sorted(pods) == sorted(names) and pods["waits"]["node"] == ""


class Pod(System):
    """A pod of this cluster without kubectl: what the kubelet would mount there comes from a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
        super().__init__(environ={**environ, "PATH": "/nonexistent"}, timeout=10)
        self.folder = folder

    def read(self, path: str, most: int = 2**20) -> str | None:
        return super().read(str(self.folder / Path(path).name) if "serviceaccount" in path else path, most)

    def exists(self, path: str) -> bool:
        return (self.folder / Path(path).name).exists() if "serviceaccount" in path else super().exists(path)


@pytest.fixture
def pod(server: Any, tmp_path: Path) -> Pod:
    (tmp_path / "token").write_text(cluster.TOKEN)
    (tmp_path / "ca.crt").write_text((server.folder / "certs/apiserver.crt").read_text())
    (tmp_path / "namespace").write_text("default")
    return Pod(tmp_path, server.port)


def test_a_pod_without_kubectl_sees_the_same(secretary: Secretary, pod: Pod) -> None:
    inside = Secretary(system=pod)
    assert inside.offer("kubernetes").groups == secretary.offer("kubernetes").groups
    assert inside.call("kubernetes.pods").result == secretary.call("kubernetes.pods").result


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [("token", "of-nobody", "HTTP 401: Unauthorized"), ("ca.crt", "", "can't be reached: ")],
)
def test_a_pod_whose_account_is_of_no_use_says_why(pod: Pod, file: str, text: str, said: str) -> None:
    (pod.folder / file).write_text(text)
    result = Secretary(system=pod).detect("workload", "kubernetes", timeout=10)["kubernetes"].result
    assert result.state == "unreachable" and said in result.reason


def test_a_server_that_went_is_unreachable(server: Any, tmp_path: Path) -> None:
    gone = tmp_path / "kubeconfig"
    gone.write_text(server.kubeconfig.read_text().replace(str(server.port), str(cluster.free_port())))
    system = System(environ={**os.environ, "KUBECONFIG": str(gone)}, timeout=10)
    entry = Secretary(system=system).detect("workload", "kubernetes", timeout=10)["kubernetes"]
    assert entry.result.state == "unreachable" and "refused" in entry.result.reason
