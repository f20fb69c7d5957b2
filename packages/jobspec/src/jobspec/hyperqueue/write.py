"""A job as a script for `hq submit`, which reads the #HQ lines at its top (HyperQueue's manual, "Directives").

Parameters of `hq submit`: the manual's pages on jobs, resources, arrays and multi-node tasks.
"""

from __future__ import annotations

import re

from jobspec import arrays
from jobspec.writing import File, Saying, Script

SUFFIX = ".hq.sh"
CANT = (
    ("account", "HyperQueue has no accounts: the allocations of its workers have"),
    ("qos", "HyperQueue has no quality of service: the allocations of its workers have"),
    ("queue", "HyperQueue has no queues: the allocations of its workers have"),
    ("reservation", "HyperQueue has no reservations"),
    ("comment", "HyperQueue keeps no comment with a job"),
    ("threads_per_core", "HyperQueue counts CPUs as its workers were told to"),
    ("gres", "the resources of its workers bear the names that they were started with"),
    ("disk_per_node", "HyperQueue does not count disk space"),
    ("licenses", "HyperQueue counts what its workers have, not what a site has"),
    ("burst_buffer", "HyperQueue has no burst buffers"),
    ("begin", "HyperQueue starts a job when a worker is free"),
    ("deadline", "HyperQueue has no deadline"),
    ("dependency", "hq submit makes jobs that wait for none"),
    ("hold", "HyperQueue holds no jobs"),
    ("constraint", "HyperQueue's workers have resources, not features"),
    ("hosts", "HyperQueue names no hosts"),
    ("exclude_hosts", "HyperQueue names no hosts"),
    ("placement", "HyperQueue places a task on one worker"),
    ("input", "--stdin is the input of hq submit itself"),
    ("open_mode", "HyperQueue starts its output files anew"),
    ("shell", "the first line of the script says the shell"),
    ("mail", "HyperQueue sends no mail"),
    ("signal", "HyperQueue sends no signal before the end"),
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9_%{}/.,:=@+-]{1,4096}", re.ASCII)
_MIB = 1 << 20


def write(say: Saying, script: Script) -> list[File]:
    """The script. Its name must end with .sh: then hq reads the directives of its own accord."""
    say.drop_all(CANT)
    lines = [
        *_identity(say),
        *_amounts(say),
        *_time(say),
        *_files(say),
        *_environment(say),
        *_array(say),
    ]
    say.drop_native()
    return [File(SUFFIX, script.text(lines), len(lines) + bool(script.shebang))]


def _say(say: Saying, field: str, option: str, value: str) -> list[str]:
    """One directive, split as a shell splits words: what is not plain goes between double quotes."""
    if _PLAIN.fullmatch(value):
        return [f"#HQ --{option}={value}"]
    if not value or not value.isprintable() or set(value) & set('"\\'):
        say.drop(field, f"--{option} can't hold quotes, backslashes or control characters")
        return []
    return [f'#HQ --{option}="{value}"']


