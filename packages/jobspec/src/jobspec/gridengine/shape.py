"""How large a job is in Grid Engine's words: slots in a parallel environment, and amounts by slot."""

from __future__ import annotations

from jobspec.errors import JobspecError
from jobspec.gridengine.derive import native_of
from jobspec.gridengine.options import ONE_HOST
from jobspec.gridengine.requests import role
from jobspec.gridengine.words import quoted
from jobspec.job import Job
from jobspec.writing import Saying

_USUAL = {"smp": ("smp", "openmp", "threaded"), "mpi": ("mpi", "orte", "openmpi")}


def up(amount: int, by: int) -> int:
    """The quotient, rounded up."""
    return -(-amount // by)


def one_host(job: Job) -> bool:
    """Whether all slots are on one host for sure."""
    return (job.nodes is not None and job.nodes.most == 1) or job.tasks == 1


def slots(job: Job) -> int:
    """CPUs in all; at least one for each node."""
    return max(job.tasks * job.cpus_per_task, job.nodes.least if job.nodes else 1)


def environment(say: Saying) -> list[str]:
    """The -pe line. Raises JobspecError without a parallel environment for more than one slot."""
    job, names = say.job, say.profile.parallel_environments
    known = native_of(job, "pe") if say.same else []
    if known:
        name, _, wanted = known[0].partition(" ")
        mapped = names.get(name, name)
        if not mapped:
            raise JobspecError(f"the profile drops the parallel environment {name!r}, which the job can't do without")
        say.exact("tasks", "cpus_per_task", "nodes", "tasks_per_node")
        return [f"#$ -pe {mapped} {quoted(wanted)}"]
    total = slots(job)
    _account(say, total)
    if total == 1:
        return []
    kind = "smp" if one_host(job) else "mpi"
    found = names.get(kind)
    if not found:
        usual = [*dict.fromkeys(name for name in names.values() if name), *_USUAL[kind]]
        raise JobspecError(
            f"Grid Engine needs a parallel environment for {total} slots"
            f"{' on one host' if kind == 'smp' else ''}: say parallel_environments: {{{kind}: NAME}} in the profile; "
            f"candidates: {', '.join(dict.fromkeys(usual))} (`qconf -spl` lists the site's own)"
        )
    if kind == "mpi":
        rule = f"the allocation rule of {found} decides how the slots lie on hosts"
        for field in ("nodes", "tasks_per_node"):
            if say.asked(field):
                say.approximate(field, rule)
    elif job.nodes and not found.lower().startswith(ONE_HOST):
        say.approximate("nodes", f"one host if the allocation rule of {found} is $pe_slots")
    return [f"#$ -pe {found} {total}"]


def _account(say: Saying, total: int) -> None:
    job = say.job
    say.exact("tasks", "cpus_per_task", "nodes", "tasks_per_node")
    if job.cpus_per_task > 1 and job.tasks > 1:
        why = f"{total} slots: {job.tasks} tasks of {job.cpus_per_task} CPUs; Grid Engine counts slots only"
        say.approximate("tasks", why)
        say.approximate("cpus_per_task", why)
    if total > job.tasks * job.cpus_per_task:
        say.approximate("nodes", f"{total} slots: one for each node")
    if job.nodes and job.nodes.most != job.nodes.least:
        say.approximate("nodes", f"at least {job.nodes.least} slots; a range of hosts can't be said")


def memory(say: Saying) -> list[str]:
    """The h_vmem request, in bytes by slot or as the profile says."""
    job = say.job
    if not job.memory:
        return []
    if say.same and any(role(value) == "memory" for value in native_of(job, "l")):
        say.exact("memory")
        return []
    amount, total = job.memory.bytes, slots(job)
    hosts = 1 if one_host(job) or total == 1 else job.nodes.least if job.nodes else 0
    per_host = (job.tasks_per_node or 0) * job.cpus_per_task or (total / hosts if hosts else 0)
    if not amount:
        say.drop("memory", "Grid Engine can't ask for all the memory of a host")
        return []
    per, target = job.memory.per, say.profile.memory_per.get("gridengine", "")
    gpus = sum(one.count * {"job": 1, "node": hosts or 1, "task": job.tasks}[one.per] for one in job.gpus)
    whole = {
        "slot": amount * total,
        "cpu": amount * total,
        "task": amount * job.tasks,
        "node": int(amount * total / per_host) if per_host else amount,
        "gpu": amount * max(gpus, 1),
        "job": amount,
    }[per]
    parts = {"": total, "slot": total, "job": 1, "node": max(hosts, 1), "task": job.tasks}[target]
    same_scope = per == (target or "slot") or (per == "cpu" and target in {"", "slot"})
    wanted = amount if same_scope else up(whole, parts)
    if not target and not say.same:
        say.approximate("memory", f"ambiguous: {bytes_text(wanted)} of h_vmem, taken to be counted by slot")
    elif wanted * parts != whole:
        say.approximate("memory", f"{bytes_text(whole)} in {parts} parts, rounded up")
    if not same_scope:
        _scope(say, per, target or "slot", wanted, parts, hosts)
    say.exact("memory")
    return [f"#$ -l h_vmem={bytes_text(wanted)}"]


def _scope(say: Saying, per: str, target: str, wanted: int, parts: int, hosts: int) -> None:
    if per == "node" and not hosts and not say.job.tasks_per_node:
        say.approximate("memory", "as if all slots were on one host")
    elif per == "job" or (per == "node" and parts > 1):
        say.approximate("memory", f"by {per} it was; {parts} x {bytes_text(wanted)} by {target}")


def bytes_text(amount: int) -> str:
    """Bytes with the largest suffix that keeps them exact: K, M, G and T are powers of 1024."""
    for letter, power in (("T", 40), ("G", 30), ("M", 20), ("K", 10)):
        if amount >= 1 << power and not amount % (1 << power):
            return f"{amount >> power}{letter}"
    return str(amount)


def gpus(say: Saying) -> list[str]:
    """The GPUs, all of the job's; sites name the resource, most call it gpu."""
    job = say.job
    if not job.gpus:
        return []
    if say.same:
        say.exact("gpus")
        roles = {role(value) for value in native_of(job, "l")}
        one = job.gpus[0]
        lines = [] if "gpus" in roles else [f"#$ -l gpu={one.count}"]
        return lines + ([f"#$ -l gpu_type={one.type}"] if one.type and "gpu type" not in roles else [])
    hosts = job.nodes.least if job.nodes else 1
    count = sum(one.count * {"job": 1, "node": hosts, "task": job.tasks}[one.per] for one in job.gpus)
    say.approximate("gpus", f"a site's own resource, taken to be named gpu and counted by job: {count}")
    kinds = [say.gpu_type(one.type) for one in job.gpus if one.type]
    if kinds and kinds[0].replace("-", "").replace("_", "").isalnum():
        return [f"#$ -l gpu={count}", f"#$ -l gpu_type={kinds[0]}"]
    return [f"#$ -l gpu={count}"]
