"""Kubernetes, from recordings of a real server of 1.20.2 and in the shapes of 1.33."""

from __future__ import annotations

import json

import pytest
from recorded import other_managers as recorded

from resource_secretary import Secretary
from resource_secretary.errors import ArgumentError, CommandFailed, OutputError
from resource_secretary.providers.workload._gpu_names import gpu_kind, gpu_product
from resource_secretary.providers.workload._kubernetes_json import read_nodes, read_pods, with_requests
from resource_secretary.providers.workload._quantity import millis, quantity, whole
from resource_secretary.providers.workload.kubernetes import KubernetesProvider
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem, check_provider

NODES = recorded.raw("/api/v1/nodes?limit=1000")
PODS = recorded.raw(f"/api/v1/pods?limit=1000{recorded.UNFINISHED}")
VERSION = (*recorded.KUBECTL, "version", "-o", "json")


@pytest.fixture
def cluster() -> RecordedSystem:
    return recorded.kubernetes()


def call(system, tool, **arguments):
    return Secretary(system=system).call(f"kubernetes.{tool}", arguments).result


def test_the_contract(cluster):
    check_provider(KubernetesProvider, cluster)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("100m", "1/10"),
        ("1.5Gi", 1610612736),
        ("1.5G", 1500000000),
        ("2k", 2000),
        ("2Ki", 2048),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("12e-1", "6/5"),
        (".5", "1/2"),
        ("5.", 5),
        ("+1", 1),
        ("-0", 0),
        ("128974848", 128974848),
        ("123Mi", 128974848),
        ("129M", 129000000),
        ("500n", "1/2000000"),
        ("3u", "3/1000000"),
    ],
)
def test_quantities_are_exact(text, value):
    from fractions import Fraction

    assert quantity(text) == Fraction(value)


@pytest.mark.parametrize(
    "text", ["", "m", "1KiB", "1K", "1 Gi", "1.2.3", "-1", "1e", "0x10", "1e99", "9" * 31, "NaN", "1ki", "١"]
)
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match=r"quantity|suffix|negative"):
        quantity(text)


def test_what_there_is_is_rounded_down_and_what_is_asked_for_up():
    assert (millis("1500u", up=False), millis("1500u", up=True)) == (1, 2)
    assert (whole("1500m", up=False), whole("1500m", up=True)) == (1, 2)


def test_the_recorded_cluster_as_an_inventory(cluster):
    lines = [line.split(" | ") for line in Secretary(system=cluster).offer("kubernetes").to_text().splitlines()[1:]]
    assert lines == [
        ["hosts=amd-1 ranks=0 state=drained", "cores=64 memory=512GB gpus=4:mi250x", "unknown"],
        ["hosts=cp-1 ranks=1 state=drained", "cores=4 memory=16290844KB", "unknown"],
        ["hosts=gone-1 ranks=2 state=down", "cores=7 memory=31482288KB", "unknown"],
        [
            "hosts=gpu-1 ranks=3 state=up",
            "cores=95 memory=1124GB gpus=8:a100",
            "cores=87 memory=1092GB gpus=5:a100",
        ],
        [
            "hosts=mig-1 ranks=4 state=up",
            "cores=31 memory=244140625KB gpus=7:mig-1g.5gb,2:mig-3g.20gb",
            lines[4][2],
        ],
        ["hosts=work-1 ranks=5 state=up", "cores=7 memory=31482288KB", lines[5][2]],
        ["hosts=work-2 ranks=6 state=up", "cores=7 memory=31482288KB", lines[6][2]],
    ]
    assert "gpus=5:mig-1g.5gb,2:mig-3g.20gb" in lines[4][2]


def test_the_recorded_nodes(cluster):
    nodes = {node["name"]: node for node in call(cluster, "nodes")["items"]}
    gpu = nodes["gpu-1"]
    assert gpu["allocatable"] == {"millicores": 95690, "memory": 1124 * 2**30, "pods": 737, "gpus": {"a100": 8}}
    assert gpu["requested"] == {"millicores": 8000, "memory": 32 * 2**30, "pods": 1, "gpus": {"a100": 3}}
    assert (gpu["instance_type"], gpu["zone"], gpu["taints"]) == (
        "p4d.24xlarge",
        "eu-west-1b",
        ["nvidia.com/gpu=present:NoSchedule"],
    )
    assert nodes["cp-1"]["roles"] == ["control-plane"]
    assert nodes["cp-1"]["why"] == "it has the taint node-role.kubernetes.io/control-plane:NoSchedule"
    assert nodes["amd-1"]["raw_state"] == "Ready,SchedulingDisabled"
    assert nodes["gone-1"]["raw_state"] == "Unknown" and nodes["gone-1"]["why"].startswith("KubeletNotReady")
    assert [node["name"] for node in call(cluster, "nodes", state="drained")["items"]] == ["amd-1", "cp-1"]


