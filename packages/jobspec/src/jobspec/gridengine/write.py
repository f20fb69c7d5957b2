"""A job as a Grid Engine batch script, in qsub's words (qsub(1) of 8.1.9)."""

from __future__ import annotations

import re

from resources.errors import InputError
from resources.hostlist import expand

from jobspec.gridengine import shape
from jobspec.gridengine.derive import native_of
from jobspec.gridengine.options import MAIL, NATIVE, NOT_IN_NAMES, RESERVED, SHORTCUTS, TYPES
from jobspec.gridengine.order import array_lines, limits, order
from jobspec.gridengine.requests import role
from jobspec.gridengine.words import interpreter, is_name, job_name, line, word
from jobspec.systems import SYSTEMS
from jobspec.writing import File, Saying, Script

SUFFIX = ".sge"
CANT = (
    ("qos", "Grid Engine has no quality of service; a project or a queue may stand for it"),
    ("threads_per_core", "Grid Engine counts slots, not hardware threads"),
    ("gres", "its resources bear the names that the site gave them"),
    ("disk_per_node", "its resources bear the names that the site gave them"),
    ("burst_buffer", "Grid Engine has no burst buffers"),
    ("walltime_min_s", "Grid Engine has no shortest time"),
    ("deadline", "-dl says when a job has the top priority, not when it must have ended"),
    ("placement", "the allocation rule of the parallel environment places the slots"),
    ("open_mode", "Grid Engine appends to the output, always"),
)
_FEATURE = re.compile(r"[A-Za-z0-9_.+-]{1,255}(?:=[A-Za-z0-9_.+*-]{1,255})?", re.ASCII)
_PLAIN_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}", re.ASCII)
_LETTERS = {kind: letter for letter, kind in MAIL.items()} | {"REQUEUE": "a", "ALL": "abe"}


def write(say: Saying, script: Script) -> list[File]:
    """One script, or several where the array is no single range.

    Raises JobspecError where more than one slot is asked for and no parallel environment is known.
    """
    say.drop_all((field, why) for field, why in CANT if not (field == "open_mode" and say.job.open_mode == "append"))
    if say.job.open_mode == "append":
        say.exact("open_mode")
    head = [
        *_identity(say),
        *shape.environment(say),
        *limits(say),
        *shape.memory(say),
        *shape.gpus(say),
        *_placing(say),
        *order(say),
        *_files(say, script),
        *_environment(say),
        *_mail(say),
        *_native(say),
    ]
    files = []
    pieces = array_lines(say, script)
    for number, (lines, one) in enumerate(pieces, 1):
        whole = [*head, *lines]
        suffix = SUFFIX if len(pieces) == 1 else f".{number}{SUFFIX}"
        files.append(File(suffix, one.text(whole), len(whole) + bool(script.shebang)))
    return files


