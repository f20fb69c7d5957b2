"""Starts programs that outlive whoever asked for them, and sees to it that nothing of them is left when they end.

Run as a file, with Python's standard library only: `python -I -S THIS ORDER LOCK NAME...`. ORDER is a JSON file,
`{"programs": {NAME: {"argv": [...], "environ": {...}, "output": PATH, "exit": PATH}}}`, LOCK the number of an open
file that stays locked until every program has started. Each gets a session of its own and a supervisor, which adopts
what loses its parent (PR_SET_CHILD_SUBREAPER, prctl(2)): once the program has ended, what is left of its children is
killed, and how it ended is written to `exit`. A signal that ends a program is passed on to it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> int:
    """Fork a supervisor for each of the names, and return at once."""
    programs, lock, names = json.loads(Path(arguments[0]).read_bytes())["programs"], int(arguments[1]), arguments[2:]
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for one in ENDING:
        signal.signal(one, signal.SIG_DFL)
    for name in names:
        if os.fork() == 0:
            os._exit(keep(programs[name], lock))
    return 0


def keep(order: dict[str, Any], lock: int) -> int:
    """Start one program and wait for its end; for its supervisor alone."""
    os.setsid()
    os.chdir("/")
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(output, standard)
    try:
        # In a group of its own: what is sent to the supervisor is passed on once, by it.
        program = subprocess.Popen(order["argv"], env={**os.environ, **order["environ"]}, process_group=0)
    except OSError as error:
        os.write(output, f"{order['argv'][0]}: {error.strerror}\n".encode())
        _record(order["exit"], 127)
        return 1
    for one in ENDING:
        signal.signal(one, lambda number, _: program.send_signal(number))
    _await_marks(program.pid, order["environ"])
    os.close(lock)
    status = program.wait()
    _sweep()
    _record(order["exit"], status)
    return 0


def _await_marks(pid: int, environ: dict[str, str]) -> None:
    """Wait until /proc shows the environment: for a moment after execve(2) it shows none."""
    marks = {f"{name}={value}".encode() for name, value in environ.items()}
    for _ in range(1000):
        try:
            shown = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return  # it has ended
        if marks.issubset(shown):
            return
        time.sleep(0.002)


def _sweep() -> None:
    """Kill every child until there is none: grandchildren become children when their parents end."""
    while True:
        for child in _children():
            os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        time.sleep(0.01)


def _children() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.append(int(entry.name))
    return found


def _record(path: str, status: int) -> None:
    draft = f"{path}.new"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"status": status, "time": time.time()}, file)
    os.replace(draft, path)  # noqa: PTH105  # as terse as the rest of it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
