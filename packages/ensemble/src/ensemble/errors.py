"""The errors of this package: one base class, fields as well as text."""

from __future__ import annotations

from dataclasses import dataclass


class EnsembleError(Exception):
    """Base of every error that this package raises on purpose; `exit_code` is what a command exits with."""

    exit_code = 1


class SpecError(EnsembleError, ValueError):
    """An action, a rule, a group or a condition can't be read. `key` names the field where there is one.

    faults: every reason as (path, message, at_key), where there may be several; see `ensemble.faults`.
    """

    def __init__(self, message: str, key: str = "") -> None:
        self.message, self.key = message, key
        self.faults: tuple[tuple[tuple[str | int, ...], str, bool], ...] = ()
        super().__init__(f"{key}: {message}" if key else message)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"

    def as_dict(self) -> dict[str, str | int]:
        return {"file": self.file, "line": self.line, "column": self.column, "message": self.message}


class FileError(EnsembleError, ValueError):
    """An ensemble file is not valid. `problems` has every reason, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class CustomError(EnsembleError):
    """A custom function failed. `file` and `line` say where (line 0: not known)."""

    def __init__(self, message: str, file: str, line: int) -> None:
        self.message, self.file, self.line = message, file, line
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")


class MemberError(EnsembleError):
    """A member can't be used, or was lost in the middle of a run. `member` is its name."""

    def __init__(self, member: str, message: str) -> None:
        self.member = member
        super().__init__(f"member {member}: {message}")


class RunDirError(EnsembleError):
    """The directory of a run can't be read, or not used for what was asked. `folder` is its path."""

    def __init__(self, folder: object, message: str) -> None:
        self.folder, self.message = str(folder), message
        super().__init__(f"{folder}: {message}")


class ServiceError(EnsembleError):
    """The service, or a client or agent of it, can't do what was asked; one line that says why and what to do."""
