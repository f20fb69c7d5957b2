"""LoadLeveler's job command files."""

from __future__ import annotations

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.job import Begin, Constraint, Environment, Gpus, Mail, Memory, Native, Nodes, Signal

GB = 2**30


def read(*statements, queue="# @ queue\n"):
    text = "#!/bin/sh\n" + "".join(f"# @ {one}\n" for one in statements) + queue + "poe a.out\n"
    return readers.read(text, "loadleveler")


def job(*statements):
    found = read(*statements)
    assert found.accepted, found.errors
    return found.jobs[0]


def test_a_file():
    text = (
        "#!/bin/sh\n"
        "#@job_name = test\n"
        "#  @ Job_Type = parallel\n"
        "# @ node = 4\n"
        "# @ TASKS_PER_NODE = 16\n"
        "# @ wall_clock_limit = 01:30:00,01:20:00\n"
        "# @ resources = ConsumableCpus(2) \\\n"
        "#     ConsumableMemory(2 gb)\n"
        "# @ output = out.$(jobid)\n"
        "# @ network.MPI = sn_all,not_shared,us\n"
        "# @ queue\n"
        "# @ class = late\n"
        "poe a.out\n"
    )
    assert [one.system for one in readers.detect(text)] == ["loadleveler"]
    found = readers.read(text)
    [one] = found.jobs
    assert (one.name, one.nodes, one.tasks_per_node, one.tasks) == ("test", Nodes(4, 4), 16, 64)
    assert (one.walltime_s, one.signal) == (5400, Signal("XCPU", 600))
    assert (one.cpus_per_task, one.memory, one.queue) == (2, Memory(2 * GB, "task"), None)
    assert one.native == (Native("network.mpi", "sn_all,not_shared,us"),)
    assert found.obeyed == set(range(2, 12))
    assert [(d.line, d.text, d.fields or d.state) for d in found.directives] == [
        (2, "job_name = test", ("name",)),
        (3, "job_type = parallel", "inert"),
        (4, "node = 4", ("nodes",)),
        (5, "tasks_per_node = 16", ("tasks_per_node",)),
        (6, "wall_clock_limit = 01:30:00", ("walltime_s",)),
        (6, "wall_clock_limit = ...,01:20:00", ("signal",)),
        (7, "resources = ConsumableCpus(2)", ("cpus_per_task",)),
        (7, "resources = ConsumableMemory(2 gb)", ("memory",)),
        (9, "output = out.$(jobid)", ("output",)),
        (10, "network.mpi = sn_all,not_shared,us", ("native",)),
        (11, "queue", "inert"),
        (12, "class = late", "ignored"),
    ]


@pytest.mark.parametrize(
    "line",
    ["# @use: grep sed", "# @package _global_", "#@jit", "# @profile", "# @hydra.main()", "# @ Lake Michael",
     "#@property", "# @ class", "# @ class.x = 1", "#SBATCH -n 1 # @ queue"],
)  # fmt: skip
def test_other_uses_of_the_sign_are_not_loadleveler(line):
    assert "loadleveler" not in [one.system for one in readers.detect(f"#!/bin/sh\n{line}\ntrue\n")]


@pytest.mark.parametrize("line", ["#@queue", "# @ CLASS=a", "#\t@ network.LAPI = x", "# @ node = 2"])
def test_statements_are_found(line):
    assert [one.system for one in readers.detect(f"#!/bin/sh\n{line}\ntrue\n")] == ["loadleveler"]


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["nodes = 4"], "'nodes' is no LoadLeveler keyword"),
        (["use: grep"], "no LoadLeveler keyword"),
        (["class"], "needs '='"),
        (["node = four"], "no positive"),
        (["node = 4,2"], "min,max"),
        (["tasks_per_node = 2", "total_tasks = 8"], "exclude each other"),
        (["total_tasks = 8", "node = 2,4"], "one number of nodes"),
        (["total_tasks = 2", "node = 4"], "less than one on each"),
        (["blocking = 4"], "needs total_tasks"),
        (["task_geometry = {(0,1)(2)}", "node = 2"], "exclude each other"),
        (["task_geometry = (0,1)"], "no task geometry"),
        (["wall_clock_limit = 1h"], "no time"),
        (["wall_clock_limit = 10,20"], "longer than the hard"),
        (["resources = ConsumableMemory(lots)"], "no amount of memory"),
        (["resources = ConsumableCpus"], "no list of resources"),
        (["notification = sometimes"], "one of always"),
        (["startdate = tomorrow"], "no date"),
        (["class ="], "is empty"),
    ],
)
def test_what_llsubmit_refuses(statements, words):
    [error] = read(*statements).errors
    assert words in error.message
    assert error.line >= 2


