"""Kubernetes to the neutral job and back: the same manifest, and the same job, whatever the manifest holds."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from resources.units import quantity

from jobspec import readers
from jobspec.convert import convert
from jobspec.kubernetes.arrays import indexes
from jobspec.kubernetes.names import bytes_quantity, escape, expand
from jobspec.kubernetes.paths import differences, put

label = st.from_regex(r"[a-z](?:[a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
word = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=["Cc"]), max_size=12)
count = st.integers(1, 9)
value = st.sampled_from(["1", "500m", "2500m", "0.1", 2, 1.5, "1k"])
size = st.sampled_from(["1Gi", "1.5Gi", "1536Mi", "1G", "12e6", "100000k", "0.5", 1073741824, "100m"])


def some(**parts):
    """A mapping with any of these keys."""
    return st.fixed_dictionaries({}, optional={key.replace("_", "-"): part for key, part in parts.items()})


@st.composite
def amounts(draw):
    requests = draw(some(cpu=value, memory=size, ephemeral_storage=size))
    limits = {key: text for key, text in requests.items() if draw(st.booleans())}
    for name in ("nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-1g.5gb", "rdma/hca"):
        if draw(st.integers(0, 4)) == 0:
            limits[name] = draw(st.sampled_from(["1", 2, "4"]))
            if draw(st.booleans()):
                requests[name] = limits[name]
    if draw(st.booleans()):
        limits["cpu"] = "5k"
    return {"requests": requests, "limits": limits}


@st.composite
def containers(draw, name):
    made = {"name": name, "image": draw(st.sampled_from(["busybox", "r.io/a/b:1@sha256:0"]))}
    made |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "command": st.one_of(
                    st.lists(word, min_size=1, max_size=3),
                    st.builds(lambda text: ["/bin/bash", "-c", text], word),
                ),
                "args": st.lists(word, max_size=2),
                "workingDir": st.sampled_from(["/data", "relative", "/a b"]),
                "resources": amounts(),
                "imagePullPolicy": st.just("Always"),
                "env": st.lists(
                    st.one_of(
                        st.builds(lambda n, v: {"name": n, "value": v}, label, word),
                        st.builds(lambda n: {"name": n, "value": "a$(b)c$$d$"}, label),
                        st.just({"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
                    ),
                    max_size=3,
                ),
            },
        )
    )
    return made


@st.composite
def manifests(draw):
    spec = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "parallelism": st.integers(0, 5),
                "completions": count,
                "activeDeadlineSeconds": st.integers(1, 10**7),
                "suspend": st.booleans(),
                "backoffLimit": st.integers(0, 6),
                "ttlSecondsAfterFinished": count,
            },
        )
    )
    if "completions" in spec and draw(st.booleans()):
        spec["completionMode"] = draw(st.sampled_from(["Indexed", "NonIndexed"]))
        if spec["completionMode"] == "Indexed" and draw(st.booleans()):
            spec["parallelism"] = spec["completions"]
    pod = {
        "restartPolicy": draw(st.sampled_from(["Never", "OnFailure"])),
        "containers": [draw(containers("main"))] + ([draw(containers("side"))] if draw(st.integers(0, 3)) == 0 else []),
    }
    pod |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "nodeSelector": st.dictionaries(
                    st.sampled_from(["disk", "nvidia.com/gpu.product", "kubernetes.io/hostname", "a.b/c"]),
                    st.sampled_from(["x", "A100", "n1.example.org", ""]),
                ),
                "subdomain": label,
                "priorityClassName": label,
                "activeDeadlineSeconds": st.integers(1, 1000),
                "terminationGracePeriodSeconds": count,
                "volumes": st.just([{"name": "v", "emptyDir": {}}]),
                "initContainers": st.lists(containers("init"), max_size=1),
                "affinity": st.sampled_from(AFFINITIES),
                "tolerations": st.just([{"operator": "Exists"}]),
            },
        )
    )
    metadata = {"name": draw(label)} | draw(
        st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(
                    st.sampled_from(["kueue.x-k8s.io/queue-name", "jobspec/account", "team"]), label
                ),
                "annotations": st.dictionaries(
                    st.sampled_from(["kubernetes.io/description", "note", "jobspec/array"]), word
                ),
                "namespace": label,
            },
        )
    )
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
    return [{**job, "spec": {**spec, "template": {"spec": pod}}}]


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
HOST = "kubernetes.io/hostname"


def on(operator, *values):
    return {"key": HOST, "operator": operator, "values": [*values]}


def nodes(*terms):
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [*terms]}]}}}


AFFINITIES = [
    nodes(on("In", "n1", "n2")),
    nodes(on("NotIn", "n1"), on("In", "n3")),
    nodes(on("In", "n1"), on("In", "n1", "n2")),
    nodes({"key": "zone", "operator": "Exists"}),
    {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": []}]}}},
    {
        "podAntiAffinity": {
            REQUIRED: [
                {
                    "labelSelector": {
                        "matchExpressions": [{"key": "batch.kubernetes.io/job-name", "operator": "Exists"}]
                    },
                    "namespaceSelector": {},
                    "topologyKey": HOST,
                }
            ]
        }
    },
    {"podAffinity": {"x": [1, {"y": None}]}},
]


def same(value):
    """A manifest with its amounts as numbers, and without what is empty."""
    value = copy.deepcopy(value)
    for part in value["spec"]["template"]["spec"]["containers"]:
        for kind in ("requests", "limits"):
            given = (part.get("resources") or {}).get(kind) or {}
            given.update({name: quantity(text) for name, text in given.items()})
    return value


def bare(job):
    return replace(job, where={})


@given(manifests(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_same_manifest_comes_back(documents, as_json):
    text = json.dumps(documents[0])
    if not as_json:
        text = yaml.safe_dump(json.loads(text))  # without anchors
    reading = readers.read(text, "kubernetes")
    assert not reading.errors, reading.errors
    [job] = reading.jobs
    for one in reading.directives:
        assert one.fields or one.state != "obeyed", one
    result = convert(text, reading, "kubernetes")
    assert [same(made) for made in yaml.safe_load_all(result.files[0].text)] == [same(one) for one in documents]
    assert {one.fate for one in result.entries} <= {"exact", "ignored"}
    again = readers.read(result.files[0].text, "kubernetes")
    assert [bare(one) for one in again.jobs] == [bare(job)]
    assert again.script == reading.script


@given(st.text(st.characters(exclude_characters="\0"), max_size=30), st.text("$()ab", max_size=12))
def test_escaped_text_is_left_as_it_is(text, dollars):
    assert expand(escape(text), {"a": "x", "ab": "y"}) == text
    assert expand(escape(dollars), {"a": "x", "ab": "y"}) == dollars


@given(st.integers(1, 2**62))
def test_bytes(size):
    assert quantity(bytes_quantity(size)) == size


triple = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 5)).map(
    lambda one: (min(one[:2]), max(one[:2]), one[2])
)


@given(st.lists(triple, min_size=1, max_size=5))
def test_the_expression_gives_every_index_once(ranges):
    from jobspec.job import Array

    found = indexes(Array("", tuple(ranges)), "i")
    expected = sorted({index for first, last, step in ranges for index in range(first, last + 1, step)})
    assert [_shell(found.expression, i) for i in range(found.count)] == expected


def _shell(expression, i):
    """`a < b ? c : d` as a shell computes it."""
    if "?" not in expression:
        return eval(expression, {"i": i})
    test, _, rest = expression.partition(" ? ")
    one, _, other = rest.partition(" : ")
    return _shell(one if eval(test, {"i": i}) else other, i)


tree = st.recursive(
    st.one_of(st.integers(0, 2), st.booleans(), word),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b-c", "d.e", 'q"']), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(word, tree, max_size=3), st.dictionaries(word, tree, max_size=3))
def test_differences_make_one_the_other(wanted, made):
    for path, given_ in list(differences(wanted, made)):
        put(made, path, given_)
    assert made == wanted
    assert json.dumps(made, sort_keys=True) == json.dumps(wanted, sort_keys=True)  # 1 is not true


# What YAML 1.1 or 1.2, or a reader of either, takes for something else than text.
ODD = [
    *("y", "N", "yes", "off", "null", "~", "1", "0x1f", "0o7", "017", "1:30", "1e3", ".5", ".inf", "2001-01-01", "="),
    *("<<", "", " a", "a ", "a: b", "#a", "a #b", "- a", "\ta", "a\r\nb\n", "\x85", "a\n", "\n a\n", "é", "\U0001f600"),
    *("\ufeff", "@", "`", "%a"),
]


@given(st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_text_stays_text(text):
    from jobspec.kubernetes.dump import dump

    written = dump([{"key": text}])
    assert yaml.safe_load(written) == {"key": text}
    if text.lower() in {"y", "n", "1e3", "0o7"}:  # which PyYAML reads as text and others do not
        assert f'"{text}"' in written
