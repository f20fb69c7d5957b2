"""Flux's jobspecs in JSON or YAML: canonical (RFC 14), and version 1 (RFC 25) as flux-core validates it.

A canonical jobspec asks for graphs of resources. What of them a neutral job can't hold is kept as `native`, under the
path of its key, so that it is in every report.
"""

from __future__ import annotations

import json
from typing import Any

from jobspec.flux import attributes
from jobspec.flux.command import as_script, batch_arguments
from jobspec.flux.document import Document, load
from jobspec.flux.graph import Slots, Vertex, slots, vertices
from jobspec.flux.notes import Notes
from jobspec.flux.options import LARGEST
from jobspec.flux.sizes import size
from jobspec.profile import Profile
from jobspec.reading import Problem, Reading

_TOP = ("version", "resources", "tasks", "attributes")
_COUNTS = ("per_slot", "per_resource", "total")
_TASK = {"command", "slot", "count", "distribution", "attributes"}


def read(text: str, profile: Profile) -> Reading:
    """The reading of a jobspec; one job for each of its slots. Raises ScriptError for the first thing that is wrong."""
    document = load(text)
    version = _check_top(document)
    graph = vertices(document, version)
    tasks = _tasks(document, version, slots(graph))
    by_slot: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        by_slot.setdefault(task["slot"], []).append(index)
    arguments = batch_arguments(tasks[0]["command"]) if len(tasks) == 1 else None
    notes = Notes(document)
    notes.inert("version", version, "RFC 25" if version == 1 else "RFC 14")
    common = attributes.read(notes, version, batch=arguments is not None)
    found = slots(graph)
    jobs, commands = [], []
    for label, indexes in by_slot.items():
        those = [tasks[index] for index in indexes]
        job, parts = size(
            notes, common, found[label], those, indexes, per_node=notes.per_node, batch=arguments is not None
        )
        jobs.append(job)
        commands += [(part, task["command"]) for part, task in zip(parts, those, strict=True)]
    _leftovers(notes, graph, found, by_slot)
    script = _script(notes, tasks, arguments)
    jobs = [notes.finished(job, first=index == 0) for index, job in enumerate(jobs)]
    warnings = tuple(Problem(*document.place(path), message) for path, message in notes.warnings)
    return Reading(
        "flux-jobspec",
        tuple(jobs),
        warnings=warnings,
        directives=tuple(sorted(notes.directives, key=lambda one: (one.line, one.column))),
        script=as_script(commands) if script is None else script,
    )


def _check_top(document: Document) -> int:
    top = document.value
    if not isinstance(top, dict):
        raise document.error("", "a jobspec is a mapping", "--from slurm, or whatever system the file is written for")
    for key in _TOP:
        if key not in top:
            raise document.error("", f"{key} is missing")
    for key in top:
        if key not in _TOP:
            raise document.error(str(key), f"unknown; known: {', '.join(_TOP)}")
    version = top["version"]
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise document.error("version", "must be a whole number from 1 up")
    return version


def _tasks(document: Document, version: int, known: dict[str, Slots]) -> list[dict[str, Any]]:
    tasks = document.value["tasks"]
    if not isinstance(tasks, list) or not tasks:
        raise document.error("tasks", "must be a list of at least one task")
    for index, task in enumerate(tasks):
        path = f"tasks[{index}]"
        if not isinstance(task, dict):
            raise document.error(path, "must be a mapping")
        for key in ("command", "slot", "count"):
            if key not in task:
                raise document.error(path, f"{key} is missing")
        command = task["command"]
        if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
            raise document.error(f"{path}.command", "must be a list of texts")
        if not isinstance(task["slot"], str) or task["slot"] not in known:
            raise document.error(
                f"{path}.slot", f"no slot has this label; known: {', '.join(map(repr, known)) or 'none'}"
            )
        _check_count(document, task["count"], f"{path}.count", version)
        if not isinstance(task.get("attributes", {}), dict):
            raise document.error(f"{path}.attributes", "must be a mapping")
    return tasks


def _check_count(document: Document, count: Any, path: str, version: int) -> None:
    if not isinstance(count, dict) or len(count) != 1:
        raise document.error(path, f"must have one of {', '.join(_COUNTS)}")
    [(key, value)] = count.items()
    if key not in _COUNTS:
        raise document.error(f"{path}.{key}", f"unknown; known: {', '.join(_COUNTS)}")
    if key == "per_resource":
        if version == 1:
            raise document.error(f"{path}.{key}", "version 1 counts by slot or in total (RFC 25)")
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise document.error(f"{path}.{key}", "must have a type and a count")
        value = value.get("count")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST:
        raise document.error(f"{path}.{key}", "must be a whole number from 1 up")


def _leftovers(notes: Notes, graph: tuple[Vertex, ...], found: dict[str, Slots], used: dict[str, list[int]]) -> None:
    """Resources that no task runs on."""
    held = {id(vertex) for label in used for vertex in (found[label].slot, *found[label].above)}
    held |= {id(vertex) for label in used for vertex, _ in found[label].slot.each()}
    for top in graph:
        for vertex in (top, *(inner for inner, _ in top.each())):
            if id(vertex) not in held:
                notes.native(vertex.path, f"{vertex.type}: no task runs on it")


def _script(notes: Notes, tasks: list[dict[str, Any]], arguments: tuple[list[str], list[str]] | None) -> str | None:
    """The script of a batch job; None for other jobs, and what is told of the tasks."""
    for index, task in enumerate(tasks):
        path = f"tasks[{index}]"
        notes.inert(f"{path}.command", task["command"], "it is in the script")
        for key in task:
            if key not in _TASK or key in {"distribution", "attributes"}:
                notes.native(f"{path}.{key}", json.dumps(task[key], ensure_ascii=False))
    if arguments is None:
        return None
    options, words = arguments
    for option in options:
        if option != "-c{{tmpdir}}/conf.json":
            notes.option("broker-opts", option, "")
    if words:
        notes.native("tasks[0].command", f"arguments of the script: {json.dumps(words, ensure_ascii=False)}", once=True)
    return notes.script
