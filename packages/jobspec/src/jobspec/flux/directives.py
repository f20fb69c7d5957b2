"""The submission directives of a script, as `flux batch` finds them: RFC 36, "Description", and flux-batch(1)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from jobspec.errors import ScriptError

_SENTINEL = re.compile(r"([^\w]*)((?:flux|FLUX):)(.*)", re.DOTALL)
_LOOKS_LIKE = re.compile(r"[^\w]*flux[ \t]{0,8}:", re.IGNORECASE)
_THREE = re.compile(r"[\"']{3}")
_INSIDE = {quote: re.compile(rf"[^{quote}\\]*") for quote in "'\""}
_UNCLOSED = re.compile(r"(?:[\"']){3}.", re.DOTALL)
_SPECIAL = re.compile(r"[#\\'\"();<>|&\n]")
_PLAIN = re.compile(r"[^ \t\r]+")
_RUN = re.compile(r"[^ \t\r\n#\\'\"();<>|&]+")
_OPERATORS = re.compile(r"[();<>|&]+")
_QUOTES = ('"""', "'''")


@dataclass(frozen=True, slots=True)
class Word:
    """One word after quoting; start and end are its place in what follows the sentinel."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Line:
    """One directive: its line and the column of what follows the sentinel (both from 1), that text, and its words.

    comment: where a comment starts in the text, -1 without one. joined: the words are not from the text as it
    stands (several lines, or triple quotes), so that their places are not places in it.
    """

    number: int
    column: int
    text: str
    words: tuple[Word, ...]
    comment: int = -1
    joined: bool = False


@dataclass(slots=True)
class Found:
    """The directives; the lines that hold them; and lines that look like directives but are none."""

    lines: list[Line] = field(default_factory=list)
    obeyed: set[int] = field(default_factory=set)
    alike: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Block:
    """A triple-quoted text over several lines that is being read."""

    number: int
    column: int
    first: str
    quotes: str
    indent: str
    lines: list[str]

    def add(self, value: str) -> None:
        self.lines.append(value.removeprefix(self.indent))


def find(text: str) -> Found:
    """The directives of a script. Raises ScriptError where `flux batch` refuses it."""
    found = Found()
    if "flux" not in text and "FLUX" not in text:
        found.alike = [(n, line) for n, line in _lines(text) if _LOOKS_LIKE.match(line)]
        return found
    sentinel, prefix, ended = None, "", 0
    others: set[int] = set()  # lines that hold something else (too: carriage returns)
    block: _Block | None = None
    for number, line in _lines(text):
        match = _SENTINEL.match(line)
        if not match:
            if block:
                raise ScriptError(
                    f"line {number} is no directive, and the triple quotes of line {block.number} are not closed",
                    block.number,
                    block.column,
                )
            if sentinel and not ended and line.strip() and not line.startswith(prefix.rstrip()):
                ended = number
            others.add(number)
            if _LOOKS_LIKE.match(line):
                found.alike.append((number, line))
            continue
        if ended:
            raise ScriptError(
                f"a directive after line {ended}, which ends the directives as it does not start with "
                f"{prefix.rstrip()!r}",
                number,
                1,
                meant="move it up to the other directives",
            )
        column = match.start(3) + 1
        value = _inline_quotes(match[3], number, column)
        if sentinel is None:
            sentinel, prefix = match[1] + match[2], match[1]
        elif match[1] + match[2] != sentinel:
            raise ScriptError(
                f"the sentinel changes from {sentinel!r} to {match[1] + match[2]!r}",
                number,
                1,
                meant=f"to switch a directive off, put the comment behind the sentinel: {sentinel} # ...",
            )
        found.obeyed.add(number)
        if value.endswith(_QUOTES):
            if block is None:
                block = _Block(number, column, match[3], value[-3:], value[: -len(value.lstrip())], [])
                block.add(value[:-3])
            elif value[-3:] != block.quotes:
                block.add(value)
            else:
                block.add(value[:-3])
                found.lines.append(_joined(block))
                block = None
        elif block:
            block.add(value)
        elif value:
            found.lines.append(_line(number, column, match[3], value))
    # `flux batch` forgets triple quotes that are still open at the end of the file, with all that is in them.
    if block:
        found.alike.append((block.number, block.first))
        others.update(range(block.number, number + 1))
    found.obeyed -= others
    return found


def is_directive(line: str) -> bool:
    """Whether `flux batch` takes a line for a directive."""
    return _SENTINEL.match(line) is not None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers. Flux opens scripts in Python's text mode, where a carriage return ends one too."""
    for number, line in enumerate(text.split("\n"), 1):
        if "\r" not in line:
            yield number, line
        else:
            for part in line.removesuffix("\r").split("\r"):
                yield number, part


