"""Custom functions: the file's own, and those of plugins. What they return is checked before it is done."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resources.errors import PluginError
from resources.plugins import Registry

from ensemble.document import Action, Document, Rule
from ensemble.errors import CustomError, SpecError
from ensemble.plugins import Plugin, find_action

Function = Callable[..., Any]


def _print(*values: object, **how: Any) -> None:
    """To stderr where nothing else is said: stdout is the run's, and with --json a program reads it."""
    print(*values, **{"file": sys.stderr, **how})  # noqa: T201 - the user's own


@dataclass(frozen=True, slots=True)
class Returned:
    """What a custom function wants done."""

    actions: list[Action] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)


class Functions:
    """The custom functions of a document by label. Its source runs when the first of them is called for."""

    def __init__(self, document: Document, plugins: Registry[Plugin]) -> None:
        self._document = document
        self._plugins = plugins
        self._names: dict[str, Any] | None = None

    def call(self, label: str, arguments: Mapping[str, Any]) -> Returned:
        """Call a function. Raises CustomError with the file and line at which it failed."""
        file, line = self._document.file, 0
        try:
            function = self._find(label)
            if code := getattr(function, "__code__", None):
                file, line = code.co_filename, code.co_firstlineno
            return self._check(function(**arguments))
        except CustomError:
            raise
        except BaseException as error:
            text = str(error) if isinstance(error, SpecError) else f"{type(error).__name__}: {error}"
            raise CustomError(f"{label}: {' '.join(text.split())}", file, _last_line(error, file) or line) from error

    def _find(self, label: str) -> Function:
        if "." in label:
            try:
                return find_action(label, self._plugins)
            except PluginError as error:
                raise CustomError(str(error), self._document.file, 0) from None
        if self._names is None:
            self._names = self._run_source()
        function = self._names.get(label)
        if not callable(function):
            raise SpecError(f"custom has no function {label!r}")
        found: Function = function
        return found

    def _run_source(self) -> dict[str, Any]:
        # Empty lines in front make the line numbers of errors those of the file.
        source = "\n" * (self._document.custom_line - 1) + self._document.custom
        names: dict[str, Any] = {"__name__": "ensemble_custom", "Action": Action, "Rule": Rule, "print": _print}
        exec(compile(source, self._document.file, "exec"), names)  # noqa: S102 - the user's own local file
        return names

    def _check(self, value: Any) -> Returned:
        """None, an action, a rule, or a list of them."""
        returned = Returned()
        for item in value if isinstance(value, (list, tuple)) else [] if value is None else [value]:
            if isinstance(item, Rule):
                named = item.groups()
                if item.trigger == "start" or (item.trigger == "heartbeat" and not self._document.heartbeat):
                    raise SpecError(f"a rule on {item.trigger} would never fire any more")
                returned.rules.append(item)
            elif isinstance(item, Action):
                named = [("label", item.label.partition(".")[0])] if item.name in ("submit", "cancel") else []
                if item.repetitions != 1 or item.backoff:
                    raise SpecError("repetitions and backoff are for rules; an action that is returned runs once")
                returned.actions.append(item)
            else:
                raise SpecError(f"an Action, a Rule, a list of them or None is expected, not {type(item).__name__}")
            for _, group in named:
                if group not in self._document.jobs:
                    raise SpecError(f"no group of jobs is named {group!r}; there are: {', '.join(self._document.jobs)}")
        return returned


def _last_line(error: BaseException, file: str) -> int:
    """The line of the file where an error arose, 0 where that is not known."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno or 0
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return (frames[-1].lineno or 0) if frames else 0
