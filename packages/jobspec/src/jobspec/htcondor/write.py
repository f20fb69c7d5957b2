"""A job as an HTCondor submit description and a script (condor_submit(1), 23.x)."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath

from resources.errors import InputError
from resources.hostlist import expand

from jobspec import arrays
from jobspec.writing import File, Saying, Script

SUFFIX = ".sub"
CANT = (
    ("queue", "HTCondor has no queues: its jobs are matched to machines"),
    ("qos", "HTCondor has no quality of service"),
    ("reservation", "HTCondor has no reservations"),
    ("comment", "HTCondor keeps no comment with a job"),
    ("threads_per_core", "HTCondor counts CPUs, whatever its administrator made of them"),
    ("gres", "its machines' own resources bear the names that the site gave them"),
    ("burst_buffer", "HTCondor has no burst buffers"),
    ("walltime_min_s", "HTCondor has no shortest time"),
    ("dependency", "HTCondor orders jobs by DAGMan, in a file of its own"),
    ("placement", "HTCondor matches machines one by one"),
    ("shell", "HTCondor runs the script as a program: its first line says the shell"),
    ("signal", "HTCondor sends kill_sig when it removes a job, not so long before its end"),
    ("deadline", "HTCondor has no deadline"),
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,254}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}", re.ASCII)
_GROUP = re.compile(r"[A-Za-z0-9_.@-]{1,255}", re.ASCII)
_KIB, _MIB = 1 << 10, 1 << 20


def write(say: Saying, script: Script) -> list[File]:
    """The description and the script that it runs; both go into one directory."""
    say.drop_all(CANT)
    stem = PurePosixPath(say.file).stem if say.file and _safe(PurePosixPath(say.file).stem) else "job"
    conditions: list[str] = []
    lines = [
        *_universe(say),
        f"executable = {stem}.sh",
        *_identity(say),
        *_amounts(say),
        *_time(say),
        *_files(say),
        *_environment(say),
        *_mail(say),
        *_placing(say, conditions),
    ]
    if conditions:
        lines.append(f"requirements = {' && '.join(conditions)}")
    lines += _queue(say)
    whole = script if script.shebang else Script("#!/bin/sh", script.body, script.shim)
    text = "".join(f"{line}\n" for line in lines)
    return [File(SUFFIX, text, 0), File(".sh", whole.text(), 1)]


def _safe(text: str) -> bool:
    """Whether it can be a value: one line, and nothing that the macros of a description would take."""
    return bool(text) and text.isprintable() and text == text.strip() and "$" not in text and not text.endswith("\\")


def _set(say: Saying, field: str, key: str, value: str) -> list[str]:
    plain = value.replace("$(Cluster)", "").replace("$(Process)", "").replace("$(Item)", "")
    if not _safe(plain or "x") or not _safe(value.replace("$", "")):
        say.drop(field, f"{key} can't hold it: a $ would be a macro")
        return []
    return [f"{key} = {value}"]


def _universe(say: Saying) -> list[str]:
    """One machine by one: more than one is the parallel universe, which needs a dedicated scheduler."""
    job = say.job
    say.exact(*(field for field in ("nodes", "tasks", "tasks_per_node", "cpus_per_task") if say.asked(field)))
    nodes = _machines(say)
    if nodes == 1:
        return ["universe = vanilla"]
    why = "the parallel universe, which a site must have set up, starts the script on each machine"
    say.approximate("nodes", why)
    if job.tasks % nodes:
        say.approximate("tasks", f"{nodes} machines with as many CPUs each")
    return ["universe = parallel", f"machine_count = {nodes}"]


def _machines(say: Saying) -> int:
    job = say.job
    if job.nodes:
        if job.nodes.most != job.nodes.least:
            say.approximate("nodes", f"{job.nodes.least}: HTCondor takes one number")
        return job.nodes.least
    if job.tasks > 1:
        say.approximate("tasks", "all on one machine")
    return 1


def _identity(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.name is not None:
        say.exact("name")
        lines += _set(say, "name", "batch_name", job.name.replace("$", "_"))
    account = say.named("account")
    if account:
        if _GROUP.fullmatch(account):
            lines.append(f"accounting_group = {account}")
        else:
            say.drop("account", f"{account[:60]!r} is no name of a group")
    if job.hold:
        say.exact("hold")
        lines.append("hold = True")
    if job.priority is not None:
        digits = job.priority.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) < 10:
            say.approximate("priority", "the scale differs; it orders the user's own jobs only")
            lines.append(f"priority = {int(job.priority)}")
        else:
            say.drop("priority", "a priority of HTCondor is a number")
    if job.requeue is not None:
        _requeue(say, lines)
    say.drop_native()
    return lines


def _requeue(say: Saying, lines: list[str]) -> None:
    if say.job.requeue:
        say.exact("requeue")  # what HTCondor does with a job that lost its machine anyhow
    else:
        say.approximate("requeue", "removed after its first start, where it would start again")
        lines.append("periodic_remove = NumJobStarts > 1 && JobStatus == 1")


def _up(amount: int, by: int) -> int:
    return -(-amount // by)


def _amounts(say: Saying) -> list[str]:
    """The amounts of one machine."""
    job = say.job
    nodes = job.nodes.least if job.nodes else 1
    tasks = job.tasks_per_node or _up(job.tasks, nodes)
    cpus = tasks * job.cpus_per_task
    lines = [f"request_cpus = {cpus}"]
    gpus = sum(_up(one.count * {"job": 1, "node": nodes, "task": job.tasks}[one.per], nodes) for one in job.gpus)
    if gpus:
        say.exact("gpus")
        lines.append(f"request_gpus = {gpus}")
        kinds = [say.gpu_type(one.type) for one in job.gpus if one.type]
        if kinds and _HOST.fullmatch(kinds[0]):
            say.approximate("gpus", "the type is looked for in the name that the device gives itself")
            lines.append(f'require_gpus = regexp("{kinds[0]}", DeviceName, "i")')
        elif kinds:
            say.approximate("gpus", "of any type")
    if job.memory:
        if not job.memory.bytes:
            say.drop("memory", "HTCondor can't ask for all the memory of a machine")
        else:
            by = {"node": 1, "job": 1, "cpu": cpus, "slot": cpus, "task": tasks, "gpu": max(gpus, 1)}[job.memory.per]
            whole = _up(job.memory.bytes, nodes) if job.memory.per == "job" else job.memory.bytes * by
            say.exact("memory")
            if whole % _MIB:
                say.approximate("memory", f"{_up(whole, _MIB)} MiB, rounded up")
            lines.append(f"request_memory = {_up(whole, _MIB)}")
    if job.disk_per_node is not None:
        say.exact("disk_per_node")
        if job.disk_per_node % _KIB:
            say.approximate("disk_per_node", "rounded up to whole KiB")
        lines.append(f"request_disk = {_up(job.disk_per_node, _KIB)}")
    if job.licenses:
        fine = [(name, count) for name, count in job.licenses if _NAME.fullmatch(name)]
        say.exact("licenses")
        if len(fine) < len(job.licenses):
            say.drop("licenses", "a limit's name has letters, digits and _ only")
        if fine:
            lines.append(f"concurrency_limits = {','.join(f'{name}:{count}' for name, count in fine)}")
    if job.exclusive:
        say.drop("exclusive", "HTCondor gives a machine to one job only where its slot is the whole machine")
    return lines


def _time(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.walltime_s == "unlimited":
        say.exact("walltime_s")
    elif job.walltime_s is not None:
        say.approximate("walltime_s", "the job is held at its limit (allowed_job_duration), not killed")
        lines.append(f"allowed_job_duration = {job.walltime_s}")
    if job.begin:
        if job.begin.at:
            # A time of day where the description is written: deferral_time counts seconds since 1970.
            moment = int(datetime.fromisoformat(job.begin.at).astimezone().timestamp())
            say.approximate("begin", "matched before, it waits on its machine from then on")
            lines += [f"deferral_time = {moment}", "deferral_window = 315360000"]
        elif job.begin.offset_s is not None:
            say.approximate("begin", "matched before, it waits on its machine from then on")
            lines += [f"deferral_time = (CurrentTime + {job.begin.offset_s})", "deferral_window = 315360000"]
        else:
            say.drop("begin", "the time is not known")
    return lines


def _files(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.workdir not in {None, "."}:
        say.exact("workdir")
        lines += _set(say, "workdir", "initialdir", job.workdir or "")
    elif job.workdir:
        say.exact("workdir")
    paths = {field: say.path(field) for field in ("input", "output", "error")}
    if job.array:
        paths = {field: _index(path) for field, path in paths.items()}
    if job.join and paths["output"]:
        # Two streams into one file: HTCondor knows them for the same.
        say.exact("join")
        paths["error"] = paths["output"]
    elif job.join:
        say.drop("join", "HTCondor keeps no output without a name")
    for field, path in paths.items():
        if path is not None:
            lines += _set(say, field, field, path)
    if job.open_mode == "append":
        say.drop("open_mode", "HTCondor starts its output files anew")
    elif job.open_mode:
        say.exact("open_mode")
    return [*lines, "log = $(Cluster).log"]


def _index(path: str | None) -> str | None:
    """The index of the array is an item of ours, not HTCondor's count."""
    return path.replace("$(Process)", "$(Item)") if path else path


