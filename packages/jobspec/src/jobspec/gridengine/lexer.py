"""Which lines of a script qsub reads, and the words on them.

Seen with qsub 8.1.9 (`-verify`); qsub(1) only says "the first two characters of a script line": the whole file
is read, `#` ends a line even inside quotes, and what follows a quote is one word to the end of the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PREFIX = "#$"
_BLANKS = " \t\n\v\f\r"  # C's isspace
_WORD = re.compile(r"[^ \t]+")
# Lines that look like directives: indented, "##$", "# $".
_LOOKALIKE = re.compile(r"^(?:[ \t]{1,200}#|#[# \t]{1,200})\$[ \t]{0,200}-[A-Za-z].*$", re.MULTILINE)
_UNQUOTED = {ord('"'): None, ord("'"): None}


@dataclass(frozen=True, slots=True)
class Word:
    """A word without its quotes; `column` counts from 1."""

    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Line:
    """A directive line; `glued` where words after a closed quote belong to the quoted one."""

    number: int
    words: tuple[Word, ...]
    glued: bool = False


def directive_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that start with `#$`, with their numbers from 1. Reading stops at a NUL."""
    end = text.find("\0")
    end = len(text) if end < 0 else end
    at, number, counted = 0, 1, 0
    while 0 <= at < end:
        if text.startswith(PREFIX, at):
            number += text.count("\n", counted, at)
            counted = at
            stop = text.find("\n", at, end)
            yield number, text[at : end if stop < 0 else stop]
        found = text.find("\n" + PREFIX, at, end)
        at = found + 1 if found >= 0 else -1


def lookalikes(text: str) -> Iterator[tuple[int, str]]:
    """The lines that look like directives and are none to qsub."""
    if "$" not in text:
        return
    number, counted = 1, 0
    for match in _LOOKALIKE.finditer(text):
        number += text.count("\n", counted, match.start())
        counted = match.start()
        yield number, match[0]


def split(number: int, line: str) -> Line:
    """The words of a directive line."""
    stop = line.find("#", len(PREFIX))
    end = len(line[: stop if stop >= 0 else len(line)].rstrip(_BLANKS))
    start = len(PREFIX)
    while start < end and line[start] in _BLANKS:
        start += 1
    quotes = [at for at in (line.find('"', start, end), line.find("'", start, end)) if at >= 0]
    if not quotes:
        return Line(number, tuple(Word(m[0], m.start() + 1) for m in _WORD.finditer(line, start, end)))
    first = min(quotes)
    words = [Word(m[0], m.start() + 1) for m in _WORD.finditer(line, start, first)]
    rest = line[first:end]
    quoted = rest.translate(_UNQUOTED)
    if words and line[first - 1] not in " \t":
        last = words.pop()
        words.append(Word(last.text + quoted, last.column))
    else:
        words.append(Word(quoted, first + 1))
    closed = rest.find(rest[0], 1)
    glued = closed >= 0 and any(blank in rest[closed:] for blank in " \t")
    return Line(number, tuple(words), glued)
