"""The staging directory of a run: private, and nothing is written outside it."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from jobspec.errors import DocumentError, StepFailed

PRIVATE = 0o700
PREFIX = "jobspec-"  # of the names of temporary stages
OWN = ".jobspec-"  # of the names of files in a stage that are none of the user's


def check_name(name: str, place: str) -> str:
    """A file name inside the stage: relative, without `.` and `..`. Raises DocumentError."""
    if any(part in {"", ".", ".."} for part in name.split("/")) or "\0" in name:
        raise DocumentError(f"{name[:60]!r} does not stay in the stage: a name relative to it, without '..'", place)
    if name.startswith(OWN):
        raise DocumentError(f"names that start with {OWN!r} are taken", place)
    return name


class Stage:
    """A directory for the files of one run.

    Without a path it is a new temporary one in `folder`, removed by `remove`. A named one is made where it is
    absent and stays: whoever named it wants to find it. While a run uses it, no other run can.
    """

    def __init__(self, path: str = "", folder: str | None = None) -> None:
        self.temporary = not path
        self._lock = -1
        if not path:
            try:
                self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
            except OSError as error:
                raise StepFailed(f"can't make a stage in {folder or 'a temporary folder'}: {error.strerror}") from None
            return
        self.path = Path(path)
        try:
            self.path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            found = self.path.lstat()
        except OSError as error:
            raise StepFailed(f"can't make the stage {path}: {error.strerror}") from None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise StepFailed(f"the stage {path} must be a directory of your own that nobody else can write to")

        self._take()

    def _take(self) -> None:
        try:
            # A file, because a directory can't be locked on NFS (flock(2), "NFS details").
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            self._lock = os.open(self.path / f"{OWN}lock", flags, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise StepFailed(f"another run uses the stage {self.path}") from None
        except OSError as error:
            self.release()
            raise StepFailed(f"can't lock the stage {self.path}: {error.strerror}") from None

    def release(self) -> None:
        """Let other runs use a named stage."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def write(self, name: str, content: bytes, *, executable: bool) -> None:
        """Make a file, in the place of an older one. Raises StepFailed."""
        write_file(self.path, name, content, executable=executable)

    def remove(self) -> None:
        """Remove a temporary stage with everything in it."""
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)


def write_file(stage: Path, name: str, content: bytes, *, executable: bool) -> None:
    """Make a file in a stage, in the place of an older one; links on the way are not followed. Raises StepFailed."""
    *folders, leaf = name.split("/")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        at = os.open(stage, flags)
        try:
            for folder in folders:
                with suppress(FileExistsError):
                    os.mkdir(folder, PRIVATE, dir_fd=at)
                inner = os.open(folder, flags, dir_fd=at)
                os.close(at)
                at = inner
            _put(leaf, content, PRIVATE if executable else 0o600, at)
        finally:
            os.close(at)
    except OSError as error:
        raise StepFailed(f"can't write {name} into the stage: {error.strerror}") from None


def _put(leaf: str, content: bytes, mode: int, at: int) -> None:
    # A new file each time: an older one may be running, or be a link to elsewhere.
    with suppress(FileNotFoundError):
        os.unlink(leaf, dir_fd=at)
    file = os.open(leaf, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=at)
    with os.fdopen(file, "wb") as out:
        os.fchmod(file, mode)  # whatever the umask
        out.write(content)
