"""LSF's job scripts: which lines are read, the options, and the job that LSF makes of them."""

from __future__ import annotations

import pytest

from jobspec import readers
from jobspec.errors import ScriptError
from jobspec.job import Array, Constraint, Dependency, Environment, Gpus, Mail, Memory, Native, Nodes, Signal
from jobspec.lsf import values
from jobspec.profile import Profile

GB = 2**30


def reading(*lines, profile=None, body="hostname\n"):
    text = "#!/bin/bash\n" + "".join(f"#BSUB {line}\n" for line in lines) + body
    return readers.read(text, "lsf", profile or Profile(memory_units={"lsf": "MB"}, memory_per={"lsf": "node"}))


def job(*lines, profile=None):
    found = reading(*lines, profile=profile)
    assert found.accepted, found.errors
    return found.jobs[0]


def refusal(*lines):
    found = reading(*lines)
    assert not found.accepted, found.jobs
    return found.errors[0]


# Which lines


def test_the_whole_script_is_read():
    # Command Reference, "bsub job_script": the example has "#BSUB -P myproj" behind the commands.
    text = "#!/bin/sh\n#BSUB -n 2\nmyjob1 arg1\nmyjob2 arg2\n#BSUB -P myproj\n"
    found = readers.read(text, "lsf")
    assert (found.jobs[0].tasks, found.jobs[0].account) == (2, "myproj")
    assert found.obeyed == {2, 5}


@pytest.mark.parametrize(
    "line",
    [
        "  #BSUB -n 2",
        "##BSUB -n 2",
        "# BSUB -n 2",
        "#bsub -n 2",
        "#BSUB prose",
        "#BSUB –n 2",
        "#BSUB cwd /x",
        "\t#BSUB -n 2",
    ],
)
def test_lines_that_are_comments_to_bsub(line):
    found = readers.read(f"#!/bin/sh\n#BSUB -W 5\n{line}\ntrue\n", "lsf")
    assert found.jobs[0].tasks == 1
    assert found.obeyed == {2}
    [ignored] = [one for one in found.directives if one.state == "ignored"]
    assert (ignored.line, ignored.fields) == (3, ())
    assert ignored.why
    assert [warning.line for warning in found.warnings] == [3]


def test_no_directive_at_all():
    found = readers.read("#!/bin/sh\n#BSUBSTITUTE -n 2\n# about BSUB\n#BSUB\ntrue\n", "lsf")
    assert found.accepted
    assert [one.line for one in found.directives] == [4]


def test_a_line_goes_on():
    found = readers.read('#!/bin/sh\n#BSUB -n 4 \\\n -R "span[hosts=1]"\n#BSUB -W 5\ntrue\n', "lsf")
    assert (found.jobs[0].tasks, found.jobs[0].nodes, found.jobs[0].walltime_s) == (4, Nodes(1, 1), 300)
    assert found.obeyed == {2, 3, 4}


@pytest.mark.parametrize("text", ["", "\n\n", "#!/bin/sh\n#BSUB -n 2\n", "#!/bin/sh\n\0true\n"])
def test_no_job_script(text):
    assert not readers.read(text, "lsf").accepted


# Words


def test_words():
    found = job('-J "my job"   # a comment', "-n4 -W1:30 -M2GB", "-a 'docker(x)'", '-R"span[ptile=2]"', "-u a@b.c\r")
    assert (found.name, found.tasks, found.walltime_s, found.tasks_per_node) == ("my job", 4, 5400, 2)
    assert Native("a", "docker(x)") in found.native
    assert found.mail == Mail("a@b.c", ())


