"""Read an application's metric from lines of text: what `metrics` of a group says, at work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ensemble.document.reader import Reader, path_steps

if TYPE_CHECKING:
    from resources.plugins import Registry

    from ensemble.plugins import Plugin

LONGEST_LINE = 65536  # characters of a line that are looked at

Feed = Callable[[str], float | None]


def line_reader(reader: Reader, plugins: Registry[Plugin]) -> Feed:
    """A function that takes one line of a job's output after the other, and gives a value, or None.

    It may keep state between lines, so each attempt of a job has its own. A value may be NaN or infinite, which
    the metrics leave out. Raises PluginError where there is no such reader; what a plugin's raises comes through.
    """
    if reader.kind == "regex":
        return _regex(reader.source)
    if reader.kind == "json":
        return _json(reader.source)
    from ensemble.plugins import find_reader

    found = find_reader(reader.source, plugins)
    feed: Feed = found().feed if isinstance(found, type) else found
    return feed


def _regex(source: str) -> Feed:
    pattern = re.compile(source)
    group: str | int = "value" if "value" in pattern.groupindex else 1

    def feed(line: str) -> float | None:
        match = pattern.search(line[:LONGEST_LINE])
        return _float(match[group]) if match else None

    return feed


def _json(path: str) -> Feed:
    steps = path_steps(path)

    def feed(line: str) -> float | None:
        if not line.lstrip().startswith("{"):
            return None
        try:
            value: Any = json.loads(line)
        except (ValueError, RecursionError):
            return None
        for step in steps:
            try:
                value = value[step]
            except (TypeError, KeyError, IndexError):
                return None
        return None if isinstance(value, bool) or not isinstance(value, (int, float, str)) else _float(value)

    return feed


def _float(value: str | float) -> float | None:
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
