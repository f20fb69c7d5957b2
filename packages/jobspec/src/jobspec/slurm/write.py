"""Slurm's batch scripts, written for sbatch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from jobspec.job import UNLIMITED, Environment, Job
from jobspec.slurm import sizes
from jobspec.slurm.arrays import split_array
from jobspec.slurm.foreign import foreign_lines
from jobspec.slurm.lexer import BLANKS
from jobspec.slurm.read import CARRIED
from jobspec.slurm.texts import MAIL, SIGNALS, constraint
from jobspec.writing import File, Saying, Script

SUFFIX = ".sbatch"
_PLAIN = re.compile(rf"[^{BLANKS}\"'\\#]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ID = re.compile(r"[0-9]{1,18}(?:_(?:\*|[0-9]{1,9}))?(?:\+[0-9]{1,9})?", re.ASCII)
_KINDS = frozenset(("after", "afterany", "afterok", "afternotok", "aftercorr", "afterburstbuffer"))
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?", re.ASCII)
_HOSTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-\[\],]{0,9999}", re.ASCII)
_LICENSE = re.compile(r"[^\s,;:=]{1,200}")
Option = tuple[str, str | None]
CANT = (
    ("placement", "sbatch has options of its own for it (--distribution, --switches, --contiguous): none is the same"),
    ("native", "it means something to its own system only"),
    ("burst_buffer", "burst buffers are described in a way of their own on each system"),
    ("priority", "a priority means something to its own scheduler only, and in Slurm only operators set it"),
)


def write(say: Saying, script: Script) -> list[File]:
    """One batch script; several where an array must be split. A heterogeneous job keeps its components."""
    script = _with_interpreter(say, script)
    options = list(_options(say))
    more: list[str] = []
    before = say.job
    for component in say.components[1:]:
        more += ["#SBATCH hetjob", *_lines(say, _new(component, before, say))]
        before = component
    files = []
    for suffix, array, shim in split_array(say):
        lines = [*_lines(say, [*options, *([("array", array)] if array else [])]), *more]
        body = script.with_shim(*shim) if shim else script
        text = body.text(lines)
        if foreign_lines(text)[1]:
            # sbatch would obey them, over its own.
            lines.insert(0, "#SBATCH --ignore-pbs")
            text = body.text(lines)
        files.append(File(f"{suffix}{SUFFIX}", text, 1 + len(lines)))
    return files


def _with_interpreter(say: Saying, script: Script) -> Script:
    """sbatch takes no script without `#!`, and knows no other way to say which shell."""
    shell = say.job.shell
    if shell:
        say.exact("shell")
    if shell and not _CONTROL.search(shell):
        return replace(script, shebang=f"#!{shell}")
    return script if script.shebang else replace(script, shebang="#!/bin/sh")


def _new(job: Job, before: Job, say: Saying) -> Iterator[Option]:
    """What a later component says: all that it does not have from the one before it."""
    inherited = set(_options(Saying(before, say.target, say.profile)))
    for option in _options(Saying(job, say.target, say.profile)):
        if option[0] not in CARRIED or option not in inherited:
            yield option


def _lines(say: Saying, options: Iterator[Option] | list[Option]) -> list[str]:
    return [f"#SBATCH --{name}" if value is None else f"#SBATCH --{name}={quoted(value)}" for name, value in options]


def quoted(value: str) -> str:
    """The value as sbatch's lexer reads it back."""
    if _PLAIN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _options(say: Saying) -> Iterator[Option]:
    for name, value in _all_options(say):
        if value is None or not _CONTROL.search(value):
            yield name, value
            continue
        for field in _FIELD_OF.get(name, ("native",)):
            say.drop(field, "a directive is one line of text, and the value has control characters")


_FIELD_OF = {
    "job-name": ("name",), "account": ("account",), "qos": ("qos",), "partition": ("queue",), "comment": ("comment",),
    "reservation": ("reservation",), "chdir": ("workdir",), "input": ("input",), "output": ("output",),
    "error": ("error",), "export": ("environment",), "mail-user": ("mail",), "licenses": ("licenses",),
}  # fmt: skip


