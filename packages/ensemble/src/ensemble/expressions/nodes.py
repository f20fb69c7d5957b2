"""The tree of an expression. `str` gives text that reads back as the same tree."""

from __future__ import annotations

from dataclasses import dataclass

from ensemble.metrics import MetricName

# How tightly each kind binds: what binds less than its place asks for is put in parentheses.
OR, AND, NOT, COMPARED, SUM, PRODUCT, SIGN, ATOM = range(8)


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Own:
    """`value`: that of the rule's own metric."""


@dataclass(frozen=True, slots=True)
class Metric:
    name: MetricName


@dataclass(frozen=True, slots=True)
class Variable:
    """`var.NAME`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Negative:
    of: Node


@dataclass(frozen=True, slots=True)
class Chain:
    """first, then each (sign, node) in turn, from the left: either + and -, or * and /."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Compare:
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic:
    """word: `and` or `or`, between all the parts."""

    word: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Node


Node = Number | Own | Metric | Variable | Call | Negative | Chain | Compare | Logic | Not
TRUTHS = (Compare, Logic, Not)  # what is true or false; the others are numbers


def metric_text(name: MetricName) -> str:
    """A metric's name as it is written in a file."""
    window = getattr(name, "window", "")
    of = f"{name.group}-{name.series}" if name.series else f"{name.group}.{name.what}"
    return f"{name.statistic}{f'[{window}]' if window else ''}.{of}"


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def text(node: Node, least: int = OR) -> str:
    """The expression as text; in parentheses where it binds less tightly than `least`."""
    own, written = _write(node)
    return written if own >= least else f"({written})"


def _write(node: Node) -> tuple[int, str]:
    match node:
        case Number(value):
            return (SIGN if value < 0 else ATOM), number_text(value)
        case Own():
            return ATOM, "value"
        case Metric(name):
            return ATOM, metric_text(name)
        case Variable(name):
            return ATOM, f"var.{name}"
        case Call(function, arguments):
            return ATOM, f"{function}({', '.join(map(text, arguments))})"
        case Negative(of):
            return SIGN, f"-{text(of, SIGN)}"
        case Chain(first, rest):
            own = SUM if rest[0][0] in "+-" else PRODUCT
            return own, text(first, own + 1) + "".join(f" {sign} {text(part, own + 1)}" for sign, part in rest)
        case Compare(operator, left, right):
            return COMPARED, f"{text(left, SUM)} {operator} {text(right, SUM)}"
        case Logic(word, parts):
            own = OR if word == "or" else AND
            return own, f" {word} ".join(text(part, own + 1) for part in parts)
        case Not(of):
            return NOT, f"not {text(of, NOT)}"


def walk(node: Node) -> list[Node]:
    """The node and all below it, in the order of the text."""
    found: list[Node] = [node]
    match node:
        case Call(_, parts) | Logic(_, parts):
            for part in parts:
                found += walk(part)
        case Negative(of) | Not(of):
            found += walk(of)
        case Chain(first, rest):
            found += walk(first)
            for _, part in rest:
                found += walk(part)
        case Compare(_, left, right):
            found += walk(left) + walk(right)
        case _:
            pass
    return found
