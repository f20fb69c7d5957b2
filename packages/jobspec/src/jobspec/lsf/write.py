"""Job scripts in LSF's words. Source: IBM Spectrum LSF Command Reference, "bsub"."""

from __future__ import annotations

import re

from jobspec.errors import JobspecError, ScriptError
from jobspec.job import Mail
from jobspec.lsf.lexer import check_script
from jobspec.lsf.write_arrays import arrays
from jobspec.lsf.write_lines import directive
from jobspec.lsf.write_resources import Asked, resources
from jobspec.lsf.write_times import times
from jobspec.names import hosts_of
from jobspec.templates import is_template
from jobspec.writing import File, Saying, Script

# Whose output files are appended to where nobody says which.
_APPENDING = frozenset({"lsf", "gridengine", "oar", "cobalt"})
# Those that others write; they are no options by themselves.
_ASIDE = frozenset({"nnodes", "n", "G", "M", "gpu", "ngpus", "rusage", "R", "W host", "is"})
_ENDS = {"ENDFAIL": "N", "END": "Nd", "FAIL": "Ne"}
CANT = (
    ("qos", "LSF has no quality of service; a queue or a service class (-sla) takes its place"),
    ("threads_per_core", "bsub counts cores; hardware threads are bound by the affinity of the site"),
    ("gres", "LSF has other names for such resources, and its administrator defines them"),
    ("burst_buffer", "bsub has no burst buffers"),
    ("walltime_min_s", "bsub has one runtime limit, not a range"),
    ("placement", "it is in the words of its own system"),
    ("native", "an option that only its own system has"),
)


def write(say: Saying, script: Script) -> list[File]:
    """The files: one, or several where an array is larger than the target takes."""
    job = say.job
    own: dict[str, list[str | None]] = {}
    if say.same:
        for one in job.native:
            own.setdefault(one.option, []).append(one.value)
        say.exact("native")
    asked = Asked()
    _identity(say, own, asked)
    resources(say, own, asked)
    times(say, own, asked)
    _files(say, script, own, asked)
    _others(say, asked)
    for option, found in own.items():
        if option not in _ASIDE and option not in {"o", "oo", "e", "eo"}:
            asked.options += [(option, value) for value in found]
    for value in own.get("R", []):
        asked.options.append(("R", value))
    for value in own.get("rusage", []):
        if value and ("||" in value or ":" in value):
            asked.options.append(("R", f"rusage[{value}]"))
    if text := asked.requirement():
        asked.options.append(("R", text))
    lines = [line for option, value in asked.options if (line := directive(say, option, value))]
    say.drop_all(CANT if not say.same else [])
    files = arrays(say, script, lines)
    try:
        check_script(files[0].text)
    except ScriptError as error:
        raise JobspecError(f"bsub would not take the script: {error.message}") from None
    return files


def _identity(say: Saying, own: dict[str, list[str | None]], asked: Asked) -> None:
    job = say.job
    if job.name is not None:
        say.exact("name")
        if not job.array:
            name = job.name if say.same else re.sub(r"[\[\]]", "_", job.name)
            if name != job.name:
                say.approximate("name", "brackets are the indexes of an array to bsub")
            asked.options.append(("J", name))
    if queue := say.named("queue"):
        if is_template(queue):
            say.drop("queue", f"{queue[:60]!r} is no name of a queue: a template, to be filled in first")
        else:
            asked.options.append(("q", queue))
    if account := say.named("account"):
        group = "G" in own and own["G"][0] is None
        asked.options.append(("G" if group else "P", account))
        asked.options += [("G", value) for value in own.get("G", []) if value is not None]
    for field, option in (("reservation", "U"), ("comment", "Jd"), ("workdir", "cwd")):
        value = getattr(job, field)
        if value is not None:
            asked.options.append((option, value))
            say.exact(field)
    if job.hosts is not None:
        hosts = [] if say.same else hosts_of(job.hosts, say.profile)
        if say.same:
            asked.options.append(("m", job.hosts))
            say.exact("hosts")
        elif hosts:
            asked.options.append(("m", " ".join(hosts)))
            say.approximate("hosts", "bsub takes hosts out of the list, not all of them")
        else:
            say.drop("hosts", "it is no plain list of hosts")


def _files(say: Saying, script: Script, own: dict[str, list[str | None]], asked: Asked) -> None:
    job = say.job
    over = job.open_mode == "truncate" or (job.open_mode is None and job.system not in _APPENDING)
    say.exact("open_mode", "join")
    output, error = say.path("output"), say.path("error")
    if output is not None:
        asked.options.append(("oo" if over else "o", output))
    if error is not None and not job.join:
        other = "e" in own or "eo" in own
        asked.options.append(("eo" if over != other else "e", error))
    if (path := say.path("input")) is not None:
        asked.options.append(("is" if "is" in own else "i", path))
    if job.environment:
        _environment(say, asked)
    if job.shell is not None:
        if say.same:
            asked.options.append(("L", job.shell))
            say.exact("shell")
        elif job.shell.split("/")[-1] in re.split("[/ ]", script.shebang):
            say.exact("shell")
        else:
            say.drop("shell", "LSF takes the shell from the first line of the script")


def _environment(say: Saying, asked: Asked) -> None:
    wanted = say.job.environment
    if wanted is None:
        return
    if say.same:
        asked.options.append(("env", wanted.text))
        say.exact("environment")
        return
    if any(set(name) & set(",~='\"") or "'" in value for name, value in wanted.values):
        say.drop("environment", "a value in it holds a quote")
        return
    given = [f"{name}='{value}'" if "," in value else f"{name}={value}" for name, value in wanted.values]
    entries = [*(["all"] if wanted.all else []), *wanted.names, *given]
    asked.options.append(("env", ", ".join(entries) or "none"))
    say.exact("environment")


def _others(say: Saying, asked: Asked) -> None:
    job = say.job
    if job.hold:
        asked.options.append(("H", None))
        say.exact("hold")
    if job.requeue is not None:
        asked.options.append(("r" if job.requeue else "rn", None))
        say.exact("requeue")
    if job.priority is not None:
        if say.same:
            asked.options.append(("sp", job.priority))
            say.exact("priority")
        else:
            say.drop("priority", "each site has its own scale of priorities (-sp)")
    if job.mail:
        _mail(say, job.mail, asked)


def _mail(say: Saying, mail: Mail, asked: Asked) -> None:
    say.exact("mail")
    types = set(mail.types) - {"NONE"}
    if mail.user is not None:
        asked.options.append(("u", mail.user))
    if "BEGIN" in types:
        asked.options.append(("B", None))
    ends = "".join(sorted(types & {"END", "FAIL"}))
    if ends:
        asked.options.append((_ENDS[ends] if say.same else "N", None))
    if ends == "FAIL" and not say.same:  # an END alone is of a failed job too
        say.approximate("mail", "-N sends mail at the end of the job, failed or not")
    if others := sorted(types - {"BEGIN", "END", "FAIL"}):
        say.approximate("mail", f"bsub sends mail at the beginning and the end, not at {', '.join(others)}")
