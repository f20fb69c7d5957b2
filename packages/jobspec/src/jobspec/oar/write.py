"""A job as an OAR batch script, in the words that `oarsub -S` of 2.6.1 reads (oarsub(1))."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import PurePosixPath

from resources.errors import InputError
from resources.hostlist import expand

from jobspec import arrays
from jobspec.body.commands import family
from jobspec.oar.options import DEFAULT_SIGNAL, SHORT, SIGNALS, TAGS
from jobspec.oar.shape import resources
from jobspec.systems import SYSTEMS
from jobspec.writing import File, Saying, Script

SUFFIX = ".oar"
CANT = (
    ("qos", "OAR has no quality of service; a queue or a job type may stand for it"),
    ("reservation", "OAR reserves by -r, which a script can't have, and by containers, which it names by a job's id"),
    ("comment", "OAR keeps no comment with a job"),
    ("threads_per_core", "OAR allocates cores, or what its site made of them"),
    ("gres", "the properties of OAR's resources are the site's"),
    ("memory", "OAR does not count memory; a property of the nodes may stand for it"),
    ("disk_per_node", "OAR does not count disk space"),
    ("licenses", "the properties of OAR's resources are the site's"),
    ("burst_buffer", "OAR has no burst buffers"),
    ("walltime_min_s", "OAR has no shortest time"),
    ("begin", "oarsub takes a start (-r) on its command line only"),
    ("deadline", "OAR has no deadline"),
    ("priority", "OAR has no priority of a job; its queue has one"),
    ("placement", "the levels of the hierarchy place an OAR job; this has none"),
    ("input", "OAR gives a job no input"),
    ("open_mode", "OAR appends to the output, or not, as its site has it"),
    ("shell", "OAR runs the script as a program: its first line says the shell"),
)
_BOURNE = frozenset(("sh", "bash", "dash", "ksh", "zsh"))
_FILE = re.compile(r"[A-Za-z0-9_./\\% -]{1,4096}", re.ASCII)
_NO_FILE = "OAR's names of files have letters, digits, blanks and ._-/%\\ only"
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}", re.ASCII)
_NUMBERS = {name: number for number, name in SIGNALS.items()}
_TAG_OF = {kind: tag for tag, kind in TAGS.items()}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)


def write(say: Saying, script: Script) -> list[File]:
    """One script; the lines that give the body its index and variables stand at its top."""
    say.drop_all(CANT)
    shim: list[str] = []
    lines = [
        *_identity(say),
        *resources(say),
        *_properties(say),
        *_order(say),
        *_array(say, script, shim),
        *_files(say),
        *_mail_and_signal(say),
        *_native(say),
    ]
    _environment(say, script, shim)
    if shim:
        script = replace(script, shim=(*shim, *script.shim))
    return [File(SUFFIX, script.text(lines), len(lines) + bool(script.shebang))]


def bourne(script: Script) -> bool:
    """Whether lines of shell can stand at its top; a script without a first line runs under sh."""
    words = script.shebang.removeprefix("#!").split()
    name = PurePosixPath(words[0]).name if words else "sh"
    return (PurePosixPath(words[1]).name if name == "env" and len(words) > 1 else name) in _BOURNE


def _line(say: Saying, field: str, option: str, value: str, *, bad: str = "") -> list[str]:
    """One directive: the value is all the rest of the line."""
    if not value or not value.isprintable() or value != value.strip() or set(value) & set(bad):
        say.drop(field, f"OAR's {SHORT.get(option, '--' + option)} can't say {value[:60]!r}")
        return []
    return [f"#OAR {SHORT.get(option, '--' + option)} {value}"]


def _identity(say: Saying) -> list[str]:
    lines = []
    if say.job.name is not None:
        say.exact("name")
        name = say.job.name.replace("'", "_")
        if name != say.job.name:
            say.approximate("name", f"{name}: a name has no single quotes")
        lines += _line(say, "name", "n", name)
    for field, option in (("account", "project"), ("queue", "q")):
        value = say.named(field)
        if value:
            lines += _line(say, field, option, value, bad="$'\"; " if option == "q" else "'")
    return lines


def _hosts(say: Saying, field: str) -> list[str]:
    text = getattr(say.job, field) or ""
    try:
        names = expand(text) if text else []
    except InputError:
        names = []
    hosts = [mapped for name in names if (mapped := say.profile.nodes.get(name, name))]
    if text and (not hosts or not all(map(_HOST.fullmatch, hosts))):
        say.drop(field, "it is no list of host names")
        return []
    if text:
        say.exact(field)
    return hosts


def _properties(say: Saying) -> list[str]:
    """The -p line: one condition in SQL on the resources' properties."""
    job = say.job
    if say.same:
        kept = [one.value for one in job.native if one.option == "p"]
        say.exact("hosts", "exclude_hosts", "constraint")
        text = kept[0] if kept else job.constraint.text if job.constraint else ""
        return [f"#OAR -p {text}"] if text else []
    terms = []
    hosts, excluded = _hosts(say, "hosts"), _hosts(say, "exclude_hosts")
    if len(hosts) > 1:
        say.approximate("hosts", "the job runs on hosts of the list, maybe not on all of them")
    for found, negated in ((hosts, ""), (excluded, "not ")):
        if found:
            terms.append(f"network_address {negated}in ({', '.join(repr(host) for host in found)})")
    kinds = [say.gpu_type(one.type) for one in job.gpus if one.type]
    if kinds and _HOST.fullmatch(kinds[0]):
        say.approximate("gpus", "the property of the GPU's type is the site's, taken to be gpumodel")
        terms.append(f"gpumodel = '{kinds[0]}'")
    elif kinds:
        say.approximate("gpus", "of any type")
    terms += _features(say)
    return [f"#OAR -p {' AND '.join(terms)}"] if terms else []


