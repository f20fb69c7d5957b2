"""The `when` of a metric rule: a number that is reached, or a comparison with one."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from resources.units import shown

from ensemble.errors import SpecError

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_TEXT = re.compile(
    r"\s*(?P<operator>[<>=!]{0,3})\s*(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*", re.ASCII
)
_HELP = 'a number, or a comparison such as "> 3" or ">= 2.5" (in quotes)'


@dataclass(frozen=True, slots=True)
class When:
    """`operator` is one of > >= < <= == !=."""

    operator: str
    number: float

    def holds(self, value: float) -> bool:
        return _COMPARE[self.operator](value, self.number)

    def __str__(self) -> str:
        return f"{self.operator} {self.number:g}"


def parse_when(value: object) -> When:
    """A number N means that N is reached, `>= N`. Raises SpecError that says what was meant."""
    if isinstance(value, When):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return When(">=", _finite(value))
    match = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise SpecError(f"when is {_HELP}, not {shown(value)}", "when")
    sign = match["operator"] or ">="
    if sign not in _COMPARE:
        meant = {"=": "==", "=>": ">=", "=<": "<=", "<>": "!=", "===": "=="}.get(sign)
        hint = f"did you mean {meant!r}?" if meant else f"there are {' '.join(_COMPARE)}"
        raise SpecError(f"no comparison {sign!r}; {hint}", "when")
    return When(sign, _finite(match["number"]))


def _finite(value: float | str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise SpecError(f"when must be a finite number, not {shown(value)}", "when")
    return number