def test_quotes_inside_a_word_stay():
    assert job("-R select[model=='X5']").constraint == Constraint("model=='X5'", ())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-n four", "no number of tasks"),
        ("-n 4,2", "min <= max"),
        ("-n 0", "min <= max"),
        ("-n", "needs a value"),
        ("-n # four", "needs a value"),
        ("-W 1:00:00", "[hour:]minute"),
        ("-W 1.5", "[hour:]minute"),
        ("-W 0", "longer than 0"),
        ("-W 1h", "[hour:]minute"),
        ("-y 2", "no option -y"),
        ("--nodes 2", "no option --nodes"),
        ("-x1", "-x takes no value"),
        ("-x 1", "'1' is no option"),
        ("-J my job", "'job' is no option"),
        ("-J 'my job", "unmatched '"),
        ("-J a[1-]", "is no index"),
        ("-J a[0-4]", "start at 1"),
        ("-J a[x]", "no job name"),
        ("-R span[ptile=4", "not closed"),
        ("-R span[hosts=2]", "hosts=1"),
        ("-R span[ptile=x]", "no number of tasks"),
        ("-R 'rusage[mem=8X]'", "no amount of memory"),
        ("-R 'rusage[mem]'", "bad resource"),
        ("-R 'span[hosts=1] prose'", "bad resource"),
        ("-M 1.5G", "no memory limit"),
        ("-M lots", "no amount of memory"),
        ("-gpu 2", "no GPU requirement"),
        ("-gpu num=0", "no positive"),
        ("-gpu num=2/socket", "host or task"),
        ("-w 'done(1) done(2)'", "operator is missing"),
        ("-w 'done(1) &&'", "no dependency"),
        ("-w 'finished(1)'", "no condition"),
        ("-b 25:00", "out of range"),
        ("-b 10", "is no time"),
        ("-sp high", "no positive"),
        ("-q ''", "no such queue"),
        ("-env 'A B'", "no list of variables"),
    ],
)
def test_what_bsub_refuses(line, words):
    error = refusal(line)
    assert words in error.message
    assert error.line == 2
    assert error.column >= 7


@pytest.mark.parametrize(
    "line",
    ["-n ${N}", "-nnodes {nodes}", "-n <my_node_count>", "-W @HOURS:00", "-nnodes NUM_NODE", "-R 'rusage[mem=${m}]'",
     "-q !TBG_queue", "-W %%T%%", "-n {{ n }}"],
)  # fmt: skip
def test_templates_are_told(line):
    assert refusal(line).meant == "a template: fill it in first"


def test_an_address_is_the_value_of_another_option():
    assert "-u" in refusal("-N me@example.org").meant


def test_the_last_one_wins_and_requirements_add_up():
    found = reading("-n 2", "-R span[ptile=1]", "-W 5", "-n 4", "-R 'select[a] rusage[mem=1GB]'", "-R select[b]")
    [one] = found.jobs
    assert (one.tasks, one.tasks_per_node, one.memory) == (4, 1, Memory(GB, "node"))
    assert one.constraint == Constraint("a && b", ("a", "b"))
    assert job("-R select[a]", "-R select[b>2]").constraint == Constraint("(a) && (b>2)", ())
    assert [(d.line, d.state, d.why) for d in found.directives if d.state != "obeyed"] == [
        (2, "overridden", "overridden by line 5")
    ]


def test_a_site_has_more_options():
    assert not reading("-zone 4").accepted
    found = reading("-zone 4 -n 2", "-quick", profile=Profile(options={"lsf": ("zone", "quick")}))
    assert found.jobs[0].native == (Native("quick", None), Native("zone", "4"))


# Values


@pytest.mark.parametrize(
    ("text", "seconds"), [("4:00", 4 * 3600), ("00:10", 600), ("210", 12600), ("3:30", 12600), ("1:90", 9000)]
)
def test_times(text, seconds):
    assert job(f"-W {text}").walltime_s == seconds


def test_a_time_of_a_host():
    found = job("-W 1:00/hostA")
    assert (found.walltime_s, found.native) == (3600, (Native("W host", "hostA"),))


