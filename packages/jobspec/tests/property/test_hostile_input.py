"""Whatever comes in: an answer or one clear line, never a traceback."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobspec import document, runner
from jobspec.cli import main
from jobspec.errors import DocumentError
from jobspec.transformer.local import Transformer

SCRIPT = """#!/bin/bash
#SBATCH -J "a name" -N 2-4 --ntasks-per-node=4
#SBATCH --mem=64G --time=1-02:30 # a comment
#SBATCH --gres=gpu:a100:2,lustre:1 -L matlab:2
#SBATCH -w n[1-3,07] --exclusive --array=1-10%2
#SBATCH --gpus-per-task=1 -c 4 --tmp=10G
hostname
"""
SPEC = """
version: 1
resources: {type: node, count: 2, with: [{type: slot, label: a, count: 2, with: [{type: core, count: 4}]}]}
task:
  slot: a
  count: {per_slot: 1}
  command: [echo, hello]
  scripts: [{name: job.sh, content: "#!/bin/sh\\necho hello\\n"}]
  transform: [{step: write, filename: job.sh, executable: true}, {step: submit, filename: job.sh, wait: true}]
attributes: {system: {duration: 60, cwd: /tmp, environment: {A: b}}}
"""
PIECES = [
    "#SBATCH ",
    "\n",
    "--",
    "=",
    "'",
    '"',
    "\\",
    "[",
    "]",
    "-",
    ":",
    ",",
    "99999999999999999999",
    "\0",
    "\r\n",
    "é",
    "\x1b",
    "#",
]
YAML_PIECES = [
    "&a ",
    "*a",
    "!!python/name:os ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\n",
    "null",
    "true",
    "1e999",
    "'",
    "\t",
    "%",
    "|",
    "?",
]


def mutated(text, pieces):
    edit = st.tuples(st.integers(0, len(text)), st.integers(0, 6), st.sampled_from([*pieces, ""]) | st.text(max_size=4))

    def apply(edits):
        result = text
        for at, gone, piece in edits:
            result = result[:at] + piece + result[at + gone :]
        return result

    return st.lists(edit, min_size=1, max_size=4).map(apply)


def one_line(result):
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in {0, 1}, result.stderr
    if result.exit_code:
        assert not result.stdout
        assert len(result.stderr.splitlines()) == 1


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated(SCRIPT, PIECES))
def test_mutated_scripts(text):
    one_line(CliRunner().invoke(main, ["request", "-"], input=text.encode(errors="surrogatepass")))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_binary_scripts(data):
    one_line(CliRunner().invoke(main, ["request", "-"], input=b"#!/bin/sh\n#SBATCH " + data))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated(SPEC, YAML_PIECES))
def test_mutated_jobspecs(text):
    try:
        runner.plan(document.load(text), Transformer())
    except DocumentError as error:
        assert error.message


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 5000,
        "a: &a [*a]",
        "a: &a [1]\nb: *a",
        "!!python/object/apply:os.system [id]",
        "version: !!int x",
        "? [a]\n: 1",
        "1: 2",
        "a: 1\na: 2",
        "a: " + "9" * 100_000,
        "- " * 60_000,
        "x" * 2_000_000,
        "\0",
        "",
        "--- 1\n--- 2\n",
    ],
)
@pytest.mark.timeout(60)
def test_hostile_yaml(text):
    with pytest.raises(DocumentError) as caught:
        document.load(text)
    assert "\n" not in str(caught.value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "line", ["#SBATCH " + "a" * 5_000_000, "#SBATCH -w " + "n[1-9]" * 50_000, "#SBATCH " + "-N2 " * 500_000]
)
def test_long_lines(line):
    one_line(CliRunner().invoke(main, ["request", "-"], input=f"#!/bin/sh\n{line}\n"))


def test_plain_values_only():
    with pytest.raises(DocumentError, match="must be text"):
        document.load("{version: 1, task: {command: [echo, 1]}}")
    made = document.load('{version: 1, task: {command: [echo, "1", no, 1:30, 2024-01-01, 0x10, 010]}}')
    assert made.tasks[0].command == ("echo", "1", "no", "1:30", "2024-01-01", "0x10", "010")
