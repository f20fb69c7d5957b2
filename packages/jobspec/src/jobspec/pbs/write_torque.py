"""Writing a script for Torque: qsub(1B) and "Requesting Resources" of Torque 4 to 6, and Moab's extensions of them."""

from __future__ import annotations

import re
from dataclasses import replace

from jobspec.job import Job, Memory
from jobspec.pbs import arrays, asked
from jobspec.pbs import lines as shared
from jobspec.pbs.layout import Kind, Layout, layout
from jobspec.pbs.lines import CANT, FAMILY, Lines, size
from jobspec.systems import SYSTEMS
from jobspec.writing import File, Saying, Script

_NAME = re.compile(r"[^!-~]")
_FIRST = re.compile(r"[A-Za-z]")
_LONGEST = 230
_PROPERTY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,254}", re.ASCII)
_INDEX = "PBS_ARRAYID"
_KIN = frozenset(("torque", "moab"))  # where a process is one processor of ppn
_SHAPE = ("nodes", "tasks", "tasks_per_node", "cpus_per_task", "gpus", "hosts", "constraint")
_CANT = (
    *CANT,
    ("gres", "a node's generic resources can't be requested; a profile can make properties of them"),
    ("walltime_min_s", "-l walltime= is one time"),
    ("placement", "nodes= says only how many processors on how many nodes"),
)


def write(say: Saying, script: Script) -> list[File]:
    """The files that say the job: one, or several where an array exceeds the largest index."""
    lines = Lines(say)
    asked.name(lines, _NAME, _FIRST, _LONGEST)
    asked.who(lines)
    _nodes(lines)
    _memory(lines)
    shared.walltime(lines, "Torque then gives what the queue has")
    _others(lines)
    script = _workdir(lines, script)
    shared.natives(lines)
    say.drop_all(_CANT)
    suffix = SYSTEMS[say.target].suffix
    return arrays.files(suffix, _array(lines, script), lambda one, made: one.text(made))


def _nodes(lines: Lines) -> None:
    """-l nodes, procs or ncpus."""
    say, job = lines.say, lines.say.job
    if any(one.nodes for one in say.components) or not say.same:
        if any(say.asked(field) for field in _SHAPE) or len(say.components) > 1:
            _spec(lines)
    elif not any(option.startswith("l mpp") for option in lines.native):
        if job.tasks > 1:
            lines.resource("procs", str(job.tasks))
        elif job.cpus_per_task > 1 or "cpus_per_task" in job.where:
            lines.resource("ncpus", str(job.cpus_per_task))
    if say.same and job.constraint:
        _, found, feature = job.constraint.text.partition("feature=")
        if found:
            lines.resource("feature", feature, "constraint")
    say.exact(*_SHAPE)


def _spec(lines: Lines) -> None:
    say, job = lines.say, lines.say.job
    plain = (replace(one, hosts=None) if say.same else one for one in say.components)
    found = [(one, layout(say, other, chunks=False)) for one, other in zip(say.components, plain, strict=True)]
    alone = len(found) == 1 and not found[0][1].on_nodes
    if alone and job.tasks > 1 and not job.gpus and job.hosts is None:
        # no nodes were asked for: processors, wherever they are
        _per_task(say, job)
        lines.resource("procs", str(job.tasks * job.cpus_per_task))
        properties = _properties(say, job)
        if properties:
            lines.resource("feature", ":".join(properties), "constraint")
            say.approximate("constraint", "feature= is Moab's: Torque itself has properties of nodes= only")
        return
    texts = [text for one, spread in found for text in _texts(say, one, spread)]
    lines.resource("nodes", "+".join(texts))


def _texts(say: Saying, job: Job, spread: Layout) -> list[str]:
    kinds = list(spread.kinds)
    _per_task(say, job)
    properties = _properties(say, job)
    if say.same and job.hosts:
        kinds = [Kind(1, kinds[0].tasks, kinds[0].gpus, host) for host in job.hosts.split(",")]
    for one in job.gpus:
        if one.type and (mapped := say.gpu_type(one.type)) != one.type and _PROPERTY.fullmatch(mapped):
            properties.append(mapped)
        elif one.type:
            why = f"Torque has no type of GPU: {one.type} is not said; a profile can map it to another name, a property"
            say.approximate("gpus", why)
    texts = []
    for kind in kinds:
        parts = [kind.host or str(kind.count)]
        if job.tasks_per_node is not None or not say.same:
            parts.append(f"ppn={max(kind.tasks, 1) * job.cpus_per_task}")
        if kind.gpus:
            parts.append(f"gpus={kind.gpus}")
        texts.append(":".join([*parts, *properties]))
    return texts


def _per_task(say: Saying, job: Job) -> None:
    if job.cpus_per_task > 1:
        why = (
            f"ppn and procs count processors: {job.tasks} tasks of {job.cpus_per_task}, each named once in PBS_NODEFILE"
        )
        say.approximate("cpus_per_task", why)
        if job.tasks > 1:
            say.approximate("tasks", why)


