"""Whatever stands in a file: it is a document, or problems with places; never another exception."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.document import JobGroup, Rule
from ensemble.errors import FileError, SpecError
from ensemble.load import parse

WHOLE: dict[str, Any] = {
    "logging": {"debug": True, "heartbeat": 2},
    "member": {"name": "local", "x": 1},
    "seed": 3,
    "variables": {"x": 1},
    "on_custom_error": "stop",
    "jobs": [
        {
            "name": "a",
            "command": ["x", "{lr}"],
            "count": 2,
            "tasks": 2,
            "memory": "1GB",
            "duration": "5m",
            "environment": {"A": "b"},
            "retries": {"max": 2, "on": ["failed"], "escalate": {"memory": {"factor": 2, "max": "4GB"}}},
            "parameters": {"random": {"lr": {"min": 1, "max": 2, "log": True}}, "samples": 3},
            "metrics": {"t": {"regex": "(.)"}, "u": {"json": "a.b"}},
            "attributes": {"k": [1]},
        },
        {"name": "b", "command": "x", "depends_on": {"a": "finished"}, "parameters": {"list": [{"p": 1}]}},
    ],
    "rules": [
        {"trigger": "start", "action": {"name": "submit", "label": "a", "value": {"nodes": 2, "count": 3}}},
        {
            "trigger": "metric",
            "name": "mean.a-t",
            "per": "job",
            "when": "> 3 and var.x < 2",
            "action": {"name": "cancel"},
        },
        {
            "trigger": "every",
            "interval": "30s",
            "action": {"name": "set", "label": "x", "value": "count.a.success + 1"},
        },
        {"trigger": "job-failed", "name": "a", "action": {"name": "message", "label": "{mean.a-duration}"}},
        {
            "trigger": "metric",
            "when": "count.a.success > 1",
            "on": "update",
            "action": {"name": "submit", "label": "b"},
        },
        {"trigger": "idle", "action": {"name": "custom", "label": "f", "value": [1], "repetitions": 2, "backoff": 1}},
        {"trigger": "end", "action": {"name": "terminate", "value": "leave"}},
    ],
    "custom": "def f(**kwargs):\n    return None\n",
}
WORDS = (
    "",
    "a",
    "b",
    "a.b",
    "{x}",
    "> 3",
    "unlimited",
    "1e3",
    "-1",
    "5m",
    "(",
    "mean.a-t",
    "\x00",
    "ü",
    "job-start",
    "!!",
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=5)
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *[place for key, value in inner for place in _places(value, (*path, key))]]


PLACES = _places(WHOLE)[1:]


def _changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = data.copy()
    changed[path[0]] = _changed(data[path[0]], path[1:], value)
    return changed


def test_the_whole_is_valid() -> None:
    parse(yaml.safe_dump(WHOLE), "x")


@given(st.sampled_from(PLACES), anything)
@settings(max_examples=100, deadline=None)
def test_one_value_is_anything(path: tuple[Any, ...], value: Any) -> None:
    text = yaml.safe_dump(_changed(WHOLE, path, value), allow_unicode=True)
    try:
        parse(text, "x")
    except FileError as error:
        for problem in error.problems:
            assert problem.line >= 1 and problem.column >= 1
            assert problem.message and "\n" not in problem.message


@given(st.sampled_from([place for place in PLACES if place[0] in ("jobs", "rules") and len(place) > 2]), anything)
@settings(max_examples=100, deadline=None)
def test_a_function_may_write_anything(path: tuple[Any, ...], value: Any) -> None:
    kind = JobGroup if path[0] == "jobs" else Rule
    try:
        kind(_changed(WHOLE[path[0]][path[1]], path[2:], value))
    except SpecError as error:
        assert error.faults
