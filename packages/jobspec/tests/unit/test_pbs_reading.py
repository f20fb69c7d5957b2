"""PBS Pro's, Torque's and Moab's directives, rule by rule of their manuals."""

from __future__ import annotations

import pytest

from jobspec import readers
from jobspec.errors import ScriptError
from jobspec.job import Begin, Constraint, Gpus, Mail, Memory, Native, Nodes
from jobspec.pbs import read_moab, read_pro, read_torque, values
from jobspec.pbs.dialect import ASSUMED, dialect
from jobspec.profile import DEFAULT

READ = {"pbspro": read_pro.read, "torque": read_torque.read, "moab": read_moab.read}


def reading(*lines, system="pbspro", shebang="#!/bin/bash"):
    return READ[system]("\n".join([shebang, *lines, "hostname", ""]), DEFAULT)


def job(*options, system="pbspro"):
    found = reading(*(f"#PBS {option}" for option in options), system=system).jobs
    assert len(found) == 1
    return found[0]


def refused(*options, system="pbspro"):
    with pytest.raises(ScriptError) as caught:
        job(*options, system=system)
    return caught.value


# which lines are directives: Torque's qsub(1B), "Script Processing"


def test_lines_that_are_directives():
    text = "\n".join(
        [
            ":",
            "#PBS -N a",
            "",
            "  # a comment",
            "   #PBS -h",
            "#PBS-r n",
            "# PBS -V",
            "##PBS -V",
            "#pbs -V",
            "x",
            "#PBS -V",
        ]
    )
    found = read_torque.read(text, DEFAULT)
    assert (found.jobs[0].name, found.jobs[0].hold, found.jobs[0].requeue) == ("a", True, False)
    assert found.jobs[0].environment is None
    assert found.obeyed == {2, 5, 6}
    assert [(one.line, one.state) for one in found.directives if one.state == "ignored"] == [
        (7, "ignored"),
        (8, "ignored"),
        (9, "ignored"),
        (11, "ignored"),
    ]
    assert "after the first command" in found.directives[-1].why


def test_a_colon_is_skipped_in_the_first_line_only():
    assert read_pro.read("#!/bin/sh\n:\n#PBS -N a\n", DEFAULT).jobs[0].name is None


def test_a_directive_goes_on_after_a_backslash():
    found = reading("#PBS -N a \\", " -l walltime=10 \\", "#PBS -h")
    assert found.obeyed == {2, 3, 4}
    one = found.jobs[0]
    assert (one.name, one.walltime_s, one.hold) == ("a", 10, True)
    assert (one.where["walltime_s"].line, one.where["walltime_s"].column) == (3, 2)


def test_quotes_and_comments():
    one = job("-N \"a_b\" -A 'x y' # it's a comment", "-v \"a=10,b='c,d'\"")
    assert (one.name, one.account) == ("a_b", "x y")
    assert one.environment.values == (("a", "10"), ("b", "c,d"))
    assert refused("-A 'x").message == "unmatched '"


def test_options_with_and_without_a_blank():
    one = job("-joe -lselect=2:ncpus=3 -Vh", "-koe -q batch@server")
    assert (one.join, one.nodes, one.cpus_per_task, one.hold, one.queue) == (True, Nodes(2, 2), 3, True, "batch")
    assert Native("k", "oe") in one.native
    assert Native("q", "@server") in one.native


def test_one_entry_for_each_thing_asked():
    found = reading("#PBS -l walltime=1:00:00,select=1:ncpus=2 -N a")
    assert [(one.option, one.column, one.text) for one in found.directives] == [
        ("l walltime", 9, "-l walltime=1:00:00"),
        ("l select", 26, "-l select=1:ncpus=2"),
        ("N", 43, "-N a"),
    ]


def test_the_last_one_counts():
    found = reading("#PBS -N a", "#PBS -l walltime=1", "#PBS -N b -l walltime=2")
    assert (found.jobs[0].name, found.jobs[0].walltime_s) == ("b", 2)
    assert [(one.line, one.state, one.why) for one in found.directives][:2] == [
        (2, "overridden", "line 4 says it again"),
        (3, "overridden", "line 4 says it again"),
    ]


