"""What failed requests to a Kubernetes API server mean. Messages never hold a token, a certificate or a request's body.

"API Concepts" and "Status" (meta/v1) of the Kubernetes API say what answers look like.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fluxburst.errors import (
    AuthenticationError,
    ConfigurationError,
    ProviderError,
    QuotaError,
    UncertainError,
)
from fluxburst.texts import one_line

OPERATOR = (
    "the cluster has no MiniClusters: install the Flux Operator (kubectl apply -f flux-operator.yaml of its release)"
)


def absent(error: Exception) -> bool:
    """Whether an answer says that this one object does not exist, and not that there is no such resource."""
    status, _, details = _answer(error)
    return status == 404 and bool(details.get("name"))


def told(error: Exception) -> tuple[int, str]:
    """The HTTP status (0: no answer) and the server's message, without the headers that the error holds, too."""
    status, message, _ = _answer(error)
    return status, message


def _answer(error: Exception) -> tuple[int, str, Mapping[str, Any]]:
    status = int(getattr(error, "status", 0) or 0)
    document: Any = {}
    with suppress(ValueError, TypeError):
        document = json.loads(getattr(error, "body", None) or "{}")
    if not isinstance(document, dict):
        document = {}
    message = str(document.get("message") or getattr(error, "reason", "") or type(error).__name__)
    details = document.get("details")
    return status, one_line(message), details if isinstance(details, dict) else {}


def translate(error: Exception, what: str, *, secret: bool = False) -> ProviderError:
    """What a failed call means. secret: what it sent was one, so that what a server says of values is left out."""
    status, message, details = _answer(error)
    if "custom resource definition is terminating" in message:
        status = 404
    causes = [one for one in details.get("causes") or () if isinstance(one, dict)]
    if not status:
        return _unanswered(error, what)
    if status == 422 or (status == 400 and (causes or secret)):
        fields = "; ".join(
            str(one.get("field", "")) if secret else f"{one.get('field', '')}: {one.get('message', '')}"
            for one in causes
        )
        return ConfigurationError(f"{what}: the server refuses {one_line(fields) or ('it' if secret else message)}")
    text = f"{what}: the server says {status}: {message}"
    if status == 401:
        return AuthenticationError(f"{what}: the credentials are not accepted (401): renew those of the kubeconfig")
    if status == 403:
        if "exceeded quota" in message or "failed quota" in message:
            return QuotaError(text)
        if any(one.get("reason") == "NamespaceTerminating" for one in causes) or "admission webhook" in message:
            return ConfigurationError(text)
        return AuthenticationError(f"{text} (docs/bursting-kubernetes.md has a Role that is enough)")
    if status == 404:
        if details.get("kind") == "namespaces" or message.startswith("namespaces "):
            return ConfigurationError(f"{what}: there is no such namespace: kubectl create namespace NAME")
        return ConfigurationError(f"{what}: {OPERATOR}")
    if status == 429 or status >= 500:
        return UncertainError(text)
    return ConfigurationError(text)


def _unanswered(error: Exception, what: str) -> ProviderError:
    """Of a request without an answer: was it ever sent, and could it be?"""
    from ssl import SSLCertVerificationError

    chain: list[BaseException] = [error]
    while len(chain) < 8:
        last = chain[-1]
        inner = (getattr(last, "reason", None), *last.args, last.__cause__, last.__context__)
        found = next((one for one in inner if isinstance(one, BaseException) and one not in chain), None)
        if found is None:
            break
        chain.append(found)
    if any(isinstance(one, SSLCertVerificationError) for one in chain):
        return ConfigurationError(f"{what}: the server's certificate is not one that the kubeconfig trusts")
    if any(type(one).__name__ in {"RefreshError", "DefaultCredentialsError"} for one in chain):  # of google.auth
        return AuthenticationError(f"{what}: no valid credentials: gcloud auth application-default login")
    if isinstance(error, (TypeError, ValueError)) and not isinstance(error, (UnicodeError, json.JSONDecodeError)):
        return ConfigurationError(f"{what}: the client refuses it: {type(error).__name__}")
    kinds = dict.fromkeys(type(one).__name__ for one in chain)
    return UncertainError(f"{what}: no answer ({', '.join(kinds)})")
