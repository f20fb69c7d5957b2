"""jobspec's own YAML to the neutral job and back, and whatever another system says into it."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass, replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec import document, readers
from jobspec.convert import convert
from jobspec.job import UNLIMITED, Environment, Gpus, Job, Memory, Nodes
from jobspec.own import write
from jobspec.own.fields import known
from jobspec.own.shape import environment, from_resources, totals
from jobspec.profile import DEFAULT, Profile
from jobspec.writing import FIELDS, Saying, Script

SCRIPT = Script("#!/bin/sh", "hostname\n")
line = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
small = st.integers(1, 6)


def values(kind):
    """Any value of a type of the neutral job."""
    origin, choices = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return st.one_of([values(one) for one in choices])
    if origin is typing.Literal:
        return st.sampled_from(choices)
    if origin is tuple:
        if choices[1:] == (Ellipsis,):
            return st.lists(values(choices[0]), max_size=2).map(tuple)
        return st.tuples(*map(values, choices))
    if is_dataclass(kind):
        from jobspec.own.fields import _types

        hints = _types(kind)
        return st.builds(kind, **{one.name: values(hints[one.name]) for one in fields(kind)})
    return {type(None): st.none(), bool: st.booleans(), int: small, str: line}[kind]


@st.composite
def jobs(draw):
    changes = {name: draw(values(kind)) for name, kind in known().items() if draw(st.integers(0, 2)) == 0}
    job = replace(Job(name=draw(st.none() | line)), **changes)
    if job.environment:
        names = {f"V{index}": value for index, (_, value) in enumerate(job.environment.values)}
        job = replace(job, environment=environment(replace(job.environment, values=tuple(names.items()))))
    if job.workdir:
        job = replace(job, workdir=draw(st.sampled_from(["/w/x", "here"])))
    if job.nodes and job.nodes.least > job.tasks:
        job = replace(job, tasks=job.nodes.least)
    return job


def said(job, system="jobspec", script=SCRIPT, profile=DEFAULT):
    say = Saying(replace(job, system=system), "jobspec", profile)
    [file] = write.write(say, script)
    say.finish()
    return file.text, say


def bare(job, system="jobspec"):
    return replace(job, where={}, system=system, native=())


@given(jobs(), st.sampled_from(["jobspec", "slurm"]))
@settings(max_examples=40, deadline=None)
def test_every_job_comes_back(job, system):
    text, say = said(job, system)
    reading = readers.read(text)
    assert not reading.errors, (reading.errors, text)
    [again] = reading.jobs
    expected = replace(job, system="jobspec")
    if system != "jobspec":  # paths are in our patterns now
        expected = replace(expected, **{field: getattr(again, field) for field in ("input", "output", "error")})
    assert bare(again) == bare(expected)
    assert not again.native
    assert reading.script == SCRIPT.text()
    for field in FIELDS:
        if say.asked(field):
            assert say.fates[field][0] != "dropped", field
    for one in reading.directives:
        assert one.fields or one.state != "obeyed", one
    result = convert(text, reading, "jobspec")
    assert yaml.safe_load(result.files[0].text) == yaml.safe_load(text)


@given(jobs())
@settings(max_examples=25, deadline=None)
def test_the_resources_are_enough_for_the_job(job):
    text, _ = said(job)
    made = document.load(text)
    [task] = made.tasks
    run = from_resources(task)
    assert run.tasks >= job.tasks
    assert run.cpus_per_task == job.cpus_per_task
    assert (run.nodes.least if run.nodes else 0) == (job.nodes.least if job.nodes else 0)
    (gpus, size), (asked, wanted) = totals(run), totals(job)
    assert gpus >= asked
    if job.memory and job.memory.per != "gpu":
        assert size >= wanted
    assert run.exclusive == job.exclusive
    if isinstance(job.walltime_s, int):
        assert run.walltime_s == job.walltime_s


def test_what_stands_where():
    job = Job(
        name="n", nodes=Nodes(2, 2), tasks=8, cpus_per_task=3, gpus=(Gpus(4, "node"),), memory=Memory(2**33, "node"),
        walltime_s=60, workdir="/w", queue="batch", environment=Environment("x", all=True, values=(("A", "b"),)),
    )  # fmt: skip
    text, say = said(job, "slurm", profile=Profile(queues={"batch": "q"}))
    made = yaml.safe_load(text)
    inside = [{"type": "core", "count": 3}, {"type": "gpu", "count": 1}, {"type": "memory", "count": 2, "unit": "GB"}]
    slot = {"type": "slot", "label": "task", "count": 4, "with": inside}
    assert made["resources"] == {"type": "node", "count": 2, "with": [slot]}
    assert made["attributes"]["system"] == {"duration": 60, "cwd": "/w", "environment": {"A": "b"}}
    assert made["attributes"]["user"]["queue"] == "q"
    fates = {field: fate for field, (fate, _) in say.fates.items()}
    assert {field for field, fate in fates.items() if fate == "approximate"} == {"queue"}


def test_ten_tasks_on_four_nodes():
    text, say = said(Job(nodes=Nodes(4, 4), tasks=10), "slurm")
    assert say.fates["tasks"][0] == "approximate"
    [task] = document.load(text).tasks
    assert from_resources(task).tasks == 12
    assert readers.read(text).jobs[0].tasks == 10


def test_no_limit():
    text, say = said(Job(walltime_s=UNLIMITED), "slurm")
    assert say.fates["walltime_s"][0] == "exact"
    assert readers.read(text).jobs[0].walltime_s == UNLIMITED


@pytest.mark.parametrize(
    "name", ["hello-world-batch.yaml", "hello-world-jobspec.yaml", "hello-world-wait-jobspec.yaml"]
)
def test_the_examples(examples, name):
    text = (examples / name).read_text()
    reading = readers.read(text)
    assert reading.accepted
    assert yaml.safe_load(convert(text, reading, "jobspec").files[0].text) == yaml.safe_load(text)
    assert reading.script.startswith("#!/bin/sh\n")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("version: 1\ntask:\n  comand: [a]\n", 3, "unknown key 'comand'"),
        ("version: 1\ntask: {command: [a]}\nattributes:\n  user:\n    tasks: x\n", 5, "whole number"),
        ("version: 1\ntask: {command: [a]}\nattributes:\n  user:\n    array: {text: a}\n", 5, "must have"),
        (
            "version: 1\ntask: {command: [a]}\nattributes:\n  user:\n    gpus:\n    - {count: 1, per: rack}\n",
            6,
            "one of job",
        ),
        ("version: 2\ntask: {}\n", 1, "must be 1"),
        ("version: 1\ntask: {}\n---\na: 1\n", 4, "second document"),
        ("", 1, "the file is empty"),
        ("a: [", 1, "no YAML"),
        ("version: 1\ntask: {}\nresources:\n  type: rack\n", 4, "unknown type"),
    ],
)
def test_refusals_have_a_line(text, line, message):
    [error] = readers.read(text, "jobspec").errors
    assert message in error.message
    assert abs(error.line - line) <= 1
    assert error.column >= 1


def test_tasks_are_components_and_steps_are_told():
    text = "version: 1\ntasks:\n- {name: a, command: [x, y z]}\n- {name: b, command: [w]}\n"
    reading = readers.read(text)
    assert [job.name for job in reading.jobs] == ["a", "b"]
    assert reading.warnings
    assert reading.script == "#!/bin/sh\nexec x 'y z'\n"
    text = "version: 1\ntask: {command: [x], transform: [{step: auth, name: a}, {step: submit}]}\n"
    reading = readers.read(text)
    entries = convert(text, reading, "kubernetes").entries
    assert [one.fate for one in entries if one.text == "task.transform"] == ["dropped"]
    assert convert(text, reading, "jobspec").entries[0].fate == "exact"


def test_bytes_that_yaml_can_not_hold_are_refused():
    from jobspec.errors import JobspecError

    comment = Job(
        name="\udcff",
        comment="a\nb",
        account="\0",
        workdir="/\udcff",
        environment=Environment("", all=True, values=(("A", "\udcff"), ("B", "c\nd"))),
    )
    text, say = said(comment, "slurm")
    dropped = {field for field, (fate, _) in say.fates.items() if fate == "dropped"}
    assert dropped == {"name", "account", "comment", "workdir", "environment"}
    assert readers.read(text).accepted
    assert yaml.safe_load(text)["attributes"]["system"]["environment"] == {"B": "c\nd"}
    for body in ("\udcff\n", "\0\n"):
        with pytest.raises(JobspecError, match="YAML can't hold"):
            said(Job(), script=Script("#!/bin/sh", body))


@pytest.mark.parametrize(
    ("memory", "count", "unit"),
    [
        (Memory(10, "node"), 3, "B"),
        (Memory(2**30, "node"), 256, "MB"),
        (Memory(10, "job"), 2, "B"),
        (Memory(2**30, "cpu"), 3, "GB"),
        (Memory(2**30, "slot"), 1, "GB"),
        (Memory(2**33 + 1, "task"), 8388609, "KB"),
        (Memory(0, "node"), None, None),
    ],
)
def test_memory_of_a_task_is_rounded_up(memory, count, unit):
    text, _ = said(Job(nodes=Nodes(2, 2), tasks=8, cpus_per_task=3, memory=memory), "slurm")
    inside = yaml.safe_load(text)["resources"]["with"][0]["with"]
    found = [(one["count"], one["unit"]) for one in inside if one["type"] == "memory"]
    assert found == ([(count, unit)] if count else [])
    assert readers.read(text).jobs[0].memory == memory
