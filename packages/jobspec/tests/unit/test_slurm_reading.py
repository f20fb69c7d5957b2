"""Which lines sbatch reads, how it splits them, and what it refuses: with the place."""

from __future__ import annotations

import pytest

from jobspec.errors import ScriptError
from jobspec.job import Array, Gpus, Gres, Mail, Memory, Nodes, Where
from jobspec.profile import DEFAULT, Profile
from jobspec.slurm.read import read as read_text


def reading(*lines, profile=DEFAULT):
    return read_text("#!/bin/bash\n" + "\n".join(lines) + "\nhostname\n", profile)


def read(*lines):
    [job] = reading(*lines).jobs
    return job


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
        ("#SBATCH -a 1-2\n#SBATCH hetjob\n#SBATCH -n 2", (2, 9), "can be no array"),
        ("#SBATCH --mem-per-gpu=1G -G1 --mem-per-cpu=1G", (2, 9), "exclude each other"),
        ("#SBATCH -N 3 -m plane=4", (2, 17), "too few tasks"),
        ("#SBATCH --clusters=a", (2, 9), "no cluster 'a'"),
        ("#SBATCH --umask=022", (2, 9), "no option --umask"),
        ("#SBATCH --image=x", (2, 9), "no option --image"),
        ("#SBATCH -d afterok:$X", (2, 12), "no dependency"),
        ("#SBATCH -C 'a b'", (2, 12), "no list of features"),
        ("#SBATCH --begin=4pm", (2, 9), "no time"),
        ("#SBATCH --mail-type=DONE", (2, 9), "names no event"),
        ("#SBATCH --signal=FOO", (2, 9), "SIGNAL[@SECONDS]"),
        ("#SBATCH -a 10-1", (2, 12), "no range of array indexes"),
        ("#SBATCH --time-min=2:0:0 -t 60", (2, 9), "more than --time"),
        ("#PBS script for x", (2, 6), "'script' is no option"),
        ("#PBS -l select=1:ncpus=4+2:ncpus=8", (2, 6), "--mincpus"),
        ("#PBS -l select=1:ncpus=8,walltime=1:00:00", (2, 6), "obeys '#PBS -l select=1:ncpus=8,walltime=1:00:00' too"),
        ("#PBS -l select=2,walltime=1:00:00", (2, 6), "'2,walltime=1' is not a valid node count"),
        ("#PBS -l naccelerators=2:host=x", (2, 6), "no positive whole number"),
        ("#BSUB -x\n#BSUB -cwd /tmp", (3, 12), "'/tmp' is no option"),
        ("#BSUB -R 'span[hosts=1]'", (2, 7), "no -R"),
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


def test_a_script_in_utf_16_is_told_so():
    with pytest.raises(ScriptError) as caught:
        read_text("#!/bin/sh\n".encode("utf-16").decode(errors="surrogateescape"), DEFAULT)
    assert "UTF-16" in caught.value.meant


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
        read_text(text, DEFAULT)
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
        ("#SBATCH -N 2-4 --ntasks-per-node=2", Nodes(2, 4), 4, 1),
        ("#SBATCH -N 2 --ntasks-per-gpu=2", Nodes(2, 2), 4, 1),
        ("#SBATCH --gpus=a100:2,v100:2 --ntasks-per-gpu=2", None, 8, 1),
        ("#SBATCH -N2 --hint=memory_bound", Nodes(2, 2), 2, 1),
        ("#SBATCH -B 2:4 -N2", Nodes(2, 2), 16, 1),
        ("#SBATCH -n 3\n#PBS -l nodes=2:ppn=4", Nodes(2, 2), 8, 1),
        ("#PBS -l nodes=2:ppn=4+3:ppn=2", Nodes(5, 5), 30, 1),
        ("#BSUB -n 4,8\n#PBS -l nodes=2", None, 8, 1),
        ("#PBS -l select=2:ncpus=4:mpiprocs=2:mem=8gb", Nodes(2, 2), 4, 2),
        ("#SBATCH -c 3\n#PBS -l select=2:ncpus=4:mpiprocs=8", Nodes(2, 2), 16, 3),
        ("#SBATCH -c 3\n#PBS -l walltime=5,select=2:mpiprocs=4:ncpus=9", Nodes(2, 2), 8, 2),
        ("#SBATCH -w n[1-3],n2 -c 2", Nodes(3, None), 3, 2),
        ("#SBATCH -N 2 --sockets-per-node=2 --cores-per-socket=4", Nodes(2, 2), 16, 1),
        ("#SBATCH --gpus=8 --gpus-per-node=4", Nodes(2, 2), 2, 1),
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
    assert job.gres == (Gres("lustre", "", 3),)
    assert job.licenses == (("matlab", 2), ("ansys", 1))
    assert job.walltime_s == 240
    assert job.exclusive
    assert job.where["memory"] == Where(2, 18)


