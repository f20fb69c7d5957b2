"""Custom functions: what they may return, and where their errors are."""

from __future__ import annotations

from typing import Any

import pytest

from ensemble.custom import Functions
from ensemble.document import Action, Rule
from ensemble.errors import CustomError
from ensemble.load import parse
from ensemble.plugins import registry

FILE = """\
jobs: [{name: echo, command: echo hi}]
rules: [{trigger: start, action: {name: custom, label: f}}]
custom: |
"""


def call(source: str, label: str = "f", **arguments: Any) -> tuple[list[Action], list[Rule]]:
    text = FILE + "".join(f"  {line}\n" for line in source.splitlines())
    returned = Functions(parse(text, "x.yaml"), registry()).call(label, arguments)
    return returned.actions, returned.rules


ECHO = Action({"name": "submit", "label": "echo"})
AGAIN = {"trigger": "job-success", "name": "echo", "action": {"name": "submit", "label": "echo"}}


@pytest.mark.parametrize(
    ("body", "actions", "rules"),
    [
        ("None", [], []),
        ('Action({"name": "submit", "label": "echo"})', [ECHO], []),
        ('[Action(name="submit", label="echo"), Action({"name": "terminate"})]', [ECHO, Action(name="terminate")], []),
        (f"Rule({AGAIN!r})", [], [Rule(AGAIN)]),
        ('[Action(name="cancel", label="echo"), None][:1]', [Action(name="cancel", label="echo")], []),
    ],
)
def test_what_can_be_returned(body: str, actions: list[Action], rules: list[Rule]) -> None:
    assert call(f"def f(**kwargs):\n    return {body}") == (actions, rules)


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("def f(**kwargs):\n    return 1 / 0", 5, "ZeroDivisionError"),
        ("def f(**kwargs):\n    return helper()\ndef helper():\n    raise KeyError('no\\nline')", 7, "KeyError"),
        ("x = undefined\ndef f(**kwargs): pass", 4, "NameError"),
        ("def f(**kwargs):\n    return 3", 4, "not int"),
        ("def f(**kwargs):\n    return Action(name='submit', label='ecko')", 4, "no group of jobs is named 'ecko'"),
        ("def f(**kwargs):\n    return Action(name='submit', lable='echo')", 5, "did you mean 'label'"),
        ("def f(**kwargs):\n    return Action(name='submit', label='echo', repetitions=2)", 4, "are for rules"),
        ("def f(**kwargs):\n    return Action(name='custom', label='f', value=object())", 5, "what JSON can say"),
        ("def f(**kwargs):\n    return Rule(trigger='start', action=Action(name='terminate'))", 4, "never fire"),
        ("def f():\n    return None", 4, "unexpected keyword"),
        ("import sys\ndef f(**kwargs):\n    sys.exit(3)", 6, "SystemExit"),
        ("f = 3", 0, "custom has no function 'f'"),
    ],
)
def test_an_error_has_the_file_and_line(source: str, line: int, says: str) -> None:
    with pytest.raises(CustomError) as caught:
        call(source, metrics=None)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (caught.value.file, caught.value.line) == ("x.yaml", line)


def test_the_source_runs_once_and_keeps_its_state() -> None:
    body = [
        "seen = []",
        "def f(**kwargs):",
        "    seen.append(1)",
        "    return [Action(name='terminate')] * (len(seen) == 2)",
    ]
    text = FILE + "".join(f"  {line}\n" for line in body)
    functions = Functions(parse(text, "x.yaml"), registry())
    assert [len(functions.call("f", {}).actions) for _ in range(3)] == [0, 1, 0]


def test_the_arguments_are_handed_on() -> None:
    source = (
        "def f(*, metrics, event, rule, action, handle):\n    return None if handle == 5 else Action(name='terminate')"
    )
    assert call(source, metrics=1, event=2, rule=3, action=4, handle=5) == ([], [])
