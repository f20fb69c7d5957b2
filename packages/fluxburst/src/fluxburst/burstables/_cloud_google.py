"""The connection to Google Cloud, and what its errors mean."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fluxburst.errors import (
    AuthenticationError,
    CapacityError,
    ConfigurationError,
    ProviderError,
    QuotaError,
    UncertainError,
)
from fluxburst.texts import one_line

# Compute Engine, "Troubleshooting resource availability" and "API errors": codes of an operation, and the reasons of
# an answer that says no.
_KINDS: dict[type[ProviderError], tuple[str, ...]] = {
    CapacityError: (
        "ZONE_RESOURCE_POOL_EXHAUSTED",
        "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
        "STOCKOUT",
        "RESOURCE_POOL_EXHAUSTED",
        "IP_SPACE_EXHAUSTED",
        "VM_MIN_COUNT_NOT_REACHED",
    ),
    QuotaError: ("QUOTA_EXCEEDED", "quotaExceeded", "limitExceeded", "CPUS_PER_VM_QUOTA_EXCEEDED"),
    AuthenticationError: ("forbidden", "required", "authError", "PERMISSIONS_ERROR", "PERMISSION_DENIED"),
    ConfigurationError: ("accessNotConfigured", "SERVICE_DISABLED", "BILLING_DISABLED", "conditionNotMet"),
    UncertainError: ("rateLimitExceeded", "userRateLimitExceeded", "INTERNAL_ERROR", "backendError"),
}
_KIND_OF = {code: kind for kind, codes in _KINDS.items() for code in codes}
_BY_STATUS: dict[int, type[ProviderError]] = {401: AuthenticationError, 403: AuthenticationError, 429: UncertainError}
EXISTS = frozenset({"RESOURCE_ALREADY_EXISTS", "alreadyExists"})
MISSING = "google-cloud-compute is missing: pip install 'flux-burst[google]'"


def connect(client: str, endpoint: str | None) -> Any:
    """A client of `google.cloud.compute_v1` by the name of its class. Raises ConfigurationError, AuthenticationError.

    endpoint: of another service that speaks as Compute Engine does; it is asked without credentials.
    """
    try:
        compute = importlib.import_module("google.cloud.compute_v1")
        options = importlib.import_module("google.api_core.client_options")
        credentials = importlib.import_module("google.auth.credentials")
    except ImportError:
        raise ConfigurationError(MISSING) from None
    with answers("connect"):
        if endpoint:
            nobody = credentials.AnonymousCredentials()
            return getattr(compute, client)(
                credentials=nobody, client_options=options.ClientOptions(api_endpoint=endpoint)
            )
        return getattr(compute, client)()


@contextmanager
def answers(what: str) -> Iterator[None]:
    """Turns an error of Google's libraries into ours. what: the call, for the message."""
    api = importlib.import_module("google.api_core.exceptions")
    auth = importlib.import_module("google.auth.exceptions")
    http = importlib.import_module("requests.exceptions")
    try:
        yield
    except api.GoogleAPICallError as error:
        raise refused(what, error) from error
    except auth.GoogleAuthError as error:
        kind = UncertainError if isinstance(error, auth.TransportError) else AuthenticationError
        raise kind(f"{what}: {one_line(str(error))}") from error
    except (api.RetryError, http.RequestException, TimeoutError, ValueError) as error:
        raise UncertainError(f"{what}: {one_line(str(error)) or type(error).__name__}") from error


def status_of(error: BaseException | None) -> int:
    """The HTTP status of an answer that said no, 0 where there was none."""
    return int(getattr(error, "code", None) or 0)


def refused(what: str, error: Any) -> ProviderError:
    """Our error for an answer that says no (google.api_core's GoogleAPICallError)."""
    reasons = [one.get("reason") for one in error.errors or () if isinstance(one, dict)]
    return _failure(what, [str(one) for one in reasons if one], status_of(error), str(error.message))


def failure_of(what: str, operation: Any) -> ProviderError | None:
    """Our error for an operation that has ended and failed; None where it has not."""
    errors = list(operation.error.errors)
    if not errors and not operation.http_error_status_code:
        return None
    codes = [str(one.code) for one in errors]
    if codes and all(code in EXISTS for code in codes):
        return None
    messages = " ".join(one.message for one in errors if one.message) or str(operation.http_error_message)
    return _failure(what, codes, int(operation.http_error_status_code), messages)


def _failure(what: str, codes: list[str], status: int, message: str) -> ProviderError:
    kind = next((_KIND_OF[code] for code in codes if code in _KIND_OF), None)
    if kind is None:
        kind = _BY_STATUS.get(status) or (ConfigurationError if 400 <= status < 500 else UncertainError)
    return kind(": ".join([what, *codes[:1], one_line(message)]))
