"""Which workers are asked: by their addresses on the command line, or listed in a file; tokens come from files."""

from __future__ import annotations

import ipaddress
import os
import shlex
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from resource_secretary.errors import SecretaryError
from resource_secretary.hub.command import CommandWorker
from resource_secretary.hub.remote import HttpWorker
from resource_secretary.hub.worker import Worker
from resource_secretary.serving.token import VARIABLE as TOKEN

_COMMAND = "stdio:"
_LONGEST_TOKEN = 4096  # characters


class WorkerError(SecretaryError):
    """A worker can't be asked so: its address, or the file of its token."""


def worker(url: str, *, token: str = "", name: str = "", allow_http: bool = False) -> Worker:
    """A worker by its address: `https://...`, `http://...`, or `stdio:COMMAND`, such as `stdio:ssh HOST COMMAND`.

    http goes to this host only, unless `allow_http`: what is sent is neither secret nor safe from change. A command is
    split into words as a shell does it, and run without one.
    Raises WorkerError for what is no address, or would show the token to others.
    """
    if url.startswith(_COMMAND):
        try:
            argv = tuple(shlex.split(url.removeprefix(_COMMAND)))
        except ValueError as error:
            raise WorkerError(f"{url!r:.200} is no command: {error}") from None
        if not argv or "\0" in url:
            raise WorkerError(f"{url!r:.200} is no command such as `stdio:ssh HOST resource-secretary serve`")
        return CommandWorker(name or url, argv)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise WorkerError(f"{url!r:.200} is no address: {error}") from None
    if parts.username is not None or parts.password is not None:
        # The address is shown, here and by `ps`; so it is not repeated.
        raise WorkerError(f"the address of {host} holds a password: a token comes from a file or from {TOKEN}")
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise WorkerError(f"{url!r:.200} is no address such as http://127.0.0.1:8000/mcp")
    local = _loopback(host)
    if parts.scheme == "http" and not (local or allow_http):
        raise WorkerError(f"{url}: http only to this host; use https, or --allow-http")
    return HttpWorker(name or url, url, token, local)


def read_workers(text: str, source: str, *, token: str = "", allow_http: bool = False) -> list[Worker]:
    """The workers of a file: a line each, `URL [name=NAME] [token-file=FILE]`, words as in a shell, `#` for comments.

    token: for the lines that name no file. Raises WorkerError with the line.
    """
    found: list[Worker] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
            if not words:
                continue
            options = dict(word.partition("=")[::2] for word in words[1:])
            if unknown := set(options) - {"name", "token-file"}:
                raise WorkerError(f"{min(unknown)!r} is none of name=, token-file=")
            own = read_token(options["token-file"]) if "token-file" in options else token
            found.append(worker(words[0], token=own, name=options.get("name", ""), allow_http=allow_http))
        except (WorkerError, ValueError) as error:
            raise WorkerError(f"{source}: line {number}: {error}") from None
    return found


def read_token(path: str) -> str:
    """The bearer token in a file that its owner alone may read. Raises WorkerError; never shows the token."""
    try:
        with Path(path).open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise WorkerError(f"{path}: others may read this token; chmod 600 it")
            data = file.read(_LONGEST_TOKEN + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise WorkerError(f"can't read the token {path!r}: {why}") from None
    return _checked(data.decode("ascii", "replace"), path)


def token_from(environ: Mapping[str, str]) -> str:
    """The token of the environment, "" where there is none. Raises WorkerError."""
    return _checked(environ[TOKEN], TOKEN) if environ.get(TOKEN) else ""


def unique(workers: Sequence[Worker]) -> list[Worker]:
    """The workers. Raises WorkerError where two have one name: the result would not say which was chosen."""
    seen: set[str] = set()
    for one in workers:
        if one.name in seen:
            raise WorkerError(f"two workers are named {one.name}")
        seen.add(one.name)
    return list(workers)


def _checked(token: str, source: str) -> str:
    token = token.strip()
    if not token or len(token) > _LONGEST_TOKEN or not all(33 <= ord(char) < 127 for char in token):
        raise WorkerError(f"{source}: a token is one word of printable ASCII")
    return token


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
