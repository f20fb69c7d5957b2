"""Start the processes of a job: cheaply (posix_spawn), in a process group of their own."""

# System calls once a job: a Path costs more than the call that it is for.
# ruff: noqa: PTH112, PTH117, PTH118
from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from resources.allocation import VARIABLE

from ensemble.supervisor.keeping import Keeper
from ensemble.supervisor.task import Home, Task

MARK = "ENSEMBLE_MARK"  # tells, in /proc/PID/environ, whose process it is; see supervisor.recover
# What Python or the supervisor ignores, and a program expects at its default.
DEFAULTS = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP]
USERS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC


class Spawner:
    """Starts jobs. bind: whether to bind each to the cores it was granted."""

    def __init__(self, keeper: Keeper, key: str) -> None:
        self._keeper, self._key = keeper, key
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._programs: dict[tuple[str, str], str] = {}
        self._allocations: dict[tuple[int, ...], dict[str, str]] = {}
        self.bind = False

    def start(self, task: Task, home: Home) -> None:
        """Start it. Raises OSError or ValueError with what is wrong; some of its processes may run then."""
        spec = task.spec
        os.chdir(os.path.join(home.workdir, spec.workdir) if spec.workdir else home.workdir)
        opened: list[int] = []
        cpus: set[int] | None = None
        try:
            environment = {
                **home.environment,
                **spec.environment,
                **self._given(task),
                "ENSEMBLE_JOB": task.name,
                MARK: mark(self._key, task),
            }
            stdin = self._null
            if spec.stdin:
                stdin = os.open(spec.stdin, os.O_RDONLY | os.O_CLOEXEC)
                opened.append(stdin)
            out, err = users_files(spec.output) if spec.output else self._keeper.open(task.place or [])
            opened += [out, err]
            files = [
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, out, 1),
                (os.POSIX_SPAWN_DUP2, err, 2),
            ]
            if self.bind:
                cpus = os.sched_getaffinity(0)
                task.granted.bind()
            program = self._program(spec.argv[0], environment)
            for _ in range(spec.tasks):
                pid = os.posix_spawn(
                    program,
                    spec.argv,
                    environment,
                    file_actions=files,
                    setpgroup=task.leader,
                    setsigdef=DEFAULTS,
                )
                task.leader = task.leader or pid
                task.pids.add(pid)
        finally:
            if cpus is not None:
                os.sched_setaffinity(0, cpus)
            for fd in opened:
                os.close(fd)

    def _given(self, task: Task) -> dict[str, str]:
        """The variables of its allocation. Of those that were granted the same, only the times are put in anew."""
        granted, spec = task.granted, task.spec
        key = (spec.nodes, spec.tasks, spec.cores, spec.gpus, spec.memory, spec.duration, *granted.c)
        times = (
            f',"start":{granted.start!r},"deadline":{"null" if granted.deadline is None else repr(granted.deadline)}}}'
        )
        known = self._allocations.get(key)
        if known is not None:
            return {**known, VARIABLE: known[VARIABLE] + times}
        made: dict[str, str] = granted.environ()
        if made[VARIABLE].endswith(times):
            if len(self._allocations) > 1000:
                self._allocations.clear()
            self._allocations[key] = {**made, VARIABLE: made[VARIABLE].removesuffix(times)}
        return made

    def _program(self, name: str, environment: Mapping[str, str]) -> str:
        """As execvp(3) finds it, on the job's own PATH."""
        if "/" in name:
            return name
        path = environment.get("PATH", os.defpath)
        found = self._programs.get((name, path))
        if found is None or not os.access(found, os.X_OK):
            found = next((at for at in candidates(name, path) if os.access(at, os.X_OK) and not os.path.isdir(at)), "")
            if not found:
                raise FileNotFoundError(2, "no such program on PATH", name)
            if os.path.isabs(found):
                if len(self._programs) > 1000:
                    self._programs.clear()
                self._programs[name, path] = found
        return found


def candidates(name: str, path: str) -> list[str]:
    return [os.path.join(folder or ".", name) for folder in path.split(os.pathsep)]


def users_files(output: str) -> tuple[int, int]:
    """The file that the user asked for, made with its folder, and `.err` beside it. Raises OSError."""
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    out = os.open(output, USERS, 0o666)
    try:
        return out, os.open(f"{output}.err", USERS, 0o666)
    except OSError:
        os.close(out)
        raise


def mark(key: str, task: Task) -> str:
    return f"{key}.{task.number}"


def signal_task(task: Task, number: signal.Signals) -> None:
    """Signal a job's process group.

    The number of the group can't have been given away: its last process is reaped after the last signal to it,
    and of processes that are not ours the pidfd says whether the leader still lives.
    """
    with suppress(ProcessLookupError, PermissionError):
        if task.pids or task.leader in task.watched.values():
            os.killpg(task.leader, number)
            return
    for fd in task.watched:
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(fd, number)
