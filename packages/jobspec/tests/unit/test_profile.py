"""A site's profile: every key, and what is refused."""

from __future__ import annotations

from dataclasses import fields

import pytest

from jobspec.errors import DocumentError
from jobspec.profile import DEFAULT, Profile, load_profile

WHOLE = """
queues: {batch: normal, old: "", "7": 7}
accounts: {a: b}
qos: {high: urgent}
constraints: {skylake: cpu=skylake}
gpu_types: {a100: NVIDIA-A100}
nodes: {n1: m1}
modules: {gcc/9: gcc/12}
parallel_environments: {mpi: orte, smp: smp}
default_queue: normal
default_account: me
cores_per_node: 64
gpus_per_node: 4
memory_per_node: 256GB
memory_units: {lsf: MB}
memory_per: {lsf: slot}
gpus_as: gres
array_cap: 1001
options: {slurm: [bb, spank-option]}
clusters: [one, two]
image: r.io/a:1
"""


def test_every_key():
    profile = load_profile(WHOLE)
    assert profile == Profile(
        queues={"batch": "normal", "old": "", "7": "7"},
        accounts={"a": "b"},
        qos={"high": "urgent"},
        constraints={"skylake": "cpu=skylake"},
        gpu_types={"a100": "NVIDIA-A100"},
        nodes={"n1": "m1"},
        modules={"gcc/9": "gcc/12"},
        parallel_environments={"mpi": "orte", "smp": "smp"},
        default_queue="normal",
        default_account="me",
        cores_per_node=64,
        gpus_per_node=4,
        memory_per_node=2**38,
        memory_units={"lsf": "MB"},
        memory_per={"lsf": "slot"},
        gpus_as="gres",
        array_cap=1001,
        options={"slurm": ("bb", "spank-option")},
        clusters=("one", "two"),
        image="r.io/a:1",
    )
    # Each field of a profile is tried above.
    assert {one.name for one in fields(Profile) if getattr(profile, one.name) == getattr(DEFAULT, one.name)} == set()


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "queues:\nimage: null\n"])
def test_nothing_is_the_default(text):
    assert load_profile(text) == DEFAULT


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("[]", "", "a profile is a mapping"),
        ("queue: {a: b}", "", "unknown key 'queue'"),
        ("queues: [a]", "queues", "must be a mapping"),
        ("queues: {a: [b]}", "queues.a", "one line of text"),
        ("queues: {a: true}", "queues.a", "one line of text"),
        ('queues: {a: "b\\nc"}', "queues.a", "one line of text"),
        ('default_queue: ""', "default_queue", "one line of text"),
        ("cores_per_node: 0", "cores_per_node", "from 1 up"),
        ("cores_per_node: '8'", "cores_per_node", "from 1 up"),
        ("array_cap: true", "array_cap", "from 1 up"),
        ("memory_per_node: lots", "memory_per_node", "memory"),
        ("memory_units: {lsf: MiB}", "memory_units.lsf", "one of KB, MB, GB, TB"),
        ("memory_per: {lsf: host}", "memory_per.lsf", "one of slot, node, job, task"),
        ("gpus_as: gpu", "gpus_as", "one of gpus, gres"),
        ("options: {slurm: bb}", "options.slurm", "must be a list"),
        ("clusters: one", "clusters", "must be a list"),
        ("clusters: [[]]", "clusters", "one line of text"),
        ("queues: {a: b, a: c}", "line 1", "occurs twice"),
        ("queues: {a: &x b}", "line 1", "anchors"),
        ("a: [", "line 2, column 1", "no YAML"),
    ],
)
def test_refusals_say_where(text, place, message):
    with pytest.raises(DocumentError) as caught:
        load_profile(text)
    assert message in caught.value.message
    assert caught.value.place.startswith(place) if message == "no YAML" else caught.value.place == place