def _properties(say: Saying, job: Job) -> list[str]:
    """Constraints as properties of nodes."""
    if not job.constraint:
        return []
    if say.same or job.system == "moab":
        text = job.constraint.text.partition("feature=")[0].strip()
        return text.split(":") if text else []
    if not job.constraint.all_of:
        say.drop("constraint", f"{job.constraint.text[:60]!r} is more than a list of features")
        return []
    found = []
    for one in job.constraint.all_of:
        mapped = say.profile.constraints.get(one, one)
        if not mapped:
            say.drop("constraint", f"the profile drops {one}")
        elif not _PROPERTY.fullmatch(mapped):
            say.drop("constraint", f"{mapped[:60]!r} can't be a property of a node")
        else:
            found.append(mapped)
    return found


def _memory(lines: Lines) -> None:
    """mem is the job's, pmem a process's."""
    say = lines.say
    parts = [one for one in say.components if one.memory]
    if not parts or "l mppmem" in lines.native:
        say.exact("memory")
        return
    memory = parts[0].memory
    if memory and len({one.memory for one in parts}) == 1 and _per_process(parts[0]):
        lines.resource("pmem", size(memory.bytes))
        say.exact("memory")
        return
    if memory and memory.per == "job" and parts[0].system in FAMILY:
        parts = parts[:1]  # that of all components together
    amounts = [_total(say, one) for one in parts]
    if None in amounts:
        say.drop(
            "memory", "what the memory is counted by is not known; of whole nodes, say memory_per_node in the profile"
        )
        return
    lines.resource("mem", size(sum(one or 0 for one in amounts)))
    say.exact("memory")


def _per_process(job: Job) -> bool:
    """Whether pmem says it: the processors of ppn are Torque's processes."""
    memory = job.memory
    if not memory or not memory.bytes:
        return False
    return memory.per in {"cpu", "slot"} or (memory.per == "task" and (job.cpus_per_task == 1 or job.system in _KIN))


def _total(say: Saying, job: Job) -> int | None:
    """The memory of the whole job; None where it is not known."""
    memory = job.memory
    if not memory:
        return 0
    if not memory.bytes:
        memory = Memory(say.profile.memory_per_node or 0, "node")
    nodes = job.nodes.least if job.nodes else 1
    cpus = job.tasks * job.cpus_per_task
    times = {"job": 1, "node": nodes, "task": job.tasks, "gpu": _gpus(job, nodes)}.get(memory.per, cpus)
    if times > 1:
        say.approximate(
            "memory", f"{times} times {memory.bytes} bytes per {memory.per}: Torque's mem is the whole job's"
        )
    return memory.bytes * times or None


def _gpus(job: Job, nodes: int) -> int:
    times = {"node": nodes, "task": job.tasks, "job": 1}
    return sum(one.count * times[one.per] for one in job.gpus)


def _others(lines: Lines) -> None:
    say, job = lines.say, lines.say.job
    marked = set(lines.native)
    if job.exclusive:
        if not marked & {"n", "l naccesspolicy", "W x NACCESSPOLICY"}:
            lines.resource("naccesspolicy", "singlejob")
        say.exact("exclusive")
    qos = say.named("qos")
    if qos and lines.native.get("W x QOS") != job.qos:
        lines.resource("qos", qos, "qos")
    if job.reservation is not None:
        if job.reservation not in (lines.native.get("W x ADVRES"), (lines.native.get("W x FLAGS") or "")[7:]):
            lines.resource("advres", job.reservation, "reservation")
        say.exact("reservation")
    if job.licenses:
        text = "%".join(f"{name}:{count}" if count > 1 else name for name, count in job.licenses)
        if lines.resource("gres", text, "licenses"):
            say.approximate("licenses", "gres= is Moab's, which must know the licenses by these names")


def _workdir(lines: Lines, script: Script) -> Script:
    say, path = lines.say, lines.say.job.workdir
    if path is None:
        return script
    if not path.startswith("/") and say.job.system not in FAMILY:
        return shared.go_to(lines, script)  # -d is not relative to the submission directory
    alone = lines.native.get("w") == path and lines.marked("w")
    if lines.add("w" if alone else "d", path, "workdir"):
        say.exact("workdir")
    return script


def _array(lines: Lines, script: Script) -> list[tuple[list[str], Script]]:
    """-t takes lists of indexes and ranges."""
    say, array = lines.say, lines.say.job.array
    if not array:
        return [(lines.made, script)]
    if say.same and say.profile.array_cap is None:
        say.exact("array")
        return [([*lines.made, f"#PBS -t {array.text}"], script)]
    limit = f"%{array.throttle}" if array.throttle else ""
    parts: dict[int, list[str]] = {}
    for one, offset in arrays.capped(arrays.progressions(array), say.profile.array_cap):
        parts.setdefault(offset, []).extend(arrays.listed(one))
    if len(parts) > 1:
        say.approximate("array", f"indexes above the largest one: {len(parts)} files")
    say.exact("array")
    return [
        ([*lines.made, f"#PBS -t {','.join(indexes)}{limit}"], arrays.shifted(say, script, _INDEX, offset))
        for offset, indexes in parts.items()
    ]
