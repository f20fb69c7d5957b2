"""The Grid Engine transformer on a real cell of this host, of its own and on its own ports."""

from __future__ import annotations

import subprocess
import sys

import pytest

JOBSPEC = (sys.executable, "-c", "from jobspec.cli import main; main(prog_name='jobspec')")


@pytest.fixture
def run(cell, tmp_path):
    (tmp_path / "profile.yaml").write_text("parallel_environments: {smp: smp}\n")

    def call(text, *options, **extra):
        (tmp_path / "job.yaml").write_text(text)
        command = [*JOBSPEC, "run", "-t", "gridengine", *options, "job.yaml"]
        environ = {**cell, **extra}
        return subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    return call


def test_tasks_and_what_they_get(run, tmp_path):
    text = """
version: 1
resources: {type: slot, count: 2, with: [{type: core}]}
task:
  name: 2nd
  command: [sh, -c, 'echo "$JOBSPEC_TASK_RANK $A $1 $PBS_JOBID $PWD"', sh, "$HOME; it's"]
  transform: [{step: submit, watch: true}]
attributes: {system: {environment: {A: "x y"}, duration: 60}}
"""
    done = run(text, "--profile", "profile.yaml", PBS_JOBID="7")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("=>")]
    assert sorted(lines) == [f"{rank} x y $HOME; it's  {tmp_path}" for rank in (0, 1)]


def test_several_slots_without_a_parallel_environment(run):
    done = run("{version: 1, resources: {type: core, count: 2}, task: {command: ['true']}}")
    assert done.returncode == 1
    assert "qconf knows: make, smp" in done.stderr or "qconf knows: smp" in done.stderr


def test_a_failing_job(run):
    done = run("{version: 1, task: {command: [sh, -c, 'exit 7'], transform: [{step: submit, wait: true}]}}")
    assert done.returncode == 1
    assert "ended with exit code 7" in done.stderr
