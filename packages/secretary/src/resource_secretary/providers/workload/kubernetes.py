"""Kubernetes, asked through `kubectl`, which finds the server as it always does: kubeconfig, or service account.

In a pod without `kubectl` its service account is used as any client does (Kubernetes documentation, "Accessing the
Kubernetes API from a Pod", "Directly accessing the REST API").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

from resource_secretary.errors import ArgumentError, CommandFailed, OutputError, SecretaryError
from resource_secretary.providers import Absent, Active, Offering, Unreachable, secretary_tool
from resource_secretary.providers.workload._alike import inventory_of
from resource_secretary.providers.workload._kubernetes_json import (
    Amounts,
    KubeNode,
    KubePod,
    read_nodes,
    read_pods,
    usable,
    with_requests,
)
from resource_secretary.providers.workload._kubernetes_work import (
    KubeJob,
    KubeNamespace,
    KubeQuota,
    KubeStorage,
    read_context,
    read_jobs,
    read_namespaces,
    read_quotas,
    read_storage,
    read_versions,
)
from resource_secretary.run import Ran, printable
from resource_secretary.sidebyside import side_by_side
from resource_secretary.values import Name

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

    from resource_secretary.asking import Depth

T = TypeVar("T")
_WAIT = "--request-timeout=9s"  # less than a tool has, so that kubectl says itself what it waited for
_PAGE = 1000  # entries that the server gives at once: 15 kB each at most, and each page costs a process
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)  # RFC 1123, section 2.1
_HOST = re.compile(r"[A-Za-z0-9.:-]+", re.ASCII)  # a name or an address of either IP
_LOG = re.compile(r"[IWEF][0-9]{4} [0-9:.]+\s+[0-9]+ ")  # the head of a line that klog wrote
_NOT_FINISHED = "status.phase!=Succeeded,status.phase!=Failed"
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """client, server: versions. context, address: of the kubeconfig, "" in a pod that has none. namespace: where its
    jobs go."""

    client: str
    server: str
    context: str
    namespace: str
    address: str


@dataclass(frozen=True, slots=True)
class KubeSummary:
    """How many nodes are in which state. Of those that are up: whole CPUs, bytes of memory and GPUs by type, and what
    of these is free: None where what pods take can't be seen, and `unread` says why."""

    up: int
    down: int
    drained: int
    unknown: int
    cores: int
    memory: int
    gpus: dict[str, int]
    free_cores: int | None
    free_memory: int | None
    free_gpus: dict[str, int] | None
    unread: str


