"""Find commands in the folders of PATH, of which one may lie on a file system that does not answer."""

from __future__ import annotations

import os
import threading
from functools import partial

from resource_secretary.sidebyside import side_by_side

Names = frozenset[str] | None
_AT_ONCE = 0.2  # seconds in which the folders of a PATH answer, one after the other
_PATIENCE = 0.6  # seconds for each of them where they do not


class Commands:
    """The commands of a PATH. Its folders are looked at when a command is first asked for, and each once."""

    def __init__(self, path: str) -> None:
        # A relative folder would be of where the user stands: anything may lie there.
        absolute = [folder for folder in path.split(os.pathsep) if os.path.isabs(folder)]  # noqa: PTH117 - see system
        self._given = list(dict.fromkeys(absolute))
        self._answering: dict[str, Names] | None = None
        self._found: dict[str, str | None] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> str | None:
        """The path of a command, or None."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def folders(self) -> list[str]:
        """The folders of PATH that answer."""
        return list(self._folders())

    def silent(self) -> list[str]:
        """The folders that did not answer: what lies there is not known."""
        answering = self._folders()
        return [folder for folder in self._given if folder not in answering]

    def _find(self, name: str) -> str | None:
        if "/" in name:
            return name if _runs(name) else None
        for folder, names in self._folders().items():
            if (names is None or name in names) and _runs(path := f"{folder}/{name}"):
                return path
        return None

    def _folders(self) -> dict[str, Names]:
        with self._lock:
            if self._answering is None:
                self._answering = self._looked()
            return self._answering

    def _looked(self) -> dict[str, Names]:
        """The folders that answer. They do in almost all cases, so one thread looks at all of them first."""
        [once] = side_by_side([lambda: [_names(folder) for folder in self._given]], _AT_ONCE)
        if once is not None and once.value is not None:
            return dict(zip(self._given, once.value, strict=True))
        asked = side_by_side([partial(_names, folder) for folder in self._given], _PATIENCE)
        return {folder: outcome.value for folder, outcome in zip(self._given, asked, strict=True) if outcome}


def _names(folder: str) -> Names:
    """What lies in a folder; None where it may not be listed, though what is in it may be run."""
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - names of thousands of files are wanted, not their paths
    except PermissionError:
        return None
    except OSError:
        return frozenset()


def _runs(path: str) -> bool:
    return os.access(path, os.X_OK) and os.path.isfile(path)  # noqa: PTH113
