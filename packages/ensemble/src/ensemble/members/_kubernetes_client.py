"""A connection to a Kubernetes API server, from a kubeconfig or from inside of a pod. TLS is always verified."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ensemble.errors import MemberError
from ensemble.member import Unreachable

CONNECTIONS = 8
WAIT = (10.0, 60.0)  # seconds to connect, and to be answered


def missing() -> str:
    """Why the library can't be used, empty where it can."""
    from importlib.util import find_spec

    return "" if find_spec("kubernetes") else "its library is not installed: pip install 'ensemble-python[kubernetes]'"


def connect(member: str, settings: Mapping[str, Any]) -> tuple[Any, str]:
    """A client and the namespace to use. settings: `kubeconfig`, `context`, `namespace`. Raises MemberError."""
    from kubernetes import client, config
    from kubernetes.config.config_exception import ConfigException

    configuration = client.Configuration()
    namespace = str(settings.get("namespace") or "")
    try:
        if settings.get("kubeconfig") or settings.get("context") or not _inside():
            file, context = settings.get("kubeconfig"), settings.get("context")
            config.load_kube_config(config_file=file, context=context, client_configuration=configuration)
            if not namespace:
                entries, active = config.list_kube_config_contexts(config_file=file)
                chosen = next((entry for entry in entries if entry["name"] == context), active)
                namespace = chosen["context"].get("namespace", "")
        else:
            config.load_incluster_config(client_configuration=configuration)
            namespace = namespace or _own_namespace()
    except (ConfigException, OSError, KeyError, ValueError, TypeError) as error:
        raise MemberError(member, f"no way to a cluster: {' '.join(str(error).split())}") from None
    if not configuration.verify_ssl:
        raise MemberError(member, "the kubeconfig turns the check of certificates off (insecure-skip-tls-verify)")
    configuration.retries = 1
    configuration.connection_pool_maxsize = CONNECTIONS
    return client.ApiClient(configuration), namespace or "default"


def _inside() -> bool:
    from os import environ

    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and not environ.get("KUBECONFIG")


def _own_namespace() -> str:
    from pathlib import Path

    return Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text().strip()


def version(api: Any) -> tuple[int, int]:
    """Of the server: major and minor."""
    from kubernetes import client

    told = client.VersionApi(api).get_code(_request_timeout=WAIT)
    major, minor = (int(re.sub(r"\D.*", "", text) or 0) for text in (told.major, told.minor))
    return major, minor


def told(error: Exception) -> tuple[int, str]:
    """The HTTP status (0: no answer) and the server's message, without the headers that the error holds, too."""
    import json

    status = int(getattr(error, "status", 0) or 0)
    text = str(getattr(error, "reason", "") or "")
    with suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(getattr(error, "body", None) or "")["message"])
    return status, text or type(error).__name__


def translate(member: str, error: Exception, what: str) -> MemberError:
    """What a failed call means for a run: Unreachable where trying again may help."""
    status, text = told(error)
    if status in (401, 403, 404):
        return MemberError(member, f"{what}: the server says {status}: {text}")
    return Unreachable(member, f"{what}: {f'the server says {status}: ' if status else ''}{text}")
