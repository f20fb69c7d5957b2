"""What the writers of PBS Pro and Torque make of a neutral job, and what they say of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.job import (
    Array,
    Begin,
    Constraint,
    Dependency,
    Environment,
    Gpus,
    Gres,
    Job,
    Mail,
    Memory,
    Native,
    Nodes,
    Signal,
)
from jobspec.pbs import write_pro, write_torque
from jobspec.profile import Profile
from jobspec.writing import FIELDS, Saying, Script

WRITE = {"pbspro": write_pro.write, "torque": write_torque.write}
GIB = 1 << 30
SCRIPT = Script("#!/bin/bash", "srun x\n")


def said(target="pbspro", profile=None, script=SCRIPT, components=(), **fields):
    job = components[0] if components else Job(system="slurm", **fields)
    say = Saying(job, target, profile or Profile(), components=components)
    return say, WRITE[target](say, script)


def lines(*arguments, **fields):
    _, files = said(*arguments, **fields)
    assert len(files) == 1
    return [line.removeprefix("#PBS ") for line in files[0].text.split("\n") if line.startswith("#PBS")]


def shape(**fields):
    return [line for line in lines(**fields) if line.startswith(("-l select", "-l place", "-l nodes", "-l procs"))]


# PBS Pro's select: the arithmetic


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tasks": 10, "cpus_per_task": 2}, ["-l select=10:ncpus=2:ompthreads=2"]),
        (
            {"nodes": Nodes(2, 2), "tasks": 8, "tasks_per_node": 4},
            ["-l select=2:ncpus=4:mpiprocs=4", "-l place=scatter"],
        ),
        (
            {"nodes": Nodes(4, 4), "tasks": 10, "cpus_per_task": 3},
            [
                "-l select=2:ncpus=9:mpiprocs=3:ompthreads=3+2:ncpus=6:mpiprocs=2:ompthreads=3",
                "-l place=scatter",
            ],
        ),
        (
            {"tasks": 10, "tasks_per_node": 4},
            ["-l select=1:ncpus=4:mpiprocs=4+2:ncpus=3:mpiprocs=3", "-l place=scatter"],
        ),
        ({"nodes": Nodes(1, 1), "exclusive": True}, ["-l select=1:ncpus=1", "-l place=excl"]),
        (
            {"nodes": Nodes(2, 2), "tasks": 2, "exclusive": True},
            ["-l select=2:ncpus=1", "-l place=scatter:excl"],
        ),
        ({"gpus": (Gpus(2, "task"),), "tasks": 3}, ["-l select=3:ncpus=1:ngpus=2"]),
        (
            {"gpus": (Gpus(5, "job"),), "tasks": 4, "nodes": Nodes(2, 2)},
            ["-l select=1:ncpus=2:mpiprocs=2:ngpus=3+1:ncpus=2:mpiprocs=2:ngpus=2", "-l place=scatter"],
        ),
        ({"memory": Memory(GIB, "cpu"), "cpus_per_task": 4}, ["-l select=1:ncpus=4:ompthreads=4:mem=4gb"]),
        (
            {"memory": Memory(GIB, "task"), "nodes": Nodes(1, 1), "tasks": 3},
            ["-l select=1:ncpus=3:mpiprocs=3:mem=3gb"],
        ),
        (
            {"memory": Memory(GIB, "gpu"), "gpus": (Gpus(2, "node"),), "nodes": Nodes(1, 1)},
            ["-l select=1:ncpus=1:ngpus=2:mem=2gb"],
        ),
        (
            {"memory": Memory(6 * GIB, "job"), "nodes": Nodes(2, 2), "tasks": 2},
            ["-l select=2:ncpus=1:mem=3gb", "-l place=scatter"],
        ),
        (
            {"nodes": Nodes(3, 3), "tasks": 3, "hosts": "n[1-2]"},
            ["-l select=1:ncpus=1:host=n1+1:ncpus=1:host=n2+1:ncpus=1", "-l place=scatter"],
        ),
        ({"nodes": Nodes(1, 1), "constraint": Constraint("a&b", ("a", "b"))}, ["-l select=1:ncpus=1:a=true:b=true"]),
        ({}, []),
    ],
)
def test_select(fields, expected):
    assert shape(**fields) == expected


def test_a_select_asks_for_what_the_job_asks_for():
    """Read again, by the server's rules: the same tasks, CPUs, GPUs and memory in all."""
    for nodes in (1, 3, 4, 7):
        for tasks in (1, 7, 8, 13):
            if tasks < nodes:
                continue
            for gpus in (0, 5):
                job = Job("slurm", nodes=Nodes(nodes, nodes), tasks=tasks, cpus_per_task=2, memory=Memory(GIB, "cpu"))
                job = replace(job, gpus=(Gpus(gpus, "job"),) if gpus else ())
                _, files = said(components=(job,))
                found = readers.read(files[0].text, "pbspro").jobs
                assert sum(one.nodes.least for one in found) == nodes
                assert sum(one.tasks for one in found) == tasks
                assert {one.cpus_per_task for one in found} == {2}
                assert sum(one.nodes.least * sum(gpu.count for gpu in one.gpus) for one in found) == gpus
                assert sum(one.nodes.least * one.memory.bytes for one in found) == tasks * 2 * GIB


