"""The options of `flux batch` that may be given many times: environment, dependencies, constraints, attributes."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence

from jobspec.flux import constraints
from jobspec.flux.builder import Builder, refuse
from jobspec.flux.options import Given
from jobspec.flux.values import LONGEST, moment, seconds, whole
from jobspec.job import Array, Begin, Constraint, Dependency, Environment, Job

# Flux's words for the dependencies that Slurm has too: flux-batch(1), "DEPENDENCIES".
KINDS = {
    "after": "after",
    "afterstart": "after",
    "afterany": "afterany",
    "afterok": "afterok",
    "afternotok": "afternotok",
    "singleton": "singleton",
}
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?::(.*))?\Z", re.DOTALL)
_ID = re.compile(r"[^\s,?#:]+\Z")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?\Z")
EVERYTHING = {"-*", "-/.*/"}
_FLAGS = {"debug", "waitable", "novalidate"}
_LARGEST_CONFIGURATION = 65_536  # characters that are checked; more are left to Flux
# Attributes that are fields of a job; a value that is no text is left as it is.
_ATTRIBUTES = {
    "system.bank": "account",
    "system.queue": "queue",
    "system.cwd": "workdir",
    "system.job.name": "name",
    "user.comment": "comment",
}


def _native(builder: Builder, job: Job, many: Sequence[Given]) -> Job:
    for given in many:
        builder.native(given)
    return job


def _environment(builder: Builder, job: Job, many: Sequence[Given]) -> Job:
    """Rules that are applied in their order: flux-batch(1), "ENV RULES"."""
    rules = [{"env-remove": "-", "env-file": "^"}.get(given.option, "") + given.value for given in many]
    read = environment(rules)
    if read is None:  # some rule has no neutral form, and they only work in their order
        return _native(builder, job, many)
    for given in many:
        job = builder.set(job, given, environment=read)
    return job


def environment(rules: Sequence[str]) -> Environment | None:
    """What the rules say where they are plain: nothing but names and values, perhaps behind a removal of all."""
    everything, names, values = True, list[str](), list[tuple[str, str]]()
    for index, rule in enumerate(rules):
        name, assigned, value = rule.partition("=")
        if rule in EVERYTHING and index == 0:
            everything = False
        elif not VARIABLE.match(name):
            return None
        elif not assigned:
            names.append(name)
        elif "$" in value.replace("$$", "") or "{{" in value:
            return None
        else:
            values.append((name, value.replace("$$", "$")))
    return Environment(shlex.join(rules), everything, tuple(names), tuple(values))


def _dependency(builder: Builder, job: Job, many: Sequence[Given]) -> Job:
    """Dependencies are URIs: flux-batch(1), "DEPENDENCIES", and RFC 26."""
    kept: list[Given] = []
    terms: list[tuple[str, tuple[str, ...]]] = []
    plain = True
    for given in many:
        match = _URI.match(given.value)
        if not match:
            raise refuse(given, f"{given.value[:60]!r} is no dependency: SCHEME:VALUE, as afterok:ID")
        scheme, value = match[1].lower(), match[2] or ""
        if scheme == "begin-time" and job.begin is None and is_number(value):
            job = builder.set(job, given, begin=Begin(given.value))
            continue
        if scheme == "begin-time" or "," in given.value or not given.value.isprintable():
            builder.native(given)
            continue
        kept.append(given)
        if scheme == "singleton" and not value:
            terms.append(("singleton", ()))
        elif scheme in KINDS and _ID.match(value):
            terms.append((KINDS[scheme], (value,)))
        else:
            plain = False
    read = Dependency(",".join(given.value for given in kept), tuple(terms) if plain else ())
    for given in kept:
        job = builder.set(job, given, dependency=read)
    return job


def is_number(text: str) -> bool:
    """Whether a text is a number, as seconds since 1970 are."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _begin(builder: Builder, job: Job, many: Sequence[Given]) -> Job:
    for given in many:
        text = given.value
        try:
            begin = Begin(text, offset_s=whole(seconds(text[1:]))) if text[:1] == "+" else Begin(text, at=moment(text))
        except ValueError as error:
            raise refuse(given, str(error), "an offset is written +1h, +30m or +90s") from None
        if text == "now":
            begin = Begin(text, offset_s=0)
        if job.begin is not None:
            builder.native(given)
            continue
        if begin.at is None and begin.offset_s is None:
            builder.warn(given, f"what Flux makes of the time {text[:60]!r} is not checked", "YYYY-MM-DD HH:MM:SS")
        job = builder.set(job, given, begin=begin)
    return job


