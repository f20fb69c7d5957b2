"""Jobs of other systems in sbatch's words, and what is said of each field."""

from __future__ import annotations

import pytest

from jobspec.job import (
    UNLIMITED,
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
    Where,
)
from jobspec.profile import DEFAULT, Profile
from jobspec.report import APPROXIMATE, DROPPED, EXACT
from jobspec.slurm.read import read
from jobspec.slurm.write import write
from jobspec.writing import FIELDS, Saying, Script

GB = 2**30
GRES_ONLY = Profile(gpus_as="gres")
HERE = Where(1, 1)


def said(job, profile=DEFAULT, body="hostname\n", shebang="#!/bin/sh"):
    """The directives without their prefix, the saying, and the first file."""
    say = Saying(job, "slurm", profile)
    files = write(say, Script(shebang, body))
    say.finish()
    lines = [line.removeprefix("#SBATCH --") for line in files[0].text.split("\n") if line.startswith("#SBATCH ")]
    if body.startswith("hostname"):
        assert files[0].head == 1 + len(lines)
    assert read(files[0].text, DEFAULT).accepted
    return lines, say, files


@pytest.mark.parametrize(
    ("job", "lines"),
    [
        (Job(system="pbspro"), []),
        (Job(name="a b#c"), ['job-name="a b#c"']),
        (Job(name='q"\\'), ['job-name="q\\"\\\\"']),
        (Job(nodes=Nodes(2, 2), tasks=8, tasks_per_node=4), ["nodes=2", "ntasks-per-node=4"]),
        (Job(nodes=Nodes(4, 4), tasks=10), ["nodes=4", "ntasks=10"]),
        (Job(nodes=Nodes(2, 4), tasks=4), ["nodes=2-4", "ntasks=4"]),
        (Job(tasks=3, cpus_per_task=2), ["ntasks=3", "cpus-per-task=2"]),
        (Job(gpus=(Gpus(4, "node"),)), ["gpus-per-node=4"]),
        (Job(gpus=(Gpus(4, "node", "a100"),), gres=(Gres("nic", "", 1),)), ["gres=gpu:a100:4,nic:1"]),
        (Job(tasks=2, gpus=(Gpus(1, "task"),)), ["ntasks=2", "gpus-per-task=1"]),
        (Job(gpus=(Gpus(1, "job", "a"), Gpus(2, "job", "b"))), ["gpus=a:1,b:2"]),
        (Job(memory=Memory(4 * GB, "node")), ["mem=4G"]),
        (Job(memory=Memory(0, "node")), ["mem=0"]),
        (Job(memory=Memory(4 * GB, "task"), cpus_per_task=2), ["cpus-per-task=2", "mem-per-cpu=2G"]),
        (Job(memory=Memory(GB, "slot"), tasks=4), ["ntasks=4", "mem-per-cpu=1G"]),
        (Job(memory=Memory(8 * GB, "job"), nodes=Nodes(2, 2), tasks=2), ["nodes=2", "mem=4G"]),
        (Job(disk_per_node=10 * GB), ["tmp=10G"]),
        (Job(licenses=(("m", 2), ("n", 1))), ["licenses=m:2,n"]),
        (Job(exclusive=True, hold=True, requeue=False), ["exclusive", "hold", "no-requeue"]),
        (Job(walltime_s=90060), ["time=1-01:01:00"]),
        (Job(walltime_s=UNLIMITED), ["time=UNLIMITED"]),
        (Job(begin=Begin("x", offset_s=60)), ["begin=now+60"]),
        (Job(begin=Begin("x", at="2035-01-02T10:00:00")), ["begin=2035-01-02T10:00:00"]),
        (Job(array=Array("x", ((1, 9, 2),), 3)), ["array=1,3,5,7,9%3"]),
        (Job(dependency=Dependency("x", (("afterok", ("1", "2")),))), ["dependency=afterok:1:2"]),
        (Job(dependency=Dependency("x", (("afterok", ("1",)), ("afterany", ("2",))), any=True)),
         ["dependency=afterok:1?afterany:2"]),
        (Job(constraint=Constraint("x", ("a", "b"))), ["constraint=a&b"]),
        (Job(nodes=Nodes(2, 2), tasks=2, hosts="n1+n2", exclude_hosts="n3 n4"),
         ["nodes=2", "nodelist=n1,n2", "exclude=n3,n4"]),
        (Job(output="o", error="e", join=True), ["output=o"]),
        (Job(environment=Environment("x", True, values=(("A", "1"),))), ["export=ALL,A=1"]),
        (Job(environment=Environment("x", False, names=("A", "B"))), ["export=A,B"]),
        (Job(mail=Mail("me@x", ("BEGIN", "END"))), ["mail-type=BEGIN,END", "mail-user=me@x"]),
        (Job(signal=Signal("USR1", 60, shell=True)), ["signal=B:USR1@60"]),
        (Job(threads_per_core=1), ["threads-per-core=1"]),
    ],
)  # fmt: skip
def test_said_exactly(job, lines):
    found, say, _ = said(job)
    assert found == lines
    assert {fate for fate, _ in say.fates.values()} <= {EXACT}