@pytest.mark.parametrize(
    ("system", "option", "message", "meant"),
    [
        ("pbspro", "-t 1-3", "no option -t", "PBS Pro: -J"),
        ("torque", "-J 1-3", "no option -J", "Torque: -t"),
        ("pbspro", "-N", "needs a value", ""),
        ("pbspro", "--select=1", "no option --select", ""),
        ("pbspro", "nodes=2", "is no option", "did you mean -l nodes=2?"),
        ("torque", "?N test", "is no option", "did you mean -N?"),
        ("pbspro", "-l walltime=1h", "is no time", ""),
        ("pbspro", "-l walltime=1:00:00:00", "is no time", ""),
        ("pbspro", "-l walltime={time}", "is no time", "a template: fill it in first"),
        ("pbspro", "-l select=1:ncpus=$N", "no whole number", "a template: fill it in first"),
        ("torque", "-l nodes=1:ppn=##CPU##", "nodes: ", "a template: fill it in first"),
        ("torque", "-l nodes=<nodes>:ppn=2", "nodes are a count", "a template: fill it in first"),
        ("torque", "-l mem=1.5gb", "no size", ""),
        ("pbspro", "-l select=2:ncpus=1,", "illegal -l value", ""),
        ("pbspro", "-l select=1:ncpus=1:ncpus=2", "twice", ""),
        ("pbspro", "-l place=scatter", "without select", ""),
        ("pbspro", "-l select=1 -l place=:excl", "is no [free", ""),
        ("pbspro", "-l select=1 -l mem=1gb", "old syntax", "inside of the select"),
        ("pbspro", "-l mpiprocs=4", "only inside of a select", ""),
        ("pbspro", "-l nodes=3 -l ncpus=4", "not evenly divisible", ""),
        ("pbspro", "-l nodes=1:gpus=1", "no part of a node", ""),
        ("pbspro", "-l max_walltime=9", "min_walltime", ""),
        ("torque", "-l select=1:ncpus=2", "PBS Pro", "nodes=N:ppn=P"),
        ("torque", "-l nodes=1 -l ncpus=2", "can't both", ""),
        ("pbspro", "-J 3", "no range", ""),
        ("pbspro", "-J 1,3", "no range", ""),
        ("pbspro", "-J 5-5", "no range", ""),
        ("torque", "-t 5-1", "backwards", ""),
        ("pbspro", "-j o", "none of oe, eo, n", ""),
        ("pbspro", "-m x", "it is n, or some of a b e j", ""),
        ("pbspro", "-m j", "it is n, or some of a b e j", ""),
        ("pbspro", "-r maybe", "neither y nor n", ""),
        ("pbspro", "-p 2000", "-1024 to 1023", ""),
        ("pbspro", "-a 2561", "out of range", ""),
        ("pbspro", "-a tomorrow", "no date", ""),
        ("pbspro", "-N a@b", "no name", ""),
        ("torque", "-N 1a", "no name", ""),
        ("pbspro", "-k x", "it is n, or some of d e o", ""),
        ("pbspro", "-W depend=afterwards:1", "no kind of dependency", ""),
        ("pbspro", "-W depend=afterok:", "needs ids", ""),
        ("pbspro", "-W umask=9", "no umask", ""),
        ("pbspro", "-I -J 1-2", "interactive", ""),
    ],
)
def test_refused(system, option, message, meant):
    error = refused(option, system=system)
    assert message in error.message
    assert meant in error.meant
    assert (error.line, error.column > 5) == (2, True)


# values


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10", 10), ("10b", 10), ("2KB", 2048), ("3mb", 3 << 20), ("4g", 4 << 30), ("1pb", 1 << 50), ("2kw", 16384)],
)
def test_sizes(text, expected):
    assert values.size(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("4:00", 240), ("1:00:00", 3600), ("60:00:0", 216000), ("0:0:1.4", 1), ("1.5", 2), ("10.", 10)],
)
def test_times(text, expected):
    assert values.duration(text) == expected


def test_days_are_torques():
    assert job("-l walltime=1:02:03:04", system="torque").walltime_s == 93784
    assert dialect("#PBS -l walltime=1:02:03:04\n")[0] == "torque"


def test_dates():
    assert values.date("202401020304.05") == Begin("202401020304.05", at="2024-01-02T03:04:05")
    assert values.date("2401020304") == Begin("2401020304", at="2024-01-02T03:04:00")
    assert values.date("1630") == Begin("1630")


