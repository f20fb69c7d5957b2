"""How large a job is, in the words of sbatch: nodes, tasks, CPUs, GPUs and memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jobspec.job import Gpus, Job, Memory, Nodes
from jobspec.slurm import values
from jobspec.slurm.counts import Conflict, shape
from jobspec.writing import Saying

MB = 2**20
_PER = (("gpus", "job"), ("gpus-per-node", "node"), ("gpus-per-task", "task"))
_LETTERS = (("T", 2**40), ("G", 2**30), ("M", MB))
_MEMORY_OPTIONS = {"node": "mem", "cpu": "mem-per-cpu", "gpu": "mem-per-gpu"}


def size(amount: int) -> str:
    """Bytes as sbatch reads them, rounded up to MB."""
    amount = -(-amount // MB) * MB
    return next((f"{amount // scale}{letter}" for letter, scale in _LETTERS if amount and amount % scale == 0), "0")


def layout(say: Saying) -> Iterator[tuple[str, str]]:
    """The options for nodes, tasks and CPUs."""
    job = say.job
    asked: dict[str, Any] = {}
    nodes = job.nodes
    if nodes and say.same and job.hosts:
        nodes = _beside_hosts(job, nodes)
        asked["nodelist"] = job.hosts
    if nodes:
        most = nodes.least if nodes.most is None else nodes.most
        if nodes.most is None:
            say.approximate("nodes", f"at least {nodes.least} nodes are exactly {nodes.least}")
        asked["nodes"] = Nodes(nodes.least, most)
        yield "nodes", str(nodes.least) if most == nodes.least else f"{nodes.least}-{most}"
    per_node = job.tasks_per_node
    if per_node is not None and (not say.same or "tasks_per_node" in job.where):
        asked["ntasks-per-node"] = per_node
        yield "ntasks-per-node", str(per_node)
    if "tasks" in job.where or _derived(job, asked) != job.tasks:
        yield "ntasks", str(job.tasks)
    if "cpus_per_task" in job.where or (not say.same and job.cpus_per_task != 1):
        yield "cpus-per-task", str(job.cpus_per_task)
    if job.threads_per_core is not None and (not say.same or "threads_per_core" in job.where):
        yield "threads-per-core", str(job.threads_per_core)
    say.exact("nodes", "tasks", "tasks_per_node", "cpus_per_task", "threads_per_core")


def _beside_hosts(job: Job, nodes: Nodes) -> Nodes | None:
    """The nodes to ask for together with a list of hosts: fewer tasks than hosts make them fewer again."""
    if "nodes" not in job.where:
        return None
    hosts = values.count_hosts(job.hosts or "")
    return Nodes(hosts, hosts) if nodes.most is not None and nodes.most < hosts else nodes


def _derived(job: Job, asked: dict[str, Any]) -> int | None:
    """The tasks that Slurm would hold without being told; None where it would refuse that."""
    for name, value in _placed(job):
        if name == "extra-node-info":
            asked[name] = value
            sockets, cores, _ = values.node_shape(value)
            asked |= {"sockets-per-node": sockets, "cores-per-socket": cores}
        elif value.isdecimal():
            asked[name] = int(value)
    if job.threads_per_core is not None:
        asked["threads-per-core"] = job.threads_per_core
    for option, per in _PER:
        counts = tuple(("gpu", one.type, one.count) for one in job.gpus if one.per == per)
        if counts:
            asked[option] = counts
    if "cpus_per_task" in job.where:
        asked["cpus-per-task"] = job.cpus_per_task
    try:
        found = shape(asked)
    except Conflict:
        return None
    if found.ntasks is not None:
        return found.ntasks
    return 1 if found.least is None else found.least * (found.ntasks_per_node or 1)


def _placed(job: Job) -> Iterator[tuple[str, str]]:
    for word in (job.placement or "").split() if job.system == "slurm" else ():
        name, _, value = word.removeprefix("--").partition("=")
        yield name, value


def keeps_words(say: Saying) -> bool:
    """Whether GPUs that can't be said again from their numbers are written as they were."""
    return say.same and say.profile.gpus_as == "gpus"


