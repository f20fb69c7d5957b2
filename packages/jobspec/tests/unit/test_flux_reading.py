"""Batch scripts of Flux: RFC 36 and flux-batch(1), sentence by sentence."""

from __future__ import annotations

import pytest

from jobspec.errors import ScriptError
from jobspec.flux import constraints, read
from jobspec.flux.directives import split
from jobspec.flux.values import duration, seconds
from jobspec.job import Array, Begin, Constraint, Dependency, Environment, Gpus, Native, Nodes, Signal
from jobspec.profile import DEFAULT, Profile


def reading(*lines, shebang="#!/bin/sh", profile=DEFAULT):
    return read.read("\n".join([shebang, *lines, "hostname", ""]), profile)


def job(*options):
    return reading(*(f"# flux: {option}" for option in options)).jobs[0]


def refusal(*lines, **others):
    with pytest.raises(ScriptError) as caught:
        reading(*lines, **others)
    return caught.value


def state(found, line):
    return next((one.state, one.why) for one in found.directives if one.line == line)


@pytest.mark.parametrize("sentinel", ["#FLUX:", "# flux:", "flux:", "-- flux:", "//FLUX:", "#\tflux:"])
def test_any_prefix_of_no_word_characters(sentinel):
    assert reading(f"{sentinel} -n4").jobs[0].tasks == 4


def test_examples_of_rfc_36():
    found = reading("# Set flux directives", "#FLUX: -N1 # one", "# Set job name:", "#FLUX: --job-name=test")
    assert (found.jobs[0].name, found.jobs[0].nodes) == ("test", Nodes(1, 1))
    assert found.obeyed == {3, 5}
    python = ['"""', "flux: --nodes=4", "", "Set an arbitrary value:", 'flux: --setattr=user.foo="hello, earth"', '"""']
    assert reading(*python, shebang="#!/usr/bin/env python3").jobs[0].native == (
        Native("setattr", "user.foo=hello, earth"),
    )
    assert job("-n1", """--job-name='''It's a "job"'''""").name == 'It\'s a "job"'
    lines = ['# flux: -n1 --setattr=user.conf="""', "# flux: [config]", '# flux:   item = "foo"', '# flux: """']
    assert reading(*lines).jobs[0].native == (Native("setattr", 'user.conf=[config]\n  item = "foo"\n'),)


def test_a_directive_behind_the_first_command_is_an_error():
    error = refusal("#FLUX: -N1", "hostname; date", "#FLUX: --job-name=test")
    assert (error.line, error.message[:27]) == (4, "a directive after line 3, w")
    assert "move it up" in error.meant


def test_a_line_of_another_prefix_ends_the_directives_only_where_a_directive_follows():
    assert reading("#FLUX: -n1", "", "# a comment", "echo", "# flux is mentioned").jobs[0].tasks == 1
    assert reading("-- flux: -n1", "--x", "echo").jobs[0].tasks == 1


def test_one_sentinel_in_a_file():
    error = refusal("# flux: -n1", "## flux: -N4")
    assert error.line == 3
    assert "behind the sentinel" in error.meant


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-N 4 -c 2", ["-N", "4", "-c", "2"]),
        ("--x='a b' -y # -z", ["--x=a b", "-y"]),
        ("--x=a#b", ["--x=a"]),
        ("--x='it\\'s'", ["--x=it's"]),  # a backslash is an escape in single quotes too
        ('--x="a\\"b\\c"', ['--x=a"b\\c']),
        ("--x=a;b", ["--x=a", ";", "b"]),
        ("''", [""]),
        ("a\\ b", ["a b"]),
    ],
)
def test_words(line, words):
    assert [word.text for word in split(line)[0]] == words


def test_last_one_wins_and_the_first_is_told():
    found = reading("# flux: -n4", "# flux: -n 8")
    assert found.jobs[0].tasks == 8
    assert state(found, 2) == ("overridden", "a later one overrides it (line 3)")
    assert [(one.line, one.column, one.text) for one in found.directives] == [(2, 9, "-n4"), (3, 9, "-n 8")]


