"""From text to a tree: a recursive descent with a bound on its depth. Every error is a SpecError in one line."""

from __future__ import annotations

import re
from math import isfinite
from typing import NamedTuple

from resources.units import shown

from ensemble.errors import SpecError
from ensemble.expressions.nodes import (
    TRUTHS,
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
    text,
)
from ensemble.metrics import did_you_mean, parse_metric

LONGEST = 4000  # characters
DEEPEST = 50  # levels of parentheses, signs and `not`
COMPARISONS = (">", ">=", "<", "<=", "==", "!=")
FUNCTIONS = {"abs": (1, 1), "min": (1, 99), "max": (1, 99), "round": (1, 1)}  # least and most arguments
_MEANT = {"=": "==", "=>": ">=", "=<": "<=", "<>": "!=", "===": "==", "!==": "!=", "&&": "and", "||": "or", "&": "and"}
_MEANT |= {"|": "or", "!": "not", "≥": ">=", "≤": "<=", "≠": "!="}
_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_.])"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]]*\])?(?:\.[A-Za-z0-9_-]+)*)"
    r"|(?P<sign>[<>=!&|≥≤≠]+|[-+*/(),])",
    re.ASCII,
)


class Token(NamedTuple):
    kind: str
    text: str
    column: int


def parse(source: str, what: str) -> Node:
    """The tree of an expression. `what` is what errors call it: `when`, `the value`."""
    if len(source) > LONGEST:
        raise SpecError(f"{what} is longer than {LONGEST} characters")
    return _Parser(_tokens(source, what), source, what).whole()


def _tokens(source: str, what: str) -> list[Token]:
    tokens = []
    place = 0
    while True:
        while place < len(source) and source[place].isspace():
            place += 1
        if place == len(source):
            tokens.append(Token("end", "", place + 1))
            return tokens
        match = _TOKEN.match(source, place)
        if not match:
            raise SpecError(f"{what}: {shown(source[place:])} can't be read (character {place + 1})")
        kind = match.lastgroup or ""
        if kind == "sign" and match[0] in _MEANT:
            raise SpecError(f"{what}: no comparison {match[0]!r}; did you mean {_MEANT[match[0]]!r}?")
        if kind == "sign" and match[0] not in COMPARISONS and match[0][0] in "<>=!&|≥≤≠":
            raise SpecError(f"{what}: no comparison {match[0]!r}; there are {' '.join(COMPARISONS)}")
        tokens.append(Token(kind, match[0], place + 1))
        place = match.end()


