"""The options of qsub and msub, and their words on directive lines: getopt, one letter each.

Sources: qsub(1B) of PBS Professional 2021, qsub(1B) of Torque 6, "msub" in the Moab Workload Manager guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jobspec.errors import ScriptError
from jobspec.pbs.lexer import Header, Word, shown

# letter -> whether it takes a value
Letters = Mapping[str, bool]


def _letters(flags: str, valued: str) -> Letters:
    return {**dict.fromkeys(flags, False), **dict.fromkeys(valued, True)}


PRO = _letters("fGhIVXz", "aAcCejJklmMNopPqrRSuvW")
TORQUE = _letters("EfhInVxXz", "aAbcCdDeFijkKlLmMNopPqrStTuvwW")
MOAB = _letters("EhInVxXz", "aAcCdeFjkKlLmMNopqrStuvwW")
_OTHER = {"J": "an array of PBS Pro (Torque: -t)", "t": "an array of Torque (PBS Pro: -J)", "d": "Torque's work"
          "ing directory", "w": "Torque's working directory", "P": "PBS Pro's project"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Given:
    """One option as given; value None for a flag. column: of the option; at: of its value. "" is no option at all."""

    letter: str
    value: str | None
    text: str
    line: int
    column: int
    at: int = 0


def options(header: Header, letters: Letters, command: str = "qsub") -> Iterator[Given]:
    """The options of all directives, in order. Raises ScriptError at the first that the command refuses."""
    for words in header.directives:
        if not words[0].text and len(words) == 1:
            yield Given("", None, words[0].raw, words[0].line, words[0].column)
            continue
        yield from _line(words, letters, command)


def _line(words: tuple[Word, ...], letters: Letters, command: str) -> Iterator[Given]:
    rest = iter(words)
    for word in rest:
        text = word.text
        if text.startswith("#"):  # a comment behind the options
            return
        if not text.startswith("-") or text in {"-", "--"}:
            raise ScriptError(
                f"directive error: {text[:60]!r} is no option", word.line, word.column, meant=_meant(text)
            )
        if text.startswith("--"):
            raise ScriptError(f"{command} has no option {text[:40]}", word.line, word.column)
        yield from _cluster(word, rest, letters, command)


def _cluster(word: Word, rest: Iterator[Word], letters: Letters, command: str) -> Iterator[Given]:
    for at, letter in enumerate(word.text[1:], 1):
        if letter not in letters:
            meant = f"-{letter} is {_OTHER[letter]}" if letter in _OTHER else ""
            raise ScriptError(f"{command} has no option -{letter}", word.line, word.column, meant=meant)
        if not letters[letter]:
            yield Given(letter, None, word.raw, word.line, word.column)
            continue
        value = word.text[at + 1 :]
        if value:
            yield Given(letter, value, word.raw, word.line, word.column, word.column + at + 1)
            return
        following = next(rest, None)
        if following is None:
            raise ScriptError(f"-{letter} needs a value", word.line, word.column)
        at = following.column + (following.raw[:1] in "\"'")
        yield Given(letter, following.text, shown((word, following)), following.line, word.column, at)
        return


def _meant(text: str) -> str:
    if text.startswith(("–", "—", "?")):
        return f"did you mean -{text[1:]}?"
    name, equals, _ = text.partition("=")
    return f"did you mean -l {text}?" if equals and name.isidentifier() else ""
