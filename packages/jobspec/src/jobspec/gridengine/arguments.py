"""The options of a script in their order, each checked as qsub and its qmaster (8.1.9) check it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobspec.errors import ScriptError
from jobspec.gridengine.checks import CHECKS, LATE, Given, meant
from jobspec.gridengine.lexer import Line, Word, directive_lines, split
from jobspec.gridengine.options import ADDING, ELSEWHERE, FLAGS, INERT, SAME, SHORTCUTS, VALUES, YES_NO

_SEPARATORS = re.compile(r"[^,\s]+")
_WHOLE = {"y", "yes", "n", "no"}


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
    for one in found:
        # qmaster sees only what is left in the end.
        if one.state == "obeyed" and one.option in LATE:
            LATE[one.option](one)
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
        check = CHECKS.get(option)
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
        request = name(match[0])
        one = Given("l", match[0], number, word.column + match.start(), f"-l {match[0]}", soft=soft)
        if not request:
            raise one.error("a resource without a name")
        yield one
