"""Run commands one after another and show them to a person: what is run, what it says, what that means.

A command writes to the terminal itself, so that it looks as it does when a user types it: with
colour and progress on a terminal, as plain text in a pipe.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.text import Text

GRACE = 5  # seconds that a command gets to end by itself


class StepFailed(Exception):
    """A step did not do what it should; the text says which command and how it ended."""


class Story:
    """Steps under headings. `folder` is where the commands run, `timeout` the seconds each may take."""

    def __init__(self, console: Console, folder: Path, timeout: float = 60) -> None:
        self.console = console
        self.title = ""
        self._folder = folder
        self._timeout = timeout
        self._times: list[tuple[str, float]] = []
        self._environment = dict(os.environ)
        path = self._environment.get("PATH", os.defpath)
        self._environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{path}"

    def step(self, title: str) -> None:
        """Begin a step; the one before it is done."""
        self.title = title
        self._times.append((title, time.monotonic()))
        self._heading(title, "cyan")

    def end(self) -> None:
        """The last step is done: say what was done and how long it took."""
        self._heading("Done", "green")
        now = time.monotonic()
        ends = [start for _, start in self._times[1:]] + [now]
        for (title, start), end in zip(self._times, ends, strict=True):
            self._say(Text.assemble(("✓ ", "bold green"), (f"{end - start:4.1f} s  ", "dim"), title))
        self._say(Text(f"{now - self._times[0][1]:.1f} s in all.", style="dim"))

    def tell(self, text: str) -> None:
        """One line on what the output above means."""
        self._say(Text.assemble(("→ ", "bold green"), (text, "green")))

    def fail(self, why: StepFailed) -> None:
        """The last line of a story that went wrong."""
        self._say(Text(f"Failed: {self.title}: {why}", style="bold red"))

    def run(self, *argv: str, under: tuple[str, ...] = ()) -> None:
        """Run a command, started by the one in `under` (`flux start`). Raises StepFailed unless it exits 0."""
        shown = self._announce([*under, *argv])
        code, _ = self._wait(shown, [*under, *argv], capture=False)
        if code:
            raise StepFailed(f"`{shown}` exited {code}")

    def save(self, file: Path, *argv: str, lines: int = 12) -> None:
        """Run a command whose stdout goes to a file; show so many lines of it. Raises StepFailed unless it exits 0."""
        shown = self._announce(argv, f" > {file.name}")
        code, out = self._wait(shown, argv, capture=True)
        if code:
            raise StepFailed(f"`{shown}` exited {code}")
        file.write_text(out)
        written = out.splitlines()
        self._say(Text("\n".join(written[:lines])))
        if len(written) > lines:
            self._say(Text(f"… and {len(written) - lines} more lines", style="italic dim"))

    def ask(self, *argv: str, stdin: Path) -> bool:
        """Run a command that answers yes (exit 0) or no (exit 1, and stdout says more). Raises StepFailed otherwise."""
        shown = self._announce(argv, f" < {stdin.name}")
        code, out = self._wait(shown, argv, stdin, capture=True)
        if out.strip():
            self._say(Text(out.rstrip("\n")))
        if code not in {0, 1} or not out.strip():
            raise StepFailed(f"`{shown}` exited {code}{'' if out.strip() else ' without an answer'}")
        return code == 0

    def _announce(self, argv: Sequence[str], files: str = "") -> str:
        shown = shlex.join(argv) + files
        self.console.print()
        self._say(Text(f"$ {shown}", style="bold"))
        return shown

    def _wait(self, shown: str, argv: Sequence[str], stdin: Path | None = None, *, capture: bool) -> tuple[int, str]:
        """Gives the exit code, and stdout where it is captured. stderr is shown always, as part of the story."""
        try:
            with (
                (stdin or Path(os.devnull)).open("rb") as source,
                subprocess.Popen(
                    argv,
                    cwd=self._folder,
                    env=self._environment,
                    stdin=source,
                    stdout=subprocess.PIPE if capture else None,
                    stderr=sys.stdout,
                    text=True,
                ) as child,
            ):
                try:
                    out, _ = child.communicate(timeout=self._timeout)
                except subprocess.TimeoutExpired:
                    _end(child)
                    raise StepFailed(f"`{shown}` did not end within {self._timeout:g} s") from None
        except OSError as error:
            raise StepFailed(f"`{shown}` can't be started: {error.strerror}") from None
        return child.returncode, out or ""

    def _heading(self, text: str, style: str) -> None:
        self.console.print()
        self.console.rule(f"[bold {style}]{escape(text)}", align="left", style=style)

    def _say(self, text: Text) -> None:
        # A pipe has no width: lines stay as they are.
        self.console.print(text, soft_wrap=not self.console.is_terminal)


def _end(child: subprocess.Popen[str]) -> None:
    """Ask it to end before it is killed: `flux start` then takes its brokers along."""
    child.terminate()
    try:
        child.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
