"""Manifests and jobspecs with any value changed for any other: a reading or a reason, never a traceback."""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.kubernetes.paths import child, put

MANIFEST = """
apiVersion: batch/v1
kind: Job
metadata:
  name: a
  labels: {kueue.x-k8s.io/queue-name: q}
  annotations: {jobspec/array: "1-3:2", kubernetes.io/description: d}
spec:
  parallelism: 2
  completions: 2
  completionMode: Indexed
  activeDeadlineSeconds: 60
  podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget, status: "True"}]}]}
  backoffLimitPerIndex: 0
  template:
    metadata: {labels: {x: y}}
    spec:
      restartPolicy: Never
      nodeSelector: {kubernetes.io/hostname: n1, nvidia.com/gpu.product: A100}
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [n1]}]}]
      initContainers: [{name: i, image: b, resources: {requests: {cpu: 1}}}]
      containers:
      - name: main
        image: b
        command:
        - /bin/sh
        - -c
        - JOB_COMPLETION_INDEX=$((JOB_COMPLETION_INDEX * 2 + 1)); export JOB_COMPLETION_INDEX; exec "$0" "$@"
        - /jobspec/script
        args: []
        env: [{name: A, value: b}, {name: C, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        workingDir: /w
        resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 1Gi, nvidia.com/gpu: 1}}
        volumeMounts: [{name: script, mountPath: /jobspec}]
      volumes: [{name: script, configMap: {name: c}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {script: "#!/bin/sh\\n"}
"""
OWN = """
version: 1
resources:
  type: node
  count: 2
  exclusive: true
  with: [{type: slot, label: t, count: 2, with: [{type: core, count: 1}, {type: memory, count: 1, unit: GB}]}]
task:
  name: n
  slot: t
  count: {per_slot: 1}
  scripts: [{name: s, content: "#!/bin/sh"}]
  transform: [{step: write, filename: s}, {step: batch, filename: s}]
attributes:
  system: {duration: 60, cwd: /w, environment: {A: b}}
  user:
    queue: q
    array: {text: "1-2", ranges: [[1, 2, 1]]}
    gpus: [{count: 1, per: node, type: ""}]
    begin: {text: now}
    other: 1
"""


def paths(value, path=""):
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        here = child(path, key)
        yield here
        yield from paths(inner, here)


DOCUMENTS = {"kubernetes": list(yaml.safe_load_all(MANIFEST)), "jobspec": [yaml.safe_load(OWN)]}
PLACES = [(system, n, path) for system, made in DOCUMENTS.items() for n, one in enumerate(made) for path in paths(one)]
odd = st.recursive(
    st.sampled_from(
        [None, True, 0, -1, 10**30, 1.5, "", "x", "${X}", "{{ x }}", "1-3", "/jobspec/script", "\x01", "é"]
    ),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "a b", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def test_the_documents_are_read_unchanged():
    for system, text in (("kubernetes", MANIFEST), ("jobspec", OWN)):
        reading = readers.read(text)
        assert reading.system == system
        assert reading.accepted, reading.errors


@given(st.sampled_from(PLACES), odd, st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_value_changed(place, value, also_renamed):
    system, number, path = place
    documents = copy.deepcopy(DOCUMENTS[system])
    put(documents[number], path, value)
    if also_renamed:
        for one in documents[number].values():
            if isinstance(one, dict):
                one["é z"] = copy.deepcopy(value)
    text = "---\n".join(json.dumps(one) + "\n" for one in documents)
    reading = readers.read(text, system)
    assert reading.accepted == bool(reading.jobs)
    for problem in reading.errors:
        assert problem.line >= 1
        assert "\n" not in problem.message
        assert len(problem.message) < 400
    if reading.accepted:
        for target in ("kubernetes", "jobset", "jobspec"):
            try:
                result = convert(text, reading, target)
            except JobspecError:
                continue
            list(yaml.safe_load_all(result.files[0].text))
            assert all(one.why or one.fate == "exact" for one in result.entries)


@pytest.mark.parametrize("system", ["kubernetes", "jobspec"])
@pytest.mark.parametrize(
    "text",
    ["\0", "\udcff", "[" * 10**5, "{" * 10**5, "a: " * 10**5, "- " * 10**5, "x" * 3 * 10**6, "a: &a [*a]",
     "!!python/x a",
     "kind: Job\n" + "---\n" * 60000, "? [a]\n: b", "{1: 2}", '{"a": "\\ud800"}', "---\n---\n", "%YAML 9.9\n---\na"],
)  # fmt: skip
def test_no_documents_at_all(system, text):
    reading = readers.read(text, system)
    assert reading.errors
    assert "\n" not in reading.errors[0].message