def test_the_summary_counts_what_is_up(cluster):
    summary = call(cluster, "resources")
    assert (summary["up"], summary["down"], summary["drained"]) == (4, 1, 2)
    assert summary["cores"] == 95 + 31 + 7 + 7 and summary["gpus"]["a100"] == 8 and summary["free_gpus"]["a100"] == 5


def test_pods_and_why_they_wait(cluster):
    pods = {pod["name"]: pod for pod in call(cluster, "pods", everywhere=True)["items"]}
    assert pods["toobig"]["reason"].startswith("Unschedulable: 0/7 nodes are available")
    assert pods["slice-0"]["reason"].startswith("ImagePullBackOff: ")
    [sweep] = [pod for name, pod in pods.items() if name.startswith("sweep") and pod["node"] == "work-1"]
    assert sweep["owner"] == "Job/sweep" and sweep["batch"]
    assert pods["web-1"]["requested"]["millicores"] == 1500  # its init container asks for more than it does
    assert pods["web-1"]["requested"]["memory"] == 128974848
    assert call(cluster, "pods") == {"items": [], "total": 0, "next": None}  # my own namespace


def test_jobs_quotas_storage_and_namespaces(cluster):
    jobs = {job["name"]: job for job in call(cluster, "jobs", everywhere=True)["items"]}
    assert jobs["sweep"]["state"] == "running" and jobs["sweep"]["completions"] == 4
    quotas = {row["resource"]: row for row in call(cluster, "quotas", namespace="lab")["items"]}
    assert quotas["requests.cpu"]["left"] == 28 and quotas["requests.memory"]["used"] == "43464084Ki"
    assert quotas["requests.memory"]["left"] == 64 * 2**30 - 43464084 * 2**10
    assert [row["name"] for row in call(cluster, "storage_classes")["items"] if row["default"]] == ["fast"]
    assert "lab" in [row["name"] for row in call(cluster, "namespaces")["items"]]


def test_the_depth_is_of_pods_that_no_node_was_found_for(cluster):
    depth = KubernetesProvider(cluster).depth()
    assert (depth.pending, depth.running, depth.pending_cores) == (2, 1, 300)


def test_where_no_server_answers_it_is_unreachable_with_what_kubectl_says(cluster):
    said = (recorded.DATA / "kubernetes-1.20.2/no-server.stderr.txt").read_text()
    cluster.commands[VERSION] = Ran((), 1, (recorded.DATA / "kubernetes-1.20.2/no-server.stdout.txt").read_text(), said)
    result = Secretary(system=cluster).detect(name="kubernetes")["kubernetes"].result
    assert isinstance(result, Unreachable)
    assert result.said.startswith("exit code 1: The connection to the server localhost:8080 was refused")
    cluster.commands[VERSION] = Ran((), 0, cluster.commands[VERSION].stdout)
    assert (
        "no server tells its version" in Secretary(system=cluster).detect(name="kubernetes")["kubernetes"].result.reason
    )
    del cluster.files["/home/user/.kube/config"]
    cluster.asked.clear()
    result = Secretary(system=cluster).detect(name="kubernetes")["kubernetes"].result
    assert isinstance(result, Unreachable) and "there is no /home/user/.kube/config" in result.said
    assert not cluster.asked
    absent = Secretary(system=RecordedSystem()).detect(name="kubernetes")["kubernetes"].result
    assert isinstance(absent, Absent) and absent.looked_for.startswith("the command kubectl on PATH, and the service")


def test_in_a_pod_the_namespace_is_that_of_the_service_account(cluster):
    cluster.commands[(*recorded.KUBECTL, "config", "view", "--minify", "-o", "json")] = Ran((), 1, "", "error: x")
    cluster.files["/var/run/secrets/kubernetes.io/serviceaccount/namespace"] = "lab"
    metadata = Secretary(system=cluster).detect(name="kubernetes")["kubernetes"].metadata
    assert metadata["namespace"] == "lab" and metadata["context"] == ""


ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture
def pod(cluster) -> RecordedSystem:
    """A pod without kubectl: the same server, asked directly."""
    server = "https://10.0.0.1:443"
    answers = {("GET", server + words[-1]): one for words, one in cluster.commands.items() if "--raw" in words}
    version = json.dumps(json.loads(cluster.commands[VERSION])["serverVersion"])
    return RecordedSystem(
        files={f"{ACCOUNT}/token": "secret", f"{ACCOUNT}/ca.crt": "PEM", f"{ACCOUNT}/namespace": "lab"},
        commands={**answers, ("GET", f"{server}/version"): version},
        environ={"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"},
    )


