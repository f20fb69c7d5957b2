"""Run commands one after another and show them to a person: what is run, what it says, what that means.

On a terminal with colour, a spinner and a clock while a command runs; piped, the same as plain text.
"""

from __future__ import annotations

import os
import queue
import shlex
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

GRACE = 5  # seconds that a child gets between SIGTERM and SIGKILL


class StepFailed(Exception):
    """A step did not do what it should; the text says which command and how it ended."""


class Story:
    """Steps under headings. `folder` is where the commands run, `timeout` the seconds each may take."""

    def __init__(self, console: Console, folder: Path, timeout: float = 60) -> None:
        self.console = console
        self.folder = folder
        self.timeout = timeout
        self.title = ""
        self.done: list[tuple[str, float]] = []
        self._started = time.monotonic()

    def step(self, title: str) -> None:
        """Begin a step; the one before it is done."""
        self._note()
        self.title = title
        self._started = time.monotonic()
        self.console.print()
        self.console.rule(f"[bold cyan]{escape(title)}", align="left", style="cyan")

    def end(self) -> None:
        """The last step is done: say what was done and how long it took."""
        self._note()
        self.console.print()
        self.console.rule("[bold green]Done", align="left", style="green")
        for title, seconds in self.done:
            self.console.print(Text.assemble(("✓ ", "bold green"), (f"{seconds:4.1f} s  ", "dim"), title))
        self.console.print(Text(f"{sum(seconds for _, seconds in self.done):.1f} s in all.", style="dim"))

    def _note(self) -> None:
        if self.title:
            self.done.append((self.title, time.monotonic() - self._started))
        self.title = ""

    def tell(self, text: str) -> None:
        """One line on what the output above means."""
        self.console.print(Text.assemble(("→ ", "bold green"), (text, "green")), soft_wrap=not self.console.is_terminal)

    def run(
        self,
        *argv: str,
        under: tuple[str, ...] = (),
        stdin: Path | None = None,
        save: Path | None = None,
        allowed: tuple[int, ...] = (0,),
        lines: int = 12,
    ) -> int:
        """Run a command, show it and its output as it comes, and give its exit code.

        under: a command that starts this one (`flux start`). stdin, save: files that it reads from
        and that its stdout goes to. lines: how many of them are shown; the middle of more than that
        is left out, and the place says so. Raises StepFailed unless it exits with an allowed code,
        and with an answer on stdout if that code is not 0.
        """
        shown = shlex.join([*under, *argv])
        shown += f" < {stdin.name}" if stdin else ""
        shown += f" > {save.name}" if save else ""
        self.console.print(Text(f"$ {shown}", style="bold"), soft_wrap=not self.console.is_terminal)
        # Into one pipe, so that lines stay in order; into two where stdout matters by itself.
        apart = save is not None or allowed != (0,)
        try:
            code, out = self._follow([*under, *argv], stdin, lines, apart=apart)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise StepFailed(f"`{shown}` did not end within {self.timeout:g} s") from None
        except OSError as error:
            raise StepFailed(f"`{shown}` can't be started: {error.strerror}") from None
        if code not in allowed:
            raise StepFailed(f"`{shown}` exited {code}")
        if code and not out.strip():
            raise StepFailed(f"`{shown}` exited {code} without an answer")
        if save:
            save.write_text(out)
        return code

    def _follow(self, argv: list[str], stdin: Path | None, lines: int, *, apart: bool) -> tuple[int, str]:
        """Show a command's lines as they come. Gives its exit code and its stdout."""
        environment = dict(os.environ)
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
        environment["COLUMNS"] = str(self.console.width - 2)
        with (stdin or Path(os.devnull)).open("rb") as source:
            child = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=environment,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if apart else subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        out = []
        view = _View(self.console, lines)
        with child, _spinner(self.console) as spinner:
            spinner.add_task(argv[0], total=None)
            try:
                for stream, line in _lines_of(child, time.monotonic() + self.timeout):
                    view.add(line.rstrip("\n"), "dim" if stream == "err" else "")
                    if stream == "out":
                        out.append(line)
                child.wait(timeout=GRACE)
            finally:
                _stop(child)
                view.close()
        return child.returncode, "".join(out)


class _View:
    """Shows the first lines as they come, and the last ones when all have come."""

    def __init__(self, console: Console, lines: int) -> None:
        self.console = console
        self.first = lines - lines // 3
        self.last: deque[tuple[str, str]] = deque(maxlen=lines // 3)
        self.left_out = 0

    def add(self, line: str, style: str) -> None:
        if self.first:
            self.first -= 1
            self._show(line, style)
            return
        self.left_out += len(self.last) == self.last.maxlen
        self.last.append((line, style))

    def close(self) -> None:
        if self.left_out:
            self.console.print(Text(f"  … {self.left_out} line(s) left out here …", style="italic dim"))
        for line, style in self.last:
            self._show(line, style)

    def _show(self, line: str, style: str) -> None:
        if self.console.is_terminal:
            self.console.print(Padding(Text(line, style=style), (0, 0, 0, 2)))
        else:
            self.console.print(f"  {line}", soft_wrap=True, markup=False)


def _spinner(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}", style="dim", markup=False), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _lines_of(child: subprocess.Popen[str], deadline: float) -> Iterator[tuple[str, str]]:
    """Lines of stdout ("out") and stderr ("err") as they come. Raises TimeoutError at the deadline."""
    lines: queue.Queue[tuple[str, str] | None] = queue.Queue()

    def read(name: str, stream: IO[str]) -> None:
        for line in stream:
            lines.put((name, line))
        lines.put(None)

    streams = [(name, stream) for name, stream in (("out", child.stdout), ("err", child.stderr)) if stream]
    for name, stream in streams:
        threading.Thread(target=read, args=(name, stream), daemon=True).start()
    still_open = len(streams)
    while still_open:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutError from None
        if line is None:
            still_open -= 1
        else:
            yield line


def _stop(child: subprocess.Popen[str]) -> None:
    """End a child that is still there."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
