"""Paths as text: the folder of a command, and where its symbolic links lead."""

from __future__ import annotations

from resource_secretary.system import System

_LINKS = 10  # symbolic links that are followed; a circle of them is no answer


def folder_of(path: str) -> str:
    """The folder that a command is in."""
    return path.rpartition("/")[0] or "/"


def real(system: System, path: str) -> str:
    """Where the symbolic links of a command lead: `/usr/bin/mpirun` of Debian leads to `orterun` or `mpiexec.hydra`."""
    for _ in range(_LINKS):
        target = system.target(path)
        if target is None:
            return path
        path = target if target.startswith("/") else f"{folder_of(path)}/{target}"
    return path
