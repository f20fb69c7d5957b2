"""What a rule does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resources.units import shown

from ensemble.document.group import check_overrides
from ensemble.expressions.compiled import Lookup
from ensemble.expressions.nodes import number_text
from ensemble.faults import Fields, plain
from ensemble.metrics import did_you_mean
from ensemble.when import Expression, parse_expression

ALIASES = {"scale-up": "grow", "scale-down": "shrink"}
ACTIONS = ("submit", "cancel", "terminate", "grow", "shrink", "set", "message", "custom")
ACTION_KEYS = ("name", "label", "value", "repetitions", "backoff")
UNLIMITED = "unlimited"
REST = ("cancel", "leave")  # what terminate does with the jobs that have not ended
CHOSEN = ("all", "pending", "running")  # which jobs cancel cancels
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_REFERENCE = re.compile(r"\s*(?:[A-Za-z0-9_]+(?:\[[^\]]*\])?\.[A-Za-z0-9_-]|value\b)", re.ASCII)


@dataclass(frozen=True, slots=True, init=False)
class Action:
    """name: one of ACTIONS. label and value: what each takes.

    | name | label | value |
    |---|---|---|
    | submit | the group | fields of the group that are set anew, as a mapping |
    | cancel | a group, a job, or empty: the job of the event | `all`, `pending` or `running` |
    | terminate | none | what becomes of the rest: `cancel` or `leave` |
    | grow, shrink | nothing, or a group that it is for | how many nodes; 1 |
    | set | the variable | a number, or an expression |
    | message | the text | or the text here |
    | custom | the function, or PLUGIN.ACTION | anything that JSON can say |

    repetitions: how often it runs in all, None for unlimited. backoff: how many eligible firings are skipped
    between two.
    """

    name: str
    label: str
    value: Any
    repetitions: int | None
    backoff: int
    expression: Expression | None = field(compare=False, repr=False)  # of set
    parts: tuple[str | Expression, ...] = field(compare=False, repr=False)  # of message

    def __init__(self, spec: Mapping[str, Any] | None = None, /, **fields_: Any) -> None:
        given: Any = {**(spec or {}), **fields_} if spec is None or isinstance(spec, Mapping) else spec
        fields = Fields(given, "an action", ACTION_KEYS)
        name = ALIASES.get(text := fields.text("name", None), text)
        if text and name not in ACTIONS:
            fields.wrong(("name",), f"unknown action {text!r}{did_you_mean(text, (*ACTIONS, *ALIASES))}")
        label, value = fields.text("label"), fields.given.get("value")
        if not plain(value):
            fields.wrong(("value",), "value is what JSON can say: numbers, texts, lists and mappings")
            value = None
        read: dict[str, Any] = {"expression": None, "parts": ()}
        if name in _READ:
            value, more = _READ[name](fields, label, value)
            read |= more
        if name == "message":
            label, value = "", value
        read |= {"name": name, "label": label, "value": value, "repetitions": _repetitions(fields)}
        read["backoff"] = fields.count("backoff", 0)
        fields.finish()
        for key, each in read.items():
            object.__setattr__(self, key, each)  # the class is frozen

    @property
    def overrides(self) -> Mapping[str, Any]:
        """The fields of the group that a submit sets anew."""
        return self.value if self.name == "submit" and self.value else {}

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What it works out when it is done: the value of a set, the references of a message."""
        parts = (part for part in self.parts if not isinstance(part, str))
        return (*((self.expression,) if self.expression else ()), *parts)

    def as_dict(self) -> dict[str, Any]:
        said: dict[str, Any] = {"name": self.name, "label": self.label, "value": self.value}
        said = {key: value for key, value in said.items() if value is not None and (value != "" or key == "value")}
        repetitions = UNLIMITED if self.repetitions is None else self.repetitions
        return said | {"repetitions": repetitions, "backoff": self.backoff}

    def render(self, lookup: Lookup, own: float | None = None) -> str:
        """The text of a message with the metrics and variables of now; `?` stands for an unknown one."""
        return "".join(part if isinstance(part, str) else _number(part.compile(lookup)(own)) for part in self.parts)