@pytest.mark.parametrize(
    ("line", "held"),
    [
        ("1,2,3", Array("1-3", ((1, 3, 1),))),
        ("10-999:50%20", Array("10-960:50", ((10, 960, 50),), 20)),
        ("0,2,4", Array("0,2,4", ((0, 4, 2),))),
        ("[1-5]%2", Array("1-5", ((1, 5, 1),), 2)),
        ("1-9,%2", Array("0-9", ((0, 9, 1),), 2)),
        ("1-3%2,5%4", Array("1-3,5", ((1, 3, 1), (5, 5, 1)), 2)),
        ("0", Array("0", ((0, 0, 1),))),
    ],
)
def test_arrays_are_held_merged(line, held):
    assert read(f"#SBATCH --array={line}").array == held


@pytest.mark.parametrize(
    ("values", "types"),
    [
        (["ALL"], ("INVALID_DEPEND", "BEGIN", "END", "FAIL", "REQUEUE", "STAGE_OUT")),
        (["end,begin,FOO"], ("BEGIN", "END")),
        (["END", "BEGIN"], ("BEGIN", "END")),
        (["END", "NONE"], ("END",)),
        (["END,NONE"], ("NONE",)),
    ],
)
def test_mail_types_add_up(values, types):
    job = read(*(f"#SBATCH --mail-type={value}" for value in values))
    assert job.mail == Mail(None, types)


def test_each_option_is_a_directive_with_its_state():
    found = reading(
        "#SBATCH -n 4 -Hs",
        "#SBATCH -A",
        "#SBATCH --time=5 --wrap=x # a comment",
        "#SBATCH -n 8",
        "##SBATCH -n 1",
        " #SBATCH -n 2",
        "hostname",
        "#SBATCH -n 3",
        "#PBS -q long -j oe",
    )
    assert [(one.line, one.column, one.text, one.fields, one.state) for one in found.directives] == [
        (2, 9, "-n 4", ("tasks",), "overridden"),
        (2, 14, "-Hs", ("hold",), "obeyed"),
        (2, 16, "s", ("native",), "obeyed"),
        (3, 9, "-A --time=5", ("account",), "obeyed"),
        (4, 18, "--wrap=x", (), "inert"),
        (5, 9, "-n 8", ("tasks",), "obeyed"),
        (6, 1, "##SBATCH -n 1", (), "ignored"),
        (7, 2, "#SBATCH -n 2", (), "ignored"),
        (9, 1, "#SBATCH -n 3", (), "ignored"),
        (10, 6, "-q long", ("queue",), "obeyed"),
        (10, 14, "-j oe", (), "inert"),
    ]
    assert found.obeyed == {2, 3, 4, 5, 10}
    assert found.jobs[0].account == "--time=5"
    assert found.directives[0].why == "line 5 overrides it"


def test_accelerators_of_foreign_lines_are_added():
    found = reading("#SBATCH --gres=nic:1", "#PBS -l naccelerators=2")
    assert (found.jobs[0].gres, found.jobs[0].gpus) == ((Gres("nic", "", 1),), (Gpus(2, "node"),))
    assert [one.state for one in found.directives] == ["obeyed", "obeyed"]
    job = read("#SBATCH --gres=gpu:1", "#PBS -l nodes=1:gpus=2")
    assert job.gpus == (Gpus(2, "node"), Gpus(1, "node")), "those of a node are --gpus-per-node"


def test_what_sbatch_makes_of_the_order_of_foreign_words():
    assert read("#BSUB -q a", "#BSUB -cwd /tmp").workdir == "/tmp"
    assert read("#BSUB -x", "#BSUB -qa -cwd /tmp").workdir == "/tmp"
    assert read("#BSUB -c 60").workdir == "60"
    job = read("#PBS -l walltime=5,proc=a100,nodes=2,accelerator=true,mem=1gb")
    assert (job.walltime_s, job.constraint.text, job.nodes, job.gpus) == (300, "a100", None, (Gpus(1, "node"),))


def test_components_have_their_own_mail_besides_that_of_foreign_lines():
    found = reading("#SBATCH --mail-type=FAIL", "#SBATCH hetjob", "#SBATCH -n 2", "#PBS -m b")
    assert [job.mail.types for job in found.jobs] == [("BEGIN", "FAIL"), ("BEGIN",)]


