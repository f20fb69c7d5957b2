"""A Kubernetes API server as the plugins ask it: every call has a time limit. TLS is always verified."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fluxburst.burstables._minicluster import GROUP, PLURAL, VERSION
from fluxburst.burstables._refusals import absent, told, translate
from fluxburst.errors import ConfigurationError, UncertainError
from fluxburst.texts import one_line

WAIT = (5.0, 20.0)  # seconds to connect, and to be answered
PAGE = 500  # objects of one answer to a list
CONNECTIONS = 4


class Cluster:
    """One API server. api: a client of it; namespace: where things are made that say nothing else."""

    def __init__(self, api: Any, namespace: str = "default") -> None:
        from kubernetes import client

        self.namespace = namespace
        self.core, self._objects = client.CoreV1Api(api), client.CustomObjectsApi(api)
        self._batch = client.BatchV1Api(api)

    def find(self, name: str, namespace: str) -> dict[str, Any] | None:
        """A MiniCluster as it is now (a consistent read), None where there is none. Raises ProviderError."""
        place = (GROUP, VERSION, namespace, PLURAL, name)
        try:
            return _data(self._objects.get_namespaced_custom_object(*place, **QUIET))
        except Exception as error:  # noqa: BLE001 - urllib3's and the client's have no common base
            if absent(error):
                return None
            raise translate(error, f"looking at MiniCluster {namespace}/{name}") from None

    def make(self, body: Mapping[str, Any], namespace: str) -> dict[str, Any] | None:
        """Make a MiniCluster; None where there is one of that name. Raises ProviderError."""
        what = f"making MiniCluster {namespace}/{body['metadata']['name']}"
        try:
            return _data(
                self._objects.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body, **QUIET)
            )
        except Exception as error:  # noqa: BLE001
            if told(error)[0] == 409:
                return None
            raise translate(error, what) from None

    def keep(self, body: Mapping[str, Any], namespace: str) -> None:
        """Make a Secret, if there is none of that name of the same owner. Raises ProviderError."""
        meta = body["metadata"]
        what = f"making Secret {namespace}/{meta['name']}"
        try:
            self.core.create_namespaced_secret(namespace, body, **QUIET)
        except Exception as error:  # noqa: BLE001
            if told(error)[0] != 409:
                raise translate(error, what, secret=True) from None
            try:
                found = _data(self.core.read_namespaced_secret(meta["name"], namespace, **QUIET))
            except Exception as other:  # noqa: BLE001
                raise translate(other, what, secret=True) from None
            if _owners(found) != _owners(body):
                raise ConfigurationError(
                    f"Secret {namespace}/{meta['name']} belongs to something else: "
                    f"kubectl -n {namespace} delete secret {meta['name']}"
                ) from None

    def delete(self, found: Mapping[str, Any]) -> None:
        """Have a MiniCluster end with all that it owns, its pods first. One that is not there is no error."""
        meta = found["metadata"]
        place = (GROUP, VERSION, meta["namespace"], PLURAL, meta["name"])
        body = {"propagationPolicy": "Foreground", "preconditions": {"uid": meta["uid"]}}
        try:
            self._objects.delete_namespaced_custom_object(*place, body=body, **QUIET)
        except Exception as error:  # noqa: BLE001
            # 409: one of the same name with another uid, so that this one is not there.
            if not absent(error) and told(error)[0] != 409:
                raise translate(error, f"deleting MiniCluster {meta['namespace']}/{meta['name']}") from None

    def sweep(self, namespace: str, selector: str) -> None:
        """Delete the Jobs, pods and Secrets that a MiniCluster without its owner's end has left behind."""
        calls = {
            "Jobs": self._batch.delete_collection_namespaced_job,
            "pods": self.core.delete_collection_namespaced_pod,
            "Secrets": self.core.delete_collection_namespaced_secret,
        }
        for what, call in calls.items():
            try:
                call(namespace, label_selector=selector, propagation_policy="Background", **QUIET)
            except Exception as error:  # noqa: BLE001
                if not absent(error):
                    raise translate(error, f"deleting {what} of {selector} in {namespace}") from None

    def list(self, kind: str, namespaces: Sequence[str], selector: str) -> list[dict[str, Any]]:
        """All `miniclusters`, `jobs` or `pods` of these namespaces, "*" for every one. Raises ProviderError."""
        crd = (GROUP, VERSION)
        wide: Mapping[str, Callable[..., Any]] = {
            "miniclusters": lambda **o: self._objects.list_cluster_custom_object(*crd, PLURAL, **o),
            "jobs": self._batch.list_job_for_all_namespaces,
            "pods": self.core.list_pod_for_all_namespaces,
        }
        narrow: Mapping[str, Callable[..., Any]] = {
            "miniclusters": lambda place, **o: self._objects.list_namespaced_custom_object(*crd, place, PLURAL, **o),
            "jobs": self._batch.list_namespaced_job,
            "pods": self.core.list_namespaced_pod,
        }
        if "*" in namespaces:
            return _pages(wide[kind], f"listing {kind}", selector)
        found: list[dict[str, Any]] = []
        for place in namespaces:
            call = narrow[kind]
            found += _pages(
                lambda call=call, place=place, **o: call(place, **o), f"listing {kind} in {place}", selector
            )
        return found

    def log(self, name: str, namespace: str, container: str, *, previous: bool) -> str:
        """The end of what a container printed; "" where that can't be had."""
        with suppress(Exception):  # whatever it is: a log is no reason to know nothing of all bursts
            answer = self.core.read_namespaced_pod_log(
                name,
                namespace,
                container=container,
                previous=previous,
                tail_lines=40,
                limit_bytes=16384,
                _preload_content=False,
                _request_timeout=WAIT,
            )
            return bytes(answer.data).decode(errors="replace")
        return ""