def test_components_are_joined():
    jobs = (Job("slurm", nodes=Nodes(1, 1), cpus_per_task=4), Job("slurm", nodes=Nodes(2, 2), tasks=4))
    assert shape(components=jobs) == ["-l select=1:ncpus=4:ompthreads=4+2:ncpus=2:mpiprocs=2", "-l place=scatter"]
    assert shape(target="torque", components=jobs) == ["-l nodes=1:ppn=4+2:ppn=2"]


def test_approximations_say_what_differs():
    say, _ = said(nodes=Nodes(2, 4), tasks=2)
    assert say.fates["nodes"] == ("approximate", "from 2 to 4 nodes: the least is asked for")
    say, _ = said(tasks=4, gpus=(Gpus(1, "node"),))
    assert "no number of nodes" in say.fates["gpus"][1]
    say, files = said(tasks=8, gpus=(Gpus(1, "node"),), profile=Profile(cores_per_node=4))
    assert "select=2:ncpus=4:mpiprocs=4:ngpus=1" in files[0].text
    say, _ = said(memory=Memory(0, "node"))
    assert say.fates["memory"][0] == "dropped"
    assert "mem=64gb" in said(memory=Memory(0, "node"), profile=Profile(memory_per_node=64 * GIB))[1][0].text
    say, _ = said(gpus=(Gpus(1, "job", "a100"),))
    assert say.fates["gpus"][0] == "approximate"
    say, files = said(gpus=(Gpus(1, "job", "a100"),), profile=Profile(gpu_types={"a100": "model=a100"}))
    assert "ngpus=1:model=a100" in files[0].text
    assert say.fates["gpus"] == ("exact", "")


# Torque


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tasks": 10}, ["-l procs=10"]),
        ({"cpus_per_task": 4}, ["-l nodes=1:ppn=4"]),
        ({"nodes": Nodes(2, 2), "tasks": 8, "gpus": (Gpus(1, "node"),)}, ["-l nodes=2:ppn=4:gpus=1"]),
        ({"nodes": Nodes(2, 2), "tasks": 5}, ["-l nodes=1:ppn=3+1:ppn=2"]),
        ({"nodes": Nodes(1, 1), "tasks": 2, "constraint": Constraint("a&b", ("a", "b"))}, ["-l nodes=1:ppn=2:a:b"]),
        ({"nodes": Nodes(2, 2), "tasks": 2, "hosts": "n1,n2"}, ["-l nodes=n1:ppn=1+n2:ppn=1"]),
    ],
)
def test_nodes(fields, expected):
    assert shape(target="torque", **fields) == expected


def test_memory_of_torque():
    def of(per, **fields):
        return [line for line in lines(target="torque", memory=Memory(GIB, per), **fields) if "mem=" in line]

    two = {"nodes": Nodes(2, 2), "tasks": 4}
    assert of("job", **two) == ["-l mem=1gb"]
    assert of("node", **two) == ["-l mem=2gb"]
    assert of("task", **two) == ["-l pmem=1gb"]
    assert of("cpu", **two) == ["-l pmem=1gb"]
    assert of("task", cpus_per_task=2, **two) == ["-l mem=4gb"]
    assert of("gpu", gpus=(Gpus(3, "node"),), **two) == ["-l mem=6gb"]


# arrays


def arrays(target, text, ranges, throttle=None, cap=None, **fields):
    say, files = said(target, Profile(array_cap=cap), array=Array(text, ranges, throttle), **fields)
    return say, files


