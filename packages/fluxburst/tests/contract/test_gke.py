"""GKE: Google's own client over gRPC to a server here that answers as the interface says; not the real service.

The Kubernetes part is that of `kubernetes`, over the same real API server.
"""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import apiserver
import pytest

pytest.importorskip("kubernetes", reason="kubernetes is not installed: pip install 'flux-burst[google]'")
pytest.importorskip("google.cloud.container_v1", reason="it is not installed: pip install 'flux-burst[google]'")

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import container_v1 as gke
from google.cloud.container_v1.services.cluster_manager.transports import ClusterManagerGrpcTransport

from fluxburst.burstables import gke as plugin_module
from fluxburst.client import FluxBurst
from fluxburst.errors import (
    AuthenticationError,
    CapacityError,
    ConfigurationError,
    ParameterError,
    ProviderError,
    QuotaError,
    UncertainError,
)
from fluxburst.lead import Lead
from fluxburst.model import Burst
from fluxburst.testing import check_burstable, check_create, check_destroy

CLUSTER = "projects/p/locations/europe-west4/clusters/c"
NUMBERS = itertools.count()


class Manager:
    """The cluster manager: the five methods that are used, with the messages of the library."""

    def __init__(self) -> None:
        self.pools: dict[str, Any] = {}
        self.made: list[Any] = []
        self.cluster = gke.Cluster(name="c")
        self.fail: dict[str, tuple[Any, str]] = {}  # method -> what it answers with
        methods: dict[str, tuple[Any, Any, Callable[[Any, Any], Any]]] = {
            "GetCluster": (gke.GetClusterRequest, gke.Cluster, lambda request, context: self.cluster),
            "ListNodePools": (gke.ListNodePoolsRequest, gke.ListNodePoolsResponse, self.list),
            "GetNodePool": (gke.GetNodePoolRequest, gke.NodePool, self.get),
            "CreateNodePool": (gke.CreateNodePoolRequest, gke.Operation, self.create),
            "SetNodePoolAutoscaling": (gke.SetNodePoolAutoscalingRequest, gke.Operation, self.scale),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self.answering(name, call), request_deserializer=ask.deserialize, response_serializer=answer.serialize
            )
            for name, (ask, answer, call) in methods.items()
        }
        self.server = grpc.server(ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("google.container.v1.ClusterManager", handlers),)
        )
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def answering(self, name: str, call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def answer(request: Any, context: Any) -> Any:
            if name in self.fail:
                context.abort(*self.fail[name])
            return call(request, context)

        return answer

    def list(self, request: Any, context: Any) -> Any:
        assert request.parent == CLUSTER
        return gke.ListNodePoolsResponse(node_pools=list(self.pools.values()))

    def get(self, request: Any, context: Any) -> Any:
        if request.name not in self.pools:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: {request.name}.")
        return self.pools[request.name]

    def create(self, request: Any, context: Any) -> Any:
        path = f"{request.parent}/nodePools/{request.node_pool.name}"
        if path in self.pools:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Already exists: {path}.")
        self.made.append(request.node_pool)
        self.pools[path] = request.node_pool
        self.pools[path].status = gke.NodePool.Status.PROVISIONING
        return gke.Operation(name="operation-1", status=gke.Operation.Status.RUNNING)

    def scale(self, request: Any, context: Any) -> Any:
        self.pools[request.name].autoscaling = request.autoscaling
        return gke.Operation(name="operation-2", status=gke.Operation.Status.RUNNING)


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    made = Manager()
    channel = grpc.insecure_channel(f"127.0.0.1:{made.port}")
    client = gke.ClusterManagerClient(transport=ClusterManagerGrpcTransport(channel=channel))
    monkeypatch.setattr(plugin_module, "manager", lambda: (client, AnonymousCredentials()))
    yield made
    channel.close()
    made.server.stop(0).wait()


@pytest.fixture
def lead(tmp_path: Path) -> Lead:
    hosts = ("lead", "gke0", "gke1")
    bootstrap = {"curve_cert": "curve.cert", "hosts": [{"host": host} for host in hosts]}
    (tmp_path / "curve.cert").write_text("curve")
    return Lead(tmp_path, "ab12cd34", hosts, "tcp://h:8050", {"gke": hosts[1:]}, {"bootstrap": bootstrap})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if missing := [name for name in apiserver.NEEDED if not apiserver.binary(name)]:
        pytest.skip(f"no {', '.join(missing)} in KUBEBUILDER_ASSETS or PATH")
    started = apiserver.Server(tmp_path_factory.mktemp("kubernetes"))
    yield started
    started.stop()


def load(lead: Lead, **values: Any) -> Any:
    given = {"image": "flux:1", "project": "p", "location": "europe-west4", "cluster": "c", **values}
    plugin = FluxBurst().load("gke", **given)
    plugin.lead = lead
    return plugin


def burst(**values: Any) -> Burst:
    name = f"ab12cd34-5f6e7d8c-{next(NUMBERS)}"
    return Burst(name, "gke", "e2-standard-4", ("gke0", "gke1"), ("1",), **{"deadline": time.time() + 600, **values})


def test_the_contract(server: Any, manager: Manager, lead: Lead) -> None:
    operator = apiserver.Operator(server, f"g{next(NUMBERS)}")
    values = {"kubeconfig": server.kubeconfig(), "namespace": operator.namespace}
    check_burstable("gke", image="i", project="p", location="europe-west4", cluster="c", **values)
    plugin = load(lead, **values)
    order = burst()
    check_create(plugin, order)
    (pool,) = manager.made
    assert pool.initial_node_count == 0
    assert (pool.autoscaling.enabled, pool.autoscaling.total_min_node_count) == (True, 0)
    assert pool.autoscaling.total_max_node_count == 8
    assert pool.config.machine_type == "e2-standard-4"
    assert len(pool.name) <= 40
    name = f"burst-{order.name}"
    pod = operator.found(name)["spec"]["pod"]
    assert pod["nodeSelector"] == {"cloud.google.com/gke-nodepool": pool.name}
    (taint,) = pool.config.taints
    assert pod["tolerations"] == [{"key": taint.key, "operator": "Exists", "effect": "NoSchedule"}]
    plugin.destroy(order)
    operator.clean(name)
    check_destroy(plugin, order)


def test_what_is_wrong_with_a_pool_is_the_reason(server: Any, manager: Manager, lead: Lead) -> None:
    operator = apiserver.Operator(server, f"g{next(NUMBERS)}")
    plugin = load(lead, kubeconfig=server.kubeconfig(), namespace=operator.namespace)
    order = burst()
    plugin.create(order)
    (pool,) = manager.made
    made_nothing = "the Flux Operator has made nothing of it yet"
    assert plugin.status([order])[0].reason == made_nothing
    pool.conditions = [gke.StatusCondition(code=gke.StatusCondition.Code.GCE_STOCKOUT, message="no e2 in this zone")]
    assert plugin.status([order])[0].reason == f"PROVISIONING: GCE_STOCKOUT: no e2 in this zone; {made_nothing}"
    pool.status, pool.status_message = gke.NodePool.Status.ERROR, "it failed"
    with pytest.raises(CapacityError, match="ERROR: it failed; GCE_STOCKOUT"):
        plugin.create(burst())


def test_the_cluster_is_reached_at_its_endpoint(server: Any, manager: Manager, lead: Lead) -> None:
    """With its own certificate, and with the token of Google's credentials."""

    class Credentials:
        valid, token, refreshed = False, "", 0

        def refresh(self, request: Any) -> None:
            self.valid, self.token = True, "token-of-tester"
            self.refreshed += 1

    operator = apiserver.Operator(server, f"g{next(NUMBERS)}")
    manager.cluster.endpoint = f"127.0.0.1:{server.port}"
    certificate = base64.b64encode((server.folder / "certs" / "apiserver.crt").read_bytes()).decode()
    manager.cluster.master_auth = gke.MasterAuth(cluster_ca_certificate=certificate)
    client, credentials = plugin_module.manager()[0], Credentials()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugin_module, "manager", lambda: (client, credentials))
        plugin = load(lead, namespace=operator.namespace)
        plugin.create(burst())
        assert len(plugin.status()) == 1
        credentials.valid = False
        assert len(plugin.status()) == 1
    assert credentials.refreshed == 2


