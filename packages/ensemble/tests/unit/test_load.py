"""Files: what is read, and that every problem has its place and says what was meant."""

from __future__ import annotations

import pytest
from resources.errors import InputError

from ensemble.errors import FileError
from ensemble.load import load, parse

GOOD = """\
logging: {debug: true, heartbeat: 2.5}
member: local
jobs:
  - {name: sleep, command: sleep 10, count: 5, nodes: 1, tasks: 2, duration: 1:00:00, workdir: /tmp}
  - name: echo
    command: [echo, "a b"]
rules:
  - trigger: start
    action: {name: submit, label: sleep}
  - {trigger: metric, name: mean.sleep-duration, when: "> 2.5", action: {name: custom, label: again, value: {x: 1}}}
  - {trigger: job-failed, name: sleep, action: {name: cancel, label: sleep, repetitions: 3, backoff: 1}}
  - {trigger: heartbeat, action: {name: terminate}}
custom: |
  def again(**kwargs):
      return None
"""


def test_the_whole_of_a_file() -> None:
    document = parse(GOOD, "x.yaml")
    assert (document.debug, document.heartbeat, document.member) == (True, 2.5, "local")
    sleep, echo = document.jobs.values()
    assert (sleep.argv, sleep.command, sleep.count, sleep.tasks) == (("sleep", "10"), "sleep 10", 5, 2)
    assert (sleep.duration, sleep.workdir) == (3600, "/tmp")
    assert (echo.argv, echo.command, echo.count, echo.nodes, echo.tasks) == (("echo", "a b"), "echo 'a b'", 1, 1, 1)
    assert [rule.trigger for rule in document.rules] == ["start", "metric", "job-failed", "heartbeat"]
    assert str(document.rules[1].when) == "> 2.5"
    assert document.rules[1].action.value == {"x": 1}
    assert (document.rules[2].action.repetitions, document.rules[2].action.backoff) == (3, 1)
    assert document.custom_line == 14


def test_rules_round_trip_as_plain_data() -> None:
    for rule in parse(GOOD, "x.yaml").rules:
        assert type(rule)(rule.as_dict()) == rule