def _all_options(say: Saying) -> Iterator[Option]:
    job = say.job
    if job.name is not None:
        say.exact("name")
        yield "job-name", job.name
    for field, name in (("account", "account"), ("qos", "qos"), ("queue", "partition")):
        value = say.named(field)
        if value is not None:
            yield name, value
    for field in ("reservation", "comment"):
        value = getattr(job, field)
        if value is not None:
            say.exact(field)
            yield field, value
    yield from sizes.layout(say)
    yield from sizes.gpus(say)
    yield from sizes.memory(say)
    if job.disk_per_node is not None:
        say.exact("disk_per_node")
        yield "tmp", sizes.size(job.disk_per_node)
    yield from _licenses(say)
    yield from _exclusive(say)
    yield from _times(say)
    yield from _order(say)
    yield from _nodes(say)
    yield from _files(say)
    yield from _messages(say)
    if say.same:
        yield from _own(job)
        say.exact("placement", "native", "burst_buffer", "priority")
    else:
        say.drop_all(CANT)


def _licenses(say: Saying) -> Iterator[Option]:
    found = say.job.licenses
    if found:
        say.exact("licenses")
        bad = [name for name, _ in found if not _LICENSE.fullmatch(name)]
        if bad:
            say.drop("licenses", f"Slurm can't name a license {', '.join(bad)[:60]!r}")
        else:
            yield "licenses", ",".join(name if count == 1 else f"{name}:{count}" for name, count in found)


def _exclusive(say: Saying) -> Iterator[Option]:
    if say.job.exclusive:
        say.exact("exclusive")
        if not (say.same and any(one.option == "exclusive" for one in say.job.native)):
            yield "exclusive", None