def indexes(files, target):
    """The indexes of all files, as a shell in the job finds them."""
    found = []
    variable = "PBS_ARRAY_INDEX" if target == "pbspro" else "PBS_ARRAYID"
    for file in files:
        job = readers.read(file.text, target).jobs[0]
        offset = 0
        for line in file.text.split("\n"):
            if line.startswith(f"export {variable}="):
                offset = int(line.rpartition(" + ")[2].rstrip(")"))
        if job.array:
            ranges = job.array.ranges
        else:
            index = int(dict(job.environment.values)[variable])
            ranges = ((index, index, 1),)
        found += [index + offset for first, last, step in ranges for index in range(first, last + 1, step)]
    return found


@pytest.mark.parametrize("target", ["pbspro", "torque"])
@pytest.mark.parametrize("cap", [None, 11, 1001])
@pytest.mark.parametrize(
    ("text", "ranges", "expected"),
    [
        ("0", ((0, 0, 1),), [0]),
        ("1-1", ((1, 1, 1),), [1]),
        ("3,7", ((3, 3, 1), (7, 7, 1)), [3, 7]),
        ("1-2000", ((1, 2000, 1),), list(range(1, 2001))),
        ("0-100:7,3", ((0, 100, 7), (3, 3, 1)), sorted([*range(0, 101, 7), 3])),
        ("1,2,5,9-12", ((1, 1, 1), (2, 2, 1), (5, 5, 1), (9, 12, 1)), [1, 2, 5, 9, 10, 11, 12]),
        ("995-1010:5", ((995, 1010, 5),), [995, 1000, 1005, 1010]),
    ],
)
def test_the_exact_set_of_indexes(target, cap, text, ranges, expected):
    _, files = arrays(target, text, ranges, cap=cap)
    found = indexes(files, target)
    assert sorted(found) == expected
    if cap:
        for file in files:
            array = readers.read(file.text, target).jobs[0].array
            assert not array or max(last for _, last, _ in array.ranges) < cap


def test_an_array_of_one():
    say, files = arrays(
        "pbspro", "5", ((5, 5, 1),), output="o.%a", environment=Environment("A=1", False, (), (("A", "1"),))
    )
    assert "#PBS -v A=1,PBS_ARRAY_INDEX=5\n" in files[0].text
    assert "#PBS -o o.5\n" in files[0].text
    assert say.fates["array"][0] == "approximate"
    assert [file.suffix for file in arrays("pbspro", "1,5-6", ((1, 1, 1), (5, 6, 1)))[1]] == [".1.pbs", ".2.pbs"]


def test_an_array_of_too_many_files():
    with pytest.raises(JobspecError, match="files"):
        arrays("pbspro", "", ((0, 10**8, 1),), cap=11)
    with pytest.raises(JobspecError, match="too many indexes"):
        arrays("torque", "", ((0, 10**9, 2),))


def test_an_index_that_no_shell_could_shift():
    say, _ = said("pbspro", Profile(array_cap=10), Script("#!/usr/bin/python3", ""), array=Array("9-12", ((9, 12, 1),)))
    assert say.fates["array"][0] == "dropped"


# the others


def test_texts():
    text = "\n".join(
        lines(
            name="a b",
            account="x y",
            hold=True,
            requeue=False,
            begin=Begin("", at="2024-01-02T03:04:05"),
            dependency=Dependency("", (("afterok", ("1", "2_3")), ("afterany", ("4",)))),
            environment=Environment("", True, ("B",), (("A", "1,2"),)),
            walltime_s=90061,
            mail=Mail("a@b", ("BEGIN", "END", "FAIL")),
            output="x:y",
        )
    )
    assert text == "\n".join(
        [
            "-N a_b",
            '-A "x y"',
            "-h",
            "-r n",
            "-m abe",
            "-M a@b",
            "-a 202401020304.05",
            "-W depend=afterok:1:2[3],afterany:4",
            "-o ./x:y",
            "-V",
            "-v \"B,A='1,2'\"",
            "-l walltime=25:01:01",
        ]
    )


def test_names_fit():
    assert lines(name="é" * 300) == ["-N " + "_" * 236]
    assert lines(name="1a", target="torque") == ["-N J1a"]
    say, _ = said(name="a/b")
    assert say.fates["name"] == ("approximate", "PBS Pro allows no such name: it becomes 'a_b'")


def test_output_stays_one_file_for_each_job():
    assert lines(output="logs/%x-%j.out", name="a") == ["-N a", "-o logs/"]
    assert lines(output="slurm-%j.out") == []
    assert lines(output="%x.out", name="a") == ["-N a", "-o a.out"]
    assert lines(output="%x-%j.out", target="torque") == ["-o ${PBS_JOBNAME}-${PBS_JOBID}.out"]