def test_size():
    found = job("-n 10 -R span[ptile=4]")
    assert (found.tasks, found.tasks_per_node, found.nodes) == (10, 4, Nodes(3, 3))
    found = job("-n 6,12 -R span[ptile=4]")
    assert (found.tasks, found.nodes, found.native) == (6, Nodes(2, 3), (Native("n", "6,12"),))
    found = job("-nnodes 4")
    assert (found.tasks, found.nodes, found.exclusive) == (4, Nodes(4, 4), True)
    found = job("-n 4 -R 'span[hosts=1] affinity[core(2)]'")
    assert (found.nodes, found.cpus_per_task) == (Nodes(1, 1), 2)
    assert job("-n 4 -R affinity[thread(2)]").placement == "affinity[thread(2)]"
    assert job("-R '1*{select[LN]}+54*{select[CN]span[ptile=1]}'").tasks == 55
    assert (
        job("-n 16 -R 'span[block=4] order[mem] cu[type=rack]'").placement == "span[block=4] order[mem] cu[type=rack]"
    )


def test_the_upper_limit_is_a_directive_of_its_own():
    found = reading("-n 6,12")
    assert [(d.column, d.text, d.fields) for d in found.directives] == [
        (7, "-n 6,12", ("tasks",)),
        (12, "-n ...,12", ("native",)),
    ]