def _identity(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.name is not None:
        say.exact("name")
        lines += _say(say, "name", "name", job.name)
    if job.priority is not None:
        digits = job.priority.removeprefix("-")
        if digits.isascii() and digits.isdigit() and int(digits[:11]) < 2**31 and len(digits) < 11:
            say.approximate("priority", "the scale differs: a signed number of 32 bits, 0 by default")
            lines.append(f"#HQ --priority={int(job.priority)}")
        else:
            say.drop("priority", "a priority of HyperQueue is a number")
    if job.requeue is not None:
        if job.requeue:
            say.exact("requeue")  # what HyperQueue does with tasks whose worker is lost
        else:
            say.exact("requeue")
            lines.append("#HQ --crash-limit=1")
    return lines


def _up(amount: int, by: int) -> int:
    return -(-amount // by)


def _amounts(say: Saying) -> list[str]:
    """Whole nodes for several, else CPUs, GPUs and memory of one worker."""
    job = say.job
    asked = [field for field in ("nodes", "tasks", "tasks_per_node", "cpus_per_task") if say.asked(field)]
    say.exact(*asked)
    nodes = job.nodes.least if job.nodes else 1
    if job.nodes and job.nodes.most != job.nodes.least:
        say.approximate("nodes", f"{nodes}: HyperQueue takes one number")
    if nodes > 1:
        return _whole(say, nodes, asked)
    if not job.nodes and job.tasks > 1:
        say.approximate("tasks", "all on one worker")
    cpus = job.tasks * job.cpus_per_task
    if job.exclusive:
        say.approximate("exclusive", "all CPUs of a worker")
        lines = ["#HQ --cpus=all"]
    else:
        lines = [f"#HQ --cpus={cpus}"]
    gpus = sum(one.count * (job.tasks if one.per == "task" else 1) for one in job.gpus)
    if gpus:
        kinds = {say.gpu_type(one.type).lower() for one in job.gpus if one.type}
        amd = any(kind.startswith(("amd", "mi1", "mi2", "mi3")) for kind in kinds)
        say.exact("gpus")
        if not amd:
            say.approximate("gpus", "taken to be NVIDIA's")
        if kinds:
            say.approximate("gpus", "HyperQueue does not tell types from each other")
        lines.append(f"#HQ --resource gpus/{'amd' if amd else 'nvidia'}={gpus}")
    if job.memory:
        by = {"node": 1, "job": 1, "cpu": cpus, "slot": cpus, "task": job.tasks, "gpu": max(gpus, 1)}[job.memory.per]
        say.exact("memory")
        if not job.memory.bytes:
            say.approximate("memory", "all the memory of a worker")
            lines.append("#HQ --resource mem=all")
        else:
            if job.memory.bytes * by % _MIB:
                say.approximate("memory", "rounded up to whole megabytes")
            lines.append(f"#HQ --resource mem={_up(job.memory.bytes * by, _MIB)}")
    return lines


def _whole(say: Saying, nodes: int, asked: list[str]) -> list[str]:
    """A task on several nodes takes them whole, and can't ask for anything beside them."""
    for field in asked:
        if field != "nodes":
            say.approximate(field, "a task on several nodes takes them whole")
    if say.job.exclusive:
        say.exact("exclusive")
    for field in ("gpus", "memory"):
        if say.asked(field):
            say.approximate(field, "a task on several nodes takes them whole, with what they have")
    return [f"#HQ --nodes={nodes}"]


def _time(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.walltime_s == "unlimited":
        say.exact("walltime_s")  # no --time-limit
    elif job.walltime_s is not None:
        say.exact("walltime_s")
        lines.append(f"#HQ --time-limit={job.walltime_s}s")
    if job.walltime_min_s == "unlimited":
        say.drop("walltime_min_s", "a worker's time ends")
    elif job.walltime_min_s is not None:
        say.exact("walltime_min_s")
        lines.append(f"#HQ --time-request={job.walltime_min_s}s")
    elif isinstance(job.walltime_s, int):
        # Other systems start a job only where its whole time is left.
        lines.append(f"#HQ --time-request={job.walltime_s}s")
    return lines


def _files(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.workdir is not None:
        say.exact("workdir")
        if job.workdir != ".":
            lines += _say(say, "workdir", "cwd", job.workdir)
    output, error = say.path("output"), say.path("error")
    if job.join and output is None:
        say.drop("join", "HyperQueue joins the error to the output only where both have a name")
    elif job.join:
        say.exact("join")
        error = output
    for field, option, path in (("output", "stdout", output), ("error", "stderr", error)):
        if path is not None:
            lines += _say(say, field, option, path)
    return lines


def _environment(say: Saying) -> list[str]:
    environment, lines = say.job.environment, list[str]()
    if not environment:
        return lines
    say.exact("environment")
    if environment.all or environment.names:
        say.drop("environment", "a task has its worker's variables, none of the submission's")
    for name, value in environment.values:
        if _VARIABLE.fullmatch(name):
            lines += _say(say, "environment", "env", f"{name}={value}")
        else:
            say.drop("environment", f"{name[:60]!r} is no name of a variable")
    return lines


def _array(say: Saying) -> list[str]:
    array = say.job.array
    if not array:
        return []
    say.exact("array")
    if array.throttle:
        say.approximate("array", "HyperQueue can't limit how many tasks of a job run at once")
    parts = []
    for first, last, step in arrays.spans(array):
        parts.append(f"{first}" if first == last else f"{first}-{last}" + (f":{step}" if step > 1 else ""))
    return [f"#HQ --array={','.join(parts)}"]
