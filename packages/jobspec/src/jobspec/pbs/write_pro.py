"""Writing a script for PBS Pro (OpenPBS): qsub(1B), pbs_resources(7B) of PBS Professional 2021."""

from __future__ import annotations

import re
from dataclasses import replace

from jobspec.job import Job
from jobspec.pbs import arrays, asked
from jobspec.pbs import lines as shared
from jobspec.pbs.layout import Kind, layout, memory_of
from jobspec.pbs.lines import CANT, Lines, hours, size
from jobspec.systems import SYSTEMS
from jobspec.writing import File, Saying, Script

_NAME = re.compile(r"[^A-Za-z0-9+_.-]")
_FIRST = re.compile(r"[A-Za-z0-9+_-]")
_LONGEST = 236
_RESOURCE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,254}", re.ASCII)
_FEATURE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,254}=[^\s:+,\"']{1,254}", re.ASCII)
_KB = 1024
_INDEX = "PBS_ARRAY_INDEX"
_SHAPE = (
    "nodes",
    "tasks",
    "tasks_per_node",
    "cpus_per_task",
    "gpus",
    "gres",
    "memory",
    "hosts",
    "constraint",
    "exclusive",
)


def write(say: Saying, script: Script) -> list[File]:
    """The files that say the job: one, or one for each part of an array that is no single range."""
    lines = Lines(say)
    asked.name(lines, _NAME, _FIRST, _LONGEST)
    asked.who(lines)
    _select(lines)
    _times(lines)
    _pmem(lines)
    _others(lines)
    script = shared.go_to(lines, script)
    shared.natives(lines)
    say.drop_all(CANT)
    suffix = SYSTEMS[say.target].suffix
    return arrays.files(suffix, _array(lines, script), lambda one, made: one.text(made))


def _select(lines: Lines) -> None:
    """-l select and place; for a script that asked in the old way for one chunk, the old way again."""
    say, job = lines.say, lines.say.job
    if say.same and not job.nodes:
        _old(lines)
        return
    if not any(say.asked(field) for field in _SHAPE) and len(say.components) == 1:
        return
    texts, spread, count = [], False, 0
    for one in say.components:
        # The same system names one host for all chunks of a kind.
        found = layout(say, replace(one, hosts=None) if say.same else one, chunks=True)
        spread |= found.on_nodes
        count += found.count
        texts += [_chunk(say, one, kind, found.count) for kind in found.kinds]
    lines.add("l", f"select={'+'.join(texts)}")
    say.exact("nodes", "tasks", "tasks_per_node", "cpus_per_task", "gpus", "hosts", "memory", "constraint")
    _place(lines, spread and count > 1)


