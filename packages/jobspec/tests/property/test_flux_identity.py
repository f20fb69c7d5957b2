"""From Flux and back to Flux: the same values, whatever the options are."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec import readers
from jobspec.convert import convert
from jobspec.flux.directives import split
from jobspec.flux.quote import block, quoted

word = st.text("abz019._-", min_size=1, max_size=6)
line = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=12)
few = st.integers(1, 9)
variable = st.from_regex(r"[A-Z]{1,3}", fullmatch=True)
host = st.sampled_from(["n1", "n[1-3]", "a,b"])
constraint = st.sampled_from(
    ["a", "a,b", "host:n[1-3]", "-host:n7", "a|b", "(a or b) and -c", "rank:0", "^p", "not a b"]
)
uri = st.sampled_from(["afterok:f1", "afterany:12", "after:7", "singleton", "string:x?scope=user", "begin-time:12.5"])
setting = st.sampled_from(
    ["user.k=1", "queue=z", "bank=b", "duration=77", "user.comment=hi", "user.array=0-3:2%2", "system.x.y={}", "flag"]
)
rule = st.sampled_from(["-*", "HOME", "A=b", "A=$HOME/x", "B={{id}}", "-X*", "^file"])
VALUES = {
    "cores-per-slot": few,
    "gpus-per-slot": st.integers(0, 3),
    "time-limit": st.sampled_from(["30", "1.5h", "90s", "2d", "500ms", "0"]),
    "queue": word,
    "bank": word,
    "job-name": line,
    "cwd": line,
    "input": line,
    "output": st.one_of(line, st.sampled_from(["none", "{{id}}.out"])),
    "error": line,
    "requires": constraint,
    "dependency": uri,
    "begin-time": st.sampled_from(["+1h", "+30", "now", "2030-01-01 10:00:00", "tomorrow"]),
    "env": rule,
    "env-remove": st.sampled_from(["*", "A*"]),
    "setattr": setting,
    "setopt": st.sampled_from(["verbose=2", "output.mode=append", "cpu-affinity=off", "x.y"]),
    "signal": st.sampled_from(["USR1@60", "@3m", "10", "TERM@90s"]),
    "urgency": st.sampled_from(["hold", "0", "16", "20", "expedite"]),
    "conf": st.sampled_from(["a.b=1", "[resource]\nx = '''1'''\n", '{"a":\n "\\\\b"}', "named"]),
    "rlimit": st.sampled_from(["-*", "core=3"]),
    "broker-opts": st.sampled_from(["-Sx=1", "-v,-S"]),
    "dump": line.filter(bool),
    "flags": st.just("waitable"),
}
FLAGS = ("unbuffered", "label-io", "dry-run", "wrap", "dump")


@st.composite
def scripts(draw):
    options = [("nslots", str(draw(st.integers(4, 12))))] if draw(st.booleans()) else []
    if draw(st.booleans()) or not options:
        options.append(("nodes", str(draw(st.integers(1, 4)))))
    for name in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=6)):
        options.append((name, str(draw(VALUES[name]))))
    lines = []
    for name, value in options:
        lines += block(name, value, "#") if "\n" in value else [f"# flux: --{name}={quoted(value)}"]
    lines += [f"# flux: --{name}" for name in draw(st.lists(st.sampled_from(FLAGS), max_size=2, unique=True))]
    return "\n".join(["#!/bin/sh", *lines, "hostname", ""])


def values(job):
    return replace(job, where={})


@settings(max_examples=80)
@given(scripts())
def test_flux_to_flux_is_the_identity(text):
    reading = readers.read(text, "flux")
    assert reading.accepted, (reading.errors, text)
    result = convert(text, reading, "flux")
    assert not result.lost()
    assert {entry.fate for entry in result.entries} <= {"exact", "ignored"}, result.entries
    again = readers.read(result.files[0].text, "flux")
    assert again.accepted, (again.errors, result.files[0].text)
    assert values(again.jobs[0]) == values(reading.jobs[0])
    assert result.files[0].text.endswith("\nhostname\n")


@settings(max_examples=30)
@given(scripts())
def test_a_jobspec_holds_what_the_script_asks_for(text):
    reading = readers.read(text, "flux")
    made = convert(text, reading, "flux-jobspec").files[0].text
    jobspec = readers.read(made, "flux-jobspec")
    assert jobspec.accepted, (jobspec.errors, made)
    here, there = reading.jobs[0], jobspec.jobs[0]
    for field in ("nodes", "tasks", "cpus_per_task", "gpus", "exclusive", "queue", "account", "hosts", "exclude_hosts"):
        assert getattr(here, field) == getattr(there, field), field
    again = convert(made, jobspec, "flux-jobspec").files[0].text
    assert values(readers.read(again, "flux-jobspec").jobs[0]) == values(there)


count = st.one_of(
    few,
    st.builds(lambda low, more: {"min": low, "max": low + more}, few, few),
    st.sampled_from(["2,4", "1-8:2", "3+", "[2-4]", {"min": 2, "max": 9, "operator": "*", "operand": 2}]),
)
leaf = st.fixed_dictionaries({"type": st.sampled_from(["core", "gpu", "memory", "ib"]), "count": count})
slot = st.builds(
    lambda count, inner: {"type": "slot", "label": "s", "count": count, "with": inner},
    count,
    st.one_of(
        st.lists(leaf, min_size=1, max_size=3),
        st.builds(lambda count, inner: [{"type": "node", "count": count, "with": inner}], count, st.lists(leaf)),
    ),
)
graph = st.one_of(
    slot, st.builds(lambda kind, count, inner: {"type": kind, "count": count, "with": [inner]},
                    st.sampled_from(["node", "switch"]), count, slot),
)  # fmt: skip
amount = st.sampled_from(
    [{"per_slot": 1}, {"per_slot": 3}, {"total": 5}, {"per_resource": {"type": "core", "count": 2}}]
)


@settings(max_examples=60)
@given(graph, amount, word)
def test_any_graph_becomes_a_jobspec_of_version_1(resources, tasks, name):
    task = {"command": ["app", name], "slot": "s", "count": tasks}
    text = json.dumps({"version": 2, "resources": [resources], "tasks": [task], "attributes": {"system": {}}})
    reading = readers.read(text, "flux-jobspec")
    assert reading.accepted, reading.errors
    made = convert(text, reading, "flux-jobspec").files[0].text
    again = readers.read(made, "flux-jobspec")
    assert again.accepted, (again.errors, made)
    first, second = reading.jobs[0], again.jobs[0]
    assert json.loads(made)["version"] == 1
    assert second.tasks >= first.tasks
    assert second.cpus_per_task == first.cpus_per_task
    if first.nodes:
        assert second.nodes.least == second.nodes.most == first.nodes.least


@given(st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=30))
def test_quoting(text):
    [found] = split(f" --x={quoted(text)} # comment")[0]
    assert found.text == f"--x={text}"


@settings(max_examples=80)
@given(st.text("#fluxFLUX: -nNct=4\"'\\\n\r{}é", max_size=80))
def test_any_text_is_read_or_refused(text):
    for reading in (readers.read(f"#!/bin/sh\n# flux: -n1 {text}", "flux"), readers.read(text, "flux-jobspec")):
        assert reading.accepted or reading.errors[0].message
