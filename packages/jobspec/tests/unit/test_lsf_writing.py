"""Jobs of other systems in bsub's words, and what is told of the loss."""

from __future__ import annotations

import os
import subprocess
from dataclasses import fields, replace

import pytest

from jobspec import readers, systems
from jobspec.convert import convert
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
from jobspec.lsf import write
from jobspec.profile import DEFAULT, Profile
from jobspec.writing import FIELDS, Saying, Script

GB = 2**30
BASE = Job(system="slurm")
FULL = Job(
    system="slurm", name="n", account="a", qos="q", queue="p", reservation="r", comment="c", nodes=Nodes(2, 2), tasks=8,
    tasks_per_node=4, cpus_per_task=2, threads_per_core=1, gpus=(Gpus(2, "node"),), gres=(Gres("nic", "", 1),),
    memory=Memory(GB, "node"), disk_per_node=GB, licenses=(("m", 1),), exclusive=True, burst_buffer=("#BB x",),
    walltime_s=3600, walltime_min_s=60, begin=Begin("x", at="2030-01-01T00:00:00"), deadline="2030-01-01T00:00:00",
    array=Array("1-3", ((1, 3, 1),)), dependency=Dependency("afterok:1", (("afterok", ("1",)),)), priority="1",
    hold=True,
    requeue=True, constraint=Constraint("a", ("a",)), hosts="n1", exclude_hosts="n2", placement="p", workdir="/w",
    input="i", output="o", error="e", join=True, open_mode="append",
    environment=Environment("A=b", False, (), (("A", "b"),)),
    shell="/bin/sh", mail=Mail("u", ("END",)), signal=Signal("USR1", 60), native=(Native("x", None),),
)  # fmt: skip


def say(job, profile=DEFAULT):
    """(the directive lines, what is not exact)"""
    saying = Saying(job, "lsf", profile)
    [file] = write.write(saying, Script("#!/bin/sh", "true\n"))
    saying.finish()
    lines = [line.removeprefix("#BSUB ") for line in file.text.split("\n") if line.startswith("#BSUB")]
    assert readers.read(file.text, "lsf").accepted, file.text
    return lines, {name: fate for name, fate in saying.fates.items() if fate[0] != "exact" and saying.asked(name)}


@pytest.mark.parametrize("target", ["lsf", "cobalt"])
def test_every_field_is_accounted_for(target):
    saying = Saying(FULL, target)
    systems.writer(target).write(saying, Script("#!/bin/sh", "true\n"))
    assert {name for name in FIELDS if saying.asked(name)} == set(FIELDS)
    assert set(saying.fates) == set(FIELDS)
    for one in fields(Job):
        if one.name in FIELDS:
            fate, why = saying.fates[one.name]
            assert (fate == "exact") == (not why)


@pytest.mark.parametrize(
    ("changes", "expected", "lossy"),
    [
        ({"tasks": 8, "nodes": Nodes(1, 1)}, ["-n 8", "-R span[hosts=1]"], {}),
        ({"tasks": 8, "nodes": Nodes(2, 2)}, ["-n 8", "-R span[ptile=4]"], {}),
        ({"tasks": 8, "nodes": Nodes(4, 4), "tasks_per_node": 2}, ["-n 8", "-R span[ptile=2]"], {}),
        ({"tasks": 10, "nodes": Nodes(4, 4)}, ["-n 10", "-R span[ptile=3]"], {"nodes"}),
        ({"tasks": 4, "nodes": Nodes(2, 4)}, ["-n 4", "-R span[ptile=2]"], {"nodes"}),
        ({"tasks": 4, "cpus_per_task": 8}, ["-n 4", "-R affinity[core(8)]"], {}),
        ({"tasks": 4, "memory": Memory(2 * GB, "cpu"), "cpus_per_task": 2},
         ["-n 4", "-R affinity[core(2)] rusage[mem=4GB/task]"], {}),
        ({"memory": Memory(1500 * 2**20, "node")}, ["-R rusage[mem=1500MB/host]"], {}),
        ({"memory": Memory(1, "job")}, ["-R rusage[mem=1KB/job]"], {"memory"}),
        ({"memory": Memory(0, "node")}, [], {"memory"}),
        ({"memory": Memory(GB, "gpu"), "gpus": (Gpus(4, "node"),)}, ["-gpu num=4", "-R rusage[mem=4GB/host]"], {}),
        ({"gpus": (Gpus(2, "task", "a100"),)}, ["-gpu num=2/task:gmodel=a100"], {}),
        ({"gpus": (Gpus(8, "job"),), "nodes": Nodes(2, 2), "tasks": 2}, ["-n 2", "-gpu num=4", "-R span[ptile=1]"], {}),
        ({"gpus": (Gpus(8, "job"),), "tasks": 4}, ["-n 4", "-gpu num=2/task"], {}),
        ({"gpus": (Gpus(1, "node", "a"), Gpus(1, "node", "b"))}, ["-gpu num=2"], {"gpus"}),
        ({"walltime_s": 5400}, ["-W 1:30"], {}),
        ({"walltime_s": 61}, ["-W 0:02"], {"walltime_s"}),
        ({"walltime_s": "unlimited"}, [], {"walltime_s"}),
        ({"dependency": Dependency("", (("afterok", ("1", "2_3")), ("afterany", ("4",))))},
         ['-w "done(1) && done(2[3]) && ended(4)"'], {}),
        ({"dependency": Dependency("", (("after", ("1",)), ("afternotok", ("2",))), any=True)},
         ['-w "started(1) || exit(2)"'], {}),
        ({"dependency": Dependency("singleton", (("singleton", ("",)),))}, [], {"dependency"}),
        ({"begin": Begin("x", at="2030-01-02T03:04:05")}, ["-b 2030:1:2:3:04"], {"begin"}),
        ({"begin": Begin("now+1hour", offset_s=3600)}, [], {"begin"}),
        ({"hosts": "n[1-2]"}, ['-m "n1 n2"'], {"hosts"}),
        ({"exclude_hosts": "n3"}, ["-R \"select[hname!='n3']\""], {}),
        ({"constraint": Constraint("a&b", ("a", "b"))}, ['-R "select[a && b]"'], {}),
        ({"constraint": Constraint("[a|b]")}, [], {"constraint"}),
        ({"output": "o.%j", "error": "e"}, ["-oo o.%J", "-eo e"], {}),
        ({"output": "%x.%j", "name": "n"}, ["-J n", "-oo n.%J"], {}),
        ({"output": "o", "join": True, "open_mode": "append"}, ["-o o"], {}),
        ({"mail": Mail("a@b", ("BEGIN", "END"))}, ["-u a@b", "-B", "-N"], {}),
        ({"mail": Mail("a@b", ("FAIL",))}, ["-u a@b", "-N"], {"mail"}),
        ({"environment": Environment("", True, ("X",), (("A", "b,c"),))}, ["-env \"all, X, A='b,c'\""], {}),
        ({"environment": Environment("NONE", False)}, ["-env none"], {}),
        ({"signal": Signal("USR1", 90)}, ["-wa USR1", "-wt 2"], {"signal"}),
        ({"licenses": (("matlab", 2),)}, ["-R rusage[matlab=2/job]"], {"licenses"}),
        ({"disk_per_node": GB}, ["-R rusage[tmp=1GB/host]"], {}),
        ({"requeue": False, "hold": True, "exclusive": True}, ["-x", "-H", "-rn"], {}),
        ({"name": "two words"}, ['-J "two words"'], {}),
        ({"name": "both \" and '"}, [], {"name"}),
        ({"name": "a\nb"}, [], {"name"}),
        ({"qos": "high"}, [], {"qos"}),
    ],
)  # fmt: skip
def test_words(changes, expected, lossy):
    lines, fates = say(replace(BASE, **changes))
    plain = [
        line.replace('"', "") if "rusage" in line or "span" in line or "affinity" in line else line for line in lines
    ]
    assert plain == expected
    assert set(fates) == set(lossy)
    assert all(why for _, why in fates.values())


