"""Read what else the API server of Kubernetes answers: jobs, quotas, namespaces, storage classes, versions."""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers.workload._fields import Fields, document
from resource_secretary.providers.workload._kubernetes_json import read_list
from resource_secretary.providers.workload._quantity import quantity

_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


@dataclass(frozen=True, slots=True)
class KubeJob:
    """A Job. state: complete, failed, suspended, running (it has pods that are not finished) or waiting.
    completions: None where any one of its pods ends it."""

    namespace: str
    name: str
    state: str
    reason: str
    parallelism: int
    completions: int | None
    active: int
    succeeded: int
    failed: int
    created: str


@dataclass(frozen=True, slots=True)
class KubeQuota:
    """One resource of a ResourceQuota. hard, used: as Kubernetes writes them. left: cores, bytes or a count; None
    where nobody has counted yet what is used."""

    namespace: str
    quota: str
    resource: str
    hard: str
    used: str | None
    left: float | None


@dataclass(frozen=True, slots=True)
class KubeNamespace:
    """phase: Active or Terminating."""

    name: str
    phase: str


@dataclass(frozen=True, slots=True)
class KubeStorage:
    """A storage class. binding: Immediate, or WaitForFirstConsumer: the volume is made where its pod goes."""

    name: str
    provisioner: str
    default: bool
    reclaim: str
    binding: str
    expandable: bool


def read_jobs(source: str, text: str) -> tuple[list[KubeJob], str]:
    """The jobs of a page, and the token to go on with. Raises OutputError."""
    return read_list(source, text, _job)


def read_quotas(source: str, text: str) -> tuple[list[KubeQuota], str]:
    """The quotas of a page, each resource by itself, and the token. Raises OutputError."""
    lists, token = read_list(source, text, _quotas)
    return [row for rows in lists for row in rows], token


def read_namespaces(source: str, text: str) -> tuple[list[KubeNamespace], str]:
    """The namespaces of a page, and the token. Raises OutputError."""
    return read_list(
        source, text, lambda item: KubeNamespace(_name(item), item.fields("status").text("phase", "Unknown"))
    )


def read_storage(source: str, text: str) -> tuple[list[KubeStorage], str]:
    """The storage classes of a page, and the token. Raises OutputError."""
    return read_list(source, text, _storage)


def read_versions(source: str, text: str) -> tuple[str, str]:
    """Versions of the client and of the server, "" where there is none: of `kubectl version`, or of the server's
    `/version`. Raises OutputError."""
    top = Fields.of(source, "", document(source, text))
    if "gitVersion" in top.value:
        return "", top.text("gitVersion")
    return top.fields("clientVersion").text("gitVersion", ""), top.fields("serverVersion").text("gitVersion", "")


def read_context(source: str, text: str) -> tuple[str, str, str]:
    """Of `kubectl config view --minify`: the context's name, its namespace ("" where it has none), the server."""
    top = Fields.of(source, "", document(source, text))
    contexts, clusters = top.rows("contexts"), top.rows("clusters")
    namespace = contexts[0].fields("context").text("namespace", "") if contexts else ""
    server = clusters[0].fields("cluster").text("server", "") if clusters else ""
    return top.text("current-context", ""), namespace, server


def _name(item: Fields) -> str:
    return item.fields("metadata").text("name")


def _job(item: Fields) -> KubeJob:
    about, spec, status = item.fields("metadata"), item.fields("spec"), item.fields("status")
    active = status.count("active", 0)
    state, reason = ("running" if active else "waiting"), ""
    for row in status.rows("conditions"):
        if row.text("status", "") == "True" and row.text("type") in ("Complete", "Failed", "Suspended"):
            state = row.text("type").lower()
            reason = f"{row.text('reason', '')}: {row.text('message', '')}".strip(": ")
    return KubeJob(
        namespace=about.text("namespace", ""),
        name=about.text("name"),
        state=state,
        reason=reason,
        parallelism=spec.count("parallelism", 1),
        completions=None if spec.get("completions") is None else spec.count("completions"),
        active=active,
        succeeded=status.count("succeeded", 0),
        failed=status.count("failed", 0),
        created=about.text("creationTimestamp", ""),
    )


def _quotas(item: Fields) -> list[KubeQuota]:
    about, status = item.fields("metadata"), item.fields("status")
    hard = item.fields("spec").texts("hard")
    used = status.texts("used")
    made = []
    for resource, limit in hard.items():
        taken = used.get(resource)
        try:
            left = None if taken is None else float(quantity(limit) - quantity(taken))
        except ValueError as error:
            raise OutputError(item.source, f"{item.place}.{resource}", str(error)) from None
        made.append(KubeQuota(about.text("namespace", ""), about.text("name"), resource, limit, taken, left))
    return made


def _storage(item: Fields) -> KubeStorage:
    notes = item.fields("metadata").texts("annotations")
    return KubeStorage(
        name=_name(item),
        provisioner=item.text("provisioner"),
        default=any(notes.get(key) == "true" for key in _DEFAULT),
        reclaim=item.text("reclaimPolicy", "Delete"),
        binding=item.text("volumeBindingMode", "Immediate"),
        expandable=item.flag("allowVolumeExpansion", False),
    )
