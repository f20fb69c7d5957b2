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
        (JOBS + "rules:\n- {trigger: start, action: {name: submit}}", "x:3:28: label: it is missing"),
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
        (JOBS + "rules:\n- {trigger: start, when: 3, action: {name: terminate}}", "x:3:26: a start rule has no when"),
        (
            JOBS + "rules:\n- trigger: metric\n  name: count.sleep.success\n  when: > 3\n",
            'x:5:11: a comparison is put in quotes: when: "> 3"',
        ),
        (
            JOBS + "rules:\n- {trigger: heartbeat, action: {name: terminate}}",
            "x:3:13: it would never fire: set logging",
        ),
        (
            JOBS + "rules:\n- {trigger: start, action: {name: terminate, value: 3}}",
            "x:3:53: value is one of cancel, leave, not 3",
        ),
        (JOBS + "rules:\n- {trigger: start, action: {name: custom, label: f}}", "custom defines no function 'f'"),
        (JOBS + START + "custom: |\n  import os\n  def f(:\n    pass\n", "x:6:9: custom is no valid Python"),
        (START + "jobs:\n- {name: sleep, command: sleep 1, count: 0}", "x:4:42: count must be 1 or more, not 0"),
        (START + "jobs:\n- {name: sleep, command: sleep 1, count: true}", "x:4:42: count must be a whole number"),
        (START + "jobs:\n- {name: sleep, command: sleep 1, nodes: 2, tasks: 1}", "can't be spread"),
        (
            START + "jobs:\n- {name: sleep, command: sleep 1, duration: 4:00}",
            "x:4:45: duration '4:00' has two readings",
        ),
        (START + "jobs:\n- {name: sleep, command: 'sleep 1 && echo'}", "'&&' needs a shell"),
        (START + "jobs:\n- {name: sleep, command: 'sleep \"1'}", "can't be split into words"),
        (START + "jobs:\n- {name: sleep}", "x:4:3: command: it is missing (a command line, or a list of words)"),
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


