"""A job in the options of `flux batch`, for its scripts and for jobspecs alike: flux-batch(1)."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection

from jobspec.flux import constraints
from jobspec.flux.arrays import array_text, each_its_own, submissions
from jobspec.flux.layout import KIN, Layout, gpu_type, layout
from jobspec.flux.lists import KINDS, VARIABLE
from jobspec.flux.options import KINDS as OPTIONS
from jobspec.flux.urgency import urgency
from jobspec.flux.values import LONGEST, duration, signal_number
from jobspec.patterns import translate
from jobspec.writing import Saying

Option = tuple[str, str | None]

_CANT = (
    ("qos", "Flux has no QOS: map it to a queue in the profile"),
    ("reservation", "Flux has no reservations: at most a queue stands for one"),
    ("gres", "version 1 of Flux's jobspecs knows nodes, cores and GPUs only"),
    ("disk_per_node", "version 1 of Flux's jobspecs knows nodes, cores and GPUs only"),
    ("licenses", "Flux has no licenses"),
    ("burst_buffer", "Flux has no burst buffers in flux batch"),
    ("walltime_min_s", "Flux has one time limit, and no least one"),
    ("deadline", "Flux has no deadlines"),
    ("placement", "flux batch allocates slots; flux run places tasks on them (--taskmap)"),
    ("mail", "Flux sends no mail"),
)
_NO_CONTROL = "it holds a control character"
_OWN_ID = re.compile(r"[A-Za-z0-9ƒ_.-]{1,80}\Z")
_EITHER = re.compile(r"[^\s&|()\[\]*,'\"`]+(?:\|[^\s&|()\[\]*,'\"`]+)+\Z")


def options(say: Saying) -> tuple[Layout, list[Option]]:
    """What is allocated, and the other options; the account of every field is in `say`."""
    plan = layout(say)
    job = say.job
    found: list[Option] = []
    if job.name is not None:
        _put(say, found, "name", "job-name", job.name)
    elif job.dependency and job.system not in KIN and any(kind == "singleton" for kind, _ in job.dependency.terms):
        found.append(("job-name", say.file.rpartition("/")[2] or "batch"))  # singleton needs a name
    _time(say, found)
    for field, option in (("queue", "queue"), ("account", "bank")):
        name = say.named(field)
        if name is not None:
            _put(say, found, field, option, name)
    _constraint(say, found)
    _dependencies(say, found)
    _begin(say, found)
    urgency(say, found)
    _files(say, found)
    _environment(say, found)
    _signal(say, found)
    _array(say, found)
    if job.comment is not None:
        _put(say, found, "comment", "setattr", f"user.comment={json.dumps(job.comment, ensure_ascii=False)}")
    if job.requeue is True:
        say.drop("requeue", "Flux does not run a job again when its nodes fail")
    say.exact("requeue", "shell")
    say.drop_all(_CANT)
    _native(say, found)
    return plan, found


def _put(say: Saying, found: list[Option], field: str, option: str, value: str) -> None:
    if value.isprintable():
        found.append((option, value))
        say.exact(field)
    else:
        say.drop(field, _NO_CONTROL)


def _time(say: Saying, found: list[Option]) -> None:
    limit = say.job.walltime_s
    if limit == "unlimited":
        found.append(("time-limit", "0"))
        if say.job.system not in KIN:
            say.approximate("walltime_s", "0 is no limit but the default one of the queue, where it has one")
        say.exact("walltime_s")
    elif limit is not None and limit > LONGEST:
        say.drop("walltime_s", "Flux has no limit as long as that")
    elif limit is not None:
        found.append(("time-limit", duration(max(limit, 1))))
        if limit < 1:
            say.approximate("walltime_s", "1 second instead of 0, which Flux takes for no limit")
        say.exact("walltime_s")


def _constraint(say: Saying, found: list[Option]) -> None:
    """Features, hosts and the types of GPUs."""
    job, profile = say.job, say.profile
    if job.constraint:
        _features(say, found)
    for one in job.gpus:
        mapped = gpu_type(profile, one.type)[0] if one.type and one.count else ""
        term = constraints.properties([mapped]) if mapped else None
        if term and ("requires", term) not in found:
            found.append(("requires", term))
    for field, sign in (("hosts", ""), ("exclude_hosts", "-")):
        names: str | None = getattr(job, field)
        if names is None:
            continue
        mapped = ",".join(profile.nodes.get(name, name) for name in names.split(",")) if profile.nodes else names
        term = constraints.hosts(mapped)
        if term is None:
            say.drop(field, "Flux has no words for this list of hosts (RFC 29)")
            continue
        found.append(("requires", sign + term))
        if field == "hosts" and job.system not in KIN and not (
            job.nodes and constraints.count_hosts(mapped) == job.nodes.least
        ):  # fmt: skip
            say.approximate("hosts", "Flux takes nodes from among these hosts only, not these and others")
        say.exact(field)


def _features(say: Saying, found: list[Option]) -> None:
    wanted = say.job.constraint
    if wanted is None:
        return
    if say.job.system in KIN and not wanted.all_of:
        _put(say, found, "constraint", "requires", wanted.text)
        return
    mapping = say.profile.constraints
    names = [mapping.get(name, name) for name in wanted.all_of or wanted.text.split("|")]
    if "" in names:
        say.drop("constraint", "the profile drops it")
        names = [name for name in names if name] if wanted.all_of else []
        if not names:
            return
    if wanted.all_of:
        term = constraints.properties(names)
    elif _EITHER.match(wanted.text):
        each = [constraints.properties([name]) for name in names]
        term = None if None in each else f"({'|'.join(map(str, each))})"
    else:
        term = None
    if term is None:
        say.drop("constraint", "it has no equivalent among Flux's properties of nodes (RFC 35)")
        return
    found.append(("requires", term))
    say.exact("constraint")


def _dependencies(say: Saying, found: list[Option]) -> None:
    wanted = say.job.dependency
    if wanted is None:
        return
    if say.job.system in KIN:
        found += [("dependency", uri) for uri in wanted.text.split(",") if uri.isprintable()]
        say.exact("dependency")
        return
    written = {kind: name for name, kind in KINDS.items() if name != "after"}
    said: list[Option] = []
    foreign = False
    for kind, ids in wanted.terms:
        name = written.get(kind)
        if name is None:
            say.drop("dependency", f"Flux has no {kind}")
        elif kind == "singleton":
            said.append(("dependency", name))
        elif not all(_OWN_ID.match(one) for one in ids):
            say.drop("dependency", f"{kind}: an id that is no job's")
        else:
            said += [("dependency", f"{name}:{one}") for one in ids]
            foreign = True
    if wanted.any and len(said) > 1:
        say.drop("dependency", "Flux waits for all dependencies, not for any of them")
        return
    if not wanted.terms:
        say.drop("dependency", "it has no equivalent among Flux's dependencies (RFC 26)")
    if foreign:
        say.approximate("dependency", "the id must be that of the job in Flux")
    found += said
    say.exact("dependency")


def _begin(say: Saying, found: list[Option]) -> None:
    begin = say.job.begin
    if begin is None:
        return
    if say.job.system in KIN:
        _put(say, found, "begin", "dependency" if begin.text.startswith("begin-time:") else "begin-time", begin.text)
    elif begin.offset_s is not None and 0 <= begin.offset_s <= LONGEST:
        found.append(("begin-time", f"+{duration(begin.offset_s)}"))
        say.exact("begin")
    elif begin.at is not None:
        # The form that the parser of Flux reads as it is meant; the "T" of ISO 8601 it does not.
        found.append(("begin-time", begin.at.replace("T", " ")[:19]))
        say.exact("begin")
    else:
        say.drop("begin", f"what time {begin.text[:40]!r} is depends on when it is submitted")


def _files(say: Saying, found: list[Option]) -> None:
    job = say.job
    for field, option in (("workdir", "cwd"), ("input", "input"), ("output", "output"), ("error", "error")):
        value: str | None = getattr(job, field)
        if value is None:
            continue
        if field in {"output", "error"} and job.array:
            value = each_its_own(value, job.system)
            text, lost = translate(value, job.system, say.target)
            if lost:
                say.approximate(field, f"Flux has nothing for {' '.join(lost)} in a path")
        elif field == "workdir":
            text = value
        else:
            text = say.path(field) or ""
        if field in {"output", "error"} and text in {"none", "kvs"} and job.system not in KIN:
            text = f"./{text}"  # these words are no files
        _put(say, found, field, option, text)
    if job.open_mode:
        found.append(("setopt", f"output.mode={job.open_mode}"))
    say.exact("open_mode", "join")  # without --error, both go to one file


def _environment(say: Saying, found: list[Option]) -> None:
    wanted = say.job.environment
    if wanted is None:
        return
    if say.same and say.target == "flux":
        found += [("env", rule) for rule in shlex.split(wanted.text)]
        say.exact("environment")
        return
    if not wanted.all:
        found.append(("env-remove", "*"))
        found += [("env", name) for name in wanted.names if VARIABLE.match(name)]
    for name, value in wanted.values:
        if not VARIABLE.match(name) or not value.isprintable() or "{{" in value:
            say.approximate("environment", f"not {name[:40]}: the name or the value can't be written")
        else:
            found.append(("env", f"{name}={value.replace('$', '$$')}"))
    say.exact("environment")


def _signal(say: Saying, found: list[Option]) -> None:
    wanted = say.job.signal
    if wanted is None:
        return
    try:
        signal_number(wanted.name)
    except ValueError:
        say.drop("signal", f"no signal is named {wanted.name[:20]!r}")
        return
    if not 0 <= wanted.before_s <= LONGEST:
        say.drop("signal", "no time limit is as long as that")
        return
    found.append(("signal", f"{wanted.name}@{wanted.before_s}s"))
    if say.job.system not in KIN:
        what = "the script" if wanted.shell else "what the script runs"
        say.approximate("signal", f"it goes to the script and to all that it runs, not only to {what}")
    say.exact("signal")


def _array(say: Saying, found: list[Option]) -> None:
    array = say.job.array
    if array is None:
        return
    text = array_text(array)
    found.append(("setattr", f"user.array={text}"))
    if not say.same:
        held = f", without its throttle of {array.throttle}" if array.throttle else ""
        how = (
            submissions(array) if say.target == "flux" else "FLUX_JOB_CC in attributes.system.environment is the index"
        )
        say.approximate("array", f"flux batch has no arrays: submit it once for each index{held}: {how}")
    say.exact("array")


def _native(say: Saying, found: list[Option]) -> None:
    for one in say.job.native:
        if say.job.system in KIN and one.option in OPTIONS:
            found.append((one.option, one.value))
            say.exact("native")
        elif say.job.system in KIN:
            say.drop("native", f"version 1 of jobspecs has nothing like {one.option}")
        else:
            say.drop("native", f"flux batch has nothing like {one.option}")


def carried(say: Saying, unsaid: Collection[str]) -> None:
    """Account for each of Flux's own options by itself: those that are not among the unsaid are said as they are."""
    if say.job.system in KIN:
        for one in say.job.native:
            if one.option in OPTIONS and one.option not in unsaid:
                say.carried(one.option)
