"""What qsub 8.1.9 and its qmaster made of these lines; the contract tests ask a real one again."""

from __future__ import annotations

import pytest

from jobspec.errors import ScriptError
from jobspec.gridengine.read import read
from jobspec.job import Dependency, Environment, Gpus, Mail, Memory, Native, Nodes, Signal
from jobspec.profile import DEFAULT, Profile


def job(*lines, profile=DEFAULT):
    return read("\n".join(["#!/bin/bash", *lines, "hostname", ""]), profile).jobs[0]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("#$ -N a", "a"),
        ("#$-N a", "a"),
        ("#$\t-N\ta\r", "a"),
        ("#$ -N a#b", "a"),
        ('#$ -N "a#b"', "a"),
        ("#$ -N 'a\"b'", "ab"),
        ('#$ -N "a', "a"),
        ("#$ -N a\\nb", None),
        (" #$ -N a", None),
        ("##$ -N a", None),
        ("# $ -N a", None),
        ("#$ -N a\n#$ -N b", "b"),
        ("#$ -N a/b\n#$ -N b", None),
        ("#$ -N a*b\n#$ -N b", "b"),  # qmaster sees the last one only
        ("#$ -N a\n#$ -clear", None),
        ("exit 0\n#$ -N late", "late"),
        ("\0\n#$ -N a", None),
    ],
)
def test_lines_and_words(line, name):
    if name is None and ("/" in line or "\\" in line):
        with pytest.raises(ScriptError):
            job(line)
    else:
        assert job(line).name == name


def test_what_follows_a_quote_is_one_word():
    with pytest.raises(ScriptError, match="without blanks"):
        job('#$ -N "a b" -cwd')
    reading = read('#$ -o "a b" -cwd\n', DEFAULT)
    assert (reading.jobs[0].output, reading.jobs[0].workdir) == ("a b -cwd", None)
    assert "one word" in reading.warnings[0].message


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("#$ -zzz", 4, "unknown option"),
        ("#$ --N a", 4, "unknown option"),
        ("#$ -N a -cwd b", 14, "no option"),
        ("#$ -l h_rt=1:0:0, h_vmem=1G", 19, "no option"),
        ("#$ -N", 4, "needs an argument"),
        ("#$ -pe smp", 4, "two arguments"),
        ("#$ -pe smp 1-4:2", 4, "no range"),
        ("#$ -pe smp 0", 4, "greater than zero"),
        ("#$ -l slots=4", 7, "slots"),
        ("#$ -l h_rt=1h", 7, "no time"),
        ("#$ -l h_rt=1:0", 7, "no time"),
        ("#$ -l a=1,h_vmem=4GB", 11, "no memory"),
        ("#$ -t 1,3,4", 4, "only one range"),
        ("#$ -t 0-3", 4, "invalid task id"),
        ("#$ -tc 3", 4, "array"),
        ("#$ -j oe", 4, "y or n"),
        ("#$ -m b,e", 4, "letters"),
        ("#$ -p 1025", 4, "1024"),
        ("#$ -a 203513312359", 4, "month"),
        ("#$ -h u", 7, "no option"),
        ("#$ -help", 4, "not allowed"),
        ("#$ -N 1a", 4, "digit"),
        ("#$ -o a,b", 4, "same host"),
        ("#$ -c smx", 4, "ckpt"),
        ("#$HOME/x", 3, "no option"),
    ],
)
def test_refusals_have_their_place(line, column, message):
    with pytest.raises(ScriptError, match=message) as error:
        job(line)
    assert (error.value.line, error.value.column) == (2, column)


