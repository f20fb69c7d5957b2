"""Flux's jobspecs: the examples of RFC 14 and RFC 25, and what flux-core's validator refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import ScriptError
from jobspec.flux import read_v1
from jobspec.flux.graph import Count, count_text
from jobspec.job import Constraint, Dependency, Gpus, Gres, Memory, Nodes
from jobspec.profile import DEFAULT

RFC = Path(__file__).resolve().parents[5] / "shared" / "rfc"
GB = 2**30
EXAMPLES = sorted((RFC / "spec_14").glob("*.yaml")) + sorted((RFC / "spec_25").glob("*.yaml"))
needs_rfc = pytest.mark.skipif(not EXAMPLES, reason="the examples of the RFCs are not beside the repository")

SPEC = {
    "version": 1,
    "resources": [{"type": "slot", "count": 2, "label": "s", "with": [{"type": "core", "count": 3}]}],
    "tasks": [{"command": ["app", "a b"], "slot": "s", "count": {"per_slot": 1}}],
    "attributes": {"system": {"duration": 0}},
}


def spec(**changes):
    """The jobspec above with other values at dotted places."""
    found = json.loads(json.dumps(SPEC))
    for path, value in changes.items():
        *parts, last = path.split("__")
        inner = found
        for part in parts:
            inner = inner[int(part) if part.isdigit() else part]
        inner[last] = value
    return json.dumps(found, indent=1)


def job(**changes):
    return read_v1.read(spec(**changes), DEFAULT).jobs[0]


@needs_rfc
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_examples_of_the_rfcs_convert(path):
    jsonschema = pytest.importorskip("jsonschema")
    text = path.read_text()
    found = readers.read(text, "flux-jobspec")
    assert found.accepted
    assert found.script.startswith("#!/bin/sh\n")
    result = convert(text, found, "flux-jobspec")
    made = json.loads(result.files[0].text)
    jsonschema.validate(made, json.loads((RFC / "spec_25" / "schema.json").read_text()))
    assert len([one for one in result.entries if one.kind == "directive"]) == len(found.directives)
    batch = convert(text, found, "flux").files[0].text
    assert readers.read(batch, "flux").accepted
    for one in found.directives:  # each is told with its place
        name = one.option.replace("]", "").replace("[", ".").split(".")[-1]
        assert name in text.split("\n")[one.line - 1] or name.isdigit() or "shared" in one.text


@needs_rfc
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("spec_14/example1", {"nodes": Nodes(4, 4), "tasks": 4, "cpus_per_task": 2, "exclusive": False}),
        ("spec_14/example2", {"nodes": Nodes(4, 4), "tasks": 4, "cpus_per_task": 1, "exclusive": True}),
        ("spec_14/use_case_1.2", {"nodes": Nodes(3, 30), "tasks": 3}),
        ("spec_14/use_case_1.3", {"nodes": Nodes(4, 4), "cpus_per_task": 8, "exclusive": False}),
        ("spec_14/use_case_1.4", {"nodes": Nodes(4, 4), "cpus_per_task": 8, "exclusive": True}),
        ("spec_14/use_case_1.6", {"nodes": Nodes(2, None), "tasks": 2, "cpus_per_task": 30}),
        ("spec_14/use_case_1.8", {"nodes": Nodes(4, 25), "tasks": 4}),
        ("spec_14/use_case_2.1", {"nodes": Nodes(4, 4), "tasks": 20}),
        ("spec_14/use_case_2.2", {"nodes": Nodes(4, 4), "tasks": 5}),
        ("spec_14/use_case_2.5", {"nodes": None, "tasks": 10, "memory": Memory(2 * GB, "task")}),
        ("spec_14/use_case_2.6", {"nodes": Nodes(2, 2), "tasks": 10, "memory": Memory(4 * GB, "node")}),
        ("spec_14/use_case_2.9", {"constraint": Constraint("amd-mi50", ("amd-mi50",)), "walltime_s": 3600}),
        ("spec_25/use_case_2.4", {"nodes": Nodes(4, 4), "tasks": 16, "gpus": (Gpus(1, "task"),)}),
    ],
)
def test_examples_of_the_rfcs_mean(name, expected):
    [found] = readers.read((RFC / f"{name}.yaml").read_text(), "flux-jobspec").jobs
    assert {field: getattr(found, field) for field in expected} == expected


@needs_rfc
def test_two_slots_are_two_components():
    found = readers.read((RFC / "spec_14" / "use_case_2.4.yaml").read_text(), "flux-jobspec")
    assert [(one.tasks, one.cpus_per_task, one.memory.bytes // GB) for one in found.jobs] == [(10, 1, 4), (1, 6, 24)]
    assert found.script == "#!/bin/sh\nflux run -N1 -n10 read-db &\nflux run -N1 -n1 -c6 db &\nwait\n"
    mixed = readers.read((RFC / "spec_14" / "use_case_1.5.yaml").read_text(), "flux-jobspec")
    assert mixed.jobs[0].gres == (Gres("ib10g", "", 1),)
    assert [one.value for one in mixed.jobs[0].native] == ["1 x cluster", "1 x switch"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4", Count(4, 4)),
        ("4,9,16", Count(4, 16, every=False)),
        ("[1-4]", Count(1, 4)),
        ("1-4,5,6-9", Count(1, 9)),
        ("3+", Count(3, None)),
        ("1-8:2", Count(1, 8, every=False)),
        ("2-16:2:*", Count(2, 16, every=False)),
        ("2+:2:^", Count(2, None, every=False)),
        ("1+:2:^", None),
        ("0", None),
        ("9-4", None),
        ("4,4", None),
        ("4:2", None),
        ("", None),
        ("[4", None),
    ],
)
def test_counts_in_text(text, expected):
    assert count_text(text) == expected


def test_the_command_is_the_script():
    found = read_v1.read(spec(), DEFAULT)
    assert found.script == "#!/bin/sh\nflux run -n2 -c3 app 'a b'\n"
    assert read_v1.read(spec(resources__0__count=1), DEFAULT).script == "#!/bin/sh\nexec app 'a b'\n"


def test_places_are_those_of_the_keys():
    found = read_v1.read(spec(attributes__system__queue="q"), DEFAULT)
    place = found.jobs[0].where["queue"]
    assert spec(attributes__system__queue="q").split("\n")[place.line - 1][place.column - 1 :].startswith('"queue"')


def test_attributes():
    one = job(
        attributes__system={
            "duration": 90.5,
            "bank": "b",
            "cwd": "/w",
            "job": {"name": "n"},
            "dependencies": [{"scheme": "afterok", "value": "f1"}],
            "constraints": {"and": [{"properties": ["p"]}, {"not": [{"hostlist": ["n7"]}]}]},
            "environment": {"A": "1", "B": None},
            "shell": {
                "options": {"output": {"stdout": {"type": "file", "path": "o"}, "mode": "append"}, "mpi": "none"}
            },
            "x": {"y": 1},
        },
        attributes__user={"comment": "c", "k": [1]},
    )
    assert (one.walltime_s, one.account, one.workdir, one.name, one.comment) == (91, "b", "/w", "n", "c")
    assert one.dependency == Dependency("afterok:f1", (("afterok", ("f1",)),))
    assert (one.constraint, one.exclude_hosts) == (Constraint("p", ("p",)), "n7")
    assert (one.environment.values, one.output, one.open_mode) == ((("A", "1"),), "o", "append")
    natives = [(native.option, native.value) for native in one.native]
    assert natives == [("setattr", 'system.x={"y": 1}'), ("setattr", "user.k=[1]"), ("setopt", 'mpi="none"')]


def test_tasks_by_an_option_of_the_shell():
    node = [{"type": "node", "count": 3, "with": SPEC["resources"]}]
    per_node = {"duration": 0, "shell": {"options": {"per-resource": {"type": "node", "count": 4}}}}
    assert job(resources=node, attributes__system=per_node).tasks == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 0}, "version: must be a whole number"),
        ({"extra": 1}, "extra: unknown"),
        ({"resources": []}, "at least one resource"),
        ({"resources__0__count": 0}, "at least 1 for a slot"),
        ({"resources__0__count": "2-3"}, "whole number in version 1"),
        ({"resources__0__label": ""}, "a slot needs a label"),
        ({"resources__0__color": "red"}, "color: unknown"),
        ({"tasks": []}, "at least one task"),
        ({"tasks__0__slot": "other"}, "no slot has this label; known: 's'"),
        ({"tasks__0__command": "app"}, "must be a list of texts"),
        ({"tasks__0__count": {"total": 0}}, "from 1 up"),
        ({"tasks__0__count": {"per_resource": {"type": "core", "count": 1}}}, "counts by slot or in total"),
        ({"attributes": None}, "must be a mapping"),
        ({"attributes__system": {}}, "duration is missing"),
        ({"attributes__system__duration": -1}, "number of seconds"),
        ({"attributes__system__constraints": {"size": [1]}}, "no constraint is named 'size'"),
        ({"attributes__system__dependencies": [{"scheme": "x"}]}, "a scheme and a value"),
        ({"attributes__other": {}}, "unknown; known: system, user"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(ScriptError) as caught:
        read_v1.read(spec(**changes), DEFAULT)
    assert message in str(caught.value)
    assert caught.value.line > 1 or "version" in changes or "is missing" in message or "extra" in changes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        "just text",
        '{"version": 1, "version": 1}',
        '{"version": NaN}',
        "a: &x 1\nb: *x",
        "{" * 5000,
        '{"a":' * 3000 + "1" + "}" * 3000,
        "\x00",
        "- " * 2000,
        "version: !!python/object:x 1",
    ],
)
def test_hostile(text):
    with pytest.raises(ScriptError) as caught:
        read_v1.read(text, DEFAULT)
    assert len(str(caught.value)) < 400
