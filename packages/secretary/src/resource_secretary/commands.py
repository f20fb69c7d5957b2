"""Find commands in the folders of PATH, of which one may lie on a file system that does not answer."""

from __future__ import annotations

import os
import threading
from functools import partial

from resource_secretary.sidebyside import side_by_side

_AT_ONCE = 0.2  # seconds in which the folders of a PATH answer, one after the other
_PATIENCE = 0.6  # seconds for each of them where they do not


class Commands:
    """The commands of a PATH. Its folders are looked at when a command is first asked for, and each once."""

    def __init__(self, path: str) -> None:
        # A relative folder would be of where the user stands: anything may lie there.
        absolute = [folder for folder in path.split(os.pathsep) if os.path.isabs(folder)]  # noqa: PTH117 - see system
        self._given = list(dict.fromkeys(absolute))
        self._answering: list[str] | None = None
        self._found: dict[str, str | None] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> str | None:
        """The path of a command, or None."""
        if name not in self._found:
            from shutil import which

            self._found[name] = which(name, path=os.pathsep.join(self.folders()))
        return self._found[name]

    def folders(self) -> list[str]:
        """The folders of PATH that answer."""
        with self._lock:
            if self._answering is None:
                self._answering = self._looked()
            return self._answering

    def silent(self) -> list[str]:
        """The folders that did not answer: what lies there is not known."""
        answering = self.folders()
        return [folder for folder in self._given if folder not in answering]

    def _looked(self) -> list[str]:
        """The folders that answer. They do in almost all cases, so one thread looks at all of them first."""
        if side_by_side([lambda: [_look(folder) for folder in self._given]], _AT_ONCE)[0]:
            return self._given
        asked = side_by_side([partial(_look, folder) for folder in self._given], _PATIENCE)
        return [folder for folder, outcome in zip(self._given, asked, strict=True) if outcome]


def _look(folder: str) -> bool:
    # For a file in it: the kernel may know the folder itself from when it still answered.
    return os.path.exists(f"{folder}/resource-secretary")  # noqa: PTH110
