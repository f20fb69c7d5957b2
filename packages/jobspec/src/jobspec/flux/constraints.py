"""Constraints on nodes: the query syntax of `--requires` (RFC 35) and the JSON of a jobspec (RFC 31)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

OPERATORS = {"host": "hostlist", "hosts": "hostlist", "hostlist": "hostlist", "rank": "ranks", "ranks": "ranks",
             "properties": "properties"}  # fmt: skip
_DEEPEST = 40
_LEXER = re.compile(
    r"""[ \t\r\n\f\v]+|(?P<minus>-)|(?P<not>not\b)|(?P<and>&&?|and\b)|(?P<or>\|\|?|or\b)|(?P<open>\()|(?P<close>\))"""
    r"""|(?P<term>[^()|&\s"']+)|'(?P<single>[^']*)'|"(?P<double>[^"]*)\""""
)
_RESERVED = frozenset("&'\"`|()")
# What a property may be so that it is one term, and none of the words of the syntax.
_PLAIN = re.compile(r"(?!(?:and|or|not)\b)[A-Za-z0-9_.+/@=%][A-Za-z0-9_.+/@=%-]*\Z")
_HOSTS = re.compile(r"[A-Za-z0-9_.\[\],-]+\Z")

Constraint = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plain:
    """A constraint that is a plain list: properties that nodes must have, hosts, and hosts that are left out."""

    properties: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def parse(text: str) -> Constraint:
    """The RFC 31 object of a query. Raises ValueError with what is wrong."""
    tokens = _tokens(text)
    result, rest = _either(tokens, 0, 0)
    if rest < len(tokens):
        raise ValueError(f"unexpected {tokens[rest][1][:40]!r}")
    return result


def _tokens(text: str) -> list[tuple[str, str]]:
    """The terms and operators. Text in quotes is a term; behind a term that ends with a colon it belongs to it."""
    tokens: list[tuple[str, str]] = []
    at, pending = 0, ""
    while at < len(text):
        match = _LEXER.match(text, at)
        if not match:
            raise ValueError(f"quotes are not closed at {at + 1}" if text[at] in "'\"" else f"unexpected {text[at]!r}")
        at = match.end()
        kind, value = match.lastgroup, match[0]
        if kind is None:
            continue
        if kind in {"term", "single", "double"}:
            value = pending + match[kind]
            pending = ""
            if not match[kind] or value.endswith(":"):
                pending = value
            else:
                tokens.append(("term", value))
        else:
            tokens.append((kind, value))
    if pending:
        raise ValueError(f"{pending[:40]!r} needs a value")
    return tokens


def _either(tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[Constraint, int]:
    first, at = _both(tokens, at, depth)
    while at < len(tokens) and tokens[at][0] == "or":
        second, at = _both(tokens, at + 1, depth)
        if "or" in first:
            first["or"].append(second)
        else:
            first = {"or": [first, second]}
    return first, at


def _both(tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[Constraint, int]:
    first, at = _row(tokens, at, depth)
    while at < len(tokens) and tokens[at][0] == "and":
        second, at = _row(tokens, at + 1, depth)
        first = _combined(first, second)
    return first, at


def _row(tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[Constraint, int]:
    """Terms side by side: they bind more tightly than any word between terms, even than a `not` in front."""
    result: Constraint | None = None
    while at < len(tokens) and tokens[at][0] in {"term", "minus", "not", "open"}:
        term, at = _term(tokens, at, depth)
        result = term if result is None else _combined(result, term)
    if result is None:
        where = f"at {tokens[at][1][:40]!r}" if at < len(tokens) else "at the end"
        raise ValueError(f"a term is missing {where}")
    return result, at


def _term(tokens: Sequence[tuple[str, str]], at: int, depth: int) -> tuple[Constraint, int]:
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST} levels")
    kind, value = tokens[at]
    if kind == "term":
        return _operation(value), at + 1
    if kind == "minus":
        if at + 1 >= len(tokens) or tokens[at + 1][0] != "term":
            raise ValueError("a dash must stand before a term; before an expression it is not")
        return {"not": [_operation(tokens[at + 1][1])]}, at + 2
    if kind == "not":
        inner, at = _row(tokens, at + 1, depth + 1)
        return {"not": [inner]}, at
    inner, at = _either(tokens, at + 1, depth + 1)
    if at >= len(tokens) or tokens[at][0] != "close":
        raise ValueError("a parenthesis is not closed")
    return inner, at + 1


def _operation(term: str) -> Constraint:
    name, colon, value = term.partition(":")
    if not colon:
        name, value = "properties", term
    operator = OPERATORS.get(name)
    if operator is None:
        raise ValueError(f"no constraint is named {name[:40]!r}; known: properties, host, rank")
    return {operator: value.split(",") if operator == "properties" else [value]}


def _combined(first: Constraint, second: Constraint) -> Constraint:
    if "and" in first:
        first["and"].append(second)
        return first
    if "properties" in first and "properties" in second:
        first["properties"].extend(second["properties"])
        return first
    return {"and": [first, second]}


def plain(constraint: object, *, top: bool = True) -> Plain | None:
    """The constraint as plain lists; None where it is more than that, or no constraint at all."""
    if not isinstance(constraint, dict) or len(constraint) > 1:
        return None
    found = Plain()
    for operator, values in constraint.items():
        if not isinstance(values, list):
            return None
        if operator == "and" and top:
            parts = [plain(value, top=False) for value in values]
            if any(part is None for part in parts) or sum(bool(part and part.hosts) for part in parts) > 1:
                return None  # two lists of hosts that must both hold are not one longer list
            return Plain(
                tuple(name for part in parts if part for name in part.properties),
                tuple(name for part in parts if part for name in part.hosts),
                tuple(name for part in parts if part for name in part.exclude),
            )
        if operator == "not" and len(values) == 1:
            inner = plain(values[0], top=False)
            return Plain(exclude=inner.hosts) if inner and inner.hosts else None
        if not values or not all(isinstance(value, str) and value for value in values):
            return None
        if operator == "properties" and not any(value.startswith("^") for value in values):
            found = Plain(properties=tuple(values))
        elif operator == "hostlist":
            found = Plain(hosts=tuple(values))
        else:
            return None
    return found


def check(constraint: object, depth: int = 0) -> None:
    """Raises ValueError where an object is no constraint (RFC 31)."""
    if not isinstance(constraint, dict):
        raise ValueError("a constraint is a mapping")  # noqa: TRY004 - one error for all that is none
    for operator, values in constraint.items():
        if not isinstance(values, list):
            raise ValueError(f"the values of {operator!r} must be a list")  # noqa: TRY004
        if operator in {"and", "or", "not"}:
            if depth > _DEEPEST:
                raise ValueError(f"nested deeper than {_DEEPEST} levels")
            for value in values:
                check(value, depth + 1)
        elif operator not in {"properties", "hostlist", "ranks"}:
            raise ValueError(f"no constraint is named {str(operator)[:40]!r}")
        elif not all(isinstance(value, str) for value in values):
            raise ValueError(f"the values of {operator!r} must be texts")
        elif operator == "properties" and any(_RESERVED & set(value) for value in values):
            raise ValueError("a property may not hold any of & ' \" ` | ( )")


def render(constraint: Constraint) -> str | None:
    """The query of a constraint; None where the query syntax has no words for it."""
    terms = []
    for operator, values in constraint.items():
        if operator in {"and", "or"}:
            inner = [render(value) for value in values]
            if not inner or None in inner:
                return None
            terms.append("(" + f" {operator} ".join(map(str, inner)) + ")")
        elif operator == "not":
            first = render(values[0]) if len(values) == 1 else None
            if first is None:
                return None
            terms.append(f"(not ({first}))")
        else:
            term = _rendered(operator, values)
            if term is None:
                return None
            terms.append(term)
    return " ".join(terms) or None


def _rendered(operator: str, values: list[str]) -> str | None:
    if operator == "properties":
        return properties(values) if values else None
    if not values or not all(_HOSTS.match(value) for value in values):
        return None
    joined = ",".join(values)
    return f"host:{joined}" if operator == "hostlist" else f"rank:{joined}"


def properties(values: Sequence[str]) -> str | None:
    """A term that requires properties; None where one can't be said."""
    for value in values:
        if not value or not value.isprintable() or (_RESERVED | set(", ")) & set(value):
            return None
    text = ",".join(values)
    return text if all(_PLAIN.match(value) for value in values) else f"properties:{text}"


def hosts(text: str) -> str | None:
    """A term for a list of hosts (RFC 29); None where it can't be said."""
    return f"host:{text}" if _HOSTS.match(text) and text.count("[") == text.count("]") else None


def count_hosts(text: str) -> int | None:
    """How many hosts a list holds, as `a[1-3,7],b` holds five; None where that is hard to say."""
    if not _HOSTS.match(text) or len(text) > 2_000:
        return None
    total = 0
    for name in re.split(r",(?![^\[]*\])", text):
        _, bracket, inside = name.partition("[")
        if not bracket:
            total += 1
        elif not inside.endswith("]") or "[" in inside:
            return None
        else:
            for one in inside[:-1].split(","):
                first, dash, last = one.partition("-")
                if not first.isdigit() or (dash and not last.isdigit()) or len(one) > 30:
                    return None
                total += int(last) - int(first) + 1 if dash else 1
    return total if total > 0 else None