def _requires(builder: Builder, job: Job, many: Sequence[Given]) -> Job:
    text = " ".join(given.value for given in many)
    try:
        wanted = constraints.parse(text)
    except ValueError as error:
        raise refuse(many[0], f"--requires: {error}") from None
    changes = constrained(wanted, text)
    for given in many:
        job = builder.set(job, given, **changes)
    return job


def constrained(wanted: constraints.Constraint, text: str) -> dict[str, object]:
    """The fields of a job that a constraint goes into; text: the constraint in the words of `--requires`."""
    plain = constraints.plain(wanted)
    if plain is None:
        return {"constraint": Constraint(text)}
    changes: dict[str, object] = {}
    if plain.properties:
        changes["constraint"] = Constraint(",".join(plain.properties), plain.properties)
    if plain.hosts:
        changes["hosts"] = ",".join(plain.hosts)
    if plain.exclude:
        changes["exclude_hosts"] = ",".join(plain.exclude)
    return changes or {"constraint": Constraint(text)}


def _setopt(builder: Builder, job: Job, many: Sequence[Given]) -> Job:
    for given in many:
        key, _, value = given.value.partition("=")
        mode = value.strip('"')
        if key == "output.mode" and mode in {"append", "truncate"}:
            builder.override("open_mode", given.line)
            job = builder.set(job, given, open_mode=mode)
        else:
            builder.native(given)
    return job


def _setattr(builder: Builder, job: Job, many: Sequence[Given]) -> Job:
    """Attributes are set behind all that the options set, so they win."""
    for given in many:
        key, assigned, text = given.value.partition("=")
        path = attribute_path(key)
        value = json_or_text(text) if assigned else 1
        field = _ATTRIBUTES.get(path)
        if field and isinstance(value, str):
            builder.override(field, given.line)
            job = builder.set(job, given, **{field: value})
        elif path == "system.duration" and isinstance(value, int | float) and 0 < value <= LONGEST:
            builder.override("walltime_s", given.line)
            job = builder.set(job, given, walltime_s=whole(value))
        elif path == "user.array" and isinstance(value, int | str) and (array := indexes(str(value))):
            builder.override("array", given.line)
            job = builder.set(job, given, array=array)
        else:
            builder.native(given)
    return job


def attribute_path(key: str) -> str:
    """The name of an attribute below `attributes`, as `--setattr` completes it."""
    key = key.removeprefix("attributes.").removeprefix(".")
    return key if key.startswith(("user.", "system.", "^")) else f"system.{key}"


def json_or_text(text: str) -> object:
    """A value as `--setattr` and `--setopt` read it: JSON where it is JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def indexes(text: str) -> Array | None:
    """An array as `0-9:2,12%3`; None where the text is none."""
    listed, percent, most = text.partition("%")
    if len(text) > 10_000 or (percent and not (most.isascii() and most.isdigit() and len(most) < 10)):
        return None
    ranges = []
    for one in listed.split(","):
        match = _RANGE.match(one)
        if not match:
            return None
        ranges.append((int(match[1]), int(match[2] or match[1]), int(match[3] or 1)))
    if any(first > last or step < 1 for first, last, step in ranges):
        return None
    return Array(text, tuple(ranges), int(most) if percent else None)


def _flags(builder: Builder, job: Job, many: Sequence[Given]) -> Job:
    for given in many:
        for flag in given.value.split(","):
            if flag not in _FLAGS:
                raise refuse(given, f"no flag is named {flag[:40]!r}; known: debug, novalidate, waitable")
    return _native(builder, job, many)


def _conf(builder: Builder, job: Job, many: Sequence[Given]) -> Job:
    for given in many:
        if "\n" in given.value and len(given.value) <= _LARGEST_CONFIGURATION and configuration(given.value) is None:
            raise refuse(given, "--conf: the text is neither JSON nor TOML")
    return _native(builder, job, many)


def configuration(text: str) -> object:
    """A configuration in JSON or TOML; None where it is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


REPEATED: Mapping[str, Callable[[Builder, Job, Sequence[Given]], Job]] = {
    "setopt": _setopt,
    "setattr": _setattr,
    "dependency": _dependency,
    "begin-time": _begin,
    "requires": _requires,
    "env": _environment,
    "flags": _flags,
    "conf": _conf,
    "add-file": _native,
    "broker-opts": _native,
    "rlimit": _native,
}
