"""The examples that users copy are valid, as the command line says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ensemble.load import load

NAMES = (
    "hello-world",
    "backoff-example",
    "custom-action-example",
    "heartbeat",
    "grow-shrink",
    "terminate",
    "parameter-sweep",
    "depends-on",
)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_valid(examples: Path, name: str) -> None:
    document = load(examples / f"{name}.yaml")
    assert document.jobs and document.rules


def test_the_sweep_is_what_its_comment_says(examples: Path) -> None:
    document = load(examples / "parameter-sweep.yaml")
    train = document.jobs["train"]
    assert train.total() == 6
    assert train.spec("train.3", 3).argv[-2:] == ("0.01", "2")
    assert train.total(document.rules[1].action.overrides) == 4


def test_validate_says_what_is_there(
    ensemble: Callable[..., Any], examples: Path, document: Callable[[str], Path]
) -> None:
    done = ensemble("validate", examples / "hello-world.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("hello-world.yaml: valid (2 groups of jobs, 2 rules)\n")
    done = ensemble("validate", document("jobs: [{name: a, command: x}]\nrules: [{trigger: strat}]\n"))
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert [line.split(":", 1)[1] for line in lines] == [
        "2:9: action: it is missing",
        "2:19: unknown trigger 'strat'; did you mean 'start'?",
    ]
