"""The options of a script in their order, each checked as qsub and qmaster 8.1.9 check it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobspec.errors import ScriptError
from jobspec.gridengine import values
from jobspec.gridengine.lexer import Line, Word, directive_lines, split
from jobspec.gridengine.options import (
    ADDING,
    ELSEWHERE,
    FLAGS,
    INERT,
    NOT_IN_NAMES,
    NOT_REQUESTABLE,
    RESERVED,
    SAME,
    SHORTCUTS,
    TIME,
    TYPES,
    VALUES,
    YES_NO,
)
from jobspec.gridengine.options import BOOL as BOOLEAN
from jobspec.gridengine.options import DOUBLE as NUMBER
from jobspec.gridengine.options import INT as INTEGER
from jobspec.gridengine.options import MEMORY as MEMORY_TYPE
from jobspec.reading import State

_INTEGER = re.compile(r"[ \t]{0,99}([+-]?\d{1,9})", re.ASCII)
_TEMPLATE = re.compile(r"\$\{?\w|\{\{?\w|<\w|@@?\w|%%\w|\$\$", re.ASCII)
_BINDING = re.compile(
    r"linear(?::(?:[1-9]\d{0,5}|slots))?(?::\d{1,5},\d{1,5})?|striding:[1-9]\d{0,5}:\d{1,5}(?::\d{1,5},\d{1,5})?"
    r"|explicit(?::\d{1,5},\d{1,5}){1,500}",
    re.ASCII,
)
_OCCASIONS = re.compile("[nsmxr]{1,20}")
_TASK_OF_A_JOB = re.compile(r"\d{1,12}\.", re.ASCII)
_SEPARATORS = re.compile(r"[^,\s]+")
_WHOLE = {"y", "yes", "n", "no"}


@dataclass(slots=True)
class Given:
    """An option as it stands in the script; what becomes of it is filled in later."""

    option: str
    value: str
    line: int
    column: int
    text: str
    soft: bool = False
    fields: tuple[str, ...] = ()
    state: State = "obeyed"
    why: str = ""

    def error(self, message: str) -> ScriptError:
        return ScriptError(message, self.line, self.column, meant=meant(self.value))


def meant(value: str) -> str:
    """What the author probably meant."""
    return "a template: fill it in first" if _TEMPLATE.search(value) else ""


def given(text: str, notes: list[tuple[int, int, str]]) -> list[Given]:
    """All options in their order; what is overridden says so. Raises ScriptError."""
    found: list[Given] = []
    last: dict[str, Given] = {}
    for number, line in directive_lines(text):
        words = split(number, line)
        if words.glued:
            notes.append((number, 1, "Grid Engine takes all that follows a quote for one word"))
        for one in _options(words):
            key = SAME.get(one.option, one.option)
            if one.option == "clear":
                for before in found:
                    _override(before, f"by -clear on line {number}")
                last.clear()
            elif one.option == "l":
                key = f"l {SHORTCUTS.get(name(one.value), name(one.value))} {one.soft}"
            if one.option not in ADDING or one.option == "l":
                if key in last:
                    _override(last[key], f"by line {number}")
                last[key] = one
            found.append(one)
    return found


def name(request: str) -> str:
    """The name in `name=value`."""
    return request.partition("=")[0]


def _override(one: Given, why: str) -> None:
    if one.state == "obeyed":
        one.state, one.why = "overridden", f"overridden {why}"


def _options(line: Line) -> Iterator[Given]:
    words, at, soft = line.words, 0, False
    while at < len(words):
        word = words[at]
        at += 1
        option = word.text[1:]
        if not word.text.startswith("-") or option == "-":
            raise ScriptError(f"{word.text[:60]!r} is no option", line.number, word.column, meant=_near(word.text))
        if option in ELSEWHERE:
            raise ScriptError(f"-{option} is not allowed in a script", line.number, word.column)
        taken: list[Word] = []
        if option in VALUES or option in YES_NO:
            taken = list(words[at : at + 1])
        elif option == "pe":
            taken = list(words[at : at + 2])
        elif option == "binding":
            taken = list(words[at : at + (2 if at < len(words) and words[at].text in {"env", "pe", "set"} else 1)])
        elif option not in FLAGS:
            raise ScriptError(f"unknown option {word.text[:60]!r}", line.number, word.column, meant=_near(word.text))
        needed = 2 if option == "pe" else 1
        if option not in FLAGS and (
            len(taken) < needed or (option == "binding" and taken[-1].text in {"env", "pe", "set"})
        ):
            raise ScriptError(
                f"-{option} needs {'two arguments' if needed == 2 else 'an argument'}", line.number, word.column
            )
        at += len(taken)
        value = " ".join(one.text for one in taken)
        soft = option == "soft" or (soft and option != "hard")
        if option == "l":
            yield from _requests(line.number, taken[0], soft)
            continue
        one = Given(option, value, line.number, word.column, f"-{option} {value}".rstrip(), soft=soft and option == "q")
        check = _CHECKS.get(option)
        if check:
            check(one)
        if option in YES_NO and value.lower() not in _WHOLE:
            raise one.error(f"-{option} is y or n, not {value[:60]!r}")
        if option in INERT:
            one.state, one.why = "inert", INERT[option]
        yield one


def _near(text: str) -> str:
    """A likely remedy for what is no option of qsub."""
    if text.startswith("--"):
        return "options have one dash"
    option = text.lstrip("-")
    if option[:1] in {"N", "l", "q", "o", "e", "M", "m", "P", "A", "t", "p", "S"} and len(option) > 1:
        return f"a blank: -{option[0]} {option[1:60]}"
    return meant(text)


def _requests(number: int, word: Word, soft: bool) -> Iterator[Given]:
    """The single requests of one -l."""
    for match in _SEPARATORS.finditer(word.text):
        request, _, value = match[0].partition("=")
        one = Given("l", match[0], number, word.column + match.start(), f"-l {match[0]}", soft=soft)
        full = SHORTCUTS.get(request, request)
        if not request:
            raise one.error("a resource without a name")
        if full == "slots":
            raise ScriptError(
                "slots can't be requested", number, one.column, meant=f"-pe NAME {value or 'N'}: a parallel environment"
            )
        if request in NOT_REQUESTABLE:
            raise one.error(f"{request} can't be requested")
        if "=" in match[0] and not value:
            raise one.error(f"a value for {request} is missing")
        wrong = _mistyped(full, value or "TRUE")
        if wrong:
            raise one.error(f"{request}: {value[:60]!r} is no {wrong} value")
        yield one


def _mistyped(resource: str, value: str) -> str:
    kind = TYPES.get(resource, "")
    if kind == TIME:
        # A request without a value is TRUE, which qmaster takes for 1.
        return "" if value == "TRUE" or values.seconds(value) is not None else f"{kind} (h:m:s or seconds)"
    if kind in {MEMORY_TYPE, INTEGER, NUMBER}:
        return "" if value == "TRUE" or values.number(value) is not None else kind
    if kind == BOOLEAN:
        return "" if value.lower() in {"true", "false", "1", "0"} else kind
    return ""


def _name(one: Given) -> None:
    what = "a job name" if one.option == "N" else "an account"
    bad = next((letter for letter in one.value if letter in NOT_IN_NAMES), "")
    if bad:
        raise one.error(f"{what} must not contain {bad!r}")
    if not one.value.isascii() or not one.value.isprintable() or " " in one.value:
        raise one.error(f"{what} is of printing ASCII characters without blanks")
    if one.value.lower() in RESERVED or (one.option == "N" and not one.value):
        raise one.error(f"{one.value or 'an empty word'!r} is no name")
    if one.option == "N" and one.value[0].isdigit():
        raise one.error("a job name can't start with a digit")
    if len(one.value) > 512:
        raise one.error("a name has at most 512 characters")


def _whole(least: int, most: int) -> Callable[[Given], None]:
    def check(one: Given) -> None:
        match = _INTEGER.fullmatch(one.value)
        if not match or not least <= int(match[1]) <= most:
            raise one.error(f"-{one.option} is a whole number from {least} to {most}, not {one.value[:60]!r}")
        one.value = str(int(match[1]))

    return check


def _not_empty(one: Given) -> None:
    if not one.value.strip(","):
        raise one.error(f"-{one.option}: the list is empty")


def _paths(one: Given) -> None:
    _not_empty(one)
    if sum(1 for path in one.value.split(",") if path and ":" not in path.lstrip(":")) > 1:
        raise one.error(f"-{one.option}: two files for the same host")


def _jobs(one: Given) -> None:
    _not_empty(one)
    if _TASK_OF_A_JOB.match(one.value):
        raise one.error(f"-{one.option} takes whole jobs, not tasks of them")


def _environment(one: Given) -> None:
    if not one.value.strip(",") or any(part.startswith("=") for part in one.value.split(",")):
        raise one.error("-v takes variable[=value],...")


def _array(one: Given) -> None:
    try:
        values.array(one.value)
    except ValueError as error:
        raise one.error(f"-t: {error}") from None


def _parallel(one: Given) -> None:
    wanted = one.value.split(" ", 1)[1]
    try:
        found = values.slots(wanted)
    except ValueError as error:
        raise one.error(f"-pe: {error}") from None
    if not found or any(step != 1 or ":" in wanted for _, _, step in found):
        raise one.error(f"-pe: {wanted[:60]!r} is no range of slots")
    if any(first < 1 for first, _, _ in found):
        raise one.error("-pe: the number of slots must be greater than zero")


def _date(one: Given) -> None:
    try:
        values.date_time(one.value)
    except ValueError as error:
        raise one.error(f"-{one.option}: {error}") from None


def _mail(one: Given) -> None:
    if not one.value or set(one.value) - set("beasn"):
        raise one.error(f"-m is of the letters b, e, a, s and n, not {one.value[:60]!r}")


def _level(one: Given) -> None:
    if one.value not in {"e", "w", "n", "p", "v"}:
        raise one.error(f"-w is one of e, w, n, p, v, not {one.value[:60]!r}")


def _occasions(one: Given) -> None:
    if not _OCCASIONS.fullmatch(one.value) and not values.seconds(one.value):
        raise one.error(f"-c: {one.value[:60]!r} is no occasion and no time")


def _binding(one: Given) -> None:
    if not _BINDING.fullmatch(one.value.rpartition(" ")[2]):
        raise one.error(f"-binding: {one.value[:60]!r} is no strategy")


_CHECKS: dict[str, Callable[[Given], None]] = {
    "N": _name,
    "A": _name,
    "M": _not_empty,
    "q": _not_empty,
    "S": _paths,
    "o": _paths,
    "e": _paths,
    "i": _paths,
    "hold_jid": _jobs,
    "hold_jid_ad": _jobs,
    "v": _environment,
    "t": _array,
    "pe": _parallel,
    "a": _date,
    "dl": _date,
    "m": _mail,
    "w": _level,
    "c": _occasions,
    "binding": _binding,
    "p": _whole(-1023, 1024),
    "tc": _whole(0, 10**9),
    "js": _whole(0, 10**9),
    "ar": _whole(0, 10**9),
}
