"""Read an ensemble file and check all of it before anything runs; every problem has its line and column."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from resources.clikit import read_argument

from ensemble.check import Checker
from ensemble.document import Document
from ensemble.errors import FileError
from ensemble.places import read_yaml

if TYPE_CHECKING:
    from resources.plugins import Registry

    from ensemble.plugins import Plugin

MOST_PROBLEMS = 100  # are told; a file that has more is something else than an ensemble


def load(path: str | Path, plugins: Registry[Plugin] | None = None) -> Document:
    """The document in a file, `-` is stdin. Raises FileError with what is wrong, InputError where it can't be read.

    plugins: where members, actions, readers and rules of plugins are found; without it, the installed ones.
    """
    name = str(path)
    return parse(read_argument(name, "ensemble file"), name, plugins)


def parse(text: str, name: str, plugins: Registry[Plugin] | None = None) -> Document:
    """The document in a text; `name` is what problems call the file. Raises FileError."""
    data, places = read_yaml(text, name)
    checker = Checker(data, places, plugins)
    document = checker.document()
    if problems := sorted(set(checker.problems), key=lambda p: (p.line, p.column)):
        if (more := len(problems) - MOST_PROBLEMS) > 0:
            rest = replace(problems[MOST_PROBLEMS], message=f"and {more} more problems from here on")
            problems[MOST_PROBLEMS:] = [rest]
        raise FileError(tuple(problems))
    return replace(document, text=text)