def _identity(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.name is not None:
        say.exact("name")
        name = job.name if say.same else job_name(say, job.name)
        lines += line(say, "name", "N", name)
    project = native_of(job, "P") if say.same else []
    account = say.named("account")
    if account:
        if not project and not is_name(account):
            say.drop(
                "account",
                f"an account has no blanks, none of {NOT_IN_NAMES} and is none of {', '.join(sorted(RESERVED))}",
            )
        else:
            lines += line(say, "account", "P" if project else "A", account)
    queue, hosts, exclude = say.named("queue"), _hosts(say), _excluded(say)
    at = say.same and len(hosts) == 1 and (exclude or any(role(one) == "hosts" for one in native_of(job, "l")))
    if queue or at:
        lines += line(say, "queue", "q", f"{queue or '*'}@{hosts[0]}" if at else queue)
    if hosts and not at:
        lines.append(f"#$ -l hostname={'|'.join(hosts)}")
    elif exclude:
        lines.append(f"#$ -l hostname=!{exclude[0] if len(exclude) == 1 else '(' + '|'.join(exclude) + ')'}")
    if job.reservation is not None:
        if job.reservation.isascii() and job.reservation.isdigit():
            say.exact("reservation")
            lines.append(f"#$ -ar {job.reservation}")
        else:
            say.drop("reservation", "an advance reservation of Grid Engine has a number")
    if job.comment is not None:
        if "," in job.comment or not word(job.comment):
            say.drop("comment", "the job's context holds no commas, quotes or #")
        else:
            say.approximate("comment", "in the job's context, as comment=")
            lines += line(say, "comment", "ac", f"comment={job.comment}")
    return lines


def _expanded(say: Saying, field: str) -> list[str]:
    text = getattr(say.job, field) or ""
    if not text:
        return []
    try:
        hosts = expand(text)
    except InputError:
        hosts = []
    hosts = [mapped for host in hosts if (mapped := say.profile.nodes.get(host, host))]
    if not hosts or not all(map(_PLAIN_HOST.fullmatch, hosts)):
        say.drop(field, "it is no list of host names")
        return []
    return hosts


def _hosts(say: Saying) -> list[str]:
    hosts = _expanded(say, "hosts")
    if len(hosts) > 1:
        say.approximate("hosts", "the job runs on hosts of the list, maybe not on all of them")
    if hosts:
        say.exact("hosts")
    return hosts


def _excluded(say: Saying) -> list[str]:
    hosts = _expanded(say, "exclude_hosts")
    if hosts:
        say.exact("exclude_hosts")
    return hosts


def _placing(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.exclusive:
        if say.same:
            say.exact("exclusive")
        else:
            say.approximate("exclusive", "a site's own resource (complex(5), EXCL), taken to be named exclusive")
        if not (say.same and any(role(one) == "exclusive" for one in native_of(job, "l"))):
            lines.append("#$ -l exclusive=true")
    if job.constraint:
        lines += _features(say)
    for name, count in job.licenses:
        if _FEATURE.fullmatch(name) and "=" not in name:
            say.approximate("licenses", "as a consumable of the site with the same name, counted by slot")
            lines.append(f"#$ -l {name}={count}")
        else:
            say.drop("licenses", f"{name} is no name of a resource")
    return lines


def _is_resource(name: str) -> bool:
    """Whether Grid Engine has a resource of this name, which means something else than a feature."""
    return SHORTCUTS.get(name, name) in TYPES or role(f"{name}=true") != "constraint"


def _features(say: Saying) -> list[str]:
    constraint = say.job.constraint
    if not constraint:
        return []
    if say.same:
        say.exact("constraint")
        return [f"#$ -l {constraint.text}"]
    if not constraint.all_of:
        say.drop("constraint", "only a list of features that must all be there can be said")
        return []
    lines = []
    for feature in constraint.all_of:
        mapped = say.profile.constraints.get(feature)
        if mapped == "":
            say.drop("constraint", "the profile drops it")
        elif not _FEATURE.fullmatch(mapped or feature):
            say.drop("constraint", f"{mapped or feature} is no name of a resource")
        elif mapped is None and "=" not in feature and _is_resource(feature):
            say.drop("constraint", f"{feature} is a resource of Grid Engine itself, and another one")
        else:
            text = mapped or feature
            lines.append(f"#$ -l {text if '=' in text else text + '=true'}")
            if mapped is None:
                say.approximate("constraint", "as resources of the site with the same names")
    say.exact("constraint")
    return lines


def _files(say: Saying, script: Script) -> list[str]:
    job, lines = say.job, list[str]()
    source = SYSTEMS.get(job.system)
    if job.workdir == ".":
        say.exact("workdir")
        lines.append("#$ -cwd")
    elif job.workdir is not None:
        say.exact("workdir")
        lines += line(say, "workdir", "wd", job.workdir)
    elif source and source.origin == "submit":
        # The source starts where it was submitted, Grid Engine at home.
        lines.append("#$ -cwd")
    for field, option in (("input", "i"), ("output", "o"), ("error", "e")):
        path = say.path(field)
        if path is not None and not say.same:
            if "," in path:
                say.drop(field, "a comma would start another host's path")
                continue
            path = f":{path}" if ":" in path else path
        if path is not None:
            lines += line(say, field, option, path)
    if job.join:
        say.exact("join")
        lines.append("#$ -j y")
    if job.shell is not None:
        say.exact("shell")
        lines += line(say, "shell", "S", job.shell)
    elif not say.same and (shell := interpreter(script)):
        # Under posix_compliant queues the shebang does not count (queue_conf(5), shell_start_mode).
        lines.append(f"#$ -S {shell}")
    return lines


def _environment(say: Saying) -> list[str]:
    environment = say.job.environment
    if not environment:
        return []
    say.exact("environment")
    lines = ["#$ -V"] if environment.all else []
    lines += [f"#$ -v {name}" for name in environment.names if word(name) == name]
    for name, value in environment.values:
        said = word(f"{name}={value}")
        if said is None or "," in value:
            say.drop("environment", f"{name[:60]}: qsub can't quote commas, quotes or #")
        else:
            lines.append(f"#$ -v {said}")
    return lines


def _mail(say: Saying) -> list[str]:
    mail = say.job.mail
    if not mail:
        return []
    say.exact("mail")
    letters = "".join(sorted({letter for kind in mail.types for letter in _LETTERS.get(kind, "")}))
    lost = [kind for kind in mail.types if kind not in _LETTERS and kind != "NONE"]
    if lost:
        say.approximate("mail", f"no mail on {', '.join(lost)}")
    if "FAIL" in mail.types and not {"END", "ALL"} & set(mail.types) and not say.same:
        say.approximate("mail", "-m a is about jobs that are aborted, not those that fail by themselves")
    lines = [f"#$ -m {letters}"] if letters else ["#$ -m n"] if mail.user is None else []
    if mail.user:
        lines += line(say, "mail", "M", mail.user)
    return lines


def _native(say: Saying) -> list[str]:
    job = say.job
    if not say.same:
        say.drop_native()
        return []
    say.exact("native")
    lines = []
    for one in job.native:
        if one.option == "soft":
            lines.append(f"#$ -soft {one.value}")
        elif one.option == "binding":
            lines.append(f"#$ -binding {one.value}")
        elif one.option in NATIVE or one.option in {"l", "R", "now", "A"}:
            lines += line(say, "native", one.option, one.value)
    return lines
