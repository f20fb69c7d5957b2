"""What qsub and its qmaster (8.1.9) check of each option's value."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from jobspec.errors import ScriptError
from jobspec.gridengine import values
from jobspec.gridengine.options import BOOL as BOOLEAN
from jobspec.gridengine.options import DOUBLE as NUMBER
from jobspec.gridengine.options import INT as INTEGER
from jobspec.gridengine.options import MEMORY as MEMORY_TYPE
from jobspec.gridengine.options import NOT_IN_NAMES, NOT_REQUESTABLE, RESERVED, SHORTCUTS, TIME, TYPES
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


def _request(one: Given) -> None:
    request, _, value = one.value.partition("=")
    full = SHORTCUTS.get(request, request)
    if full == "slots":
        remedy = f"-pe NAME {value or 'N'}: a parallel environment"
        raise ScriptError("slots can't be requested", one.line, one.column, meant=remedy)
    if request in NOT_REQUESTABLE:
        raise one.error(f"{request} can't be requested")
    if "=" in one.value and not value:
        raise one.error(f"a value for {request} is missing")
    wrong = _mistyped(full, value or "TRUE")
    if wrong:
        raise one.error(f"{request}: {value[:60]!r} is no {wrong} value")


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


def _slash(one: Given) -> None:
    if "/" in one.value:
        raise one.error("a job name must not contain '/'")


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


def _files(one: Given) -> None:
    paths = [path for path in one.value.split(",") if path]
    if any(path.endswith(":") for path in paths):
        raise one.error(f"-{one.option}: an empty path")
    if sum(1 for path in paths if ":" not in path.lstrip(":")) > 1:
        raise one.error(f"-{one.option}: two files for the same host")


def _index(one: Given) -> None:
    found = values.array(one.value)
    if found and found[0] < 1:
        raise one.error("-t: 0 is an invalid task id")


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


def _slots(one: Given) -> None:
    environment, _, wanted = one.value.partition(" ")
    if environment.startswith(".") or "/" in environment:
        raise one.error(f"{environment[:60]!r} is no name of a parallel environment")
    if any(first < 1 for first, _, _ in values.slots(wanted)):
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


# What qsub says at once, and what qmaster says of what is left in the end.
CHECKS: dict[str, Callable[[Given], None]] = {
    "N": _slash,
    "M": _not_empty,
    "q": _not_empty,
    "S": _not_empty,
    "o": _not_empty,
    "e": _not_empty,
    "i": _not_empty,
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
LATE: dict[str, Callable[[Given], None]] = {
    "N": _name,
    "A": _name,
    "l": _request,
    "pe": _slots,
    "t": _index,
    **dict.fromkeys(("S", "o", "e", "i"), _files),
}