def test_attributes_win_over_options():
    found = reading("# flux: -n1 --setattr=bank=b", "# flux: -B a -S system.duration=90 -t 5m")
    assert (found.jobs[0].account, found.jobs[0].walltime_s) == ("b", 90)
    assert [one.state for one in found.directives].count("overridden") == 2


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("# Flux: -N4", "not a directive"),
        ("#  FLUX : -N4", "not a directive"),
        ("# flux: # -N4", "a comment"),
        ("# flux: -c1 word -N4", "forgets the first word"),
    ],
)
def test_ignored_by_number(line, what):
    found = reading("# flux: -n2", line)
    assert found.jobs[0].nodes is None
    assert [(one.line, what in one.why) for one in found.directives if one.state == "ignored"] == [(3, True)]


def test_nodes_alone_are_whole_nodes():
    one = job("-N3")
    assert (one.nodes, one.tasks, one.exclusive) == (Nodes(3, 3), 3, True)
    one = job("-N3 -n6 -g2 -c 4")
    assert (one.tasks, one.exclusive, one.cpus_per_task, one.gpus) == (6, False, 4, (Gpus(2, "task"),))
    assert job("-N3 -n6 -x").exclusive


@pytest.mark.parametrize(
    ("options", "message", "meant"),
    [
        ("--job-name=x", "no number of slots", "--nslots or --nodes"),
        ("-n1 --time=30", "no option --time", "--time-limit"),
        ("-n1 --nodess=3", "no option --nodess", "did you mean --nodes?"),
        ("-n {cpus}", "whole number", "a template"),
        ("-n 4 -x", "--exclusive needs a number of nodes", "--nodes"),
        ("-N4 -n2", "2 slots can't be spread over 4 nodes", ""),
        ("-n1 -t 4:00", "no time limit", "1.5h or 90m"),
        ("-n1 -t inf", "no time limit", ""),
        ("-n1 -Z", "no option -Z", ""),
        ("-n1 -c", "needs a value", ""),
        ("-n1 -c -x", "needs a value", ""),
        ("-n1 --unbuffered=3", "takes no value", ""),
        ("-n1 --signal=FOO", "no signal", ""),
        ("-n1 --urgency=32", "no urgency", ""),
        ("-n1 --flags=fast", "no flag", ""),
        ("-n1 --requires='a('", "--requires", ""),
        ("-n1 --requires=size:3", "no constraint is named 'size'", ""),
        ("-n1 --begin-time=+soon", "", "+1h"),
        ("-n1 'open", "not closed", ""),
        ("queue=batch", "an option starts with a dash", ""),
    ],
)
def test_refused(options, message, meant):
    error = refusal(f"# flux: {options}")
    assert error.line in (1, 2)
    assert message in error.message
    assert meant in error.meant


def test_a_script_has_a_first_line_that_names_its_shell():
    assert "#!" in refusal("# flux: -n1", shebang="# no").message
    assert reading("# flux: -n1 --wrap", shebang="# no").jobs[0].native == (Native("wrap", None),)


