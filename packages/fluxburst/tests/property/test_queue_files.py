"""No queue file, however broken, gives a traceback."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    found = [path]
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found += places(child, (*path, key))
    return found


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = value.copy()
    copied[path[0]] = changed(value[path[0]], path[1:], new)
    return copied


def check(result: Any) -> None:
    assert result.exit_code in {0, 1}, result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if result.stderr:
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        assert "stdin" in result.stderr
    else:
        json.loads(result.stdout)


@settings(deadline=None)
@given(st.data())
def test_a_queue_with_one_value_changed(run, info, data):
    job = info(1, nodes=2, slots="1-4", gpus=1, system={"constraints": {}})
    path = data.draw(st.sampled_from(places(job)))
    text = json.dumps(changed(job, path, data.draw(values)))
    check(run("plan", "--queue", "-", "--plugin", "mock", "--json", stdin=f"{text}\n"))


@settings(deadline=None)
@given(st.data())
def test_a_queue_with_bytes_changed(run, info, data):
    text = bytearray("".join(json.dumps(info(n, nodes=n)) + "\n" for n in range(3)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    check(run("plan", "--queue", "-", "--plugin", "mock", "--json", stdin=bytes(text)))
