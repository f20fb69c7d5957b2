"""The processes of this machine, told apart by marks in their environment: one look at /proc (proc(5)) shows all."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fluxburst.errors import ConfigurationError

PROC = Path("/proc")
_LARGEST = 1 << 20  # bytes of an environment that are read


@dataclass(frozen=True, slots=True)
class Process:
    """A process that lives. start: clock ticks since the machine started; with it a pid is never taken for another's.

    environ: the variables that were asked for, as the process was started with them.
    """

    pid: int
    parent: int
    start: int
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def since(self) -> float:
        """Seconds since the epoch at which it started."""
        return _booted() + self.start / os.sysconf("SC_CLK_TCK")

    def signal(self, number: int) -> None:
        """Send it a signal, and nobody else: not to a later process of the same pid. Nothing if it has ended."""
        with suppress(ProcessLookupError):
            try:
                handle = os.pidfd_open(self.pid)
            except (AttributeError, NotImplementedError):  # an old kernel
                handle = -1
            try:
                now = _read(self.pid)
                if now is None or now.start != self.start:
                    return
                if handle < 0:
                    os.kill(self.pid, number)
                else:
                    signal.pidfd_send_signal(handle, number)
            finally:
                if handle >= 0:
                    os.close(handle)


def machine() -> dict[str, str]:
    """What tells this machine, since it last started, from others: processes of another can't be seen from here."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return {"node": os.uname().nodename, "boot": boot, "pids": str((PROC / "self/ns/pid").readlink())}
    except OSError as error:
        raise ConfigurationError(f"/proc can't be read ({error.strerror}): processes are found by it") from None


def look(names: Iterable[str], ours: Callable[[Mapping[str, str]], bool]) -> list[Process]:
    """Every process whose environment (these variables of it) is ours, and all that descend from one."""
    wanted = tuple(f"{name}=".encode() for name in names)
    found = [one for one in map(_read, _pids()) if one is not None]
    marked: dict[int, Process] = {}
    for one in found:
        environ = _environ(one.pid, wanted)
        if ours(environ):
            marked[one.pid] = Process(one.pid, one.parent, one.start, environ)
    fresh = True
    while fresh:  # children are not always behind their parents in the list
        fresh = False
        for one in found:
            above = marked.get(one.parent)
            if above is not None and one.pid not in marked:
                marked[one.pid] = Process(one.pid, one.parent, one.start, above.environ)
                fresh = True
    return list(marked.values())


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdecimal()]  # noqa: PTH208  # twice as fast
    except OSError as error:
        raise ConfigurationError(f"/proc can't be read ({error.strerror}): processes are found by it") from None


def _read(pid: int) -> Process | None:
    """None if it has ended, whether or not its parent has been told."""
    try:
        # The second field is the name, which may hold anything: what counts stands behind its last parenthesis.
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < 20 or fields[0] in {b"Z", b"X"}:
        return None
    return Process(pid, int(fields[1]), int(fields[19]))


def _environ(pid: int, wanted: tuple[bytes, ...]) -> dict[str, str]:
    try:
        with (PROC / str(pid) / "environ").open("rb") as file:
            text = file.read(_LARGEST)
    except OSError:  # another user's, or it has ended
        return {}
    pairs = (pair.partition(b"=") for pair in text.split(b"\0") if pair.startswith(wanted))
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _booted() -> float:
    for line in (PROC / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0
