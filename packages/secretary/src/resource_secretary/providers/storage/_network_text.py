"""Read what quota(1) prints with `-w -p` (no wrapped lines, raw grace): a file system and eight numbers a line."""

from __future__ import annotations

import re

from resource_secretary.errors import CommandFailed
from resource_secretary.providers.storage._quota import Quota, quota
from resource_secretary.reading import LONGEST_LINE, strange, whole
from resource_secretary.run import Ran, printable

_HEADING = re.compile(r"Disk quotas for (user|group) (.*?) \((?:uid|gid) [0-9]+\):\s*(none)?")
_ROW = re.compile(
    r"\s*(\S.*?)\s+([0-9]+)(\*?)" + r"\s+([0-9]+)" * 3 + r"\s+([0-9]+)(\*?)" + r"\s+([0-9]+)" * 3 + r"\s*"
)


def read_quotas(answer: Ran) -> list[Quota]:
    """The quotas; sizes are in KiB there, and a grace is seconds since the epoch. Its exit code is 1 where a limit is
    exceeded. Raises CommandFailed, and OutputError for what has no heading.
    """
    if answer.problem or (not answer.ok and not _HEADING.search(answer.stdout)):
        raise CommandFailed(answer.command, answer.said)
    found: list[Quota] = []
    kind = name = ""
    for line in answer.stdout.splitlines():
        heading = row = None
        if len(line) <= LONGEST_LINE:
            heading, row = _HEADING.match(line), _ROW.fullmatch(line)
        if heading:
            kind, name = heading[1], printable(heading[2])
        elif row and kind:
            found.append(_quota(row, kind, name))
        elif line.strip() and kind and not line.split()[0].startswith("Filesystem"):
            found.append(Quota("", kind, name, problem=f"can't be read: {printable(line.strip())[:100]}"))
    if not kind:
        raise strange("quota", "has no heading", answer.stdout)
    return found


def _quota(row: re.Match[str], kind: str, name: str) -> Quota:
    space = [whole(row[index], 1024) for index in (2, 4, 5)]
    files = [whole(row[index]) for index in (7, 9, 10)]
    point = printable(row[1])
    if None in space or None in files:
        return Quota(point, kind, name, problem="can't be read: a number is absurd")
    grace = tuple(None if row[index] == "0" else row[index] for index in (6, 11))
    return quota(
        point, kind, name, (space[0], space[1], space[2]), (files[0], files[1], files[2]), (grace[0], grace[1])
    )