QUIET: Mapping[str, Any] = {"_preload_content": False, "_request_timeout": WAIT}


def connect(kubeconfig: Path | None, context: str | None, namespace: str | None) -> Cluster:
    """A cluster from a kubeconfig, or from inside of a pod where none is named. Raises ConfigurationError."""
    from os import environ

    try:
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException
        from yaml import YAMLError  # the client's own reader
    except ImportError:
        raise ConfigurationError(
            "the Kubernetes client is not installed: pip install 'flux-burst[kubernetes]'"
        ) from None
    configuration = client.Configuration()
    place = namespace or ""
    inside = environ.get("KUBERNETES_SERVICE_HOST") and not environ.get("KUBECONFIG")
    try:
        if kubeconfig or context or not inside:
            file = str(kubeconfig) if kubeconfig else None
            config.load_kube_config(config_file=file, context=context, client_configuration=configuration)
            entries, active = config.list_kube_config_contexts(config_file=file)
            chosen = next((entry for entry in entries if entry["name"] == context), active)
            place = place or chosen["context"].get("namespace", "")
        else:
            config.load_incluster_config(client_configuration=configuration)
            place = place or Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text().strip()
    except (ConfigException, OSError) as error:
        raise ConfigurationError(f"no way to a cluster: {one_line(str(error))}") from None
    except (YAMLError, KeyError, ValueError, TypeError, AttributeError) as error:  # may quote the file
        raise ConfigurationError(f"no way to a cluster: the kubeconfig is damaged ({type(error).__name__})") from None
    return Cluster(client_of(configuration), place or "default")


def client_of(configuration: Any) -> Any:
    """A client that asks once. Raises ConfigurationError where certificates are not to be checked."""
    from kubernetes import client

    if not configuration.verify_ssl:
        raise ConfigurationError("the kubeconfig turns the check of certificates off (insecure-skip-tls-verify)")
    configuration.retries = False
    configuration.connection_pool_maxsize = CONNECTIONS
    return client.ApiClient(configuration)


def _pages(call: Callable[..., Any], what: str, selector: str) -> list[dict[str, Any]]:
    """All objects of a list, page by page; begun anew once if a page has expired (410). Raises ProviderError.

    Without a `resourceVersion` a list is consistent ("Resource versions", Kubernetes API Concepts).
    """
    for again in (True, False):
        items: list[dict[str, Any]] = []
        options: dict[str, Any] = {}
        try:
            while True:
                data = _data(call(label_selector=selector, limit=PAGE, **options, **QUIET))
                items += data.get("items") or []
                rest = data["metadata"].get("continue")
                if not rest:
                    return items
                options = {"_continue": rest}
        except Exception as error:  # noqa: BLE001
            if told(error)[0] == 410 and again:
                continue
            raise translate(error, what) from None
    raise UncertainError(f"{what}: it changes too fast")


def _data(answer: Any) -> dict[str, Any]:
    return dict(json.loads(answer.data))


def _owners(found: Mapping[str, Any]) -> set[str]:
    return {str(one.get("uid")) for one in found["metadata"].get("ownerReferences") or ()}