def test_steps():
    assert "'# @ queue' is missing" in read("class = a", queue="").errors[0].message
    [error] = read("class = a", queue="# @ queue\n# @ queue\n").errors
    assert "2 job steps" in error.message
    assert error.line == 4


def test_templates_are_told():
    assert read("node = ${N}").errors[0].meant == "a template: fill it in first"


def test_size():
    one = job("node = 2,4", "tasks_per_node = 8")
    assert (one.nodes, one.tasks) == (Nodes(2, 4), 16)
    one = job("total_tasks = 10", "node = 3")
    assert (one.nodes, one.tasks) == (Nodes(3, 3), 10)
    one = job("total_tasks = 10", "blocking = 4")
    assert (one.nodes, one.tasks, one.placement) == (None, 10, "blocking=4")
    one = job("task_geometry = {(0,1) (2,3,4)}")
    assert (one.nodes, one.tasks, one.placement) == (Nodes(2, 2), 5, "{(0,1) (2,3,4)}")
    one = job("job_type = bluegene", "bg_size = 512")
    assert (one.nodes, one.tasks) == (Nodes(512, 512), 512)
    assert job("task_affinity = core(4)").cpus_per_task == 4
    assert job("parallel_threads = 8").cpus_per_task == 8
    assert job("node_resources = ConsumableMemory(4gb)").memory == Memory(4 * GB, "node")
    assert job("resources = ConsumableMemory(500)").memory == Memory(500 * 2**20, "task")
    assert job("resources = gpus(2)").gpus == (Gpus(2, "task"),)
    assert job("class = a").tasks == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1:30", 90), ("01:30:00", 5400), ("unlimited", "unlimited"), ('"10:00"', 600), ("10.5", 10)],
)
def test_times(text, seconds):
    assert job(f"wall_clock_limit = {text}").walltime_s == seconds


def test_the_rest():
    one = job(
        "account_no = a", "class = c", "initialdir = /w", "input = i", "comment = two words", "notification = always",
        "notify_user = me@example.org", "environment = COPY_ALL; A=b; $HOME; !X", "node_usage = not_shared",
        "restart = no", "hold = user", "startdate = 01/02/2030 10:30", "user_priority = 60", "ll_res_id = r",
        'requirements = (Feature == "x") && (Feature == "y")', "shell = /bin/ksh", "group = staff",
    )  # fmt: skip
    assert (one.account, one.queue, one.workdir, one.input, one.comment) == ("a", "c", "/w", "i", "two words")
    assert one.mail == Mail("me@example.org", ("BEGIN", "END", "FAIL"))
    assert one.environment == Environment("COPY_ALL; A=b; $HOME; !X", True, ("HOME",), (("A", "b"),))
    assert (one.exclusive, one.requeue, one.hold, one.priority, one.reservation) == (True, False, True, "60", "r")
    assert one.begin == Begin("01/02/2030 10:30", at="2030-01-02T10:30:00")
    assert one.constraint == Constraint('(Feature == "x") && (Feature == "y")', ("x", "y"))
    assert one.native == (Native("group", "staff"),)


def test_what_runs_may_be_another_file():
    text = "# @ executable = my prog\n# @ arguments = -x 1\n# @ queue\n"
    reading = readers.read(text)
    assert convert(text, reading, "lsf").files[0].text.endswith("exec 'my prog' -x 1\n")
