"""What is not a size, in the words of sbatch: times, order, nodes, files, messages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobspec.job import UNLIMITED, Environment, Job
from jobspec.slurm.texts import MAIL, SIGNALS, constraint
from jobspec.writing import Saying

Option = tuple[str, str | None]  # name, value; None for a flag
_ID = re.compile(r"[0-9]{1,18}(?:_(?:\*|[0-9]{1,9}))?(?:\+[0-9]{1,9})?", re.ASCII)
_KINDS = frozenset(("after", "afterany", "afterok", "afternotok", "aftercorr", "afterburstbuffer"))
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?", re.ASCII)
_HOSTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-\[\],]{0,9999}", re.ASCII)
_LICENSE = re.compile(r"[^\s,;:=]{1,200}")


def licenses(say: Saying) -> Iterator[Option]:
    """--licenses."""
    found = say.job.licenses
    if found:
        say.exact("licenses")
        bad = [name for name, _ in found if not _LICENSE.fullmatch(name)]
        if bad:
            say.drop("licenses", f"Slurm can't name a license {', '.join(bad)[:60]!r}")
        else:
            yield "licenses", ",".join(name if count == 1 else f"{name}:{count}" for name, count in found)


def exclusive(say: Saying) -> Iterator[Option]:
    """--exclusive."""
    if say.job.exclusive:
        say.exact("exclusive")
        if not (say.same and any(one.option == "exclusive" for one in say.job.native)):
            yield "exclusive", None


def clock(seconds: int) -> str:
    """Seconds as D-HH:MM:SS or H:MM:SS."""
    days, rest = divmod(seconds, 86400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def times(say: Saying) -> Iterator[Option]:
    """How long, and when."""
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


def order(say: Saying) -> Iterator[Option]:
    """After what, held, requeued."""
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


def nodes(say: Saying) -> Iterator[Option]:
    """Features and hosts."""
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
            names = [new for one in names if (new := say.profile.nodes.get(one, one))]
            value = ",".join(names)
            if field == "hosts" and len(names) > _most_nodes(job):
                say.drop(field, f"they are {len(names)} candidates, and --nodelist asks for all of its hosts")
                continue
        if not value:
            say.drop(field, "the profile drops it")
        elif say.same or _HOSTS.fullmatch(value):
            say.exact(field)
            yield name, value
        else:
            say.drop(field, f"{value[:60]!r} is no list of hosts for Slurm")


def _most_nodes(job: Job) -> int:
    return (job.nodes.most or job.nodes.least) if job.nodes else 1


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


def files(say: Saying) -> Iterator[Option]:
    """Files, folder and environment."""
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


def messages(say: Saying) -> Iterator[Option]:
    """Mail and signals."""
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
