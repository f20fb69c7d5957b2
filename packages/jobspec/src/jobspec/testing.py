"""The contract of transformers, for those who write one: call it from a test.

    from jobspec.testing import check_transformer
    check_transformer(Transformer)

Raises AssertionError with what is wrong. Where the transformer works on this machine and can write
and submit, two or three tiny jobs run for real.
"""

from __future__ import annotations

import io

from jobspec import document, runner
from jobspec.errors import DocumentError
from jobspec.steps import StepBase
from jobspec.transformer import TransformerBase

_SPEC = """
version: 1
task:
  scripts: [{name: job.sh, content: "#!/bin/sh\\nexit %d\\n"}]
  transform:
    - {step: write, filename: job.sh, executable: true}
    - {step: submit, filename: job.sh, wait: true}
"""
_BATCH = """
version: 1
task:
  scripts: [{name: job.sh, content: "#!/bin/sh\\nexit %d\\n"}]
  transform:
    - {step: write, filename: job.sh}
    - {step: batch, filename: job.sh, watch: true}
"""


def check_transformer(transformer: type[TransformerBase]) -> None:
    """Hold a transformer against what `jobspec run` relies on. Raises AssertionError."""
    _must(bool(transformer.name and transformer.description), "it has no name or no description")
    _must(transformer.name == transformer.name.lower().replace("_", "-"), "its name is not lower case with '-'")
    _must(bool(transformer.steps), "it has no steps")
    for name, step in transformer.steps.items():
        _must(isinstance(step, type) and issubclass(step, StepBase), f"its step {name} is no StepBase")
    _must(transformer.steps is not TransformerBase.steps, "its steps are registered for all transformers")
    _must(isinstance(transformer().why_not(), str), "why_not gives no text")
    _check_unknown(transformer)
    if {"write", "submit"} <= transformer.steps.keys():
        _check_dry_run(transformer)
        if not transformer().why_not():
            _must(bool(_run(transformer, 0)), "a job that succeeds fails the run")
            _must(not _run(transformer, 3), "a job that fails does not fail the run")
            if "batch" in transformer.steps:
                _must(bool(_run(transformer, 0, _BATCH)), "a batch script that is not executable does not run")


def _must(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _check_unknown(transformer: type[TransformerBase]) -> None:
    spec = document.load("{version: 1, task: {transform: [{step: no-such-step}]}}")
    try:
        runner.plan(spec, transformer())
    except DocumentError as error:
        _must(error.place == "task.transform[0].step", "an unknown step is refused at the wrong place")
        return
    raise AssertionError("an unknown step is not refused before anything runs")


def _check_dry_run(transformer: type[TransformerBase]) -> None:
    made = runner.plan(document.load(_SPEC % 0), transformer())
    result = runner.dry_run(made)
    _must([step.status for step in result.steps] == [runner.PLANNED] * 2, "a dry run does something")
    _must(all(step.actions for step in result.steps), "a dry run does not say what a step would do")


def _run(transformer: type[TransformerBase], code: int, text: str = _SPEC) -> runner.Result:
    made = runner.plan(document.load(text % code), transformer())
    result = runner.run(made, output=io.StringIO())
    _must(not result.stage, "the stage is left behind")
    return result
