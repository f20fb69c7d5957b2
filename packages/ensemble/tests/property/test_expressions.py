"""Conditions: the printed one reads back as the same, and the compiled one gives what a naive evaluator gives."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

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
from ensemble.expressions.ranges import Range, could_hold
from ensemble.metrics import MetricName
from ensemble.when import Condition, Expression, parse_expression, parse_when

METRICS = (MetricName("mean", "a", series="duration"), MetricName("count", "b-c", what="success"))
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5).map(float)
leaves = (
    numbers.map(Number)
    | st.just(Own())
    | st.sampled_from(METRICS).map(Metric)
    | st.sampled_from(["x", "y"]).map(Variable)
)


def _arithmetic(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    chains = [
        st.builds(Chain, inner, st.lists(st.tuples(st.sampled_from(signs), inner), min_size=1, max_size=3).map(tuple))
        for signs in ("+-", "*/")
    ]
    one = st.builds(Call, st.sampled_from(["abs", "round"]), st.tuples(inner))
    many = st.builds(Call, st.sampled_from(["min", "max"]), st.lists(inner, min_size=1, max_size=3).map(tuple))
    negative = st.builds(Negative, inner.filter(lambda node: not isinstance(node, Number)))
    return st.one_of(*chains, one, many, negative)


arithmetic = st.recursive(leaves, _arithmetic, max_leaves=8)
compare = st.builds(Compare, st.sampled_from([">", ">=", "<", "<=", "==", "!="]), arithmetic, arithmetic)
truths = st.recursive(
    compare,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(Logic, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=6,
)
values = st.none() | st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float)
worlds = st.fixed_dictionaries({str(METRICS[0]): values, str(METRICS[1]): values, "var.x": values, "var.y": values})


@given(truths)
def test_a_printed_condition_reads_back_as_the_same(node: Node) -> None:
    condition = Condition(node)
    assert parse_when(str(condition)) == condition


@given(arithmetic)
def test_a_printed_expression_reads_back_as_the_same(node: Node) -> None:
    expression = Expression(node)
    assert parse_expression(str(expression)) == expression


@given(truths, worlds, values)
def test_it_is_what_a_naive_evaluator_says(node: Node, world: dict[str, float | None], own: float | None) -> None:
    found = Condition(node).compile(lambda name: lambda: world[str(name)])(own)
    assert found is naive(node, world, own)


@given(truths, worlds, values)
def test_what_held_once_could_hold(node: Node, world: dict[str, float | None], own: float | None) -> None:
    # The bounds are the values themselves: a condition that holds here must be possible within them.
    def bounds(metric: MetricName | None) -> Range | None:
        value = own if metric is None else world[str(metric)]
        return None if value is None else Range(value, value)

    if naive(node, world, own):
        assert could_hold(node, bounds)


def naive(node: Node, world: dict[str, float | None], own: float | None):
    """Straight from the words of the documentation, node by node; None is unknown."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Own):
        return own
    if isinstance(node, Metric):
        return world[str(node.name)]
    if isinstance(node, Variable):
        return world[f"var.{node.name}"]
    if isinstance(node, Logic):
        held = [naive(part, world, own) for part in node.parts]
        if node.word == "and":
            return False if False in held else None if None in held else True
        return True if True in held else None if None in held else False
    if isinstance(node, Not):
        held = naive(node.of, world, own)
        return None if held is None else not held
    if isinstance(node, Negative):
        value = naive(node.of, world, own)
        return None if value is None else -value
    if isinstance(node, Call):
        given_ = [naive(part, world, own) for part in node.arguments]
        if None in given_:
            return None
        function = {"abs": abs, "round": round, "min": min, "max": max}[node.function]
        return float(function(given_) if node.function in ("min", "max") else function(given_[0]))
    if isinstance(node, Compare):
        left, right = naive(node.left, world, own), naive(node.right, world, own)
        if left is None or right is None:
            return None
        results = {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}
        return (results | {"==": left == right, "!=": left != right})[node.operator]
    total = naive(node.first, world, own)
    for sign, part in node.rest:
        value = naive(part, world, own)
        if total is None or value is None or (sign == "/" and value == 0):
            return None
        if sign == "/":
            total = total / value
        else:
            total = {"+": total + value, "-": total - value, "*": total * value}[sign]
    return total if math.isfinite(total) else None