def gpus(say: Saying) -> Iterator[tuple[str, str]]:
    """The options for GPUs and other generic resources."""
    job = say.job
    found = [Gpus(one.count, one.per, say.gpu_type(one.type)) for one in job.gpus]
    say.exact("gpus", "gres")
    native = {one.option: one.value or "" for one in job.native} if keeps_words(say) else {}
    # What is written as it was: of one scope the option's own come first, then those of --gres, then of a socket.
    if "gpus-per-socket" in native:
        found = _without(found, "node", len(values.gpus(native["gpus-per-socket"])), last=True)
    if "gres" in native:
        of_gres = sum(name == "gpu" for name, _, _ in values.gres(native["gres"]))
        found = _without(found, "node", of_gres, last=True)
    for option, per in _PER:
        if option in native:
            found = _without(found, per, len(values.gpus(native[option])))
    per_node = [one for one in found if one.per == "node"]
    others = [one for one in found if one.per != "node"]
    if say.profile.gpus_as == "gres" and others:
        per_node += [one for one in (_per_node(say, gpu) for gpu in others) if one] if not per_node else []
        others = []
    gres = [_counted("gpu", one.type, one.count) for one in per_node]
    extra = [_counted(one.name, one.type, one.count) for one in job.gres] if "gres" not in native else []
    if gres and not extra and say.profile.gpus_as == "gpus" and "gpus-per-node" not in native:
        yield "gpus-per-node", _gpu_counts(per_node)
    elif gres or extra:
        yield "gres", ",".join(gres + extra)
    for per, option in (("job", "gpus"), ("task", "gpus-per-task")):
        counts = [one for one in others if one.per == per]
        if counts:
            yield option, _gpu_counts(counts)


def _without(found: list[Gpus], per: str, count: int, *, last: bool = False) -> list[Gpus]:
    """All but the first (or last) so many of a scope."""
    ours = [index for index, one in enumerate(found) if one.per == per]
    gone = set(ours[len(ours) - count :] if last else ours[:count])
    return [one for index, one in enumerate(found) if index not in gone]


def _gpu_counts(found: Iterable[Gpus]) -> str:
    return ",".join(f"{one.type}:{one.count}" if one.type else str(one.count) for one in found)


def _counted(name: str, kind: str, count: int) -> str:
    for letter, scale in (("T", 2**40), ("G", 2**30), ("M", MB), ("K", 1024)):
        if count and count % scale == 0:
            return ":".join(filter(None, (name, kind, f"{count // scale}{letter}")))
    return ":".join(filter(None, (name, kind, str(count))))


def _per_node(say: Saying, gpu: Gpus) -> Gpus | None:
    """The GPUs of a task or of the job as those of a node."""
    job = say.job
    nodes = job.nodes.least if job.nodes else 1 if job.tasks == 1 else 0
    if gpu.per == "task":
        tasks = job.tasks_per_node or (-(-job.tasks // nodes) if nodes else 0)
        count = gpu.count * tasks
        exact = bool(job.tasks_per_node) or bool(nodes and job.tasks % nodes == 0)
        how = f"{gpu.count} for each of {tasks} tasks on a node"
    else:
        count = -(-gpu.count // nodes) if nodes else 0
        exact = bool(nodes and gpu.count % nodes == 0)
        how = f"{gpu.count} on {nodes} nodes"
    if not count:
        say.drop(
            "gpus", f"the site knows GPUs of a node only, and the number of nodes is open: {gpu.count} per {gpu.per}"
        )
        return None
    if not exact:
        say.approximate("gpus", f"{how} are {count} on each node")
    return Gpus(count, "node", gpu.type)


def memory(say: Saying) -> Iterator[tuple[str, str]]:
    """The option for memory: one at most."""
    wanted = say.job.memory
    if wanted is None:
        return
    say.exact("memory")
    if wanted.per not in _MEMORY_OPTIONS:
        wanted = _rescoped(say, wanted)
    if wanted.bytes % MB:
        say.approximate("memory", "Slurm holds MB: rounded up")
    if wanted.per == "gpu" and not say.job.gpus:
        say.drop("memory", "it is counted by GPUs, and the job has none")
        return
    yield _MEMORY_OPTIONS[wanted.per], size(wanted.bytes)


def _rescoped(say: Saying, wanted: Memory) -> Memory:
    """Memory of a task, slot or job as that of a CPU or node."""
    job = say.job
    nodes = job.nodes.least if job.nodes else None
    if nodes is not None and job.nodes and job.nodes.most not in {None, nodes}:
        nodes = None
    if wanted.bytes == 0:
        return Memory(0, "node")
    if wanted.per == "job":
        if nodes or job.tasks == 1:
            count = nodes or 1
            share = -(-wanted.bytes // count)
            if wanted.bytes % count:
                say.approximate("memory", f"{wanted.bytes} bytes on {count} nodes are {share} on each")
            return Memory(share, "node")
        count = job.tasks * job.cpus_per_task
        share = -(-wanted.bytes // count)
        say.approximate("memory", f"{size(wanted.bytes)} of the whole job are {size(share)} for each of {count} CPUs")
        return Memory(share, "cpu")
    share = -(-wanted.bytes // job.cpus_per_task)
    if job.cpus_per_task == 1 or (share % MB == 0 and share * job.cpus_per_task == wanted.bytes):
        return Memory(share, "cpu")
    if nodes and job.tasks % nodes == 0:
        return Memory(wanted.bytes * (job.tasks // nodes), "node")
    say.approximate(
        "memory", f"{size(wanted.bytes)} for {job.cpus_per_task} CPUs are {size(share)} for each, rounded up"
    )
    return Memory(share, "cpu")
