"""The errors of this package: one base class, fields as well as text."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

LISTED = 12  # so many names are listed whole


class SecretaryError(Exception):
    """Base of every error that this package raises on purpose; `exit_code` is what a command exits with."""

    exit_code = 1


class UnknownProvider(SecretaryError):
    """No provider, category or tool has this name; `known` are the names that there are, `note` what more to know."""

    def __init__(self, what: str, name: str, known: Sequence[str], note: str = "") -> None:
        self.what, self.name, self.known, self.note = what, name, tuple(known), note
        rest = f"; {note}" if note else ""
        close = get_close_matches(name, known, 1) if len(known) > LISTED else []
        there = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"
        super().__init__(f"no {what} named {name!r}; {there}{rest}")


class InactiveProvider(SecretaryError):
    """The provider is not active here, so its tools answer nothing; `reason` says why."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name} is not active here: {reason}")


class ArgumentError(SecretaryError, ValueError):
    """An argument of a tool is missing, unknown, or not of the parameter's type."""

    def __init__(self, tool: str, parameter: str, message: str) -> None:
        self.tool, self.parameter = tool, parameter
        super().__init__(f"{tool}: {parameter}: {message}")


class CommandFailed(SecretaryError):
    """A command gave no answer. `command` is what was run, `said` what it said: exit code, first line, or no answer."""

    def __init__(self, command: str, said: str) -> None:
        self.command, self.said = command, said
        super().__init__(f"{command}: {said}")


class OutputError(SecretaryError, ValueError):
    """A command or file answered something that can't be read. `source` is which, `place` where in it."""

    def __init__(self, source: str, place: str, message: str) -> None:
        self.source, self.place = source, place
        super().__init__(f"{source}: {place}: {message}" if place else f"{source}: {message}")


class ToolFailed(SecretaryError):
    """A provider failed in a way that it did not foresee; `error` is the exception's first line."""

    def __init__(self, name: str, error: str) -> None:
        self.name, self.error = name, error
        super().__init__(f"{name} failed: {error}")
