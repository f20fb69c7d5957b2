"""The `when` of a rule, and the expressions of `set` and `message`.

    or < and < not < comparison (> >= < <= == !=) < + - < * / < sign

of numbers, names of metrics (a hyphen within a name belongs to it: a minus has blanks around it), `value` (the
rule's own metric), `var.NAME`, and abs, min, max and round. A number alone means that it is reached; a comparison
without a left side is one with `value`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from resources.units import shown

from ensemble.errors import SpecError
from ensemble.expressions.compiled import Lookup, Numeric, Truth, numeric, truth
from ensemble.expressions.nodes import TRUTHS, Compare, Metric, Node, Number, Own, Variable, number_text, text, walk
from ensemble.expressions.parser import parse
from ensemble.faults import Fault, error_of
from ensemble.metrics import MetricName

_FLIPPED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_HELP = 'a number, or a condition such as "> 3" or "mean.GROUP-duration < 2.5" (in quotes)'


@dataclass(frozen=True, slots=True)
class _Read:
    """What conditions and expressions share: `node` is the tree."""

    node: Node

    @property
    def metrics(self) -> tuple[MetricName, ...]:
        """The metrics that it names, each once, in order."""
        return tuple(dict.fromkeys(node.name for node in walk(self.node) if isinstance(node, Metric)))

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that it names, each once, in order."""
        return tuple(dict.fromkeys(node.name for node in walk(self.node) if isinstance(node, Variable)))

    @property
    def own(self) -> bool:
        """Whether it has `value` in it."""
        return any(isinstance(node, Own) for node in walk(self.node))


@dataclass(frozen=True, slots=True)
class Condition(_Read):
    """True, false, or unknown where a metric has no value yet."""

    @property
    def simple(self) -> tuple[str, float] | None:
        """(operator, number) where it is `value OPERATOR number`; these can be indexed."""
        match self.node:
            case Compare(operator, Own(), Number(value)):
                return operator, value
            case Compare(operator, Number(value), Own()):
                return _FLIPPED[operator], value
        return None

    def compile(self, lookup: Lookup) -> Truth:
        """A function of the rule's own value (None: unknown) that gives True, False or None.

        lookup: is asked once for each metric and for each variable (`var.NAME`), and gives a function that
            has its value of now.
        """
        return truth(self.node, lookup)

    def __str__(self) -> str:
        match self.node:
            case Compare(operator, Own(), Number(value)):
                return f"{operator} {number_text(value)}"
        return text(self.node)


@dataclass(frozen=True, slots=True)
class Expression(_Read):
    """A number worked out from metrics, variables and numbers."""

    def compile(self, lookup: Lookup) -> Numeric:
        """As that of a condition; the function gives the number, or None where it is unknown."""
        return numeric(self.node, lookup)

    def __str__(self) -> str:
        return text(self.node)


def parse_when(value: object) -> Condition:
    """A number N means that N is reached, `>= N`. Raises SpecError that says what was meant."""
    if isinstance(value, Condition):
        return value
    node = _parse(value, "when", _HELP)
    if isinstance(node, Number):
        return Condition(Compare(">=", Own(), node))
    if not isinstance(node, TRUTHS):
        raise _wrong(f"when is a condition, and {text(node)} is a number: compare it with something", "when")
    return Condition(node)


def parse_expression(value: object, what: str = "value") -> Expression:
    """The expression in a number or a text. Raises SpecError with `what` as its key."""
    if isinstance(value, Expression):
        return value
    node = _parse(value, what, "a number, or an expression of numbers and metrics")
    if isinstance(node, TRUTHS):
        raise _wrong(f"{what} is a number, and {text(node)} is a condition", what)
    return Expression(node)


def _parse(value: object, what: str, expected: str) -> Node:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Number(_finite(value, what))
    if not isinstance(value, str) or not value.strip():
        raise _wrong(f"{what} is {expected}, not {shown(value)}", what)
    try:
        return parse(value, what)
    except SpecError as error:
        raise _wrong(error.message, what) from None


def _finite(value: float, what: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise _wrong(f"{what} must be a finite number, not {shown(value)}", what)
    return number


def _wrong(message: str, key: str) -> SpecError:
    """An error whose text is the message, which names the key already."""
    return error_of([Fault((key,), message)])
