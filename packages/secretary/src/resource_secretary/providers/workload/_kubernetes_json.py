"""Read what the API server of Kubernetes answers: lists of nodes and pods, and what pods take of nodes.

The fields are those of the API reference (core/v1), which servers since 1.9 keep. What a pod requests is counted as
the scheduler counts it: "Pod sum of container requests; init containers; overhead" in the documentation, "Resource
Management for Pods and Containers", "Init Containers: Resource sharing within containers" and "Sidecar Containers".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._fields import Fields, document, unknown_shape
from resource_secretary.providers.workload._gpu_names import gpu_kind, gpu_product
from resource_secretary.providers.workload._quantity import millis, whole
from resource_secretary.reading import possible

T = TypeVar("T")
_ROLE = "node-role.kubernetes.io/"
_TYPES = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
_ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_KEEPS_AWAY = ("NoSchedule", "NoExecute")
FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Amounts:
    """millicores: thousandths of a core (1000 is one CPU of Kubernetes). memory in bytes. pods: how many pods.
    gpus: type ("" where it is not told) -> how many; a slice of a GPU has a type of its own, such as mig-1g.5gb."""

    millicores: int = 0
    memory: int = 0
    pods: int = 0
    gpus: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: Amounts) -> Amounts:
        return self._with(other, lambda mine, its: mine + its)

    def larger(self, other: Amounts) -> Amounts:
        """The larger of each."""
        return self._with(other, max)

    def without(self, other: Amounts) -> Amounts:
        """What is left of each of its own kinds; nothing where more is taken than there is."""
        left = self._with(other, lambda mine, its: max(0, mine - its))
        return replace(left, gpus={kind: left.gpus[kind] for kind in self.gpus})

    def _with(self, other: Amounts, of: Callable[[int, int], int]) -> Amounts:
        kinds = (
            self.gpus.keys()
            if not other.gpus
            else [*self.gpus, *(kind for kind in other.gpus if kind not in self.gpus)]
        )
        return Amounts(
            of(self.millicores, other.millicores),
            of(self.memory, other.memory),
            of(self.pods, other.pods),
            {kind: of(self.gpus.get(kind, 0), other.gpus.get(kind, 0)) for kind in kinds},
        )


@dataclass(frozen=True, slots=True)
class KubeNode:
    """A node.

    state: up, down (not ready), drained (cordoned, or with a taint that keeps ordinary pods away) or unknown;
    raw_state as kubectl shows it, why: what it says where it is not up. capacity: what it has; allocatable: what of
    it pods may get; requested: what pods asked for that are bound to it and not finished; free: the rest, of a node
    that is up. These are None where unknown, and `unread` says why. A CPU is a core or a hardware thread, as the cloud
    or the site has it.
    """

    name: str
    state: str
    raw_state: str = ""
    why: str = ""
    capacity: Amounts | None = None
    allocatable: Amounts | None = None
    requested: Amounts | None = None
    free: Amounts | None = None
    instance_type: str = ""
    zone: str = ""
    architecture: str = ""
    roles: tuple[str, ...] = ()
    taints: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    kubelet: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class KubePod:
    """A pod. reason: why it waits or fails, as the scheduler or the kubelet says. owner: what made it, such as
    Job/sweep. batch: it is to end (its restart policy is not Always). requested: None where it can't be read, and
    `unread` says why."""

    namespace: str
    name: str
    phase: str
    node: str = ""
    reason: str = ""
    owner: str = ""
    batch: bool = False
    created: str = ""
    requested: Amounts | None = None
    unread: str = ""


def usable(free: Amounts) -> Amounts:
    """What new pods can get of what is free: nothing where there is no room for one more pod."""
    return free if free.pods else Amounts(gpus=dict.fromkeys(free.gpus, 0))


def read_list(source: str, text: str, one: Callable[[Fields], T]) -> tuple[list[T], str]:
    """The items of a list, and the token to go on with, "" on the last page. Raises OutputError."""
    value = document(source, text)
    if not isinstance(value, dict) or not isinstance(value.get("items"), list):
        raise unknown_shape(source, text, "a list of Kubernetes with items expected")
    top = Fields.of(source, "", value)
    return [one(item) for item in top.rows("items")], top.fields("metadata").text("continue", "")


def read_nodes(source: str, text: str) -> tuple[list[KubeNode], str]:
    """The nodes of a page, and the token. A node that can't be read loses itself: `unread` says why."""

    def one(item: Fields) -> KubeNode:
        name = item.fields("metadata").text("name")
        try:
            return _node(name, item)
        except OutputError as error:
            return KubeNode(name, "unknown", unread=str(error))

    return read_list(source, text, one)


