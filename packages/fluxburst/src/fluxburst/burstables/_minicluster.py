"""A burst as Kubernetes objects, as plain data: a MiniCluster of the Flux Operator, and the Secret that its pods read.

Field names are those of the operator's custom resource (flux-framework.org/v1alpha2) and of the Kubernetes API (v1
Secret). Nothing here talks to a server.

The operator starts brokers for a Flux instance of its own. Its way to join another (`flux.bursting.leadBroker` with
`flux.curveCert`) has the certificate as text in the MiniCluster, for everybody to read who may list those, and wants
the hosts to be called as its pods are. Here the first line of its entry point, which is `commands.init`, becomes
`START` instead: that starts the broker of a slot with the lead's own configuration, from a Secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fluxburst.errors import ConfigurationError
from fluxburst.model import amount

if TYPE_CHECKING:
    from fluxburst.lead import Lead
    from fluxburst.model import Burst, NodeShape

GROUP, VERSION, PLURAL, KIND = "flux-framework.org", "v1alpha2", "miniclusters", "MiniCluster"
OWNER, NAME = "flux-burst/owner", "flux-burst/name"  # labels of everything that is made, pods included
DEADLINE, HOSTS = "flux-burst/deadline", "flux-burst/hosts"  # annotations
FILES = "/etc/flux-burst"  # where the Secret is mounted
FOLDER = "/tmp/flux-burst"  # noqa: S108 - of a container of its own: where a pod keeps its own copy, readable by its user alone
TRIES = 6  # of pods that fail, all together, as for a Job that says nothing
LONGEST = 63  # characters of a label's value and of a pod's host name (RFC 1123)

# A pod's host name, and with it the MiniCluster's and its service's, are labels of RFC 1123.
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_OBJECT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

# The same for every burst: what differs comes from the environment and from files, never by building shell text.
START = f"""\
#!/bin/sh
# The broker of one pod of a burst. The operator numbers its pods; the words of each one's command are the lines of a
# file. The copies of the files are for their user alone, as Flux wants its certificate.
set -eu
umask 077
deadline=${{FLUX_BURST_DEADLINE:?}}
left=$((deadline - $(date +%s)))
if [ "$deadline" -gt 0 ] && [ "$left" -le 0 ]; then
    echo "flux-burst: the deadline of this burst has passed"
    exit 0
