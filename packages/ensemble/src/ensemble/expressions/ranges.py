"""Whether a condition could ever hold, from what its metrics can be at all. It errs on the side of "it could"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ensemble.expressions.compiled import COMPARE
from ensemble.expressions.nodes import Call, Chain, Compare, Logic, Metric, Negative, Node, Not, Number, Own, Variable
from ensemble.metrics import MetricName

INFINITE = math.inf
_WIDER = 1e-9  # relative: what rounding may lose in a chain of operations


class Range(NamedTuple):
    """From low to high, both included; `whole`: whole numbers only."""

    low: float
    high: float
    whole: bool = False


ANY = Range(-INFINITE, INFINITE)
Bounds = Callable[[MetricName | None], Range | None]  # of a metric (None: `value`); None where it never has a value


class Possible(NamedTuple):
    true: bool
    false: bool


def could_hold(node: Node, bounds: Bounds) -> bool:
    """Whether a condition could be true at some moment."""
    return _truth(node, bounds).true


def _truth(node: Node, bounds: Bounds) -> Possible:
    match node:
        case Compare(operator, left, right):
            return _compare(operator, _number(left, bounds), _number(right, bounds))
        case Not(of):
            inner = _truth(of, bounds)
            return Possible(inner.false, inner.true)
        case Logic(word, parts):
            found = [_truth(part, bounds) for part in parts]
            if word == "or":
                return Possible(any(each.true for each in found), all(each.false for each in found))
            true = all(each.true for each in found) and not _contradicts(parts, bounds)
            return Possible(true, any(each.false for each in found))
        case _:
            return Possible(True, True)


def _compare(operator: str, left: Range | None, right: Range | None) -> Possible:
    if left is None or right is None:
        return Possible(False, False)  # unknown, always
    overlap = left.low <= right.high and right.low <= left.high
    if overlap and (left.whole or right.whole):
        low, high = max(left.low, right.low), min(left.high, right.high)
        overlap = math.isinf(low) or math.isinf(high) or math.ceil(low) <= math.floor(high)
    same = left.low == left.high == right.low == right.high
    match operator:
        case "==":
            return Possible(overlap, not same)
        case "!=":
            return Possible(not same, overlap)
        case ">" | ">=":
            greater, less = left, right
        case _:
            greater, less = right, left
    # The one is greater than the other: at best its highest against the lowest, at worst the other way round.
    strict = ">" if operator in "<>" else ">="
    weak = ">=" if strict == ">" else ">"
    return Possible(COMPARE[strict](greater.high, less.low), COMPARE[weak](less.high, greater.low))


def _contradicts(parts: tuple[Node, ...], bounds: Bounds) -> bool:
    """Whether comparisons of one thing with numbers leave nothing between them: `value > 5 and value < 3`."""
    low: dict[Node, tuple[float, bool]] = {}
    high: dict[Node, tuple[float, bool]] = {}
    for part in parts:
        if not isinstance(part, Compare) or not isinstance(part.right, Number):
            continue
        operator, thing, number = part.operator, part.left, part.right.value
        if operator in (">", ">=", "=="):
            low[thing] = max(low.get(thing, (-INFINITE, False)), (number, operator == ">"))
        if operator in ("<", "<=", "=="):
            last, open_ = high.get(thing, (INFINITE, False))
            if (number, operator != "<") < (last, not open_):
                high[thing] = (number, operator == "<")
    for thing in low.keys() & high.keys():
        (least, above), (most, below) = low[thing], high[thing]
        known = _number(thing, bounds)
        if known is not None and known.whole:
            if (math.floor(least) + 1 if above else math.ceil(least)) > (
                math.ceil(most) - 1 if below else math.floor(most)
            ):
                return True
        elif least > most or (least == most and (above or below)):
            return True
    return False


def _number(node: Node, bounds: Bounds) -> Range | None:
    match node:
        case Number(value):
            return Range(value, value)
        case Own():
            return bounds(None)
        case Metric(name):
            return bounds(name)
        case Variable():
            return ANY
        case Negative(of):
            inner = _number(of, bounds)
            return None if inner is None else Range(-inner.high, -inner.low, inner.whole)
        case Call(function, arguments):
            return _call(function, [_number(argument, bounds) for argument in arguments])
        case Chain(first, rest):
            total = _number(first, bounds)
            for sign, part in rest:
                other = _number(part, bounds)
                if total is None or other is None:
                    return None
                total = _step(sign, total, other)
            return total
        case _:
            return ANY


def _call(function: str, given: list[Range | None]) -> Range | None:
    known = [each for each in given if each is not None]
    if len(known) < len(given):
        return None
    if function == "min":
        return Range(min(each.low for each in known), min(each.high for each in known))
    if function == "max":
        return Range(max(each.low for each in known), max(each.high for each in known))
    (only,) = known
    if function == "abs":
        most = max(abs(only.low), abs(only.high))
        least = 0.0 if only.low <= 0 <= only.high else min(abs(only.low), abs(only.high))
        return Range(least, most, only.whole)
    return Range(only.low - 0.5, only.high + 0.5, whole=True)  # round


def _step(sign: str, one: Range, other: Range) -> Range:
    if sign == "/":
        if other.low <= 0 <= other.high:
            return ANY
        sign, other = "*", Range(1 / other.high, 1 / other.low)
    if sign == "+":
        ends = [one.low + other.low, one.high + other.high]
    elif sign == "-":
        ends = [one.low - other.high, one.high - other.low]
    else:
        ends = [a * b for a in (one.low, one.high) for b in (other.low, other.high)]
    if any(math.isnan(end) for end in ends):
        return ANY
    low, high = min(ends), max(ends)
    return Range(low - abs(low) * _WIDER, high + abs(high) * _WIDER) if math.isfinite(low + high) else Range(low, high)
