"""Jobs as scripts for `hq submit`; there is no hq program to try them with, only its manual."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from jobspec.hyperqueue.write import write
from jobspec.job import Array, Environment, Gpus, Job, Memory, Nodes
from jobspec.profile import DEFAULT
from jobspec.writing import Saying, Script

SLURM = Job(system="slurm")


def said(job):
    say = Saying(job, "hyperqueue", DEFAULT)
    (file,) = write(say, Script("#!/bin/bash", "hostname\n"))
    assert file.suffix.endswith(".sh")  # or hq would not look for directives
    lines = file.text.split("\n")
    words = [word for line in lines if line.startswith("#HQ ") for word in shlex.split(line[4:])]
    return words, say.fates


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (SLURM, ["--cpus=1"]),
        (replace(SLURM, tasks=4, cpus_per_task=2, nodes=Nodes(1, 1)), ["--cpus=8"]),
        (replace(SLURM, nodes=Nodes(3, 3), tasks=3), ["--nodes=3"]),
        (replace(SLURM, exclusive=True), ["--cpus=all"]),
        (replace(SLURM, gpus=(Gpus(2, "job"),)), ["--cpus=1", "--resource", "gpus/nvidia=2"]),
        (replace(SLURM, cpus_per_task=2, memory=Memory(1 << 30, "cpu")), ["--cpus=2", "--resource", "mem=2048"]),
        (replace(SLURM, walltime_s=90), ["--cpus=1", "--time-limit=90s", "--time-request=90s"]),
        (replace(SLURM, walltime_s=90, walltime_min_s=30), ["--cpus=1", "--time-limit=90s", "--time-request=30s"]),
        (replace(SLURM, array=Array("", ((1, 5, 2), (9, 9, 1)))), ["--cpus=1", "--array=1-5:2,9"]),
        (replace(SLURM, output="o.%j.%a"), ["--cpus=1", "--stdout=o.%{JOB_ID}.%{TASK_ID}"]),
        (replace(SLURM, name="my job"), ["--name=my job", "--cpus=1"]),
        (replace(SLURM, environment=Environment("", False, (), (("A", "x y"),))), ["--cpus=1", "--env=A=x y"]),
        (replace(SLURM, requeue=False, priority="-3"), ["--priority=-3", "--crash-limit=1", "--cpus=1"]),
    ],
)
def test_fields(job, words):
    found, fates = said(job)
    assert found == words
    assert not any(fate == "dropped" for fate, _ in fates.values())


def test_what_a_directive_cannot_hold_is_dropped_whole():
    for field, value in (("name", 'a"b'), ("workdir", "/x\n#HQ --pin"), ("output", "a\\b")):
        found, fates = said(replace(SLURM, **{field: value}))
        assert (found, fates[field][0]) == (["--cpus=1"], "dropped")
