"""Options that several commands of `ensemble-server` have, and where things are by default."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ensemble.errors import ServiceError
from ensemble.service import PORT

FILE = click.Path(path_type=Path, dir_okay=False)


def state_folder(name: str) -> Path:
    """`$XDG_STATE_HOME/ensemble/NAME` (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - may not exist
    return Path(base) / "ensemble" / name


def own_folder(path: Path) -> int:
    """A folder for this user and this process alone; its lock. One that is something else's is left as it is.

    Raises ServiceError.
    """
    lock = path / "lock"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not lock.exists() and any(path.iterdir()):
            raise ServiceError(f"{path} is there and not empty: give a directory of its own by --dir")
        path.chmod(0o700)
        (path / "runs").mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServiceError(f"{path}: {error.strerror or error}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ServiceError(f"another process uses {path}: give another one by --dir") from None
    except OSError as error:
        os.close(descriptor)
        raise ServiceError(f"{lock} can't be locked: {error.strerror}; use another file system") from None
    return descriptor


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
            type=FILE,
            help="The token, in a file for you alone (0600). Else $ENSEMBLE_TOKEN, else that of your own server here.",
        ),
        click.option("--tls", "use_tls", is_flag=True, help="TLS, with the certificates that this system trusts."),
        click.option("--ca", type=FILE, help="TLS, with a certificate that the server's must be from."),
        click.option("--cert", type=FILE, help="This side's certificate, where the server asks for one."),
        click.option("--key", type=FILE, help="Its key (0600)."),
    )
    for option in reversed(options):
        command = option(command)
    return command
