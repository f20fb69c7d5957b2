"""Which lines sbatch reads, how it splits them, and what it refuses: with the place."""

from __future__ import annotations

import pytest
from jobspec import slurm
from jobspec.errors import ScriptError
from jobspec.job import Gpus, Memory, Nodes, Where


def read(*lines, shebang="#!/bin/bash\n"):
    return slurm.read(shebang + "\n".join(lines) + "\nhostname\n")


@pytest.mark.parametrize(
    "line",
    [
        " #SBATCH -n 8",
        "# SBATCH -n 8",
        "##SBATCH -n 8",
        "#sbatch -n 8",
        "hostname\n#SBATCH -n 8",
        "set -e\n#SBATCH -n 8",
    ],
)
def test_lines_that_are_not_read(line):
    assert read(line).tasks == 1


@pytest.mark.parametrize(
    "line",
    [
        "#SBATCH -n 8",
        "#SBATCH -n8",
        "#SBATCH--ntasks=8",
        "#SBATCH\t--ntasks 8 # eight",
        "#SBATCH --ntasks=8#x'y",
        "\n  # a comment\n#SBATCH '-n' \"8\"",
        "#SBATCH -n 4\n#SBATCH -n 8",
        "#SBATCH -n\n#SBATCH 8",
        "#SBATCH -Hsn8",
        "#SBATCH -n 8 \\",
        "#SLURM -n 8",
        '#SBATCH -n 8 "" --bad',
        "#SBATCH -J a\\ -n 8",
    ],
)
def test_lines_that_are_read(line):
    assert read(line).tasks == 8


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("#SBATCH --nodes=2 two nodes", (2, 19), "'two' is no option"),
        ("#SBATCH -N 1 : -N 4", (2, 14), "unexpected ':'"),
        ("#SBATCH -J 'a", (2, 12), "unmatched '"),
        ("#SBATCH --gre=gpu:1", (2, 9), "--gres, --gres-flags"),
        ("#SBATCH --workdir=.", (2, 9), "no option --workdir"),
        ("#SBATCH -P x", (2, 9), "no option -P"),
        ("#SBATCH --requeue=yes", (2, 9), "takes no value"),
        ("#SBATCH -n 2 --nodes", (2, 14), "needs a value"),
        ("#SBATCH -N=2", (2, 9), "not a valid node count"),
        ("#SBATCH --nodes = 2", (2, 17), "not a valid node count"),
        ("#SBATCH --time=2h", (2, 9), "no time"),
        ("#SBATCH --mem=1.5G", (2, 9), "memory"),
        ("#SBATCH --mem=1G --mem-per-cpu=1G", (2, 18), "exclude each other"),
        ("#SBATCH -N 1 -w a,b,c", (2, 17), "3 hosts and --nodes allows 1"),
        ("#SBATCH --exclusive user", (2, 21), "'user' is no option"),
        ("#SBATCH hetjob", (2, 9), "heterogeneous"),
        ("#SBATCH --gpus-per-task=1 -N1 -c4", (2, 9), "--ntasks"),
        ("#SBATCH --gpus=3 --gpus-per-node=2", (2, 9), "no multiple"),
        ("#SBATCH --gpus=1 -N 2", (2, 9), "less than one GPU"),
        ("#SBATCH --gres=gpu:a100:x", (2, 9), "NAME[:TYPE][:COUNT]"),
        ("#SBATCH --gres=gpu:1,gpu:a100:1", (2, 9), "with and without a type"),
        ("#SBATCH --mem-per-gpu=1G", (2, 9), "without GPUs"),
        ("#SBATCH -nodes=2", (2, 9), "no positive whole number"),
    ],
)
def test_refusals_say_where(line, place, message):
    with pytest.raises(ScriptError) as caught:
        read(line)
    assert (caught.value.line, caught.value.column) == place
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1), "empty"),
        (" \n", (1, 1), "only blanks"),
        ("\n#!/bin/sh\n", (1, 1), "must start with '#!'"),
        ("\ufeff#!/bin/sh\n", (1, 1), "must start with '#!'"),
        ("#!/bin/sh\na\0\n", (2, 2), "NUL"),
        ("#!/bin/sh\nab\r\n", (2, 3), "DOS"),
    ],
)
def test_files_that_are_no_batch_scripts(text, place, message):
    with pytest.raises(ScriptError) as caught:
        slurm.read(text)
    assert (caught.value.line, caught.value.column) == place
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("line", "nodes", "tasks", "cpus"),
    [
        ("#SBATCH -N 2 --ntasks-per-node=4", Nodes(2, 2), 8, 1),
        ("#SBATCH --ntasks-per-node=4", None, 4, 1),
        ("#SBATCH --tasks=8 -N2", Nodes(2, 2), 16, 1),
        ("#SBATCH -N 4 -n 2", Nodes(2, 2), 2, 1),
        ("#SBATCH -N 2-8 -n 4", Nodes(2, 4), 4, 1),
        ("#SBATCH -N 2-4", Nodes(2, 4), 2, 1),
        ("#SBATCH -w n[1-3],n2 -c 2", Nodes(3, None), 3, 2),
        ("#SBATCH -N 2 --sockets-per-node=2 --cores-per-socket=4", Nodes(2, 2), 16, 1),
        ("#SBATCH --gpus=8 --gpus-per-node=4", Nodes(2, 2), 1, 1),
        ("#SBATCH --gpus=8 --gpus-per-task=2", None, 4, 1),
        ("#SBATCH -N2 --gpus-per-node=4 --ntasks-per-gpu=2", Nodes(2, 2), 16, 1),
        ("#SBATCH -n 4 --gpus-per-task=2 --cpus-per-gpu=8", None, 4, 16),
    ],
)
def test_derived_counts(line, nodes, tasks, cpus):
    job = read(line)
    assert (job.nodes, job.tasks, job.cpus_per_task) == (nodes, tasks, cpus)


def test_values_and_their_places():
    job = read(
        "#SBATCH -J 'a b' --mem=10K",
        "#SBATCH --gres=gpu:a100:2,lustre:3 -L matlab:2,ansys",
        "#SBATCH -t 4:00 --exclusive",
    )
    assert job.name == "a b"
    assert job.memory == Memory(2**20, "node")
    assert job.gpus == (Gpus(2, "node", "a100"),)
    assert job.licenses == (("matlab", 2), ("ansys", 1))
    assert job.walltime_s == 240
    assert job.exclusive
    assert job.where["memory"] == Where(2, 18)
    assert [(lost.what, lost.where.line) for lost in job.lost] == [
        ("--gres=gpu:a100:2,lustre:3", 3),
        ("--exclusive", 4),
    ]


def test_pbs_lines_beside_slurm_lines_are_named():
    [lost] = read("#SBATCH -n 2", "#PBS -l nodes=4").lost
    assert (lost.what, lost.where) == ("#PBS", Where(3, 1))
    assert read("#SBATCH -n 2 --ignore-pbs", "#PBS -l nodes=4").lost == ()
