"""Jobs in Grid Engine's words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobspec.errors import JobspecError
from jobspec.gridengine.read import read
from jobspec.gridengine.write import write
from jobspec.job import Array, Constraint, Dependency, Environment, Gpus, Job, Memory, Nodes, Signal
from jobspec.profile import DEFAULT, Profile
from jobspec.writing import Saying, Script

SITE = Profile(parallel_environments={"mpi": "orte", "smp": "threaded"})
SLURM = Job(system="slurm")


def said(job, profile=SITE, shebang="#!/bin/bash"):
    say = Saying(job, "gridengine", profile)
    files = write(say, Script(shebang, "hostname\n"))
    return [[line[3:] for line in file.text.split("\n") if line.startswith("#$ ")] for file in files], say.fates, files


def lines(job, profile=SITE):
    return said(job, profile)[0][0]


def test_a_script_starts_where_it_was_submitted_and_keeps_its_shell():
    assert lines(SLURM) == ["-cwd", "-S /bin/bash"]
    assert lines(Job(system="pbspro")) == ["-S /bin/bash"]


def test_more_than_a_slot_needs_a_parallel_environment():
    with pytest.raises(JobspecError, match=r"smp: NAME.*candidates: smp") as error:
        lines(replace(SLURM, cpus_per_task=8), DEFAULT)
    assert "8 slots on one host" in str(error.value)
    with pytest.raises(JobspecError, match=r"mpi: NAME.*candidates: threaded, mpi"):
        lines(replace(SLURM, tasks=8), Profile(parallel_environments={"smp": "threaded"}))


@pytest.mark.parametrize(
    ("job", "line"),
    [
        (replace(SLURM, cpus_per_task=8), "-pe threaded 8"),
        (replace(SLURM, tasks=8), "-pe orte 8"),
        (replace(SLURM, tasks=8, nodes=Nodes(1, 1)), "-pe threaded 8"),
        (replace(SLURM, tasks=8, nodes=Nodes(2, 2), tasks_per_node=4, cpus_per_task=2), "-pe orte 16"),
    ],
)
def test_slots(job, line):
    assert line in lines(job)


@pytest.mark.parametrize(
    ("job", "per", "text"),
    [
        (replace(SLURM, cpus_per_task=8, memory=Memory(1 << 33, "node")), None, "1G"),
        (replace(SLURM, cpus_per_task=8, memory=Memory(1 << 30, "cpu")), None, "1G"),
        (replace(SLURM, tasks=4, cpus_per_task=2, memory=Memory(1 << 30, "task")), None, "512M"),
        (replace(SLURM, tasks=4, nodes=Nodes(2, 2), memory=Memory(1 << 30, "node")), None, "512M"),
        (replace(SLURM, tasks=3, memory=Memory(1 << 30, "job")), None, "357913942"),
        (replace(SLURM, cpus_per_task=8, memory=Memory(1 << 33, "node")), "node", "8G"),
        (replace(SLURM, cpus_per_task=8, memory=Memory(1 << 30, "cpu")), "job", "8G"),
    ],
)
def test_memory_by_slot_or_as_the_profile_says(job, per, text):
    profile = replace(SITE, memory_per={"gridengine": per} if per else {})
    found, fates, _ = said(job, profile)
    assert f"-l h_vmem={text}" in found[0]
    assert ("ambiguous" in fates["memory"][1]) == (per is None)


def test_times_hosts_and_features():
    found, fates, _ = said(
        replace(
            SLURM, walltime_s=90061, hosts="n[1-2]", constraint=Constraint("a&b", ("a", "b")), signal=Signal("USR1", 61)
        ),
        replace(SITE, constraints={"a": "arch=lx*"}),
    )
    wanted = {"-l h_rt=25:01:01", "-l s_rt=25:00:00", "-l hostname=n1|n2", "-l arch=lx*", "-l b=true"}
    assert wanted <= set(found[0])
    assert (fates["walltime_s"][0], fates["hosts"][0], fates["signal"][0]) == ("exact", "approximate", "exact")


@pytest.mark.parametrize(
    ("ranges", "wanted", "shim"),
    [
        (((3, 3, 1),), [["-t 3"]], ""),
        (((3, 3, 1), (7, 7, 1)), [["-t 3-7:4"]], ""),
        (((1, 3, 1), (9, 9, 1)), [["-t 1-3"], ["-t 9"]], ""),
        (((0, 9, 3),), [["-t 1-10:3"]], "export SGE_TASK_ID=$((SGE_TASK_ID - 1))"),
    ],
)
def test_arrays_keep_their_indexes(ranges, wanted, shim):
    found, fates, files = said(replace(SLURM, array=Array("", ranges)))
    assert [[line for line in one if line.startswith("-t ")] for one in found] == wanted
    assert (shim in files[0].text) if shim else fates["array"][0] == ("exact" if len(files) == 1 else "approximate")


def test_an_array_beyond_the_largest_index():
    found, _, files = said(replace(SLURM, array=Array("", ((1, 2000, 1),))), replace(SITE, array_cap=1001))
    assert [one[-1] for one in found] == ["-t 1-1000", "-t 1-1000"]
    assert "SGE_TASK_ID + 1000" in files[1].text
    assert [file.suffix for file in files] == [".1.sge", ".2.sge"]


def test_what_a_directive_cannot_hold_is_dropped_whole():
    for field, value in (("output", 'a"b'), ("output", "a#b"), ("workdir", "/x\n#$ -N y"), ("error", "a,b")):
        found, fates, _ = said(replace(SLURM, **{field: value}))
        assert fates[field][0] == "dropped"
        assert set(found[0]) <= {"-cwd", "-S /bin/bash"}
    assert '-o "a b"' in lines(replace(SLURM, output="a b"))


def test_names_that_qmaster_takes():
    assert "-N J1_x" in lines(replace(SLURM, name="1 x"))
    assert "-N a_b" in lines(replace(SLURM, name="a/b"))


def test_gpus_dependencies_and_environment():
    found, fates, _ = said(
        replace(
            SLURM,
            nodes=Nodes(2, 2),
            tasks=2,
            gpus=(Gpus(2, "node", "a100"),),
            dependency=Dependency("afterok:5:6", (("afterok", ("5", "6")),)),
            environment=Environment("", False, ("A",), (("B", "x y"), ("C", "1,2"))),
        )
    )
    assert {"-l gpu=4", "-l gpu_type=a100", "-hold_jid 5,6", "-v A", '-v "B=x y"'} <= set(found[0])
    assert (fates["environment"][0], fates["dependency"][0], fates["gpus"][0]) == (
        "dropped", "approximate", "approximate",
    )  # fmt: skip


def test_a_range_of_slots_is_kept_for_itself():
    text = "#!/bin/sh\n#$ -pe mpi 2-4\n"
    found, _, _ = said(read(text, DEFAULT).jobs[0], DEFAULT)
    assert found == [["-pe mpi 2-4"]]
