"""Where in a shell script a place stands: in a comment, a string, a here-document, or in code, and as which word.

One linear pass over tokens; what holds nothing of interest is skipped whole lines at a time. Grammar: POSIX.1-2017,
Shell Command Language, 2.2 (quoting), 2.3 (tokens), 2.7.4 (here-documents), 2.9.1 (simple commands).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_words = str.split
# Groups are never possessive here: Python 3.11 before .5 matches those wrongly (gh-106052). Classes may be.

Context = Literal["code", "single", "double", "comment", "here", "quoted here"]

# Whole lines without anything that reaches beyond its line: plain commands, and comments.
_PLAIN = re.compile(
    r"""(?:[ \t]*+(?:\#[^\n]*+|(?:[^'\n"`\\<()]++|'[^'\n]*+'|\([^()\n'"`\\<]*+\)
    |"(?:[^"\\`\n(]++|\([^()"\n'`\\<]*+\))*")*)\n)+""",
    re.VERBOSE,
)
_TOKEN = re.compile(
    r"""(?P<blank>(?:[ \t\r\f\v\0]|\\\r?\n)+)
    |(?P<word>(?:[^\s'"`\\$&|;()<>\0]++|\$\{[^}\n"'`]{0,300}+\}|\$(?![(])|[\x1c-\x1f\x85\xa0])+)
    |(?P<newline>\n)
    |(?P<here><<-?(?!<)[ \t]*+(?:'[^'\n]{1,200}+'|"[^"\n]{1,200}+"|\\?[\w.+-]{1,200}+))
    |(?P<redirect><<<|&?>>?[&|]?|<[&>]?)
    |(?P<operator>\|[&|]?|&&|;;|[;&])
    |(?P<open>\$?\(\(?)
    |(?P<close>\))
    |(?P<tick>`)
    |(?P<single>'[^']*+'?)
    |(?P<double>")
    |(?P<escape>\\.?)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_DOUBLE = re.compile(
    r"(?P<text>(?:[^\"\\`$]++|\\.|\$(?!\())+)|(?P<open>\$\(\(?)|(?P<tick>`)|(?P<end>\")|(?P<other>.)", re.DOTALL
)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}(?:\[[^\]]{0,100}\])?\+?=")
RESERVED = frozenset(_words("if then else elif do while until ! { } fi done esac time"))
# Commands that run the command behind them: options that take a value, operands before it.
_PREFIXES: dict[str, tuple[frozenset[str], int]] = {
    "exec": (frozenset({"-a"}), 0),
    "nohup": (frozenset(), 0),
    "setsid": (frozenset(), 0),
    "command": (frozenset(), 0),
    "eval": (frozenset(), 0),
    "env": (frozenset({"-u", "-C", "-S"}), 0),
    "nice": (frozenset({"-n"}), 0),
    "ionice": (frozenset({"-c", "-n"}), 0),
    "stdbuf": (frozenset({"-i", "-o", "-e"}), 0),
    "timeout": (frozenset({"-k", "-s", "--signal", "--kill-after"}), 1),
    "time": (frozenset({"-f", "-o"}), 0),
    "/usr/bin/time": (frozenset({"-f", "-o"}), 0),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point stands.

    word: where the word begins that holds it, -1 in comments and here-documents. command: that word
    is a command's name. head: the name of the command whose argument it is.
    """

    context: Context
    word: int = -1
    command: bool = False
    head: str = ""


class _Frame:
    """A level of nesting: code ("c"), arithmetic ("a"), a list of an array ("l"), backquotes ("`"), a string ("d")."""

    __slots__ = ("cases", "command", "head", "kind", "operands", "prefix", "value", "word")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.word = -1
        self.cases = 0  # a ")" ends a pattern in these
        self.reset()

    def reset(self) -> None:
        """A new command may begin."""
        self.command = self.kind in "c`"
        self.head = ""
        self.prefix = ""
        self.operands = 0
        self.value = False

    def take(self, word: str) -> None:
        """A whole word was read where a command may begin."""
        if self.value:
            self.value = False
        elif self.prefix and word.startswith("-"):
            self.value = word in _PREFIXES[self.prefix][0]
        elif self.operands:
            self.operands -= 1
        elif word in _PREFIXES:
            self.prefix, self.operands = word, _PREFIXES[word][1]
        elif word not in RESERVED and not _ASSIGNMENT.match(word):
            self.command, self.head = False, word
            self.cases += word == "case"
        elif word == "esac" and self.cases:
            self.cases -= 1


def scan(text: str, points: Sequence[int]) -> list[Place]:
    """The place of each point; points ascend."""
    places: list[Place] = []
    stack = [_Frame("c")]
    pending: list[tuple[str, bool, bool]] = []
    at, end, total = 0, len(text), len(points)
    fresh = True  # at the beginning of a line, in no nesting

    def settle(stop: int, context: Context) -> None:
        top = stack[-1]
        while len(places) < total and points[len(places)] < stop:
            if context == "code":
                places.append(Place(context, top.word, top.command, top.head))
            elif context in ("single", "double"):
                under = next(frame for frame in reversed(stack) if frame.kind != "d")
                places.append(Place(context, under.word, under.command, under.head))
            else:
                places.append(Place(context))

    def finish_word(top: _Frame, stop: int) -> None:
        if top.word >= 0:
            word = text[top.word : stop]
            if top.command:
                top.take(word)
            elif word == "{":
                top.reset()
            top.word = -1

    while at < end and len(places) < total:
        top = stack[-1]
        if top.kind == "d":
            match = _DOUBLE.match(text, at)
        else:
            if fresh:
                line = text.rfind("\n", at, points[len(places)]) + 1
                plain = _PLAIN.match(text, at, line) if line > at else None
                if plain:
                    at = plain.end()
                fresh = False
            match = _TOKEN.match(text, at)
        if match is None:
            break
        kind, stop = match.lastgroup, match.end()
        if top.kind == "d":
            settle(stop, "double")
            if kind == "end":
                stack.pop()
            elif kind == "open" or kind == "tick":
                _open(stack, match.group() if kind == "open" else "`", False)
        elif kind == "word" and top.word < 0 and text[at] == "#" and top.kind != "a":
            stop = text.find("\n", at)
            stop = end if stop < 0 else stop
            settle(stop, "comment")
        elif kind in ("word", "escape", "other"):
            if top.word < 0:
                top.word = at
            settle(stop, "code")
        elif kind == "single":
            if top.word < 0:
                top.word = at
            settle(stop, "single")
        elif kind == "double":
            if top.word < 0:
                top.word = at
            stack.append(_Frame("d"))
        elif kind == "blank":
            finish_word(top, at)
        elif kind == "newline":
            finish_word(top, at)
            if top.kind != "l":
                top.reset()
            for delimiter, tabs, quoted in pending:
                settle(stop, "code")
                stop = _here_end(text, stop, delimiter, tabs)
                settle(stop, "quoted here" if quoted else "here")
            pending.clear()
            fresh = len(stack) == 1
        elif kind == "here" and top.kind not in "al":
            finish_word(top, at)
            pending.append(_delimiter(match.group()))
            settle(stop, "code")
        elif kind in ("redirect", "here"):
            finish_word(top, at)
        elif kind == "operator":
            finish_word(top, at)
            top.reset()
        elif kind == "open":
            listed = top.word >= 0 and text[at - 1] == "=" and match.group()[0] == "("
            if top.word < 0 and match.group()[0] == "$":
                top.word = at
            elif match.group()[0] == "(" and not listed:
                finish_word(top, at)
            _open(stack, match.group(), listed)
        elif kind == "tick":
            if top.kind == "`":
                stack.pop()
            else:
                if top.word < 0:
                    top.word = at
                stack.append(_Frame("`"))
        elif kind == "close":
            finish_word(top, at)
            if len(stack) > 1 and top.kind in "cal" and not top.cases:
                stack.pop()
            else:
                top.reset()
        at = stop
    settle(end + 1, "code")
    return places


def _open(stack: list[_Frame], opening: str, listed: bool) -> None:
    if opening == "`":
        stack.append(_Frame("`"))
    elif opening.endswith("(("):
        stack.append(_Frame("a"))
        stack.append(_Frame("a"))
    else:
        inside = stack[-1].kind == "a" and not opening.startswith("$")
        stack.append(_Frame("l" if listed else "a" if inside else "c"))


def _delimiter(operator: str) -> tuple[str, bool, bool]:
    """The word that ends a here-document, whether tabs before it are taken away, whether it was quoted."""
    tabs = operator.startswith("<<-")
    word = operator[3 if tabs else 2 :].lstrip(" \t")
    bare = word[1:] if word.startswith("\\") else word.strip("'\"")
    return bare, tabs, bare != word


def _here_end(text: str, at: int, delimiter: str, tabs: bool) -> int:
    """Where the here-document ends that begins at `at`; the end of the text where nothing ends it."""
    found = at - 1
    while (found := text.find(delimiter, found + 1)) >= 0:
        after = found + len(delimiter)
        start = text.rfind("\n", at - 1, found) + 1
        before = text[start:found]
        if (not before or (tabs and not before.strip("\t"))) and (after == len(text) or text[after] in "\r\n"):
            return after
        # nothing else on this line can be it
        line = text.find("\n", found)
        if line < 0:
            break
        found = line
    return len(text)


_WORD = re.compile(
    r"""(?:[^\s'"`\\$&|;()<>\0]++|'[^']{0,4000}+'|"(?:[^"\\]|\\.){0,4000}"|\\[^\n]|\$\{[^}\n]{0,300}+\}
    |\$\((?:[^()\n]|\([^()\n]{0,500}+\)){0,1000}\)|`[^`\n]{0,1000}+`|\$(?!\()){1,200}+""",
    re.VERBOSE | re.DOTALL,
)
_GAP = re.compile(r"(?:[ \t]|\\\r?\n)*")
MOST_WORDS = 120


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a command, as it stands from start to end."""

    start: int
    end: int
    raw: str


def words(text: str, at: int, most: int = MOST_WORDS) -> list[Word]:
    """The words of the simple command that begins at `at`, up to an operator, a redirection or the end of its line."""
    found: list[Word] = []
    while len(found) < most:
        match = _WORD.match(text, at)
        if match is None or (found and match.group().startswith("#")):
            break
        found.append(Word(at, match.end(), match.group()))
        gap = _GAP.match(text, match.end())
        if gap is None or gap.end() == match.end():
            break
        at = gap.end()
    return found
