"""Where a member meets its supervisor: an abstract Unix socket of this host, named by a key that the folder holds.

Such a name needs no file (the folder may lie on a network file system), only one process can have it, and it
goes with that process: it is the lock, too. The other side must be a process of the same user (SO_PEERCRED).
See unix(7). supervisor.json tells a resume on another host where the supervisor is.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

RECORD = "supervisor.json"
LOG = "supervisor.log"
KEY = "key"


def key(folder: Path) -> str:
    """The key of a folder, made where there is none. Raises OSError, and ValueError where the file was spoilt."""
    path = folder / KEY
    if not path.exists():
        new = folder / f"{KEY}.{os.getpid()}.{secrets.token_hex(4)}"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(16))
        with suppress(FileExistsError):  # another process was first: its key counts
            os.link(new, path)
        new.unlink()
    text = path.read_text(encoding="ascii")
    if len(text) != 32 or not set(text) <= set("0123456789abcdef"):
        raise ValueError(f"{path} should hold 32 hexadecimal digits")
    return text


def address(name: str) -> str:
    """The socket's name, for a key."""
    return f"\0ensemble-{os.getuid()}-{name}"


def peer(connection: socket.socket) -> tuple[int, int]:
    """Process id and user id of the other side."""
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return pid, uid


def boot() -> str:
    """What tells one start of this machine from another."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def started(pid: int) -> float | None:
    """When a process started, in seconds since the epoch (to about 0.01 s); None where there is none, or it has ended.

    See proc(5): field 22 of /proc/PID/stat counts clock ticks since the machine's start.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        with Path("/proc/stat").open(encoding="ascii") as file:
            since = next(int(row.split()[1]) for row in file if row.startswith("btime "))
    except (OSError, StopIteration):
        return None
    return None if fields[0] in "ZX" else since + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def record(folder: Path) -> dict[str, Any] | None:
    """What supervisor.json says, None where there is none."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_record(folder: Path) -> None:
    """Say that this process is the supervisor. Raises OSError."""
    new = folder / f"{RECORD}.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump({"host": socket.gethostname(), "boot": boot(), "pid": os.getpid()}, file)
    new.replace(folder / RECORD)
