"""`resource-secretary serve`: the tools for agents, through the Model Context Protocol."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING

import click

from resource_secretary.cli.options import Choice, choosing, dispatch_option, timeout_option
from resource_secretary.errors import SecretaryError
from resource_secretary.secretary import ASKING

if TYPE_CHECKING:
    import socket
    from types import ModuleType

    from resource_secretary.serving.http import Tls
    from resource_secretary.serving.service import Service

_EXTRA = ("mcp", "mcp_types", "anyio", "jsonschema", "starlette", "uvicorn", "pydantic")


@click.command("serve")
@click.option("--http", metavar="[HOST:]PORT", help="Serve streamable HTTP there (port 0: any) instead of stdio.")
@click.option("--token-file", metavar="FILE", help="With --http: the token that clients show; a file of mode 600.")
@click.option("--allow-remote", is_flag=True, help="With --http: listen where other hosts can reach it, with TLS.")
@click.option("--tls-cert", metavar="FILE", help="With --http: a certificate with its chain, in PEM.")
@click.option("--tls-key", metavar="FILE", help="With --http: the certificate's key, in PEM.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="With --http: a name of this host in URLs.")
@dispatch_option
@choosing
@timeout_option(ASKING)
def command(
    http: str | None,
    token_file: str | None,
    allow_remote: bool,
    tls_cert: str | None,
    tls_key: str | None,
    names: tuple[str, ...],
    dispatch: bool,
    choice: Choice,
    timeout: float,
) -> None:
    """Serve the tools of what is active here to agents (Model Context Protocol), on stdin and stdout.

    With --http: on streamable HTTP at /mcp, on loopback. Clients show a bearer token: that of --token-file, of the
    variable RESOURCE_SECRETARY_TOKEN, or one that is made and lies in the file that stderr names.
    """
    if http is None:
        if token_file or allow_remote or tls_cert or tls_key or names:
            raise click.UsageError("--token-file, --allow-remote, --tls-cert, --tls-key and --name need --http")
        _stdio(choice, timeout, dispatch)
        return
    from resource_secretary.serving.http import Tls, address, listen, url
    from resource_secretary.serving.stdio import divert
    from resource_secretary.serving.token import token

    try:
        host, port = address(http)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--http") from None
    if bool(tls_cert) != bool(tls_key):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    tls = Tls(tls_cert, tls_key) if tls_cert and tls_key else None
    if tls:
        tls.check()
    divert()  # before a socket gets the number of a closed descriptor
    with (
        listen(host, port, remote=allow_remote, tls=tls) as sock,
        token(token_file, os.environ) as (shown, source),
    ):
        click.echo(f"serving {url(sock, tls, names)}; its token is in {source}", err=True)
        _http(choice, timeout, dispatch, sock, shown, names, tls)


def _stdio(choice: Choice, timeout: float, dispatch: bool) -> None:
    from resource_secretary.serving import stdio

    wire = stdio.claim()  # before anything else is imported that might print
    if os.isatty(wire.input):
        click.echo("this speaks JSON-RPC with an agent's client on stdin and stdout; Ctrl-C ends it", err=True)
    service, server = _service(choice, timeout, dispatch), _sdk()

    async def serve() -> None:
        await stdio.serve(server.SecretaryServer(service), wire)

    asyncio.run(serve())


def _http(
    choice: Choice,
    timeout: float,
    dispatch: bool,
    sock: socket.socket,
    token: str,
    names: tuple[str, ...],
    tls: Tls | None,
) -> None:
    from resource_secretary.serving import http

    service, server = _service(choice, timeout, dispatch), _sdk()

    async def serve() -> None:
        await http.serve(server.SecretaryServer(service), sock, token, names, tls)

    asyncio.run(serve())


def _service(choice: Choice, timeout: float, dispatch: bool) -> Service:
    from resource_secretary.serving.service import Service

    secretary = choice.secretary(dispatch=dispatch)
    if choice.only or choice.skip:
        _ = secretary.catalog  # a name that there is not is told at once
    return Service(secretary, timeout)


def _sdk() -> ModuleType:
    gc.disable()  # its many classes stay: looking through them again and again doubles the time to begin and to end
    try:
        from resource_secretary.serving import server
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise SecretaryError(
            f"serve needs the Python package {error.name}: pip install 'resource-secretary[mcp]'"
        ) from None
    finally:
        gc.freeze()
        gc.enable()
    server.quiet()
    return server