def test_a_pool_is_made_once_and_follows_the_limit(manager: Manager, lead: Lead) -> None:
    shape = load(lead).shapes()[0]
    for most in (8, 8, 3):
        load(lead)._pools().ensure(shape, plugin_module.Machine(), most)
    (pool,) = manager.pools.values()
    assert len(manager.made) == 1
    assert pool.autoscaling.total_max_node_count == 3
    other = replace(lead, owner="other")
    assert load(other)._pools().name(shape.name) != pool.name
    pool.config.labels["flux-burst-owner"] = "other"
    with pytest.raises(ConfigurationError, match="not of this lead; nothing was done"):
        load(lead)._pools().ensure(shape, plugin_module.Machine(), 3)


def test_what_nodes_are(manager: Manager, lead: Lead) -> None:
    plugin = load(lead, shape=["g2-standard-12: cores=11 gpus=1"], spot=True, accelerator="nvidia-l4", node_life=7200)
    machine = plugin_module.Machine(spot=True, accelerator="nvidia-l4", life=7200, disk=50, service_account="s@p")
    plugin._pools().ensure(plugin.shapes()[0], machine, 4)
    config = manager.made[0].config
    assert (config.spot, config.accelerators[0].accelerator_type, config.disk_size_gb) == (True, "nvidia-l4", 50)
    assert config.max_run_duration.seconds == 7200
    with pytest.raises(ConfigurationError, match="say which with `accelerator`"):
        plugin._pools().ensure(replace(plugin.shapes()[0], name="other"), plugin_module.Machine(), 4)