def test_mail():
    assert job("-m abe -M a@x,b@y").mail == Mail("a@x,b@y", ("BEGIN", "END", "FAIL"))
    assert job("-M a@x").mail == Mail("a@x", ("FAIL",))  # -m: the default is a
    assert job("-m n").mail == Mail(None, ())
    assert job("-m ja").mail.types == ("ARRAY_TASKS", "FAIL")


def test_streams():
    one = job("-o out -e err")
    assert (one.output, one.error, one.join) == ("out", "err", False)
    found = reading("#PBS -j oe -o out -e err")
    assert (found.jobs[0].output, found.jobs[0].error) == ("out", None)
    assert found.directives[-1].state == "inert"
    one = job("-j eo -o out -e err")
    assert (one.output, one.error, one.join) == ("err", None, True)
    found = reading("#PBS -o localhost:/tmp/x", "#PBS -e other:y")
    assert (found.jobs[0].output, found.jobs[0].error) == ("/tmp/x", "y")
    assert [one.text for one in found.directives if one.fields == ("native",)] == ["other:"]


def test_names():
    assert job("-N " + "a" * 236).name
    refused("-N " + "a" * 237)
    assert job("-N 2nd_run").name
    assert job("-N a=b@c", system="torque").name


# chunks: pbs_resources(7B) of PBS Pro


def test_chunks():
    one = job("-l select=3:ncpus=8:mpiprocs=4:ompthreads=2:ngpus=2:mem=4gb -l place=scatter:excl")
    assert one.nodes == Nodes(3, 3)
    assert (one.tasks, one.tasks_per_node, one.cpus_per_task) == (12, 4, 2)
    assert one.gpus == (Gpus(2, "node"),)
    assert one.memory == Memory(4 << 30, "node")
    assert one.exclusive
    assert one.placement == "scatter:excl"


def test_mpiprocs_is_one_by_default():
    one = job("-l select=4:ncpus=28")
    assert (one.tasks, one.tasks_per_node, one.cpus_per_task) == (4, None, 28)
    one = job("-l select=8:system=polaris")
    assert (one.tasks, one.cpus_per_task, one.constraint.text) == (8, 1, "system=polaris")


def test_packed_chunks_are_on_one_node():
    one = job("-l select=4:ncpus=2:mpiprocs=1:mem=1gb:ngpus=1 -l place=pack")
    assert (one.nodes, one.tasks, one.cpus_per_task) == (Nodes(1, 1), 4, 2)
    assert (one.memory, one.gpus) == (Memory(4 << 30, "node"), (Gpus(4, "node"),))


def test_chunks_that_may_share_a_host():
    found = reading("#PBS -l select=4:ncpus=2")
    assert "may share a host" in found.warnings[0].message
    assert "may share a host" in found.directives[0].why
    assert not reading("#PBS -l select=4:ncpus=2 -l place=scatter").warnings


def test_cpus_that_do_not_divide():
    found = reading("#PBS -l select=1:ncpus=5:mpiprocs=2")
    assert found.jobs[0].cpus_per_task == 3
    assert "don't divide" in found.directives[0].why
    assert job("-l select=1:ncpus=2:mpiprocs=10").cpus_per_task == 1


def test_kinds_of_chunks_are_components():
    found = reading("#PBS -l select=2:ncpus=1:mem=10gb+3:ncpus=2:mem=8gb:ngpus=1,walltime=60")
    assert [(one.nodes.least, one.cpus_per_task, one.memory.bytes >> 30) for one in found.jobs] == [
        (2, 1, 10),
        (3, 2, 8),
    ]
    assert [one.gpus for one in found.jobs] == [(), (Gpus(1, "node"),)]
    assert {one.walltime_s for one in found.jobs} == {60}
    assert [one.text for one in found.directives][:2] == [
        "-l select=2:ncpus=1:mem=10gb+3:ncpus=2:mem=8gb:ngpus=1",
        "+3:ncpus=2:mem=8gb:ngpus=1",
    ]


