"""Who may connect, and how: tokens, TLS, and plain text on loopback only."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from ensemble.errors import ServiceError
from ensemble.service import PORT

TOKEN_FILE = "token"  # noqa: S105 - the name of a file
TOKEN_VARIABLE = "ENSEMBLE_TOKEN"  # noqa: S105
SHORTEST_TOKEN = 16
LARGEST_MESSAGE = 4 << 20
# Pings every 20 s find a connection that has died without a word within half a minute.
_KEEPALIVE = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
_SIZES = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
)
SERVER_OPTIONS = (
    *_KEEPALIVE,
    *_SIZES,
    ("grpc.http2.max_ping_strikes", 0),  # on a machine that is busy several come at once
    ("grpc.so_reuseport", 0),  # else a second server on the same port would take half of the connections
)
CLIENT_OPTIONS = (
    *_KEEPALIVE,
    *_SIZES,
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


@dataclass(frozen=True, slots=True)
class Address:
    """HOST:PORT; an IPv6 host is in brackets."""

    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> Address:
        """Raises ServiceError."""
        host, colon, port = text.rpartition(":")
        if not colon or (":" in host and not host.startswith("[")) or text.endswith("]"):
            host, port = text, str(PORT)
        if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ServiceError(f"{text!r} is no HOST:PORT (an IPv6 address is in brackets: [::1]:{PORT})")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine for certain: other names than `localhost` are for a name server to say."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_secret(path: Path, what: str) -> bytes:
    """A file that nobody else may read. Raises ServiceError."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ServiceError(f"others may read the {what} {path}: chmod 600 {path}")
            if status.st_uid not in (os.geteuid(), 0):
                raise ServiceError(f"the {what} {path} belongs to another user")
            return file.read(1 << 20)
    except OSError as error:
        raise ServiceError(f"can't read the {what} {path}: {error.strerror}") from None


def read_tokens(path: Path) -> tuple[str, ...]:
    """The tokens of a server, one a line; `#` starts a comment. Raises ServiceError."""
    try:
        text = read_secret(path, "token file").decode("ascii")
    except UnicodeDecodeError:
        raise ServiceError(f"{path}: a token is printable ASCII") from None
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    if not tokens:
        raise ServiceError(f"{path} has no token")
    for number, token in enumerate(tokens, 1):
        if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
            raise ServiceError(f"{path}: token {number} must have {SHORTEST_TOKEN} or more characters and no blanks")
    return tokens


def own_token(folder: Path) -> tuple[str, ...]:
    """The token of a server on loopback that was given none, made at its first start. Raises ServiceError."""
    path = folder / TOKEN_FILE
    if not path.exists():
        new = path.with_name("token.new")
        try:
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
            new.rename(path)
        except OSError as error:
            raise ServiceError(f"{path}: {error.strerror}") from None
    return read_tokens(path)


def client_token(file: Path | None, environment: Mapping[str, str], default: Path) -> str:
    """From the file, else $ENSEMBLE_TOKEN, else what a server of this user keeps. Raises ServiceError."""
    if file is None and (token := environment.get(TOKEN_VARIABLE, "").strip()):
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ServiceError(f"${TOKEN_VARIABLE} is no token: it is printable ASCII without blanks")
        return token
    if file is None and not default.exists():
        raise ServiceError(
            f"no token: give --token-file FILE or set ${TOKEN_VARIABLE} (there is no {default} either:"
            " `ensemble-server start` makes it)"
        )
    return read_tokens(file or default)[0]


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. For a server cert and key are needed, and `ca` is whom clients' certificates must be from."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.ca or self.cert or self.key)

    def _pair(self) -> tuple[bytes, bytes] | None:
        if not self.cert and not self.key:
            return None
        if not self.cert or not self.key:
            raise ServiceError("--cert and --key belong together")
        return read_secret(self.key, "key"), _read(self.cert, "certificate")

    def server(self) -> Any:
        """Raises ServiceError."""
        pair = self._pair()
        if pair is None:
            raise ServiceError("TLS needs --cert and --key")
        ca = _read(self.ca, "certificate") if self.ca else None
        return grpc.ssl_server_credentials([pair], ca, require_client_auth=ca is not None)

    def client(self) -> Any:
        """Raises ServiceError."""
        key, cert = self._pair() or (None, None)
        ca = _read(self.ca, "certificate") if self.ca else None
        return grpc.ssl_channel_credentials(ca, key, cert)


def _read(path: Path, what: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ServiceError(f"can't read the {what} {path}: {error.strerror}") from None
    if b"-----BEGIN" not in data:
        raise ServiceError(f"the {what} {path} is not PEM")
    return data


def bind(server: Any, address: Address, tls: Tls) -> Address:
    """Listen; the address with the port that was taken. Raises ServiceError."""
    if not tls and not address.is_loopback:
        raise ServiceError(
            f"{address} is not loopback, where plain text could be read by others: give --cert and --key for TLS"
        )
    try:
        if tls:
            port = server.add_secure_port(str(address), tls.server())
        else:
            port = server.add_insecure_port(str(address))
    except RuntimeError:
        raise ServiceError(
            f"can't listen on {address}: the port is taken, the address is not this machine's,"
            " or certificate and key don't fit"
        ) from None
    return Address(address.host, port)


def dial(address: Address, tls: Tls, *, use_tls: bool) -> Any:
    """A channel to a server (connected later). Raises ServiceError."""
    if tls or use_tls:
        return grpc.aio.secure_channel(str(address), tls.client(), options=CLIENT_OPTIONS)
    if not address.is_loopback:
        raise ServiceError(f"{address} is not loopback, and a token is not sent in plain text: give --tls or --ca FILE")
    # A proxy of the environment would get to see the token.
    return grpc.aio.insecure_channel(str(address), options=(*CLIENT_OPTIONS, ("grpc.enable_http_proxy", 0)))


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


class Guard(grpc.aio.ServerInterceptor):
    """Turns away calls without a token that is good for their service."""

    def __init__(self, clients: Collection[str], agents: Collection[str]) -> None:
        self._tokens = {"Ensembles": [t.encode() for t in clients], "Agents": [t.encode() for t in agents]}

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        if handler is None:
            return handler
        given = b""
        for key, value in details.invocation_metadata or ():
            if key == "authorization":
                given = value.encode() if isinstance(value, str) else value
        kind, _, token = given.partition(b" ")
        token = token.strip() if kind.lower() == b"bearer" else b""
        service = details.method.rpartition("/")[0].rpartition(".")[2]
        # All are compared, each in constant time: how long it takes says nothing about any.
        good = [hmac.compare_digest(token, one) for one in self._tokens.get(service, ())]
        if any(good):
            return handler
        known = [hmac.compare_digest(token, one) for tokens in self._tokens.values() for one in tokens]
        if not token:
            return _refusing(handler, grpc.StatusCode.UNAUTHENTICATED, "a token is needed")
        if any(known):
            return _refusing(handler, grpc.StatusCode.PERMISSION_DENIED, f"this token is not for {service.lower()}")
        return _refusing(handler, grpc.StatusCode.UNAUTHENTICATED, "the token is not known here")


def _refusing(handler: Any, code: Any, text: str) -> Any:
    """A handler of the same kind that only says no."""

    async def unary(request: Any, context: Any) -> None:
        await context.abort(code, text)

    if handler.request_streaming:
        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
    else:
        make = (
            grpc.unary_stream_rpc_method_handler if handler.response_streaming else grpc.unary_unary_rpc_method_handler
        )
    return make(unary, handler.request_deserializer, handler.response_serializer)