def test_templates_and_near_misses_say_what_was_meant():
    for line, remedy in (
        ("#$ -pe smp {cpus}", "template"),
        ("#$ -l h_rt=$T", "template"),
        ("#$ -Na", "-N a"),
        ("#$ -l slots=4", "-pe"),
    ):
        with pytest.raises(ScriptError) as error:
            job(line)
        assert remedy in error.value.meant


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:0:0", 3600), ("3600", 3600), ("::5", 5), ("1::1", 3601), ("1:90:0", 9000), ("0x10", 16), ("010", 8),
        ("1.5", 2), ("1e2", 100), ("1K", 1024), ("INFINITY", "unlimited"),
    ],
)  # fmt: skip
def test_times(text, seconds):
    assert job(f"#$ -l h_rt={text}").walltime_s == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("4", 4), ("4k", 4000), ("4K", 4096), ("4g", 4 * 10**9), ("4G", 4 << 30), ("1.5G", 3 << 29), ("0x10M", 16 << 20)],
)
def test_memory_is_by_slot_and_says_so(text, size):
    reading = read(f"#$ -l h_vmem={text}\n", DEFAULT)
    assert reading.jobs[0].memory == Memory(size, "slot")
    assert "ambiguous" in reading.warnings[0].message
    told = read(f"#$ -l mf={text}\n", Profile(memory_per={"gridengine": "node"}))
    assert (told.jobs[0].memory, told.warnings) == (Memory(size, "node"), ())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3", (3, 3, 1)), ("1-10:2", (1, 10, 2)), ("5-3", (3, 5, 1)), ("1,3,5", (1, 5, 2)), ("1-4,5-8", (1, 8, 1)),
        ("1:10", (1, 10, 1)), ("1-", None), ("undefined", None),
    ],
)  # fmt: skip
def test_arrays(text, found):
    array = job(f"#$ -t {text}").array
    assert (array.ranges if array else None) == ((found,) if found else None)


def test_slots():
    one = job("#$ -pe mpi 2-4")
    assert (one.tasks, one.nodes, one.native) == (2, None, (Native("pe", "mpi 2-4"),))
    smp = read("#$ -pe smp 8\n", DEFAULT)
    assert (smp.jobs[0].tasks, smp.jobs[0].nodes) == (8, Nodes(1, 1))
    assert "ambiguous" in smp.warnings[0].message


def test_the_rest_of_the_options():
    one = job(
        "#$ -V -cwd -j y -r n -h -p -5 -notify -R y -ar 3",
        "#$ -v A=1,B -hold_jid 5,x -hold_jid_ad 7 -t 1-4 -tc 2",
        "#$ -m b -m ea -M me@example.org -q long.q@n1 -P proj -A acc -S /bin/bash",
        "#$ -l gpu=2,gpu_type=a100,exclusive,avx2 -soft -l mem_free=2G",
        "#$ -l h_rt=100,s_rt=90,h=!n3",
        "#$ -a 203512312359.30 -wd /tmp -o :out",
    )
    assert one.environment == Environment("-V -v B,A=1", True, ("B",), (("A", "1"),))
    assert one.dependency == Dependency(
        "-hold_jid 5,x -hold_jid_ad 7", (("afterany", ("5", "x")), ("aftercorr", ("7",)))
    )
    assert one.mail == Mail("me@example.org", ("BEGIN", "END", "FAIL"))
    assert (one.queue, one.hosts, one.exclude_hosts, one.account) == ("long.q", "n1", "n3", "proj")
    assert (one.join, one.requeue, one.hold, one.priority, one.reservation) == (True, False, True, "-5", "3")
    assert (one.workdir, one.output, one.shell, one.begin.at) == ("/tmp", "out", "/bin/bash", "2035-12-31T23:59:30")
    assert one.gpus == (Gpus(2, "job", "a100"),)
    assert (one.exclusive, one.constraint.all_of, one.array.throttle) == (True, ("avx2",), 2)
    assert one.signal == Signal("USR2", 60)
    assert {(native.option, native.value) for native in one.native} == {
        ("P", "proj"), ("A", "acc"), ("R", "y"), ("soft", "-l mem_free=2G"), ("l", "s_rt=90"),
    }  # fmt: skip


def test_a_soft_limit_is_a_signal():
    assert job("#$ -l h_rt=100 -l s_rt=90").signal == Signal("USR1", 10)


def test_soft_ends_with_its_line():
    assert job("#$ -soft", "#$ -l h_vmem=1G").memory == Memory(1 << 30, "slot")


def test_each_option_is_told_once():
    reading = read("#$ -N a -cwd\n  #$ -N x\n#$ -N b -l h_rt=1,gpu=1\n#$\n", DEFAULT)
    assert [(one.line, one.column, one.option, one.state) for one in reading.directives] == [
        (1, 4, "N", "overridden"),
        (1, 9, "cwd", "obeyed"),
        (2, 1, "", "ignored"),
        (3, 4, "N", "obeyed"),
        (3, 12, "l", "obeyed"),
        (3, 19, "l", "obeyed"),
    ]
    assert reading.obeyed == {1, 3}
