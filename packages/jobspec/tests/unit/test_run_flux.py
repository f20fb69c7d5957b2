"""The Flux transformer: its command lines, and real instances of two brokers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from jobspec import document, runner
from jobspec.transformer import TRANSFORMERS, choose
from jobspec.transformer.flux import Transformer


def commands(text):
    result = runner.dry_run(runner.plan(document.load(text), Transformer()))
    return [list(action.argv) for step in result.steps for action in step.actions]


def test_command_lines():
    text = """
version: 1
resources:
  {type: node, count: 2, exclusive: true, with: [{type: slot, count: 2, with: [{type: core, count: 4}, {type: gpu}]}]}
task:
  name: n
  command: [echo, a b, $HOME]
  transform: [{step: submit, watch: true}, {step: submit, wait: true}, {step: submit}]
attributes: {system: {duration: 90, cwd: /tmp, environment: {A: b}}}
"""
    submit = ["flux", "submit", "-n4", "-c4", "-N2", "-g1", "--exclusive", "-t90s", "--job-name=n", "--cwd=/tmp", "--"]
    submit += ["echo", "a b", "$HOME"]
    attach, status = ["flux", "job", "attach", "JOBID"], ["flux", "job", "status", "JOBID"]
    assert commands(text) == [submit, attach, submit, status, submit]


def test_memory_is_not_lost_in_silence():
    text = (
        "{version: 1, resources: {type: slot, with: [{type: memory, count: 4, unit: GB}]}, task: {command: ['true']}}"
    )
    assert runner.plan(document.load(text), Transformer()).notes == [
        "the job asks for memory, which Flux can't be asked for"
    ]


def test_without_a_reachable_flux_it_is_local(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    transformer, why = choose()
    assert transformer.name == "local"
    assert why == "there is no flux command on the PATH"


def test_flux_asked_for_and_absent_is_one_line(jobspec, examples, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    result = jobspec("run", "-t", "flux", examples / "hello-world-jobspec.yaml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "jobspec: flux can't be used: there is no flux command on the PATH\n"


def test_flux_is_the_default_where_it_is_reachable(in_flux, flux_jobspec, examples):
    done = in_flux(*flux_jobspec, "run", examples / "hello-world-wait-jobspec.yaml")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("=>")] == ["write", "submit", "write", "submit"]
    assert all(line.split()[3].startswith(("ƒ", "f")) for line in lines if "submit" in line)
    assert any(line.startswith("hello world from") for line in lines)
    assert done.stderr == ""


def test_batch(in_flux, flux_jobspec, examples):
    done = in_flux(*flux_jobspec, "run", "--json", examples / "hello-world-batch.yaml")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]
    assert done.stderr.count("a task of the batch job") == 2


def test_a_failing_job_ends_the_run(in_flux, flux_jobspec, tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text("{version: 1, task: {command: ['false'], transform: [{step: submit, wait: true}, {step: submit}]}}")
    done = in_flux(*flux_jobspec, "run", file)
    assert done.returncode == 1
    [line] = done.stdout.splitlines()
    assert line.endswith("FAILED")
    assert "task.transform[0]: job ƒ" in done.stderr


@pytest.mark.parametrize(("how", "number", "code"), [("watch", signal.SIGTERM, 143), ("wait", signal.SIGINT, 130)])
def test_an_interrupted_run_leaves_its_job_alone_and_does_not_wait_for_it(
    flux_uri, in_flux, flux_jobspec, tmp_path, how, number, code
):
    file, mark = tmp_path / "job.yaml", tmp_path / "mark"
    command = f"['sh', '-c', 'trap exit TERM; touch {mark}; while :; do sleep 0.1; done']"
    file.write_text(f"{{version: 1, task: {{command: {command}, transform: [{{step: submit, {how}: true}}]}}}}")
    environment = {**os.environ, "FLUX_URI": flux_uri, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([*flux_jobspec, "run", str(file)], env=environment, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 20
        while not mark.exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(5) == code
        assert b"the stage is kept" in process.stderr.read()
    job = in_flux("flux", "job", "last").stdout.strip()
    time.sleep(1)  # a signal that was passed on would have ended it by then
    assert in_flux("flux", "jobs", "-no", "{state}", job).stdout.strip() == "RUN"
    in_flux("flux", "cancel", job)


def test_the_stage_stays_for_jobs_that_nobody_waited_for(in_flux, flux_jobspec, examples, private_tmp, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(private_tmp))
    done = in_flux(*flux_jobspec, "run", examples / "hello-world-jobspec.yaml")
    assert done.returncode == 0
    assert "jobspec: the stage is kept:" in done.stderr


def test_stage_reaches_the_other_brokers(in_flux, flux_jobspec, tmp_path):
    # Both brokers share this host's files: each extracts into the same place, over what is there.
    file = tmp_path / "job.yaml"
    file.write_text(
        "version: 1\nresources: {type: node, count: 2}\ntask:\n  scripts:\n    - name: job.sh\n"
        "      content: |\n        #!/bin/sh\n        echo rank $FLUX_TASK_RANK\n"
        "  transform:\n    - {step: write, filename: job.sh, executable: true}\n    - {step: stage, filename: job.sh}\n"
        "    - {step: submit, filename: job.sh, watch: true}\n"
    )
    done = in_flux(*flux_jobspec, "run", file)
    assert done.returncode == 0, done.stderr
    assert sorted(line for line in done.stdout.splitlines() if line.startswith("rank")) == ["rank 0", "rank 1"]
    assert "=> step stage OK" in done.stdout


@pytest.mark.parametrize("name", ["flux", "local"])
def test_both_have_the_steps_of_the_document(name):
    assert {"write", "set", "unset", "copy", "auth", "stage", "submit", "batch"} == TRANSFORMERS.load(name).steps.keys()
