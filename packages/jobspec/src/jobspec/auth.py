"""The step `auth`: a check that must pass before the next step. What it reads is compared and never shown."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from jobspec.actions import Action, CheckAction
from jobspec.environ import clean
from jobspec.errors import DocumentError, StepFailed
from jobspec.steps import ANY, TEXT, StepBase
from jobspec.values import command_of

if TYPE_CHECKING:
    from jobspec.runner import Run

# Each check, and the one option that it needs.
CHECKS: Mapping[str, str] = {"environment": "name", "file": "path", "command": "command"}
TIMEOUT = 60  # seconds; nobody is there to answer a prompt


class AuthStep(StepBase):
    """Check who we are: a variable is set (`environment`), a `file` is private, a `command` exits with 0."""

    name = "auth"
    options: ClassVar[Mapping[str, str]] = {"check": TEXT, "name": TEXT, "path": TEXT, "command": ANY}
    required = ("check",)

    def check_options(self) -> None:
        with _untold():
            super().check_options()

    def check(self, staged: dict[str, bool]) -> None:
        place, kind = self.spec.place, self.option("check")
        if kind not in CHECKS:
            raise DocumentError(f"no check of that name; there are: {', '.join(CHECKS)}", f"{place}.check")
        needed = CHECKS[kind]
        for key in self.spec.options:
            if key not in ("check", needed):
                raise DocumentError(f"the check {kind} takes {needed} only", f"{place}.{key}")
        if needed not in self.spec.options:
            raise DocumentError(f"the check {kind} needs {needed}", place)
        if kind == "command":
            with _untold():
                words = command_of(self.option("command"), f"{place}.command")
            if not words:
                raise DocumentError("the check has no command", f"{place}.command")

    def what(self) -> str:
        """What must hold, in words. A command's arguments may be secret: they are not told."""
        kind = self.option("check")
        if kind == "environment":
            return f"the environment variable {self.option('name')} is set"
        if kind == "file":
            return f"{self.option('path')} is a file of one's own that nobody else can read"
        return f"the command {self.option('command')[0]} exits with 0"

    def actions(self, run: Run) -> list[Action]:
        return [CheckAction(self.what())]

    def run(self, run: Run) -> str:
        reasons = {"environment": self._environment, "file": self._file, "command": self._command}
        if why := reasons[self.option("check")]():
            raise StepFailed(f"the check that {self.what()} did not pass: {why}")
        return ""

    def _environment(self) -> str:
        value = os.environ.get(self.option("name"))
        return "it is not set" if value is None else "" if value.strip() else "it is empty"

    def _file(self) -> str:
        try:
            found = Path(self.option("path")).expanduser().stat()
        except (OSError, RuntimeError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error)
        if not stat.S_ISREG(found.st_mode):
            return "it is no regular file"
        if found.st_uid != os.geteuid():
            return "it belongs to somebody else"
        if found.st_mode & 0o077:
            return f"its mode is {stat.S_IMODE(found.st_mode):04o}: chmod go= would make it private"
        return "" if found.st_size else "it is empty"

    def _command(self) -> str:
        argv = list(self.option("command"))
        try:
            # Of its own session: it can't ask at the terminal. What it prints may be a secret.
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=clean(),
                start_new_session=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it did not end within {TIMEOUT} s"
        except OSError as error:
            return f"it can't be started: {error.strerror}"
        except ValueError:
            return "it can't be started"
        return f"exit code {done.returncode}" if done.returncode else ""


@contextmanager
def _untold() -> Iterator[None]:
    """A refusal says what an option must be, and not what it is: a secret may stand in the wrong place, too."""
    try:
        yield
    except DocumentError as error:
        raise DocumentError(error.message.partition(", not ")[0], error.place) from None
