"""Scripts in the words of Cobalt's qsub, whose nodes are whole. Source: qsub(1) of Cobalt."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from jobspec.job import UNLIMITED, Mail
from jobspec.names import hosts_of
from jobspec.writing import File, Saying, Script

SUFFIX = ".cobalt"
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_.-]+(?:=[A-Za-z0-9_.,-]+)?", re.ASCII)
_WHOLE = "Cobalt gives whole nodes"
CANT = (
    ("qos", "qsub has no quality of service"),
    ("reservation", "a reservation has a queue of its own, which is what qsub takes"),
    ("comment", "qsub takes no comment"),
    ("threads_per_core", f"{_WHOLE}; aprun counts hardware threads (-j)"),
    ("gres", "qsub has other names for such resources (--attrs), and its administrator defines them"),
    ("disk_per_node", "qsub has no option for disk space; --attrs ssd_size may do on some systems"),
    ("licenses", "Cobalt counts no licenses"),
    ("burst_buffer", "qsub has no burst buffers"),
    ("walltime_min_s", "qsub has one time, not a range"),
    ("begin", "qsub has no start time"),
    ("deadline", "qsub has no deadline"),
    ("array", "Cobalt has no job arrays: submit the script once for each index"),
    ("priority", "qsub takes no priority"),
    ("requeue", "Cobalt does not run a job again"),
    ("exclude_hosts", "qsub names the nodes to take (--attrs location), not those to leave out"),
    ("placement", "it is in the words of its own system"),
    ("signal", "qsub sends no signal before the end"),
    ("native", "an option that only its own system has"),
)


def write(say: Saying, script: Script) -> list[File]:
    """The file."""
    job = say.job
    options: list[tuple[str, str | None]] = []
    nodes = _nodes(say)
    options += [("-n", str(nodes)), ("-t", _time(say))]
    if job.tasks != nodes or ("tasks" in job.where and say.same):
        options.append(("--proccount", str(job.tasks)))
    prefix = next((one.value for one in job.native if one.option == "outputprefix"), None) if say.same else None
    _texts(say, options, prefix)
    _attributes(say, options)
    _others(say, options)
    if say.same:
        say.exact("native")
        options += [("-O" if one.option == "outputprefix" else f"--{one.option}", one.value) for one in job.native]
    else:
        say.drop_all(CANT)
        if job.shell is not None and job.shell.split("/")[-1] not in re.split("[/ ]", script.shebang):
            say.drop("shell", "Cobalt takes the shell from the first line of the script")
        else:
            say.exact("shell")
    lines = [f"#COBALT {option}" if value is None else f"#COBALT {option} {value}" for option, value in options]
    # Without a first line that starts with "#!" none of them is read.
    script = script if script.shebang else replace(script, shebang="#!/bin/sh")
    return [File(SUFFIX, script.text(lines), head=1 + len(lines))]


def _nodes(say: Saying) -> int:
    """The whole nodes that hold the job."""
    job, profile = say.job, say.profile
    say.exact("tasks", "exclusive")
    _inside(say)
    if job.nodes:
        if job.nodes.least == job.nodes.most:
            say.exact("nodes")
        else:
            say.approximate("nodes", f"qsub has no range of nodes: {job.nodes.least} is the least")
        return max(job.nodes.least, 1)
    cpus = job.tasks * job.cpus_per_task
    if job.tasks_per_node:
        return math.ceil(job.tasks / job.tasks_per_node)
    gpus = sum(one.count * (job.tasks if one.per == "task" else 1) for one in job.gpus if one.per != "node")
    for_gpus = math.ceil(gpus / profile.gpus_per_node) if profile.gpus_per_node else 1
    if profile.cores_per_node:
        for_tasks = math.ceil(job.tasks / max(profile.cores_per_node // job.cpus_per_task, 1))
        nodes = max(for_tasks, math.ceil(cpus / profile.cores_per_node), for_gpus)
        if cpus != nodes * profile.cores_per_node or nodes > job.tasks:
            say.approximate("tasks", f"{_WHOLE}: {nodes} of {profile.cores_per_node} cores for {cpus} cores")
        return nodes
    if cpus > 1:
        why = f"{_WHOLE}: one for each of {job.tasks} tasks; cores_per_node in the profile would make it fewer"
        say.approximate("tasks", why)
    return max(job.tasks, for_gpus)


def _inside(say: Saying) -> None:
    """What whole nodes hold anyhow."""
    job, profile = say.job, say.profile
    if job.tasks_per_node is not None:
        nodes = job.nodes.least if job.nodes else math.ceil(job.tasks / job.tasks_per_node)
        if nodes * job.tasks_per_node == job.tasks:
            say.exact("tasks_per_node")
        else:
            say.approximate("tasks_per_node", "qsub counts nodes and processes; the launcher spreads them")
    if job.cpus_per_task > 1:
        say.approximate("cpus_per_task", f"{_WHOLE}; the launcher says the cores of each task")
    if job.memory is not None:
        if job.memory.bytes == 0:
            say.exact("memory")
        else:
            say.approximate("memory", f"{_WHOLE}, with all their memory")
    if job.gpus:
        each = sum(one.count for one in job.gpus if one.per == "node")
        if each and each == profile.gpus_per_node and not any(one.type for one in job.gpus):
            say.exact("gpus")
        else:
            say.approximate("gpus", f"{_WHOLE}, with all their GPUs; the queue says of which kind")


def _time(say: Saying) -> str:
    seconds = say.job.walltime_s
    if not isinstance(seconds, int):
        if seconds == UNLIMITED and not say.same:
            say.approximate("walltime_s", "0 is the longest time that the queue allows")
        elif seconds:
            say.exact("walltime_s")
        return "0"
    minutes = max(-(-seconds // 60), 1)
    if minutes * 60 == seconds:
        say.exact("walltime_s")
    else:
        say.approximate("walltime_s", f"Cobalt drops seconds: {seconds} s became {minutes} minutes")
    return f"{minutes // 60}:{minutes % 60:02d}:00"


def _put(say: Saying, options: list[tuple[str, str | None]], field: str, option: str, value: str | None) -> bool:
    """An option whose value is one word; False where it can't be said."""
    if value is None:
        return False
    if not value or not value.isprintable() or len(value.split()) != 1 or value != value.strip() or value[0] == "-":
        say.drop(field, "qsub splits #COBALT lines at blanks, and knows no quotes")
        return False
    options.append((option, value))
    return True