def _environment(say: Saying) -> list[str]:
    environment, array = say.job.environment, say.job.array
    values = [("JOBSPEC_ARRAY_INDEX", "$(Item)")] if array else []
    lines = []
    if environment:
        say.exact("environment")
        fine = [name for name in environment.names if _NAME.fullmatch(name)]
        if environment.all:
            lines.append("getenv = True")
        elif fine:
            lines.append(f"getenv = {', '.join(fine)}")
        for name, value in environment.values:
            if _NAME.fullmatch(name) and value.isprintable() and "$" not in value:
                values.append((name, value))
            else:
                say.drop("environment", f"{name[:60]}: a $ would be a macro")
    if values:
        said = " ".join(f"{name}={_quoted(value)}" for name, value in values)
        lines.append(f'environment = "{said}"')
    return lines


def _quoted(value: str) -> str:
    """A value in the new syntax of `environment`: blanks and quotes inside single quotes, each quote twice."""
    text = value.replace('"', '""')
    if set(value) & set(" \t'"):
        text = "'" + text.replace("'", "''") + "'"
    return text


_NOTIFICATION = {
    frozenset(("END",)): "Complete",
    frozenset(("FAIL",)): "Error",
    frozenset(("END", "FAIL")): "Complete",
    frozenset[str](): "Never",
}