@pytest.mark.parametrize(
    ("job", "lines", "why", "profile"),
    [
        (Job(nodes=Nodes(2, None), tasks=2), ["nodes=2"], "at least 2 nodes are exactly 2", DEFAULT),
        (Job(memory=Memory(8 * GB, "job"), tasks=4), ["ntasks=4", "mem-per-cpu=2G"],
         "8G of the whole job are 2G for each of 4", DEFAULT),
        (Job(memory=Memory(3 * GB + 2**20, "task"), cpus_per_task=2), ["cpus-per-task=2", "mem-per-cpu=1537M"],
         "rounded up", DEFAULT),
        (Job(memory=Memory(1000, "node")), ["mem=1M"], "rounded up", DEFAULT),
        (Job(walltime_s=61), ["time=00:02:00"], "61 s are 2 minutes", DEFAULT),
        (Job(nodes=Nodes(2, 2), tasks=2, gpus=(Gpus(3, "job"),)), ["nodes=2", "gres=gpu:2"],
         "3 on 2 nodes are 2 on each", GRES_ONLY),
        (Job(array=Array("x", ((0, 2000, 1),))), ["array=0-1000"], "2 arrays with offsets", Profile(array_cap=1001)),
        (Job(mail=Mail(None, ("END", "ODD"))), ["mail-type=END"], "no mail for ODD", DEFAULT),
    ],
)  # fmt: skip
def test_said_differently(job, lines, why, profile):
    found, say, _ = said(job, profile)
    assert found == lines
    assert any(fate == APPROXIMATE and why in text for fate, text in say.fates.values()), say.fates


@pytest.mark.parametrize(
    ("job", "field", "why"),
    [
        (Job(dependency=Dependency("done(x)")), "dependency", "can't be said in Slurm's kinds"),
        (Job(dependency=Dependency("x", (("afterok", ("$A",)),))), "dependency", "job ids (numbers)"),
        (Job(constraint=Constraint("a>3")), "constraint", "no plain list"),
        (Job(constraint=Constraint("x", ("a b",))), "constraint", "no names of features"),
        (Job(name="a\nb"), "name", "control characters"),
        (Job(begin=Begin("later")), "begin", "can't read the time"),
        (Job(priority="5"), "priority", "only operators"),
        (Job(placement="scatter"), "placement", "none is the same"),
        (Job(signal=Signal("WINCH", 1)), "signal", "sends no WINCH"),
        (Job(nodes=Nodes(1, 1), hosts="a b c"), "hosts", "they are 3 candidates"),
        (Job(hosts="n1;rm"), "hosts", "no list of hosts"),
        (Job(environment=Environment("x", True, values=(("A", "1,2"),))), "environment", "comma"),
        (Job(memory=Memory(GB, "gpu")), "memory", "the job has none"),
        (Job(native=(Native("k", "oe"),)), "native", "its own system only"),
    ],
)
def test_dropped(job, field, why):
    _, say, _ = said(job)
    fate, text = say.fates[field]
    assert (fate, why in text) == (DROPPED, True), text


def test_gpus_where_a_site_knows_those_of_a_node_only():
    assert said(Job(gpus=(Gpus(4, "node"),)), GRES_ONLY)[0] == ["gres=gpu:4"]
    job = Job(nodes=Nodes(2, 2), tasks=8, tasks_per_node=4, gpus=(Gpus(1, "task", "a100"),))
    found, say, _ = said(job, Profile(gpus_as="gres", gpu_types={"a100": "A100"}))
    assert found[-1] == "gres=gpu:A100:4"
    assert say.fates["gpus"][0] == EXACT
    assert said(Job(tasks=4, gpus=(Gpus(1, "task"),)), GRES_ONLY)[1].fates["gpus"][0] == DROPPED


