"""Nodes, tasks and CPUs: what sbatch 22.05 derives from the options that were given, and which it refuses together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resources.units import shown

from jobspec.slurm.values import Counts, count_hosts


class Conflict(ValueError):
    """Options that contradict one another; `option` is the one to blame."""

    def __init__(self, option: str, message: str) -> None:
        self.option = option
        super().__init__(message)


@dataclass(slots=True)
class Shape:
    """What is asked of nodes, tasks and CPUs; None where nothing is."""

    least: int | None = None
    most: int | None = None
    ntasks: int | None = None
    cpus_per_task: int | None = None
    ntasks_per_node: int | None = None
    ntasks_per_socket: int | None = None
    ntasks_per_gpu: int | None = None
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None


_EXCLUSIVE = (
    ("mem", "mem-per-cpu", "mem-per-gpu"),
    ("mem-per-cpu", "mem-per-gpu"),
    ("cpus-per-gpu", "cpus-per-task"),
    ("ntasks-per-gpu", "gpus-per-task", "gpus-per-socket", "ntasks-per-node"),
)
HINTS = ("compute_bound", "memory_bound", "multithread", "nomultithread")
_GPUS = ("gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task")


def shape(asked: Mapping[str, Any]) -> Shape:
    """The numbers that Slurm would hold. Raises Conflict."""
    get = asked.get
    found = Shape(
        ntasks=get("ntasks"),
        cpus_per_task=get("cpus-per-task"),
        ntasks_per_node=get("ntasks-per-node"),
        ntasks_per_socket=get("ntasks-per-socket"),
        ntasks_per_gpu=get("ntasks-per-gpu"),
        sockets=get("sockets-per-node"),
        cores=get("cores-per-socket"),
        threads=get("threads-per-core"),
    )
    for first, *others in _EXCLUSIVE:
        if first in asked:
            for other in others:
                if other in asked:
                    raise Conflict(other, f"--{first} and --{other} exclude each other")
    if asked.get("distribution", "").lower().startswith("arbitrary") and "nodelist" not in asked:
        raise Conflict("distribution", "--distribution=arbitrary needs --nodelist")
    if "hint" in asked:
        _hint(asked, found)
    nodes = get("nodes")
    if nodes:
        found.least, found.most = nodes.least, nodes.most or None  # 0 is no limit
    if "nodelist" in asked:
        _nodelist(asked["nodelist"], found)
    _tasks(asked, found)
    plane = asked.get("distribution", "").lower().partition("plane=")[2]
    if plane and int(plane) * ((found.least or 1) - 1) >= (found.ntasks or 1):
        raise Conflict("distribution", f"there are too few tasks for planes of {plane} on {found.least} nodes")
    entries = gpu_entries(asked)
    if len(entries) > 1 and "" in entries:
        raise Conflict(next(name for name in (*_GPUS, "gres") if name in asked), "GPUs both with and without a type")
    _implied_tasks(found, entries)
    for entry in entries.values():
        _check_gpus(entry, found, asked)
    if found.ntasks_per_gpu:
        _tasks_of_gpus(found, entries)
    if get("mem-per-gpu") and not entries and not found.ntasks_per_gpu:
        raise Conflict("mem-per-gpu", "--mem-per-gpu without GPUs")
    return found


def _hint(asked: Mapping[str, Any], found: Shape) -> None:
    if asked.keys() & {"ntasks-per-core", "threads-per-core", "extra-node-info"}:
        return
    found.sockets = found.cores = found.threads = None
    for hint in asked["hint"].lower().split(","):
        if hint not in HINTS:
            raise Conflict("hint", f"--hint: {shown(hint)} is none of {', '.join(HINTS)}")
        if hint == "compute_bound":
            found.sockets, found.cores, found.threads = None, None, 1
        elif hint == "memory_bound":
            found.cores = found.threads = 1
        elif hint == "nomultithread":
            found.threads = 1
        else:
            found.threads = None


def _nodelist(text: str, found: Shape) -> None:
    try:
        hosts = count_hosts(text)
    except ValueError as error:
        raise Conflict("nodelist", f"--nodelist: {error}") from None
    found.least = max(hosts, found.least) if found.least is not None else hosts
    if found.most is not None and found.most < found.least:
        raise Conflict("nodelist", f"--nodelist names {hosts} hosts and --nodes allows {found.most}")


def _tasks(asked: Mapping[str, Any], found: Shape) -> None:
    least, most = found.least, found.most
    fixed = most is None or most == (1 if least is None else least)
    if found.ntasks is None and found.ntasks_per_node and fixed:
        found.ntasks = (1 if least is None else least) * found.ntasks_per_node
    given = least is not None or "extra-node-info" in asked
    if found.ntasks is None:
        if given and fixed:
            shaped = [number for number in (found.sockets, found.cores, found.threads) if number is not None]
            if shaped:
                found.ntasks = max(least or 1, 1) * math.prod(shaped)
    elif least is not None:
        if most is not None:
            found.most = min(most, found.ntasks)
        if found.ntasks < least:
            # More nodes than tasks: Slurm warns and takes one node for each task.
            found.least = found.most = found.ntasks


def gpu_entries(asked: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """For each type of GPU the counts per job, node, socket and task."""
    found: dict[str, dict[str, int]] = {}
    for option, per in (
        ("gpus", "job"),
        ("gpus-per-node", "node"),
        ("gres", "node"),  # wins over --gpus-per-node
        ("gpus-per-socket", "socket"),
        ("gpus-per-task", "task"),
    ):
        counts: Counts | None = asked.get(option)
        for name, kind, count in counts or ():
            if name == "gpu":
                found.setdefault(kind, {})[per] = count
    return found


def _implied_tasks(found: Shape, entries: dict[str, dict[str, int]]) -> None:
    per_task = any("task" in entry for entry in entries.values())
    if not (per_task or found.ntasks_per_gpu) or found.ntasks is not None:
        return
    if found.least is None or found.least != found.most:
        return
    if found.ntasks_per_gpu:
        found.ntasks = found.least * found.ntasks_per_gpu
    elif found.ntasks_per_node:
        found.ntasks = found.least * found.ntasks_per_node
    elif found.cpus_per_task is None:
        found.ntasks = found.least


def _check_gpus(entry: dict[str, int], found: Shape, asked: Mapping[str, Any]) -> None:
    """gres_job_state_validate of Slurm 22.05, as sbatch shows it."""
    job, node, socket, task = (entry.get(per, 0) for per in ("job", "node", "socket", "task"))
    for big, small, names in (
        (job, node, ("gpus", "gpus-per-node")),
        (job, task, ("gpus", "gpus-per-task")),
        (job, socket, ("gpus", "gpus-per-socket")),
        (node, task, ("gpus-per-node", "gpus-per-task")),
        (node, socket, ("gpus-per-node", "gpus-per-socket")),
        (socket, task, ("gpus-per-socket", "gpus-per-task")),
    ):
        if big and small and big % small:
            raise Conflict(names[0], f"--{names[0]}={big} is no multiple of --{names[1]}={small}")
    if socket and found.sockets is None:
        raise Conflict("gpus-per-socket", "--gpus-per-socket needs --sockets-per-node")
    if node and socket and found.sockets != node // socket:
        text = (
            f"{node} GPUs a node with {socket} a socket make {node // socket} sockets, not those of --sockets-per-node"
        )
        raise Conflict("gpus-per-socket", text)
    if job and node:
        quotient = job // node
        if not (found.least or 0) <= quotient <= (found.most if found.most is not None else quotient):
            text = f"--gpus={job} with {node} a node makes {quotient} nodes, not those of --nodes"
            raise Conflict("gpus", text)
        found.least = found.most = quotient
    if job and task:
        found.ntasks = _agree(found.ntasks, job // task, "gpus", "tasks of --ntasks")
    if node and task:
        found.ntasks_per_node = _agree(found.ntasks_per_node, node // task, "gpus-per-task", "tasks per node")
    if socket and task:
        found.ntasks_per_socket = _agree(found.ntasks_per_socket, socket // task, "gpus-per-task", "tasks per socket")
    per_gpu = asked.get("cpus-per-gpu")
    if per_gpu and task:
        found.cpus_per_task = per_gpu * task
    if task and found.ntasks is None:
        raise Conflict("gpus-per-task", "--gpus-per-task needs --ntasks or --gpus")
    if job and found.least is not None:
        if job < found.least:
            raise Conflict("gpus", f"--gpus={job} is less than one GPU on each of {found.least} nodes")
        if found.most is not None:
            found.most = min(found.most, job)


def _tasks_of_gpus(found: Shape, entries: dict[str, dict[str, int]]) -> None:
    per = found.ntasks_per_gpu or 1
    gpus = sum(entry.get("job") or entry.get("node", 0) * (found.least or 1) for entry in entries.values())
    if gpus:
        found.ntasks = gpus * per
    elif found.ntasks is None or (found.ntasks > per and found.ntasks % per):
        raise Conflict("ntasks-per-gpu", "--ntasks-per-gpu needs GPUs, or a number of tasks that it divides")
    elif found.least is not None and found.ntasks // per < found.least:
        text = f"{found.ntasks} tasks with {per} for each GPU are less than one GPU on each of {found.least} nodes"
        raise Conflict("ntasks-per-gpu", text)


def _agree(asked: int | None, derived: int, option: str, what: str) -> int:
    if asked is not None and asked != derived:
        raise Conflict(option, f"the GPUs make {derived}, and {asked} are the {what}")
    return derived
