"""`ensemble-server start`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from ensemble.service import PORT
from ensemble.service.options import FILE, own_folder, state_folder
from ensemble.service.security import Address, Tls, own_token, read_tokens
from ensemble.service.server import Server, serve


@click.command()
@click.option(
    "--bind",
    "where",
    default=f"127.0.0.1:{PORT}",
    show_default=True,
    metavar="HOST:PORT",
    help="Port 0 is any free one.",
)
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Keeps everything of the server."
)
@click.option("--cert", type=FILE, help="TLS: the server's certificate, with those between it and the root.")
@click.option("--key", type=FILE, help="Its key (0600).")
@click.option("--ca", type=FILE, help="Take only agents and clients with a certificate from this one.")
@click.option("--token-file", type=FILE, help="Tokens that are good here, one a line (0600).")
@click.option("--agent-token-file", type=FILE, help="Tokens for agents; --token-file is for clients only then.")
@click.option("--allow-plugins", is_flag=True, help="Let files of clients use plugins that are installed here.")
def start(
    where: str,
    folder: Path | None,
    cert: Path | None,
    key: Path | None,
    ca: Path | None,
    token_file: Path | None,
    agent_token_file: Path | None,
    allow_plugins: bool,
) -> None:
    """Run the server, until SIGTERM or Ctrl-C; unfinished runs go on when it is started again.

    Without --token-file, on loopback, it makes a token of its own in its directory, which agents and clients of the
    same user find there.
    """
    address, tls = Address.read(where), Tls(ca, cert, key)
    if ca and not cert:
        raise click.UsageError("--ca needs --cert and --key")
    folder = (folder or state_folder("server")).absolute()
    if not token_file and not address.is_loopback:
        raise click.UsageError("an address that is not loopback needs --token-file")
    lock = own_folder(folder)
    try:
        clients = read_tokens(token_file) if token_file else own_token(folder)
        agents = read_tokens(agent_token_file) if agent_token_file else clients

        def say(text: str) -> None:
            click.echo(text, err=True)

        def make() -> Server:
            return Server(folder, address, tls, clients=clients, agents=agents, allow_plugins=allow_plugins, say=say)

        def ready(server: Server) -> None:
            say(f"listening on {server.address} ({'TLS' if tls else 'plain text'}); directory: {folder}")

        why = asyncio.run(serve(make, ready))
        click.echo(f"stopped ({why}); what was under way goes on with the next start", err=True)
    finally:
        os.close(lock)