NEW = [
    # keys and values, at any depth
    (JOBS + START + "on_custom_error: stp", "x:4:18: on_custom_error: unknown value 'stp'; did you mean 'stop'?"),
    (JOBS + START + "variables: {x: a}", "x:4:16: a variable is a number, not 'a'"),
    (JOBS + START + "variables: {3y: 1}", "x:4:13: a variable's name has letters, digits and _"),
    (JOBS + START + "seed: -1", "x:4:7: seed must be 0 or more, not -1"),
    (JOBS + START + "member: {nam: flux}", "x:4:9: name: it is missing (which member)"),
    (JOBS + START + "member: {name: lcal}", "x:4:16: no member is named 'lcal'; did you mean 'local'?"),
    (START + "jobs:\n- {name: sleep, command: a, retries: {mx: 1}}", "x:4:39: mx: unknown key; did you mean 'max'?"),
    (START + "jobs:\n- {name: sleep, command: a, retries: {on: [faild]}}", "x:4:44: no outcome 'faild'; did you mean"),
    (
        START + "jobs:\n- {name: sleep, command: a, retries: {on: success}}",
        "x:4:43: no outcome 'success'; a success is",
    ),
    (
        START + "jobs:\n- {name: sleep, command: a, retries: many}",
        "x:4:38: retries must be a whole number, not 'many' (or a",
    ),
    (
        START + "jobs:\n- {name: sleep, command: a, retries: {max: 1, escalate: {memry: 2}}}",
        "x:4:58: memry: unknown key; did you mean 'memory'?",
    ),
    (
        START + "jobs:\n- {name: sleep, command: a, retries: {max: 1, escalate: {memory: 2}}}",
        "x:4:58: the group says no memory that could escalate",
    ),
    (
        START + "jobs:\n- {name: sleep, command: a, memory: 1, retries: {max: 1, escalate: {memory: 0.5}}}",
        "x:4:77: escalate memory: a factor is more than 1, not 0.5",
    ),
    (START + "jobs:\n- {name: sleep, command: a, environment: {A: [1]}}", "x:4:46: the value of A is a text, not [1]"),
    (
        START + "jobs:\n- {name: sleep, command: a, depends_on: slep}",
        "x:4:41: no group of jobs is named 'slep'; did you",
    ),
    (START + "jobs:\n- {name: sleep, command: a, depends_on: sleep}", "x:4:41: sleep can't wait for itself"),
    (
        START + "jobs:\n- {name: sleep, command: a, depends_on: {b: done}}\n- {name: b, command: b}",
        "x:4:45: of b it can wait for success or finished, not 'done'",
    ),
    (START + "jobs:\n- {name: sleep, command: a, attributes: {a: .nan}}", "x:4:41: attributes are what JSON can say"),
    (START + "jobs:\n- {name: sleep, command: a, memory: much}", "x:4:37: memory is a number with B, KB"),
    (
        START + "jobs:\n- {name: sleep, command: a, metrics: {t: {regx: x}}}",
        "x:4:43: regx: unknown key; did you mean 'regex'?",
    ),
    (
        START + "jobs:\n- {name: sleep, command: a, metrics: {t: {regex: x}}}",
        "x:4:50: the number is the one group of a",
    ),
    (START + "jobs:\n- {name: sleep, command: a, metrics: {t: {regex: '('}}}", "x:4:50: no regular expression: "),
    (
        START + "jobs:\n- {name: sleep, command: a, metrics: {t: {json: a..b}}}",
        "x:4:49: no path: 'a..b'; write a.b[0].c",
    ),
    (START + "jobs:\n- {name: sleep, command: a, metrics: {t: {reader: no.t}}}", "x:4:51: no plugin named 'no'"),
    (START + "jobs:\n- {name: sleep, command: a, metrics: {t-u: {json: a}}}", "x:4:39: a metric's name has letters"),
    (
        START + "jobs:\n- {name: sleep, command: a, metrics: {duration: {json: a}}}",
        "x:4:39: every group has a series 'duration' already",
    ),
    (
        START + "jobs:\n- {name: sleep, command: '{leaning_rate}', parameters: {learning_rate: 1}}",
        "x:4:26: no parameter {leaning_rate}; did you mean {learning_rate}?",
    ),
    (START + "jobs:\n- {name: sleep, command: a, parameters: {x: []}}", "x:4:45: x has no values"),
    (START + "jobs:\n- {name: sleep, command: a, parameters: {index: 1}}", "x:4:42: {index} is there in every command"),
    (
        START + "jobs:\n- {name: sleep, command: a, parameters: {random: {x: {min: 2, max: 1}}, samples: 1}}",
        "x:4:68: max is not less than min, 2 here",
    ),
    (
        START + "jobs:\n- {name: sleep, command: a, parameters: {latin: {x: {min: 1, max: 2}}}}",
        "x:4:41: samples: it is missing",
    ),
    (
        START + "jobs:\n- {name: sleep, command: a, parameters: {list: [{x: 1}, {y: 1}]}}",
        "x:4:57: this point lacks 'x', which the first has",
    ),
    (
        JOBS + START + "- {trigger: job-success, action: {name: submit, label: echo, value: {node: 3}}}",
        "x:4:70: node: unknown key; did you mean 'nodes'?",
    ),
    (
        "jobs: [{name: sleep, command: a, tasks: 2}]\n"
        + START
        + "- {trigger: job-success, action: {name: submit, label: sleep, value: {nodes: 3}}}",
        "x:4:70: 2 tasks can't be spread over 3 nodes",
    ),
    # rules
    (JOBS + START + "- {trigger: every, action: {name: terminate}}", "x:4:3: interval: it is missing (how often: 30s"),
    (JOBS + START + "- {trigger: every, when: 0, action: {name: terminate}}", "x:4:26: when is more than 0 seconds"),
    (
        JOBS + START + "- {trigger: success, action: {name: terminate}}",
        "x:4:13: unknown trigger 'success'; did you mean 'job-s",
    ),
    (
        JOBS + START + "- {trigger: metric, when: value > 3, action: {name: terminate}}",
        "x:4:27: the value of which metric?",
    ),
    (JOBS + START + "- {trigger: metric, when: 1 > 3, action: {name: terminate}}", "x:4:27: 1 > 3 names no metric"),
    (
        JOBS + START + "- {trigger: metric, when: mean.sleep-temp > 3, action: {name: terminate}}",
        "x:4:27: the group 'sleep' has no metric 'temp'; there are: duration, pending, age",
    ),
    (
        JOBS + START + "- {trigger: metric, when: mean.sleep-duration-3 > 3, action: {name: terminate}}",
        "x:4:27: when: no metric 'mean.sleep-duration-3'",
    ),
    (
        JOBS + START + "- {trigger: job-failed, when: var.x > 3, action: {name: terminate}}",
        "x:4:31: no variable 'x' is in variables or set by a rule",
    ),
    (
        JOBS + START + "- {trigger: metric, name: count.sleep.success, group: echo, action: {name: terminate}}",
        "x:4:55: the metric is one of the group 'sleep', not of 'echo'",
    ),
    (
        JOBS + START + "- {trigger: metric, name: count.sleep.success, per: job, action: {name: terminate}}",
        "x:4:27: per: job is of a series",
    ),
    (
        JOBS + START + "- {trigger: metric, name: mean.sleep-duration, per: job, action: {name: cancel}}",
        "x:4:27: duration is one value of a job",
    ),
    (JOBS + START + "- {trigger: job-start, on: update, action: {name: terminate}}", "x:4:24: on is for metric rules"),
    (JOBS + START + "- {trigger: start, action: {name: cancel}}", "x:4:28: label: it is missing (the group or the job"),
    (
        JOBS + START + "- {trigger: job-failed, action: {name: cancel, label: sleep, value: runing}}",
        "x:4:69: value is one of all, pending, running, not 'runing'",
    ),
    (JOBS + START + "- {trigger: start, action: {name: set, label: x}}", "x:4:28: value: it is missing (a number, or"),
    (JOBS + START + "- {trigger: start, action: {name: set, label: x, value: 1 +}}", "x:4:57: value: it ends where"),
    (JOBS + START + "- {trigger: start, action: {name: grow, value: 0}}", "x:4:48: value must be 1 or more, not 0"),
    (
        JOBS + START + "- {trigger: end, action: {name: message, label: 'x {mean.slep-duration}'}}",
        "x:4:49: no group of jobs is named 'slep'; did you mean 'sleep'?",
    ),
    (
        JOBS + START + "- {trigger: end, action: {name: message, label: 'x {mean.sleep-}'}}",
        "x:4:49: {mean.sleep-}: no metric 'mean.sleep-'",
    ),
    (
        JOBS + START + "- {trigger: end, action: {name: message, label: '{value}'}}",
        "x:4:49: the value of which metric?",
    ),
    (JOBS + START + "- {use: no.such}", "x:4:9: no plugin named 'no'"),
    (JOBS + START + "- {use: such}", "x:4:9: a set of rules is PLUGIN.NAME, not 'such'"),
    (JOBS + START + "-\n", "x:4:2: trigger: it is missing"),
    # YAML
    ("jobs:\n\t- a\n", "x:2:1: a tab can't indent YAML: use blanks"),
]