fi
mkdir -p {FOLDER}
cp {FILES}/* {FOLDER}/
set --
while IFS= read -r word; do
    set -- "$@" "$word"
done < "{FOLDER}/broker.${{JOB_COMPLETION_INDEX:?}}"
if [ "$deadline" -gt 0 ]; then
    exec timeout -k 60 "$left" "$@"
fi
exec "$@"
"""
INIT = f"exec /bin/sh {FILES}/start"


@dataclass(frozen=True, slots=True)
class Template:
    """What all MiniClusters of a plugin have in common.

    environment: of the brokers. node_selector, tolerations: as pods have them. user: the user's number that brokers
    run as, which must be that of the lead. gpu: the resource that a shape's GPUs are.
    """

    image: str
    user: int
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: str = ""
    pull_secret: str = ""
    service_account: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, str]] = ()
    gpu: str = "nvidia.com/gpu"
    share_nodes: bool = False


def labels(owner: str, name: str) -> dict[str, str]:
    """The mark of a burst. Raises ConfigurationError where a value can't be a label's."""
    for what, value in (("owner", owner), ("name", name)):
        if not _LABEL.fullmatch(value):
            raise ConfigurationError(f"the {what} {value[:80]!r} can't be the value of a Kubernetes label")
    return {OWNER: owner, NAME: name}


def is_mark(name: str) -> bool:
    """Whether a label's value can be the name of a burst that has objects."""
    return bool(_OBJECT.fullmatch(f"burst-{name}"))


def object_name(burst: str) -> str:
    """Of the MiniCluster and of the Secret: the same for one burst, always. Raises ConfigurationError.

    Services and host names begin with a letter (RFC 1035); names of bursts need not.
    """
    name = f"burst-{burst}"
    if not _OBJECT.fullmatch(name) or len(name) > LONGEST - 6:  # "-12345" of its pods' host names
        raise ConfigurationError(
            f"the name {burst[:80]!r} can't be that of a Kubernetes object: a-z, 0-9, '-', up to 51"
        )
    return name


def namespace(text: str) -> str:
    """A namespace. Raises ConfigurationError for what can't be the name of one."""
    if not _OBJECT.fullmatch(text) or len(text) > LONGEST:
        raise ConfigurationError(f"{text[:80]!r} can't be the name of a namespace: a-z, 0-9 and '-'")
    return text


def minicluster(burst: Burst, shape: NodeShape, lead: Lead, template: Template, now: float) -> dict[str, Any]:
    """The MiniCluster of a burst; one pod for each of its hosts. Raises ConfigurationError."""
    mark = labels(lead.owner, burst.name)
    name = object_name(burst.name)
    deadline = str(int(burst.deadline))
    environment = {**template.environment, "FLUX_BURST_DEADLINE": deadline}
    container: dict[str, Any] = {
        "image": template.image,
        "runFlux": True,
        "commands": {"init": INIT},
        "environment": {key: literal(value) for key, value in environment.items()},
        "volumes": {name: {"secretName": name, "path": FILES, "readOnly": True}},
        "resources": resources(shape, template.gpu),
        "securityContext": {"runAsUser": template.user},
    }
    if template.workdir:
        container["workingDir"] = template.workdir
    if template.pull_secret:
        container["imagePullSecret"] = template.pull_secret
    pod: dict[str, Any] = {
        "labels": mark,
        "annotations": {DEADLINE: deadline},
        "restartPolicy": "Never",  # a pod that failed keeps its log; its Job makes another
        "automountServiceAccountToken": False,
    }
    if template.service_account:
        pod["serviceAccountName"] = template.service_account
    if template.node_selector:
        pod["nodeSelector"] = dict(template.node_selector)
    if template.tolerations:
        pod["tolerations"] = [dict(one) for one in template.tolerations]
    spec: dict[str, Any] = {
        "size": burst.nodes,
        "tasks": burst.nodes,
        "interactive": True,  # no job of its own
        "cleanup": False,
        "backoffLimit": TRIES,
        "jobLabels": mark,
        "pod": pod,
        "network": {"headlessName": name, "disableAffinity": template.share_nodes},
        "flux": {"container": {"disable": True, "image": template.image}},  # Flux is in the image
        "containers": [container],
    }
    if burst.deadline:
        spec["deadlineSeconds"] = burst.left(now)
    about = {"name": name, "labels": mark, "annotations": {DEADLINE: deadline, HOSTS: ",".join(burst.hosts)}}
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "metadata": about, "spec": spec}


def files(burst: Burst, lead: Lead, flux: str) -> dict[str, str]:
    """What the pods of a burst read, the certificate included: the lead's files, and each broker's command.

    Raises ConfigurationError, and LeadError where a file can't be read or a host is no slot.
    """
    data = {"start": START, **lead.files(FOLDER), **lead.secrets()}
    for index, host in enumerate(burst.hosts):
        words = lead.broker(host, folder=FOLDER, flux=flux)
        if any("\n" in word for word in words):
            raise ConfigurationError("a line break can't be in the command of a broker")
        data[f"broker.{index}"] = "".join(f"{word}\n" for word in words)
    return data


def secret(found: Mapping[str, Any], data: Mapping[str, str]) -> dict[str, Any]:
    """The Secret of a MiniCluster that exists, with which it goes."""
    meta = found["metadata"]
    owner = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "name": meta["name"], "uid": meta["uid"]}
    about = {"name": meta["name"], "labels": meta["labels"], "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": about, "stringData": dict(data)}


def resources(shape: NodeShape, gpu: str) -> dict[str, dict[str, Any]]:
    """What a pod asks for, and may use: the whole of its shape."""
    asked: dict[str, Any] = {"cpu": str(amount(shape.holds, "cores"))}
    if (memory := shape.holds.get("memory")) is not None:
        asked["memory"] = str(memory.size)
    if gpus := amount(shape.holds, "gpus"):
        asked[gpu] = str(gpus)
    return {"requests": asked, "limits": dict(asked)}


def literal(value: str) -> str:
    """A value of a container's environment as it is: Kubernetes reads `$(NAME)` as a reference and `$$` as `$`."""
    return value.replace("$", "$$")


def pairs(texts: Sequence[str], what: str) -> dict[str, str]:
    """`NAME=VALUE` texts. Raises ConfigurationError."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"{what} is written NAME=VALUE, not {text[:60]!r}")
        found[name] = value
    return found


def environment(texts: Sequence[str]) -> dict[str, str]:
    """The environment of brokers from `NAME=VALUE` texts. Raises ConfigurationError."""
    found = pairs(texts, "env")
    for name, value in found.items():
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            raise ConfigurationError(f"env: {name[:60]!r} can't be the name of a variable, or its value has a NUL")
    return found


def toleration(text: str) -> dict[str, str]:
    """`KEY[=VALUE][:EFFECT]`, as kubectl has taints. Raises ConfigurationError."""
    rest, colon, effect = text.rpartition(":") if ":" in text else (text, "", "")
    key, equals, value = rest.partition("=")
    if not key or (colon and effect not in {"NoSchedule", "PreferNoSchedule", "NoExecute"}):
        raise ConfigurationError(f"a toleration is written KEY[=VALUE][:EFFECT], not {text[:60]!r}")
    made = {"key": key, "operator": "Equal" if equals else "Exists"}
    return made | ({"value": value} if equals else {}) | ({"effect": effect} if colon else {})
