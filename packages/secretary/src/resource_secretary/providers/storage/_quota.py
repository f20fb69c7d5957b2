"""What a quota is, whichever file system tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota. Bytes and files (inodes); a limit of None is no limit, an amount of None was not told.

    kind: user, group, project, fileset or folder. name: whose. soft: may be exceeded for a time of grace; hard: never.
    grace: how long still, or when it ends, as the file system writes it. over: whether a limit is exceeded.
    problem: why an answer is missing or not exact, "" where it is neither.
    """

    file_system: str
    kind: str
    name: str
    used: int | None = None
    soft: int | None = None
    hard: int | None = None
    files_used: int | None = None
    files_soft: int | None = None
    files_hard: int | None = None
    grace: str | None = None
    files_grace: str | None = None
    over: bool | None = None
    problem: str = ""


def quota(
    file_system: str,
    kind: str,
    name: str,
    space: tuple[int | None, int | None, int | None],
    files: tuple[int | None, int | None, int | None],
    grace: tuple[str | None, str | None] = (None, None),
    problem: str = "",
) -> Quota:
    """A quota from (used, soft, hard) of bytes and of files; a limit of 0 is no limit."""
    pairs = [(part[0], limit or None) for part in (space, files) for limit in part[1:]]
    over = None
    if space[0] is not None and files[0] is not None:
        over = any(limit is not None and used is not None and used > limit for used, limit in pairs)
    return Quota(
        file_system=file_system,
        kind=kind,
        name=name,
        used=space[0],
        soft=pairs[0][1],
        hard=pairs[1][1],
        files_used=files[0],
        files_soft=pairs[2][1],
        files_hard=pairs[3][1],
        grace=grace[0],
        files_grace=grace[1],
        over=over,
        problem=problem,
    )
