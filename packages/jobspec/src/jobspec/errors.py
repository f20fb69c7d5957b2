"""The errors of this package: one base class, fields as well as text."""

from __future__ import annotations


class JobspecError(Exception):
    """Base of every error that this package raises on purpose; `exit_code` is what a command exits with."""

    exit_code = 1


class DocumentError(JobspecError, ValueError):
    """A jobspec file can't be read or run. `place` is the dotted path in it: `task.transform[1].filename`."""

    def __init__(self, message: str, place: str = "") -> None:
        self.message = message
        self.place = place
        super().__init__(f"{place}: {message}" if place else message)


class ScriptError(JobspecError, ValueError):
    """A batch script that its scheduler would refuse. `line` and `column` count from 1; `meant`: a likely remedy."""

    def __init__(self, message: str, line: int = 1, column: int = 1, file: str = "", meant: str = "") -> None:
        self.message = message
        self.line = line
        self.column = column
        self.file = file
        self.meant = meant
        super().__init__(f"{file or '-'}:{line}:{column}: {message}")


class TransformerUnavailable(JobspecError):
    """The transformer is there but can't work on this machine now; the text says what is missing."""


class StepFailed(JobspecError):
    """A step did not succeed. `job` is the id of the job that failed, or empty."""

    def __init__(self, message: str, job: str = "") -> None:
        self.message = message
        self.job = job
        super().__init__(message)


class JobEnded(StepFailed):
    """A job has ended, and not well; `job` is its id."""
