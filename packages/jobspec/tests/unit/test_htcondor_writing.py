"""Jobs as submit descriptions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobspec.htcondor.write import write
from jobspec.job import Array, Begin, Constraint, Environment, Gpus, Job, Mail, Memory, Nodes
from jobspec.profile import DEFAULT
from jobspec.writing import Saying, Script

SLURM = Job(system="slurm")


def said(job, file="dir/train.sh"):
    say = Saying(job, "htcondor", DEFAULT, file=file)
    description, script = write(say, Script("#!/bin/bash", "hostname\n"))
    assert (description.suffix, script.suffix) == (".sub", ".sh")
    assert script.text == "#!/bin/bash\nhostname\n"
    return description.text.splitlines(), say.fates


def test_the_least():
    assert said(SLURM)[0] == [
        "universe = vanilla", "executable = train.sh", "request_cpus = 1", "log = $(Cluster).log", "queue",
    ]  # fmt: skip
    assert "executable = job.sh" in said(SLURM, "-")[0] or "executable = -.sh" in said(SLURM, "-")[0]


@pytest.mark.parametrize(
    ("job", "lines"),
    [
        (replace(SLURM, tasks=4, cpus_per_task=2, memory=Memory(1 << 30, "cpu")), ["request_memory = 8192"]),
        (replace(SLURM, memory=Memory((1 << 20) + 1, "node")), ["request_memory = 2"]),
        (replace(SLURM, disk_per_node=1 << 30), ["request_disk = 1048576"]),
        (replace(SLURM, walltime_s=3600), ["allowed_job_duration = 3600"]),
        (
            replace(SLURM, nodes=Nodes(2, 2), tasks=8, gpus=(Gpus(4, "job", "a100"),)),
            ["universe = parallel", "machine_count = 2", "request_cpus = 4", "request_gpus = 2"],
        ),
        (replace(SLURM, array=Array("", ((3, 3, 1), (7, 8, 1)), 2)), ["queue Item in (3 7 8)", "max_materialize = 2"]),
        (
            replace(SLURM, array=Array("0-1", ((0, 1, 1),)), output="o.%A.%a"),
            ["output = o.$(Cluster).$(Item)", 'environment = "JOBSPEC_ARRAY_INDEX=$(Item)"'],
        ),
        (
            replace(SLURM, environment=Environment("", True, (), (("A", "it's \"b\""),))),
            ["getenv = True", "environment = \"A='it''s \"\"b\"\"'\""],
        ),
        (replace(SLURM, mail=Mail("me@x.org", ("FAIL",))), ["notification = Error", "notify_user = me@x.org"]),
        (
            replace(SLURM, hosts="n[1-2]", constraint=Constraint("HasAVX", ("HasAVX",))),
            ['requirements = (Machine == "n1" || Machine == "n2") && (HasAVX)'],
        ),
        (replace(SLURM, begin=Begin("now+60", offset_s=60)), ["deferral_time = (CurrentTime + 60)"]),
    ],
)  # fmt: skip
def test_fields(job, lines):
    assert set(lines) <= set(said(job)[0])


def test_no_value_becomes_a_macro_or_a_line():
    for field, value in (("output", "$(Arch)"), ("workdir", "/x\nqueue 5"), ("error", "a\\")):
        lines, fates = said(replace(SLURM, **{field: value}))
        assert fates[field][0] == "dropped"
        assert not any("Arch" in line or "queue 5" in line or line.endswith("\\") for line in lines)