def _repetitions(fields: Fields) -> int | None:
    value = fields.given.get("repetitions", 1)
    if value is None or value == UNLIMITED:
        return None
    if isinstance(value, str) and not value.strip().isdecimal():
        fields.wrong(("repetitions",), f"repetitions is a number or {UNLIMITED}, not {shown(value)}")
        return 1
    return fields.count("repetitions", 1, least=1)


_More = tuple[Any, dict[str, Any]]


def _submit(fields: Fields, label: str, value: Any) -> _More:
    _need_label(fields, label, "the group to submit")
    if value is None:
        return None, {}
    return fields.attempt(("value",), lambda: check_overrides(value), {}) or None, {}


def _cancel(fields: Fields, label: str, value: Any) -> _More:
    return _one_of(fields, value, CHOSEN), {}


def _terminate(fields: Fields, label: str, value: Any) -> _More:
    if label:
        fields.wrong(("label",), "terminate ends the whole ensemble; to end one group write cancel")
    return _one_of(fields, value, REST), {}


def _resize(fields: Fields, label: str, value: Any) -> _More:
    return fields.count("value", 1, least=1), {}


def _set(fields: Fields, label: str, value: Any) -> _More:
    if not label:
        _need_label(fields, label, "the variable to set")
    elif not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", label, re.ASCII):
        fields.wrong(("label",), f"a variable's name has letters, digits and _, not {shown(label)}")
    if "value" not in fields:
        fields.wrong((), "value: it is missing (a number, or an expression)")
        return None, {}
    expression = fields.attempt(("value",), lambda: parse_expression(value), None)
    return value, {"expression": expression}


def _message(fields: Fields, label: str, value: Any) -> _More:
    key = "value" if value is not None else "label"
    said = value if value is not None else label
    if value is not None and label:
        fields.wrong(("label",), "a message has its text in label or in value, not in both")
    if not isinstance(said, str) or not said:
        what = "value: it is missing (the text)" if said in ("", None) else f"a message is a text, not {shown(said)}"
        fields.wrong((key,), what)
        return said, {}
    return said, {"parts": fields.attempt((key,), lambda: message_parts(said), ())}


def _custom(fields: Fields, label: str, value: Any) -> _More:
    _need_label(fields, label, "the function to call")
    return value, {}


_READ: Mapping[str, Callable[[Fields, str, Any], _More]] = {
    "submit": _submit,
    "cancel": _cancel,
    "terminate": _terminate,
    "grow": _resize,
    "shrink": _resize,
    "set": _set,
    "message": _message,
    "custom": _custom,
}


def message_parts(text: str) -> tuple[str | Expression, ...]:
    """A text cut at its references `{mean.sleep-duration}`, `{var.x}`, `{value}`; `{{` and `}}` write braces.

    Other braces stay as they are. Raises SpecError for what looks like a reference and is none.
    """
    parts: list[str | Expression] = []
    place = 0
    for match in _BRACES.finditer(text):
        inside = match[1]
        if inside is not None and not _REFERENCE.match(inside):
            continue
        parts.append(text[place : match.start()])
        parts.append(match[0][0] if inside is None else parse_expression(inside, f"{{{inside}}}"))
        place = match.end()
    parts.append(text[place:])
    joined: list[str | Expression] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined)


def _number(value: float | None) -> str:
    return "?" if value is None else number_text(float(f"{value:.6g}"))


def _need_label(fields: Fields, label: str, what: str) -> None:
    if not label and not any(fault.path == ("label",) for fault in fields.faults):
        fields.wrong(("label",), f"label: it is missing ({what})")


def _one_of(fields: Fields, value: Any, known: tuple[str, ...]) -> str:
    if value is not None and value not in known:
        fields.wrong(("value",), f"value is one of {', '.join(known)}, not {shown(value)}")
    return value if value in known else known[0]
