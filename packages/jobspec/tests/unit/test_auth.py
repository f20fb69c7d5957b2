"""The step auth: what passes, what does not, and that nothing secret is told."""

from __future__ import annotations

import pytest

from jobspec import document, runner
from jobspec.errors import DocumentError
from jobspec.transformer.local import Transformer


def spec(options):
    return f"{{version: 1, task: {{command: ['true'], transform: [{{step: auth, {options}}}, {{step: submit}}]}}}}"


def run(options):
    return runner.run(runner.plan(document.load(spec(options)), Transformer()))


def test_environment(monkeypatch):
    monkeypatch.setenv("THE_TOKEN", "hunter2")
    assert run("check: environment, name: THE_TOKEN")
    monkeypatch.setenv("THE_TOKEN", " ")
    assert "it is empty" in run("check: environment, name: THE_TOKEN").reason
    monkeypatch.delenv("THE_TOKEN")
    result = run("check: environment, name: THE_TOKEN")
    assert "THE_TOKEN is set did not pass: it is not set" in result.reason
    assert [step.status for step in result.steps] == ["failed"]


def test_file(tmp_path):
    file = tmp_path / "token"
    assert "No such file" in run(f"check: file, path: {file}").reason
    file.write_text("hunter2")
    file.chmod(0o640)
    assert "mode is 0640" in run(f"check: file, path: {file}").reason
    file.chmod(0o400)
    assert run(f"check: file, path: {file}")
    assert "no regular file" in run(f"check: file, path: {tmp_path}").reason


def test_command():
    assert run("check: command, command: [test, -d, /]")
    result = run("check: command, command: [sh, -c, 'echo hunter2; echo hunter2 >&2; exit 4']")
    assert "the command sh exits with 0 did not pass: exit code 4" in result.reason
    assert "hunter2" not in result.reason
    assert "can't be started" in run("check: command, command: [/no/such/program]").reason


def test_a_command_can_not_ask(monkeypatch):
    monkeypatch.setattr("jobspec.auth.TIMEOUT", 0.2)
    assert "did not end" in run("check: command, command: [sleep, '5']").reason
    assert "exit code 1" in run("check: command, command: [sh, -c, 'read answer </dev/tty || exit 1']").reason


@pytest.mark.parametrize(
    ("options", "place", "message"),
    [
        ("check: magic", "task.transform[0].check", "there are: environment, file, command"),
        ("check: file", "task.transform[0]", "needs path"),
        ("check: file, path: /a, name: b", "task.transform[0].name", "takes path only"),
        ("check: command, command: kinit", "task.transform[0].command", "must be a list"),
        ("check: command, command: []", "task.transform[0].command", "no command"),
    ],
)
def test_refused(options, place, message):
    with pytest.raises(DocumentError) as caught:
        runner.plan(document.load(spec(options)), Transformer())
    assert caught.value.place == place
    assert message in caught.value.message


def test_no_secret_is_told(jobspec, monkeypatch):
    monkeypatch.setenv("THE_TOKEN", "hunter2")
    for arguments in (("--dry-run",), ("--dry-run", "--json"), ("--json",), ()):
        for options in ("check: environment, name: THE_TOKEN", "check: command, command: ['false', hunter2]"):
            result = jobspec("run", "-t", "local", *arguments, "-", stdin=spec(options))
            assert "hunter2" not in result.stdout + result.stderr
            assert result.stdout


@pytest.mark.parametrize(
    "options",
    [
        "check: command, command: login --token hunter2",
        "check: command, command: [login, {token: hunter2}]",
        'check: command, command: [login, "hunter2\\0"]',
        "check: hunter2",
        'check: environment, name: "hunter2\\0"',
        "check: file, path: [hunter2]",
    ],
)
def test_a_refusal_tells_no_value(options):
    with pytest.raises(DocumentError) as error:
        runner.plan(document.load(spec(options)), Transformer())
    assert "hunter2" not in str(error.value)
    assert error.value.place.startswith("task.transform[0].")
