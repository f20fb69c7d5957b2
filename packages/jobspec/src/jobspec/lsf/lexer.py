"""Which lines of a job script bsub reads, and the options on them.

IBM Spectrum LSF Command Reference, "bsub job_script": "Use the #BSUB imperative (in upper case letters) at the
beginning of each line"; the example there has one behind the commands, so the whole script is read. A word that
starts with `#` begins a comment (bsub(1), EXAMPLES). The lines make one list of arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.errors import ScriptError
from jobspec.lsf.options import FLAGS, LENGTHS, VALUES
from jobspec.profile import Profile
from jobspec.templates import meant

_LOOKS = re.compile(r"^([ \t]*)(#+)([ \t]*)(BSUB)(?![A-Za-z0-9_])([^\n]*)$", re.MULTILINE | re.IGNORECASE)
_COMMAND = re.compile(r"^[ \t\r]*[^#\s]", re.MULTILINE)
_BLANKS = " \t\r\v\f"
_DASHES = "–—−‐‑"  # what editors make of a hyphen


@dataclass(frozen=True, slots=True)
class Line:
    """A line that looks like a directive. why: bsub takes it for a comment; "" where it obeys it."""

    number: int
    text: str
    start: int
    why: str
    last: int


@dataclass(frozen=True, slots=True)
class Given:
    """One option as it was given; value None for a flag. column: that of the option; value_column: of its value."""

    name: str
    value: str | None
    line: int
    column: int
    value_column: int


def check_script(text: str) -> None:
    """Raise ScriptError where bsub takes the file for no job script."""
    if (at := text.find("\0")) >= 0:
        start = text.rfind("\n", 0, at) + 1
        number = text.count("\n", 0, at) + 1
        raise ScriptError("a job script is a text file, and this one holds a NUL character", number, at - start + 1)
    if not _COMMAND.search(text):
        raise ScriptError("no command is specified in the script file")


def directives(text: str) -> Iterator[Line]:
    """All lines that are, or look like, directives."""
    number, counted, end = 1, 0, 0
    for match in _LOOKS.finditer(text):
        if match.start() < end:
            continue  # the rest of a continued line
        number += text.count("\n", counted, match.start())
        counted = match.start()
        indent, marks, gap, word, rest = match.groups()
        why = ""
        if indent:
            why = "bsub obeys #BSUB at the beginning of a line only"
        elif len(marks) > 1 or gap:
            why = f"bsub obeys #BSUB, not {marks}{gap}{word}"
        elif word != "BSUB":
            why = "bsub obeys #BSUB in upper case only"
        elif not rest.lstrip(_BLANKS).startswith("-"):
            why = "bsub takes it for a comment: no option with its '-' follows #BSUB"
            if rest.lstrip(_BLANKS)[:1] in _DASHES and rest.strip():
                why += "; the dash there is not the '-' of the keyboard"
        last, end = number, match.end()
        pieces = [match[0]]
        while not why and pieces[-1].endswith("\\") and end < len(text):  # the line goes on
            stop = text.find("\n", end + 1)
            stop = stop if stop >= 0 else len(text)
            pieces[-1] = pieces[-1][:-1] + " "
            pieces.append(text[end + 1 : stop])
            end, last = stop, last + 1
        yield Line(number, "".join(pieces), len("#BSUB"), why, last)


def given(line: Line, profile: Profile) -> Iterator[Given]:
    """The options on a line. Raises ScriptError at the first that bsub refuses."""
    more = frozenset(profile.options.get("lsf", ()))
    words = list(_words(line))
    at = 0
    while at < len(words):
        text, column, quoted = words[at]
        at += 1
        if not text.startswith("-") or text == "-" or quoted:
            message = f"{text[:60]!r} is no option: bsub takes the first such word for the command"
            raise ScriptError(message, line.number, column, meant=_remedy(text))
        name, value = _split(text[1:], more, line.number, column)
        value_column = column + 1 + len(name)
        if value is None and name not in FLAGS:
            following = words[at] if at < len(words) else None
            if following and (name in VALUES or not following[0].startswith("-")):
                value, value_column = following[0], following[1] + following[2]
                at += 1
            elif name in VALUES:
                raise ScriptError(f"-{name} needs a value", line.number, column)
        yield Given(name, value, line.number, column, value_column)


def _remedy(word: str) -> str:
    if "@" in word and "." in word:
        return "an address is the value of -u"
    return meant(word) or "a comment starts with '#', and a value with blanks stands in quotes"


def _split(word: str, more: frozenset[str], number: int, column: int) -> tuple[str, str | None]:
    """An option and the value that is attached to it."""
    if word in FLAGS or word in VALUES or word in more:
        return word, None
    for length in LENGTHS:
        if length < len(word) and word[:length] in VALUES:
            return word[:length], word[length:]
    for length in range(min(len(word) - 1, 8), 0, -1):
        if word[:length] in FLAGS:
            raise ScriptError(f"-{word[:length]} takes no value", number, column)
    raise ScriptError(f"bsub has no option -{word[:60]}", number, column, meant=meant(word))


def _words(line: Line) -> Iterator[tuple[str, int, bool]]:
    """(word, column, whether it is quoted); quotes at the start of a word, or of a value attached to an option."""
    text, at, end = line.text, line.start, len(line.text)
    while True:
        while at < end and text[at] in _BLANKS:
            at += 1
        if at == end or text[at] == "#":
            return
        start = at
        quoted = text[at] in "\"'"
        option = text[at] == "-"
        letters: list[str] = []
        while at < end and text[at] not in _BLANKS:
            letter = text[at]
            if letter in "\"'" and (at == start or option):
                close = text.find(letter, at + 1)
                if close < 0:
                    raise ScriptError(f"unmatched {letter}", line.number, at + 1)
                letters.append(text[at + 1 : close])
                at, option = close + 1, False
            else:
                letters.append(letter)
                at += 1
        yield "".join(letters), start + 1, quoted