@pytest.mark.parametrize(("text", "problem"), NEW, ids=[problem[:60] for _, problem in NEW])
def test_more_problems_each_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(FileError) as caught:
        parse(text, "x")
    lines = str(caught.value).splitlines()
    assert any(line.startswith(problem) for line in lines), lines


def test_every_fault_of_one_rule_is_told() -> None:
    rule = "- {trigger: job-succes, wen: 3, action: {name: sumbit, labl: b, repetitions: x, backoff: -1}}\n"
    with pytest.raises(FileError) as caught:
        parse(JOBS + START + rule, "x")
    assert [(p.column, p.message.split(";")[0]) for p in caught.value.problems] == [
        (13, "unknown trigger 'job-succes'"),
        (25, "wen: unknown key"),
        (48, "unknown action 'sumbit'"),
        (56, "labl: unknown key"),
        (78, "repetitions is a number or unlimited, not 'x'"),
        (90, "backoff must be 0 or more, not -1"),
    ]


def test_anchors_and_merges_are_followed() -> None:
    text = "x-one: &one {nodes: 2, cores: 3}\njobs: [{<<: *one, name: sleep, command: a, cores: 1}]\n" + START
    group = parse(text, "x").jobs["sleep"]
    assert (group.nodes, group.cores) == (2, 1)