def _inline_quotes(value: str, number: int, column: int) -> str:
    """Triple quotes that open and close on one line become quotes of the shell."""
    if '"""' not in value and "'''" not in value:
        return value
    if any((count := value.count(quotes)) and count % 2 == 0 for quotes in _QUOTES):
        return _requoted(value)
    if _UNCLOSED.search(value):
        raise ScriptError(
            "triple quotes that are not closed on their line must be the last thing on it", number, column
        )
    return value


def _requoted(value: str) -> str:
    """Any three quotes, up to the last place where the same three stand, are one quotation."""
    parts: list[str] = []
    last: dict[str, int] = {}
    done = at = 0
    while match := _THREE.search(value, at):
        start, three = match.start(), match[0]
        end = last[three] if three in last else last.setdefault(three, value.rfind(three))
        if end >= start + 3:
            parts += value[done:start], shlex.quote(value[start + 3 : end])
            done = at = end + 3
        else:
            at = start + 1
    return "".join((*parts, value[done:]))


def _joined(block: _Block) -> Line:
    value = block.lines[0] + shlex.quote("\n".join(block.lines[1:]))
    if block.quotes in value:
        raise ScriptError("a text in triple quotes holds triple quotes", block.number, block.column)
    words, _ = split(value, block.number, block.column)
    return Line(block.number, block.column, block.first, words, -1, joined=True)


def _line(number: int, column: int, text: str, value: str) -> Line:
    words, comment = split(value, number, column)
    if words and not words[0].text.startswith("-"):
        raise ScriptError(
            f"unknown directive {words[0].text[:60]!r}: an option starts with a dash",
            number,
            column + words[0].start,
        )
    return Line(number, column, text, words, comment, joined=value != text)


def split(value: str, number: int = 1, column: int = 1) -> tuple[tuple[Word, ...], int]:
    """The words of a directive, and where its comment starts (-1 without one).

    As Python's shlex splits in POSIX mode with its punctuation characters, and with the backslash as an escape in
    single quotes too. Raises ScriptError for a quotation that is not closed.
    """
    if not _SPECIAL.search(value):
        return tuple([Word(m[0], m.start(), m.end()) for m in _PLAIN.finditer(value)]), -1
    words: list[Word] = []
    at, end, comment = 0, len(value), -1
    while at < end:
        char = value[at]
        if char in " \t\r\n":
            at += 1
        elif char == "#":
            comment = at if comment < 0 else comment
            at = _behind_line(value, at)
        elif char in "();<>|&":
            run = _OPERATORS.match(value, at)
            last = run.end() if run else at + 1
            words.append(Word(value[at:last], at, last))
            at = last
        else:
            text, last = _word(value, at, number, column)
            words.append(Word(text, at, last))
            at = last
    return tuple(words), comment


def _behind_line(value: str, at: int) -> int:
    end = value.find("\n", at)
    return len(value) if end < 0 else end + 1


def _word(value: str, at: int, number: int, column: int) -> tuple[str, int]:
    parts: list[str] = []
    end = len(value)
    while at < end:
        char = value[at]
        if char in "'\"":
            at = _quoted(value, at, parts, ScriptError("a quotation is not closed", number, column + at))
        elif char == "\\":
            if at + 1 >= end:
                raise ScriptError("nothing follows the backslash", number, column + at)
            parts.append(value[at + 1])
            at += 2
        else:
            run = _RUN.match(value, at)
            if not run:
                break
            parts.append(run[0])
            at = run.end()
    return "".join(parts), at


def _quoted(value: str, at: int, parts: list[str], error: ScriptError) -> int:
    """Read one quotation; its end."""
    quote, at = value[at], at + 1
    inside = _INSIDE[quote]
    while run := inside.match(value, at):
        parts.append(run[0])
        at = run.end()
        if value[at : at + 1] == quote:
            return at + 1
        follows = value[at + 1 : at + 2]
        if not follows:
            break
        parts.append(follows if follows in (quote, "\\") else "\\" + follows)
        at += 2
    raise error