class _Parser:
    def __init__(self, tokens: list[Token], source: str, what: str) -> None:
        self.tokens, self.source, self.what = tokens, source, what
        self.place = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def take(self, *texts: str) -> str:
        """The next token's text if it is one of these, and go on; else ""."""
        token = self.next
        if token.kind != "number" and token.text in texts:
            self.place += 1
            return token.text
        return ""

    def wrong(self, message: str) -> SpecError:
        return SpecError(f"{self.what}: {message}")

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"it is nested more than {DEEPEST} deep")

    def whole(self) -> Node:
        if self.next.kind == "end":
            raise self.wrong("it is empty")
        node = self.either()
        token = self.next
        if token.kind != "end":
            if token.text == ")":
                raise self.wrong(f"there is a ')' too many (character {token.column})")
            raise self.wrong(f"an operator is missing before {token.text!r} (character {token.column})")
        return node

    def either(self) -> Node:
        return self.logic("or", lambda: self.logic("and", self.negation))

    def logic(self, word: str, part) -> Node:  # type: ignore[no-untyped-def]
        parts = [part()]
        while self.take(word):
            parts.append(part())
        if len(parts) == 1:
            only: Node = parts[0]
            return only
        for each in parts:
            self.truth(each, f"on both sides of {word!r}")
        return Logic(word, tuple(parts))

    def negation(self) -> Node:
        if not self.take("not"):
            return self.comparison()
        self.deeper()
        of = self.negation()
        self.depth -= 1
        return Not(self.truth(of, "after 'not'"))

    def comparison(self) -> Node:
        # A comparison without a left side is one with the rule's own metric: "> 3".
        left = Own() if self.next.text in COMPARISONS else self.sum()
        operator = self.take(*COMPARISONS)
        if not operator:
            return left
        right = self.sum()
        if second := self.take(*COMPARISONS):
            a, b = text(left), text(right)
            raise self.wrong(f"a chain of comparisons has two readings: write {a} {operator} {b} and {b} {second} ...")
        return Compare(operator, self.number(left, operator), self.number(right, operator))

    def sum(self) -> Node:
        return self.chain("+-", self.product)

    def product(self) -> Node:
        return self.chain("*/", self.signed)

    def chain(self, signs: str, part) -> Node:  # type: ignore[no-untyped-def]
        first: Node = part()
        rest: list[tuple[str, Node]] = []
        while sign := self.take(*signs):
            rest.append((sign, self.number(part(), sign)))
        return Chain(self.number(first, rest[0][0]), tuple(rest)) if rest else first

    def signed(self) -> Node:
        sign = self.take("+", "-")
        if not sign:
            return self.atom()
        self.deeper()
        of = self.number(self.signed(), sign)
        self.depth -= 1
        if sign == "+":
            return of
        return Number(-of.value) if isinstance(of, Number) else Negative(of)

    def atom(self) -> Node:
        token = self.next
        self.place += 1
        if token.kind == "number":
            value = float(token.text)
            if not isfinite(value):
                raise self.wrong(f"{token.text} is no finite number")
            return Number(value)
        if token.text == "(":
            self.deeper()
            inside = self.either()
            self.depth -= 1
            self.close()
            return inside
        if token.kind == "word" and token.text not in ("and", "or", "not"):
            return self.word(token)
        if token.kind == "end":
            raise self.wrong("it ends where a number or a metric is missing")
        raise self.wrong(f"a number or a metric is missing before {token.text!r} (character {token.column})")

    def word(self, token: Token) -> Node:
        name = token.text
        if self.take("("):
            return self.call(name)
        if name == "value":
            return Own()
        if name.startswith("var."):
            if not re.fullmatch(r"var\.[A-Za-z_][A-Za-z0-9_]*", name):
                raise self.wrong(f"no variable {name!r}: letters, digits and _ only{_minus(name)}")
            return Variable(name[4:])
        if "." in name:
            try:
                return Metric(parse_metric(name))
            except SpecError as error:
                raise self.wrong(f"{error.message}{_minus(name)}") from None
        if name.lower() in ("and", "or", "not"):
            raise self.wrong(f"{name!r} is written {name.lower()!r}")
        if name in FUNCTIONS:
            raise self.wrong(f"{name} is a function: {name}(...)")
        known = "a number, a metric such as mean.GROUP-duration, value, or var.NAME"
        raise self.wrong(f"{name!r} is unknown: {known} is expected")

    def call(self, name: str) -> Node:
        if name not in FUNCTIONS:
            raise self.wrong(f"no function {shown(name)}{did_you_mean(name, list(FUNCTIONS))}")
        self.deeper()
        arguments = [self.number(self.sum(), name)]
        while self.take(","):
            arguments.append(self.number(self.sum(), name))
        self.depth -= 1
        self.close()
        least, most = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            raise self.wrong(f"{name} takes {least if least == most else f'{least} to {most}'}, not {len(arguments)}")
        return Call(name, tuple(arguments))

    def close(self) -> None:
        if not self.take(")"):
            token = self.next
            raise self.wrong(f"a ')' is missing {f'before {token.text!r}' if token.text else 'at the end'}")

    def truth(self, node: Node, where: str) -> Node:
        if not isinstance(node, TRUTHS):
            raise self.wrong(f"a comparison is expected {where}, not {text(node)}")
        return node

    def number(self, node: Node, where: str) -> Node:
        if isinstance(node, TRUTHS):
            raise self.wrong(f"a number is expected at {where!r}, not the comparison {text(node)}")
        return node


def _minus(name: str) -> str:
    hint = "; a - within a name belongs to it: put blanks around a minus"
    return hint if "-" in name else ""
