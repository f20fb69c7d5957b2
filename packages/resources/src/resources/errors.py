"""The errors of this package: one base class, fields as well as text, and retryable is a type."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from resources.answer import Answer


LONGEST_LINE = 400  # characters of an error's text, and of its place


class ResourcesError(Exception):
    """Base of every error that this package raises on purpose; `exit_code` is what a command exits with."""

    exit_code = 1


class InputError(ResourcesError, ValueError):
    """Something that was given can't be read. `place` says where in the input it stands.

    `place` is a dotted path in a document (`groups[2].total.memory`), a column in a text
    (`column 9`), or empty where the whole value is meant.
    """

    def __init__(self, message: str, place: str = "") -> None:
        self.message = _line(message)
        self.place = _line(place)
        super().__init__(f"{self.place}: {self.message}" if place else self.message)

    def at(self, place: str) -> InputError:
        """The same error, one step further out: `place` is put in front of its own place."""
        joint = ": " if place and self.place else ""
        return type(self)(self.message, f"{place}{joint}{self.place}")


def _line(text: str) -> str:
    """A text as one line of a bearable length: what it quotes may be anything."""
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}... ({len(text)} characters)"


class UnknownKind(InputError):
    """A kind of resource that no built-in and no installed plugin defines."""


class CombineError(ResourcesError, TypeError):
    """`&` was given two resources of one kind, or something that is no resource."""


class AllocationError(ResourcesError):
    """An allocation was freed twice, or given to a provider that did not grant it."""


class Unavailable(ResourcesError):
    """A provider refused a request. `answer` says what is short, by how much, and where.

    The answer is worked out when it is first read: a scheduler that only tries again never pays for it.
    """

    def __init__(self, explain: Callable[[], Answer]) -> None:
        self._explain = explain
        super().__init__()

    @cached_property
    def answer(self) -> Answer:
        return self._explain()

    def __str__(self) -> str:
        if self.answer.verdict == "READY":
            return "it did not fit when it was asked for, and fits by now"
        return self.answer.reason


class InsufficientResources(Unavailable):
    """It does not fit now and may later: try again."""


class InfeasibleRequest(Unavailable):
    """It can never fit this provider: do not try again."""


class TimeLimitExceeded(ResourcesError, TimeoutError):
    """A running job reached its hard time limit."""


class PluginError(ResourcesError):
    """Base of what can be wrong with a plugin; `name` is the plugin's."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(message)


class UnknownPlugin(PluginError):
    """No built-in and no installed plugin has this name."""


class PluginConflict(PluginError):
    """Two installed plugins have this name."""


class BrokenPlugin(PluginError):
    """The plugin is there, but importing it failed or it lacks what its kind must have."""
