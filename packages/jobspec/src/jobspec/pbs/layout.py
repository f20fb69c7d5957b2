"""How the tasks and GPUs of a job are spread over nodes or chunks, in whole numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resources.errors import InputError
from resources.hostlist import expand

from jobspec.job import Job, Memory
from jobspec.writing import Saying

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind:
    """So many nodes (or chunks) with so many tasks and GPUs each."""

    count: int
    tasks: int
    gpus: int
    host: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """kinds: in order. count: of all nodes (or chunks). on_nodes: each is a node of its own, not a chunk on one."""

    kinds: tuple[Kind, ...]
    count: int
    on_nodes: bool


def layout(say: Saying, job: Job, *, chunks: bool) -> Layout:
    """The tasks of a job on its nodes, or in chunks of one task each where no nodes were asked for (`chunks`)."""
    count, on_nodes = _count(say, job, chunks)
    least, more = divmod(job.tasks, count)
    each, total = _gpus(job)
    base, rest = divmod(total, count)
    kinds, at = [], 0
    for end in sorted({more, rest, count}):
        if end > at:
            tasks = least + (at < more)
            gpus = base + (at < rest) + each[0] + each[1] * tasks
            kinds.append(Kind(end - at, tasks, gpus))
            at = end
    return Layout(tuple(_on_hosts(say, job, kinds)), count, on_nodes)


def _count(say: Saying, job: Job, chunks: bool) -> tuple[int, bool]:
    if job.nodes:
        if job.nodes.most != job.nodes.least:
            most = job.nodes.most or "any number"
            say.approximate("nodes", f"from {job.nodes.least} to {most} nodes: the least is asked for")
        elif job is say.job:
            say.exact("nodes")
        return max(job.nodes.least, 1), True
    if job.tasks_per_node and job.tasks > 1:
        return -(-job.tasks // job.tasks_per_node), True
    if job.tasks == 1:
        return 1, False
    if any(one.per == "node" for one in job.gpus) or (job.memory and job.memory.per == "node" and job.memory.bytes):
        cores = say.profile.cores_per_node
        count = min(-(-job.tasks * job.cpus_per_task // cores), job.tasks) if cores else 1
        for field in ("gpus", "memory"):
            if say.asked(field):
                say.approximate(field, f"said per node where no number of nodes is: taken as {count}")
        return count, True
    return (job.tasks if chunks else 1), False


def _gpus(job: Job) -> tuple[tuple[int, int], int]:
    """GPUs (per node, per task), and those of the job that are dealt out."""
    node = sum(one.count for one in job.gpus if one.per == "node")
    task = sum(one.count for one in job.gpus if one.per == "task")
    return (node, task), sum(one.count for one in job.gpus if one.per == "job")


def _on_hosts(say: Saying, job: Job, kinds: list[Kind]) -> list[Kind]:
    """The kinds with the hosts that were asked for, one host each."""
    if job.hosts is None:
        return kinds
    hosts = host_names(say, job.hosts)
    if hosts is None or len(hosts) > sum(kind.count for kind in kinds):
        why = "is no list of hosts" if hosts is None else "names more hosts than nodes"
        say.drop("hosts", f"{job.hosts[:60]!r} {why}")
        return kinds
    found = []
    for kind in kinds:
        taken, hosts = hosts[: kind.count], hosts[kind.count :]
        found += [Kind(1, kind.tasks, kind.gpus, host) for host in taken]
        if kind.count > len(taken):
            found.append(Kind(kind.count - len(taken), kind.tasks, kind.gpus))
    say.exact("hosts")
    return found


def host_names(say: Saying, text: str) -> list[str] | None:
    """The hosts of a list, as the profile names them; None where it is none."""
    try:
        found = list(dict.fromkeys(expand(",".join(text.replace(",", " ").split()))))
    except InputError:
        return None
    named = [say.profile.nodes.get(one, one) for one in found]
    return named if all(_HOST.fullmatch(one) for one in named) else None


def memory_of(say: Saying, memory: Memory, kind: Kind, cpus: int, count: int) -> int | None:
    """The bytes of one node or chunk; None where they can't be known."""
    if not memory.bytes:
        return say.profile.memory_per_node
    if memory.per == "job":
        if memory.bytes % count:
            say.approximate("memory", f"{memory.bytes} bytes of the job don't divide evenly among {count}: rounded up")
        return -(-memory.bytes // count)
    times = {"cpu": cpus, "gpu": kind.gpus, "node": 1}.get(memory.per, max(kind.tasks, 1))
    return memory.bytes * times or None