class KubernetesProvider(Offering):
    category = "workload"
    name = "kubernetes"
    description = "Kubernetes: nodes and what is free on them, pods, jobs, quotas and storage classes."
    fresh_for = 60.0
    variables = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HOME")

    def probe(self) -> Active[Kubernetes] | Absent | Unreachable:
        if self.system.which("kubectl"):
            if why := self._unconfigured():
                return Unreachable("kubectl", why)
            answer, source = self._run("version", "-o", "json"), "kubectl version"
        elif self._in_pod():
            answer, source = self._get("/version"), "GET /version"
        else:
            return Absent(f"the command kubectl on PATH, and the service account of a pod in {_ACCOUNT}")
        if not answer.ok:
            return Unreachable(answer.command, _said(answer), answer.code)
        client, server = read_versions(source, answer.stdout)
        if not server:
            return Unreachable(answer.command, "no server tells its version", answer.code)
        context, namespace, address = self._context()
        return Active(Kubernetes(client, server, context, namespace, address))

    @secretary_tool
    def nodes(self, state: Literal["any", "up", "down", "drained", "unknown"] = "any") -> list[KubeNode]:
        """The nodes: capacity, what pods may get, what pods requested, what is free; taints, GPUs, type and zone.
        state: those in this state only."""
        return [node for node in self._nodes() if state in ("any", node.state)]

    @secretary_tool
    def resources(self) -> KubeSummary:
        """How many nodes are up, down and drained, and what CPUs, memory and GPUs there are and are free."""
        nodes = self._nodes()
        states = [node.state for node in nodes]
        up = [node for node in nodes if node.state == "up" and node.allocatable is not None]
        total = [node.allocatable for node in up if node.allocatable is not None]
        free = [usable(node.free) for node in up if node.free is not None]
        known = len(free) == len(up)
        return KubeSummary(
            up=states.count("up"),
            down=states.count("down"),
            drained=states.count("drained"),
            unknown=states.count("unknown"),
            cores=sum(one.millicores // 1000 for one in total),
            memory=sum(one.memory for one in total),
            gpus=_gpus(total),
            free_cores=sum(one.millicores // 1000 for one in free) if known else None,
            free_memory=sum(one.memory for one in free) if known else None,
            free_gpus=_gpus(free) if known else None,
            unread=next((node.unread for node in nodes if node.unread), ""),
        )

    @secretary_tool
    def pods(
        self,
        namespace: Name | None = None,
        everywhere: bool = False,
        phase: Literal["any", "Pending", "Running", "Succeeded", "Failed", "Unknown"] = "any",
    ) -> list[KubePod]:
        """The pods with what they request, where they run, and why they wait.
        namespace: those of this namespace; by default my own.
        everywhere: those of all namespaces.
        phase: those in this phase only."""
        selector = "" if phase == "any" else f"status.phase={phase}"
        return self._all(self._path("pods", "pods", namespace, everywhere), read_pods, selector)

    @secretary_tool
    def jobs(self, namespace: Name | None = None, everywhere: bool = False) -> list[KubeJob]:
        """The Jobs, how many of their pods run, are done and failed, and why a Job failed.
        namespace: those of this namespace; by default my own.
        everywhere: those of all namespaces."""
        return self._all(self._path("jobs", "jobs", namespace, everywhere, "/apis/batch/v1"), read_jobs)

    @secretary_tool
    def quotas(self, namespace: Name | None = None) -> list[KubeQuota]:
        """What a namespace may use in all, what it uses, and what is left; nothing where it has no quota.
        namespace: of this namespace; by default my own."""
        return self._all(self._path("quotas", "resourcequotas", namespace), read_quotas)

    @secretary_tool
    def namespaces(self) -> list[KubeNamespace]:
        """The namespaces and whether they are active."""
        return self._all("/api/v1/namespaces", read_namespaces)

    @secretary_tool
    def storage_classes(self) -> list[KubeStorage]:
        """The storage classes that volumes can be claimed from, and which is the default."""
        return self._all("/apis/storage.k8s.io/v1/storageclasses", read_storage)

    def inventory(self) -> Inventory:
        """Every node with what pods may get of it. A CPU of Kubernetes counts as a core; parts of one are not offered.

        Nothing is known to be free on a node that is not up, or where the pods can't be seen. Where no more pods may
        run on a node nothing of it is free.
        """
        rows = []
        for node in self._nodes():
            total = _resources(node.allocatable or Amounts(), node.allocatable or Amounts())
            free = None
            if node.free is not None and node.allocatable is not None:
                free = _resources(usable(node.free), node.allocatable)
            rows.append((node.name, node.state, total, free))
        return inventory_of("kubectl get nodes", rows, self.system)

    def depth(self) -> Depth:
        """Pods that no node was found for yet, and pods that run and are to end, in all namespaces."""
        from resource_secretary.asking import Depth

        pods = self._all("/api/v1/pods", read_pods, _NOT_FINISHED)
        waiting = [pod for pod in pods if not pod.node]
        asked = [pod.requested for pod in waiting]
        cores = None if None in asked else -(-sum(one.millicores for one in asked if one) // 1000)
        return Depth(len(waiting), sum(pod.batch and pod.phase == "Running" for pod in pods), cores)

    def _nodes(self) -> list[KubeNode]:
        questions: list[Callable[[], list[Any]]] = [
            partial(self._all, "/api/v1/nodes", read_nodes),
            partial(self._all, "/api/v1/pods", read_pods, _NOT_FINISHED),
        ]
        # Each command keeps the deadline itself; the second more is for reading what it said.
        nodes, pods = side_by_side(questions, self.system.timeout + 1)
        if nodes is None:
            raise CommandFailed("kubectl get --raw /api/v1/nodes", f"no answer in {self.system.timeout:g} s")
        if nodes.error is not None:
            raise nodes.error
        if pods is not None and pods.value is not None:
            return with_requests(nodes.value or [], pods.value)
        why = pods.error if pods is not None else f"no answer in {self.system.timeout:g} s"
        if isinstance(why, BaseException) and not isinstance(why, SecretaryError):
            raise why
        return with_requests(nodes.value or [], None, f"what pods take can't be seen: {why}")

    def _path(self, tool: str, kind: str, namespace: str | None, everywhere: bool = False, api: str = "/api/v1") -> str:
        if everywhere and namespace:
            raise ArgumentError(tool, "everywhere", "goes with no namespace")
        if everywhere:
            return f"{api}/{kind}"
        if namespace is None:
            namespace = self._context()[1]
        if not _LABEL.fullmatch(namespace):
            raise ArgumentError(tool, "namespace", f"{namespace!r:.80} is no name of a namespace")
        return f"{api}/namespaces/{namespace}/{kind}"

    def _unconfigured(self) -> str:
        """Why kubectl can know of no server, "" where it may: it would try localhost:8080, where none is any more."""
        environ = self.system.environ
        files = [one for one in environ.get("KUBECONFIG", "").split(":") if one]
        files = files or [f"{environ.get('HOME', '')}/.kube/config"]
        if environ.get("KUBERNETES_SERVICE_HOST") or any(self.system.exists(one) for one in files):
            return ""
        return f"it is told of no server: there is no {' and no '.join(files)}, and this is no pod"

    def _context(self) -> tuple[str, str, str]:
        """The kubeconfig's context ("" in a pod that has none), my namespace, and the server."""
        if self.system.which("kubectl"):
            answer = self._run("config", "view", "--minify", "-o", "json")
            if answer.ok:
                context, namespace, address = read_context("kubectl config view", answer.stdout)
                return context, namespace or "default", address
            if not self.system.exists(f"{_ACCOUNT}/namespace"):  # then nothing tells the namespace
                raise CommandFailed(answer.command, answer.said)
        return "", self.system.read(f"{_ACCOUNT}/namespace") or "default", self._server()

    def _all(self, path: str, read: Callable[[str, str], tuple[list[T], str]], selector: str = "") -> list[T]:
        """What the server has under a path, page by page. Raises CommandFailed, OutputError."""
        made: list[T] = []
        seen = {""}
        more = f"&fieldSelector={quote(selector, safe='')}" if selector else ""
        token = ""
        while True:
            after = f"&continue={quote(token, safe='')}" if token else ""
            answer = self._get(f"{path}?limit={_PAGE}{more}{after}")
            if not answer.ok:
                raise CommandFailed(f"{self._asks()} {path}", _said(answer))
            items, token = read(f"{self._asks()} {path}", answer.stdout)
            made += items
            if not token:
                return made
            if token in seen:
                raise OutputError(f"{self._asks()} {path}", "metadata.continue", "the same page comes again")
            seen.add(token)

    def _asks(self) -> str:
        return "kubectl get --raw" if self.system.which("kubectl") else "GET"

    def _get(self, path: str) -> Ran:
        if self.system.which("kubectl"):
            return self._run("get", "--raw", path)
        token, authority = (self.system.read(f"{_ACCOUNT}/{name}") or "" for name in ("token", "ca.crt"))
        return self.system.fetch(f"{self._server()}{path}", token=token, authority=authority)

    def _in_pod(self) -> bool:
        return bool(self._server() and self.system.exists(f"{_ACCOUNT}/token"))

    def _server(self) -> str:
        """The address of the server for a pod; "" elsewhere."""
        host = self.system.environ.get("KUBERNETES_SERVICE_HOST", "")
        port = self.system.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host or not port.isdecimal() or not _HOST.fullmatch(host):
            return ""
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    def _run(self, *words: str) -> Ran:
        return self.system.run("kubectl", _WAIT, *words)


def _said(answer: Ran) -> str:
    """What kubectl says where it fails: its own line; before it come lines that its libraries log."""
    lines = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
    own = next((line for line in lines if not _LOG.match(line)), "")
    return f"exit code {answer.code}: {printable(own)[:200]}" if own and not answer.problem else answer.said


def _gpus(amounts: Sequence[Amounts]) -> dict[str, int]:
    total = Amounts()
    for one in amounts:
        total += one
    return total.gpus


def _resources(amounts: Amounts, all_of: Amounts) -> Resource:
    from resources import Cores, Gpus, Memory
    from resources.resource import combine

    gpus = {kind: amounts.gpus.get(kind, 0) for kind in all_of.gpus}
    parts: list[Resource] = [Cores(amounts.millicores // 1000), Memory(f"{amounts.memory}B")]
    return combine([*parts, Gpus(gpus)] if gpus else parts)
