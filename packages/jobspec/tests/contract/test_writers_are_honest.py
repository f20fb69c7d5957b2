"""What a writer reports as exact must stand in what it wrote: each field has a value that can be found again."""

from __future__ import annotations

import pytest

from jobspec.job import (
    Begin,
    Constraint,
    Dependency,
    Environment,
    Gpus,
    Gres,
    Job,
    Mail,
    Memory,
    Nodes,
    Signal,
    Where,
)
from jobspec.profile import Profile
from jobspec.report import EXACT
from jobspec.systems import writer, writers
from jobspec.writing import Saying, Script

SITE = Profile(parallel_environments={"mpi": "mpi", "smp": "smp"}, cores_per_node=64, image="debian")
# field -> (values of the job, texts of which one must be in what was written)
CASES = {
    "name": ({"name": "zq7name"}, ["zq7name"]),
    "account": ({"account": "zq7acct"}, ["zq7acct"]),
    "qos": ({"qos": "zq7qos"}, ["zq7qos"]),
    "queue": ({"queue": "zq7queue"}, ["zq7queue"]),
    "reservation": ({"reservation": "zq7resv"}, ["zq7resv"]),
    "comment": ({"comment": "zq7comment"}, ["zq7comment"]),
    "nodes": ({"nodes": Nodes(37, 37), "tasks": 37}, ["37"]),
    "tasks": ({"tasks": 37}, ["37"]),
    "tasks_per_node": ({"nodes": Nodes(2, 2), "tasks": 74, "tasks_per_node": 37}, ["37", "74"]),
    "cpus_per_task": ({"tasks": 1, "cpus_per_task": 37}, ["37"]),
    "gpus": ({"nodes": Nodes(1, 1), "gpus": (Gpus(3, "node", "zq7gpu"),)}, ["zq7gpu"]),
    "gres": ({"gres": (Gres("zq7gres", "", 3),)}, ["zq7gres"]),
    "memory": ({"nodes": Nodes(1, 1), "memory": Memory(37 << 30, "node")}, ["37", str(37 << 10), str(37 << 30)]),
    "disk_per_node": ({"nodes": Nodes(1, 1), "disk_per_node": 37 << 30}, ["37", str(37 << 10), str(37 << 20)]),
    "licenses": ({"licenses": (("zq7lic", 3),)}, ["zq7lic"]),
    # Cobalt shares no node.
    "exclusive": ({"exclusive": True}, ["excl", "-x", "AntiAffinity", "singlejob", "#COBALT -n"]),
    "burst_buffer": ({"burst_buffer": ("#BB zq7bb",)}, ["zq7bb"]),
    "walltime_s": ({"walltime_s": 37 * 60}, ["37", "2220"]),
    "walltime_min_s": ({"walltime_min_s": 37 * 60}, ["37", "2220"]),
    "begin": ({"begin": Begin("2037-01-02T03:04:05", None, "2037-01-02T03:04:05")}, ["2037", "37010203"]),
    "deadline": ({"deadline": "2037-01-02T03:04:05"}, ["2037"]),
    "dependency": ({"dependency": Dependency("afterok:7654321", (("afterok", ("7654321",)),))}, ["7654321"]),
    "priority": ({"priority": "4242"}, ["4242"]),
    "hold": ({"hold": True}, ["hold", "-h", "-H", "urgency=0", "suspend", "--urgency=hold"]),
    # HTCondor and HyperQueue run a job again without being asked.
    "requeue": ({"requeue": True}, ["requeue", "-r", "restart", "backoff", "idempotent", "universe", "#HQ"]),
    "constraint": ({"constraint": Constraint("zq7feat", ("zq7feat",))}, ["zq7feat"]),
    "hosts": ({"hosts": "zq7host"}, ["zq7host"]),
    "exclude_hosts": ({"exclude_hosts": "zq7host"}, ["zq7host"]),
    "workdir": ({"workdir": "/zq7/dir"}, ["/zq7/dir"]),
    "input": ({"input": "/zq7/in"}, ["/zq7/in"]),
    "output": ({"output": "/zq7/out"}, ["/zq7/out"]),
    "error": ({"error": "/zq7/err"}, ["/zq7/err"]),
    "environment": ({"environment": Environment("A=zq7", True, (), (("A", "zq7"),))}, ["zq7"]),
    "shell": ({"shell": "/bin/zq7sh"}, ["/bin/zq7sh"]),
    "mail": ({"mail": Mail("zq7@example.org", ("END",))}, ["zq7@example.org"]),
    "signal": ({"signal": Signal("USR1", 37 * 60)}, ["USR1", "10"]),
}


def said(target, values, field):
    job = Job(system="slurm" if target != "slurm" else "flux", where={field: Where(2, 1)}, **values)
    say = Saying(job, target, SITE)
    files = writer(target).write(say, Script("#!/bin/sh", "hostname\n"))
    say.finish()
    return say, "".join(file.text for file in files)


@pytest.mark.parametrize("target", writers())
@pytest.mark.parametrize("field", CASES)
def test_exact_means_that_it_is_there(target, field):
    values, found = CASES[field]
    say, text = said(target, values, field)
    fate, why = say.fates[field]
    if fate == EXACT:
        assert any(one in text for one in found), (why, text)
    else:
        assert why
        assert "has nothing like it" not in why


@pytest.mark.parametrize("target", writers())
def test_memory_is_said_at_most_once(target):
    def memories(text):
        words = text.replace("=", " ").replace(",", " ").replace(":", " ").split()
        return sum(word.lower().lstrip("-") in {"mem", "mem-per-cpu", "mem-per-gpu", "pmem", "vmem"} for word in words)

    with_memory = {"nodes": Nodes(2, 2), "tasks": 8, "tasks_per_node": 4, "memory": Memory(8 << 30, "node")}
    assert memories(said(target, with_memory, "memory")[1]) <= 1
    assert memories(said(target, {"nodes": Nodes(2, 2), "tasks": 8}, "nodes")[1]) == 0


@pytest.mark.parametrize("target", writers())
@pytest.mark.parametrize(
    "text", ["two\nlines", "a\0b", "tab\there", 'quote\'s "both"', "$(touch x)", "`x`", "#no", "-x"]
)
def test_odd_texts_stay_one_value(target, text):
    """Nothing gets out of a directive: no line break, no control character, no second option."""
    plain = said(target, {"name": "plain", "account": "plain", "comment": "plain"}, "name")[1]
    for field in ("name", "account", "queue", "comment", "workdir", "output"):
        _, written = said(target, {field: text}, field)
        assert "\0" not in written
        assert written.count("\n") <= plain.count("\n") + 8
        assert not any(line == "lines" or line.startswith("lines ") for line in written.split("\n"))
