"""Brokers in the pods of a MiniCluster of the Flux Operator, in any Kubernetes cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxburst.burstables import _minicluster as objects
from fluxburst.burstables import _pods as pods
from fluxburst.burstables._cluster import Cluster, connect
from fluxburst.errors import AuthenticationError, ConfigurationError, ParameterError, UncertainError
from fluxburst.model import Burst, NodeShape, Seen, Sighting
from fluxburst.plugins import BurstPlugin

if TYPE_CHECKING:
    pass

LOGS = 3  # pods of which one look reads the log; a kubelet that is away costs a time limit each
NEEDS = {"module kubernetes": "pip install 'flux-burst[kubernetes]'"}


@dataclass
class PodParameters:
    """What the pods of a burst are like, wherever the cluster is."""

    image: str = field(metadata={"help": "Image of the brokers, with the lead's version of flux-core."})
    shape: list[str] = field(
        default_factory=lambda: ["pod: cores=1"],
        metadata={"help": "A pod's size, as 'NAME: cores=15 memory=56GB gpus=1'; can be repeated."},
    )
    max_nodes: int = field(default=8, metadata={"help": "The most pods that may exist at once."})
    namespace: str | None = field(default=None, metadata={"help": "Where bursts go that name none."})
    namespaces: list[str] = field(
        default_factory=list, metadata={"help": "Others that jobs may name; '*' is every one. Can be repeated."}
    )
    env: list[str] = field(default_factory=list, metadata={"help": "NAME=VALUE for the brokers; can be repeated."})
    workdir: str | None = field(default=None, metadata={"help": "Working directory of the brokers."})
    flux: str = field(default="flux", metadata={"help": "The command flux in the image."})
    run_as_user: int | None = field(
        default=None, metadata={"help": "The number of the brokers' user; by default that of this process."}
    )
    pull_secret: str | None = field(default=None, metadata={"help": "Secret to pull the image with."})
    service_account: str | None = field(default=None, metadata={"help": "Service account of the pods."})
    node_selector: list[str] = field(
        default_factory=list, metadata={"help": "LABEL=VALUE that nodes must have; can be repeated."}
    )
    toleration: list[str] = field(
        default_factory=list, metadata={"help": "A taint that does not matter, KEY[=VALUE][:EFFECT]; can be repeated."}
    )
    gpu: str = field(default="nvidia.com/gpu", metadata={"help": "The resource that a shape's gpus mean."})
    share_nodes: bool = field(default=False, metadata={"help": "Let several pods of a burst be on one node."})

    def __post_init__(self) -> None:
        if self.max_nodes < 0:
            raise ParameterError("is 0 or more", "max_nodes")
        try:
            self.template()
        except ConfigurationError as error:
            raise ParameterError(str(error)) from None

    def template(
        self, node_selector: Mapping[str, str] | None = None, tolerations: Sequence[Mapping[str, str]] = ()
    ) -> objects.Template:
        """What all MiniClusters have in common. Raises ConfigurationError."""
        return objects.Template(
            image=self.image,
            user=os.getuid() if self.run_as_user is None else self.run_as_user,
            environment=objects.environment(self.env),
            workdir=self.workdir or "",
            pull_secret=self.pull_secret or "",
            service_account=self.service_account or "",
            node_selector={**objects.pairs(self.node_selector, "node_selector"), **(node_selector or {})},
            tolerations=[*(objects.toleration(text) for text in self.toleration), *tolerations],
            gpu=self.gpu,
            share_nodes=self.share_nodes,
        )


@dataclass
class BurstParameters(PodParameters):
    """Which cluster, and what pods in it."""

    kubeconfig: Path | None = field(default=None, metadata={"help": "As kubectl has it; in a pod, its own account."})
    context: str | None = field(default=None, metadata={"help": "Context of the kubeconfig."})


class KubernetesBurst(BurstPlugin):
    """Each burst is a MiniCluster with a Secret, named after it, in one namespace.

    connect: gives the cluster, at the first call. select: node labels by the name of a shape. tolerate: taints that
    do not matter beside those of the parameters.
    """

    settle = 60.0  # lists are consistent, but a server works on a request for up to a minute ("request-timeout")

    def __init__(
        self,
        params: PodParameters,
        connect: Callable[[], Cluster],
        select: Callable[[str], Mapping[str, str]] = lambda shape: {},
        tolerate: Callable[[], Sequence[Mapping[str, str]]] = tuple,
    ) -> None:
        super().__init__(params)
        self._shapes = [NodeShape.from_text(text) for text in params.shape]
        self._connect, self._select, self._tolerate = connect, select, tolerate
        self._cluster: Cluster | None = None

    def shapes(self) -> Sequence[NodeShape]:
        return self._shapes

    def create(self, burst: Burst) -> None:
        lead = self.need_lead()
        shape = self.shape_of(burst)
        with self._asking() as cluster:
            namespace = objects.namespace(burst.namespace or cluster.namespace)
            if namespace not in (allowed := self._namespaces()) and "*" not in allowed:
                raise ConfigurationError(
                    f"namespace {namespace!r} is not one of {', '.join(allowed)}: see `namespaces`"
                )
            template = self.params.template(self._select(shape.name), self._tolerate())
            body = objects.minicluster(burst, shape, lead, template, self.clock())
            data = objects.files(burst, lead, self.params.flux)
            found = cluster.make(body, namespace) or self._ours(cluster, burst, namespace)
            if found is None:
                raise UncertainError(
                    f"MiniCluster {namespace}/{body['metadata']['name']} was there and is not any more"
                )
            # The Secret comes second: its owner is the MiniCluster, with which it goes. Pods wait for it.
            if not found["metadata"].get("deletionTimestamp"):
                cluster.keep(objects.secret(found, data), namespace)

    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        with self._asking() as cluster:
            return self._look(cluster, known)

    def destroy(self, burst: Burst) -> None:
        with self._asking() as cluster:
            namespace, _ = self._place(burst)
            if (found := self._ours(cluster, burst, namespace)) is not None:
                cluster.delete(found)
            else:
                # What it owned goes by itself, unless somebody deleted it and left that ("orphan").
                mark = objects.labels(self.need_lead().owner, burst.name)
                cluster.sweep(namespace, ",".join(f"{key}={value}" for key, value in mark.items()))

    def _look(self, cluster: Cluster, known: Sequence[Burst]) -> list[Sighting]:
        selector = f"{objects.OWNER}={self.need_lead().owner}"
        places = {burst.name: self._place(burst) for burst in known}
        where = list(dict.fromkeys([*self._namespaces(), *(place for place, _ in places.values())]))
        theirs: dict[str, list[dict[str, Any]]] = {}
        for pod in cluster.list("pods", where, selector):
            theirs.setdefault(pods.burst_of(pod), []).append(pod)
        jobs = {pods.burst_of(one): one for one in cluster.list("jobs", where, selector)}
        # The owners last: of a pod that was seen, the owner that is not there now has gone, and is not yet to come.
        found = {pods.burst_of(one): one for one in cluster.list("miniclusters", where, selector)}
        logs = iter(range(LOGS))
        shown = [
            self._sighting(name, found.get(name), jobs.get(name), theirs.get(name, []), logs)
            for name in dict.fromkeys([*found, *jobs, *theirs])
            if objects.is_mark(name)
        ]
        there = {one.name for one in shown}
        gone = [
            Sighting(name, "gone", id="/".join(place))
            for name, place in places.items()
            if name not in there and cluster.find(place[1], place[0]) is None
        ]
        return [*shown, *gone]

    @property
    def cluster(self) -> Cluster:
        if self._cluster is None:
            self._cluster = self._connect()
        return self._cluster

    @contextmanager
    def _asking(self) -> Iterator[Cluster]:
        """The cluster. One that refuses us is connected anew the next time: its kubeconfig may have been mended."""
        try:
            yield self.cluster
        except (AuthenticationError, ConfigurationError):
            self._cluster = None
            raise

    def _namespaces(self) -> list[str]:
        return list(dict.fromkeys([self.cluster.namespace, *self.params.namespaces]))

    def _place(self, burst: Burst) -> tuple[str, str]:
        """The namespace and the name of a burst's MiniCluster."""
        if burst.id.count("/") == 1:
            namespace, _, name = burst.id.partition("/")
            return objects.namespace(namespace), name
        return objects.namespace(burst.namespace or self.cluster.namespace), objects.object_name(burst.name)

    def _ours(self, cluster: Cluster, burst: Burst, namespace: str) -> dict[str, Any] | None:
        """The MiniCluster of a burst. Raises ConfigurationError where that of its name is somebody else's."""
        name = self._place(burst)[1]
        found = cluster.find(name, namespace)
        mark = objects.labels(self.need_lead().owner, burst.name)
        if found is not None and not mark.items() <= (found["metadata"].get("labels") or {}).items():
            raise ConfigurationError(f"MiniCluster {namespace}/{name} is there and not of this lead; nothing was done")
        return found

    def _sighting(
        self,
        name: str,
        found: Mapping[str, Any] | None,
        job: Mapping[str, Any] | None,
        mine: Sequence[Mapping[str, Any]],
        logs: Any,
    ) -> Sighting:
        first = found or job or mine[0]
        alive = [pod for pod in mine if pods.phase(pod) not in pods.ENDED]
        running = [pod for pod in alive if pods.phase(pod) == "Running"]
        over = pods.ended(job) if job else ""
        reason = over or next(filter(None, map(pods.waiting, [*alive, *mine])), "")
        seen: Seen = "running" if running else "pending"
        if found is None:
            seen, reason = "ending", "its MiniCluster is gone, what belonged to it is not yet"
        elif found["metadata"].get("deletionTimestamp"):
            seen, reason = "ending", reason or "it is being deleted"
        elif over:
            seen = "ending"
        elif job is None and not mine:
            reason = "the Flux Operator has made nothing of it yet"
        place = (first["metadata"]["namespace"], found["metadata"]["name"] if found else objects.object_name(name))
        return Sighting(
            name,
            seen,
            id="/".join(place),
            since=pods.stamp(first),
            reason=reason,
            preempted=any(map(pods.taken, mine)),
            output=self._output(mine, logs),
            hosts=pods.existing(found, mine),
        )

    def _output(self, mine: Sequence[Mapping[str, Any]], logs: Any) -> str:
        """The end of what the first broker that failed has printed, of one pod."""
        for pod in mine:
            if (which := pods.failed(pod)) and next(logs, None) is not None:
                meta = pod["metadata"]
                return self.cluster.log(meta["name"], meta["namespace"], which[0], previous=which[1])
        return ""


def init(params: BurstParameters) -> KubernetesBurst:
    return KubernetesBurst(params, lambda: connect(params.kubeconfig, params.context, params.namespace))