def clock(seconds: int) -> str:
    """Seconds as D-HH:MM:SS or H:MM:SS."""
    days, rest = divmod(seconds, 86400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def _times(say: Saying) -> Iterator[Option]:
    job = say.job
    for field, name in (("walltime_s", "time"), ("walltime_min_s", "time-min")):
        value = getattr(job, field)
        if value is None:
            continue
        say.exact(field)
        if value == UNLIMITED:
            yield name, "UNLIMITED"
            continue
        minutes = -(-value // 60)
        if value % 60:
            say.approximate(field, f"{value} s are {minutes} minutes: Slurm holds whole minutes, rounded up")
        if value == 0:
            say.approximate(field, "0 would be no limit: one minute")
        yield name, clock(max(minutes, 1) * 60)
    if job.begin is not None:
        text = _begin(say)
        if text is not None:
            say.exact("begin")
            yield "begin", text
        else:
            say.drop("begin", f"sbatch can't read the time {job.begin.text[:60]!r}")
    if job.deadline is not None:
        if say.same or _ISO.fullmatch(job.deadline):
            say.exact("deadline")
            yield "deadline", job.deadline
        else:
            say.drop("deadline", f"sbatch can't read the time {job.deadline[:60]!r}")


def _begin(say: Saying) -> str | None:
    begin = say.job.begin
    if begin is None or say.same:
        return begin.text if begin else None
    if begin.offset_s is not None:
        return f"now+{begin.offset_s}"
    return begin.at if begin.at and _ISO.fullmatch(begin.at) else None


def _order(say: Saying) -> Iterator[Option]:
    job = say.job
    dependency = job.dependency
    if dependency is not None:
        text = dependency.text if say.same else _dependency(say)
        if text:
            say.exact("dependency")
            yield "dependency", text
    if job.hold:
        say.exact("hold")
        yield "hold", None
    if job.requeue is not None:
        say.exact("requeue")
        yield "requeue" if job.requeue else "no-requeue", None


def _dependency(say: Saying) -> str:
    dependency = say.job.dependency
    terms = dependency.terms if dependency else ()
    written = []
    for kind, ids in terms:
        bad = [one for one in ids if not _ID.fullmatch(one)]
        if (kind == "singleton" and ids) or (kind != "singleton" and (kind not in _KINDS or not ids)):
            say.drop("dependency", f"Slurm has no dependency {kind}")
        elif bad:
            say.drop("dependency", f"Slurm waits for job ids (numbers), not for {', '.join(bad)[:60]!r}")
        else:
            written.append(":".join((kind, *ids)))
    if not terms:
        say.drop("dependency", "what it waits for can't be said in Slurm's kinds and job ids")
    return ("?" if dependency and dependency.any else ",").join(written)


def _nodes(say: Saying) -> Iterator[Option]:
    job = say.job
    if job.constraint is not None:
        text = job.constraint.text if say.same else _features(say)
        if text:
            say.exact("constraint")
            yield "constraint", text
    for field, name in (("hosts", "nodelist"), ("exclude_hosts", "exclude")):
        value: str | None = getattr(job, field)
        if value is None:
            continue
        if not say.same:
            names = re.split(r"[\s,+]+", value.strip())
            value = ",".join(filter(None, (say.profile.nodes.get(one, one) for one in names)))
        if not value:
            say.drop(field, "the profile drops it")
        elif say.same or _HOSTS.fullmatch(value):
            say.exact(field)
            yield name, value
        else:
            say.drop(field, f"{value[:60]!r} is no list of hosts for Slurm")


def _features(say: Saying) -> str:
    wanted = say.job.constraint
    names = [say.profile.constraints.get(name, name) for name in (wanted.all_of if wanted else ())]
    if not names:
        say.drop("constraint", "it is no plain list of features")
    text = "&".join(filter(None, names))
    if names and not text:
        say.drop("constraint", "the profile drops it")
    try:
        constraint(text)
    except ValueError:
        say.drop("constraint", f"{text[:60]!r} are no names of features for Slurm")
        return ""
    return text


def _files(say: Saying) -> Iterator[Option]:
    job = say.job
    if job.join:
        say.exact("join", "error")
    for field, name in (("workdir", "chdir"), ("input", "input"), ("output", "output"), ("error", "error")):
        value = say.path(field)
        if value and not (field == "error" and job.join):
            yield name, value
    if job.open_mode is not None:
        say.exact("open_mode")
        yield "open-mode", job.open_mode
    if job.environment is not None:
        say.exact("environment")
        text = job.environment.text if say.same else _environment(say, job.environment)
        yield "export", text


def _environment(say: Saying, environment: Environment) -> str:
    values = [f"{name}={value}" for name, value in environment.values if "," not in value]
    if len(values) < len(environment.values):
        say.drop("environment", "a value with a comma can't stand in --export")
    parts = ["ALL"] if environment.all else list(environment.names)
    return ",".join([*parts, *values]) or "NONE"


def _messages(say: Saying) -> Iterator[Option]:
    job = say.job
    if job.mail is not None:
        say.exact("mail")
        types = [one for one in job.mail.types if one in MAIL or one == "NONE"]
        if len(types) < len(job.mail.types):
            say.approximate("mail", f"Slurm sends no mail for {', '.join(set(job.mail.types) - set(types))}")
        if types:
            yield "mail-type", ",".join(types)
        if job.mail.user is not None:
            yield "mail-user", job.mail.user
    signal = job.signal
    if signal is not None:
        if signal.name.isdecimal() or signal.name in SIGNALS:
            say.exact("signal")
            before = min(signal.before_s, 65535)
            if before < signal.before_s:
                say.approximate("signal", "65535 seconds before the end at most")
            yield "signal", f"{'B:' if signal.shell else ''}{signal.name}@{before}"
        else:
            say.drop("signal", f"sbatch sends no {signal.name}")


def _own(job: Job) -> Iterator[Option]:
    """What only sbatch has, as it was."""
    for word in (job.placement or "").split():
        name, equals, value = word.removeprefix("--").partition("=")
        yield name, value if equals else None
    for one in job.native:
        yield one.option, one.value
    if job.priority is not None:
        yield "priority", job.priority
    for text in job.burst_buffer:
        yield "bb", text
