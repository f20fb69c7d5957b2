"""Which lines of a batch script sbatch reads, and the words on them.

sbatch has its own lexer, not the shell's: nothing is expanded, and a backslash does not protect a blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from jobspec.errors import ScriptError

# "#SLURM" is read too: sbatch complains about it, and obeys.
PREFIXES = ("#SBATCH", "#SLURM")
BLANKS = " \t\n\v\f\r"  # C's isspace: a no-break space is an ordinary character
_SEPARATOR = re.compile("hetjob|packjob", re.IGNORECASE)
HETEROGENEOUS = frozenset(("hetjob", "packjob"))
_PLAIN_WORD = re.compile(rf"[^{BLANKS}]+")
_SPECIAL = re.compile(r"[\"'\\]")


class Word(NamedTuple):
    """A word of a directive line, without its quotes; line, column and end (where it ends in the line) from 1."""

    text: str
    line: int
    column: int
    end: int


def check_script(text: str) -> None:
    """Raise ScriptError where sbatch would not take the file for a batch script at all."""
    if not text:
        raise ScriptError("the batch script is empty")
    if not text.startswith("#!"):
        if not text.strip(BLANKS):
            raise ScriptError("the batch script holds only blanks")
        raise ScriptError("a batch script must start with '#!' and the path of an interpreter", meant=_first(text))
    if (at := text.find("\0")) >= 0:
        raise _at(text, at, "the batch script holds a NUL character")
    if (at := text.find("\r\n")) >= 0:
        raise _at(text, at, "the batch script has DOS line breaks", "dos2unix removes them")


def _first(text: str) -> str:
    start = text.lstrip("\ufeff" + BLANKS)
    if start.startswith("#!"):
        return "nothing may stand before '#!', neither a blank line nor a byte order mark"
    if text.startswith(("\udcff\udcfe", "\udcfe\udcff")):  # its byte order mark, as bytes that are not UTF-8 are read
        return "it is UTF-16: iconv -f UTF-16 -t UTF-8 converts it"
    return "put #!/bin/sh in the first line"


def _at(text: str, offset: int, message: str, meant: str = "") -> ScriptError:
    start = text.rfind("\n", 0, offset) + 1
    return ScriptError(message, text.count("\n", 0, offset) + 1, offset - start + 1, meant=meant)


def header(text: str) -> Iterator[tuple[int, str]]:
    """The lines that start with `#` up to the first command, where sbatch stops reading, each with its number."""
    start, number, size = 0, 1, len(text)
    while start < size:
        end = text.find("\n", start)
        if end < 0:
            end = size
        if text[start] == "#":
            yield number, text[start:end]
        else:
            blank = text[start:end].lstrip(BLANKS)
            if blank and blank[0] != "#":
                return
        start, number = end + 1, number + 1


def components(lines: Mapping[int, str]) -> list[list[Word]]:
    """The words of directive lines, one argument list whatever the line breaks; several for heterogeneous jobs.

    Raises ScriptError.
    """
    found: list[list[Word]] = [[]]
    for number, line in lines.items():
        at = 7 if line.startswith("#SBATCH") else 6
        words = line_words(line, number, at)
        if _SEPARATOR.search(line, at):
            separator = next((index for index, word in enumerate(words) if _separates(word)), None)
            if separator == 0:
                found.append([])
            if separator is not None:  # what stands behind it is not read
                del words[separator:]
        found[-1] += words
    return found


def _separates(word: Word) -> bool:
    return word.text.lower() in HETEROGENEOUS and word.end - word.column == len(word.text)


def line_words(line: str, number: int, at: int) -> list[Word]:
    """The words of one directive line from offset `at` on. Raises ScriptError."""
    if _SPECIAL.search(line, at):
        return list(_quoted_words(line, number, at))
    end = line.find("#", at)
    words = [
        Word(match[0], number, match.start() + 1, match.end() + 1)
        for match in _PLAIN_WORD.finditer(line, at, end if end >= 0 else len(line))
    ]
    for word in words:
        if word.text[0] == ":":
            raise ScriptError("unexpected ':' at the start of a word", number, word.column)
    return words


def _quoted_words(line: str, number: int, at: int) -> Iterator[Word]:
    end = len(line)
    while True:
        while at < end and line[at] in BLANKS:
            at += 1
        if at == end or line[at] == "#":
            return
        if line[at] == ":":
            raise ScriptError("unexpected ':' at the start of a word", number, at + 1)
        start, quote, letters = at, "", []
        while at < end and (quote or line[at] not in BLANKS):
            letter = line[at]
            at += 1
            if letter == "\\":
                if at < end and (quote or line[at] not in BLANKS):
                    letters.append(line[at])
                    at += 1
            elif letter == quote:
                quote = ""
            elif not quote and letter in "\"'":
                quote = letter
            elif not quote and letter == "#":
                end = at - 1  # the rest of the line is a comment
                at = end
            else:
                letters.append(letter)
        if quote:
            meant = "a comment starts with '#'" if quote == "'" else ""
            raise ScriptError(f"unmatched {quote}", number, start + 1, meant=meant)
        if not letters:  # an empty word ends the line, whatever follows
            return
        yield Word("".join(letters), number, start + 1, at + 1)