def _mail(say: Saying) -> list[str]:
    mail = say.job.mail
    if not mail:
        return []
    kinds = {"END", "FAIL", "BEGIN"} if "ALL" in mail.types else set(mail.types)
    found = _NOTIFICATION.get(frozenset(kinds & {"END", "FAIL"}), "Never")
    say.exact("mail")
    lost = sorted(kinds - {"END", "FAIL", "NONE"})
    if lost:
        say.approximate("mail", f"no mail on {', '.join(lost)}")
    lines = [f"notification = {found}"]
    return lines + (_set(say, "mail", "notify_user", mail.user) if mail.user else [])


def _placing(say: Saying, conditions: list[str]) -> list[str]:
    job = say.job
    for field, sign, glue in (("hosts", "==", " || "), ("exclude_hosts", "!=", " && ")):
        text = getattr(job, field)
        if not text:
            continue
        try:
            names = expand(text)
        except InputError:
            names = []
        hosts = [mapped for name in names if (mapped := say.profile.nodes.get(name, name))]
        if not hosts or not all(map(_HOST.fullmatch, hosts)):
            say.drop(field, "it is no list of host names")
            continue
        say.approximate(field, "machines bear their full names in HTCondor")
        conditions.append("(" + glue.join(f'Machine {sign} "{host}"' for host in hosts) + ")")
    if job.constraint:
        if not job.constraint.all_of:
            say.drop("constraint", "only a list of features that must all be there can be said")
        for feature in job.constraint.all_of:
            known = say.profile.constraints.get(feature)
            if known == "":
                say.drop("constraint", "the profile drops it")
            elif known is None and not _NAME.fullmatch(feature):
                say.drop("constraint", f"{feature} is no name of an attribute")
            else:
                say.approximate("constraint", "as an attribute of the machines")
                conditions.append(f"({known or feature})")
    return []


def _queue(say: Saying) -> list[str]:
    array = say.job.array
    if not array:
        return ["queue"]
    say.approximate("array", "HTCondor counts from 0; the index of the source is $(Item), and in JOBSPEC_ARRAY_INDEX")
    lines = []
    if array.throttle:
        lines.append(f"max_materialize = {array.throttle}")
        say.approximate("array", "so many are in the queue at once, running or not")
    listed = " ".join(map(str, arrays.indexes(array)))
    return [*lines, f"queue Item in ({listed})"]