def _texts(say: Saying, options: list[tuple[str, str | None]], prefix: str | None) -> None:
    job = say.job
    for field, option in (("queue", "-q"), ("account", "-A")):
        _put(say, options, field, option, say.named(field))
    for field, option in (("name", "--jobname"), ("workdir", "--cwd")):
        if getattr(job, field) is not None:
            say.exact(field)
            _put(say, options, field, option, getattr(job, field))
    for field, option in (("input", "-i"), ("output", "-o"), ("error", "-e")):
        path = say.path(field)
        if path is not None and (prefix is None or path != f"{prefix}.{field}"):
            _put(say, options, field, option, path)
            if job.join and field == "output":
                _put(say, options, "join", "-e", path)
    if job.open_mode == "truncate":
        say.approximate("open_mode", "Cobalt appends to its files")
    else:
        say.exact("open_mode")
    if job.join:
        say.exact("join")
        if job.output is None:
            options.append(("-e", "$jobid.output"))  # where the output goes by default


def _attributes(say: Saying, options: list[tuple[str, str | None]]) -> None:
    job, found = say.job, list[str]()
    if job.constraint:
        named = [job.constraint.text] if say.same else list(job.constraint.all_of)
        mapped = [one if say.same else say.profile.constraints.get(one, one) for one in named]
        kept = [one for one in mapped if one]
        if not named:
            say.drop("constraint", f"{job.constraint.text!r} is in the words of its own system")
        elif not say.same and not all(map(_ATTRIBUTE.fullmatch, kept)):
            say.drop("constraint", "a name in it is no name of an attribute")
        else:
            found += kept
            say.exact("constraint")
            if len(kept) < len(mapped):
                say.approximate("constraint", "the profile drops a feature of it")
    if job.hosts is not None:
        hosts = [job.hosts] if say.same else hosts_of(job.hosts, say.profile)
        if hosts:
            found.append(f"location={','.join(hosts)}")
            say.exact("hosts")
        else:
            say.drop("hosts", "it is no plain list of hosts")
    if found:
        _put(say, options, "constraint" if job.constraint else "hosts", "--attrs", ":".join(found))


def _others(say: Saying, options: list[tuple[str, str | None]]) -> None:
    job = say.job
    if job.hold:
        options.append(("--held", None))
        say.exact("hold")
    if wanted := job.dependency:
        ids = [one for kind, ids in wanted.terms for one in ids if kind == "afterok"]
        every = sum(len(ids) for _, ids in wanted.terms)
        if say.same:
            options.append(("--dependencies", wanted.text))
            say.exact("dependency")
        elif ids and len(ids) == every and (not wanted.any or every == 1) and all(map(str.isdigit, ids)):
            options.append(("--dependencies", ":".join(ids)))
            say.exact("dependency")
        elif ids and not wanted.any and all(map(str.isdigit, ids)):
            options.append(("--dependencies", ":".join(ids)))
            others = ", ".join(dict.fromkeys(kind for kind, _ in wanted.terms if kind != "afterok"))
            say.approximate("dependency", f"afterok only, not {others}: a job of Cobalt waits for success")
        else:
            say.drop("dependency", "a job of Cobalt waits for jobs to end with status 0, for all of them, by number")
    if job.mail:
        _mail(say, job.mail, options)
    if job.environment:
        _environment(say, options)


def _mail(say: Saying, mail: Mail, options: list[tuple[str, str | None]]) -> None:
    types = set(mail.types) - {"NONE"}
    say.exact("mail")
    if not types and not say.same:
        return  # an address alone asks for no mail
    if mail.user is None:
        say.drop("mail", "qsub sends mail to an address only, and the job has none")
    elif _put(say, options, "mail", "-M", mail.user) and types | {"FAIL"} != {"BEGIN", "END", "FAIL"}:
        say.approximate("mail", "Cobalt sends mail at the start and the end")


def _environment(say: Saying, options: list[tuple[str, str | None]]) -> None:
    wanted = say.job.environment
    if wanted is None:
        return
    text = wanted.text if say.same else ":".join(f"{name}={_escaped(value)}" for name, value in wanted.values)
    if wanted.values:
        say.exact("environment")
        _put(say, options, "environment", "--env", text)
    if not say.same and (wanted.all or wanted.names):
        why = "qsub passes on what --env names with its value, not what the submitter has"
        if wanted.values:
            say.approximate("environment", why)
        else:
            say.drop("environment", why)
    elif not wanted.values:
        say.exact("environment")


def _escaped(value: str) -> str:
    return value.replace(":", "\\:").replace("=", "\\=")
