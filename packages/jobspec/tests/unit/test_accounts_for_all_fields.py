"""The writers of Grid Engine, OAR, HTCondor and HyperQueue account for each field of a job, alone and all at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
from jobspec.profile import Profile
from jobspec.systems import writer
from jobspec.writing import FIELDS, Saying, Script

VALUES = {
    "name": "n", "account": "a", "qos": "q", "queue": "p", "reservation": "r", "comment": "c", "nodes": Nodes(2, 4),
    "tasks": 8, "tasks_per_node": 4, "cpus_per_task": 2, "threads_per_core": 1, "gpus": (Gpus(1, "node", "a100"),),
    "gres": (Gres("nic", "", 1),), "memory": Memory(1 << 30, "node"), "disk_per_node": 1 << 30,
    "licenses": (("matlab", 1),), "exclusive": True, "burst_buffer": ("#BB x",), "walltime_s": 3600,
    "walltime_min_s": 60, "begin": Begin("x", at="2035-12-31T23:59:30"), "deadline": "x",
    "array": Array("1-3,7", ((1, 3, 1), (7, 7, 1)), 2), "dependency": Dependency("afterok:5", (("afterok", ("5",)),)),
    "priority": "5", "hold": True, "requeue": True, "constraint": Constraint("f", ("f",)), "hosts": "n1",
    "exclude_hosts": "n2", "placement": "block", "workdir": "/x", "input": "i", "output": "o.%j", "error": "e",
    "join": True, "open_mode": "append", "environment": Environment("", True, (), (("A", "1"),)), "shell": "/bin/sh",
    "mail": Mail("me@example.org", ("END",)), "signal": Signal("USR1", 60), "native": (Native("x", "y"),),
}  # fmt: skip
SITE = Profile(parallel_environments={"mpi": "mpi", "smp": "smp"})


def dull(job, target):
    say = Saying(job, target, SITE, file="a.sh")
    files = writer(target).write(say, Script("#!/bin/sh", "hostname\n"))
    say.finish()
    assert files
    assert all(why or fate == "exact" for fate, why in say.fates.values())
    return [field for field, (_, why) in say.fates.items() if "has nothing like it" in why]


def test_no_field_is_missing_here():
    assert set(VALUES) == set(FIELDS)


@pytest.mark.parametrize("target", ["gridengine", "oar", "htcondor", "hyperqueue"])
def test_every_field(target):
    whole = Job(system="slurm", **VALUES)
    assert dull(whole, target) == []
    for field, value in VALUES.items():
        assert dull(replace(Job(system="slurm"), **{field: value}), target) == []
        assert dull(replace(whole, **{field: getattr(Job(), field)}), target) == []
