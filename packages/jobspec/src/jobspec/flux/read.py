"""Flux's batch scripts, read as `flux batch` 0.88 reads them: RFC 36 and flux-batch(1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from jobspec.errors import ScriptError
from jobspec.flux.builder import Builder, in_order, refuse
from jobspec.flux.directives import Found, find
from jobspec.flux.lists import REPEATED
from jobspec.flux.options import Given, read_options
from jobspec.flux.values import seconds, signal_name, whole
from jobspec.job import Gpus, Job, Nodes, Signal
from jobspec.profile import Profile
from jobspec.reading import Reading

_NO_EFFECT = {
    "help": "it does nothing in a script",
    "list-plugins": "it does nothing in a script",
    "quiet": "it only keeps the id of the job from being printed",
    "debug-emulate": "it is for debuggers",
}
_URGENCY = {"hold": "0", "default": "16", "expedite": "31"}


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script. Raises ScriptError for the first thing that `flux batch` or the submission refuses."""
    found = find(text)
    builder = Builder(profile.options.get("flux", ()))
    for line in found.lines:
        given, forgotten = read_options(line, builder.allowed)
        for one in given:
            builder.take(one)
        if forgotten:
            start = 0 if line.joined else forgotten.start
            why = "Flux forgets the first word that is no option, and what follows it"
            builder.ignore(line.number, line.column + start, forgotten.text, why)
        if line.comment >= 0 and line.text[line.comment :].lstrip("# ").startswith("-"):
            comment = line.text[line.comment :].strip()
            builder.ignore(line.number, line.column + line.comment, comment, "a comment")
    _check_script(text, builder, found)
    for number, alike in found.alike:
        builder.ignore(number, 1, alike.strip(), "not a directive: the sentinel is flux: or FLUX:, behind no word")
    job = _job(builder)
    return Reading(
        "flux",
        (job,),
        warnings=tuple(builder.warnings),
        directives=tuple(sorted(builder.directives, key=lambda one: (one.line, one.column))),
        obeyed=frozenset(found.obeyed),
    )


def _check_script(text: str, builder: Builder, found: Found) -> None:
    if not text.startswith("#!") and "wrap" not in builder.last:
        meant = "start it with #!/bin/sh, or give --wrap" if found.lines else "a script starts with #!"
        raise ScriptError("the script does not start with '#!'", 1, 1, meant=meant)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            line = text.count("\n", 0, error.start) + 1
            column = error.start - text.rfind("\n", 0, error.start)
            raise ScriptError("flux batch takes scripts in UTF-8 only", line, column) from None


def _job(builder: Builder) -> Job:
    """The job of the options. Raises ScriptError."""
    job = _size(builder, Job("flux", where={}))
    for option, given in builder.last.items():
        handler = _HANDLERS.get(option)
        if handler:
            job = handler(builder, job, given)
        elif option in _NO_EFFECT:
            builder.tell(given, (), "inert", _NO_EFFECT[option])
        elif option not in _SIZES:
            job = builder.native(job, given)
    for option, many in builder.repeated.items():
        job = REPEATED[option](builder, job, many)
    return replace(job, native=in_order(job.native)) if job.native else job


_SIZES = {"nodes", "nslots", "cores-per-slot", "gpus-per-slot", "exclusive"}


