"""Which lines of a script qsub obeys, and the words on them.

Torque's qsub(1B), "Script Processing", and POSIX qsub, "Option Specification": a first line with "#!" or ":" is
skipped; reading stops at the first line that is not blank and does not start with "#"; a directive is a line whose
first characters that are no blanks are the prefix, and a backslash at its end goes on with the next line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jobspec.errors import ScriptError
from jobspec.reading import Directive

BLANKS = " \t\v\f\r"
_WORD = re.compile(rf"[^{BLANKS}]+")
# What an author may have meant for a directive: "##PBS -N x", "# PBS -N x", "#pbs -N x", or one behind a command.
_LIKE = re.compile(r"^([ \t]{0,200}#{1,9}[ \t]{0,9}(?:PBS|MSUB))[ \t]{1,200}-[A-Za-z]", re.MULTILINE | re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a directive: without its quotes, as it stands there, and where."""

    text: str
    raw: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Header:
    """What qsub finds: the words of each directive, the lines that are directives, and what only looks like one."""

    directives: tuple[tuple[Word, ...], ...]
    obeyed: frozenset[int]
    ignored: tuple[Directive, ...]


def scan(text: str, prefixes: tuple[str, ...]) -> Header:
    """The directives of a script. Raises ScriptError where a quote is not closed."""
    found: list[tuple[Word, ...]] = []
    obeyed: set[int] = set()
    lines = text.split("\n")
    number, end = 0, len(lines)
    while number < end:
        line = lines[number]
        number += 1
        start = line.lstrip()
        if not start or (number == 1 and start[0] == ":"):
            continue
        if start[0] != "#":
            number -= 1
            break
        if not start.startswith(prefixes):
            continue
        prefix = next(one for one in prefixes if start.startswith(one))
        obeyed.add(number)
        parts = list(_words(line, number, line.index(prefix) + len(prefix)))
        while line.endswith("\\") and number < end:
            line = lines[number]
            number += 1
            obeyed.add(number)
            at = line.index(prefix) + len(prefix) if line.lstrip().startswith(prefix) else 0
            parts += _words(line, number, at)
        found.append(tuple(parts) or (Word("", line.strip()[:_SHOWN], number, 1),))
    return Header(tuple(found), frozenset(obeyed), tuple(_ignored(text, obeyed, number)))


def _words(line: str, number: int, at: int) -> list[Word]:
    if control := _CONTROL.search(line, at):
        raise ScriptError("a control character in a directive", number, control.start() + 1)
    if line.endswith("\\"):
        line = line[:-1]
    if not ('"' in line or "'" in line):
        return [Word(match[0], match[0], number, match.start() + 1) for match in _WORD.finditer(line, at)]
    return _quoted(line, number, at)


def _quoted(line: str, number: int, at: int) -> list[Word]:
    words: list[Word] = []
    end = len(line)
    while True:
        while at < end and line[at] in BLANKS:
            at += 1
        if at == end:
            return words
        start, quote, letters = at, "", []
        while at < end and (quote or line[at] not in BLANKS):
            letter = line[at]
            at += 1
            if quote and letter == quote:
                quote = ""
            elif not quote and letter in "\"'":
                quote = letter
            elif not quote and letter == "\\" and at < end and line[at] in "\"'":
                letters.append(line[at])
                at += 1
            else:
                letters.append(letter)
        if quote:
            if words and words[-1].text.startswith("#"):  # an apostrophe in a comment
                return words
            if line[start] == "#" or any(word.text.startswith("#") for word in words):
                return [*words, Word("#", "#", number, start + 1)]
            raise ScriptError(f"unmatched {quote}", number, start + 1)
        words.append(Word("".join(letters), line[start:at], number, start + 1))


def _ignored(text: str, obeyed: set[int], stopped: int) -> list[Directive]:
    """Lines that look like directives and are none."""
    found, number, at = [], 1, 0
    for match in _LIKE.finditer(text):
        number += text.count("\n", at, match.start())
        at = match.start()
        if number in obeyed:
            continue
        end = text.find("\n", at)
        line = text[at : end if 0 <= end < at + _SHOWN else at + _SHOWN].strip()
        if number > stopped:
            why = "after the first command, where directives are no longer read"
        else:
            why = f"a comment: a directive starts with {match[1].lstrip(' #' + chr(9)).upper()!s} right behind one #"
        found.append(Directive(number, 1, line, "", (), "ignored", why))
    return found


def shown(words: Sequence[Word]) -> str:
    """Words as they stand in the script."""
    return " ".join(word.raw for word in words)[:_SHOWN]
