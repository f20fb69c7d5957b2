"""Node pools of a Google Kubernetes Engine cluster: one for each lead and machine type, of 0 to N nodes.

Requests and messages are those of google.container.v1.ClusterManager. Nothing waits for an operation: what has become
of it shows in the pool's own status.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from fluxburst.errors import (
    AuthenticationError,
    CapacityError,
    ConfigurationError,
    ProviderError,
    QuotaError,
    UncertainError,
)
from fluxburst.model import NodeShape, amount
from fluxburst.texts import one_line

T = TypeVar("T")
WAIT = 20.0  # seconds for an answer
OWNER = "flux-burst-owner"  # label of nodes, and of their machines (for bills); key of the taint
POOL = "cloud.google.com/gke-nodepool"  # label that GKE gives to every node
GOOD = ("PROVISIONING", "RUNNING", "RECONCILING", "RUNNING_WITH_ERROR")  # a pool that can still grow, or will


@dataclass(frozen=True, slots=True)
class Machine:
    """What the nodes of a pool are beside their shape. life: seconds that a node exists at most, 0: no limit."""

    spot: bool = False
    accelerator: str = ""
    disk: int = 0
    service_account: str = ""
    life: int = 0
    locations: tuple[str, ...] = ()


class NodePools:
    """The pools of one cluster. client: a ClusterManagerClient; cluster: `projects/P/locations/L/clusters/C`."""

    def __init__(self, client: Any, cluster: str, owner: str) -> None:
        self._client, self.cluster, self.owner = client, cluster, owner

    def name(self, shape: str) -> str:
        """The name of a shape's pool: always the same, and another for another lead; 40 characters at most."""
        digest = hashlib.sha256(f"{self.owner}/{shape}".encode()).hexdigest()[:10]
        readable = re.sub(r"[^a-z0-9]+", "-", shape.lower())[:24].strip("-")
        return f"fb-{digest}-{readable}".rstrip("-")

    def ensure(self, shape: NodeShape, machine: Machine, most: int) -> None:
        """Have a pool that grows from 0 to `most` nodes, which starts none. Raises ProviderError."""
        from google.cloud import container_v1 as gke

        name = self.name(shape.name)
        path = f"{self.cluster}/nodePools/{name}"
        wanted = gke.NodePoolAutoscaling(enabled=True, total_min_node_count=0, total_max_node_count=most)
        found = self._found(path)
        if found is None:
            pool = gke.NodePool(
                name=name,
                initial_node_count=0,
                config=self._config(shape, machine),
                autoscaling=wanted,
                locations=list(machine.locations),
                management=gke.NodeManagement(auto_repair=True, auto_upgrade=True),
            )
            request = gke.CreateNodePoolRequest(parent=self.cluster, node_pool=pool)
            ask(f"making node pool {name}", lambda: self._make(request))
            return
        if found.config.labels.get(OWNER) != self.owner:
            raise ConfigurationError(f"node pool {name} is there and not of this lead; nothing was done")
        if found.status.name not in GOOD:
            raise CapacityError(f"node pool {name}: {trouble(found) or found.status.name}")
        if found.autoscaling != wanted:
            change = gke.SetNodePoolAutoscalingRequest(name=path, autoscaling=wanted)
            ask(
                f"setting the size of node pool {name}",
                lambda: self._client.set_node_pool_autoscaling(request=change, **ONCE),
            )

    def troubles(self) -> Mapping[str, str]:
        """What is wrong with the lead's pools, by their names. Raises ProviderError."""
        from google.cloud import container_v1 as gke

        request = gke.ListNodePoolsRequest(parent=self.cluster)
        answer = ask("listing node pools", lambda: self._client.list_node_pools(request=request, **ONCE))
        ours = [pool for pool in answer.node_pools if pool.config.labels.get(OWNER) == self.owner]
        return {pool.name: text for pool in ours if (text := trouble(pool))}

    def _make(self, request: Any) -> None:
        from google.api_core.exceptions import AlreadyExists

        with suppress(AlreadyExists):  # asked for a moment ago
            self._client.create_node_pool(request=request, **ONCE)

    def _found(self, path: str) -> Any:
        from google.api_core.exceptions import NotFound
        from google.cloud import container_v1 as gke

        def look() -> Any:
            try:
                return self._client.get_node_pool(request=gke.GetNodePoolRequest(name=path), **ONCE)
            except NotFound as error:
                if "nodePools/" not in error.message:
                    raise  # the cluster itself
                return None

        return ask(f"looking at {path.rpartition('/')[2]}", look)

    def _config(self, shape: NodeShape, machine: Machine) -> Any:
        from google.cloud import container_v1 as gke
        from google.protobuf.duration_pb2 import Duration

        config = gke.NodeConfig(
            machine_type=shape.name,
            spot=machine.spot,
            labels={OWNER: self.owner},
            resource_labels={OWNER: self.owner},
            # Pods of others would keep nodes from going.
            taints=[gke.NodeTaint(key=OWNER, value=self.owner, effect=gke.NodeTaint.Effect.NO_SCHEDULE)],
            oauth_scopes=["https://www.googleapis.com/auth/cloud-platform"],
        )
        if machine.disk:
            config.disk_size_gb = machine.disk
        if machine.service_account:
            config.service_account = machine.service_account
        if machine.life:
            config.max_run_duration = Duration(seconds=machine.life)
        if gpus := amount(shape.holds, "gpus"):
            if not machine.accelerator:
                raise ConfigurationError(f"shape {shape.name!r} has GPUs: say which with `accelerator`")
            config.accelerators = [gke.AcceleratorConfig(accelerator_count=gpus, accelerator_type=machine.accelerator)]
        return config


def ask(what: str, call: Callable[[], T]) -> T:
    """What a call gives. Raises ProviderError."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - those of google.auth and of grpc have no common base
        raise translate(error, what) from None


ONCE: Mapping[str, Any] = {"timeout": WAIT, "retry": None}


def trouble(pool: Any) -> str:
    """What a pool says is wrong with it, "" where nothing is."""
    if pool.status.name in ("RUNNING", "PROVISIONING", "RECONCILING") and not pool.conditions:
        return ""
    said = [pool.status_message, *(f"{one.code.name}: {one.message}" for one in pool.conditions)]
    return one_line(f"{pool.status.name}: {'; '.join(filter(None, said))}").rstrip(": ")


def translate(error: Exception, what: str) -> ProviderError:
    """What an error of Google's client libraries means; messages hold neither tokens nor requests."""
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    text = f"{what}: {one_line(str(getattr(error, 'message', '') or type(error).__name__))}"
    if isinstance(error, auth.TransportError):
        return UncertainError(f"{what}: no answer ({type(error).__name__})")
    if isinstance(error, auth.GoogleAuthError):
        return AuthenticationError(
            f"{what}: no valid credentials ({type(error).__name__}): gcloud auth application-default login"
        )
    if isinstance(error, (api.Unauthenticated, api.Unauthorized, api.PermissionDenied, api.Forbidden)):
        return AuthenticationError(text)
    if isinstance(error, (api.ResourceExhausted, api.TooManyRequests)):
        return QuotaError(text)
    if isinstance(error, (api.FailedPrecondition, api.Aborted)) and "operation" in text.lower():
        return CapacityError(f"{text} (the cluster is busy with another operation)")
    if isinstance(error, (api.Unknown, api.Cancelled)) or not isinstance(error, api.ClientError):
        return UncertainError(text)
    return ConfigurationError(text)
