"""The one door to the machine that providers use: commands, files, the clock. Tests put a recorded one in its place.

pathlib and shutil would be most of the time that `from resource_secretary import Secretary` takes.
"""

from __future__ import annotations

import copy
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from resource_secretary.commands import Commands
from resource_secretary.environment import for_commands, where
from resource_secretary.run import STOPPED, Ran, printable, run

DEADLINE = 2.0  # seconds that one provider's probe may take


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes and files (inodes) of a file system: in all, free, and free for users who are not root (statvfs(3))."""

    total: int
    free: int
    available: int
    files: int
    files_available: int


@dataclass(frozen=True, slots=True)
class Python:
    """A Python interpreter. prefix is not base_prefix inside a virtual environment (sys.prefix)."""

    version: str
    implementation: str
    executable: str
    prefix: str
    base_prefix: str


def changed(path: str) -> int:
    """When a file was changed, in nanoseconds since the epoch; 0 where it is not there."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116
    except OSError:
        return 0


class System:
    """This machine. `timeout` (seconds) is the time that all commands of one provider have together.

    environ: the environment that commands are found and run with (that of an enclosing job is taken out).
    """

    def __init__(self, *, timeout: float = DEADLINE, environ: Mapping[str, str] | None = None) -> None:
        self.environ = dict(os.environ if environ is None else environ)
        self._commands = Commands(self.environ.get("PATH", os.defpath))
        self._for_commands = for_commands(self.environ)
        self._stop: threading.Event | None = None
        self._start(timeout)

    def _start(self, timeout: float) -> None:
        self.timeout = timeout
        self.programs: dict[str, int] = {}  # that were run: path -> when its file was changed, in nanoseconds
        self._end = time.monotonic() + timeout

    def within(self, timeout: float) -> System:
        """The same machine for one more provider, whose time starts now."""
        other = copy.copy(self)
        other._start(timeout)
        return other

    def until(self, stop: threading.Event) -> System:
        """The same machine for one question: where `stop` is set its commands are killed and no more are run."""
        other = copy.copy(self)
        other._stop = stop
        return other

    def which(self, name: str) -> str | None:
        """The path of a command, or None; nothing is run. Relative folders of PATH are not looked at."""
        return self._commands.find(name)

    def run(self, name: str, *arguments: str, stdin: str = "", cwd: str = "/") -> Ran:
        """Run a command of PATH in what is left of this provider's time. stdin: what it reads, by default nothing."""
        path = self.which(name)
        if path is None:
            return Ran((name, *arguments), None, problem="not found on PATH")
        left = self.left()
        if left <= 0:
            return Ran((path, *arguments), None, problem=f"no time left of {self.timeout:g} s")
        if self._stop is not None and self._stop.is_set():
            return Ran((path, *arguments), None, problem=STOPPED)
        self.programs[path] = changed(path)
        environ = self._for_commands
        if self._commands.silent():  # it would hang where it looks for a command of its own
            environ = environ | {"PATH": os.pathsep.join(self._commands.folders())}
        return run(
            (path, *arguments),
            environ=environ,
            timeout=left,
            stdin=stdin.encode(errors="replace"),
            cwd=cwd,
            stop=self._stop,
        )

    def fetch(self, url: str, *, token: str, authority: str) -> Ran:
        """What a server answers over https in what is left of this provider's time; see `fetch.fetch`."""
        from resource_secretary.fetch import fetch

        left = self.left()
        if left <= 0:
            return Ran(("GET", url), None, problem=f"no time left of {self.timeout:g} s")
        return fetch(url, token=token, authority=authority, timeout=left)

    def left(self) -> float:
        """Seconds of this provider's time that are left."""
        return self._end - time.monotonic()

    def read(self, path: str, most: int = 2**20) -> str | None:
        """The text of a file (its first `most` bytes) without white space around it, None where it can't be read."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                return file.read(most).decode(errors="replace").strip()
        except OSError:
            return None

    def entries(self, path: str) -> list[str]:
        """The names in a folder, sorted; none where it can't be read."""
        try:
            return sorted(os.listdir(path))  # noqa: PTH208 - names are wanted
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        return os.path.exists(path)  # noqa: PTH110

    def target(self, path: str) -> str | None:
        """Where a symbolic link points to, as it is written, or None where it is no link."""
        try:
            return os.readlink(path)  # noqa: PTH115 - text is wanted
        except OSError:
            return None

    def hostname(self) -> str:
        return os.uname().nodename

    def machine(self) -> str:
        """The architecture, such as `x86_64` or `aarch64`."""
        return os.uname().machine

    def affinity(self) -> frozenset[int]:
        """The hardware threads that this process may run on."""
        return frozenset(os.sched_getaffinity(0))

    def may_use(self, path: str) -> bool:
        """Whether this user may read and write a file, such as a device's, by its permissions."""
        return os.access(path, os.R_OK | os.W_OK)

    def nvml(self) -> object:
        """NVIDIA's management library as the module pynvml of nvidia-ml-py, the extra `nvidia`; None without it."""
        from importlib import import_module

        try:
            return import_module("pynvml")
        except ImportError:
            return None

    def microarchitecture(self) -> str:
        """The name that archspec gives to this processor, such as `zen4`."""
        if not self.exists("/proc/cpuinfo"):  # which archspec would warn of on stderr
            return self.machine()
        from archspec.cpu import host

        return str(host().name)

    def memory(self) -> tuple[int, int] | None:
        """Bytes of memory of the host: all, and available without swapping; None where the kernel doesn't say."""
        import psutil

        try:
            memory = psutil.virtual_memory()
        except (OSError, RuntimeError, ValueError):
            return None
        return int(memory.total), int(memory.available)

    def disk(self, path: str) -> Disk | None:
        """The file system that a path is on; None where it is none, or doesn't answer in the time that is left."""
        from resource_secretary.sidebyside import side_by_side

        [outcome] = side_by_side([lambda: os.statvfs(path)], self.left())
        found = outcome.value if outcome else None
        if found is None:
            return None
        unit = found.f_frsize
        return Disk(found.f_blocks * unit, found.f_bfree * unit, found.f_bavail * unit, found.f_files, found.f_favail)

    def attribute(self, path: str, name: str) -> str | None:
        """An extended attribute; None where it is not there, can't be read, or doesn't answer in the time left."""
        from resource_secretary.sidebyside import side_by_side

        [outcome] = side_by_side([lambda: os.getxattr(path, name)], self.left())
        return outcome.value.decode(errors="replace") if outcome and outcome.value is not None else None

    def user(self) -> str:
        """The name of the user of this process, the number where it has none."""
        import pwd

        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return str(os.getuid())

    def distributions(self) -> list[tuple[str, str]]:
        """The Python packages of the interpreter that runs this: name and version, in order of their names."""
        from importlib.metadata import distributions

        found = {(one.metadata["Name"] or "", one.version) for one in distributions()}
        return sorted((pair for pair in found if pair[0]), key=lambda pair: (pair[0].lower(), pair[1]))

    def python(self) -> Python | None:
        """The interpreter that runs this; None on a recorded machine without one."""
        version = ".".join(str(part) for part in sys.version_info[:3])
        return Python(version, sys.implementation.name, sys.executable or "", sys.prefix, sys.base_prefix)

    def where(self) -> str:
        """Where facts are seen from, as a text: the host, the job and the container around this process."""
        without = "".join(f"; without {folder} of PATH, which does not answer" for folder in self._commands.silent())
        return where(self.hostname(), self.environ, self.exists, self.which) + printable(without)

    def now(self) -> str:
        """The time, as RFC 3339 in UTC."""
        return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
