"""The token that clients of the HTTP server show (RFC 6750): read with care, or made. It is never printed."""

from __future__ import annotations

import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path

from resource_secretary.errors import SecretaryError

VARIABLE = "RESOURCE_SECRETARY_TOKEN"
_SHORTEST = 16  # characters
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)  # RFC 6750, section 2.1: b64token


@contextmanager
def token(file: str | None, environ: MutableMapping[str, str]) -> Iterator[tuple[str, str]]:
    """The token, and where it is from as a text: `file`, the variable, or a new file that is gone at the end.

    The variable is taken out of the environment, so that no command that is run gets it. Raises SecretaryError.
    """
    given = environ.pop(VARIABLE, None)
    if file is not None:
        yield from_file(file), f"the file {file}"
    elif given is not None:
        yield checked(given, VARIABLE), f"the variable {VARIABLE}"
    else:
        made = secrets.token_urlsafe(32)
        path = _keep(made, environ)
        try:
            yield made, f"the file {path}"
        finally:
            with suppress(OSError):
                path.unlink()


def from_file(name: str) -> str:
    """The token in a file that nobody else can read. Raises SecretaryError."""
    return checked(_read(name), name)


def _read(name: str) -> str:
    try:
        with open(name, "rb") as file:  # noqa: PTH123 - what is checked is what is read
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise SecretaryError(f"the token file {name} is no regular file")
            if found.st_uid not in (os.geteuid(), 0) or stat.S_IMODE(found.st_mode) & 0o077:
                raise SecretaryError(
                    f"the token file {name} can be read by others (mode {stat.S_IMODE(found.st_mode):04o}): "
                    f"it must be yours, and `chmod 600 {name}`"
                )
            return file.read(4096).decode("ascii", errors="replace")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SecretaryError(f"can't read the token file {name}: {why}") from None


def checked(text: str, source: str) -> str:
    """A token without white space around it. Raises SecretaryError where it is none."""
    text = text.strip()
    if len(text) < _SHORTEST or not _TOKEN.fullmatch(text):
        raise SecretaryError(
            f"{source} has no token: at least {_SHORTEST} letters, digits or -._~+/ are needed (RFC 6750), "
            "such as `python3 -c 'import secrets; print(secrets.token_urlsafe(32))'` prints"
        )
    return text


def _keep(made: str, environ: MutableMapping[str, str]) -> Path:
    folder = environ.get("XDG_RUNTIME_DIR", "")
    usable = folder.startswith("/") and os.access(folder, os.W_OK | os.X_OK)
    try:
        descriptor, name = tempfile.mkstemp(prefix="resource-secretary-token-", dir=folder if usable else None)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{made}\n")
    except OSError as error:
        raise SecretaryError(f"can't write a token file: {error.strerror}; give one with --token-file") from None
    return Path(name)
