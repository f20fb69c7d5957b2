"""What a real `oarsub --hold -S` of OAR 2.6.1 made of these lines (its oarstat -f), or why it refused them."""

from __future__ import annotations

import pytest

from jobspec.errors import ScriptError
from jobspec.job import Array, Constraint, Dependency, Gpus, Mail, Native, Nodes, Signal
from jobspec.oar.read import read
from jobspec.profile import DEFAULT


def job(*lines):
    return read("\n".join(["#!/bin/bash", *lines, "hostname", ""]), DEFAULT).jobs[0]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("#OAR -n a b", "a b"),
        ('#OAR -n "a b"', '"a b"'),
        ("#OAR -n a # comment", "a # comment"),
        ("#OAR -na", "a"),
        ("#OAR --name=a", "=a"),
        ("#OAR\t-n\ta\r", "a"),
        ("#OAR -n a -l core=2", "a -l core=2"),
        ("echo\n#OAR -n late", "late"),
        ("#OAR -n a\n#OAR -n b", "b"),
        ("#OAR-n a", None),
        (" #OAR -n a", None),
        ("##OAR -n a", None),
        ("#oar -n a", None),
        ("#OAR_JOB_ID=1", None),
        ("#OAR.%jobid%.out", None),
    ],
)
def test_lines(line, name):
    assert job(line).name == name


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("#OAR", "can't read"),
        ("#OAR foo", "can't read"),
        ("#OAR -n", "needs a value"),
        ("#OAR -n a'b", "quote"),
        ("#OAR -r 2035-12-31 23:59:00", "command line"),
        ("#OAR --resubmit 3", "command line"),
        ("#OAR -a x", "number"),
        ("#OAR --array 0", "positive"),
        ("#OAR --array=3", "number"),
        ("#OAR --hold x", "no value"),
        ("#OAR --stdout=out", "file name"),
        ("#OAR -O $HOME/x", "file name"),
        ("#OAR --notify a@b.c", "notify"),
        ("#OAR -e /tmp/key", "-k"),
        ("#OAR -q $$QUEUE$$", "no queue"),
        ("#OAR -t besteffort idempotent", "job type"),
        ("#OAR -p (virt='YES'", "unbalanced"),
        ("#OAR -p \"virt='YES'\"", "no condition"),
        ("#OAR -l core=2 -n a", "no level"),
        ("#OAR -l core=4;", "no level"),
        ("#OAR -l nodes", "no level"),
        ("#OAR -l nodes=0", "so many"),
        ("#OAR -l nodes=1//core=2", "no level"),
        ("#OAR -l walltime=1,nodes=1", "walltime"),
        ("#OAR -l nodes=1,walltime=1h", "walltime"),
        ("#OAR -l nodes=1/walltime=1", "no level"),
        ("#OAR -l {}/nodes=1", "braces"),
        ('#OAR -l "nodes=1, walltime=1:00:00"', "walltime"),
    ],
)
def test_refusals(line, message):
    with pytest.raises(ScriptError, match=message) as error:
        job(line)
    assert (error.value.line, error.value.column) == (2, 6 if len(line) > 4 else 1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("48", 172800), ("1:30", 5400), ("1:30:15", 5415), ("0:90:00", 5400), (":30:00", 1800), ("::5", 5),
        ("1::", 3600), ("1:2:3:4", 3723), ("0", 0),
    ],
)  # fmt: skip
def test_walltimes(text, seconds):
    assert job(f"#OAR -l nodes=1, walltime={text}").walltime_s == seconds


@pytest.mark.parametrize(
    ("text", "nodes", "tasks", "by_node", "gpus", "exclusive"),
    [
        ("core=4", None, 4, None, (), False),
        ("/nodes=2", 2, 2, None, (), True),
        ("/nodes=2/core=4", 2, 8, 4, (), False),
        ("nodes = 2 / cpu=2/core=4", 2, 16, 8, (), False),
        ("/nodes=1/gpu=1", 1, 1, None, (Gpus(1, "node"),), False),
        ("/nodes=2/gpu=2/core=3", 2, 12, 6, (Gpus(2, "node"),), False),
        ("/gpunum=1", None, 1, None, (Gpus(1, "job"),), False),
        ("nodes=1,gpu=1", 1, 2, None, (Gpus(1, "job"),), False),
        ("nodes=1/core=2+nodes=2/core=1", 3, 4, None, (), False),
        ("/cluster=1/nodes=15/core=1", 15, 15, 1, (), False),
    ],
)
def test_hierarchies(text, nodes, tasks, by_node, gpus, exclusive):
    found = job(f"#OAR -l {text},walltime=1")
    assert found.nodes == (Nodes(nodes, nodes) if nodes else None)
    assert (found.tasks, found.tasks_per_node, found.gpus, found.exclusive) == (tasks, by_node, gpus, exclusive)


def test_the_rest_of_the_options():
    one = job(
        "#OAR -l {mem>10}/nodes=1/core=2,walltime=2",
        "#OAR -l /core=4",
        "#OAR -p virt='YES' AND ib='YES'",
        "#OAR --array 3",
        "#OAR -a 5",
        "#OAR -a 6",
        "#OAR -t besteffort",
        "#OAR -t idempotent",
        "#OAR --notify [END,ERROR]mail:me@example.org",
        "#OAR --checkpoint 60",
        "#OAR --signal 10",
        "#OAR --hold",
        "#OAR -d /tmp",
        "#OAR --project p",
        "#OAR -O out.%jobid%",
    )
    assert one.constraint == Constraint("virt='YES' AND ib='YES'", ("virt", "ib"))
    assert one.array == Array("1-3", ((1, 3, 1),))
    assert one.dependency == Dependency("5,6", (("afterok", ("5", "6")),))
    assert (one.mail, one.signal) == (Mail("me@example.org", ("END", "FAIL")), Signal("USR1", 60))
    assert (one.requeue, one.hold, one.workdir, one.account, one.output) == (True, True, "/tmp", "p", "out.%jobid%")
    assert set(one.native) == {
        Native("resource", "{mem>10}/nodes=1/core=2"), Native("l", "/core=4"), Native("t", "besteffort"),
    }  # fmt: skip


def test_a_property_may_say_the_type_of_a_gpu_or_the_host():
    one = job("#OAR -p gpumodel='V100'", "#OAR -l /nodes=1/gpu=1")
    assert (one.gpus, one.constraint) == ((Gpus(1, "node", "V100"),), None)
    assert job("#OAR -p host='n1'").hosts == "n1"


def test_each_option_is_told_once():
    reading = read("#OAR -l nodes=1, walltime=2\n #OAR -n x\n#OAR -n a\n#OAR -n b\n", DEFAULT)
    assert [(one.line, one.column, one.text, one.state) for one in reading.directives] == [
        (1, 6, "-l nodes=1", "obeyed"),
        (1, 18, "-l walltime=2", "obeyed"),
        (2, 1, "#OAR -n x", "ignored"),
        (3, 6, "-n a", "overridden"),
        (4, 6, "-n b", "obeyed"),
    ]
