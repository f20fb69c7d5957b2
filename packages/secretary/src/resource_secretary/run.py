"""Run one command: no shell, stdin closed, a deadline, a cap on its output, its process group gone after it."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from resource_secretary.errors import CommandFailed
from resource_secretary.result import Unreachable

LARGEST_OUTPUT = 32 * 2**20  # bytes; `scontrol show nodes` of 10,000 nodes is about 12 MB
STOPPED = "stopped: its answer is not wanted any more"
_LOST = "it ended, and its exit code is not known: this program ignores SIGCHLD, or another part of it took it"
_TICK = 0.05  # seconds until we look whether a command ended whose children hold its output open
_GRACE = 0.1  # seconds between SIGTERM and SIGKILL, and from there until the process is left behind
_RUNNING: set[subprocess.Popen[bytes]] = set()
# What is said before what is wrong: `WARNING: ...`, `time="..." level=warning msg="..."`.
_WARNING = re.compile(r"warning:|time=\S+ level=(?:warning|info)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a command. `code` is its exit code (minus the signal), None where it did not end by itself."""

    argv: tuple[str, ...]
    code: int | None
    stdout: str = ""
    stderr: str = ""
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return not self.problem and self.code == 0

    @property
    def command(self) -> str:
        return " ".join((os.path.basename(self.argv[0]), *self.argv[1:]))[:200]  # noqa: PTH119 - text, no path

    @property
    def said(self) -> str:
        """What it said where it is not ok: the exit code and the first line of its stderr, else of its stdout."""
        if self.problem:
            return self.problem
        texts = [[line.strip() for line in text.splitlines() if line.strip()] for text in (self.stderr, self.stdout)]
        lines = next(filter(None, texts), ["it said nothing"])
        lines = [line for line in lines if not _WARNING.match(line)] or lines
        # What is wrong stands last where a tool in Python failed.
        first = lines[-1] if lines[0].startswith("Traceback (most recent call last)") else lines[0]
        return f"{_end(self.code)}: {printable(first)[:200]}"

    def unreachable(self) -> Unreachable:
        """The result of a probe whose command is not ok."""
        return Unreachable(self.command, self.said, self.code)

    def text(self) -> str:
        """The standard output. Raises CommandFailed where the command is not ok."""
        if not self.ok:
            raise CommandFailed(self.command, self.said)
        return self.stdout


def _end(code: int | None) -> str:
    """An exit code as people say it: minus a signal is the signal."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"ended by signal {-code}"


def printable(text: str) -> str:
    """The text without control characters: what a command says must not steer the terminal that shows it."""
    return "".join(char if char.isprintable() else "?" for char in text)


def run(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    timeout: float,
    largest: int = LARGEST_OUTPUT,
    stdin: bytes = b"",
    cwd: str = "/",
    stop: threading.Event | None = None,
) -> Ran:
    """Run a command to its end or for `timeout` seconds. Never raises for what the command does.

    stdin: what it reads; empty means /dev/null. cwd: by default the root, so
    that a probe neither reads what lies where the user stands nor keeps it busy. stop: the command is killed where
    this is set, soon after.
    """
    end = time.monotonic() + timeout
    argv = tuple(argv)
    try:
        with _input(stdin) as source:
            process = subprocess.Popen(
                argv,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environ),
                cwd=cwd,
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return Ran(argv, None, problem=f"can't be started: {why}")
    _RUNNING.add(process)
    outputs = (bytearray(), bytearray())
    try:
        problem = _collect(process, outputs, end, largest, stop)
        if problem is None:
            problem = f"no answer in {round(timeout, 1):g} s"
    finally:
        code = _finish(process, time.monotonic() >= end)
        _RUNNING.discard(process)
    if not problem and code is None:
        problem = _LOST
    stdout, stderr = (bytes(output).decode(errors="replace") for output in outputs)
    return Ran(argv, None if problem else code, stdout, stderr, problem)


def _input(data: bytes) -> BinaryIO:
    """A file to read from: a file in memory blocks nobody, however much it holds and whoever reads it or not."""
    if not data:
        return open(os.devnull, "rb")  # noqa: PTH123
    file = os.fdopen(os.memfd_create("stdin"), "w+b")
    file.write(data)
    file.seek(0)
    return file


def _collect(
    process: subprocess.Popen[bytes],
    outputs: tuple[bytearray, bytearray],
    end: float,
    largest: int,
    stop: threading.Event | None,
) -> str | None:
    """Read until the command ends: "" where it did, None where time was up first, else what is wrong."""
    with selectors.DefaultSelector() as selector:
        for pipe, output in zip((process.stdout, process.stderr), outputs, strict=True):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ, output)
        while selector.get_map():
            left = end - time.monotonic()
            if left <= 0:
                return None
            if stop is not None and stop.is_set():
                return STOPPED
            ended = _ended(process)
            ready = selector.select(0 if ended else min(left, _TICK))
            for key, _ in ready:
                if data := os.read(key.fd, 2**16):
                    key.data.extend(data)
                else:
                    selector.unregister(key.fileobj)
            if sum(map(len, outputs)) > largest:
                return f"more than {largest} bytes of output"
            if ended and not ready:
                return ""  # a child of it holds the output open
    if stop is None:
        return "" if _wait(process, end) else None
    while not _wait(process, min(end, time.monotonic() + _TICK)):  # it closed its output and goes on
        if stop.is_set():
            return STOPPED
        if time.monotonic() >= end:
            return None
    return ""


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it ended, leaving it unreaped: until then nobody else can get its process group's number."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # reaped by the kernel where SIGCHLD is ignored, or by who waits for any child
        return True


def _lost(process: subprocess.Popen[bytes]) -> bool:
    """Whether it was reaped by somebody else: its number may be another's by now, and its exit code is unknown."""
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def _wait(process: subprocess.Popen[bytes], end: float) -> bool:
    pause = 0.0005
    while not _ended(process):
        if time.monotonic() >= end:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    return True


def _finish(process: subprocess.Popen[bytes], late: bool) -> int | None:
    """Kill what is left of the process group and reap the command, unless it is stuck in the kernel."""
    if late and not _ended(process):
        _signal_group(process, signal.SIGTERM)
        _wait(process, time.monotonic() + _GRACE)
    if not _lost(process):
        _signal_group(process, signal.SIGKILL)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    if _wait(process, time.monotonic() + _GRACE):
        lost = _lost(process)
        code = process.wait()
        return None if lost else code
    # Left behind: a thread that nobody waits for reaps it, should the kernel ever let it go.
    threading.Thread(target=process.wait, daemon=True).start()
    return None


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # A command that runs as another user (setuid) can't be signalled: it is left behind.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


@atexit.register
def _end_all() -> None:
    """Where the program ends while commands run (Ctrl-C, and threads that nobody waits for), they end with it."""
    for process in list(_RUNNING):
        if not _lost(process):
            _signal_group(process, signal.SIGKILL)


os.register_at_fork(after_in_child=_RUNNING.clear)  # they are the parent's
