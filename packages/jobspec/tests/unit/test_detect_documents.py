"""Which document is which, and that scripts are not taken for documents."""

from __future__ import annotations

import json

import pytest
import yaml

from jobspec.readers import detect

FLUX = {"version": 1, "resources": [{"type": "slot", "count": 1, "label": "a", "with": [{"type": "core", "count": 1}]}],
        "tasks": [{"command": ["a"], "slot": "a", "count": {"per_slot": 1}}], "attributes": {}}  # fmt: skip
OWN = {"version": 1, "resources": {"type": "node"}, "task": {"command": ["a"]}}
TASKS = {**FLUX, "tasks": [{"command": ["a"], "transform": [{"step": "submit"}]}]}
NESTED = {"version": 1, "resources": {"a": {"type": "node"}}, "groups": [{"name": "x", "resources": "a"}]}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}}


@pytest.mark.parametrize(
    ("document", "system"),
    [
        (FLUX, "flux-jobspec"),
        (OWN, "jobspec"),
        (TASKS, "jobspec"),
        (NESTED, "jobspec"),
        ({"version": 1, "tasks": [{"command": ["a"]}]}, "jobspec"),
        (JOB, "kubernetes"),
        ({"version": 1}, None),
        ({"kind": "CronJob"}, None),
        ({"services": {"a": 1}, "version": "3"}, None),
    ],
)
def test_documents(document, system):
    forms = [
        yaml.safe_dump(document),
        yaml.safe_dump(document, sort_keys=False, indent=4),
        "# a comment\n\n---\n" + yaml.safe_dump(document, sort_keys=False),
        yaml.safe_dump(document, default_flow_style=True, width=10**6),
        json.dumps(document),
        json.dumps(document, indent=2),
        "\n\n" + json.dumps(document, indent=4),
    ]
    for text in forms:
        found = detect(text)
        assert [one.system for one in found] == ([system] if system else []), text
        for one in found:
            key = one.reason.strip("{\"'").partition(":")[0].strip("\"'- ")
            assert key in text.split("\n", one.line - 1)[-1]


def test_one_document_of_several():
    found = detect("apiVersion: v1\nkind: Service\n---\napiVersion: batch/v1\nkind: Job # yes\n")
    assert [(one.system, one.line) for one in found] == [("kubernetes", 5)]


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\nkind: Job\n",
        "{ echo a; }\n",
        "echo\nkind: Jobs\n",
        "{" * 10**5,
        "[" * 10**5,
        "version: 1\n",
        "",
        "\0{",
        "{a: *b}",
    ],
)
def test_no_documents(text):
    assert detect(text) == []


def test_directives_count_before_documents():
    assert detect("#SBATCH -n 1\nversion: 1\ntask: a\n")[0].system == "slurm"