def test_what_the_site_made():
    found = reading("#PBS -l select=2:green=true:red=false:pcmem=6gb:host=n1:model=v100")
    one = found.jobs[0]
    assert one.constraint == Constraint("green=true:red=false:model=v100", ())
    assert job("-l select=1:green=true:model=v100").constraint.all_of == ("green", "model=v100")
    assert one.hosts == "n1"
    assert one.native == (Native("l select", "pcmem=6gb"),)
    assert ("pcmem=6gb", ("native",)) in [(entry.text, entry.fields) for entry in found.directives]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-l nodes=4:ppn=2", "-l select=4:ncpus=2:mpiprocs=2 -l place=scatter"),
        ("-l nodes=4 -l mem=16gb", "-l select=4:ncpus=1:mem=4gb -l place=scatter"),
        (
            "-l nodes=3:green:ncpus=4:ppn=2+2:red",
            "-l select=3:green=true:ncpus=4:mpiprocs=2+2:red=true:ncpus=1 -l place=scatter",
        ),
        ("-l nodes=2:ppn=1#excl", "-l select=2:ncpus=1:mpiprocs=1 -l place=scatter:excl"),
        ("-l nodes=2#fast -l ncpus=8", "-l select=2:ncpus=4:fast=true -l place=scatter"),
        ("-l nodes=node7:ppn=3", "-l select=1:host=node7:ncpus=3:mpiprocs=3 -l place=scatter"),
    ],
)
def test_the_node_specification_of_old(old, new):
    """Examples of "BACKWARD COMPATIBILITY", and its rules."""
    from dataclasses import replace

    converted, said = reading(f"#PBS {old}").jobs, reading(f"#PBS {new}").jobs
    assert [replace(one, where={}) for one in converted] == [replace(one, where={}) for one in said]


def test_the_resource_specification_of_old():
    one = job("-l ncpus=48,mem=192gb,ngpus=4,walltime=2:00:00", "-l wd", "-l storage=a/b+c/d")
    assert (one.nodes, one.tasks, one.cpus_per_task) == (None, 1, 48)
    assert (one.memory, one.gpus) == (Memory(192 << 30, "job"), (Gpus(4, "job"),))
    assert one.native == (Native("l storage", "a/b+c/d"), Native("l wd", None))


def test_sizes_are_rounded_up_to_kb():
    assert job("-l select=1:mem=1025b").memory.bytes == 2048


def test_project_and_account():
    assert job("-P a").account == "a"
    one = job("-P a -A b")
    assert one.account == "b"
    assert Native("P", "a") in one.native


def test_shrink_to_fit():
    one = job("-l min_walltime=60,max_walltime=120")
    assert (one.walltime_min_s, one.walltime_s) == (60, 120)


# Torque: "Requesting Resources"


def test_nodes_of_torque():
    one = job("-l nodes=2:ppn=8:gpus=1:fast:big,mem=16gb,walltime=90", system="torque")
    assert (one.nodes, one.tasks, one.tasks_per_node, one.cpus_per_task) == (Nodes(2, 2), 16, 8, 1)
    assert (one.gpus, one.memory) == ((Gpus(1, "node"),), Memory(16 << 30, "job"))
    assert one.constraint == Constraint("fast:big", ("fast", "big"))


def test_hosts_of_torque():
    one = job("-l nodes=n1:ppn=2+n2:ppn=2", system="torque")
    assert (one.nodes, one.tasks, one.hosts) == (Nodes(2, 2), 4, "n1,n2")
    found = reading("#PBS -l nodes=1:ppn=2+2:ppn=4", system="torque")
    assert [(one.nodes.least, one.tasks) for one in found.jobs] == [(1, 2), (2, 8)]


def test_processors_of_torque():
    assert (job("-l procs=12", system="torque").nodes, job("-l procs=12", system="torque").tasks) == (None, 12)
    assert job("-l ncpus=4", system="torque").cpus_per_task == 4


def test_memory_of_torque():
    assert job("-l pmem=2gb", system="torque").memory == Memory(2 << 30, "task")
    one = job("-l pmem=2gb,mem=8gb,vmem=9gb", system="torque")
    assert one.memory == Memory(8 << 30, "job")
    assert {native.option for native in one.native} == {"l pmem", "l vmem"}


