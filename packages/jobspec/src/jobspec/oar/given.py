"""One directive line: its option, and what oarsub 2.6.1 refuses of its value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobspec.errors import ScriptError
from jobspec.oar import hierarchy
from jobspec.oar.options import ELSEWHERE, FLAG, NUMBER, SPELLINGS
from jobspec.reading import State

_TEMPLATE = re.compile(r"\$\{?\w|\{\{?\w|<\w|@@?\w|%%\w|\$\$", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9_./\\% -]{1,4096}", re.ASCII)
NOTIFY = re.compile(r"(?:\[([^\]]{0,200})\])?[ \t]{0,200}(mail|exec):(.{1,4096})", re.ASCII)
_WORD = re.compile(r"[^\s$'\";]{1,1000}")


@dataclass(slots=True)
class Given:
    """An option as it stands; `at` is the column of its value."""

    option: str
    value: str
    line: int
    column: int
    at: int
    text: str
    state: State = "obeyed"
    why: str = ""

    def error(self, message: str, meant: str = "") -> ScriptError:
        if not meant and _TEMPLATE.search(self.value):
            meant = "a template: fill it in first"
        elif not meant and self.value.startswith("="):
            meant = "a blank in place of =: oarsub takes what follows the option as it stands"
        elif not meant and self.value[:1] in {'"', "'"}:
            meant = "no quotes: oarsub takes them as part of the value"
        return ScriptError(message, self.line, self.column, meant=meant)


def option(number: int, line: str) -> Given:
    """The option on a line that starts with #OAR. Raises ScriptError."""
    rest = line[4:].strip()
    column = line.find(rest) + 1 if rest else 1
    known = next((one for one in SPELLINGS if rest.startswith(one[0])), None)
    if not known:
        if rest.split(" ")[0] in ELSEWHERE:
            raise ScriptError(f"{rest.split(' ')[0]} is for oarsub's command line only", number, column)
        raise ScriptError(f"oarsub can't read the option {rest[:60]!r}", number, column)
    spelling, name, takes = known
    value = rest[len(spelling) :].strip()
    one = Given(name, value, number, column, column + rest.find(value, len(spelling)), rest[:400])
    if takes == FLAG and value:
        raise one.error(f"{spelling} takes no value")
    if takes == NUMBER and not (value.isascii() and value.isdigit() and len(value) < 12):
        raise one.error(f"{spelling} takes a number, not {value[:60]!r}")
    if takes != FLAG and not value:
        raise one.error(f"{spelling} needs a value")
    _check(one)
    return one


def _check(one: Given) -> None:
    name, value = one.option, one.value
    if name == "l":
        try:
            resources, _, _ = hierarchy.walltime(value)
            hierarchy.groups(resources)
        except ValueError as error:
            raise one.error(f"-l: {error}") from None
    elif name in {"n", "project"} and "'" in value:
        raise one.error("a name must not contain a single quote")
    elif name in {"O", "E"} and not _FILE.fullmatch(value):
        raise one.error("a file name has letters, digits, blanks and ._-/%\\ only")
    elif name in {"q", "t"} and not _WORD.fullmatch(value):
        raise one.error(f"there is no {'queue' if name == 'q' else 'job type'} {value[:60]!r}")
    elif name == "notify" and not NOTIFY.fullmatch(value):
        raise one.error("--notify takes [TAGS]mail:ADDRESS or [TAGS]exec:COMMAND")
    elif name == "array" and int(value) < 1:
        raise one.error("an array has a positive number of jobs")
    elif name == "p":
        _sql(one)


def _sql(one: Given) -> None:
    """Enough of SQL to see that a clause can't be one."""
    depth, quoted = 0, False
    for letter in one.value:
        if letter == "'":
            quoted = not quoted
        elif not quoted and letter in "()":
            depth += 1 if letter == "(" else -1
            if depth < 0:
                break
        elif not quoted and letter == ";":
            raise one.error("-p: a ';' ends no clause")
    if depth or quoted:
        raise one.error("-p: unbalanced quotes or parentheses")
    if one.value[0] in '="':
        raise one.error("-p: no condition on properties such as host='n1'")
