"""Where a path leads to, before somebody is asked about it."""

from __future__ import annotations

from resource_secretary.sidebyside import side_by_side
from resource_secretary.system import System

_PATIENCE = 3.0  # seconds for a path on a file system that does not answer
_SHARE = 0.7  # of what is left of the provider's time, where that is less
_LINKS = 40  # symbolic links that a path may lead over, as in path_resolution(7)


def resolved(system: System, path: str) -> str | None:
    """A path without symbolic links; None where it can't be followed in time. What is not there stays as it is."""
    patience = max(0.2, min(_PATIENCE, system.left() * _SHARE))
    [outcome] = side_by_side([lambda: _followed(system, path)], patience)
    return outcome.value if outcome else None


def _followed(system: System, path: str) -> str | None:
    parts = [part for part in path.split("/") if part][::-1]
    at: list[str] = []
    links = 0
    while parts:
        part = parts.pop()
        if part in (".", ".."):
            del at[len(at) - (part == "..") :]
            continue
        here = "/" + "/".join([*at, part])
        target = system.target(here)
        if target is None:
            at.append(part)
            continue
        links += 1
        if links > _LINKS:
            return None
        if target.startswith("/"):
            at.clear()
        parts += [one for one in target.split("/") if one][::-1]
    return "/" + "/".join(at)
