from __future__ import annotations

from pathlib import Path

import pytest

from jobspec import runner
from jobspec.document import load
from jobspec.errors import DocumentError
from jobspec.job import Gpus, Job, Memory, Nodes
from jobspec.shape import job_of
from jobspec.spec import Attributes, StepSpec
from jobspec.transformer.flux import Transformer


def spec(task="{command: [hostname]}", rest=""):
    return f"version: 1\ntask: {task}\n{rest}\n"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("[]", "", "mapping"),
        ("{version: 2, task: {}}", "version", "must be 1"),
        ("{version: true, task: {}}", "version", "must be 1"),
        ("{version: 1}", "", "either a task or"),
        ("{version: 1, task: {}, tasks: []}", "", "either a task or"),
        (spec(rest="extra: 1"), "", "unknown key 'extra'"),
        (spec("{comand: [a]}"), "task", "unknown key 'comand'"),
        (spec("{command: hostname}"), "task.command", "list"),
        (spec('{command: [""]}'), "task.command[0]", "empty"),
        (spec("{transform: [{}]}"), "task.transform[0]", "names no step"),
        (spec("{transform: [{step: 3}]}"), "task.transform[0].step", "text"),
        (spec("{scripts: [{name: a}]}"), "task.scripts[0]", "no content"),
        (spec("{scripts: [{name: a, content: x}, {name: a, content: y}]}"), "task.scripts[1].name", "second"),
        (spec("{count: {per_slot: 0}}"), "task.count.per_slot", "from 1 up"),
        (spec("{count: {per_slot: 1, total: 2}}"), "task.count", "either"),
        (spec("{resources: {io: null}}"), "task.resources.io", "value of a fact"),
        (spec("{resources: {nodes: 2}}"), "task.resources.nodes", "no fact of one host"),
        (spec("{resources: {memory: lots}}"), "task.resources.memory", "memory"),
        (spec(rest="resources: {type: node, count: -1}"), "resources.count", "from 1 up"),
        (spec(rest="resources: {type: node, with: [{count: 1}]}"), "resources.with[0]", "no type"),
        (spec(rest="resources: [{type: node}, {type: node}]"), "resources", "one vertex"),
        (spec(rest="attributes: {system: {duration: 4:00}}"), "attributes.system.duration", "two readings"),
        (spec(rest="attributes: {system: {cwd: here}}"), "attributes.system.cwd", "absolute"),
        (spec(rest="attributes: {system: {environment: {A: 1}}}"), "attributes.system.environment.A", "text"),
        ("{version: 1, tasks: [{}, {x: 1}]}", "tasks[1]", "unknown key"),
    ],
)
def test_refusals_say_where(text, place, message):
    with pytest.raises(DocumentError) as caught:
        load(text)
    assert caught.value.place == place
    assert message in caught.value.message


def test_the_whole_form():
    made = load(
        "version: 1\n"
        "resources: {type: node, count: 2, with: [{type: slot, count: 2, label: a, with: [{type: core, count: 4}]}]}\n"
        "task: {name: n, slot: a, count: {total: 8}, command: [echo, hi], scripts: [{name: s, content: c}],\n"
        "  transform: [{step: write, filename: s}]}\n"
        "attributes: {system: {duration: 1h, cwd: /tmp, environment: {A: b}}, user: {who: me}}\n"
    )
    [task] = made.tasks
    assert (task.name, task.slot, task.count, task.counted) == ("n", "a", 8, "total")
    assert task.command == ("echo", "hi")
    assert task.scripts == {"s": "c"}
    assert task.transform[0] == StepSpec("write", {"filename": "s"}, "task.transform[0]")
    assert (task.attributes, made.user) == (Attributes(3600, "/tmp", {"A": "b"}), {"who": "me"})
    assert job_of(task) == Job(name="n", nodes=Nodes(2, 2), tasks=8, cpus_per_task=2, walltime_s=3600)


def test_without_steps_the_command_is_submitted():
    [task] = load(spec()).tasks
    assert [step.name for step in task.transform] == ["submit"]


def shape(resources, task="{}"):
    made = load(spec(task, f"resources: {resources}"))
    return job_of(made.tasks[0])


def test_shapes():
    assert shape("{type: slot, count: 5, with: [{type: core, count: 3}]}") == Job(tasks=5, cpus_per_task=3)
    assert shape("{type: node, count: 2}") == Job(nodes=Nodes(2, 2), tasks=2, exclusive=True)
    assert shape("{type: node, count: 2, with: [{type: core, count: 3}]}") == Job(
        nodes=Nodes(2, 2), tasks=2, cpus_per_task=3
    )
    inner = "[{type: core, count: 3}, {type: gpu, count: 2}, {type: memory, count: 8, unit: GB}]"
    expected = Job(
        nodes=Nodes(2, 2), tasks=2, cpus_per_task=3, gpus=(Gpus(2, "task"),), memory=Memory(8 * 2**30, "task")
    )
    assert shape(f"{{type: slot, count: 2, with: [{{type: node, with: {inner}}}]}}") == expected
    assert shape("{type: core, count: 4, label: a}", "{slot: a}") == Job(tasks=4)
    assert shape("{type: slot, with: [{type: core, count: 4}]}", "{count: {per_slot: 2}}") == Job(
        tasks=2, cpus_per_task=2
    )


@pytest.mark.parametrize(
    ("resources", "task", "place", "message"),
    [
        ("{type: rack}", "{}", "resources.type", "unknown type"),
        ("{type: slot}", "{slot: b}", "task.slot", "no vertex"),
        ("{type: node, with: [{type: slot}, {type: slot}]}", "{}", "task.slot", "more than one"),
        ("{type: slot, count: 2}", "{count: {total: 3}}", "task.count.total", "shared evenly"),
        ("{type: slot, with: [{type: core, count: 3}]}", "{count: {per_slot: 2}}", "task.count", "shared evenly"),
        ("{type: slot, with: [{type: node, count: 2}]}", "{}", "task.count", "can't span"),
        ("{type: slot, with: [{type: memory, unit: XB}]}", "{}", "resources.with[0].unit", "memory"),
    ],
)
def test_shapes_refused(resources, task, place, message):
    with pytest.raises(DocumentError) as caught:
        shape(resources, task)
    assert caught.value.place == place
    assert message in caught.value.message


def test_the_file_of_the_docs_is_one():
    page = Path(__file__).parents[4] / "docs" / "jobspec.md"
    text = page.read_text().split("```yaml\n")[1].split("```")[0]
    made = runner.plan(load(text), Transformer())
    [job] = made.jobs.values()
    assert (job.nodes, job.tasks, job.cpus_per_task) == (Nodes(2, 2), 8, 2)
    assert [step.spec.name for step in made.steps] == ["auth", "set", "write", "submit", "submit"]


def test_a_batch_script_is_no_jobspec():
    with pytest.raises(DocumentError, match="`jobspec convert --to jobspec FILE` makes one of it"):
        load("#!/bin/sh\n#SBATCH -N 2\nsrun hostname\n")