def test_the_document_keeps_what_the_file_says() -> None:
    text = (
        JOBS + START + "member: {name: flux, uri: local:///x}\nvariables: {x: 1e-3}\nseed: 5\non_custom_error: stop\n"
    )
    document = parse(text, "x")
    assert (document.member, document.settings) == ("flux", {"uri": "local:///x"})
    assert (document.variables, document.seed, document.stop_on_custom_error) == ({"x": 0.001}, 5, True)
    assert document.text == text


def test_two_hundred_rules_are_checked_at_once() -> None:
    # Each rule waits for the next one's group, the worst order to find out what can fire.
    jobs = "".join(f"- {{name: g{i}, command: x}}\n" for i in range(200))
    rules = "".join(
        f"- {{trigger: metric, name: count.g{i + 1}.success, when: 1, action: {{name: submit, label: g{i}}}}}\n"
        for i in range(199)
    )
    start = "- {trigger: start, action: {name: submit, label: g199}}\n"
    assert len(parse(f"jobs:\n{jobs}rules:\n{rules}{start}", "x").rules) == 200


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    with pytest.raises(FileError) as caught:
        parse(
            "rules:\n- {trigger: strat}\n- {trigger: start, action: {name: submit, label: x}}\nfoo: 1\njobs: []\n", "x"
        )
    assert [(problem.line, problem.message.split(":")[0]) for problem in caught.value.problems] == [
        (2, "action"),
        (2, "unknown trigger 'strat'; did you mean 'start'?"),
        (3, "no group of jobs is named 'x'; there are no jobs"),
        (4, "foo"),
    ]


def test_aliases_of_aliases_are_refused_before_they_grow() -> None:
    text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for name, of in zip("bcdefgh", "abcdefg", strict=True):
        text += f"{name}: &{name} [{','.join([f'*{of}'] * 10)}]\n"
    with pytest.raises(FileError, match="too deep or too large"):
        parse(text, "x")


def test_a_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(InputError, match=r"can't read the ensemble file .*: No such file"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x:1:1: the file is empty; an ensemble file is a mapping with `jobs` and `rules`"),
        (
            "version: 1\ntask: {command: a}\nattributes: {}",
            "x:1:1: an ensemble file is a mapping with `jobs` and `rules`",
        ),
        (JOBS.replace("command", "comand", 1) + START, "comand: unknown key; did you mean 'command'?"),
        ("rule: []\njobs: []", "x:1:1: rule: unknown key; did you mean 'rules'?"),
    ],
)
def test_one_mistake_is_told_once(text: str, said: str) -> None:
    with pytest.raises(FileError) as caught:
        parse(text, "x")
    mistakes = [str(problem) for problem in caught.value.problems if "no group of jobs is named" not in str(problem)]
    assert len(mistakes) == 1
    assert said in mistakes[0]


def test_what_is_no_ensemble_file_at_all_is_told_within_bounds() -> None:
    with pytest.raises(FileError, match="longer than 1048576 characters"):
        parse("a: b\n" * 300_000, "x")
    with pytest.raises(FileError) as caught:
        parse("jobs: []\n" + "a: b\n" * 300, "x")
    assert len(caught.value.problems) == 101
    assert str(caught.value.problems[-1]) == "x:102:1: and 201 more problems from here on"
