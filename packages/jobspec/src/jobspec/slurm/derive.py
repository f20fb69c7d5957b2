"""From options to the job that Slurm holds: the counts that sbatch and slurmctld derive from one another."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from resources.errors import InputError
from resources.hostlist import expand

from jobspec.errors import ScriptError
from jobspec.job import Gpus, Job, Memory, Nodes, Where
from jobspec.slurm.arguments import Asked, Given
from jobspec.slurm.values import Counts

_EXCLUSIVE = (
    ("mem", "mem_per_cpu", "mem_per_gpu"),
    ("cpus_per_gpu", "cpus_per_task"),
    ("ntasks_per_gpu", "gpus_per_task", "gpus_per_socket", "ntasks_per_node"),
)
_START = Where(1, 1)
# the field of `Asked` -> the field of the job that it ends up in, where their names differ
HELD_IN = {
    "gpus_per_node": "gpus",
    "gpus_per_socket": "gpus",
    "gpus_per_task": "gpus",
    "gres": "gpus",
    "mem": "memory",
    "mem_per_cpu": "memory",
    "mem_per_gpu": "memory",
    "ntasks": "tasks",
    "ntasks_per_node": "tasks_per_node",
    "time": "walltime_s",
    "tmp": "disk_per_node",
}


def derive(asked: Asked, last: Mapping[str, Given]) -> Job:
    """The job, with the counts that Slurm would hold. Raises ScriptError where options contradict one another."""
    where = {given.option.field: given.where for given in last.values() if given.option.field}
    _check_together(asked, where)
    nodes, tasks = _counts(asked, where)
    nodes, tasks, cpus_per_task = _gpu_counts(asked, nodes, tasks, where)
    sizes = (("node", asked.mem), ("cpu", asked.mem_per_cpu), ("gpu", asked.mem_per_gpu))
    memory = next((Memory(size, per) for per, size in sizes if size is not None), None)  # type: ignore[arg-type]
    return Job(
        system="slurm",
        name=asked.name,
        nodes=nodes,
        tasks=tasks,
        tasks_per_node=asked.ntasks_per_node,
        cpus_per_task=cpus_per_task,
        gpus=_gpus(asked),
        memory=memory,
        disk_per_node=asked.tmp,
        walltime_s=asked.time,  # type: ignore[arg-type]
        licenses=asked.licenses or (),
        exclusive=asked.exclusive is not None and asked.exclusive.lower() != "oversubscribe",
        where={HELD_IN.get(field, field): place for field, place in where.items()},
    )


def _refuse(message: str, where: Mapping[str, Where], field: str) -> ScriptError:
    place = where.get(field, _START)
    return ScriptError(message, place.line, place.column)


def _flag(field: str) -> str:
    return "--" + field.replace("_", "-")


def _check_together(asked: Asked, where: Mapping[str, Where]) -> None:
    for first, *others in _EXCLUSIVE:
        for other in others:
            if getattr(asked, first) is not None and getattr(asked, other) is not None:
                raise _refuse(f"{_flag(first)} and {_flag(other)} exclude each other", where, other)
    if asked.mem_per_gpu is not None and not _gpus(asked):
        raise _refuse("--mem-per-gpu without GPUs", where, "mem_per_gpu")
    if asked.gpus_per_socket and asked.sockets_per_node is None:
        raise _refuse("--gpus-per-socket needs --sockets-per-node", where, "gpus_per_socket")


def _counts(asked: Asked, where: Mapping[str, Where]) -> tuple[Nodes | None, int]:
    """Nodes and tasks from -N, -w, -n, --ntasks-per-node and the shape of a node."""
    nodes, tasks = asked.nodes, asked.ntasks
    if asked.nodelist:
        hosts = _count_hosts(asked.nodelist, where)
        nodes = Nodes(max(hosts, nodes.least), nodes.most) if nodes else Nodes(hosts, None)
    least, most = (nodes.least, nodes.most) if nodes else (1, None)
    fixed = most is None or least == most
    if most is not None and least > most:
        raise _refuse(f"--nodelist names {least} hosts and --nodes allows {most}", where, "nodelist")
    if tasks is None and asked.ntasks_per_node and fixed:
        tasks = least * asked.ntasks_per_node
    if nodes and tasks is None:
        if fixed:
            shape = (asked.sockets_per_node, asked.cores_per_socket, asked.threads_per_core)
            tasks = max(least, 1) * math.prod(count or 1 for count in shape)
        else:
            tasks = least
    elif nodes and tasks is not None:
        # More nodes than tasks: Slurm warns and takes one node for each task.
        most = min(most, tasks) if most is not None else None
        nodes = Nodes(tasks, tasks) if tasks < least else Nodes(least, most)
    return nodes, tasks or 1


def _count_hosts(text: str, where: Mapping[str, Where]) -> int:
    if "/" in text:
        raise _refuse("--nodelist names a file, which is read only where the script is submitted", where, "nodelist")
    try:
        return len(set(expand(re.sub(r"[\s,]+", ",", text).strip(",")))) or 1
    except InputError as error:
        raise _refuse(f"--nodelist: {error.message}", where, "nodelist") from None


def _total(counts: Counts | None) -> int:
    return sum(count for name, _, count in counts or () if name == "gpu")


def _gpu_counts(
    asked: Asked, nodes: Nodes | None, tasks: int, where: Mapping[str, Where]
) -> tuple[Nodes | None, int, int]:
    """What GPUs change in nodes, tasks and CPUs: gres_job_state_validate of Slurm 22.05."""
    cpus = asked.cpus_per_task or 1
    job, per_node, per_task = _total(asked.gpus), _total(asked.gpus_per_node or asked.gres), _total(asked.gpus_per_task)
    # Two counts of which the larger must be a multiple of the smaller.
    for big, small, names in (
        (job, per_node, ("gpus", "gpus_per_node")),
        (job, per_task, ("gpus", "gpus_per_task")),
        (per_node, per_task, ("gpus_per_node", "gpus_per_task")),
    ):
        if big and small and big % small:
            raise _refuse(f"{_flag(names[0])}={big} is no multiple of {_flag(names[1])}={small}", where, names[0])
    if job and per_node:
        quotient = job // per_node
        if nodes and not nodes.least <= quotient <= (nodes.most or quotient):
            raise _refuse(
                f"--gpus={job} with {per_node} a node makes {quotient} nodes, not those of --nodes", where, "gpus"
            )
        nodes = Nodes(quotient, quotient)
    if per_task:
        if job:
            quotient = job // per_task
            if asked.ntasks and asked.ntasks != quotient:
                raise _refuse(f"--gpus={job} with {per_task} a task makes {quotient} tasks, not {tasks}", where, "gpus")
            tasks = quotient
        elif asked.ntasks is None and not asked.ntasks_per_node and (not nodes or asked.cpus_per_task):
            raise _refuse("--gpus-per-task needs --ntasks or --gpus", where, "gpus_per_task")
        if asked.cpus_per_gpu:
            cpus = asked.cpus_per_gpu * per_task
    if asked.ntasks_per_gpu:
        total = job or per_node * (nodes.least if nodes else 1)
        if total:
            tasks = total * asked.ntasks_per_gpu
    if job and nodes:
        if job < nodes.least:
            raise _refuse(f"--gpus={job} is less than one GPU on each of {nodes.least} nodes", where, "gpus")
        nodes = Nodes(nodes.least, min(nodes.most, job)) if nodes.most is not None else nodes
    return nodes, tasks, cpus


def _gpus(asked: Asked) -> tuple[Gpus, ...]:
    found: list[Gpus] = []
    for per, counts in (
        ("job", asked.gpus),
        ("node", asked.gpus_per_node or asked.gres),
        ("task", asked.gpus_per_task),
    ):
        found += [Gpus(count, per, kind) for name, kind, count in counts or () if name == "gpu"]  # type: ignore[arg-type]
    sockets = asked.sockets_per_node or 1
    found += [Gpus(count * sockets, "node", kind) for _, kind, count in asked.gpus_per_socket or ()]
    return tuple(found)