def read_pods(source: str, text: str) -> tuple[list[KubePod], str]:
    """The pods of a page, and the token. A pod that can't be read loses itself: `unread` says why."""

    def one(item: Fields) -> KubePod:
        about = item.fields("metadata")
        namespace, name = about.text("namespace", ""), about.text("name")
        node = item.fields("spec").text("nodeName", "")
        try:
            return _pod(namespace, name, node, item)
        except OutputError as error:
            return KubePod(namespace, name, "Unknown", node, unread=str(error))

    return read_list(source, text, one)


def with_requests(nodes: Iterable[KubeNode], pods: Iterable[KubePod] | None, why: str = "") -> list[KubeNode]:
    """The nodes with what is free on them; `pods` is None where these can't be seen, and `why` says why."""
    taken: dict[str, Amounts | None] = {}
    unread: dict[str, str] = {}
    for pod in pods or ():
        if not pod.node or (pod.phase in FINISHED and not pod.unread):
            continue
        before = taken.get(pod.node, Amounts())
        if pod.requested is None:
            unread.setdefault(pod.node, f"what the pod {pod.namespace}/{pod.name} takes of it: {pod.unread}")
        taken[pod.node] = None if before is None or pod.requested is None else before + pod.requested
    made = []
    for node in nodes:
        requested = taken.get(node.name, Amounts()) if pods is not None else None
        if node.allocatable is None:
            made.append(node)
        elif requested is None:
            made.append(replace(node, unread=why or unread[node.name]))
        else:
            requested = _as_typed(requested, node.allocatable)
            free = node.allocatable.without(requested) if node.state == "up" else None
            made.append(replace(node, requested=requested, free=free))
    return made


def _as_typed(requested: Amounts, allocatable: Amounts) -> Amounts:
    """Pods ask for GPUs by the name of the resource; which type that is, the node's label says."""
    named = [kind for kind in allocatable.gpus if not kind.startswith("mig-")]
    if "" in requested.gpus and len(named) == 1:
        gpus = {kind: amount for kind, amount in requested.gpus.items() if kind}
        gpus[named[0]] = gpus.get(named[0], 0) + requested.gpus[""]
        return replace(requested, gpus=gpus)
    return requested