def _features(say: Saying) -> list[str]:
    constraint, terms = say.job.constraint, list[str]()
    if not constraint:
        return []
    if not constraint.all_of:
        say.drop("constraint", "only a list of features that must all be there can be said")
    for feature in constraint.all_of:
        mapped = say.profile.constraints.get(feature)
        if mapped == "":
            say.drop("constraint", "the profile drops it")
        elif mapped is not None:
            terms.append(mapped if set(mapped) & set("=<>'") else f"{mapped} = 'YES'")
            say.exact("constraint")
        elif _VARIABLE.fullmatch(feature):
            terms.append(f"{feature} = 'YES'")
            say.approximate("constraint", "as properties of the site with the same names")
        else:
            say.drop("constraint", f"{feature} is no name of a property")
    return terms


def _order(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.dependency:
        ids = [one for _, some in job.dependency.terms for one in some]
        if ids and all(one.isascii() and one.isdigit() for one in ids):
            say.exact("dependency")
            others = {kind for kind, _ in job.dependency.terms} - {"afterok"}
            if others:
                say.approximate("dependency", "it waits for the end, and does not run where the other job failed")
            if job.dependency.any and len(ids) > 1:
                say.approximate("dependency", "it waits for all of them")
            lines += [f"#OAR -a {int(one)}" for one in ids]
        else:
            say.drop("dependency", "OAR waits for jobs that are named by their numbers")
    if job.hold:
        say.exact("hold")
        lines.append("#OAR --hold")
    if job.requeue is not None:
        say.exact("requeue")
        if job.requeue:
            lines.append("#OAR -t idempotent")
            if not say.same:
                say.approximate("requeue", "OAR resubmits a job that exits with 99 after more than a minute")
    return lines


def _array(say: Saying, script: Script, shim: list[str]) -> list[str]:
    """OAR counts from 1; other indexes come from a line at the top."""
    array = say.job.array
    if not array:
        return []
    say.exact("array")
    if array.throttle:
        say.approximate("array", f"OAR can't limit how many of an array run at once: not {array.throttle}, but all")
    spans = arrays.spans(array)
    count = arrays.count(spans)
    first, _, step = spans[0]
    if (first, step, len(spans)) != (1, 1, 1):
        kind = family(script.shebang, None)
        if kind == "other":
            say.drop("array", f"no shell reads this script: its indexes are 1 to {count}")
        else:
            say.approximate("array", f"OAR counts from 1 to {count}; a line at the top sets the index right")
        listed = "" if kind == "sh" and len(spans) == 1 else " ".join(map(str, arrays.indexes(array)))
        if kind == "csh":
            shim.append(f"set jobspec_all = ( {listed} ); setenv OAR_ARRAY_INDEX $jobspec_all[$OAR_ARRAY_INDEX]")
        elif kind == "sh" and listed:
            shim.append(
                f"OAR_ARRAY_INDEX=$(echo {listed} | cut -d ' ' -f \"$OAR_ARRAY_INDEX\"); export OAR_ARRAY_INDEX"
            )
        elif kind == "sh":
            shim.append(f"OAR_ARRAY_INDEX=$(((OAR_ARRAY_INDEX - 1) * {step} + {first})); export OAR_ARRAY_INDEX")
    return [f"#OAR --array {count}"]


def _files(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    source = SYSTEMS.get(job.system)
    if job.workdir is not None:
        say.exact("workdir")
        if job.workdir != ".":
            lines += _line(say, "workdir", "d", job.workdir)
    elif source and source.origin == "home":
        say.remark("OAR starts where the job was submitted, the source at home")
    output, error = say.path("output"), say.path("error")
    if job.join:
        if output is None:
            say.drop("join", "OAR joins the error to the output only where both have a name")
        else:
            say.exact("join")
            error = output
    for field, option, path in (("output", "O", output), ("error", "E", error)):
        if path is None:
            continue
        if _FILE.fullmatch(path):
            lines += _line(say, field, option, path)
        else:
            say.drop("join" if field == "error" and job.join else field, _NO_FILE)
    return lines


def _mail_and_signal(say: Saying) -> list[str]:
    job, lines = say.job, list[str]()
    if job.mail:
        kinds = {kind for one in job.mail.types for kind in (TAGS.values() if one == "ALL" else [one])}
        tags = sorted(_TAG_OF[kind] for kind in kinds if kind in _TAG_OF)
        lost = sorted(kind for kind in kinds if kind not in _TAG_OF and kind != "NONE")
        if not job.mail.user:
            say.drop("mail", "OAR needs an address")
        elif not tags and not say.same:
            say.drop("mail", f"OAR sends no mail on {', '.join(lost) or 'nothing'}")
        else:
            say.exact("mail")
            if lost:
                say.approximate("mail", f"no mail on {', '.join(lost)}")
            lines += _line(say, "mail", "notify", f"[{','.join(tags)}]mail:{job.mail.user}")
    if job.signal:
        number = _NUMBERS.get(job.signal.name) or (int(job.signal.name) if job.signal.name.isdigit() else 0)
        if not number and not say.same:
            number = DEFAULT_SIGNAL
            say.approximate("signal", f"{SIGNALS[DEFAULT_SIGNAL]} is sent instead of {job.signal.name}")
        say.exact("signal")
        lines.append(f"#OAR --checkpoint {job.signal.before_s}")
        if number != DEFAULT_SIGNAL:
            lines.append(f"#OAR --signal {number}")
    return lines


def _environment(say: Saying, script: Script, shim: list[str]) -> None:
    environment = say.job.environment
    if not environment:
        return
    if environment.all or environment.names:
        say.drop("environment", "OAR hands no variables of the submission to the job")
    if environment.values and not bourne(script):
        say.drop("environment", "OAR sets no variables, and the script is no shell script")
    elif environment.values:
        say.approximate("environment", "set by lines at the top of the script")
        fine = [
            (name, value) for name, value in environment.values if _VARIABLE.fullmatch(name) and value.isprintable()
        ]
        shim += [f"export {name}={shlex.quote(value)}" for name, value in fine]
    elif not environment.all and not environment.names:
        say.exact("environment")


def _native(say: Saying) -> list[str]:
    job = say.job
    if not say.same:
        say.drop_native()
        return []
    say.exact("native")
    return [
        f"#OAR {SHORT.get(one.option, '--' + one.option)} {one.value or ''}".rstrip()
        for one in job.native
        if one.option not in {"p", "resource"}
    ]
