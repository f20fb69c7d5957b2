"""What more than one run may touch: named stages, leftovers; and transformers of strangers that fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobspec import document, leftover, runner
from jobspec.errors import StepFailed, TransformerUnavailable
from jobspec.interrupt import whole
from jobspec.stage import Stage
from jobspec.transformer import TransformerBase
from jobspec.transformer.local import Transformer as Local

JOBSPEC = (sys.executable, "-c", "from jobspec.cli import main; main(prog_name='jobspec')")
ONE = "{version: 1, task: {command: ['true']}}"


def test_two_runs_never_share_a_named_stage(tmp_path):
    first = Stage(str(tmp_path / "stage"))
    with pytest.raises(StepFailed, match="another run uses the stage"):
        Stage(str(tmp_path / "stage"))
    first.release()
    Stage(str(tmp_path / "stage")).release()


def test_a_second_run_says_so_and_exits_1(jobspec, tmp_path):
    held = Stage(str(tmp_path / "stage"))
    text = (
        "{version: 1, task: {scripts: [{name: a, content: b}], transform: [{step: set, key: stage, value: "
        f"{tmp_path / 'stage'}}}, {{step: write, filename: a}}]}}}}"
    )
    result = jobspec("run", "-t", "local", "-", stdin=text)
    assert result.exit_code == 1
    assert "another run uses the stage" in result.stderr
    held.release()
    assert jobspec("run", "-t", "local", "-", stdin=text).exit_code == 0


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_nowhere_to_make_a_stage(tmp_path, name):
    """A working directory or a folder of temporary files that is gone is one line, too."""
    folder, bin_ = tmp_path / "gone", tmp_path / "bin"
    folder.mkdir()
    bin_.mkdir()
    for command in ("sbatch", "scontrol"):
        (bin_ / command).write_text("#!/bin/sh\nexit 0\n")
        (bin_ / command).chmod(0o700)
    code = f"import os, sys; os.chdir({str(folder)!r}); os.rmdir({str(folder)!r}); import tempfile;"
    code += " tempfile.tempdir = '/no/such'; from jobspec.cli import main; main(prog_name='jobspec')"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "-t", name, "-"],
        input=ONE,
        env={**os.environ, "PATH": f"{bin_}:/bin:/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "can't make a stage" in done.stderr
    assert "Traceback" not in done.stderr


def test_names_of_our_own_are_taken(jobspec):
    scripts, write = "[{name: .jobspec-lock, content: b}]", "{step: write, filename: .jobspec-lock}"
    text = f"{{version: 1, task: {{scripts: {scripts}, transform: [{write}]}}}}"
    assert "are taken" in jobspec("run", "-t", "local", "-", stdin=text).stderr


class Far(TransformerBase):
    """Jobs go on when the run has ended, and an instance can be asked for them."""

    name = "far"
    description = "far away"
    steps = Local.steps
    here = "instance"
    over = False
    cleared: list[str] = []

    def submit(self, launch):
        return f"far-{launch.stage}"

    def where(self):
        return self.here

    def ended(self, where, jobs):
        return self.over and where == "instance" and len(jobs) == 1

    def clear(self, stage):
        self.cleared.append(stage)


def left_stage(spread=False):
    transformer = Far()
    transformer.spread = spread
    result = runner.run(runner.plan(document.load(ONE), transformer))
    note = Path(result.stage) / leftover.NOTE
    os.utime(note, (time.time() - 60,) * 2)
    return note


def test_a_stage_goes_when_its_jobs_have_ended(monkeypatch):
    note = left_stage()
    assert json.loads(note.read_text())["where"] == "instance"
    assert note.stat().st_mode & 0o777 == 0o600
    leftover.remove_leftovers(Far())
    assert note.exists()
    monkeypatch.setattr(Far, "over", True)
    leftover.remove_leftovers(Far())  # looked at a moment ago
    assert note.exists()
    os.utime(note, (time.time() - 60,) * 2)
    leftover.remove_leftovers(Local())
    assert note.exists()
    leftover.remove_leftovers(Far())
    assert not note.parent.exists()


def test_copies_on_other_nodes_go_too(monkeypatch):
    note = left_stage(spread=True)
    monkeypatch.setattr(Far, "over", True)
    leftover.remove_leftovers(Far())
    assert Far.cleared == [str(note.parent)]
    assert not note.parent.exists()


@pytest.mark.parametrize("what", ["open", "link", "garbage", "list", "folder link"])
def test_strange_leftovers_are_left_alone(private_tmp, monkeypatch, what):
    monkeypatch.setattr(Far, "over", True)
    note = left_stage()
    if what == "open":
        note.parent.chmod(0o755)
    elif what == "link":
        target = private_tmp / "target"
        note.rename(target)
        note.symlink_to(target)
    elif what == "folder link":
        moved = private_tmp / "moved"
        note.parent.rename(moved)
        note.parent.symlink_to(moved)
    else:
        note.write_text("[1]" if what == "list" else "{")
        os.utime(note, (time.time() - 60,) * 2)
    leftover.remove_leftovers(Far())
    assert note.exists()


def test_in_flux_a_later_run_removes_it(in_flux, examples, private_tmp, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(private_tmp))
    done = in_flux(*JOBSPEC, "run", examples / "hello-world-jobspec.yaml")
    [stage] = private_tmp.glob("jobspec-*")
    assert f"jobspec: the stage is kept: {stage}" in done.stderr
    in_flux("flux", "queue", "drain")
    os.utime(stage / leftover.NOTE, (time.time() - 60,) * 2)
    file = private_tmp / "job.yaml"
    file.write_text("{version: 1, task: {command: ['true'], transform: [{step: submit, wait: true}]}}")
    assert in_flux(*JOBSPEC, "run", file).returncode == 0
    assert not stage.exists()


def test_an_interrupted_run_on_flux_says_where_its_stage_is(flux_uri, in_flux, tmp_path, private_tmp):
    file, mark = tmp_path / "job.yaml", tmp_path / "mark"
    command = f"[sh, -c, 'touch {mark}; sleep 60']"
    file.write_text(f"{{version: 1, task: {{command: {command}, transform: [{{step: submit, watch: true}}]}}}}")
    environment = {**os.environ, "FLUX_URI": flux_uri, "TMPDIR": str(private_tmp)}
    with subprocess.Popen([*JOBSPEC, "run", str(file)], env=environment, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 20
        while not mark.exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
    [stage] = private_tmp.glob("jobspec-*")
    assert f"jobspec: the stage is kept: {stage}" in said
    running = in_flux("flux", "jobs", "-n", "-o", "{id.f58}").stdout.split()
    assert f"jobspec: interrupted; jobs that go on: {' '.join(running)}" in said
    in_flux("flux", "cancel", "--all")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_does_not_cut_a_submission_in_two(number):
    class Slow(Local):
        name = "slow"

        def submit(self, launch):
            signal.raise_signal(number)
            return "77"

        def abandon(self, pending):
            return not pending

    def end(number, frame):
        raise SystemExit(128 + number)

    before = signal.signal(number, end)
    try:
        plan = runner.plan(document.load(ONE), Slow())
        with pytest.raises(SystemExit):
            runner.run(plan)
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
    assert plan.running == ("77",)
    assert Path(plan.left).is_dir()


def test_a_second_signal_does_not_wait():
    reached = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), whole():
            signal.raise_signal(signal.SIGINT)
            reached.append(1)
            signal.raise_signal(signal.SIGINT)
            reached.append(2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert reached == [1]


HOOKS = {
    "__init__": "def __init__(self): raise RuntimeError('no luck')",
    "why_not": "def why_not(self): raise RuntimeError('no luck')",
    "refuse": "def refuse(self, job): raise RuntimeError('no luck')",
    "notes": "def notes(self, job): raise RuntimeError('no luck')",
    "has": "def has(self, fact): raise RuntimeError('no luck')",
    "submit": "def submit(self, launch): raise RuntimeError('no luck')",
    "wait": "def wait(self, job, output): raise RuntimeError('no luck')",
    "settle": "def settle(self, pending): raise RuntimeError('no luck')",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_stranger_that_fails_is_named_in_one_line(tmp_path, hook):
    (tmp_path / "jobspec_stranger.py").write_text(
        "from jobspec.transformer.local import Transformer as Local\n"
        f"class Transformer(Local):\n    name = 'stranger'\n    {HOOKS[hook]}\n"
    )
    file = tmp_path / "job.yaml"
    file.write_text(
        "{version: 1, task: {command: ['true'], resources: {x: y}, transform: [{step: submit, wait: %s}]}}"
        % ("true" if hook == "wait" else "false")
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [*JOBSPEC, "run", "-t", "stranger", str(file)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "jobspec: the transformer stranger (jobspec_stranger) has failed: RuntimeError: no luck"
    assert "Traceback" not in done.stderr


def test_our_own_bugs_are_none_of_a_strangers(monkeypatch):
    monkeypatch.setattr(Local, "why_not", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runner.run(runner.plan(document.load(ONE), Local()))

    class Mine(Local):
        name = "mine"

    with pytest.raises(TransformerUnavailable, match="ZeroDivisionError"):
        runner.run(runner.plan(document.load(ONE), Mine()))
