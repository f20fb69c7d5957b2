"""From a tree to functions. A metric without a value is unknown, None; so is what is worked out from it.

`unknown and false` is false, `unknown or true` is true (Kleene's three-valued logic), a division by zero and a
result that is not finite are unknown.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import isfinite

from ensemble.expressions.nodes import (
    Call,
    Chain,
    Compare,
    Logic,
    Metric,
    Negative,
    Node,
    Not,
    Number,
    Own,
    Variable,
)
from ensemble.metrics import MetricName

Getter = Callable[[], float | None]
Lookup = Callable[[MetricName | str], Getter]  # of a metric, or of the variable `var.NAME`
Numeric = Callable[[float | None], float | None]  # of the rule's own value
Truth = Callable[[float | None], bool | None]
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
CALLS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
    "round": round,
}


def numeric(node: Node, lookup: Lookup) -> Numeric:
    """A function that works the number out."""
    match node:
        case Number(value):
            return lambda own: value
        case Own():
            return lambda own: own
        case Metric(name):
            return _getter(lookup(name))
        case Variable(name):
            return _getter(lookup(f"var.{name}"))
        case Negative(of):
            inner = numeric(of, lookup)
            return lambda own: None if (found := inner(own)) is None else -found
        case Call(function, arguments):
            return _call(CALLS[function], [numeric(each, lookup) for each in arguments])
        case Chain(first, rest):
            steps = [(ARITHMETIC[sign], numeric(part, lookup)) for sign, part in rest]
            return _chain(numeric(first, lookup), steps)
        case _:
            raise TypeError(f"{node!r} is no number")


def truth(node: Node, lookup: Lookup) -> Truth:
    """A function that tells whether it holds."""
    match node:
        case Compare(sign, left, Number(value)):
            return _against(COMPARE[sign], numeric(left, lookup), value)
        case Compare(sign, left, right):
            return _compare(COMPARE[sign], numeric(left, lookup), numeric(right, lookup))
        case Not(of):
            inner = truth(of, lookup)
            return lambda own: None if (held := inner(own)) is None else not held
        case Logic(word, parts):
            return _logic([truth(part, lookup) for part in parts], deciding=word == "or")
        case _:
            raise TypeError(f"{node!r} is no condition")


def _getter(get: Getter) -> Numeric:
    return lambda own: get()


def _call(function: Callable[..., float], arguments: list[Numeric]) -> Numeric:
    def call(own: float | None) -> float | None:
        values = []
        for argument in arguments:
            value = argument(own)
            if value is None:
                return None
            values.append(value)
        return float(function(*values))

    return call


def _chain(first: Numeric, steps: list[tuple[Callable[[float, float], float], Numeric]]) -> Numeric:
    def chain(own: float | None) -> float | None:
        total = first(own)
        for step, part in steps:
            value = part(own)
            if total is None or value is None:
                return None
            try:
                total = step(total, value)
            except ZeroDivisionError:
                return None
            except OverflowError:  # of whole numbers; floats become infinite
                return None
        return total if total is not None and isfinite(total) else None

    return chain


def _against(compare: Callable[[float, float], bool], left: Numeric, number: float) -> Truth:
    def against(own: float | None) -> bool | None:
        value = left(own)
        return None if value is None else compare(value, number)

    return against


def _compare(compare: Callable[[float, float], bool], left: Numeric, right: Numeric) -> Truth:
    def compared(own: float | None) -> bool | None:
        one, other = left(own), right(own)
        return None if one is None or other is None else compare(one, other)

    return compared


def _logic(parts: list[Truth], *, deciding: bool) -> Truth:
    def logic(own: float | None) -> bool | None:
        unknown = False
        for part in parts:
            held = part(own)
            if held is deciding:
                return deciding
            unknown = unknown or held is None
        return None if unknown else not deciding

    return logic
