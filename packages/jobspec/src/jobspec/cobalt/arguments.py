"""Which lines of a script Cobalt's qsub reads, and the options on them.

qsub(1) of Cobalt, SCRIPT JOB DIRECTIVES: "The #COBALT tag should be right after the first line of the script. qsub
will continue to read directives until it reads the first line that does not contain the tag". The words are split
at blanks, without quotes or comments, and make one list, which is read as Python's optparse reads it: unique
abbreviations, and nothing behind the first word that is no option.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.cobalt.options import FLAG, OPTIONS, SHORT
from jobspec.errors import ScriptError
from jobspec.profile import Profile
from jobspec.templates import meant

TAG = "#COBALT "
_LOOKS = re.compile(r"^[ \t]*#+[ \t]*COBALT(?![A-Za-z0-9_])[^\n]*$", re.MULTILINE | re.IGNORECASE)
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Given:
    """One option; value None for a flag. column: that of the option; value_line, value_column: of its value."""

    name: str
    value: str | None
    line: int
    column: int
    value_line: int
    value_column: int


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    line: int
    column: int


def header(text: str) -> list[tuple[int, str]]:
    """The lines that qsub reads, with their numbers."""
    if not text.startswith("#!"):
        return []
    found, at, number = [], text.find("\n") + 1, 2
    while at and text.startswith(TAG, at):
        end = text.find("\n", at)
        found.append((number, text[at : end if end >= 0 else len(text)]))
        at, number = end + 1, number + 1
    return found


def unread(text: str, read: int) -> Iterator[tuple[int, int, str]]:
    """(line, column, text) of the lines behind the `read`-th that look like directives."""
    number, counted = 1, 0
    for match in _LOOKS.finditer(text):
        number += text.count("\n", counted, match.start())
        counted = match.start()
        if number > read:
            line = match[0]
            yield number, len(line) - len(line.lstrip()) + 1, line.strip()


def split(lines: list[tuple[int, str]], profile: Profile) -> tuple[list[Given], list[Word]]:
    """The options, and the words behind the first that is none: they are not read. Raises ScriptError."""
    words = [
        Word(match[0], number, match.start() + 1) for number, line in lines for match in _WORD.finditer(line, len(TAG))
    ]
    more = frozenset(profile.options.get("cobalt", ()))
    found: list[Given] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word.text == "--":
            return found, words[at:]
        if word.text.startswith("--"):
            name, equals, value = word.text[2:].partition("=")
            name = _named(name, word, more)
            takes = OPTIONS[name][1] if name in OPTIONS else None
            if takes == FLAG and equals:
                raise ScriptError(f"--{name} takes no value", word.line, word.column)
            if equals or takes == FLAG or takes is None:
                column = word.column + word.text.find("=") + 1
                found.append(Given(name, value if equals else None, word.line, word.column, word.line, column))
            else:
                found.append(_with_next(name, word, words, at))
                at += 1
        elif word.text.startswith("-") and word.text != "-":
            at = _short(word, words, at, found)
        else:
            return found, words[at - 1 :]
    return found, []


def _named(name: str, word: Word, more: frozenset[str]) -> str:
    if name in OPTIONS or name in more:
        return name
    fitting = [known for known in OPTIONS if name and known.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(f"--{one}" for one in fitting)
        raise ScriptError(f"--{name} may be any of {names}", word.line, word.column)
    raise ScriptError(f"qsub has no option --{name[:60]}", word.line, word.column, meant=meant(name))


def _short(word: Word, words: list[Word], at: int, found: list[Given]) -> int:
    for index, letter in enumerate(word.text[1:], 1):
        name = SHORT.get(letter)
        if name is None:
            raise ScriptError(f"qsub has no option -{letter}", word.line, word.column, meant=meant(word.text))
        if OPTIONS[name][1] == FLAG:
            found.append(Given(name, None, word.line, word.column, word.line, word.column))
            continue
        rest = word.text[index + 1 :]
        if rest:
            found.append(Given(name, rest, word.line, word.column, word.line, word.column + index + 1))
            return at
        found.append(_with_next(name, word, words, at))
        return at + 1
    return at


def _with_next(name: str, word: Word, words: list[Word], at: int) -> Given:
    if at >= len(words):
        raise ScriptError(f"--{name} needs a value", word.line, word.column)
    return Given(name, words[at].text, word.line, word.column, words[at].line, words[at].column)
