"""What a directive of one system means in another: sizes, defaults, and what the report says of them."""

from __future__ import annotations

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.profile import Profile

SITE = Profile(parallel_environments={"mpi": "mpi", "smp": "smp"}, image="debian")


def said(source, target, options, profile=SITE):
    """(what was written, the fate and reason of each directive)."""
    prefix = {"slurm": "#SBATCH", "lsf": "#BSUB", "cobalt": "#COBALT"}.get(source, "#PBS")
    text = "#!/bin/sh\n" + "".join(f"{prefix} {one}\n" for one in options) + "hostname\n"
    reading = readers.read(text, source)
    assert reading.accepted, reading.errors
    made = convert(text, reading, target, profile)
    return made.files[0].text, {one.text: (one.fate, one.why) for one in made.entries}


def test_gpus_of_gres_are_told_of_as_gpus():
    text, told = said("slurm", "flux", ["-n 10", "--gres=gpu:1"])
    assert "--gpus-per-slot=1" in text
    fate, why = told["--gres=gpu:1"]
    assert fate == "approximate"
    assert "10 in all" in why
    _, told = said("slurm", "cobalt", ["--gres=gpu:a100:2,nic:1"])
    assert told["--gres=gpu:a100:2,nic:1"][0] == "dropped"
    reading = readers.read("#!/bin/sh\n#SBATCH --gres=gpu:2,nic\nx\n", "slurm")
    assert reading.directives[0].fields == ("gpus", "gres")
    assert set(reading.jobs[0].where) >= {"gpus", "gres"}


def test_what_differs_in_a_derived_size_is_told_with_what_it_follows_from():
    _, told = said("slurm", "kubernetes", ["-N 1", "--ntasks-per-node=32"])
    assert told["--ntasks-per-node=32"][0] == "approximate"
    assert "room for 32" in told["--ntasks-per-node=32"][1]
    _, told = said("slurm", "cobalt", [], Profile(cores_per_node=32))
    assert told["the script"][0] == "approximate"


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("pbspro", "#PBS -j oe"),
        ("torque", "#PBS -j oe"),
        ("gridengine", "#$ -j y"),
        ("oar", "#OAR -E all.out"),
        ("cobalt", "#COBALT -e all.out"),
    ],
)
@pytest.mark.parametrize(("source", "options"), [("slurm", ["-o all.out"]), ("lsf", ["-o all.out"])])
def test_errors_go_where_they_went(source, options, target, line):
    """sbatch(1) --output, bsub(1) -o: without a file of their own the errors are in the output's."""
    assert line in said(source, target, options)[0].split("\n")
    apart = said(source, target, [*options, "-e other"])[0]
    assert line not in apart.split("\n")
    for joining in ("slurm", "flux", "lsf"):
        assert "other" not in said(source, joining, options)[0]


def test_tasks_by_node_stay_on_their_nodes():
    options = ["--ntasks-per-node=48", "--mem=1G"]
    profile = Profile(cores_per_node=32, image="debian")
    assert "select=1:ncpus=48:mpiprocs=48:mem=1gb" in said("slurm", "pbspro", options, profile)[0]
    assert "nodes=1:ppn=48" in said("slurm", "torque", options, profile)[0]
    assert "#OAR -l /nodes=1/core=48" in said("slurm", "oar", options, profile)[0]
    assert "parallelism" not in said("slurm", "kubernetes", options, profile)[0]


def test_memory_of_a_process_of_many_cpus_is_not_multiplied():
    """Torque's pmem is of one processor of ppn, PBS Pro's of one process."""
    text, _ = said("pbspro", "torque", ["-l select=1:ncpus=40", "-l pmem=500gb"])
    assert "ppn=40" in text
    assert "-l mem=500gb" in text
    assert "pmem" not in text


def test_oar_counts_whole_tasks_on_each_node():
    text, told = said("slurm", "oar", ["-N 4", "-n 10", "-c 4"])
    assert "#OAR -l /nodes=4/core=12" in text
    assert told["-n 10"][0] == told["-c 4"][0] == "approximate"
    text, told = said("slurm", "oar", ["-N 2", "--ntasks-per-node=16", "--exclusive"])
    assert "#OAR -l /nodes=2\n" in text
    assert told["--ntasks-per-node=16"][0] == "approximate"


def test_a_node_of_its_own_has_all_its_cpus():
    text, _ = said("slurm", "kubernetes", ["-N 2", "--exclusive", "--mem=4G"])
    assert text.count('cpu: "1"') == 1  # requested; a limit would keep the job to it
    assert text.count('memory: "4Gi"') == 2
    assert said("slurm", "kubernetes", ["-N 2", "--mem=4G"])[0].count('cpu: "1"') == 2


def test_hosts_that_a_selection_of_lsf_leaves_out():
    select = "-R \"select[hname!='n1' && big && hname != n2] rusage[mem=1GB/host]\""
    text, told = said("lsf", "slurm", [select, "-R select[hname!=n3]"])
    assert "#SBATCH --exclude=n1,n2,n3\n" in text
    assert "#SBATCH --constraint=big\n" in text
    assert {fate for fate, _ in told.values()} == {"exact"}
    text, told = said("lsf", "slurm", ["-R \"select[hname!='n1' || big]\""])
    assert "exclude" not in text
    assert "dropped" in {fate for fate, _ in told.values()}


def test_hosts_of_a_list_come_back_from_oar():
    text, _ = said("slurm", "oar", ["-x n[1-3]"])
    reading = readers.read(text, "oar")
    assert reading.jobs[0].exclude_hosts == "n1,n2,n3"
    assert convert(text, reading, "oar").files[0].text == text
    long = "#!/bin/sh\n#OAR -p host in (" + "'a'         " * 3000 + "\nx\n"
    assert not any(job.hosts for job in readers.read(long, "oar").jobs)  # in linear time


def test_what_a_target_can_say_in_part_is_not_dropped():
    text, told = said("slurm", "oar", ["--array=1-4%2"])
    assert "#OAR --array 4" in text
    assert told["--array=1-4%2"][0] == "approximate"
    text, told = said("slurm", "cobalt", ["-d afterok:1:2,afterany:7"])
    assert "#COBALT --dependencies 1:2\n" in text
    assert told["-d afterok:1:2,afterany:7"] == (
        "approximate",
        "afterok only, not afterany: a job of Cobalt waits for success",
    )


@pytest.mark.parametrize("option", ["-A '<project@site>'", "-A all", "-C cpu"])
def test_nothing_is_written_that_grid_engine_refuses(option):
    text, told = said("slurm", "gridengine", [option])
    assert readers.read(text, "gridengine").accepted, text
    assert "dropped" in {fate for fate, _ in told.values()}


def test_a_task_larger_than_a_node_gets_nodes_for_all_its_cpus():
    text, told = said("pbspro", "cobalt", ["-l ncpus=192", "-l walltime=1:00:00"], Profile(cores_per_node=32))
    assert "#COBALT -n 6\n" in text
    assert told["-l ncpus=192"][0] == "approximate"
