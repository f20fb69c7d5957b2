"""What was written is read back by the target's own reader: it asks for as much as the source did.

A difference is allowed only where the report tells of one, for a directive that has to do with it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from resources.hostlist import expand

from jobspec import readers
from jobspec.compare import meaning
from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.job import Nodes
from jobspec.profile import Profile
from jobspec.systems import SYSTEMS, writers

NAMES = {
    "parallel_environments": {"mpi": "mpi", "smp": "smp"},
    "image": "debian",
    "memory_units": {"lsf": "KB"},
    "memory_per": {"gridengine": "slot"},
}
BARE = Profile(**NAMES)
SITE = Profile(**NAMES, cores_per_node=32, gpus_per_node=4, memory_per_node=2**37)
BOTH = [name for name in writers() if SYSTEMS[name].reader]
# They know processors only, or leave tasks to the script: one task of four CPUs is four there.
COUNTS_CPUS = {"torque", "oar", "gridengine", "kubernetes"}
# The fields of the directives that say an amount.
ABOUT = {
    "nodes": {"nodes", "tasks_per_node", "tasks", "cpus_per_task"},
    "tasks": {"tasks", "tasks_per_node", "nodes"},
    "cpus": {"cpus_per_task", "tasks", "tasks_per_node", "nodes", "threads_per_core", "memory"},
    "memory": {"memory"},
    "gpus": {"gpus", "constraint"},  # Grid Engine's GPUs are a resource that is called so
    "walltime": {"walltime_s"},
}


@pytest.fixture(scope="module")
def accepted(corpus):
    found = [(text, readers.read(text)) for _, text in corpus]
    return [(text, reading) for text, reading in found if reading.accepted]


def amounts(job):
    """Totals of the whole job; None where they depend on a number of nodes that is left open."""
    nodes = job.nodes.least if job.nodes else 1 if job.tasks == 1 else None
    if nodes is None and job.tasks_per_node:
        nodes = -(-job.tasks // job.tasks_per_node)
    gpus = 0
    for one in job.gpus:
        times = {"job": 1, "task": job.tasks, "node": nodes}[one.per]
        gpus = None if gpus is None or times is None else gpus + one.count * times
    memory = None
    if job.memory and job.memory.bytes:
        cpus = job.tasks * job.cpus_per_task
        by = {"job": 1, "task": job.tasks, "slot": job.tasks, "cpu": cpus, "node": nodes, "gpu": gpus}
        times = by[job.memory.per]
        memory = times and job.memory.bytes * times
    elif job.memory:
        memory = (nodes or 1) * SITE.memory_per_node
    return {
        "nodes": nodes,
        "tasks": job.tasks,
        "cpus": job.tasks * -(-job.cpus_per_task // (job.threads_per_core or 1)),
        "memory": memory,
        "gpus": gpus,
        "walltime": job.walltime_s,
    }


def fates(reading, conversion):
    """The directives with the fields that they asked for, and what became of each."""
    entries = {(one.line, one.column, one.text): one for one in conversion.entries}
    obeyed = [one for one in reading.directives if one.state == "obeyed"]
    return [(one.fields, entries[one.line, one.column, one.text].fate) for one in obeyed]


def converted(text, reading, target, profile):
    """(conversion, what its reader makes of it); None where it can't be said in one file."""
    try:
        made = convert(text, reading, target, profile)
    except JobspecError:
        return None
    if len(made.files) > 1 and target not in {"hyperqueue", "htcondor"}:
        return None
    again = readers.read(made.files[0].text, target, profile)
    assert again.accepted, (again.errors, text, made.files[0].text)
    return made, again


def same(name, source, target, was, now, profile):
    """Whether two amounts are no difference."""
    if was[name] == now[name]:
        return True
    if name == "walltime":  # where nobody asked for one; or no limit, which is what Kubernetes has by itself
        return was[name] is None or (was[name] == "unlimited" and target == "kubernetes")
    if name == "tasks" and target in COUNTS_CPUS and was[name] == 1:
        return True
    # Whole nodes come with all that they have.
    if name in {"tasks", "cpus"} and target == "oar":
        return source.exclusive and was["cpus"] == (was["nodes"] or 0) * (profile.cores_per_node or 0)
    if name == "gpus" and target == "cobalt":
        return was[name] == was["nodes"] * (profile.gpus_per_node or 0)
    return name == "memory" and target == "cobalt" and source.memory.bytes == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("profile", [BARE, SITE], ids=["bare", "site"])
