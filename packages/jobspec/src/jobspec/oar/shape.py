"""How large a job is, as a hierarchy of OAR: /nodes=N/gpu=G/core=C and a walltime."""

from __future__ import annotations

from jobspec.gridengine.order import clock
from jobspec.job import Job
from jobspec.writing import Saying

_AMOUNTS = ("nodes", "tasks", "tasks_per_node", "cpus_per_task", "gpus", "exclusive")


def resources(say: Saying) -> list[str]:
    """The -l line."""
    job = say.job
    levels = _levels(say)
    if job.walltime_s == "unlimited":
        say.drop("walltime_s", "every OAR job has a walltime: the site's default")
    elif job.walltime_s is not None:
        say.exact("walltime_s")
        levels += f",walltime={clock(job.walltime_s)}" if levels else f"walltime={clock(job.walltime_s)}"
    return [f"#OAR -l {levels}"] if levels else []


def _levels(say: Saying) -> str:
    job = say.job
    kept = [one.value for one in job.native if one.option == "resource"] if say.same else []
    say.exact(*(field for field in _AMOUNTS if say.asked(field)))
    if kept:
        return kept[0] or ""
    nodes = _nodes(job)
    if job.nodes and job.nodes.most != job.nodes.least:
        say.approximate("nodes", f"{nodes} nodes: OAR takes one number")
    total = job.tasks * job.cpus_per_task
    gpus = _gpus(say, nodes)
    if job.tasks > 1 and job.cpus_per_task > 1:
        why = f"{total} cores: {job.tasks} tasks of {job.cpus_per_task} CPUs; OAR counts cores only"
        say.approximate("tasks", why)
        say.approximate("cpus_per_task", why)
    # With GPUs and nothing said of CPUs the cores that belong to the GPUs come with them.
    counted = total > max(nodes, 1) or job.tasks_per_node is not None or not (gpus or job.exclusive)
    if not nodes and job.tasks == 1 and job.cpus_per_task > 1:
        nodes = 1
    if nodes:
        return _by_node(say, nodes, total, gpus, counted)
    if job.cpus_per_task > 1:
        say.approximate("cpus_per_task", "the cores of a task may lie on several nodes")
    if job.exclusive:
        say.drop("exclusive", "only whole nodes are exclusive, and no number of nodes is asked for")
    if gpus:
        if total > 1 or counted:
            return f"/gpu={gpus}" + (f"/core={_up(say, total, gpus)}" if total > 1 else "")
        return f"/gpu={gpus}"
    return f"/core={total}" if total > 1 or say.asked("tasks") or "tasks" in job.where else ""


def _nodes(job: Job) -> int:
    """The nodes that the tasks lie on, 0 where any number will do."""
    if job.nodes:
        return max(job.nodes.least, 1)
    return -(-job.tasks // job.tasks_per_node) if job.tasks_per_node and job.tasks > 1 else 0


def _by_node(say: Saying, nodes: int, total: int, gpus: int, counted: bool) -> str:
    """gpus: of all nodes."""
    job = say.job
    text = f"/nodes={nodes}"
    by_node = max(job.tasks_per_node or 0, -(-job.tasks // nodes)) * job.cpus_per_task
    if job.exclusive:
        if total > nodes and nodes * (say.profile.cores_per_node or 0) != total:
            say.approximate("tasks", f"whole nodes, with all of their cores: {total} were asked for")
        if gpus and not say.same:
            say.approximate("gpus", "whole nodes, with all that they have")
        return text
    if by_node * nodes != total:
        say.approximate("tasks", f"{nodes} x {by_node} cores: as many on each node")
    if gpus:
        each = -(-gpus // nodes)
        if each * nodes != gpus:
            say.approximate("gpus", f"{nodes} x {each}: as many on each node")
        text += f"/gpu={each}"
        return text + (f"/core={_up(say, by_node, each)}" if counted else "")
    return f"{text}/core={by_node}"


def _up(say: Saying, cores: int, gpus: int) -> int:
    each = -(-cores // gpus)
    if each * gpus != cores:
        say.approximate("tasks", f"{each} cores with each GPU: a level has the same below each of it")
    return each


def _gpus(say: Saying, nodes: int) -> int:
    """All GPUs."""
    job = say.job
    on_node = sum(one.count for one in job.gpus if one.per == "node")
    if on_node and not nodes and job.tasks > 1:
        say.approximate("gpus", f"{on_node} of each node, of which no number is asked for: {on_node} in all")
    return sum(one.count * {"job": 1, "node": nodes or 1, "task": job.tasks}[one.per] for one in job.gpus)
