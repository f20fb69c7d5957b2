"""Jobs in OAR's words."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from jobspec.job import Array, Dependency, Environment, Gpus, Job, Mail, Nodes
from jobspec.oar.write import write
from jobspec.profile import DEFAULT
from jobspec.writing import Saying, Script

SLURM = Job(system="slurm")


def said(job, shebang="#!/bin/bash", body="hostname\n"):
    say = Saying(job, "oar", DEFAULT)
    (file,) = write(say, Script(shebang, body))
    return [line[5:] for line in file.text.split("\n") if line.startswith("#OAR ")], say.fates, file.text


@pytest.mark.parametrize(
    ("job", "line"),
    [
        (replace(SLURM, tasks=8), "/core=8"),
        (replace(SLURM, cpus_per_task=8), "/nodes=1/core=8"),
        (replace(SLURM, nodes=Nodes(2, 2), tasks=8, tasks_per_node=4, cpus_per_task=2), "/nodes=2/core=8"),
        (replace(SLURM, nodes=Nodes(2, 2), tasks=2, exclusive=True), "/nodes=2"),
        (replace(SLURM, gpus=(Gpus(2, "job"),)), "/gpu=2"),
        (replace(SLURM, nodes=Nodes(1, 1), cpus_per_task=8, gpus=(Gpus(2, "node"),)), "/nodes=1/gpu=2/core=4"),
        (replace(SLURM, nodes=Nodes(2, 2), tasks=4, gpus=(Gpus(1, "task"),)), "/nodes=2/gpu=2/core=1"),
        (replace(SLURM, tasks=8, walltime_s=3661), "/core=8,walltime=1:01:01"),
        (replace(SLURM, walltime_s=60), "walltime=0:01:00"),
    ],
)
def test_amounts(job, line):
    lines, fates, _ = said(job)
    assert lines == [f"-l {line}"]
    assert not any(fate == "dropped" for fate, _ in fates.values())


def test_uneven_amounts_are_a_superset():
    lines, fates, _ = said(replace(SLURM, nodes=Nodes(4, 4), tasks=10))
    assert lines == ["-l /nodes=4/core=3"]
    assert fates["tasks"][0] == "approximate"


@pytest.mark.parametrize(
    ("ranges", "count", "wanted"),
    [(((1, 4, 1),), 4, "1 2 3 4"), (((0, 6, 3),), 3, "0 3 6"), (((3, 3, 1), (7, 8, 1)), 3, "3 7 8")],
)
def test_arrays_keep_their_indexes(ranges, count, wanted):
    lines, _, text = said(replace(SLURM, array=Array("", ranges)), "#!/bin/sh", "echo $OAR_ARRAY_INDEX\n")
    assert f"--array {count}" in lines
    # What the body sees, for each job of OAR's count.
    found = [
        subprocess.run(
            ["sh"], input=text, env={"OAR_ARRAY_INDEX": str(index), "PATH": "/usr/bin:/bin"}, capture_output=True,
            text=True, check=True,
        ).stdout.strip()
        for index in range(1, count + 1)
    ]  # fmt: skip
    assert " ".join(found) == wanted


def test_environment_stands_at_the_top():
    environment = Environment("", False, (), (("A", "x 'y' $z"),))
    _, fates, text = said(replace(SLURM, environment=environment), "#!/bin/sh", 'echo "$A"\n')
    ran = subprocess.run(["sh"], input=text, capture_output=True, text=True, check=True)
    assert (ran.stdout, fates["environment"][0]) == ("x 'y' $z\n", "approximate")
    assert said(replace(SLURM, environment=environment), "#!/usr/bin/python3")[1]["environment"][0] == "dropped"


def test_mail_dependencies_files_and_hosts():
    lines, fates, _ = said(
        replace(
            SLURM,
            mail=Mail("me@example.org", ("BEGIN", "TIME_LIMIT_80")),
            dependency=Dependency("", (("afterany", ("5",)),)),
            output="%x.%j",
            join=True,
            hosts="n[1-2]",
            name="it's",
        )
    )
    assert lines == [
        "-n it_s",
        "-p network_address in ('n1', 'n2')",
        "-a 5",
        "-O %jobname%.%jobid%",
        "-E %jobname%.%jobid%",
        "--notify [RUNNING]mail:me@example.org",
    ]
    assert {fates[field][0] for field in ("mail", "dependency", "hosts", "name")} == {"approximate"}


def test_what_a_directive_cannot_hold_is_dropped_whole():
    for field, value in (("output", "a;b"), ("workdir", "/x\n#OAR -n y"), ("queue", "a b")):
        lines, fates, _ = said(replace(SLURM, **{field: value}))
        assert (lines, fates[field][0]) == ([], "dropped")
