"""The options of `flux batch`, and its way to read them: flux-batch(1) of Flux 0.88, "OTHER OPTIONS"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from jobspec.errors import ScriptError
from jobspec.flux.directives import Line, Word

Kind = Literal["value", "number", "flag", "optional"]

# The options by their names; "number" is a whole number, and an option of kind "optional" may go without its value.
KINDS: dict[str, Kind] = {
    "nodes": "number",
    "nslots": "number",
    "cores-per-slot": "number",
    "gpus-per-slot": "number",
    "add-brokers": "number",
    "exclusive": "flag",
    "time-limit": "value",
    "queue": "value",
    "bank": "value",
    "job-name": "value",
    "urgency": "value",
    "setopt": "value",
    "setattr": "value",
    "add-file": "value",
    "dependency": "value",
    "requires": "value",
    "begin-time": "value",
    "env": "value",
    "env-remove": "value",
    "env-file": "value",
    "rlimit": "value",
    "input": "value",
    "output": "value",
    "error": "value",
    "cwd": "value",
    "flags": "value",
    "signal": "value",
    "conf": "value",
    "broker-opts": "value",
    "resources-shape": "value",
    "resources-json": "value",
    "dump": "optional",
    "help": "optional",
    "unbuffered": "flag",
    "label-io": "flag",
    "dry-run": "flag",
    "quiet": "flag",
    "list-plugins": "flag",
    "debug-emulate": "flag",
    "wrap": "flag",
}
SHORT = {
    "N": "nodes",
    "n": "nslots",
    "c": "cores-per-slot",
    "g": "gpus-per-slot",
    "x": "exclusive",
    "t": "time-limit",
    "q": "queue",
    "B": "bank",
    "o": "setopt",
    "S": "setattr",
    "u": "unbuffered",
    "l": "label-io",
}
ALIASES = {"require": "requires", "broker-opt": "broker-opts", "dry": "dry-run"}
# Options that may be given many times, each time for something else; of the others the last one wins.
REPEATED = frozenset(
    {"setopt", "setattr", "add-file", "dependency", "requires", "begin-time", "env", "env-remove", "env-file"}
    | {"rlimit", "flags", "conf", "broker-opts"}
)
LARGEST = 2**31 - 1  # flux-core reads counts as C integers
_LIKE_A_NUMBER = re.compile(r"-[0-9]+\Z|-[0-9]*\.[0-9]+\Z")
# A value that nobody has filled in yet.
_TEMPLATE = re.compile(r"\{\w|@@|%%|\$|<\w")


@dataclass(frozen=True, slots=True)
class Given:
    """An option as it was given: its name, its value ("" for a flag), and its place."""

    option: str
    value: str
    line: int
    column: int
    text: str


def read_options(line: Line, allowed: Collection[str] = ()) -> tuple[list[Given], Word | None]:
    """The options of a directive, and the first word behind them that is none: Flux forgets it and all that follows.

    allowed: the names of further options. Long names can't be abbreviated. Raises ScriptError.
    """
    given: list[Given] = []
    words, count, at = line.words, len(line.words), 0
    while at < count:
        word = words[at]
        text = word.text
        if text in ("", "-", "--") or text[0] != "-" or _LIKE_A_NUMBER.match(text):
            return given, word
        at += 1
        if text[1] == "-":
            name, assigned, value = text[2:].partition("=")
            option = _long(name, allowed)
            if option is None:
                if " " in text:  # argparse: an unknown word with a space is no option
                    return given, word
                raise _error(line, word, f"flux batch has no option --{name[:60]}", _meant(name))
            kind = KINDS.get(option, "optional")
            explicit: str | None = value if assigned else None
        else:
            flags, option, explicit = _short(line, word)
            given += [Given(flag, "", line.number, _column(line, word), text[:60]) for flag in flags]
            if option is None:
                continue
            kind = KINDS[option]
        last = word
        if explicit is None and kind != "flag":
            following = words[at] if at < count else None
            if following and not _is_option(following.text, allowed) and (text[1] == "-" or len(text) == 2):
                last, explicit, at = following, following.text, at + 1
            if explicit is None and kind != "optional":
                raise _error(line, word, f"{text[:60]} needs a value", "")
        elif explicit is not None and kind == "flag":
            raise _error(line, word, f"--{option} takes no value", "")
        if kind == "number":
            _check_number(line, last, option, explicit or "")
        shown = line.text if line.joined else line.text[word.start : last.end]
        given.append(Given(option, explicit or "", line.number, _column(line, word), shown.strip()))
    return given, None


def _long(name: str, allowed: Collection[str]) -> str | None:
    name = ALIASES.get(name, name)
    if name in KINDS:
        return name
    if name not in allowed:
        return None
    # A site whose Flux is older than 0.88 may allow an abbreviation; what is none is an option of a plugin.
    starting = [option for option in KINDS if option.startswith(name)]
    return starting[0] if len(starting) == 1 else name


def _short(line: Line, word: Word) -> tuple[list[str], str | None, str | None]:
    """What `-xN4` says: the flags in front, the option with a value, and its value (None: in the next word)."""
    flags: list[str] = []
    text = word.text
    at = 1
    while at < len(text):
        option = SHORT.get(text[at])
        if option is None:
            raise _error(line, word, f"flux batch has no option -{text[at]}", "")
        at += 1
        if KINDS[option] != "flag":
            if not flags:
                return flags, option, text[at:].removeprefix("=") if at < len(text) else None
            if at == len(text):
                raise _error(line, word, f"-{text[at - 1]} needs a value", "")
            return flags, option, text[at:]
        if option not in flags:
            flags.append(option)
        if at == 2 and text[at : at + 1] == "=":
            at += 1
    return flags, None, None


def _is_option(text: str, allowed: Collection[str]) -> bool:
    """Whether argparse takes the word for an option, so that it is no value of the option before it."""
    if len(text) < 2 or text[0] != "-":
        return False
    if text[1] != "-":
        return text[1] in SHORT or not (_LIKE_A_NUMBER.match(text) or " " in text)
    return text == "--" or " " not in text or _long(text[2:].partition("=")[0], allowed) is not None


def _check_number(line: Line, word: Word, option: str, value: str) -> None:
    try:
        number = int(value)
    except ValueError:
        raise _error(line, word, f"--{option} needs a whole number, not {value[:60]!r}", filled(value)) from None
    if abs(number) > LARGEST:
        raise _error(line, word, f"--{option} is larger than {LARGEST}, which flux-core can't count to", "")


def filled(value: str) -> str:
    """What to do about a value that is a template, or ""."""
    return "a template: fill it in first" if _TEMPLATE.search(value[:1000]) else ""


def _meant(name: str) -> str:
    if name == "time":
        return "did you mean --time-limit? Flux 0.88 takes no abbreviations"
    starting = [option for option in KINDS if name and option.startswith(name)]
    close = starting[:1] or difflib.get_close_matches(name[:40], [*KINDS, *ALIASES], 1)
    return f"did you mean --{close[0]}?" if close else filled(name)


def _column(line: Line, word: Word) -> int:
    return line.column if line.joined else line.column + word.start


def _error(line: Line, word: Word, message: str, meant: str) -> ScriptError:
    return ScriptError(message, line.number, _column(line, word), meant=meant)
