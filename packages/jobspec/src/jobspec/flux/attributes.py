"""The attributes of a jobspec: RFC 14, "Attributes", and the options of its shell (flux-shell-options(7))."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from jobspec.flux import constraints
from jobspec.flux.lists import KINDS, constrained, indexes, is_number
from jobspec.flux.notes import Notes
from jobspec.flux.values import whole
from jobspec.job import Begin, Constraint, Dependency, Environment, Job, Signal

_SYSTEM = "attributes.system"
_NAMES = {"queue": "queue", "bank": "account", "cwd": "workdir"}
# What `flux batch` itself sets for every batch job.
_OF_BATCH = {"per-resource.type": "node", "mpi": "none", "exit-timeout": "none"}
_PATHS = {
    "output.stdout.path": "output",
    "output.stderr.path": "error",
    "input.stdin.path": "input",
}
_TYPES = {"output.stdout.type", "output.stderr.type", "input.stdin.type"}


def read(notes: Notes, version: int, *, batch: bool) -> Job:
    """The fields of a job that are no resources. Raises ScriptError for what flux-core's validator refuses."""
    document = notes.document
    job = Job("flux-jobspec")
    top = document.value["attributes"]
    if top is None and version != 1:
        return job
    if not isinstance(top, dict):
        raise document.error("attributes", "must be a mapping")
    for key in top:
        if key not in {"system", "user"}:
            raise document.error(f"attributes.{key}", "unknown; known: system, user")
    system = top.get("system", {} if version != 1 else None)
    if not isinstance(system, dict):
        raise document.error("attributes", "system must be a mapping")
    if version == 1 and "duration" not in system:
        raise document.error(_SYSTEM, "duration is missing: version 1 requires it (RFC 25)", "0 is no limit")
    for key, value in system.items():
        handler = _HANDLERS.get(key)
        if key in _NAMES and isinstance(value, str):
            notes.asks(f"{_SYSTEM}.{key}", value, _NAMES[key])
            job = replace(job, **{_NAMES[key]: value})  # type: ignore[arg-type]
        elif handler:
            job = handler(notes, job, value)
        elif key == "shell":
            job = _shell(notes, job, value, batch=batch)
        else:
            _attribute(notes, f"system.{key}", value)
    return _user(notes, job, top.get("user", {}))


def _attribute(notes: Notes, key: str, value: Any) -> None:
    notes.option("setattr", f"{key}={json.dumps(value, ensure_ascii=False)}", f"attributes.{key}")


def _duration(notes: Notes, job: Job, value: Any) -> Job:
    path = f"{_SYSTEM}.duration"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**15:
        raise notes.document.error(path, "must be a number of seconds, 0 for no limit")
    if value == 0:
        notes.inert(path, value, "0 asks for no limit of its own (RFC 14)")
        return job
    notes.asks(path, value, "walltime_s")
    return replace(job, walltime_s=whole(value) or 1)


def _environment(notes: Notes, job: Job, value: Any) -> Job:
    path = f"{_SYSTEM}.environment"
    if not isinstance(value, dict):
        raise notes.document.error(path, "must be a mapping")
    values = tuple((name, text) for name, text in value.items() if isinstance(text, str))
    notes.asks(path, f"{len(value)} variables", "environment")
    for name, text in value.items():
        if not isinstance(text, str):  # null: not set, as it is anyhow
            notes.inert(f"{path}.{name}", text, "not set")
    return replace(job, environment=Environment(f"{len(values)} variables", False, (), values))


def _dependencies(notes: Notes, job: Job, value: Any) -> Job:
    path = f"{_SYSTEM}.dependencies"
    if not isinstance(value, list):
        raise notes.document.error(path, "must be a list")
    uris: list[str] = []
    terms: list[tuple[str, tuple[str, ...]]] = []
    plain = True
    begin = job.begin
    for index, one in enumerate(value):
        place = f"{path}[{index}]"
        if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in ("scheme", "value")):
            raise notes.document.error(place, "must have a scheme and a value, both text (RFC 26)")
        scheme, held = one["scheme"], one["value"]
        others = {key: inner for key, inner in one.items() if key not in {"scheme", "value"}}
        uri = f"{scheme}:{held}" if held else scheme
        if others:
            uri += f"?{urlencode(others, doseq=True)}"
        if scheme == "begin-time" and begin is None and not others and is_number(held):
            begin = Begin(uri)
            notes.asks(place, uri, "begin")
        elif scheme == "begin-time" and not others and uri.isprintable():
            notes.option("dependency", uri, place)
        elif "," in uri or not uri.isprintable():
            notes.native(place, json.dumps(one, ensure_ascii=False))
        else:
            uris.append(uri)
            notes.asks(place, uri, "dependency")
            if scheme in KINDS and not others:
                terms.append((KINDS[scheme], (held,) if held else ()))
            else:
                plain = False
    read = Dependency(",".join(uris), tuple(terms) if plain else ()) if uris else None
    return replace(job, begin=begin, dependency=read)


