"""What is kept of a run's sub-instances and of where its jobs went, so that the next process knows.

One file, private, that is only ever appended to: `instance NAME ID` (ID is `-` before the submission) and
`job NAME INSTANCE`, each line on the disk before the act that it tells of. A line that was cut off stands for an act
that never was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ensemble.errors import MemberError

FILE = "instances"


class Record:
    """instances: ids by name, empty where only the intent is known. jobs: the instance's name by the job's.

    folder: None keeps nothing beyond the process.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILE if folder else None
        self.instances: dict[str, str] = {}
        self.jobs: dict[str, str] = {}

    def read(self) -> None:
        """Raises MemberError where it can't be."""
        if self._path is None:
            return
        try:
            text = self._path.read_text() if self._path.exists() else ""
            lines = text.splitlines(keepends=True)
            for line in lines:
                if line.endswith("\n"):
                    kind, name, value = line.split()
                    if kind == "instance":
                        self.instances[name] = "" if value == "-" else value
                    else:
                        self.jobs[name] = value
            if lines and not lines[-1].endswith("\n"):
                os.truncate(self._path, len(text.encode()) - len(lines[-1].encode()))
        except (OSError, ValueError) as error:
            raise MemberError(
                "flux", f"{self._path}, which tells of the sub-instances, can't be read: {error}"
            ) from None

    def note_instances(self, ids: Iterable[tuple[str, str]]) -> None:
        ids = list(ids)
        self.instances.update(ids)
        self._append(f"instance {name} {value or '-'}\n" for name, value in ids)

    def note_jobs(self, places: Iterable[tuple[str, str]]) -> None:
        places = list(places)
        self.jobs.update(places)
        self._append(f"job {name} {instance}\n" for name, instance in places)

    def _append(self, lines: Iterable[str]) -> None:
        if self._path is None:
            return
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w") as file:
                file.write("".join(lines))
                file.flush()
                os.fsync(fd)
        except OSError as error:
            raise MemberError("flux", f"{self._path} can't be written: {error}") from None
