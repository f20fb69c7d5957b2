"""How large a job is, in bsub's words: -n, -nnodes, -gpu and the sections of -R."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from jobspec.job import Gpus, Memory, Nodes
from jobspec.lsf.resreq import compound_tasks
from jobspec.names import hosts_of
from jobspec.writing import Saying

_SCOPES = {"node": "host", "task": "task", "slot": "task", "job": "job"}


@dataclass(slots=True)
class Asked:
    """What goes into the directives: `options` with their values, the sections of -R."""

    options: list[tuple[str, str | None]] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    rusage: list[str] = field(default_factory=list)

    def requirement(self) -> str:
        """The string of -R; "" where nothing is required."""
        return " ".join([*self.sections, *([f"rusage[{','.join(self.rusage)}]"] if self.rusage else [])])


def resources(say: Saying, own: Mapping[str, list[str | None]], asked: Asked) -> None:
    """Say nodes, tasks, cores, GPUs, memory and disk. own: the values of the native options of an LSF job."""
    _select(say, asked)
    _tasks(say, own, asked)
    _gpus(say, own, asked)
    _memory(say, own, asked)
    job = say.job
    if job.disk_per_node is not None:
        asked.rusage.append(f"tmp={shown(job.disk_per_node)}/host")
        if job.disk_per_node % 1024:
            say.approximate("disk_per_node", "rounded up to KB")
        else:
            say.exact("disk_per_node")
    for name, count in job.licenses:
        asked.rusage.append(f"{name}={count}/job")
        say.approximate("licenses", "LSF counts licenses as shared resources: its administrator must define them")
    if say.same:
        asked.rusage += [value for value in own.get("rusage", []) if value and "||" not in value and ":" not in value]


def _select(say: Saying, asked: Asked) -> None:
    job, terms = say.job, list[str]()
    if job.constraint:
        if say.same:
            terms.append(job.constraint.text)
            say.exact("constraint")
        elif job.constraint.all_of:
            mapped = [say.profile.constraints.get(name, name) for name in job.constraint.all_of]
            terms += [name for name in mapped if name]
            if "" in mapped:
                say.approximate("constraint", "the profile drops a feature of it")
            elif all(name.replace("_", "a").isalnum() and name.isascii() and not name[0].isdigit() for name in mapped):
                say.exact("constraint")
            else:
                terms = []
                say.drop(
                    "constraint", "a name in it is no name of an LSF resource; constraints in the profile maps them"
                )
        else:
            say.drop("constraint", f"{job.constraint.text!r} is in the words of its own system")
    hosts = hosts_of(job.exclude_hosts, say.profile)
    if hosts:
        terms += [f"hname!='{host}'" for host in hosts]
        say.exact("exclude_hosts")
    elif job.exclude_hosts:
        say.drop("exclude_hosts", "it is no plain list of hosts")
    if terms:
        asked.sections.append(f"select[{' && '.join(terms)}]")
    if job.placement and say.same:
        asked.sections.append(job.placement)
        say.exact("placement")


def _tasks(say: Saying, own: Mapping[str, list[str | None]], asked: Asked) -> None:
    job, options = say.job, asked.options
    say.exact("tasks", "cpus_per_task")
    whole = "nnodes" in own and job.nodes
    if job.nodes and whole:
        options.append(("nnodes", str(job.nodes.least)))
        say.exact("nodes", "exclusive")
    compound = any(value and compound_tasks(value) == job.tasks for value in own.get("R", []))
    if not compound and ("tasks" in job.where or (job.tasks > 1 and not whole)):
        [limits, *_] = own.get("n", [None])
        options.append(("n", limits or str(job.tasks)))
    if not whole:
        _spread(say, asked)
    if job.cpus_per_task > 1 or ("cpus_per_task" in job.where and say.same):
        asked.sections.append(f"affinity[core({job.cpus_per_task})]")
    if job.exclusive and not whole:
        options.append(("x", None))
        say.exact("exclusive")


def _spread(say: Saying, asked: Asked) -> None:
    """The tasks over the hosts: span[hosts=1], span[ptile=N]."""
    job, tasks = say.job, say.job.tasks
    nodes, each = job.nodes, job.tasks_per_node
    if nodes is None or (say.same and each):
        if each:
            asked.sections.append(f"span[ptile={each}]")
            say.exact("tasks_per_node", "nodes")
        return
    if nodes.least != nodes.most:
        say.approximate("nodes", f"LSF has no range of hosts: {_range(nodes)} became {max(nodes.least, 1)}")
    count = max(nodes.least, 1)
    if count == 1 and (each is None or each >= tasks):
        asked.sections.append("span[hosts=1]")
        say.exact("nodes", "tasks_per_node")
        return
    ptile = each if each and math.ceil(tasks / each) == count else math.ceil(tasks / count)
    held = math.ceil(tasks / ptile)
    asked.sections.append(f"span[ptile={ptile}]")
    if held != count:
        say.approximate("nodes", f"{tasks} tasks by {ptile} fill {held} hosts, not {count}")
    elif tasks % count and each is None:
        say.approximate("nodes", f"the last of {count} hosts gets the rest of {tasks} tasks by {ptile}")
    else:
        say.exact("nodes")
    if each is not None and each != ptile:
        say.approximate("tasks_per_node", f"span[ptile={ptile}] gives {count} hosts; {each} on each would not")
    else:
        say.exact("tasks_per_node")


def _range(nodes: Nodes) -> str:
    return f"{nodes.least}-{'' if nodes.most is None else nodes.most}"


def _gpus(say: Saying, own: Mapping[str, list[str | None]], asked: Asked) -> None:
    job = say.job
    [extra, *_] = own.get("gpu", [None])
    if extra == "-":
        asked.options.append(("gpu", "-"))
        say.exact("gpus")
        return
    if not job.gpus:
        return
    first = job.gpus[0]
    if "ngpus" in own and own["ngpus"][0]:
        name, _, per = own["ngpus"][0].partition("/")
        asked.rusage.append(f"{name}={first.count}" + (f"/{per}" if per else ""))
        say.exact("gpus")
        return
    count, per = _count(say, job.gpus)
    types = [say.gpu_type(one.type) for one in job.gpus if one.type]
    words = [f"num={count}{per}"]
    if len(types) == 1 and len(job.gpus) == 1 and not set(types[0]) & set(" :=/\"'"):
        words.append(f"gmodel={types[0]}")
    elif types:
        say.approximate("gpus", f"bsub asks for one model of GPU, not for {', '.join(types)}")
    asked.options.append(("gpu", ":".join([*words, *([extra] if extra else [])])))
    say.exact("gpus")


def _count(say: Saying, gpus: tuple[Gpus, ...]) -> tuple[int, str]:
    """How many, per host or per task."""
    job, scopes = say.job, {one.per for one in gpus}
    total = sum(one.count for one in gpus)
    if scopes == {"task"}:
        return total, "/task"
    if scopes == {"node"}:
        return total, ""
    if len(scopes) > 1:
        # Given twice, the scheduler has checked that they agree.
        kind = "task" if "task" in scopes else "node"
        say.approximate("gpus", f"said per {kind} only")
        return sum(one.count for one in gpus if one.per == kind), "/task" if kind == "task" else ""
    nodes = job.nodes.least if job.nodes and job.nodes.least == job.nodes.most else 1 if job.tasks == 1 else 0
    if nodes and total % nodes == 0:
        return total // nodes, ""
    if total % job.tasks == 0:
        return total // job.tasks, "/task"
    each = math.ceil(total / (nodes or job.tasks))
    say.approximate("gpus", f"bsub counts GPUs by host or task: {total} became {each} for each")
    return each, "" if nodes else "/task"


def _memory(say: Saying, own: Mapping[str, list[str | None]], asked: Asked) -> None:
    memory = say.job.memory
    limits = own.get("M", [])
    asked.options += [("M", value) for value in limits if value not in {None, "!"}]
    if memory is None:
        return
    if memory.bytes == 0:
        whole = say.profile.memory_per_node
        if not whole:
            say.drop("memory", "bsub has no word for all of a host's memory (memory_per_node in the profile says it)")
            return
        say.approximate("memory", "all of the node became the profile's memory_per_node")
        memory = Memory(whole, "node")
    size, per = _scoped(say, memory)
    if say.same and limits and limits[0] in {None, "!"}:
        asked.options.append(("M", shown(size) + (limits[0] or "")))
        say.exact("memory")
        return
    if size % 1024:
        say.approximate("memory", "rounded up to KB")
    else:
        say.exact("memory")
    asked.rusage.insert(0, f"mem={shown(size)}/{per}")


def _scoped(say: Saying, memory: Memory) -> tuple[int, str]:
    """(bytes, host, task or job)."""
    job = say.job
    if memory.per in _SCOPES:
        return memory.bytes, _SCOPES[memory.per]
    if memory.per == "cpu":
        return memory.bytes * job.cpus_per_task, "task"
    scopes = {one.per for one in job.gpus}
    count = sum(one.count for one in job.gpus)
    if len(scopes) == 1:
        return memory.bytes * count, _SCOPES[scopes.pop()]
    say.approximate("memory", f"{memory.bytes} bytes for each GPU became as much for each task")
    return memory.bytes, "task"


def shown(size: int) -> str:
    """Bytes with the largest unit that says them; rounded up to KB."""
    for unit, shift in (("GB", 30), ("MB", 20)):
        if size and size % (1 << shift) == 0:
            return f"{size >> shift}{unit}"
    return f"{-(-size >> 10)}KB"