def test_an_array_above_the_cap_keeps_its_indexes():
    _, say, files = said(Job(array=Array("x", ((5, 9, 2), (1000, 2004, 501)), 2)), Profile(array_cap=1001))
    assert [file.suffix for file in files] == [".1.sbatch", ".2.sbatch", ".3.sbatch"]
    assert "#SBATCH --array=5,7,9,1000%2\n" in files[0].text
    assert "#SBATCH --array=500%2\n" in files[1].text
    assert "#SBATCH --array=0%2\n" in files[2].text
    assert "\nexport SLURM_ARRAY_TASK_ID=$((SLURM_ARRAY_TASK_ID + 1001))\n" in files[1].text
    assert "each with at most 2 at once" in say.fates["array"][1]


def test_names_of_the_site():
    profile = Profile(queues={"long": "week"}, accounts={"p": ""}, constraints={"fast": "f1"}, nodes={"a": "b"})
    job = Job(queue="long", account="p", constraint=Constraint("x", ("fast",)), hosts="a")
    found, say, _ = said(job, profile)
    assert found == ["partition=week", "constraint=f1", "nodelist=b"]
    assert say.fates["account"][0] == DROPPED


def test_foreign_lines_that_sbatch_would_obey_are_kept_from_it():
    found, _, _ = said(Job(name="x"), body="echo\n#PBS -N y\n")
    assert found == ["ignore-pbs", "job-name=x"]
    assert said(Job(name="x"), body="echo\n" * 200 + "#PBS -N y\n")[0] == ["job-name=x"]


def test_a_script_without_interpreter_gets_one():
    assert said(Job(), shebang="")[2][0].text == "#!/bin/sh\nhostname\n"
    assert said(Job(shell="/bin/csh"), shebang="#!/bin/sh")[2][0].text == "#!/bin/csh\nhostname\n"


def test_components():
    text = (
        "#!/bin/sh\n#SBATCH -N 2 -t 10 -J x --mem=1G\n#SBATCH hetjob\n#SBATCH -n 3 --mem=2G -C a\n"
        "#SBATCH hetjob\n#SBATCH -N 1\nhostname\n"
    )
    jobs = read(text, DEFAULT).jobs
    say = Saying(jobs[0], "slurm", components=jobs)
    [file] = write(say, Script("#!/bin/sh", "hostname\n"))
    assert file.text.count("#SBATCH hetjob\n") == 2
    again = read(file.text, DEFAULT).jobs
    shown = [(job.nodes, job.tasks, job.memory, job.walltime_s, job.name, job.constraint) for job in jobs]
    assert shown == [(job.nodes, job.tasks, job.memory, job.walltime_s, job.name, job.constraint) for job in again]


def test_every_field_is_accounted_for():
    job = Job(
        system="pbspro", name="n", account="a", qos="q", queue="p", reservation="r", comment="c", nodes=Nodes(2, 2),
        tasks=4, tasks_per_node=2, cpus_per_task=2, threads_per_core=1, gpus=(Gpus(1, "node"),),
        gres=(Gres("x", "", 1),), memory=Memory(GB, "node"), disk_per_node=GB, licenses=(("l", 1),), exclusive=True,
        burst_buffer=("b",), walltime_s=60, walltime_min_s=60, begin=Begin("b", 1), deadline="2035-01-01",
        array=Array("1", ((1, 1, 1),)), dependency=Dependency("1", (("afterok", ("1",)),)), priority="1", hold=True,
        requeue=True, constraint=Constraint("c", ("c",)), hosts="h", exclude_hosts="x", placement="pack", workdir="/w",
        input="i", output="o", error="e", join=True, open_mode="append", environment=Environment("ALL", True),
        shell="/bin/sh", mail=Mail("m", ("END",)), signal=Signal("TERM", 1), native=(Native("z", None),),
    )  # fmt: skip
    _, say, _ = said(job)
    assert all(say.asked(field) for field in FIELDS)
    assert set(say.fates) == set(FIELDS)
    assert not any("has nothing like it" in why for _, why in say.fates.values())