def test_foreign_lines_are_left_alone_on_request():
    assert read("#SBATCH -n 2 --ignore-pbs", "#PBS -l nodes=4").nodes is None
    assert read("#SBATCH -n 2", *["echo"] * 99, "#PBS -l nodes=1").nodes == Nodes(1, 1)
    assert read("#SBATCH -n 2", *["echo"] * 101, "#PBS -l nodes=1").nodes is None


def test_burst_buffer_lines_are_the_jobs_and_stay():
    found = reading("#SBATCH --bb=x", "#BB create name=a", "#DW persistentdw name=b", "#DWARF", "hostname", "#BB no")
    assert found.jobs[0].burst_buffer == ("x", "#BB create name=a", "#DW persistentdw name=b")
    assert [(one.line, one.fields) for one in found.directives[1:]] == [(3, ("burst_buffer",)), (4, ("burst_buffer",))]
    assert found.obeyed == {2}


def test_components_of_a_heterogeneous_job():
    found = reading(
        "#SBATCH -N 2 -c 4 -t 10 --mem=1G -p big --gres=gpu:2",
        "#SBATCH hetjob -n 7",
        "#SBATCH -n 3 --mem=2G",
        "#SBATCH packjob",
    )
    first, second, third = found.jobs
    assert (first.nodes, first.cpus_per_task, first.queue, first.memory) == (
        Nodes(2, 2),
        4,
        "big",
        Memory(2**30, "node"),
    )
    assert (second.nodes, second.tasks, second.cpus_per_task, second.queue) == (None, 3, 1, None)
    assert (second.memory, second.walltime_s, second.gpus) == (Memory(2**31, "node"), 600, ())
    assert (third.tasks, third.memory, third.walltime_s) == (1, Memory(2**31, "node"), 600)


def test_what_a_site_allows():
    site = Profile(clusters=("a", "b"), options={"slurm": ("image",)})
    [job] = reading("#SBATCH -M a --image=docker:x", profile=site).jobs
    assert [(one.option, one.value) for one in job.native] == [("clusters", "a"), ("image", "docker:x")]
    with pytest.raises(ScriptError, match="no cluster 'c'"):
        reading("#SBATCH -M a,c", profile=site)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("#SBATCH --workdir=.", "did you mean --chdir?"),
        ("#SBATCH --cpu_per_task=4", "did you mean --cpus-per-task?"),
        ("#SBATCH --ntasks_per_node=4", "did you mean --ntasks-per-node?"),
        ("#SBATCH --mpi=pmix", "--mpi is an option of srun"),
        ("#SBATCH -nodes=2", "long options start with two dashes"),
        ("#SBATCH -N=2", "a short option takes its value without '=': -N 2"),
        ("#SBATCH \u2013nodes=2", "an en dash or its like stands where a hyphen should"),
        ("#SBATCH --mem=4GiB", "--mem=4G"),
        ("#SBATCH --mem=1.5G", "--mem=1536M"),
        ("#SBATCH --time=2h", "--time=2:00:00"),
        ("#SBATCH --nodes = 2", "no blanks may stand around '='"),
        ("#SBATCH --nodes={{ nodes }}", "a template: fill it in first"),
        ("#SBATCH -n $N", "a template: fill it in first"),
        ("#SBATCH -N <nodes>", "a template: fill it in first"),
        ("#SBATCH -N @@nodes@@", "a template: fill it in first"),
        ("#SBATCH -n 4 tasks", "a comment starts with '#'; a value with blanks needs quotes"),
        ("#PBS -X", "#SBATCH --ignore-pbs leaves these lines alone"),
    ],
)
def test_what_was_meant(line, meant):
    with pytest.raises(ScriptError) as caught:
        read(line)
    assert caught.value.meant == meant


@pytest.mark.parametrize(
    ("line", "message", "meant"),
    [
        ("#SBATCH --time=24:00", "--time=24:00 is 24 minutes", "--time=24:00:00"),
        ("#SBATCH --tasks=8", "--tasks=8 is --tasks-per-node=8", "--ntasks=8"),
        ("#SBATCH -J=foo", "job-name is '=foo'", "-J foo"),
        ("#SBATCH -A\n#SBATCH --time=5", "took that of line 3", ""),
        ("#SBATCH -o ~/out", "expands no variables", ""),
    ],
)
def test_traps_that_sbatch_takes_without_a_word(line, message, meant):
    [found] = reading(line).warnings
    assert message in found.message
    assert found.meant.startswith(meant)
