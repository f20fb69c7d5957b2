"""A job in Flux's words: what is allocated, what differs, and how it is quoted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.flux import read, read_v1, write, write_v1
from jobspec.flux.quote import sayable
from jobspec.job import (
    Array,
    Begin,
    Constraint,
    Dependency,
    Environment,
    Gpus,
    Gres,
    Job,
    Mail,
    Memory,
    Native,
    Nodes,
    Signal,
)
from jobspec.profile import DEFAULT, Profile
from jobspec.writing import FIELDS, Saying, Script

BODY = Script("#!/bin/bash", "hostname\n")
SITE = Profile(cores_per_node=32, gpus_per_node=4, memory_per_node=128 * 2**30)
GB = 2**30


def said(job, profile=DEFAULT, script=BODY, writer=write, target="flux"):
    say = Saying(job, target, profile, file="dir/run.sh")
    [file] = writer.write(say, script)
    say.finish()
    return say, file.text


def options(job, profile=DEFAULT):
    say, text = said(job, profile)
    lines = [line.removeprefix("# flux: --") for line in text.split("\n") if line.startswith("# flux:")]
    return say, lines


def sizes(lines):
    names = ("nodes", "nslots", "cores-per-slot", "gpus-per-slot", "exclusive")
    return " ".join(line for line in lines if line.split("=")[0] in names)


N4 = Nodes(4, 4)


@pytest.mark.parametrize(
    ("job", "expected", "differs"),
    [
        ({}, "nslots=1", {}),
        ({"tasks": 8, "cpus_per_task": 4}, "nslots=8 cores-per-slot=4", {}),
        ({"nodes": N4, "tasks": 8}, "nodes=4 nslots=8", {}),
        ({"nodes": N4, "tasks": 4, "exclusive": True}, "nodes=4 nslots=4 exclusive", {}),
        ({"nodes": N4, "tasks": 10}, "nodes=4 nslots=10", {"tasks": "3 slots on each of 4 nodes are 12, for 10"}),
        ({"nodes": N4, "tasks": 1}, "nodes=4 nslots=4", {"tasks": "4 slots instead of 1"}),
        ({"nodes": Nodes(2, 4), "tasks": 2}, "nodes=2 nslots=2", {"nodes": "the least of the range"}),
        ({"nodes": Nodes(2, None), "tasks": 16, "tasks_per_node": 4}, "nodes=4 nslots=16", {"nodes": "4 nodes hold"}),
        ({"tasks": 8, "tasks_per_node": 4}, "nodes=2 nslots=8", {}),
        ({"nodes": N4, "tasks": 8, "tasks_per_node": 4}, "nodes=4 nslots=8", {"tasks_per_node": "2 slots, not 4"}),
        ({"cpus_per_task": 8, "threads_per_core": 2}, "nslots=1 cores-per-slot=4", {"cpus_per_task": "are 4 cores"}),
        ({"exclusive": True}, "nodes=1 nslots=1 exclusive", {}),
        ({"tasks": 2, "gpus": (Gpus(3, "task"),)}, "nslots=2 gpus-per-slot=3", {}),
        ({"nodes": N4, "tasks": 8, "gpus": (Gpus(2, "node"),)}, "nodes=4 nslots=8 gpus-per-slot=1", {}),
        (
            {"nodes": N4, "tasks": 8, "gpus": (Gpus(3, "node"),)},
            "nodes=4 nslots=8 gpus-per-slot=2",
            {"gpus": "3 GPUs of a node can't be shared evenly by 2 slots on each node: 2 each are 4"},
        ),
        (
            {"tasks": 4, "gpus": (Gpus(6, "job"),)},
            "nslots=4 gpus-per-slot=2",
            {"gpus": "6 GPUs of the job can't be shared evenly by 4 slots: 2 each are 8"},
        ),
        ({"tasks": 4, "gpus": (Gpus(8, "job"), Gpus(2, "task"))}, "nslots=4 gpus-per-slot=2", {}),
        ({"gpus": (Gpus(1, "node", "a100"),)}, "nslots=1 gpus-per-slot=1", {"gpus": "any type instead of a100"}),
        ({"gpus": (Gpus(0, "node"),)}, "nslots=1", {}),
    ],
)
def test_sizes(job, expected, differs):
    say, lines = options(Job("slurm", **job))
    assert sizes(lines) == expected
    found = {name: why for name, (fate, why) in say.fates.items() if fate == "approximate"}
    assert differs.keys() <= found.keys()
    assert found.keys() <= differs.keys() | {"threads_per_core"}
    for name, part in differs.items():
        assert part in found[name]


@pytest.mark.parametrize(
    ("job", "expected", "fate", "part"),
    [
        ({"memory": Memory(4 * GB, "node")}, "nslots=1", "approximate", "come with 4 GiB"),
        ({"memory": Memory(10 * GB, "node")}, "nslots=1 cores-per-slot=3", "approximate", "come with 12 GiB"),
        ({"tasks": 2, "memory": Memory(10 * GB, "cpu")}, "nslots=2 cores-per-slot=3", "approximate", "12 GiB"),
        (
            {"nodes": N4, "tasks": 8, "memory": Memory(100 * GB, "node")},
            "nodes=4 nslots=8 cores-per-slot=13",
            "approximate",
            "52 GiB",
        ),
        ({"nodes": N4, "tasks": 4, "memory": Memory(0, "node")}, "nodes=4 nslots=4 exclusive", "approximate", "whole"),
        ({"memory": Memory(200 * GB, "node")}, "nslots=1", "dropped", "no node of the profile"),
    ],
)
def test_memory_by_profile(job, expected, fate, part):
    say, lines = options(Job("slurm", **job), SITE)
    assert sizes(lines) == expected
    assert say.fates["memory"][0] == fate
    assert part in say.fates["memory"][1]


def test_memory_without_a_profile_is_told():
    say, lines = options(Job("slurm", memory=Memory(GB, "node")))
    assert sizes(lines) == "nslots=1"
    assert say.fates["memory"][0] == "dropped"
    assert "cores stand for 1 GiB" in say.fates["memory"][1]


def test_more_gpus_than_a_node_has_make_larger_slots():
    job = Job("slurm", nodes=Nodes(1, 1), tasks=8, cpus_per_task=2, gpus=(Gpus(2, "node"),))
    assert sizes(options(job)[1]) == "nodes=1 nslots=8 cores-per-slot=2 gpus-per-slot=1"
    say, lines = options(job, SITE)
    assert sizes(lines) == "nodes=1 nslots=1 cores-per-slot=16 gpus-per-slot=2"
    assert "more than the 4 GPUs of a node" in say.fates["tasks"][1]
    say, lines = options(replace(job, tasks=32))  # without a profile: no node has 32
    assert sizes(lines) == "nodes=1 nslots=1 cores-per-slot=64 gpus-per-slot=2"


def test_whole_nodes_need_a_number_of_nodes():
    job = Job("slurm", tasks=48, cpus_per_task=2, exclusive=True)
    say, lines = options(job)
    assert sizes(lines) == "nslots=48 cores-per-slot=2"
    assert say.fates["exclusive"][0] == "dropped"
    say, lines = options(job, SITE)
    assert sizes(lines) == "nodes=3 nslots=48 cores-per-slot=2 exclusive"


@pytest.mark.parametrize(
    ("job", "line", "fate"),
    [
        ({"name": "a b"}, "job-name='a b'", "exact"),
        ({"name": "a\nb"}, "", "dropped"),
        ({"walltime_s": 5400}, "time-limit=90m", "exact"),
        ({"walltime_s": 3661}, "time-limit=3661s", "exact"),
        ({"walltime_s": "unlimited"}, "time-limit=0", "approximate"),
        ({"queue": "debug"}, "queue=debug", "exact"),
        ({"account": "chem"}, "bank=chem", "exact"),
        ({"hold": True}, "urgency=0", "exact"),
        ({"priority": "512", "system": "pbspro"}, "urgency=24", "approximate"),
        ({"priority": "512"}, "", "dropped"),
        ({"output": "%x-%j.out"}, "output={{name}}-{{id}}.out", "exact"),
        ({"output": "kvs"}, "output=./kvs", "exact"),
        ({"error": "%u.err"}, "error=.err", "approximate"),
        ({"open_mode": "append"}, "setopt=output.mode=append", "exact"),
        ({"workdir": "/w"}, "cwd=/w", "exact"),
        ({"constraint": Constraint("a&b", ("a", "b"))}, "requires=a,b", "exact"),
        ({"constraint": Constraint("a|b")}, "requires='(a|b)'", "exact"),
        ({"constraint": Constraint("[a*2&b]")}, "", "dropped"),
        ({"constraint": Constraint("not", ("not",))}, "requires=properties:not", "exact"),
        ({"hosts": "n[1-4]", "nodes": N4, "tasks": 4}, "requires=host:n[1-4]", "exact"),
        ({"hosts": "n[1-4]"}, "requires=host:n[1-4]", "approximate"),
        ({"exclude_hosts": "n7"}, "requires=-host:n7", "exact"),
        ({"dependency": Dependency("x", (("after", ("7",)),))}, "dependency=afterstart:7", "approximate"),
        ({"dependency": Dependency("x", (("aftercorr", ("7",)),))}, "", "dropped"),
        ({"dependency": Dependency("x", (("afterok", ("7", "8")),), any=True)}, "", "dropped"),
        ({"begin": Begin("x", 7200)}, "begin-time=+2h", "exact"),
        ({"begin": Begin("x", None, "2030-01-01T10:00:00")}, "begin-time='2030-01-01 10:00:00'", "exact"),
        ({"begin": Begin("noon")}, "", "dropped"),
        ({"signal": Signal("USR1", 90)}, "signal=USR1@90s", "approximate"),
        ({"signal": Signal("NOPE", 90)}, "", "dropped"),
        ({"environment": Environment("NONE", False)}, "env-remove=*", "exact"),
        ({"environment": Environment("x", True, (), (("A", "$b"),))}, "env=A=$$b", "exact"),
        ({"comment": "it's"}, "setattr='user.comment=\"it\\'s\"'", "exact"),
        ({"array": Array("1-4%2", ((1, 4, 1),), 2)}, "setattr=user.array=1-4%2", "approximate"),
    ],
)
def test_words(job, line, fate):
    [field] = [name for name in job if name not in {"system", "nodes", "tasks"}]
    say, lines = options(Job(**{"system": "slurm", **job}))
    assert [one for one in lines if sizes([one]) == ""] == ([line] if line else [])
    assert say.fates[field][0] == fate


def test_an_array_keeps_its_indexes():
    say, text = said(Job("slurm", array=Array("0,3-9:2", ((0, 0, 1), (3, 9, 2))), output="%a.out"))
    assert "for i in 0 $(seq 3 2 9); do flux batch --env=FLUX_JOB_CC=$i SCRIPT; done" in text
    assert "flux batch has no arrays" in say.fates["array"][1]
    assert "--output={{id}}.out" in text  # files of their own
    again = read.read(text, DEFAULT).jobs[0].array
    assert again == Array("0,3-9:2", ((0, 0, 1), (3, 9, 2)))


FULL = Job(
    "slurm", "n", "a", "q", "p", "r", "c", N4, 10, 3, 2, 2, (Gpus(1, "node", "a100"),), (Gres("ib", "", 1),),
    Memory(GB, "cpu"), 5, (("m", 1),), True, ("#BB x",), 60, 30, Begin("now", 0), "d", Array("1", ((1, 1, 1),)),
    Dependency("afterok:1", (("afterok", ("1",)),)), "5", False, True, Constraint("x", ("x",)), "h", "e", "block", "w",
    "i", "o", "e", True, "append", Environment("ALL", True), "/bin/sh", Mail("me", ("END",)), Signal("USR1", 5),
    (Native("hint", "x"),),
)  # fmt: skip


@pytest.mark.parametrize(("writer", "target"), [(write, "flux"), (write_v1, "flux-jobspec")])
def test_every_field_is_accounted_for(writer, target):
    say, _ = said(FULL, SITE, writer=writer, target=target)
    for field in FIELDS:
        if say.asked(field):
            fate, why = say.fates[field]
            assert "has nothing like it" not in why
            assert bool(why) == (fate != "exact")


@pytest.mark.parametrize(
    ("script", "shell", "first"),
    [
        (Script("", "x\n"), None, "#!/bin/sh"),
        (Script("", "x\n"), "/bin/csh", "#!/bin/csh"),
        (Script("#!/bin/bash -l", "x\n"), "/bin/bash", "#!/bin/bash -l"),
        (Script("#!/bin/sh", "x\n"), "/bin/zsh", "#!/bin/zsh"),
    ],
)
def test_the_first_line(script, shell, first):
    assert said(Job("pbspro", shell=shell), script=script)[1].split("\n")[0] == first


def test_the_comment_sign_of_the_language():
    assert "\n-- flux: --nslots=1\n" in said(Job(), script=Script("#!/usr/bin/lua", "x\n"))[1]


def test_a_body_that_flux_would_refuse():
    _, text = said(Job("slurm"), script=Script("#!/bin/sh", "echo\n  ## flux: -N9\n"))
    assert "\n  # was: ## flux: -N9\n" in text
    assert read.read(text, DEFAULT).jobs[0].nodes is None
    with pytest.raises(JobspecError, match="line 2 of the body"):
        said(Job("slurm"), script=Script("#!/bin/sh", "cat <<E\nflux: x\nE\n"))
    with pytest.raises(JobspecError, match="no UTF-8"):
        said(Job("slurm"), script=Script("#!/bin/sh", "\udce9\n"))


@pytest.mark.parametrize("text", ["a\rb", "\x1b[0m", "a\n\x00b", "\"\"\"\n'''", "a\u2028\n"])
def test_what_no_directive_can_hold(text):
    assert not sayable("conf", text)


def test_a_jobspec_as_flux_batch_makes_it():
    job = Job("slurm", "n", nodes=N4, tasks=10, cpus_per_task=2, gpus=(Gpus(1, "task"),), walltime_s=90, exclusive=True)
    _, text = said(job, writer=write_v1, target="flux-jobspec")
    spec = json.loads(text)
    slot = {"type": "slot", "count": 3, "label": "task", "exclusive": True}
    slot["with"] = [{"type": "core", "count": 2}, {"type": "gpu", "count": 1}]
    assert spec["resources"] == [{"type": "node", "count": 4, "with": [slot]}]
    command = ["flux", "broker", "{{tmpdir}}/script"]
    assert spec["tasks"] == [{"command": command, "slot": "task", "count": {"total": 10}}]
    system = spec["attributes"]["system"]
    assert (system["duration"], system["job"]) == (90.0, {"name": "n"})
    assert system["files"]["script"] == {"mode": 0o100700, "data": "#!/bin/bash\nhostname\n", "encoding": "utf-8"}
    assert read_v1.read(text, DEFAULT).script == "#!/bin/bash\nhostname\n"


@pytest.mark.parametrize(
    ("job", "field", "part"),
    [
        ({"hold": True}, "hold", "flux job submit --urgency=0"),
        ({"begin": Begin("+1h", 3600)}, "begin", "when it is submitted"),
        ({"environment": Environment("ALL", True)}, "environment", "the submitter's"),
        ({"array": Array("1", ((1, 1, 1),))}, "array", "FLUX_JOB_CC in attributes.system.environment"),
    ],
)
def test_what_a_jobspec_cannot_say(job, field, part):
    say, _ = said(Job("slurm", **job), writer=write_v1, target="flux-jobspec")
    assert part in say.fates[field][1]


def test_options_of_flux_are_accounted_for_one_by_one():
    text = "#!/bin/sh\n# flux: -n1 --flags=waitable -o verbose=2 --env=-A*\nhostname\n"
    found = readers.read(text, "flux")
    fates = {entry.text: entry.fate for entry in convert(text, found, "flux-jobspec").entries if entry.line == 2}
    assert fates == {"-n1": "exact", "--flags=waitable": "dropped", "-o verbose=2": "exact", "--env=-A*": "dropped"}
    assert {entry.fate for entry in convert(text, found, "flux").entries} == {"exact"}


def test_a_throttle_stays_with_its_array():
    assert "--setattr=user.array=0-9%2" in said(Job("slurm", array=Array("0-9", ((0, 9, 1),), 2)))[1]
