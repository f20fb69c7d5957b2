"""What a plugin remembers of its bursts in private files, and the lock that keeps two controllers from one burst."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fluxburst.errors import ConfigurationError

_LARGEST = 1 << 24  # bytes of a file that is read


@contextmanager
def writing() -> Iterator[None]:
    """What can't be written becomes a ConfigurationError that names the file."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"can't write {error.filename}: {error.strerror}") from error


def private(folder: Path) -> Path:
    """A folder that is this user's alone, made where it is missing. Raises ConfigurationError where it isn't ours."""
    with writing():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    # In a folder for everybody somebody else may have been here first (mkdir(2) follows no link, but a look does).
    if found.st_uid != os.geteuid() or (found.st_mode & 0o170077) != 0o040000:
        raise ConfigurationError(f"{folder} must be a folder that only this user can use (chmod 700)")
    return folder


def write(path: Path, document: dict[str, Any]) -> None:
    """Replace a file as a whole; only its owner can read it. Raises ConfigurationError."""
    draft = path.with_name(f".{path.name}.new")
    with writing():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(document, file)
        draft.replace(path)


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote; nothing where there is none, or where it is damaged."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_LARGEST))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def tail(path: Path, size: int) -> str:
    """The end of a text file, from the beginning of a line, in at most so many bytes; "" where there is none."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - size)
            file.seek(start)
            text = file.read(size)
    except OSError:
        return ""
    if start:
        text = text[text.find(b"\n") + 1 :]
    return text.decode(errors="replace")


def head(path: Path, size: int) -> str:
    """The beginning of a text file, at most so many bytes; "" where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(size).decode(errors="replace")
    except OSError:
        return ""


@contextmanager
def locked(path: Path, patience: float) -> Iterator[int]:
    """Hold the lock of this file; gives its descriptor, -1 where another process has held it for longer than this.

    Who inherits the descriptor holds the lock too, and it is free once all of them have closed it or ended (flock(2)).
    """
    end, descriptor = time.monotonic() + patience, -1
    try:
        while True:
            with writing():
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same(descriptor, path):
                    break
            os.close(descriptor)
            descriptor = -1
            if time.monotonic() >= end:
                break
            time.sleep(0.02)
        yield descriptor
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _same(descriptor: int, path: Path) -> bool:
    """Whether the file still bears its name: who held the lock before may have taken it away."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