@pytest.mark.parametrize("target", BOTH)
def test_what_is_written_asks_for_as_much(accepted, target, profile):
    tally = Counter()
    for text, reading in accepted[:: 1 if profile is SITE else 5]:
        if len(reading.jobs) > 1 or not (found := converted(text, reading, target, profile)):
            continue
        made, again = found
        if len(again.jobs) > 1:
            tally["components"] += 1
            continue
        source, now = reading.jobs[0], amounts(again.jobs[0])
        was = amounts(source)
        if was["nodes"] is None and now["nodes"]:
            # Any number of nodes would do: the target's is one, by which the amounts per node count.
            was = amounts(replace(source, nodes=Nodes(now["nodes"], now["nodes"])))
        told = {field for fields, fate in fates(reading, made) if fate != "exact" for field in fields}
        for name, fields in ABOUT.items():
            if same(name, source, target, was, now, profile):
                tally["same"] += 1
            else:
                assert fields & told, (name, was, now, text, made.files[0].text)
                tally["told"] += 1
    print(target, dict(tally))
    assert tally["same"] > tally["told"]
    assert tally["components"] < 10


@pytest.mark.timeout(120)
@pytest.mark.parametrize("target", BOTH)
def test_there_and_back_again_keeps_what_is_exact(accepted, target):
    kept = Counter()
    for text, reading in accepted[::5]:
        source = reading.system
        if source == target or not SYSTEMS[source].writer or len(reading.jobs) > 1:
            continue
        if not (there := converted(text, reading, target, SITE)) or len(there[1].jobs) > 1:
            continue
        made, middle = there
        if not (back := converted(made.files[0].text, middle, source, SITE)):
            continue
        legs = [*fates(reading, made), *fates(middle, back[0])]
        told = {field for fields, fate in legs if fate != "exact" for field in fields}
        exact = {field for fields, _ in fates(reading, made) for field in fields} - told
        was, now = meaning(reading.jobs[0]), meaning(back[1].jobs[0])
        if target == "oar" and "constraint" in told:  # one condition, of which the hosts are a part
            exact -= {"hosts", "exclude_hosts"}
        for field in exact & TEXTS:
            one, other = plain(field, was[field]), plain(field, now[field])
            if field == "name" and one is None:
                continue  # a job that is named nothing is called what the target calls such jobs
            assert one == other, (field, text, made.files[0].text, back[0].files[0].text)
            kept[field] += 1
        was, now = amounts(reading.jobs[0]), amounts(back[1].jobs[0])
        for name, fields in ABOUT.items():
            if name == "tasks" and target in COUNTS_CPUS and reading.jobs[0].cpus_per_task > 1:
                continue
            if not fields & told and was[name] is not None and now[name] is not None and target != "cobalt":
                assert was[name] == now[name], (name, was, now, text, made.files[0].text, back[0].files[0].text)
                kept[name] += 1
    print(target, dict(kept))
    assert sum(kept.values()) > 100


# The fields that mean the same in the words of every system.
TEXTS = {
    *("name", "account", "qos", "queue", "reservation", "comment", "licenses", "exclusive", "deadline", "array"),
    *("dependency", "hold", "constraint", "hosts", "exclude_hosts", "workdir", "disk_per_node", "walltime_min_s"),
}


def plain(field, value):
    """The value without the ways of saying it."""
    if field in {"hosts", "exclude_hosts"} and value:
        return set(expand(",".join(value.replace("+", ",").split())))
    if field == "array" and value:
        indexes, throttle = value
        return indexes, None if throttle and throttle >= len(indexes) else throttle
    if field == "workdir" and value == ".":
        return None  # where a job starts by itself
    return value
