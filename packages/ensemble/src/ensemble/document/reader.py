"""Where an application's metric comes from: what is read from a job's output, line by line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from resources.units import shown

from ensemble.errors import SpecError
from ensemble.faults import Fields
from ensemble.metrics import OF_EACH_GROUP, did_you_mean

KINDS = ("regex", "json", "reader")
KEYS = (*KINDS, "stream", "file")
STREAMS = ("out", "err")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)  # no hyphen: the last one of `mean.GROUP-NAME` stands before it
_STEP = re.compile(
    r"""\.?(?P<key>[^.\[\]'"]+)|\[(?P<index>-?[0-9]{1,9})\]|\[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]"""
)


@dataclass(frozen=True, slots=True)
class Reader:
    """One metric of a group. kind: one of KINDS; source: the expression, the path, or PLUGIN.READER.

    stream: `out` or `err`. file: read instead of the output, empty for none; parameters are filled in; it is
    relative to the job's working directory.
    """

    name: str
    kind: str
    source: str
    stream: str = "out"
    file: str = ""

    def as_dict(self) -> dict[str, Any]:
        more = {"stream": self.stream} if self.stream != "out" else {}
        return {self.kind: self.source, **more, **({"file": self.file} if self.file else {})}


def read_reader(name: str, value: object) -> Reader:
    """From the mapping of the file. Raises SpecError with every fault."""
    fields = Fields(value, f"the metric {name}", KEYS)
    kinds = [kind for kind in KINDS if kind in fields]
    if len(kinds) != 1:
        few = "it has none of them" if not kinds else f"it has {' and '.join(kinds)}"
        fields.wrong((kinds[1],) if kinds else (), f"a metric has one of {', '.join(KINDS)}: {few}")
    source = fields.text(kinds[0], None) if kinds else ""
    if source and kinds[0] == "regex":
        _check_regex(source, fields)
    if source and kinds[0] == "json":
        fields.attempt(("json",), lambda: path_steps(source), ())
    if source and kinds[0] == "reader" and not all(source.partition(".")):
        fields.wrong(("reader",), f"a reader is PLUGIN.NAME, not {shown(source)}")
    stream, file = fields.choice("stream", STREAMS, "out"), fields.text("file")
    if "stream" in fields and file:
        fields.wrong(("stream",), "stream makes no sense beside file", at_key=True)
    fields.finish()
    return Reader(name, kinds[0], source, stream, file)


def path_steps(path: str) -> tuple[str | int, ...]:
    """The keys and indexes of a path: `$.a.b[0]['c d']`. Raises SpecError."""
    text = path.removeprefix("$")
    steps: list[str | int] = []
    place = 0
    while place < len(text):
        match = _STEP.match(text, place)
        if not match or (match["key"] and place and text[place] != "."):
            raise SpecError(f"no path: {shown(path)}; write a.b[0].c or $.a['b c']")
        steps.append(int(match["index"]) if match["index"] else match["key"] or match["quoted"])
        place = match.end()
    if not steps:
        raise SpecError(f"no path: {shown(path)}; write a.b[0].c or $.a['b c']")
    return tuple(steps)


def check_name(name: object) -> str:
    """Why it can't be the name of an application's metric; empty where it can."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return f"a metric's name has letters, digits and _, and starts with a letter, not {shown(name)}"
    if name in OF_EACH_GROUP:
        return f"every group has a series {name!r} already"
    return ""


def _check_regex(source: str, fields: Fields) -> None:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what may mean something else one day means what it means now
            pattern = re.compile(source)
    except (re.error, RecursionError, OverflowError) as error:
        fields.wrong(("regex",), f"no regular expression: {error}")
        return
    groups = pattern.groupindex
    if "value" not in groups and pattern.groups != 1:
        many = "it has no group" if not pattern.groups else f"it has {pattern.groups} groups"
        hint = did_you_mean("value", sorted(groups)) if groups else ""
        fields.wrong(("regex",), f"the number is the one group of a regex, or (?P<value>...): {many}{hint}")
