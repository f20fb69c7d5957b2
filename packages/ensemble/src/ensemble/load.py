"""Read an ensemble file and check all of it before anything runs; every problem has its line and column."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from resources.clikit import read_argument
from resources.units import shown

from ensemble.document import Document, JobGroup, Rule
from ensemble.errors import FileError, Problem, SpecError
from ensemble.metrics import did_you_mean
from ensemble.places import Places, read_yaml

T = TypeVar("T")
MOST_PROBLEMS = 100  # are told; a file that has more is something else than an ensemble
KEYS = ("logging", "member", "jobs", "rules", "custom")
LOGGING_KEYS = ("debug", "heartbeat")


def load(path: str | Path, actions: Callable[[str], str] | None = None) -> Document:
    """The document in a file, `-` is stdin. Raises FileError with what is wrong, InputError where it can't be read.

    actions: says why no plugin has a custom action of that name, "" where one has it. Without it
        the names of plugins' actions are taken as they are.
    """
    name = str(path)
    return parse(read_argument(name, "ensemble file"), name, actions)


def parse(text: str, name: str, actions: Callable[[str], str] | None = None) -> Document:
    """The document in a text; `name` is what problems call the file. Raises FileError."""
    data, places = read_yaml(text, name)
    checker = _Checker(data, places)
    document = checker.document()
    checker.references(document, actions)
    if problems := sorted(checker.problems, key=lambda p: (p.line, p.column)):
        if (more := len(problems) - MOST_PROBLEMS) > 0:
            rest = replace(problems[MOST_PROBLEMS], message=f"and {more} more problems from here on")
            problems[MOST_PROBLEMS:] = [rest]
        raise FileError(tuple(problems))
    return document


class _Checker:
    def __init__(self, data: Any, places: Places) -> None:
        self.places = places
        self.problems: list[Problem] = list(places.duplicates)
        self.data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        if not isinstance(data, Mapping):
            self.wrong((), f"an ensemble file is a mapping with {', '.join(KEYS)}")
        self._keys((), self.data, KEYS)

    def wrong(self, path: tuple[str | int, ...], message: str, *, at_key: bool = False) -> None:
        self.problems.append(self.places.problem(path, message, at_key=at_key))

    def document(self) -> Document:
        jobs: dict[str, JobGroup] = {}
        for index, group in self._entries("jobs", JobGroup):
            if group.name in jobs:
                self.wrong(("jobs", index, "name"), f"there is a group {group.name!r} already")
            jobs[group.name] = group
        self.rules = self._entries("rules", Rule)
        if not self.data.get("rules"):
            self.wrong(("rules",), "there are no rules, so nothing would ever run")
        logging = self.data.get("logging") or {}
        if not isinstance(logging, Mapping):
            self.wrong(("logging",), "logging is a mapping of debug and heartbeat")
            logging = {}
        self._keys(("logging",), logging, LOGGING_KEYS)
        debug = logging.get("debug", False)
        if not isinstance(debug, bool):
            self.wrong(("logging", "debug"), f"debug is true or false, not {shown(debug)}")
        heartbeat = self._try(("logging", "heartbeat"), lambda: seconds_of_heartbeat(logging.get("heartbeat", False)))
        return Document(
            file=self.places.file,
            jobs=jobs,
            rules=tuple(rule for _, rule in self.rules),
            member=self._text("member"),
            custom=self._text("custom"),
            custom_line=self.places.block_line(("custom",)),
            debug=bool(debug),
            heartbeat=heartbeat or 0.0,
        )

    def references(self, document: Document, actions: Callable[[str], str] | None) -> None:
        """What is named must be there: groups, custom functions, the heartbeat."""
        functions = self._functions(document)
        broken = {problem.line for problem in self.problems}
        named = [group.get("name") for group in self.data.get("jobs") or () if isinstance(group, Mapping)]
        for index, rule in self.rules:
            place = ("rules", index)
            for key, group in rule.groups():
                if group not in document.jobs and group not in named:
                    hint = did_you_mean(group, list(document.jobs)) or "; there are no jobs"
                    self.wrong((*place, *key.split(".")), f"no group of jobs is named {group!r}{hint}")
            if rule.action.name == "custom" and functions is not None and rule.action.label not in functions:
                why = actions(rule.action.label) if actions and "." in rule.action.label else ""
                if "." not in rule.action.label:
                    hint = did_you_mean(rule.action.label, sorted(functions))
                    why = f"custom defines no function {rule.action.label!r}{hint}"
                if why:
                    self.wrong((*place, "action", "label"), why)
            if rule.trigger == "heartbeat" and not document.heartbeat and not broken:
                self.wrong((*place, "trigger"), "it would never fire: set logging: {heartbeat: SECONDS}")

    def _functions(self, document: Document) -> set[str] | None:
        """The names that the custom source binds at its top level; None where it is no Python."""
        try:
            tree = ast.parse(document.custom)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None) or 1
            message = f"custom is no valid Python: {getattr(error, 'msg', None) or error}"
            self.problems.append(self.places.in_block(("custom",), line, getattr(error, "offset", None) or 1, message))
            return None
        names: set[str] = set()
        for node in tree.body:
            match node:
                case ast.FunctionDef() | ast.ClassDef():
                    names.add(node.name)
                case ast.Import() | ast.ImportFrom():
                    names.update((alias.asname or alias.name) for alias in node.names)
                case ast.Assign():
                    names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        return names

    def _entries(self, key: str, kind: Callable[[Mapping[str, Any]], T]) -> list[tuple[int, T]]:
        entries = self.data.get(key) or []
        if not isinstance(entries, list):
            self.wrong((key,), f"{key} is a list")
            return []
        read = [(index, self._try((key, index), partial(kind, entry))) for index, entry in enumerate(entries)]
        return [(index, value) for index, value in read if value is not None]

    def _try(self, path: tuple[str | int, ...], read: Callable[[], T]) -> T | None:
        try:
            return read()
        except SpecError as error:
            keys = tuple(error.key.split(".")) if error.key and error.key != path[-1] else ()
            unknown = error.message.startswith("unknown key")
            text = str(error) if unknown or error.message.startswith("it ") else error.message
            self.wrong((*path, *keys), text, at_key=unknown)
            return None

    def _text(self, key: str) -> str:
        value = self.data.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        self.wrong((key,), f"{key} is a text, not {shown(value)}")
        return ""

    def _keys(self, path: tuple[str | int, ...], given: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in given:
            if key not in known:
                self.wrong((*path, key), f"{key}: unknown key{did_you_mean(str(key), known)}", at_key=True)


def seconds_of_heartbeat(value: object) -> float:
    """A number of seconds; true is one a minute, false none."""
    if isinstance(value, bool):
        return 60.0 if value else 0.0
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise SpecError(f"heartbeat is a number of seconds, or true for 60, not {shown(value)}", "heartbeat")
    return float(value)