def test_profile():
    profile = Profile(
        queues={"debug": "short"},
        accounts={"a": ""},
        gpu_types={"a100": "NVIDIAA100"},
        memory_per_node=GB,
        nodes={"n1": "host1"},
        default_queue="normal",
    )
    gpus = (Gpus(1, "node", "a100"),)
    job = replace(BASE, queue="debug", account="a", gpus=gpus, memory=Memory(0, "node"), hosts="n1")
    lines, fates = say(job, profile)
    assert lines == ["-q short", "-m host1", "-gpu num=1:gmodel=NVIDIAA100", '-R "rusage[mem=1GB/host]"']
    assert fates["account"] == ("dropped", "the profile drops it")
    assert say(BASE, profile)[0] == ["-q normal"]


SLURM = "#!/bin/bash\n#SBATCH --array={}\n#SBATCH -J a\necho index $SLURM_ARRAY_TASK_ID\n"


def arrays(text, cap, folder):
    """(how many files, how many elements, what some of them see)"""
    source = SLURM.format(text)
    reading = readers.read(source, "slurm")
    made = convert(source, reading, "lsf", Profile(array_cap=cap))
    found, total = [], 0
    for file in made.files:
        [job] = readers.read(file.text, "lsf").jobs
        indexes = [n for first, last, step in job.array.ranges for n in range(first, last + 1, step)]
        assert min(indexes) >= 1
        assert cap is None or max(indexes) < cap
        assert job.array.throttle == reading.jobs[0].array.throttle
        total += len(indexes)
        for index in indexes[:: max(len(indexes) // 2, 1)]:
            (folder / "script").write_text(file.text)
            environment = {"LSB_JOBINDEX": str(index), "PATH": os.environ["PATH"]}
            ran = subprocess.run(
                ["bash", folder / "script"], env=environment, capture_output=True, text=True, check=True
            )
            found.append(int(ran.stdout.split()[-1]))
    return len(made.files), total, found


@pytest.mark.parametrize(
    ("text", "cap", "files", "expected"),
    [
        ("0", None, 1, {0}),
        ("1-1", None, 1, {1}),
        ("3,7", None, 1, {3, 7}),
        ("0-9:3%2", None, 1, {0, 3, 6, 9}),
        ("1-2000", 1001, 2, set(range(1, 2001))),
        ("5000-5003", 1001, 1, {5000, 5001, 5002, 5003}),
        ("0-3000:7", 1001, 3, set(range(0, 3001, 7))),
        ("1,5000", 1001, 2, {1, 5000}),
    ],
)
def test_arrays_keep_their_indexes(text, cap, files, expected, tmp_path):
    count, total, seen = arrays(text, cap, tmp_path)
    assert (count, total) == (files, len(expected))
    # What the scripts see, run by a real shell, is what the array asked for.
    assert set(seen) <= expected
    assert min(expected) in seen
    assert len(set(seen)) == len(seen)


def test_annotated_lines_stay_out_of_the_way():
    text = "#!/bin/bash\n#SBATCH -n 4 --qos=x\nhostname\n"
    made = convert(text, readers.read(text, "slurm"), "lsf", annotate=True)
    assert readers.read(made.files[0].text, "lsf").jobs[0].tasks == 4
    assert "# jobspec: line 2" in made.files[0].text
