"""Cobalt's scripts, read and written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobspec import readers
from jobspec.cobalt import values, write
from jobspec.convert import convert
from jobspec.job import Constraint, Dependency, Environment, Gpus, Job, Mail, Memory, Native, Nodes
from jobspec.profile import DEFAULT, Profile
from jobspec.writing import Saying, Script

BASE = "#!/bin/sh\n#COBALT -n 2 -t 30\n"


def read(*lines, base=BASE, profile=DEFAULT):
    text = base + "".join(f"#COBALT {line}\n" for line in lines) + "aprun -n 1 ./a\n"
    return readers.read(text, "cobalt", profile)


def job(*lines):
    found = read(*lines)
    assert found.accepted, found.errors
    return found.jobs[0]


def refusal(*lines, base=BASE):
    found = read(*lines, base=base)
    assert not found.accepted, found.jobs
    return found.errors[0]


def test_a_script():
    found = job(
        "-A proj -q debug --jobname=j -O out/$jobid", "--attrs mcdram=cache:numa=quad --held", "-M a@b.c --env A=b"
    )
    assert (found.nodes, found.tasks, found.walltime_s, found.exclusive) == (Nodes(2, 2), 2, 1800, True)
    assert (found.account, found.queue, found.name, found.hold) == ("proj", "debug", "j", True)
    assert (found.output, found.error) == ("out/$jobid.output", "out/$jobid.error")
    assert found.constraint == Constraint("mcdram=cache:numa=quad", ())
    assert found.mail == Mail("a@b.c", ("BEGIN", "END", "FAIL"))
    assert found.environment == Environment("A=b", False, (), (("A", "b"),))
    assert found.native == (Native("outputprefix", "out/$jobid"),)


# qsub(1), SCRIPT JOB DIRECTIVES


@pytest.mark.parametrize("gap", ["\n", "true\n", "# a comment\n", " #COBALT -q x\n", "#COBALT\n", "#COBALT\t-q x\n"])
def test_reading_stops_at_the_first_other_line(gap):
    text = f"{BASE}{gap}#COBALT -q debug\ntrue\n"
    found = readers.read(text, "cobalt")
    assert found.jobs[0].queue is None
    assert found.obeyed == {2}
    assert 4 in [one.line for one in found.directives if one.state == "ignored"]
    assert all(one.why for one in found.directives if one.state == "ignored")


@pytest.mark.parametrize("text", ["#COBALT -n 1 -t 5\ntrue\n", "\n#!/bin/sh\n#COBALT -n 1 -t 5\n", "", "#!/bin/sh\n"])
def test_without_a_first_line_nothing_is_read(text):
    [error] = readers.read(text, "cobalt").errors
    assert error.message == "'time' not provided"


def test_time_and_nodes_are_needed():
    assert refusal("-n 1", base="#!/bin/sh\n").message == "'time' not provided"
    assert refusal("-t 1", base="#!/bin/sh\n").message == "'nodecount' not provided"


def test_words_split_at_blanks_and_know_no_comments():
    found = read("-q debug # a queue -A proj", "-h")
    [one] = found.jobs
    assert (one.queue, one.account, one.hold) == ("debug", None, False)
    ignored = [(d.line, d.text) for d in found.directives if d.state == "ignored"]
    assert ignored == [(3, "# a queue -A proj"), (4, "-h")]
    assert [warning.line for warning in found.warnings] == [3, 4]
    assert job('-A "two').account == '"two'


def test_options_as_optparse_takes_them():
    found = job("--nodec 4 -qdebug -t60 --proj=p", "-hA x")
    assert (found.nodes, found.queue, found.walltime_s, found.hold, found.account) == (
        Nodes(4, 4),
        "debug",
        3600,
        True,
        "x",
    )
    assert [d.why for d in read("-n 4").directives if d.state == "overridden"] == ["overridden by line 3"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-n two", "no positive"),
        ("-n 0", "no positive"),
        ("-n", "needs a value"),
        ("-t 1h", "no time"),
        ("-t 1:2:3:4:5", "no time"),
        ("-t 1:00:61", "0 to 59"),
        ("-z", "no option -z"),
        ("--nodes 4", "no option --nodes"),
        ("--ker x", "may be any of"),
        ("--held=1", "takes no value"),
        ("--mode c16", "'script'"),
        ("-I", "command line"),
        ("--attrs a=1 --attrs b=2", "several --attrs"),
        ("--attrs a=b=c", "no attribute"),
        ("--env A", "no NAME=value"),
        ("--dependencies 1,2", "no list of job ids"),
        ("--geometry 2x2", "no geometry"),
        ("-u 9", "no octal"),
    ],
)
def test_what_qsub_refuses(line, words):
    error = refusal(line)
    assert words in error.message
    assert (error.line, error.column) >= (2, 9)


@pytest.mark.parametrize("line", ["-n {nNode}", "-t getenv(WALLTIME)", "-n ${N}", "-n @NODES"])
def test_templates_are_told(line):
    assert refusal(line).meant == "a template: fill it in first"


def test_a_template_with_blanks():
    assert refusal("-A {{ project }}", "-t 5", base="#!/bin/sh\n").meant == "a template: fill it in first"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 3600), ("1:30", 5400), ("0:90:00", 5400), ("1:00:59", 3600), ("1:02:03:04", 93780), ("0", "unlimited")],
)
def test_times(text, seconds):
    assert values.time(text) == seconds


def test_values():
    # The example of qsub(1), --env
    assert values.environment(r"A=B:C=x\=1\:y\=2\:z\=3:D=ABC").values == (
        ("A", "B"),
        ("C", "x=1:y=2:z=3"),
        ("D", "ABC"),
    )
    assert values.dependency("1:2") == Dependency("1:2", (("afterok", ("1", "2")),))
    assert job("--env A=1", "--env B=2").environment.text == "A=1:B=2"
    assert job("--attrs location=1-4,7:pubnet").hosts == "1-4,7"
    assert job("--attrs pubnet").constraint == Constraint("pubnet", ("pubnet",))
    assert job("--proccount 64").tasks == 64
    assert job("-o a -e b -O c").output == "a"


def test_one_directive_for_each_attribute():
    found = read("--attrs location=1:mcdram=cache").directives
    assert [(d.text, d.column, d.fields) for d in found[2:]] == [
        ("--attrs location=1", 17, ("hosts",)),
        ("--attrs mcdram=cache", 28, ("constraint",)),
    ]


# Writing


def say(changes, profile=DEFAULT):
    saying = Saying(replace(Job(system="slurm"), **changes), "cobalt", profile)
    [file] = write.write(saying, Script("#!/bin/sh", "true\n"))
    saying.finish()
    assert readers.read(file.text, "cobalt").accepted
    lines = [line.removeprefix("#COBALT ") for line in file.text.split("\n") if line.startswith("#COBALT")]
    return lines, {name for name, fate in saying.fates.items() if fate[0] != "exact" and saying.asked(name)}


@pytest.mark.parametrize(
    ("changes", "expected", "lossy"),
    [
        ({}, ["-n 1", "-t 0"], set()),
        ({"tasks": 4, "nodes": Nodes(4, 4), "walltime_s": 90}, ["-n 4", "-t 0:02:00"], {"walltime_s"}),
        ({"tasks": 64, "nodes": Nodes(4, 4), "tasks_per_node": 16}, ["-n 4", "-t 0", "--proccount 64"], set()),
        ({"nodes": Nodes(2, 4), "tasks": 2}, ["-n 2", "-t 0"], {"nodes"}),
        ({"tasks": 8}, ["-n 8", "-t 0"], {"tasks"}),
        ({"memory": Memory(2**30, "node")}, ["-n 1", "-t 0"], {"memory"}),
        ({"memory": Memory(0, "node"), "exclusive": True}, ["-n 1", "-t 0"], set()),
        ({"name": "two words"}, ["-n 1", "-t 0"], {"name"}),
        ({"output": "o.%j", "join": True}, ["-n 1", "-t 0", "-o o.$jobid", "-e o.$jobid"], set()),
        ({"dependency": Dependency("", (("afterok", ("1", "2")),))}, ["-n 1", "-t 0", "--dependencies 1:2"], set()),
        ({"dependency": Dependency("", (("afterany", ("1",)),))}, ["-n 1", "-t 0"], {"dependency"}),
        ({"environment": Environment("", False, (), (("A", "b:c"),))}, ["-n 1", "-t 0", r"--env A=b\:c"], set()),
        ({"mail": Mail("a@b", ("END",))}, ["-n 1", "-t 0", "-M a@b"], {"mail"}),
        ({"mail": Mail("a@b", ())}, ["-n 1", "-t 0"], set()),
        ({"hosts": "n[1-2]"}, ["-n 1", "-t 0", "--attrs location=n1,n2"], set()),
        ({"qos": "x", "comment": "c", "priority": "1"}, ["-n 1", "-t 0"], {"qos", "comment", "priority"}),
    ],
)
def test_words(changes, expected, lossy):
    assert say(changes) == (expected, lossy)


def test_whole_nodes_by_the_profile():
    profile = Profile(cores_per_node=32, gpus_per_node=4, constraints={"knl": "mcdram=cache"})
    assert say({"tasks": 64}, profile) == (["-n 2", "-t 0", "--proccount 64"], set())
    assert say({"tasks": 10, "cpus_per_task": 12}, profile)[0] == ["-n 5", "-t 0", "--proccount 10"]
    assert say({"gpus": (Gpus(4, "node"),)}, profile) == (["-n 1", "-t 0"], set())
    assert say({"gpus": (Gpus(6, "job"),)}, profile)[0] == ["-n 2", "-t 0", "--proccount 1"]
    knl = {"constraint": Constraint("knl", ("knl",)), "tasks": 32}
    assert say(knl, profile) == (["-n 1", "-t 0", "--proccount 32", "--attrs mcdram=cache"], set())


def test_the_first_line_is_needed():
    text = "#SBATCH -n 2\ntrue\n"
    reading = readers.read("#BSUB -n 2\ntrue\n", "lsf")
    made = convert("#BSUB -n 2\ntrue\n", reading, "cobalt").files[0].text
    assert made.startswith("#!/bin/sh\n#COBALT -n 2\n"), text
