"""The options of a script in parts, each with its value: what a later one overrides, what adds up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resources.units import shown

from jobspec.errors import ScriptError
from jobspec.job import Dependency
from jobspec.lsf import resreq, values
from jobspec.lsf.lexer import Given
from jobspec.lsf.options import FLAGS, LIMITS
from jobspec.reading import Directive, State
from jobspec.templates import is_template, meant


@dataclass(slots=True)
class Part:
    """A directive in the making; `value` as it was read, `text` as it was given."""

    line: int
    column: int
    text: str
    option: str
    value: Any = None
    fields: tuple[str, ...] = ()
    state: State = "obeyed"
    why: str = ""
    value_column: int = 0

    def directive(self) -> Directive:
        return Directive(self.line, self.column, self.text, self.option, self.fields, self.state, self.why)


class Parts:
    """All parts in order, and by key those that count."""

    def __init__(self) -> None:
        self.all: list[Part] = []
        self.last: dict[str, Part] = {}
        self.lists: dict[str, list[Part]] = {}

    def put(self, key: str, part: Part) -> None:
        """The part takes the place of an earlier one of its key."""
        self.drop(key, part.line)
        self.all.append(part)
        self.last[key] = part

    def add(self, key: str, part: Part) -> None:
        """The part joins others of its key."""
        self.all.append(part)
        self.lists.setdefault(key, []).append(part)

    def drop(self, key: str, line: int) -> None:
        old = self.last.pop(key, None)
        if old:
            old.state, old.why, old.fields = "overridden", f"overridden by line {line}", ()


def collect(given: Given, parts: Parts) -> None:
    """Read one option. Raises ScriptError where bsub refuses its value."""
    read = _READ.get(given.name)
    text = f"-{given.name}" if given.value is None else f"-{given.name} {given.value}"
    part = Part(given.line, given.column, text, given.name, given.value, value_column=given.value_column)
    try:
        if read:
            part.value = read(given.value or "")
            parts.put(_KEY.get(given.name, given.name), part)
        elif given.name == "R":
            _requirement(given, parts)
        elif given.name == "gpu":
            _gpu(given, parts)
        elif given.name == "f":
            parts.add("f", part)
        else:
            if given.name in FLAGS:
                part.value = True
            parts.put(_KEY.get(given.name, given.name), part)
    except ValueError as error:
        if isinstance(error, ScriptError):
            raise
        where = (given.line, given.value_column)
        raise ScriptError(f"-{given.name}: {error}", *where, meant=meant(given.value or "")) from None


def _requirement(given: Given, parts: Parts) -> None:
    text = given.value or ""
    if is_template(text):
        raise ValueError(f"bad resource requirement syntax: {shown(text)}")
    for section in resreq.sections(text):
        if section.name == "rusage":
            for use in resreq.uses(section):
                part = _part(given, use.at, f"rusage[{use.text}]", use)
                if use.name:
                    if use.name in {"mem", "swp", "tmp"}:
                        values.size(use.value, "MB")
                    parts.put(f"rusage.{use.name}", part)
                else:
                    parts.add("rusage", part)
            continue
        shape = section.text if section.name in {"select", "R"} else f"{section.name}[{section.text}]"
        part = _part(given, section.at, shape if section.name != "select" else f"select[{section.text}]", section.text)
        if section.name == "span":
            kind, number = resreq.span(section)
            part.value = (kind, number, shape)
            parts.put("span", part)
        elif section.name == "affinity":
            part.value = (resreq.cores(section), shape)
            parts.put("affinity", part)
        elif section.name in {"select", "R"}:
            parts.add(section.name, part)
        else:
            part.value = shape
            parts.put(section.name, part)


def _part(given: Given, at: int, text: str, value: Any) -> Part:
    return Part(given.line, given.value_column + at, f"-{given.name} {text}", given.name, value)


def _gpu(given: Given, parts: Parts) -> None:
    text = given.value or ""
    for name in (*_GPU, "-"):
        parts.drop(f"gpu.{name}", given.line)
    if text == "-":
        parts.put("gpu.-", _part(given, 0, "-", "-"))
        return
    at, seen = 0, False
    for piece in text.split(":"):
        name, equals, value = piece.strip().partition("=")
        if name:
            if not equals or not value or name not in _GPU:
                raise ValueError(f"{shown(piece)} is no GPU requirement: {', '.join(_GPU)}, each with =")
            found: Any = value
            if name == "num":
                number, _, per = value.partition("/")
                if per not in {"", "host", "task"}:
                    raise ValueError(f"{shown(piece)}: GPUs are counted per host or task")
                found = (values.count(number), "task" if per == "task" else "node")
            parts.put(f"gpu.{name}", _part(given, at, piece.strip(), found))
            seen = True
        at += len(piece) + 1
    if not seen:
        raise ValueError("an empty GPU requirement")


_GPU = ("num", "mode", "mps", "j_exclusive", "aff", "block", "gpack", "gvendor", "gmodel", "gtile", "gmem", "glink",
        "mig", "nvlink")  # fmt: skip


def _queue(text: str) -> str:
    if not text.strip() or is_template(text):
        raise ValueError(f"{shown(text)}: no such queue")
    return text


def _dependency(text: str) -> Dependency:
    if is_template(text):
        raise ValueError(f"{shown(text)}: no such job")
    return values.dependency(text)


def _limit(text: str) -> str:
    if text != "0":
        values.size(text.removesuffix("!"), "KB")
    return text


def _memory(text: str) -> str:
    bare = text.removesuffix("!").rstrip()
    if not bare or "." in bare or not values.size(bare, "KB"):
        raise ValueError(f"{shown(text)} is no memory limit: a positive whole number, perhaps with KB, MB, GB or TB")
    return text


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text


_READ: Mapping[str, Callable[[str], object]] = {
    "n": values.slots,
    "nnodes": values.count,
    "W": values.minutes,
    "We": values.minutes,
    "c": values.minutes,
    "wt": values.minutes,
    "J": values.name,
    "w": _dependency,
    "b": values.moment,
    "t": values.moment,
    "env": values.environment,
    "q": _queue,
    "M": _memory,
    "sp": values.count,
    **dict.fromkeys(LIMITS, _limit),
    **dict.fromkeys(("o", "oo", "e", "eo", "i", "is", "u", "P", "U", "m"), _words),
}
# Options that override one another.
_KEY = {"oo": "o", "eo": "e", "is": "i", "rn": "r", "Ne": "N", "Nd": "N", "ext": "extsched"} | dict.fromkeys(
    ("I", "Ip", "Is", "IS", "ISp", "ISs", "IX"), "I"
)