def test_a_pod_without_kubectl_asks_with_its_service_account(cluster, pod):
    entry = Secretary(system=pod).detect(name="kubernetes")["kubernetes"]
    assert entry.metadata == {
        "client": "",
        "server": "v1.20.2",
        "context": "",
        "namespace": "lab",
        "address": "https://10.0.0.1:443",
    }
    there, here = (Secretary(system=one).offer("kubernetes") for one in (pod, cluster))
    assert there.groups == here.groups
    pod.commands["GET", "https://10.0.0.1:443/version"] = Ran((), None, problem="HTTP 401: Unauthorized")
    result = Secretary(system=pod).detect(name="kubernetes")["kubernetes"].result
    assert isinstance(result, Unreachable) and result.said == "HTTP 401: Unauthorized"
    assert not any("secret" in " ".join(words) for words in pod.asked)


@pytest.mark.parametrize(
    "environ",
    [{}, {"KUBERNETES_SERVICE_HOST": "a/b@c"}, {"KUBERNETES_SERVICE_HOST": "a", "KUBERNETES_SERVICE_PORT": "1/x"}],
)
def test_a_pod_that_is_told_of_no_server_is_not_in_a_cluster(pod, environ):
    pod.environ = environ
    assert isinstance(KubernetesProvider(pod).probe(), Absent) and not pod.asked


FORBIDDEN = 'Error from server (Forbidden): pods is forbidden: User "u" cannot list resource "pods"'


def test_pods_that_may_not_be_seen_leave_unknown_what_is_free(cluster):
    cluster.commands[PODS] = Ran((), 1, "", FORBIDDEN)
    groups = Secretary(system=cluster).offer("kubernetes").groups
    assert all(group.free is None for group in groups) and "up" in [group.state for group in groups]
    summary = call(cluster, "resources")
    assert summary["free_cores"] is None and "Forbidden" in summary["unread"]
    with pytest.raises(CommandFailed, match="Forbidden"):
        KubernetesProvider(cluster).depth()
    cluster.commands[NODES] = Ran((), 1, "", FORBIDDEN)
    with pytest.raises(CommandFailed, match="kubectl get --raw /api/v1/nodes: exit code 1: Error from server"):
        Secretary(system=cluster).offer("kubernetes")


def test_long_lists_come_in_pages(cluster):
    body = json.loads(cluster.commands[NODES])
    first = {**body, "metadata": {"continue": "a b="}, "items": body["items"][:3]}
    cluster.commands[NODES] = json.dumps(first)
    second = recorded.raw("/api/v1/nodes?limit=1000&continue=a%20b%3D")
    cluster.commands[second] = json.dumps({**body, "items": body["items"][3:]})
    assert call(cluster, "nodes")["total"] == 7
    cluster.commands[second] = json.dumps(first)
    with pytest.raises(OutputError, match="the same page comes again"):
        call(cluster, "nodes")


@pytest.mark.parametrize("namespace", ["a/../../nodes", "A", "x" * 64, "a?limit=1", "a%2f", "..", "a_b"])
def test_a_namespace_is_a_name_and_no_path(cluster, namespace):
    with pytest.raises(ArgumentError):
        call(cluster, "pods", namespace=namespace)
    assert not any("get" in words for words in cluster.asked)


def shape(name):
    return (recorded.DATA / "kubernetes-1.33-shape" / name).read_text()


def test_sidecars_overhead_and_requests_of_whole_pods():
    nodes, _ = read_nodes("nodes", shape("nodes.json"))
    pods, _ = read_pods("pods", shape("pods.json"))
    by_name = {pod.name: pod for pod in pods}
    # The sidecar (0.5) stays beside the init container (3) and then beside the main one (2); the overhead is 0.25.
    assert by_name["sidecar"].requested.millicores == 3750
    assert by_name["sidecar"].requested.memory == (5 * 1024 + 120) * 2**20
    assert by_name["whole"].requested.millicores == 4000
    assert by_name["gated"].reason.startswith("SchedulingGated: ")
    w1, w2, odd = with_requests(nodes, pods)
    assert w1.free.millicores == 15890 - 3750 - 4000 and w1.architecture == "arm64"
    assert w2.free.pods == 0 and w2.conditions == ("DiskPressure",)
    assert odd.free is None and "'four' is no quantity" in odd.unread


