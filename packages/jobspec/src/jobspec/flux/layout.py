"""What Flux is asked for: a number of nodes, of slots, and what is in one slot (RFC 25, "Resources").

Flux gives every node the same number of slots and every slot the same cores and GPUs. A job that is more irregular
gets the smallest such request that holds it, and the account says what was added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobspec.flux.values import shown
from jobspec.job import Job
from jobspec.profile import Profile
from jobspec.writing import Saying

# The systems whose words are Flux's own.
KIN = frozenset({"flux", "flux-jobspec"})
MOST_GPUS = 16  # of a node, where the profile does not say: larger ones are not built


@dataclass(frozen=True, slots=True)
class Layout:
    """nodes: None where the scheduler may choose. slots: of the whole job. cores, gpus: of each slot."""

    nodes: int | None
    slots: int
    cores: int
    gpus: int
    exclusive: bool

    @property
    def on_each(self) -> int:
        """The slots on a node, once Flux has made them even; all of them where the nodes are not given."""
        return -(-self.slots // self.nodes) if self.nodes else self.slots

    @property
    def total(self) -> int:
        """The slots that Flux allocates."""
        return self.on_each * (self.nodes or 1)


def layout(say: Saying) -> Layout:
    """The request for a job, with the account of the fields that go into it."""
    job = say.job
    cores = _cores(say)
    nodes = _nodes(say, cores)
    plan = Layout(nodes, job.tasks, cores, 0, job.exclusive and nodes is not None)
    if nodes and nodes > job.tasks:
        plan = replace(plan, slots=nodes)
        say.approximate("tasks", f"{nodes} slots instead of {job.tasks}: Flux puts one on each of {nodes} nodes")
    elif plan.total != job.tasks and job.system not in KIN:
        each = f"{plan.on_each} slots on each of {nodes} nodes"
        say.approximate("tasks", f"{each} are {plan.total}, for {job.tasks} tasks: Flux gives every node the same")
    say.exact("tasks")
    _tasks_per_node(say, plan)
    plan = _with_gpus(say, plan)
    plan = _with_memory(say, plan)
    if job.exclusive and not plan.exclusive:
        say.drop(
            "exclusive",
            "flux batch gives whole nodes to a given number of nodes only: say it, or cores_per_node in the profile",
        )
    elif job.exclusive:
        say.exact("exclusive")
    return plan


def _cores(say: Saying) -> int:
    job = say.job
    threads = job.threads_per_core or 1
    cores = -(-job.cpus_per_task // threads)
    if cores != job.cpus_per_task:
        why = f"{job.cpus_per_task} hardware threads, {threads} on a core, are {cores} cores: Flux counts cores"
        say.approximate("cpus_per_task", why)
        say.approximate("threads_per_core", why)
    elif threads > 1:
        say.approximate("threads_per_core", "Flux counts cores, whichever hardware threads they have")
    say.exact("cpus_per_task", "threads_per_core")
    return cores


def _nodes(say: Saying, cores: int) -> int | None:
    job, profile = say.job, say.profile
    if job.nodes:
        least, most = job.nodes.least, job.nodes.most
        if most != least:
            say.approximate("nodes", f"Flux takes one number of nodes: {least}, the least of the range")
        say.exact("nodes")
        needed = -(-job.tasks // job.tasks_per_node) if job.tasks_per_node else 0
        if needed > least and most != least:
            say.approximate("nodes", f"{needed} nodes hold {job.tasks} tasks, {job.tasks_per_node} on each")
            return needed
        return max(least, 1)
    if job.tasks_per_node and job.tasks > 1:
        return -(-job.tasks // job.tasks_per_node)
    if job.exclusive and job.tasks == 1:
        return 1
    if job.exclusive and profile.cores_per_node and cores <= profile.cores_per_node:
        nodes = -(-job.tasks // (profile.cores_per_node // cores))
        say.approximate(
            "exclusive",
            f"{nodes} nodes hold {job.tasks} x {cores} cores, at {profile.cores_per_node} cores a node, by the profile",
        )
        return nodes
    return None


def _tasks_per_node(say: Saying, plan: Layout) -> None:
    wanted = say.job.tasks_per_node
    if wanted and plan.nodes and plan.on_each != wanted:
        say.approximate("tasks_per_node", f"Flux puts the same on every node: {plan.on_each} slots, not {wanted}")
    say.exact("tasks_per_node")


def _with_gpus(say: Saying, plan: Layout) -> Layout:
    """The GPUs of a slot: the most that any of the requests needs, where they count by different things."""
    job = say.job
    wanted = [one for one in job.gpus if one.count]
    by_scope: dict[str, int] = {}
    for one in wanted:
        by_scope[one.per] = by_scope.get(one.per, 0) + one.count
    gpus, reason = 0, ""
    for per, count in by_scope.items():
        each, why = _gpus_of_a_slot(per, count, plan, job)
        if each > gpus:
            gpus, reason = each, why
    on_node = by_scope.get("node", 0)
    known = say.profile.gpus_per_node
    limit = known or MOST_GPUS
    if on_node and plan.nodes and on_node <= limit < gpus * plan.on_each:
        each = plan.on_each
        most = f"the {limit} GPUs of a node in the profile" if known else f"{limit}, which no node has"
        why = (
            f"one slot of {each * plan.cores} cores and {on_node} GPUs on each node, instead of {each}: "
            f"{each} with {_many(gpus, 'GPU')} each would be more than {most}"
        )
        say.approximate("tasks", why)
        say.approximate("cpus_per_task", why)
        say.approximate("tasks_per_node", why)
        plan = replace(plan, slots=plan.nodes, cores=each * plan.cores)
        gpus, reason = on_node, ""
    if reason:
        say.approximate("gpus", reason)
    for name in dict.fromkeys(one.type for one in wanted if one.type):
        say.approximate("gpus", gpu_type(say.profile, name)[1])
    say.exact("gpus")
    return replace(plan, gpus=gpus)


def _gpus_of_a_slot(per: str, count: int, plan: Layout, job: Job) -> tuple[int, str]:
    """GPUs of each slot, and what differs."""
    if per == "task":
        more = plan.total - job.tasks if job.system not in KIN else 0
        return count, f"{plan.total} slots have {count} GPUs each, {more * count} more than the tasks" if more else ""
    if per == "job":
        each = -(-count // plan.total)
        what = "of the job"
        slots, where = plan.total, ""
    else:
        each = -(-count // plan.on_each)
        what, slots, where = "of a node", plan.on_each, " on each node" if plan.nodes else ""
        if not plan.nodes and plan.slots > 1:
            total = f"{slots} slots with {each} each are {each * slots} in all"
            return each, f"{_many(count, 'GPU')} {what}, and no number of nodes: Flux counts GPUs by slot, and {total}"
    if each * slots == count:
        return each, ""
    return each, (
        f"{_many(count, 'GPU')} {what} can't be shared evenly by {slots} slots{where}: {each} each are {each * slots} "
        "(fewer and larger slots would need fewer)"
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def gpu_type(profile: Profile, name: str) -> tuple[str, str]:
    """The property that stands for a type of GPU, "" without one, and what differs."""
    mapped = profile.constraints.get(name, "")
    if mapped:
        return mapped, f"the type {name} is required as the property {mapped} of the node"
    return (
        "",
        f"any type instead of {name}: flux batch has no types of GPU (a property in the profile's constraints helps)",
    )


def _with_memory(say: Saying, plan: Layout) -> Layout:
    """Flux does not know memory: enough cores, or whole nodes, stand for it where the profile tells their sizes."""
    job, profile = say.job, say.profile
    if job.memory is None:
        return plan
    wanted = shown(job.memory.bytes)
    if job.memory.bytes == 0 or (plan.exclusive and job.memory.per == "node"):
        if plan.nodes and (plan.exclusive or profile.memory_per_node):
            say.approximate("memory", "Flux does not know memory: whole nodes come with all of theirs")
            return replace(plan, exclusive=True)
        say.drop(
            "memory", "Flux does not know memory; whole nodes (exclusive, with a number of nodes) come with theirs"
        )
        return plan
    if not profile.memory_per_node or not profile.cores_per_node:
        say.drop(
            "memory",
            f"Flux does not know memory: with a profile of cores and memory per node, cores stand for {wanted}",
        )
        return plan
    share = profile.memory_per_node // profile.cores_per_node
    of_slot = _memory_of_a_slot(job, plan)
    if of_slot > profile.memory_per_node or not share:
        say.drop("memory", f"no node of the profile has {shown(of_slot)} for a slot")
        return plan
    needed = -(-of_slot // share)
    each = f"{shown(share)} for each of the {profile.cores_per_node} cores of a node"
    if needed <= plan.cores:
        say.approximate("memory", f"the {plan.cores} cores of a slot come with {shown(plan.cores * share)}: {each}")
        return plan
    if plan.nodes and plan.on_each * needed > profile.cores_per_node:
        say.approximate("memory", f"whole nodes, as {plan.on_each} slots of {shown(of_slot)} need more than {each}")
        return replace(plan, exclusive=True)
    say.approximate("memory", f"{needed} cores come with {shown(needed * share)}: {each}")
    say.approximate(
        "cpus_per_task", f"{needed} cores in a slot instead of {plan.cores}, for {shown(of_slot)} of memory"
    )
    return replace(plan, cores=needed)


def _memory_of_a_slot(job: Job, plan: Layout) -> int:
    """Bytes, rounded up."""
    if job.memory is None:
        return 0
    count, per = job.memory.bytes, job.memory.per
    if per == "cpu":
        return count * job.cpus_per_task
    if per == "gpu":
        return count * plan.gpus
    if per == "node":
        return -(-count // plan.on_each)
    if per == "job":
        return -(-count // plan.total)
    return count
