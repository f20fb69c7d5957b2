"""Which lines of a batch script sbatch reads, and the words on them.

sbatch has its own lexer, not the shell's: nothing is expanded, and a backslash does not protect a blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.errors import ScriptError
from jobspec.job import Where

# "#SLURM" is read too: sbatch complains about it, and obeys.
PREFIXES = ("#SBATCH", "#SLURM")
BLANKS = " \t\n\v\f\r"  # C's isspace: a no-break space is an ordinary character
_FIRST = re.compile(rf"[^{BLANKS}]")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a directive line, without its quotes."""

    text: str
    where: Where


def check_script(text: str) -> None:
    """Raise ScriptError where sbatch would not take the file for a batch script at all."""
    if not text:
        raise ScriptError("the batch script is empty")
    if not text.strip(BLANKS):
        raise ScriptError("the batch script holds only blanks")
    if not text.startswith("#!"):
        raise ScriptError("a batch script must start with '#!' and the path of an interpreter")
    if (at := text.find("\0")) >= 0:
        raise _at(text, at, "the batch script holds a NUL character")
    if (at := text.find("\r\n")) >= 0:
        raise _at(text, at, "the batch script has DOS line breaks; dos2unix removes them")


def _at(text: str, offset: int, message: str) -> ScriptError:
    start = text.rfind("\n", 0, offset) + 1
    return ScriptError(message, text.count("\n", 0, offset) + 1, offset - start + 1)


def header(text: str) -> Iterator[tuple[int, str]]:
    """The blank and comment lines up to the first command, where sbatch stops reading, each with its number."""
    for number, line in enumerate(text.split("\n"), 1):
        first = _FIRST.search(line)
        if first and first[0] != "#":
            return
        yield number, line


def words(text: str) -> Iterator[Word]:
    """The words of all directive lines: one argument list, whatever the line breaks. Raises ScriptError."""
    for number, line in header(text):
        prefix = next((prefix for prefix in PREFIXES if line.startswith(prefix)), None)
        if prefix:
            first = True
            for word in line_words(line, number, len(prefix)):
                if first and word.text.lower() in {"hetjob", "packjob"}:
                    raise ScriptError("heterogeneous jobs are not read yet", number, word.where.column)
                first = False
                yield word


def line_words(line: str, number: int, at: int) -> Iterator[Word]:
    """The words of one directive line from offset `at` on. Raises ScriptError."""
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
                at = end
            else:
                letters.append(letter)
        if quote:
            raise ScriptError(f"unmatched {quote}", number, start + 1)
        if not letters:  # an empty word ends the line, whatever follows
            return
        yield Word("".join(letters), Where(number, start + 1))