def test_a_site_with_an_older_flux_may_allow_abbreviations():
    older = Profile(options={"flux": ("time", "cluster")})
    found = reading("# flux: -n1 --time=3h --cluster=x", profile=older).jobs[0]
    assert (found.walltime_s, found.native) == (10800, (Native("cluster", "x"),))


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ("-t 30", "walltime_s", 1800),
        ("-t 1.5h", "walltime_s", 5400),
        ("-t 90s", "walltime_s", 90),
        ("-t 100ms", "walltime_s", 1),
        ("-t 0", "walltime_s", "unlimited"),
        ("-q debug", "queue", "debug"),
        ("--bank=chem", "account", "chem"),
        ("--urgency=hold", "hold", True),
        ("--urgency=20", "priority", "20"),
        ("--output={{id}}.out", "output", "{{id}}.out"),
        ("-o output.mode=append", "open_mode", "append"),
        ("--signal=USR2@3m", "signal", Signal("USR2", 180)),
        ("--signal=@1h", "signal", Signal("USR1", 3600)),
        ("--begin-time=+1h", "begin", Begin("+1h", 3600)),
        ("--begin-time='2030-01-01 10:00:00'", "begin", Begin("2030-01-01 10:00:00", None, "2030-01-01T10:00:00")),
        ("--begin-time=2030-01-01T10:00:00", "begin", Begin("2030-01-01T10:00:00")),  # which Flux misreads
        ("--requires=a,b", "constraint", Constraint("a,b", ("a", "b"))),
        ("--requires='a|b'", "constraint", Constraint("a|b")),
        ("--requires=host:n[1-3]", "hosts", "n[1-3]"),
        ("--requires=-host:n7", "exclude_hosts", "n7"),
        ("--dependency=afterok:f12", "dependency", Dependency("afterok:f12", (("afterok", ("f12",)),))),
        ("--dependency=afterexcept:1", "dependency", Dependency("afterexcept:1")),
        ("--env=A=b", "environment", Environment("A=b", True, (), (("A", "b"),))),
        ("--env-remove=* --env=HOME", "environment", Environment("'-*' HOME", False, ("HOME",), ())),
        ("--setattr=user.array=0-9:3%2", "array", Array("0-9:3%2", ((0, 9, 3),), 2)),
    ],
)
def test_values(options, field, value):
    found = job("-n1", options)
    assert getattr(found, field) == value
    assert found.where[field].line == 3


def test_environment_rules_that_are_not_plain_stay_in_their_order():
    found = job("-n1 --env=A=$HOME --env-remove=B* --env-file=x")
    assert found.environment is None
    assert found.native == (Native("env", "A=$HOME"), Native("env-remove", "B*"), Native("env-file", "x"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", {"properties": ["a", "b"]}),
        ("a|b", {"or": [{"properties": ["a"]}, {"properties": ["b"]}]}),
        ("a b|c", {"or": [{"properties": ["a", "b"]}, {"properties": ["c"]}]}),
        ("-host:x", {"not": [{"hostlist": ["x"]}]}),
        ("not a b", {"not": [{"properties": ["a", "b"]}]}),
        ("host:'a b'", {"hostlist": ["a b"]}),
    ],
)
def test_constraints(text, expected):
    assert constraints.parse(text) == expected


@pytest.mark.parametrize("text", ["", "a &", "(a", "a)", "-(a|b)", "host:", "'a", "not"])
def test_no_constraints(text):
    with pytest.raises(ValueError, match=r"."):
        constraints.parse(text)


@pytest.mark.parametrize(
    ("text", "count"), [("a", 1), ("a[1-3,7],b", 5), ("n[01-10]", 10), ("n[1-", None), ("n[a]", None), ("", None)]
)
def test_hosts_are_counted(text, count):
    assert constraints.count_hosts(text) == count


def test_durations_of_rfc_23():
    vectors = {"2ms": 0.002, "0.1s": 0.1, "30": 30, "1.2h": 4320, "5m": 300, "0s": 0, "5d": 432000}
    assert {text: seconds(text) for text in vectors} == pytest.approx(vectors)
    assert [duration(value) for value in (1, 60, 90, 3600, 86400)] == ["1s", "1m", "90s", "1h", "24h"]


def test_carriage_returns_end_lines_too():
    found = read.read("#!/bin/sh\r\n# flux: -N2\r\n# flux: --job-name=x\r\nhostname\r\n", DEFAULT)
    assert (found.jobs[0].name, found.obeyed) == ("x", {2, 3})
    found = read.read("#!/bin/sh\n# flux: -n3\r# flux: -c2\rhostname\n", DEFAULT)
    assert (found.jobs[0].cpus_per_task, found.obeyed) == (2, frozenset())


def test_bytes_that_are_no_text():
    error = refusal("# flux: -n1", "echo \udce9")
    assert (error.line, error.column) == (3, 6)
