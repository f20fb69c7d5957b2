"""Writing the files of a lead's folder: private, whole, and never over what somebody else has written."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fluxburst.lead import LeadError, read


def there(path: Path) -> bool:
    """Whether there is a file of that name."""
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be looked into: told when it is used
        return False


def prepare(folder: Path, notes: list[str]) -> None:
    """Make the folder, for its owner alone. notes: gets what is not as it should be. Raises LeadError."""
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
            folder.chmod(0o700)
            return
        if not folder.is_dir():
            raise LeadError(f"{folder} is no folder")
        status = folder.stat()
        if status.st_uid != os.geteuid():
            raise LeadError(f"{folder} belongs to another user: name a folder of your own")
        if not any(folder.iterdir()):
            folder.chmod(0o700)
        elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise LeadError(f"others may write in {folder}, and so choose what the lead runs: chmod 700 {folder}")
        elif status.st_mode & 0o077:
            notes.append(f"others may look into {folder}; it needs to be open to you alone: chmod 700 {folder}")
    except OSError as error:
        raise LeadError(f"can't use the folder {folder}: {error.strerror}") from None


@contextmanager
def _draft(path: Path, text: str) -> Iterator[Path]:
    """A private file beside another one, safe on the disk, that is gone in the end. Raises LeadError."""
    draft = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".init-")  # mkstemp makes it 0600
        draft = Path(name)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    except OSError as error:
        raise LeadError(f"can't write {path}: {error.strerror}") from None
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


def put(path: Path, text: str) -> bool:
    """Write a new file, 0600 and whole; False where it is there with this very text. Raises LeadError if it differs."""
    with _draft(path, text) as draft:
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            if read(path) == text:
                return False
            raise LeadError(
                f"{path} is there already, with something else in it: nothing of it is changed. Name a new folder"
            ) from None
    return True


def replace(path: Path, text: str) -> None:
    """Put a text in place of a file, which keeps its mode. Raises LeadError."""
    with _draft(path, text) as draft:
        draft.chmod(stat.S_IMODE(path.stat().st_mode))
        draft.replace(path)
