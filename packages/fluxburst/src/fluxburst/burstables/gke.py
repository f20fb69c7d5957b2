"""Brokers in MiniClusters on node pools of Google Kubernetes Engine that grow from no node, and shrink to none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fluxburst.burstables._cluster import Cluster, client_of, connect
from fluxburst.burstables._node_pools import OWNER, POOL, Machine, NodePools, translate
from fluxburst.burstables.kubernetes import KubernetesBurst, PodParameters
from fluxburst.errors import AuthenticationError, ConfigurationError, ParameterError
from fluxburst.model import Burst, NodeShape, Sighting
from fluxburst.plugins import BurstPlugin

NEEDS = {"module google.cloud.container_v1": "pip install 'flux-burst[google]'"}


@dataclass
class BurstParameters(PodParameters):
    """Which cluster, what its nodes are, and what pods are on them. The name of a shape is a machine type."""

    project: str = field(kw_only=True, metadata={"help": "Google Cloud project."})
    location: str = field(kw_only=True, metadata={"help": "Zone or region of the cluster."})
    cluster: str = field(kw_only=True, metadata={"help": "Name of the cluster, which exists."})
    shape: list[str] = field(
        default_factory=lambda: ["e2-standard-4: cores=3 memory=12GB"],
        metadata={"help": "A machine type and what a pod gets of it, as 'TYPE: cores=3 memory=12GB'."},
    )
    spot: bool = field(default=False, metadata={"help": "Nodes that the provider may take back."})
    accelerator: str | None = field(default=None, metadata={"help": "Type of a shape's GPUs, such as nvidia-l4."})
    disk_gb: int = field(default=0, metadata={"help": "Size of a node's disk; 0: what is usual."})
    node_service_account: str | None = field(default=None, metadata={"help": "Google service account of nodes."})
    node_life: int = field(default=0, metadata={"help": "Seconds after which GKE ends a node anyhow; 0: never."})
    zone: list[str] = field(default_factory=list, metadata={"help": "Zones of the nodes; by default the cluster's."})
    kubeconfig: Path | None = field(
        default=None, metadata={"help": "Where the cluster's own endpoint can't be reached."}
    )
    context: str | None = field(default=None, metadata={"help": "Context of the kubeconfig."})

    def __post_init__(self) -> None:
        PodParameters.__post_init__(self)
        for name in ("project", "location", "cluster"):
            if not getattr(self, name) or not set(getattr(self, name)) <= _NAME:
                raise ParameterError("is a name of a-z, 0-9 and '-'", name)
        if min(self.disk_gb, self.node_life) < 0:
            raise ParameterError("disk_gb and node_life are 0 or more")

    @property
    def path(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/clusters/{self.cluster}"


_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.:")  # a project may be that of a domain: "example.com:name"


class GkeBurst(BurstPlugin):
    """Node pools for `kubernetes`: pods that find no node make a pool grow, and nodes without pods go."""

    settle = KubernetesBurst.settle

    def __init__(self, params: BurstParameters) -> None:
        super().__init__(params)
        self._inner = KubernetesBurst(params, self._connect, self._select, self._tolerate)
        self._client: Any = None
        self._credentials: Any = None

    def shapes(self) -> Sequence[NodeShape]:
        return [replace(shape, place=shape.place or self.params.location) for shape in self._inner.shapes()]

    def create(self, burst: Burst) -> None:
        shape, params = self._inner.shape_of(burst), self.params
        machine = Machine(
            params.spot,
            params.accelerator or "",
            params.disk_gb,
            params.node_service_account or "",
            params.node_life,
            tuple(params.zone),
        )
        with self._asking():
            self._pools().ensure(shape, machine, params.max_nodes)
            self._kubernetes().create(burst)

    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        with self._asking():
            found = self._kubernetes().status(known)
            if not any(one.seen == "pending" for one in found):
                return found
            pools = self._pools()
            troubles = pools.troubles()
        shapes = {burst.name: burst.shape for burst in known}
        wrong = {name: troubles[pool] for name, shape in shapes.items() if (pool := pools.name(shape)) in troubles}
        return [
            replace(one, reason=f"{wrong[one.name]}; {one.reason}".removesuffix("; "))
            if one.seen == "pending" and one.name in wrong
            else one
            for one in found
        ]

    def destroy(self, burst: Burst) -> None:
        with self._asking():
            self._kubernetes().destroy(burst)

    def _kubernetes(self) -> KubernetesBurst:
        self._inner.lead, self._inner.clock = self.lead, self.clock
        return self._inner

    def _pools(self) -> NodePools:
        return NodePools(self._manager(), self.params.path, self.need_lead().owner)

    def _select(self, shape: str) -> Mapping[str, str]:
        return {POOL: self._pools().name(shape)}

    def _tolerate(self) -> Sequence[Mapping[str, str]]:
        return [{"key": OWNER, "operator": "Exists", "effect": "NoSchedule"}]

    def _manager(self) -> Any:
        if self._client is None:
            self._client, self._credentials = manager()
        return self._client

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Where credentials are refused, they are read anew the next time: somebody may have mended them."""
        try:
            yield
        except AuthenticationError:
            self._client = None
            raise

    def _connect(self) -> Cluster:
        """The cluster behind a kubeconfig where one is named, else at its own endpoint. Raises ProviderError."""
        params = self.params
        if params.kubeconfig or params.context:
            return connect(params.kubeconfig, params.context, params.namespace)
        client = self._manager()
        try:
            found = client.get_cluster(name=params.path, timeout=20.0)
        except Exception as error:  # noqa: BLE001 - those of google.auth and of grpc have no common base
            raise translate(error, f"looking at cluster {params.cluster}") from None
        return Cluster(client_of(_configuration(found, self._credentials)), params.namespace or "default")


def manager() -> tuple[Any, Any]:
    """A client of the cluster manager with the user's default credentials, and these. Raises ProviderError."""
    try:
        import google.auth
        from google.cloud import container_v1
    except ImportError:
        raise ConfigurationError("Google's client is not installed: pip install 'flux-burst[google]'") from None
    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        return container_v1.ClusterManagerClient(credentials=credentials), credentials
    except Exception as error:  # noqa: BLE001
        raise translate(error, "asking for credentials") from None


def _configuration(cluster: Any, credentials: Any) -> Any:
    """How the Kubernetes client reaches a cluster: its endpoint, its certificate, and a token that is kept fresh."""
    from google.auth.transport.urllib3 import Request
    from kubernetes import client, config
    from urllib3 import PoolManager

    entry = {
        "server": f"https://{cluster.endpoint}",
        "certificate-authority-data": cluster.master_auth.cluster_ca_certificate,
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "gke", "cluster": entry}],
        "users": [{"name": "gke", "user": {}}],
        "contexts": [{"name": "gke", "context": {"cluster": "gke", "user": "gke"}}],
        "current-context": "gke",
    }
    configuration = client.Configuration()
    config.load_kube_config_from_dict(document, client_configuration=configuration)
    ask = Request(PoolManager(timeout=20.0, retries=False))

    def fresh(given: Any) -> None:
        if not credentials.valid:
            credentials.refresh(ask)
        given.api_key["authorization"] = f"Bearer {credentials.token}"

    configuration.refresh_api_key_hook = fresh
    configuration.api_key["authorization"] = ""
    return configuration


def init(params: BurstParameters) -> GkeBurst:
    return GkeBurst(params)