def _size(builder: Builder, job: Job) -> Job:
    """Nodes, slots and what is in one: the rules of RFC 25 as `flux batch` applies them."""
    last = builder.last
    nodes, slots = (_number(last, name) for name in ("nodes", "nslots"))
    if not slots:
        if not nodes and not ({"resources-shape", "resources-json"} & last.keys()):
            place = last.get("nslots") or last.get("nodes")
            raise ScriptError(
                "it asks for no number of slots", *((place.line, place.column) if place else (1, 1)),
                meant="give --nslots or --nodes",
            )  # fmt: skip
        slots = nodes or 1
        exclusive, whole_nodes = bool(nodes), True
    else:
        exclusive, whole_nodes = "exclusive" in last, False
    if nodes is None and exclusive:
        raise refuse(last["exclusive"], "--exclusive needs a number of nodes", "give --nodes too")
    for name, value, least in (("nslots", slots, 1), ("nodes", nodes, 1)):
        if value is not None and value < least and name in last:
            raise refuse(last[name], f"--{name} must be at least {least}", "")
    if nodes is not None and nodes > slots:
        raise refuse(last["nodes"], f"{slots} slots can't be spread over {nodes} nodes", "")
    if nodes is not None:
        asked = ("nodes", "tasks", "exclusive") if whole_nodes else ("nodes",)
        changes = {"nodes": Nodes(nodes, nodes), "tasks": slots, "exclusive": exclusive}
        job = builder.set(job, last["nodes"], **{name: changes[name] for name in asked})
        if whole_nodes and "nslots" in last:
            builder.tell(last["nslots"], (), "inert", "no slots are asked for: one on each node")
    if "nslots" in last and not whole_nodes:
        job = builder.set(job, last["nslots"], tasks=slots)
    if "exclusive" in last:
        job = builder.set(job, last["exclusive"], exclusive=exclusive)
    if "cores-per-slot" in last:
        job = builder.set(job, last["cores-per-slot"], cpus_per_task=_least(last["cores-per-slot"], 1))
    if "gpus-per-slot" in last:
        gpus = _least(last["gpus-per-slot"], 0)
        job = builder.set(job, last["gpus-per-slot"], gpus=(Gpus(gpus, "task"),) if gpus else ())
    return job


def _number(last: dict[str, Given], name: str) -> int | None:
    return int(last[name].value) if name in last else None


def _least(given: Given, least: int) -> int:
    value = int(given.value)
    if value < least:
        raise refuse(given, f"--{given.option} must be at least {least}", "")
    return value


def _text(builder: Builder, job: Job, given: Given, *, field: str) -> Job:
    return builder.set(job, given, **{field: given.value})


def _stream(builder: Builder, job: Job, given: Given, *, field: str) -> Job:
    if given.value in {"none", "kvs"}:  # not a file: flux-batch(1), "STANDARD I/O"
        return builder.native(job, given)
    return builder.set(job, given, **{field: given.value})


def _time_limit(builder: Builder, job: Job, given: Given) -> Job:
    try:
        limit = whole(seconds(given.value, 60.0))
    except ValueError:
        raise refuse(
            given,
            f"{given.value[:60]!r} is no time limit: minutes, or a number with s, m, h or d",
            "hours and minutes are written 1.5h or 90m" if ":" in given.value else "",
        ) from None
    return builder.set(job, given, walltime_s=limit or "unlimited")


def _urgency(builder: Builder, job: Job, given: Given) -> Job:
    value = _URGENCY.get(given.value, given.value)
    try:
        urgency = int(value)
    except ValueError:
        urgency = -1
    if not 0 <= urgency <= 31:
        raise refuse(given, f"{given.value[:60]!r} is no urgency: 0 to 31, hold, default or expedite", "")
    if urgency == 0:
        return builder.set(job, given, hold=True)
    if urgency == 16:
        builder.tell(given, (), "inert", "the default")
        return job
    return builder.set(job, given, priority=str(urgency))


def _signal(builder: Builder, job: Job, given: Given) -> Job:
    name, _, before = given.value.partition("@")
    if not given.value:
        builder.tell(given, (), "inert", "no signal")
        return job
    try:
        known = signal_name(name or "USR1")
        return builder.set(job, given, signal=Signal(known, whole(seconds(before or "60"))))
    except ValueError as error:
        raise refuse(given, str(error), "") from None


_Handler = Callable[[Builder, Job, Given], Job]
_HANDLERS: dict[str, _Handler] = {
    "job-name": partial(_text, field="name"),
    "queue": partial(_text, field="queue"),
    "bank": partial(_text, field="account"),
    "cwd": partial(_text, field="workdir"),
    "input": partial(_text, field="input"),
    "output": partial(_stream, field="output"),
    "error": partial(_stream, field="error"),
    "time-limit": _time_limit,
    "urgency": _urgency,
    "signal": _signal,
}
