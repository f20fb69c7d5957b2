"""What the API server refuses in a Job: batch/v1 and core/v1 validation, with unknown fields refused (kubectl's own
default, `--validate=strict`)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from resources.errors import InputError
from resources.units import quantity

from jobspec.kubernetes import schema
from jobspec.kubernetes.manifest import Manifest
from jobspec.kubernetes.names import is_label, is_label_key, is_label_value, is_subdomain, is_variable
from jobspec.kubernetes.paths import child

Amounts = Mapping[str, Fraction]
_NAME = "lower-case letters, digits and -, beginning and ending with a letter or digit"
_OVERCOMMITTED = {"cpu", "memory", "ephemeral-storage"}


def check(job: Manifest) -> None:
    """Raise ScriptError for the first thing that the API server refuses."""
    top = job.mapping(job.value, "", schema.JOB)
    _metadata(job, top.get("metadata"), "metadata", named=True)
    if not isinstance(top.get("spec"), dict):
        raise job.refuse("spec", "a Job needs one")
    spec = job.mapping(top["spec"], "spec", schema.JOB_SPEC)
    for name in ("parallelism", "completions", "backoffLimit", "backoffLimitPerIndex", "ttlSecondsAfterFinished"):
        job.whole(spec.get(name), f"spec.{name}")
    job.whole(spec.get("activeDeadlineSeconds"), "spec.activeDeadlineSeconds", most=2**63 - 1)
    job.flag(spec.get("suspend"), "spec.suspend")
    mode = spec.get("completionMode")
    if mode not in (None, "NonIndexed", "Indexed"):
        raise job.refuse("spec.completionMode", "must be NonIndexed or Indexed")
    if mode == "Indexed" and spec.get("completions") is None:
        raise job.refuse("spec.completions", "an Indexed Job needs it")
    if mode != "Indexed" and spec.get("backoffLimitPerIndex") is not None:
        raise job.refuse("spec.backoffLimitPerIndex", "only an Indexed Job has it")
    if mode == "Indexed" and (spec.get("parallelism") or 0) > 100_000:
        raise job.refuse("spec.parallelism", "must be at most 100000 in an Indexed Job")
    template = job.mapping(spec.get("template"), "spec.template", schema.TEMPLATE)
    _metadata(job, template.get("metadata"), "spec.template.metadata")
    _pod(job, job.mapping(template.get("spec"), schema.POD, schema.POD_SPEC), spec)


def _metadata(job: Manifest, value: object, path: str, *, named: bool = False) -> None:
    data = job.mapping(value, path, schema.METADATA)
    name = data.get("name")
    if named and name is None and data.get("generateName") is None:
        raise job.refuse(path, "a Job needs a name")
    if name is not None and not is_subdomain(name):
        raise job.refuse(f"{path}.name", f"a name has {_NAME} (DNS-1123)", _named(name))
    if named and isinstance(name, str) and len(name) > 63:
        raise job.refuse(f"{path}.name", "must be at most 63 characters: its pods have it as a label")
    if data.get("namespace") is not None and not is_label(data["namespace"]):
        raise job.refuse(f"{path}.namespace", f"a name has {_NAME}")
    labels(job, data.get("labels"), f"{path}.labels")
    for key, text in job.mapping(data.get("annotations"), f"{path}.annotations").items():
        job.text(text, child(f"{path}.annotations", key))


def _named(name: object) -> str:
    if isinstance(name, str) and ("{{" in name or "$" in name or "@@" in name):
        return "a template: fill it in first"
    return ""


def labels(job: Manifest, value: object, path: str) -> dict[str, str]:
    """A mapping of labels."""
    found = job.mapping(value, path)
    for key, text in found.items():
        here = child(path, key)
        job.text(text, here)
        if not is_label_key(key) or not is_label_value(text):
            raise job.refuse(here, "no label: letters, digits, -, _ and ., at most 63, from a letter or digit to one")
    return found


def _pod(job: Manifest, pod: dict[str, Any], spec: dict[str, Any]) -> None:
    path = schema.POD
    containers = job.items(pod.get("containers"), f"{path}.containers")
    if not containers:
        raise job.refuse(f"{path}.containers", "a pod needs a container")
    policy = pod.get("restartPolicy")
    if policy not in ("Never", "OnFailure"):
        given = "Always is the default" if policy is None else f"not {str(policy)[:40]}"
        raise job.refuse(f"{path}.restartPolicy", f"must be Never or OnFailure in a Job; {given}")
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        raise job.refuse("spec.podFailurePolicy", "needs restartPolicy Never")
    job.whole(pod.get("activeDeadlineSeconds"), f"{path}.activeDeadlineSeconds", 1)
    job.whole(pod.get("terminationGracePeriodSeconds"), f"{path}.terminationGracePeriodSeconds", most=2**63 - 1)
    labels(job, pod.get("nodeSelector"), f"{path}.nodeSelector")
    for name in ("subdomain", "hostname"):
        if pod.get(name) is not None and not is_label(pod[name]):
            raise job.refuse(f"{path}.{name}", f"a name has {_NAME}")
    if pod.get("priorityClassName") is not None:
        job.text(pod["priorityClassName"], f"{path}.priorityClassName")
    for name in ("affinity", "resources"):
        job.mapping(pod.get(name), f"{path}.{name}")
    _named_items(job, pod.get("volumes"), f"{path}.volumes")
    names = set[str]()
    for kind in ("initContainers", "containers"):
        for index, entry in enumerate(job.items(pod.get(kind), f"{path}.{kind}")):
            names.add(_container(job, entry, f"{path}.{kind}[{index}]", names))


def _named_items(job: Manifest, value: object, path: str) -> None:
    for index, one in enumerate(job.items(value, path)):
        if not is_label(job.mapping(one, f"{path}[{index}]").get("name")):
            raise job.refuse(f"{path}[{index}]", f"needs a name of {_NAME}")


def beside(document: Manifest) -> None:
    """Raise ScriptError where a document of another kind is no object at all."""
    for key in ("apiVersion", "kind"):
        if not isinstance(document.value.get(key), str) or not document.value[key]:
            raise document.refuse(key, f"an object needs {key}")
    data = document.mapping(document.value.get("metadata"), "metadata")
    for key in ("name", "namespace"):
        if data.get(key) is not None and not isinstance(data[key], str):
            raise document.refuse(f"metadata.{key}", "must be text")
    if not (data.get("name") or data.get("generateName")):
        raise document.refuse("metadata", "an object needs a name")


def _container(job: Manifest, value: object, path: str, names: set[str]) -> str:
    entry = job.mapping(value, path, schema.CONTAINER)
    name = entry.get("name")
    if not isinstance(name, str) or not is_label(name):
        raise job.refuse(f"{path}.name", f"a container needs a name of {_NAME}")
    if name in names:
        raise job.refuse(f"{path}.name", f"a second container named {name}")
    if not isinstance(entry.get("image"), str) or not entry["image"].strip():
        raise job.refuse(f"{path}.image", "a container needs an image")
    for key in ("command", "args"):
        for index, word in enumerate(job.items(entry.get(key), f"{path}.{key}")):
            job.text(word, f"{path}.{key}[{index}]")
    for index, one in enumerate(job.items(entry.get("env"), f"{path}.env")):
        here = f"{path}.env[{index}]"
        variable = job.mapping(one, here, schema.VARIABLE)
        if not is_variable(variable.get("name")):
            raise job.refuse(f"{here}.name", "no name of a variable")
        if variable.get("value") is not None:
            job.text(variable["value"], f"{here}.value")
            if variable.get("valueFrom") is not None:
                raise job.refuse(here, "has either value or valueFrom")
    _named_items(job, entry.get("volumeMounts"), f"{path}.volumeMounts")
    if entry.get("workingDir") is not None:
        job.text(entry["workingDir"], f"{path}.workingDir")
    amounts(job, entry.get("resources"), f"{path}.resources")
    return name


def amounts(job: Manifest, value: object, path: str) -> tuple[Amounts, Amounts]:
    """The requests, which default to the limits, and the limits of a container or pod."""
    entry = job.mapping(value, path, schema.RESOURCES)
    limits = _quantities(job, entry.get("limits"), f"{path}.limits")
    requests = _quantities(job, entry.get("requests"), f"{path}.requests")
    for name, amount in requests.items():
        here = child(f"{path}.requests", name)
        limit = limits.get(name)
        if limit is not None and amount > limit:
            raise job.refuse(here, "is more than the limit")
        if name not in _OVERCOMMITTED and not name.startswith("hugepages-") and limit != amount:
            raise job.refuse(here, "must be the same as the limit for this resource")
    return {**limits, **requests}, limits


def _quantities(job: Manifest, value: object, path: str) -> dict[str, Fraction]:
    found = {}
    for name, text in job.mapping(value, path).items():
        here = child(path, name)
        try:
            found[name] = quantity(text)
        except InputError as error:
            template = isinstance(text, str) and any(mark in text for mark in ("{", "$", "@@", "<", "%"))
            raise job.refuse(here, error.message, "a template: fill it in first" if template else "") from None
        if name not in _OVERCOMMITTED and ("/" not in name and not name.startswith("hugepages-")):
            raise job.refuse(here, "no resource of containers: cpu, memory, ephemeral-storage, or one with a domain")
        if "/" in name and (not is_label_key(name) or found[name].denominator != 1):
            raise job.refuse(here, "must be a whole number of a resource such as nvidia.com/gpu")
    return found