CODE = grpc.StatusCode
FAILURES: list[tuple[Any, str, type[ProviderError]]] = [
    (CODE.RESOURCE_EXHAUSTED, "Insufficient regional quota to satisfy request: CPUS", QuotaError),
    (CODE.PERMISSION_DENIED, "Required container.clusters.update permission", AuthenticationError),
    (CODE.UNAUTHENTICATED, "invalid credentials", AuthenticationError),
    (CODE.INVALID_ARGUMENT, "Machine type x is not known", ConfigurationError),
    (CODE.NOT_FOUND, f"Not found: {CLUSTER}.", ConfigurationError),
    (CODE.FAILED_PRECONDITION, "Cluster is running incompatible operation operation-9", CapacityError),
    (CODE.FAILED_PRECONDITION, "this cluster has no network", ConfigurationError),
    (CODE.UNAVAILABLE, "try again", UncertainError),
    (CODE.DEADLINE_EXCEEDED, "too slow", UncertainError),
    (CODE.INTERNAL, "oh", UncertainError),
    (CODE.UNKNOWN, "oh", UncertainError),
]


@pytest.mark.parametrize("method", ["CreateNodePool", "GetNodePool"])
@pytest.mark.parametrize(("code", "message", "kind"), FAILURES)
def test_failures(
    manager: Manager, lead: Lead, method: str, code: Any, message: str, kind: type[ProviderError]
) -> None:
    manager.fail[method] = (code, message)
    with pytest.raises(kind) as caught:
        load(lead).create(burst())
    assert type(caught.value) is kind
    assert message in str(caught.value)


def test_a_service_that_is_away(manager: Manager, lead: Lead) -> None:
    manager.server.stop(0).wait()
    with pytest.raises(UncertainError):
        load(lead).create(burst())


def test_without_credentials(lead: Lead, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(AuthenticationError, match="gcloud auth application-default login"):
        load(lead).create(burst())


@pytest.mark.parametrize("values", [{"project": "../x"}, {"cluster": ""}, {"location": "a/b"}, {"node_life": -1}])
def test_options_that_make_no_sense(lead: Lead, values: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        load(lead, **values)