def test_times_from_now_are_not_said():
    say, _ = said(begin=Begin("now+1hour", offset_s=3600))
    assert say.fates["begin"][0] == "dropped"
    assert "+3600 sec" in say.fates["begin"][1]
    assert lines(begin=Begin("16:00")) == ["-a 1600"]


def test_working_directory():
    _, files = said(workdir="/a b")
    assert files[0].text == "#!/bin/bash\ncd '/a b' || exit 1\nsrun x\n"
    assert lines(workdir="/a b", target="torque") == ['-d "/a b"']
    say, _ = said(workdir="/a", script=Script("#!/usr/bin/perl", ""))
    assert say.fates["workdir"][0] == "dropped"


@pytest.mark.parametrize("value", ["a\nb", "a\x00b", "'\"", ""])
def test_nothing_gets_out_of_its_directive(value):
    for target in WRITE:
        say, files = said(target, account=value, queue=value, qos=value, reservation=value, shell=value)
        assert "b" not in files[0].text.replace("bin/bash", "").replace("PBS", "")
        assert say.fates["account"][0] == "dropped" or not value


def test_every_field_is_accounted_for():
    job = Job(
        system="slurm",
        name="a",
        account="a",
        qos="a",
        queue="a",
        reservation="a",
        comment="a",
        nodes=Nodes(2, 2),
        tasks=4,
        tasks_per_node=2,
        cpus_per_task=2,
        threads_per_core=1,
        gpus=(Gpus(1, "node"),),
        gres=(Gres("a", "b", 1),),
        memory=Memory(GIB, "node"),
        disk_per_node=1,
        licenses=(("a", 1),),
        exclusive=True,
        burst_buffer=("a",),
        walltime_s=60,
        walltime_min_s=30,
        begin=Begin("x"),
        deadline="a",
        array=Array("1-3", ((1, 3, 1),)),
        dependency=Dependency("a", (("singleton", ()),)),
        priority="1",
        hold=True,
        requeue=True,
        constraint=Constraint("a", ("a",)),
        hosts="a",
        exclude_hosts="b",
        placement="a",
        workdir="/a",
        input="a",
        output="a",
        error="b",
        join=True,
        open_mode="append",
        environment=Environment("ALL", True),
        shell="/bin/sh",
        mail=Mail("a", ("END",)),
        signal=Signal("USR1", 60),
        native=(Native("a", "b"),),
    )
    for target, write in WRITE.items():
        say = Saying(job, target)
        write(say, SCRIPT)
        assert {field for field in FIELDS if say.asked(field)} == set(FIELDS)
        assert not set(FIELDS) - set(say.fates), target
        for fate, why in say.fates.values():
            assert bool(why) == (fate != "exact")


# between the dialects


def converted(text, source, target):
    reading = readers.read(text, source)
    assert reading.accepted, reading.errors
    return convert(text, reading, target)


def test_from_torque_to_pbs_pro():
    text = "#!/bin/sh\n#PBS -l nodes=2:ppn=4:big,pmem=1gb,cput=9 -W umask=18 -l qos=a -t 1-3\nx\n"
    found = converted(text, "torque", "pbspro")
    assert "-l select=2:ncpus=4:mpiprocs=4:mem=4gb:big=true\n" in found.files[0].text
    assert "-W umask=022\n" in found.files[0].text
    assert "-J 1-3\n" in found.files[0].text
    fates = {entry.text: entry.fate for entry in found.entries}
    assert fates["-l cput=9"] == "exact"
    assert fates["-W umask=18"] == "exact"
    assert fates["-l qos=a"] == "dropped"
    assert [entry.text for entry in found.lost()] == ["-l qos=a"]


def test_from_pbs_pro_to_torque():
    text = "#!/bin/sh\n#PBS -l select=2:ncpus=4:mpiprocs=4:pcmem=1gb -W umask=22 -l place=scatter:excl\nx\n"
    found = converted(text, "pbspro", "torque")
    assert "-l nodes=2:ppn=4\n" in found.files[0].text
    assert "-W umask=022\n" in found.files[0].text
    assert {entry.text: entry.fate for entry in found.entries}["pcmem=1gb"] == "dropped"
    text = "#!/bin/sh\n#PBS -l select=2:ncpus=4:mpiprocs=4\nx\n"
    (entry,) = converted(text, "pbspro", "torque").entries
    assert (entry.fate, "may share a host" in entry.why) == ("approximate", True)
    assert converted(text, "pbspro", "pbspro").entries[0].fate == "exact"
