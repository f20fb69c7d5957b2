"""The connection to AWS, and what its errors mean."""

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

# Amazon EC2 API Reference, "Error codes for the Amazon EC2 API": client and server error codes.
_KINDS: dict[type[ProviderError], tuple[str, ...]] = {
    CapacityError: (
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientCapacity",
        "InsufficientReservedInstanceCapacity",
        "InsufficientFreeAddressesInSubnet",
        "InsufficientAddressCapacity",
        "SpotMaxPriceTooLow",
        "UnfulfillableCapacity",
    ),
    QuotaError: (
        "InstanceLimitExceeded",
        "VcpuLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "MaxSpotFleetRequestCountExceeded",
        "VolumeLimitExceeded",
        "AddressLimitExceeded",
        "NetworkInterfaceLimitExceeded",
        "PendingVerification",
        "AccountLimitExceeded",
    ),
    AuthenticationError: (
        "AuthFailure",
        "UnauthorizedOperation",
        "AccessDenied",
        "AccessDeniedException",
        "Blocked",
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "OptInRequired",
        "PendingSubscription",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
    UncertainError: (
        "IdempotentParameterMismatch",
        "IdempotentInstanceTerminated",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailable",
        "Unavailable",
        "Server.InternalError",
        "RequestTimeout",
    ),
}
_KIND_OF = {code: kind for kind, codes in _KINDS.items() for code in codes}
# Of botocore's own errors, by the name of the class: what is wrong with the credentials, and with the settings.
_CREDENTIALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "SSOError",
    "NoAuthTokenError",
    "LoginError",
)
# No answer, or half of one: what was asked may have been done.
_NO_ANSWER = ("HTTPClientError", "ConnectionError", "ResponseParserError", "IncompleteReadError", "ChecksumError")
MISSING = "boto3 is missing: pip install 'flux-burst[ec2]'"


def connect(service: str, region: str | None, profile: str | None, endpoint_url: str | None) -> Any:
    """A client of boto3. Raises ConfigurationError or AuthenticationError."""
    try:
        boto3, config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
    except ImportError:
        raise ConfigurationError(MISSING) from None
    # A call returns within a minute. What is sent again is the very same request, with its client token.
    settings = config.Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
    with answers("connect"):
        session = boto3.session.Session(profile_name=profile or None, region_name=region or None)
        return session.client(service, endpoint_url=endpoint_url or None, config=settings)


@contextmanager
def answers(what: str) -> Iterator[None]:
    """Turns an error of boto3 into ours. what: the call, for the message."""
    exceptions = importlib.import_module("botocore.exceptions")
    parsers = importlib.import_module("botocore.parsers")
    try:
        yield
    except exceptions.ClientError as error:
        raise refused(what, error) from error
    except (exceptions.BotoCoreError, parsers.ResponseParserError) as error:
        names = {kind.__name__ for kind in type(error).__mro__}
        kind: type[ProviderError] = ConfigurationError
        if not names.isdisjoint(_CREDENTIALS):
            kind = AuthenticationError
        elif not names.isdisjoint(_NO_ANSWER):
            kind = UncertainError
        raise kind(f"{what}: {one_line(str(error))}") from error


def code_of(error: BaseException | None) -> str:
    """The code that AWS gave for an error, "" if it gave none."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def refused(what: str, error: Any) -> ProviderError:
    """Our error for an answer of AWS that says no."""
    code = code_of(error)
    message = str(error.response.get("Error", {}).get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind = _KIND_OF.get(code)
    if kind is None:
        kind = UncertainError if status >= 500 or not code or code == str(status) else ConfigurationError
    # The encoded part of a refusal tells the account's policies to those who may decode it, and nothing to a reader.
    plain = message.partition("Encoded authorization failure message")[0]
    return kind(f"{what}: {code}: {one_line(plain)}" if plain.strip() else f"{what}: {code or f'HTTP {status}'}")