def test_a_node_without_room_for_a_pod_has_nothing_free_and_a_bad_one_loses_itself(cluster):
    cluster.commands[NODES], cluster.commands[PODS] = shape("nodes.json"), shape("pods.json")
    free = {group.hosts: str(group.free) for group in Secretary(system=cluster).offer("kubernetes").groups}
    assert free[("w2",)] == "cores=0 memory=0B" and free[("odd",)] == "None"
    assert free[("w1",)].startswith("cores=8 ")
    assert call(cluster, "resources")["free_cores"] == 8


def test_a_pod_that_cannot_be_read_leaves_its_node_unknown_and_no_other(cluster):
    text = cluster.commands[PODS].replace('"cpu":"500m"', '"cpu":"half"')
    pods = json.loads(text)["items"]
    [node] = [pod["spec"]["nodeName"] for pod in pods if pod["metadata"]["name"] == "web-0"]
    cluster.commands[PODS] = text
    nodes = {row["name"]: row for row in call(cluster, "nodes", state="up")["items"]}
    assert nodes[node]["free"] is None and "the pod web/web-0 takes" in nodes[node]["unread"]
    assert all(row["free"] for name, row in nodes.items() if name != node)


@pytest.mark.parametrize(("phase", "taken"), [("Running", 1000), ("Pending", 1000), ("Succeeded", 0), ("Failed", 0)])
def test_a_pod_that_is_finished_takes_nothing(phase, taken):
    nodes, _ = read_nodes("nodes", shape("nodes.json"))
    containers = [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "w1", "containers": containers}, "status": {"phase": phase}}
    pods, _ = read_pods("pods", json.dumps({"items": [pod]}))
    assert with_requests(nodes, pods)[0].requested.millicores == taken


def test_an_unknown_shape_keeps_what_was_said(cluster):
    cluster.commands[NODES] = '{"kind":"Table","rows":[1,2]}'
    with pytest.raises(OutputError, match=r'with items expected; it said: \{"kind":"Table","rows":\[1,2\]\}'):
        call(cluster, "nodes")


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        ("nvidia.com/gpu", ""),
        ("amd.com/gpu", ""),
        ("gpu.intel.com/i915", ""),
        ("gpu.intel.com/xe", ""),
        ("nvidia.com/mig-1g.5gb", "mig-1g.5gb"),
        ("nvidia.com/mig-1g.10gb.me", "mig-1g.10gb.me"),
        ("nvidia.com/gpu.shared", "shared"),
        ("gpu.intel.com/millicores", None),
        ("gpu.intel.com/i915_monitoring", None),
        ("nvidia.com/migraine", None),
        ("cpu", None),
    ],
)
def test_names_of_gpus(resource, kind):
    assert gpu_kind(resource) == kind


@pytest.mark.parametrize(
    ("label", "product", "kind"),
    [
        ("nvidia.com/gpu.product", "NVIDIA-A100-SXM4-80GB", "a100"),
        ("nvidia.com/gpu.product", "Tesla-T4", "t4"),
        ("nvidia.com/gpu.product", "NVIDIA-GeForce-RTX-3090", "rtx-3090"),
        ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3", "h100"),
        ("nvidia.com/gpu.product", "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", "mig-1g.5gb"),
        ("nvidia.com/gpu.product", "NVIDIA-A10G-SHARED", "a10g-shared"),
        ("cloud.google.com/gke-accelerator", "nvidia-tesla-v100", "v100"),
        ("amd.com/gpu.product-name", "AMD_Instinct_MI300X_OAM", "mi300x"),
        ("other", "x", ""),
    ],
)
def test_types_of_gpus(label, product, kind):
    assert gpu_product({label: product}) == kind


def test_a_namespace_that_is_not_known_is_not_the_default_one(cluster):
    cluster.commands[(*recorded.KUBECTL, "config", "view", "--minify", "-o", "json")] = Ran((), 1, "", "error: boom")
    with pytest.raises(CommandFailed, match=r"config view .*exit code 1: error: boom"):
        KubernetesProvider(cluster).jobs()
