"""Options that several commands of `ensemble-server` have, and where things are by default."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ensemble.service import PORT

_FILE = click.Path(path_type=Path, dir_okay=False)


def state_folder(name: str) -> Path:
    """`$XDG_STATE_HOME/ensemble/NAME` (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - may not exist
    return Path(base) / "ensemble" / name


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How to reach a server, for its clients and agents."""
    options = (
        click.option(
            "--server",
            default=f"127.0.0.1:{PORT}",
            show_default=True,
            metavar="HOST:PORT",
            envvar="ENSEMBLE_SERVER",
            help="The server; $ENSEMBLE_SERVER.",
        ),
        click.option(
            "--token-file",
            type=_FILE,
            help="The token, in a file for you alone (0600). Else $ENSEMBLE_TOKEN, else that of your own server here.",
        ),
        click.option("--tls", "use_tls", is_flag=True, help="TLS, with the certificates that this system trusts."),
        click.option("--ca", type=_FILE, help="TLS, with a certificate that the server's must be from."),
        click.option("--cert", type=_FILE, help="This side's certificate, where the server asks for one."),
        click.option("--key", type=_FILE, help="Its key (0600)."),
    )
    for option in reversed(options):
        command = option(command)
    return command