def _constraints(notes: Notes, job: Job, value: Any) -> Job:
    path = f"{_SYSTEM}.constraints"
    try:
        constraints.check(value)
    except ValueError as error:
        raise notes.document.error(path, str(error)) from None
    if not value:
        notes.inert(path, value, "it holds for all nodes")
        return job
    text = constraints.render(value)
    if text is None:
        _attribute(notes, "system.constraints", value)
        return job
    changes = constrained(value, text)
    if isinstance(found := changes.get("constraint"), Constraint) and not found.all_of:
        changes["constraint"] = Constraint(text)
    notes.asks(path, value, *changes)
    return replace(job, **changes)  # type: ignore[arg-type]


def _job(notes: Notes, job: Job, value: Any) -> Job:
    if not isinstance(value, dict):
        raise notes.document.error(f"{_SYSTEM}.job", "must be a mapping")
    for key, inner in value.items():
        if key == "name" and isinstance(inner, str):
            notes.asks(f"{_SYSTEM}.job.name", inner, "name")
            job = replace(job, name=inner)
        else:
            _attribute(notes, f"system.job.{key}", inner)
    return job


def _files(notes: Notes, job: Job, value: Any) -> Job:
    path = f"{_SYSTEM}.files"
    if not isinstance(value, dict):
        raise notes.document.error(path, "must be a mapping")
    for name, entry in value.items():
        text = file_text(entry)
        if name == "script" and text is not None:
            notes.script = text
            notes.inert(f"{path}.script", f"{len(text)} characters", "the script itself")
        elif name == "conf.json" and text is not None:
            notes.option("conf", text, f"{path}.{name}")
        elif text is not None and "\n" in text and not set("=:\n\\") & set(name + text.replace("\n", "")):
            mode = entry.get("mode", 0o600)
            held = f"{mode & 0o7777:04o}" if isinstance(mode, int) else "0600"
            notes.option("add-file", f"{name}:{held}={text}", f"{path}.{name}")
        else:
            notes.native(f"{path}.{name}", json.dumps(entry, ensure_ascii=False))
    return job


def file_text(entry: Any) -> str | None:
    """The text of a file in a jobspec (RFC 37); None where it is none."""
    data = entry.get("data") if isinstance(entry, dict) else None
    if isinstance(data, dict | list):
        return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    if not isinstance(data, str):
        return None
    if entry.get("encoding") != "base64":
        return data
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError:
        return None


def _shell(notes: Notes, job: Job, value: Any, *, batch: bool) -> Job:
    path = f"{_SYSTEM}.shell"
    if not isinstance(value, dict) or not isinstance(value.get("options", {}), dict):
        raise notes.document.error(path, "must be a mapping with options")
    for key, inner in value.items():
        if key != "options":
            _attribute(notes, f"system.shell.{key}", inner)
    flat = dict(_flat(value.get("options", {}), ""))
    signum, before = flat.pop("signal.signum", None), flat.pop("signal.timeleft", None)
    if isinstance(signum, int) and isinstance(before, int | float) and signum > 0 and before >= 0:
        notes.asks(f"{path}.options.signal", f"{signum} {before} s before the end", "signal")
        job = replace(job, signal=Signal(str(signum), whole(before)))
    elif signum is not None or before is not None:
        _option(notes, "signal", {"signum": signum, "timeleft": before})
    for key, inner in flat.items():
        place = f"{path}.options.{key}"
        if key in _PATHS and isinstance(inner, str):
            notes.asks(place, inner, _PATHS[key])
            job = replace(job, **{_PATHS[key]: inner})  # type: ignore[arg-type]
        elif key in _TYPES and inner == "file":
            notes.inert(place, inner, "the path says it")
        elif key == "output.mode" and inner in ("append", "truncate"):
            notes.asks(place, inner, "open_mode")
            job = replace(job, open_mode=inner)
        elif batch and _OF_BATCH.get(key) == inner:
            notes.inert(place, inner, "flux batch sets it for every job")
        elif key == "per-resource.count" and flat.get("per-resource.type") == "node" and isinstance(inner, int):
            notes.asks(place, inner, "tasks")
            notes.per_node = max(inner, 1)
        elif key == "per-resource.type" and inner == "node" and "per-resource.count" in flat:
            notes.inert(place, inner, "the count says it")
        else:
            _option(notes, key, inner)
    if batch and job.output is None:
        notes.option("output", "none", "")  # where flux batch would have put a name of its own
    return job


def _option(notes: Notes, key: str, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    notes.option("setopt", f"{key}={text}", f"{_SYSTEM}.shell.options.{key}")


def _flat(options: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    """The options under dotted names, as --setopt takes them."""
    found: list[tuple[str, Any]] = []
    for key, value in options.items():
        if isinstance(value, dict) and value and not any("." in name or "=" in name for name in value):
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _user(notes: Notes, job: Job, user: Any) -> Job:
    if not isinstance(user, dict):
        raise notes.document.error("attributes.user", "must be a mapping")
    for key, value in user.items():
        path = f"attributes.user.{key}"
        if key == "comment" and isinstance(value, str):
            notes.asks(path, value, "comment")
            job = replace(job, comment=value)
        elif key == "array" and isinstance(value, int | str) and (array := indexes(str(value))):
            notes.asks(path, value, "array")
            job = replace(job, array=array)
        else:
            _attribute(notes, f"user.{key}", value)
    return job


_HANDLERS: Mapping[str, Callable[[Notes, Job, Any], Job]] = {
    "duration": _duration,
    "environment": _environment,
    "dependencies": _dependencies,
    "constraints": _constraints,
    "job": _job,
    "files": _files,
}