def amounts(item: Fields, *, up: bool, product: str = "") -> Amounts:
    """A list of resources (`cpu: 100m`). up: round up, as for requests. product: the type of its whole GPUs."""
    gpus: dict[str, int] = {}
    try:
        for name, value in item.value.items():
            kind = gpu_kind(name)
            if kind is not None:
                gpus[kind or product] = gpus.get(kind or product, 0) + whole(_quantity_text(value), up=up)
        cores, memory = millis(_quantity_text(item.get("cpu")), up=up), whole(_quantity_text(item.get("memory")), up=up)
        possible(cores=(cores // 1000,), memory=(memory,))
        return Amounts(
            cores,
            memory,
            whole(_quantity_text(item.get("pods")), up=up),
            {kind: amount for kind, amount in gpus.items() if amount},
        )
    except ValueError as error:
        raise item.error(str(error)) from None


def _quantity_text(value: object) -> str:
    """A quantity is a text; a bare number is what some clients write."""
    if value is None:
        return "0"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no quantity")  # noqa: TRY004 - the caller adds the place
    return value


def _node(name: str, item: Fields) -> KubeNode:
    labels = item.fields("metadata").texts("labels")
    spec, status = item.fields("spec"), item.fields("status")
    product = gpu_product(labels)
    conditions = {row.text("type"): row for row in status.rows("conditions")}
    taints = [(row.text("key"), row.text("value", ""), row.text("effect")) for row in spec.rows("taints")]
    state, raw, why = _state(spec.flag("unschedulable", False), conditions, taints)
    if "allocatable" not in status.value:
        raise status.error("allocatable is missing")
    return KubeNode(
        name=name,
        state=state,
        raw_state=raw,
        why=why,
        capacity=amounts(status.fields("capacity"), up=False, product=product),
        allocatable=amounts(status.fields("allocatable"), up=False, product=product),
        instance_type=_first(labels, _TYPES),
        zone=_first(labels, _ZONES),
        architecture=labels.get("kubernetes.io/arch", ""),
        roles=tuple(sorted(label[len(_ROLE) :] for label in labels if label.startswith(_ROLE))),
        taints=tuple(f"{key}={value}:{effect}" if value else f"{key}:{effect}" for key, value, effect in taints),
        conditions=tuple(
            sorted(kind for kind, row in conditions.items() if kind != "Ready" and row.text("status", "") == "True")
        ),
        kubelet=status.fields("nodeInfo").text("kubeletVersion", ""),
    )


def _state(
    cordoned: bool, conditions: Mapping[str, Fields], taints: list[tuple[str, str, str]]
) -> tuple[str, str, str]:
    """The state for somebody who wants to place a pod, the state as kubectl shows it, and why it is not up.

    A taint of a GPU's resource keeps away only who asks for none: the admission plugin ExtendedResourceToleration
    and those who ask for a GPU tolerate it.
    """
    ready = conditions.get("Ready")
    status = ready.text("status", "Unknown") if ready else "Unknown"
    raw = "Ready" if status == "True" else "NotReady" if status == "False" else "Unknown"
    if cordoned:
        raw += ",SchedulingDisabled"
    if status != "True":
        said = f"{ready.text('reason', '')}: {ready.text('message', '')}" if ready else "it has no condition Ready"
        return ("down" if ready else "unknown"), raw, said.strip(": ")
    if cordoned:
        return "drained", raw, "it is cordoned"
    away = [f"{key}:{effect}" for key, _, effect in taints if effect in _KEEPS_AWAY and gpu_kind(key) is None]
    return ("drained", raw, f"it has the taint {away[0]}") if away else ("up", raw, "")


def _pod(namespace: str, name: str, node: str, item: Fields) -> KubePod:
    about, spec, status = item.fields("metadata"), item.fields("spec"), item.fields("status")
    owners = about.rows("ownerReferences")
    return KubePod(
        namespace=namespace,
        name=name,
        phase=status.text("phase", "Unknown"),
        node=node,
        reason=_reason(status),
        owner=f"{owners[0].text('kind')}/{owners[0].text('name')}" if owners else "",
        batch=spec.text("restartPolicy", "Always") != "Always",
        created=about.text("creationTimestamp", ""),
        requested=_requested(spec),
    )


def _requested(spec: Fields) -> Amounts:
    """What the scheduler keeps for a pod."""

    def of(row: Fields) -> Amounts:
        return amounts(row.fields("resources").fields("requests"), up=True)

    running = Amounts(pods=1)
    for row in spec.rows("containers"):
        running += of(row)
    sidecars, starting = Amounts(), Amounts()
    for row in spec.rows("initContainers"):
        if row.text("restartPolicy", "") == "Always":  # a sidecar stays (since 1.28)
            sidecars += of(row)
            starting = starting.larger(sidecars)
        else:
            starting = starting.larger(sidecars + of(row))
    needed = (running + sidecars).larger(starting)
    own = spec.fields("resources").fields("requests")  # of the pod as a whole (since 1.32)
    whole_pod = amounts(own, up=True)
    if "cpu" in own.value:
        needed = replace(needed, millicores=whole_pod.millicores)
    if "memory" in own.value:
        needed = replace(needed, memory=whole_pod.memory)
    return needed + amounts(spec.fields("overhead"), up=True)


def _reason(status: Fields) -> str:
    """Why a pod waits or fails: what the scheduler says, else what keeps its containers, else its own reason."""
    for row in status.rows("conditions"):
        if row.text("type", "") == "PodScheduled" and row.text("status", "") == "False":
            return f"{row.text('reason', '')}: {row.text('message', '')}".strip(": ")
    for key in ("initContainerStatuses", "containerStatuses"):
        for row in status.rows(key):
            waiting = row.fields("state").fields("waiting")
            if waiting.value:
                return f"{waiting.text('reason', '')}: {waiting.text('message', '')}".strip(": ")
    return f"{status.text('reason', '')}: {status.text('message', '')}".strip(": ")


def _first(labels: Mapping[str, str], keys: Iterable[str]) -> str:
    return next((labels[key] for key in keys if key in labels), "")
