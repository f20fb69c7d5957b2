"""The words of the directive lines as options: GNU getopt_long with `+`, then the value of each option."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from jobspec.errors import ScriptError
from jobspec.profile import Profile
from jobspec.slurm import meant
from jobspec.slurm.lexer import Word
from jobspec.slurm.options import FLAG, LONG, OPTIONAL, SHORT, VALUE, Option
from jobspec.slurm.values import words as any_text

# slurmctld looks at these, and sees the last one only.
CHECKED_LAST = frozenset(
    (
        *("array", "constraint", "dependency", "gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task", "gres"),
        *("licenses", "nodelist", "prefer"),
    )
)
IGNORE = "#SBATCH --ignore-pbs leaves these lines alone"


@dataclass(slots=True)
class Given:
    """An option as it was given; text: its value, None for a flag; value: what it means.

    line, column: where it stands; last, at: where its value stands; end: where that ends. source: the word that it
    comes from. foreign: it is the translation of a line of another system. joined: a later one adds to it.
    """

    option: Option
    text: str | None
    line: int
    column: int
    last: int
    at: int
    end: int
    source: str
    value: Any = None
    foreign: str = ""
    joined: bool = False


def read_options(words: Iterable[Word], profile: Profile) -> list[Given]:
    """The options in order, with their values. Raises ScriptError at the first bad one."""
    found = []
    for given in split(iter(words), profile):
        if given.option.name not in CHECKED_LAST:
            read_value(given)
        found.append(given)
    return found


def read_value(given: Given) -> None:
    """Set the value. Raises ScriptError."""
    text = given.text
    if text is None or given.option.read is any_text:
        given.value = text
        return
    try:
        given.value = given.option.read(text)
    except ValueError as error:
        if given.foreign:
            why = f"sbatch obeys {given.foreign[:60]!r} too, as --{given.option.name}: {error}"
            raise ScriptError(why, given.last, given.at, meant=IGNORE) from None
        hint = meant.value(given.option.name, text, given.source)
        raise ScriptError(f"--{given.option.name}: {error}", given.last, given.at, meant=hint) from None


def split(words: Iterator[Word], profile: Profile) -> Iterator[Given]:
    """The options of an argument list. Raises ScriptError for what is none."""
    stray = None
    for word in words:
        text = word.text
        if text.startswith("--"):
            if text == "--":
                stray = next(words, None)
                break
            yield _long(word, words, profile)
        elif text[0] == "-" and text != "-":
            yield from _short(word, words)
        else:
            stray = word
            break
    if stray:
        hint = meant.stray(stray.text)
        raise ScriptError(f"{stray.text[:60]!r} is no option", stray.line, stray.column, meant=hint)


def _long(word: Word, words: Iterator[Word], profile: Profile) -> Given:
    text, line, column, end = word
    name, equals, value = text[2:].partition("=")
    option = LONG.get(name) or _abbreviated(name, word, profile)
    if equals:
        if option.takes == FLAG:
            raise ScriptError(f"--{option.name} takes no value", line, column)
        return Given(option, value, line, column, line, column, end, text)
    if option.takes == VALUE:
        return _with_next(option, word, column, text, words)
    return Given(option, "" if option.takes == OPTIONAL else None, line, column, line, column, end, text)


def _abbreviated(name: str, word: Word, profile: Profile) -> Option:
    # GNU getopt: any prefix that fits one option only is that option.
    fitting = [option for known, option in LONG.items() if name and known.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(f"--{option.name}" for option in fitting)
        raise ScriptError(f"--{name} may be any of {names}", word.line, word.column)
    if name in profile.options.get("slurm", ()):
        # What a plug-in takes nobody knows; with "=" there is a value.
        return Option(name, "", OPTIONAL, name, ("native",), any_text)
    text = f"sbatch has no option --{name[:60]}"
    raise ScriptError(text, word.line, word.column, meant=meant.option(name, LONG))


def _short(word: Word, words: Iterator[Word]) -> Iterator[Given]:
    text, line, column, end = word
    for at, letter in enumerate(text[1:], 1):
        option = SHORT.get(letter)
        place = column + (at if at > 1 else 0)
        if option is None:
            raise ScriptError(f"sbatch has no option -{letter}", line, place, meant=meant.letter(text, letter, LONG))
        rest = text[at + 1 :]
        if option.takes == FLAG or (option.takes == OPTIONAL and not rest):
            bare = "" if option.takes == OPTIONAL else None
            yield Given(option, bare, line, place, line, place, end, f"-{letter}")
            continue
        source = f"-{text[at:]}"
        if rest:
            yield Given(option, rest, line, place, line, place, end, source)
        else:
            yield _with_next(option, word, place, source, words)
        return


def _with_next(option: Option, word: Word, column: int, source: str, words: Iterator[Word]) -> Given:
    # All lines make one argument list: the value may be the first word of the next line.
    value = next(words, None)
    if value is None:
        raise ScriptError(f"--{option.name} needs a value", word.line, column)
    return Given(option, value.text, word.line, column, value.line, value.column, value.end, f"{source} {value.text}")
