"""A user's place for one test: a home, a folder for temporary files and one to work in, all new; and a look at what is
left of them at the end.

Every command gets `DESK` and `HOME` in its environment and works below the desk's folder, and batch systems hand at
least one of these on to their jobs: so a process that was started from here is known by the folder's name. Where root
runs the tests each desk has a group id of its own too, which jobs take over as well: whatever file bears it is ours.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from engines import PATH, USER

PATIENCE = 240  # seconds: the machine may be busy
KEPT = ("LD_LIBRARY_PATH", "PYTHONPATH")
PLACES = {
    "HOME": "home",
    "TMPDIR": "tmp",
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state",
    "XDG_RUNTIME_DIR": "run",
}
# What our commands and the engines under them call what they make where nobody has said where.
# Not of Flux, whose instances are called alike whoever starts them: it keeps to TMPDIR.
ALONE = os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") == "1"
OURS = re.compile(r"\.?(jobspec|ensemble|flux-?burst|resource|secretary|hq|hyperqueue)[-_.]")
SHARED = [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run"), Path.home()]
SHARED += [Path.home() / name for name in (".cache", ".config", ".local/share", ".local/state")]


class Desk:
    """Runs commands as its user. folder: an empty one with a short name (sockets lie below it).

    environ: what else they find in their environment, such as what leads them to an engine.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], keeps: Sequence[str] = ()) -> None:
        self.folder, self.work, self.keeps = folder, folder / "work", keeps
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        places = {name: str(folder / place) for name, place in PLACES.items()}
        for place in (*PLACES.values(), "work"):
            (folder / place).mkdir(mode=0o700)
        path = f"{Path(sys.executable).parent}{os.pathsep}{PATH}"
        user = {"USER": USER, "LOGNAME": USER, "LANG": "C.UTF-8", "SHELL": "/bin/sh"}
        self.environ = {**kept, **user, **places, **environ, "PATH": path, "DESK": str(folder)}
        self.group = None if "SLURM_CONF" in environ else _own_group()
        self._before = self._shared()

    def start(self, *argv: str, log: str) -> subprocess.Popen[bytes]:
        """Start a command in the background; what it says goes to the file `log` in the folder for work."""
        with (self.work / log).open("ab") as file:
            return subprocess.Popen(
                argv,
                cwd=self.work,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                group=self.group,
            )

    def ask(
        self, *argv: str, stdin: str = "", where: str = "", timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is; where: a folder in the one for work."""
        return subprocess.run(
            argv,
            cwd=self.work / where,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            group=self.group,
        )

    def __call__(self, *argv: str, stdin: str = "", code: int = 0) -> str:
        """What a command prints. It must exit with this code."""
        done = self.ask(*argv, stdin=stdin)
        assert done.returncode == code, f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def file(self, name: str, text: str) -> str:
        """Write a file into the folder for work; gives its name."""
        (self.work / name).write_text(text)
        return name

    def processes(self) -> dict[int, str]:
        """Those that were started from here and still run: their command lines, by their ids."""
        mark = os.fsencode(self.folder)
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended, or is somebody else's
                words = (process / "cmdline").read_bytes()
                where = os.fsencode((process / "cwd").readlink())
                mine = mark in words or mark in where or mark in (process / "environ").read_bytes()
                if mine or process.stat().st_gid == self.group:
                    found[int(process.name)] = words.replace(b"\0", b" ").decode(errors="replace").strip()
        return found

    def strays(self) -> list[str]:
        """Files that nobody has asked for: in the user's own places, and where everybody writes."""
        own = []
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder))
            if name not in PLACES.values() and not any(name.startswith(kept) for kept in ("work", *self.keeps)):
                own.append(path)
        return sorted(map(str, [*own, *(self._shared() - self._before)]))

    def _shared(self) -> set[Path]:
        """What is in places of everybody and may be ours: by its group, else by its user and its name.

        Names are looked at only where no other tests run side by side, which make files of such names, too.
        """
        found = set()
        for folder in SHARED:
            with suppress(OSError):
                for entry in folder.iterdir():
                    with suppress(OSError):
                        seen = entry.lstat()
                        named = ALONE and self.group is None and seen.st_uid == os.geteuid() and OURS.match(entry.name)
                        if named or seen.st_gid == self.group:
                            found.add(entry)
        return found

    def end(self) -> None:
        """End what is still running; for a test that has failed already."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _own_group() -> int | None:
    """A group id that nobody else has; None for those who may not take one."""
    group = 50_000 + os.getpid() % 10_000
    try:
        subprocess.run(["true"], group=group, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return group


def until(true: Callable[[], object], what: Callable[[], object] | str, seconds: float = PATIENCE) -> None:
    """Wait until something is true. Raises AssertionError with what is seen instead."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what if isinstance(what, str) else what()
        time.sleep(0.2)


@contextmanager
def desk(environ: Mapping[str, str], keeps: Sequence[str] = (), patience: float = 30) -> Iterator[Desk]:
    """A desk for as long as a `with` lasts; at the end nothing of it may be left but what is in its folder for work.

    keeps: what may stay besides, by the beginnings of its names, such as `cache/resource-secretary`; patience: seconds
    until all must be gone. Raises AssertionError with the processes and the files that are left.
    """
    # A short name, because sockets below it may not have a long one.
    with tempfile.TemporaryDirectory(prefix="desk-", ignore_cleanup_errors=True) as folder:
        made = Desk(Path(folder).resolve(), environ, keeps)
        try:
            yield made
            until(lambda: not made.processes(), lambda: f"processes are left: {made.processes()}", patience)
            until(lambda: not made.strays(), lambda: f"files are left: {made.strays()}", patience)
        finally:
            made.end()