def test_extensions():
    one = job("-W x=NACCESSPOLICY:SINGLEJOB;QOS:high", "-l feature=a:b", system="torque")
    assert (one.exclusive, one.qos, one.constraint.all_of) == (True, "high", ("a", "b"))
    assert job('-W x=\\"NACCESSPOLICY:SINGLEJOB\\"', system="torque").exclusive
    assert job("-l qos=low -W x=QOS:high", system="torque").qos == "low"
    assert job("-l feature='gpu|cent7'", system="torque").constraint.all_of == ()


def test_arrays_of_torque():
    one = job("-t 1,5-7%2", system="torque")
    assert (one.array.ranges, one.array.throttle) == (((1, 1, 1), (5, 7, 1)), 2)


def test_moab_reads_both_kinds_of_lines():
    found = read_moab.read("#!/bin/sh\n#MSUB -N a\n#PBS -l nodes=2:ppn=3\n#MSUB -t b.[1-3]%1\nx\n", DEFAULT)
    one = found.jobs[0]
    assert (one.name, one.tasks, one.array.ranges, one.array.throttle) == ("a", 6, ((1, 3, 1),), 1)
    assert found.obeyed == {2, 3, 4}


# which of them


@pytest.mark.parametrize(
    ("script", "expected", "line"),
    [
        ("#PBS -N a\n#PBS -l select=1\n", "pbspro", 2),
        ("#PBS -lselect=1\n", "pbspro", 1),
        ("#PBS -l walltime=1,place=free,select=1\n", "pbspro", 1),
        ("#PBS -J 1-3\n", "pbspro", 1),
        ("#PBS -P project\n", "pbspro", 1),
        ("#PBS -l nodes=1:ncpus=4\n", "pbspro", 1),
        ("#PBS -l nodes=2:ppn=4\n", "torque", 1),
        ("#PBS -l nodes=1:gpus=2\n", "torque", 1),
        ("#PBS -l procs=4\n", "torque", 1),
        ("#PBS -t 1-3\n", "torque", 1),
        ("#PBS -l pmem=1gb\n", "torque", 1),
        ("#PBS -W x=QOS:a\n", "torque", 1),
        ("#PBS -l feature=a\n", "torque", 1),
        ("#PBS -N -l_nodes=\n", "pbspro", 0),
        ("#PBS -N a # not -t 1-3\n", "pbspro", 0),
        ("#PBS -N a\necho $PBS_ARRAYID\n", "torque", 2),
        ("#PBS -N a\necho $PBS_ARRAY_INDEX\n", "pbspro", 2),
    ],
)
def test_dialects(script, expected, line):
    found = dialect(script)
    assert found[:2] == (expected, line)
    assert found[2]
    assert (found[2] == ASSUMED) == (line == 0)
    evidence = readers.detect(script)
    assert evidence[0].system == expected
    assert readers.read(script, "pbs").system == expected


def test_from_pbs_is_read_and_to_pbs_is_an_error(jobspec, tmp_path):
    script = tmp_path / "a.sh"
    script.write_text("#!/bin/sh\n  #PBS -l nodes=1:ppn=2\nx\n")
    assert '"system": "torque"' in jobspec("explain", "--json", "--from", "pbs", script).stdout
    assert '"system": "torque"' in jobspec("explain", "--json", script).stdout
    result = jobspec("convert", script, "--to", "pbs")
    assert result.exit_code == 1
    assert "pbspro, torque" in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        "#PBS -l nodes=" + "a+" * 200_000 + "a\n",
        "#PBS -l nodes=" + "a+" * 2000 + "a\n",
        "#PBS -l select=" + "1:ncpus=1+" * 2000 + "1\n",
        "#PBS " + "-l nodes=1:" * 10_000 + "\n",
        "#PBS -v " + ",".join(f"a{n}" for n in range(10_000)) + "\n",
        "#PBS -N a\\\n" * 5000,
        "#PBS -N '" + "a" * 10**6 + "\n",
        "#PBS -l ,,,,\n" * 5000,
        ("#PBS -l " + "nodes=1," * 100 + "\n") * 500,
        "# PBS -l x\n" * 20_000,
        "x\n" * 20_000 + "#PBS -N x\n" * 20_000,
    ],
)
@pytest.mark.timeout(60)
def test_large_input_takes_little_time(text):
    for system in ("pbs", "pbspro", "torque", "moab"):
        readers.read(text, system)
