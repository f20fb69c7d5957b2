"""The server on streamable HTTP: loopback, a token always, TLS where others can reach it.

On a host that several people use, loopback is everybody's: whoever has no token learns nothing and runs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import signal
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from resource_secretary.errors import SecretaryError
from resource_secretary.serving.stdio import LARGEST_REQUEST

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from resource_secretary.serving.server import SecretaryServer

PATH = "/mcp"
_CONNECTIONS = 256
_SESSIONS = 128
_IDLE = 30 * 60.0  # seconds until a session that nobody uses is forgotten
_GRACE = 2  # seconds for connections to end when the server does


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a certificate (with its chain) and of its key, in PEM."""

    certificate: str
    key: str

    def check(self) -> None:
        """Raise SecretaryError where they can't be used."""
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                self.certificate, self.key, password=lambda: ""
            )
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            why = getattr(error, "strerror", None) or error
            raise SecretaryError(f"can't use the certificate {self.certificate} and its key: {why}") from None


def address(text: str) -> tuple[str, int]:
    """`[HOST:]PORT`; an IPv6 address is in brackets. Without a host it is 127.0.0.1. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 65536) or (colon and not host):
        raise ValueError(f"[HOST:]PORT is wanted, such as 8765 or [::1]:8765, not {text!r}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"an IPv6 address is written in brackets, not {host!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def listen(host: str, port: int, *, remote: bool, tls: Tls | None) -> socket.socket:
    """A socket that listens there. Raises UsageError for one that others can reach without `remote` and `tls`."""
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise SecretaryError(f"can't listen on {host}: {getattr(error, 'strerror', None) or error}") from None
    if not ipaddress.ip_address(str(place[0]).partition("%")[0]).is_loopback and not (remote and tls):
        raise click.UsageError(
            f"other hosts can reach {host}: give --allow-remote with --tls-cert and --tls-key; or listen on 127.0.0.1 "
            "and let clients come through `ssh -L`"
        )
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(128)
    except OSError as error:
        made.close()
        raise SecretaryError(f"can't listen on {host}, port {port}: {error.strerror}") from None
    return made


def url(sock: socket.socket, tls: Tls | None, names: Sequence[str] = ()) -> str:
    """Where clients find it: by the first of its names, else by the address that it listens at."""
    host = names[0] if names else _bracketed(str(sock.getsockname()[0]))
    return f"{'https' if tls else 'http'}://{host}:{sock.getsockname()[1]}{PATH}"


async def serve(
    server: SecretaryServer, sock: socket.socket, token: str, names: Sequence[str], tls: Tls | None
) -> None:
    """Serve until a signal comes. names: under which clients know this host, besides its address."""
    import uvicorn
    from mcp.server.transport_security import TransportSecuritySettings

    hosts = allowed(sock, names)
    scheme = "https" if tls else "http"
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=LARGEST_REQUEST,
        session_idle_timeout=_IDLE,
        max_sessions=_SESSIONS,
        transport_security=TransportSecuritySettings(
            allowed_hosts=hosts, allowed_origins=[f"{scheme}://{host}" for host in hosts]
        ),
    )
    config = uvicorn.Config(
        Guard(app, token),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    listener = _listener(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, listener.handle_exit, number, None)
    server.begin()
    await listener.serve(sockets=[sock])
    server.close()


def allowed(sock: socket.socket, names: Sequence[str]) -> list[str]:
    """The Host headers that are ours: a page of another site that got its name to point here sends another one."""
    place, port = str(sock.getsockname()[0]), sock.getsockname()[1]
    if ipaddress.ip_address(place.partition("%")[0]).is_loopback:
        known = [place, "127.0.0.1", "localhost", "::1", *names]
    else:
        known = [place, socket.gethostname(), *names]
    bare = [_bracketed(name) for name in dict.fromkeys(known)]
    return [f"{name}:{port}" for name in bare] + (bare if port in (80, 443) else [])


class Guard:
    """Lets requests through that show the token, before anything of them is read."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        kind, _, shown = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        known = hmac.compare_digest(shown.strip(), self._token)
        if scope["type"] == "http" and kind.lower() == b"bearer" and known:
            await self._app(scope, receive, _closing(send))
            return
        error = b', error="invalid_token"' if given else b""
        body = b'{"error": "a bearer token is wanted: Authorization: Bearer TOKEN"}\n'
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"www-authenticate", b'Bearer realm="resource-secretary"' + error),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _closing(send: Send) -> Send:
    """Ends the connection of a request that was too large: its client would go on sending, and nobody reads."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 413:
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return sending


def _listener(config: uvicorn.Config) -> uvicorn.Server:
    import uvicorn

    class Listener(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # its own way ends the process with the signal; to be told to stop is no failure

    return Listener(config)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