@pytest.mark.parametrize(
    ("line", "profile", "expected", "warnings"),
    [
        ("-R rusage[mem=4000]", Profile(), Memory(4000 * 2**20, "node"), 2),
        ("-R rusage[mem=4GB]", Profile(), Memory(4 * GB, "node"), 1),
        ("-R rusage[mem=4GB/task]", Profile(), Memory(4 * GB, "task"), 0),
        ("-R rusage[mem=4G/host]", Profile(), Memory(4 * GB, "node"), 0),
        ("-R rusage[mem=4G/job]", Profile(), Memory(4 * GB, "job"), 0),
        (
            "-R rusage[mem=4]",
            Profile(memory_units={"lsf": "GB"}, memory_per={"lsf": "slot"}),
            Memory(4 * GB, "task"),
            0,
        ),
        ("-R rusage[mem=0.5GB/task]", Profile(), Memory(GB // 2, "task"), 0),
        ("-M 4000000", Profile(), Memory(4000000 * 1024, "task"), 2),
        ("-M 4", Profile(memory_units={"lsf": "GB"}, memory_per={"lsf": "job"}), Memory(4 * GB, "job"), 0),
        ("-M 4GB!", Profile(memory_per={"lsf": "task"}), Memory(4 * GB, "task"), 0),
    ],
)
def test_memory(line, profile, expected, warnings):
    found = reading(line, profile=profile)
    assert found.jobs[0].memory == expected
    assert len(found.warnings) == warnings
    assert all(one.message.startswith("ambiguous: ") for one in found.warnings)


def test_a_reservation_and_a_limit():
    found = reading("-M 8GB -R rusage[mem=4GB]")
    assert found.jobs[0].memory == Memory(4 * GB, "node")
    assert found.jobs[0].native == (Native("M", "8GB"),)
    assert [one.fields for one in found.directives] == [("native",), ("memory",)]
    # What says the same is lost nowhere.
    assert [one.fields for one in reading("-M 4GB -R rusage[mem=4GB]").directives] == [("memory",), ("memory",)]


def test_gpus():
    assert job("-gpu num=2").gpus == (Gpus(2, "node"),)
    assert job("-gpu num=1/task:gmodel=V100").gpus == (Gpus(1, "task", "V100"),)
    assert job("-gpu -").gpus == (Gpus(1, "node"),)
    assert job("-gpu mode=shared").gpus == (Gpus(1, "node"),)
    found = reading("-gpu num=2:mode=exclusive_process:gmem=30GB")
    assert found.jobs[0].native == (Native("gpu", "mode=exclusive_process:gmem=30GB"),)
    assert [(d.text, d.fields) for d in found.directives] == [
        ("-gpu num=2", ("gpus",)),
        ("-gpu mode=exclusive_process", ("native",)),
        ("-gpu gmem=30GB", ("native",)),
    ]
    found = job("-R 'rusage[mem=1GB,ngpus_excl_p=2,scratch=100]'")
    assert found.gpus == (Gpus(2, "node"),)
    assert Native("rusage", "scratch=100") in found.native


def test_rusage_over_time_stays_as_it_is():
    found = job("-R 'rusage[mem=20:duration=2h]'")
    assert (found.memory, found.native) == (None, (Native("rusage", "mem=20:duration=2h"),))


def test_arrays():
    found = job('-J "myArray[1-10:2,15]%5"')
    assert (found.name, found.array) == ("myArray", Array("[1-10:2,15]%5", ((1, 10, 2), (15, 15, 1)), 5))
    assert job("-J [1-3]").array == Array("[1-3]", ((1, 3, 1),))


@pytest.mark.parametrize(
    ("text", "terms", "any_of"),
    [
        ("done(12)", (("afterok", ("12",)),), False),
        ("12", (("afterok", ("12",)),), False),
        ("done(1) && done(2) && ended(3)", (("afterok", ("1", "2")), ("afterany", ("3",))), False),
        ("exit(1) || started(2)", (("afternotok", ("1",)), ("after", ("2",))), True),
        ("done(1[3])", (("afterok", ("1_3",)),), False),
        ("done(1[*])", (("aftercorr", ("1",)),), False),
        ('done("my job")', (), False),
        ("!done(1)", (), False),
        ("done(1) && (done(2) || done(3))", (), False),
        ("exit(1, > 2)", (), False),
        ("numended(1, *)", (), False),
    ],
)
def test_dependencies(text, terms, any_of):
    assert values.dependency(text) == Dependency(text, terms, any_of)


def test_begin_and_deadline():
    found = job("-b 2030:12:31:20:05", "-t 20:00")
    assert (found.begin.at, found.deadline) == ("2030-12-31T20:05:00", "20:00")
    assert job("-b 12:31:20:05").begin.at is None


def test_files_and_mail():
    found = job("-o out.%J", "-eo err.%J", "-i in.txt", "-cwd /tmp", "-u me@example.org", "-B -N")
    assert (found.output, found.error, found.input, found.workdir) == ("out.%J", "err.%J", "in.txt", "/tmp")
    assert (found.open_mode, found.native) == ("append", (Native("eo", None),))
    assert found.mail == Mail("me@example.org", ("BEGIN", "END", "FAIL"))
    assert job("-oo out -eo err").open_mode == "truncate"


def test_the_rest():
    found = job(
        "-H -x -r -sp 50 -U res1 -P proj -Jd 'a word' -m 'a b+2' -L /bin/sh -wa USR1 -wt 5 -q 'a b' -env 'all, A=b'"
    )
    assert (found.hold, found.exclusive, found.requeue, found.priority) == (True, True, True, "50")
    assert (found.reservation, found.account, found.comment) == ("res1", "proj", "a word")
    assert (found.hosts, found.shell, found.queue) == ("a b+2", "/bin/sh", "a b")
    assert found.signal == Signal("USR1", 300)
    assert found.environment == Environment("all, A=b", True, (), (("A", "b"),))
    assert job("-rn").requeue is False
    assert job("-env none").environment == Environment("none", False)
    assert job("-env \"A, B='x, y', ~C\"").environment.values == (("B", "x, y"),)


def test_the_group_pays_where_there_is_no_project():
    assert job("-G bank").account == "bank"
    found = job("-G bank -P proj")
    assert (found.account, found.native) == ("proj", (Native("G", "bank"),))


def test_places():
    found = job("-n 4", "-W 5 -q short")
    assert {name: (place.line, place.column) for name, place in found.where.items()} == {
        "tasks": (2, 7), "walltime_s": (3, 7), "queue": (3, 12),
    }  # fmt: skip


def test_errors_are_raised_with_their_place():
    with pytest.raises(ScriptError) as caught:
        readers.read_script("#!/bin/sh\n#BSUB -q a\n#BSUB -W x\ntrue\n")
    assert (caught.value.line, caught.value.column) == (3, 10)