def _chunk(say: Saying, job: Job, kind: Kind, count: int) -> str:
    native = {} if not say.same else _own(job)
    tasks = max(kind.tasks, 1)
    cpus = tasks * job.cpus_per_task
    parts = {"ncpus": str(cpus)}
    if job.tasks_per_node is not None or kind.tasks != 1:
        parts["mpiprocs"] = str(kind.tasks)
    if job.cpus_per_task > 1 and not say.same:
        parts["ompthreads"] = str(job.cpus_per_task)
    if kind.gpus:
        parts["ngpus"] = str(kind.gpus)
    if job.memory and not (say.same and job.memory.per == "task"):  # pmem
        amount = memory_of(say, job.memory, kind, cpus, count)
        if amount is None:
            say.drop("memory", "the memory of a node is not known: say memory_per_node in the profile")
        else:
            parts["mem"] = size(-(-amount // _KB) * _KB)
            if amount % _KB:
                say.approximate("memory", "PBS rounds up to the nearest kb")
    if host := job.hosts if say.same else kind.host:
        parts["host"] = host
    features = _features(say, job)
    _gpu_types(say, job, features)
    parts.update({name: value for name, value in native.items() if name in parts or name in {"mpiprocs", "ncpus"}})
    features += [f"{name}={value}" for name, value in native.items() if name not in parts]
    if not say.same:
        for one in job.gres:
            features += _gres(say, one.name, one.type, one.count)
    text = ":".join([f"{name}={value}" for name, value in parts.items()] + list(dict.fromkeys(features)))
    return f"{kind.count}:{text}"


def _own(job: Job) -> dict[str, str]:
    """What only PBS Pro has in a chunk."""
    pairs = ((one.value or "").partition("=") for one in job.native if one.option == "l select")
    return {name: value for name, _, value in pairs}


def _features(say: Saying, job: Job) -> list[str]:
    """Constraints: Boolean resources of the nodes, by the names of the features."""
    if not job.constraint:
        return []
    if say.same:
        return [job.constraint.text]
    if not job.constraint.all_of:
        say.drop("constraint", f"{job.constraint.text[:60]!r} is more than a list of features")
        return []
    found = []
    for one in job.constraint.all_of:
        mapped = say.profile.constraints.get(one, one)
        text = mapped if "=" in mapped else f"{mapped}=true"
        if not mapped:
            say.drop("constraint", f"the profile drops {one}")
        elif not _FEATURE.fullmatch(text):
            say.drop("constraint", f"{mapped[:60]!r} can't be the name of a resource")
        else:
            found.append(text)
            if one not in say.profile.constraints:
                say.approximate("constraint", f"{text}: the site must have a Boolean resource of that name")
    return found


def _gpu_types(say: Saying, job: Job, features: list[str]) -> None:
    """PBS Pro has no types of GPUs; a profile may map one to a resource: `a100: gpu_model=a100`."""
    for one in job.gpus:
        if not one.type:
            continue
        mapped = say.gpu_type(one.type)
        if _FEATURE.fullmatch(mapped):
            features.append(mapped)
        else:
            why = f"PBS Pro has no type of GPU: {one.type} is not said; a profile can map it to a resource, name=value"
            say.approximate("gpus", why)


def _gres(say: Saying, name: str, type_: str, count: int) -> list[str]:
    if not _RESOURCE.fullmatch(name):
        say.drop("gres", f"{name[:60]!r} can't be the name of a resource")
        return []
    type_text = f", type {type_} is not said" if type_ else ""
    say.approximate("gres", f"{name}={count} of each chunk: the site must have such a resource{type_text}")
    return [f"{name}={count}"]


def _place(lines: Lines, spread: bool) -> None:
    say, job = lines.say, lines.say.job
    if say.same:
        if job.placement:
            lines.resource("place", job.placement, "placement")
        say.exact("placement", "exclusive")
        return
    parts = (["scatter"] if spread else []) + (["excl"] if job.exclusive else [])
    if parts:
        lines.add("l", f"place={':'.join(parts)}")
    say.exact("exclusive")
    if job.placement is not None:
        say.drop("placement", "place= is only about chunks on hosts: free, pack, scatter, vscatter, group=")


def _old(lines: Lines) -> None:
    """Resources without select: one chunk, on one host."""
    say, job = lines.say, lines.say.job
    asked = job.cpus_per_task > 1 or "cpus_per_task" in job.where
    if asked and not {"l ncpus", "l mppdepth"} & set(lines.native):
        lines.resource("ncpus", str(job.cpus_per_task))
    if job.memory and job.memory.per == "job":
        lines.resource("mem", size(job.memory.bytes))
    for one in job.gpus:
        lines.resource("ngpus", str(one.count))
    say.exact("nodes", "tasks", "tasks_per_node", "cpus_per_task", "gpus", "memory", "placement", "exclusive")


def _times(lines: Lines) -> None:
    say, job = lines.say, lines.say.job
    if job.walltime_min_s is not None and isinstance(job.walltime_s, int) and isinstance(job.walltime_min_s, int):
        if job.array:
            say.drop("walltime_min_s", "min_walltime can't be set on job arrays")
        else:
            lines.add("l", f"min_walltime={hours(job.walltime_min_s)},max_walltime={hours(job.walltime_s)}")
            say.exact("walltime_min_s", "walltime_s")
            return
    elif isinstance(job.walltime_min_s, int) and job.walltime_s is None and not job.array:
        lines.add("l", f"min_walltime={hours(job.walltime_min_s)}")
        say.exact("walltime_min_s")
    elif job.walltime_min_s is not None:
        say.drop("walltime_min_s", "min_walltime goes with a max_walltime, and not with job arrays")
    shared.walltime(lines, "PBS Pro then gives what the queue has, or five years")


def _pmem(lines: Lines) -> None:
    say, job = lines.say, lines.say.job
    if say.same and job.memory and job.memory.per == "task" and "l mppmem" not in lines.native:
        lines.resource("pmem", size(job.memory.bytes))
        say.exact("memory")


def _others(lines: Lines) -> None:
    say, job = lines.say, lines.say.job
    if job.qos is not None:
        qos = say.named("qos")
        if qos:
            say.drop("qos", "PBS Pro has no quality of service; a profile can make a queue of it")
    if job.reservation is not None:
        if job.queue is None:
            lines.add("q", job.reservation, "reservation")
            say.approximate("reservation", "a reservation is a queue in PBS Pro: -q")
        else:
            say.drop("reservation", "a reservation is a queue in PBS Pro, and the job has another queue")
    for name, count in job.licenses:
        if _RESOURCE.fullmatch(name):
            lines.resource(name, str(count))
            say.approximate("licenses", f"{name}: the site must have a job-wide resource of that name")
        else:
            say.drop("licenses", f"{name[:60]!r} can't be the name of a resource")


def _array(lines: Lines, script: Script) -> list[tuple[list[str], Script]]:
    """-J takes one range of two indexes or more; anything else becomes several jobs."""
    say, array = lines.say, lines.say.job.array
    if not array:
        return [(lines.made, script)]
    if say.same and say.profile.array_cap is None:
        say.exact("array")
        return [([*lines.made, f"#PBS -J {array.text}"], script)]
    pieces = arrays.capped(arrays.progressions(array), say.profile.array_cap)
    made = []
    for one, offset in pieces:
        first, last, _ = one
        if first == last:
            made.append(_single(lines, script, first + offset))
        else:
            part = arrays.shifted(say, script, _INDEX, offset)
            made.append(([*lines.made, f"#PBS -J {arrays.text(one, array.throttle)}"], part))
    if len(made) > 1:
        limit = f"; at most {array.throttle} of each run at once" if array.throttle else ""
        say.approximate("array", f"-J takes one range only: {len(made)} files{limit}")
    say.exact("array")
    return made


def _single(lines: Lines, script: Script, index: int) -> tuple[list[str], Script]:
    """A plain job that finds its index where an array's job would."""
    lines.say.approximate("array", f"an array of one job is none for PBS Pro: {_INDEX}={index} is given to a plain job")
    made = [line.replace("^array_index^", str(index)) for line in lines.made if not line.startswith("#PBS -v ")]
    for place, line in enumerate(lines.made):
        if line.startswith("#PBS -v "):
            made.insert(
                place, f"{line[:-1]},{_INDEX}={index}{line[-1]}" if line[-1] in "\"'" else f"{line},{_INDEX}={index}"
            )
            break
    else:
        made.append(f"#PBS -v {_INDEX}={index}")
    return made, script