JOBS = "jobs: [{name: sleep, command: sleep 1}, {name: echo, command: echo hi}]\n"
START = "rules:\n- {trigger: start, action: {name: submit, label: sleep}}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (JOBS + START + "ruels: []\n", "x:4:1: ruels: unknown key; did you mean 'rules'?"),
        (JOBS + START + "logging: {heartbet: 1}\n", "x:4:11: heartbet: unknown key; did you mean 'heartbeat'?"),
        (JOBS + START + "logging: {heartbeat: -1}\n", "x:4:22: heartbeat is a number of seconds"),
        (JOBS + START + "logging: {debug: 3}\n", "x:4:18: debug is true or false, not 3"),
        (JOBS + START + "member: [a]\n", "x:4:9: member is a text"),
        (JOBS + START + "jobs: []\n", "x:4:1: jobs: it is there twice"),
        (
            JOBS + "rules:\n- {trigger: start, action: {name: submit, label: slep}}",
            "x:3:50: no group of jobs is named 'slep'",
        ),
        (JOBS + "rules:\n- {trigger: start, action: {name: submti, label: sleep}}", "did you mean 'submit'?"),
        (JOBS + "rules:\n- {trigger: start, action: {name: submit}}", "x:3:28: action.label: it is missing"),
        (JOBS + "rules:\n- {trigger: start}", "x:3:3: action: it is missing"),
        (JOBS + "rules:\n- {action: {name: submit, label: sleep}}", "x:3:3: trigger: it is missing"),
        (
            JOBS + "rules:\n- {trigger: metric, name: count.slep.success, when: 3, action: {name: terminate}}",
            "x:3:27: no group",
        ),
        (
            JOBS + "rules:\n- {trigger: metric, name: count.sleep.sucess, when: 3, action: {name: terminate}}",
            "x:3:27: no count",
        ),
        (JOBS + "rules:\n- {trigger: start, when: 3, action: {name: terminate}}", "x:3:26: when is for metric rules"),
        (
            JOBS + "rules:\n- trigger: metric\n  name: count.sleep.success\n  when: > 3\n",
            'x:5:11: a comparison is put in quotes: when: "> 3"',
        ),
        (JOBS + "rules:\n- {trigger: every, action: {name: terminate}}", "'every' is not built in this version"),
        (
            JOBS + "rules:\n- {trigger: start, action: {name: grow, label: sleep}}",
            "'grow' is not built in this version",
        ),
        (
            JOBS + "rules:\n- {trigger: heartbeat, action: {name: terminate}}",
            "x:3:13: it would never fire: set logging",
        ),
        (
            JOBS + "rules:\n- {trigger: start, action: {name: terminate, value: 3}}",
            "x:3:53: value is for custom actions",
        ),
        (JOBS + "rules:\n- {trigger: start, action: {name: custom, label: f}}", "custom defines no function 'f'"),
        (JOBS + START + "custom: |\n  import os\n  def f(:\n    pass\n", "x:6:9: custom is no valid Python"),
        (START + "jobs:\n- {name: sleep, command: sleep 1, count: 0}", "x:4:42: count: it must be 1 or more, not 0"),
        (START + "jobs:\n- {name: sleep, command: sleep 1, count: true}", "x:4:42: count: it must be a whole number"),
        (START + "jobs:\n- {name: sleep, command: sleep 1, nodes: 2, tasks: 1}", "can't be spread"),
        (
            START + "jobs:\n- {name: sleep, command: sleep 1, duration: 4:00}",
            "x:4:45: duration '4:00' has two readings",
        ),
        (START + "jobs:\n- {name: sleep, command: 'sleep 1 && echo'}", "'&&' needs a shell"),
        (START + "jobs:\n- {name: sleep, command: 'sleep \"1'}", "can't be split into words"),
        (START + "jobs:\n- {name: sleep}", "x:4:3: command: it is a command line"),
        (START + "jobs:\n- {name: ../x, command: a}", "letters, digits"),
        (
            START + "jobs:\n- {name: sleep, command: a}\n- {name: sleep, command: a}",
            "x:5:10: there is a group 'sleep' already",
        ),
        (START + "jobs: {name: sleep}\n", "x:3:7: jobs is a list"),
        (JOBS, "x:1:1: there are no rules"),
        ("", "an ensemble file is a mapping"),
        ("- 1", "an ensemble file is a mapping"),
        (JOBS + "rules:\n- {trigger: start, action: {name: custom, label: f, value: .inf}}", "what JSON can say"),
        (
            JOBS + "rules:\n- {trigger: start, action: {name: custom, label: f, value: !!binary aGk=}}",
            "what JSON can say",
        ),
        ("a: [", "no valid YAML"),
        ("a: !!python/object:os.system x", "no valid YAML"),
        ("a: \x00", "no valid YAML"),
        ("[" * 500, "nested too deeply"),
    ],
)
def test_a_problem_has_its_place_and_what_was_meant(text: str, problem: str) -> None:
    with pytest.raises(FileError) as caught:
        parse(text, "x")
    lines = str(caught.value).splitlines()
    assert any(problem in line for line in lines), lines
    assert len(lines) == len(caught.value.problems)


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    with pytest.raises(FileError) as caught:
        parse(
            "rules:\n- {trigger: strat}\n- {trigger: start, action: {name: submit, label: x}}\nfoo: 1\njobs: []\n", "x"
        )
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]


def test_aliases_of_aliases_are_refused_before_they_grow() -> None:
    text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for name, of in zip("bcdefgh", "abcdefg", strict=True):
        text += f"{name}: &{name} [{','.join([f'*{of}'] * 10)}]\n"
    with pytest.raises(FileError, match="too deep or too large"):
        parse(text, "x")


def test_a_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(InputError, match=r"can't read the ensemble file .*: No such file"):
        load(tmp_path / "none.yaml")


def test_what_is_no_ensemble_file_at_all_is_told_within_bounds() -> None:
    with pytest.raises(FileError, match="longer than 1048576 characters"):
        parse("a: b\n" * 300_000, "x")
    with pytest.raises(FileError) as caught:
        parse("a: b\n" * 300, "x")
    assert len(caught.value.problems) == 101
    assert str(caught.value.problems[-1]) == "x:101:1: and 201 more problems from here on"
