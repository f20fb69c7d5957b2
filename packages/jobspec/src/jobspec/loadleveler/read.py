"""LoadLeveler's job command files, read as llsubmit reads them.

Source: Tivoli Workload Scheduler LoadLeveler, Using and Administering, "Building a job command file" (syntax) and
"Job command file keyword descriptions".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jobspec.errors import ScriptError
from jobspec.loadleveler import values
from jobspec.loadleveler.keywords import KEYWORDS
from jobspec.loadleveler.step import Statement, Step
from jobspec.profile import Profile
from jobspec.reading import Directive, Reading
from jobspec.templates import meant

_LINE = re.compile(r"^#[ \t]*@[ \t]*([^\n]*)$", re.MULTILINE)
_KEYWORD = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,100})[ \t]*(=?)[ \t]*", re.ASCII)
_MORE = re.compile(r"[ \t]*#?[ \t]*@?[ \t]*")


def read(text: str, profile: Profile) -> Reading:
    """The reading of a file with one job step. Raises ScriptError for the first thing that llsubmit refuses."""
    found = list(_statements(text, frozenset(profile.options.get("loadleveler", ()))))
    queues = [one for one in found if one.name == "queue"]
    if not queues:
        raise ScriptError("no job step: '# @ queue' is missing", found[-1].line if found else 1)
    if len(queues) > 1:
        message = f"the file has {len(queues)} job steps, and each is a job of its own: put each into its own file"
        raise ScriptError(message, queues[1].line, queues[1].column)
    end = found.index(queues[0])
    step, rest = found[:end], found[end + 1 :]
    last = {one.name: one for one in step}
    asked: dict[str, Any] = {}
    for one in last.values():
        try:
            asked[one.name] = _READ.get(one.name, values.text)(one.value)
        except ValueError as error:
            raise ScriptError(f"{one.name}: {error}", one.line, one.column, meant=meant(one.value)) from None
    job = Step(asked, last).job()
    return Reading(
        "loadleveler",
        (job,),
        directives=tuple(_directives(step, queues[0], rest, last)),
        obeyed=frozenset(n for one in (*step, queues[0]) for n in range(one.line, one.last + 1)),
        script=_command(asked) if "executable" in asked else None,
    )


def _command(asked: Mapping[str, Any]) -> str:
    """What runs where the file itself does not."""
    return f"#!/bin/sh\nexec {shlex.quote(asked['executable'])} {asked.get('arguments', '')}".rstrip() + "\n"


def _statements(text: str, more: frozenset[str]) -> Iterator[Statement]:
    number, counted, end = 1, 0, 0
    for match in _LINE.finditer(text):
        if match.start() < end:
            continue
        number += text.count("\n", counted, match.start())
        counted = match.start()
        pieces, last, end = [match[1].rstrip()], number, match.end()
        while pieces[-1].endswith("\\") and end < len(text):  # the statement goes on
            stop = text.find("\n", end + 1)
            stop = stop if stop >= 0 else len(text)
            following = text[end + 1 : stop]
            pieces[-1] = pieces[-1][:-1]
            start = _MORE.match(following)
            pieces.append(following[start.end() if start else 0 :].rstrip())
            end, last = stop, last + 1
        body = "".join(pieces)
        column = match.start(1) - match.start() + 1
        word = _KEYWORD.match(body)
        name = word[1].lower() if word else ""
        known = name in KEYWORDS or name in more or name.startswith("network.")
        if not word or not known or (not word[2] and name != "queue"):
            shown = name or body[:40]
            message = f"{shown!r} is no LoadLeveler keyword" if not known else f"{name} needs '=' and a value"
            raise ScriptError(message, number, column, meant=meant(body))
        value = body[word.end() :].strip() if word[2] else ""
        yield Statement(name, value, number, column, last, column + word.end())


def _directives(
    step: list[Statement], queue: Statement, rest: list[Statement], last: Mapping[str, Statement]
) -> Iterator[Directive]:
    for one in step:
        text = f"{one.name} = {one.value}"
        final = last[one.name]
        if final is not one:
            yield Directive(one.line, one.column, text, one.name, (), "overridden", f"overridden by line {final.line}")
        elif one.name in {"executable", "arguments"}:
            yield Directive(one.line, one.column, text, one.name, (), "inert", "it is the command of the script")
        elif one.parts:
            for column, part, fields in one.parts:
                yield Directive(one.line, column, f"{one.name} = {part}", one.name, fields)
        elif one.fields:
            yield Directive(one.line, one.column, text, one.name, one.fields)
        else:
            yield Directive(one.line, one.column, text, one.name, (), "inert", "it is what the job has anyhow")
    yield Directive(queue.line, queue.column, "queue", "queue", (), "inert", "it ends the job step")
    for one in rest:
        why = "no '# @ queue' follows it"
        yield Directive(one.line, one.column, f"{one.name} = {one.value}", one.name, (), "ignored", why)


_READ: Mapping[str, Callable[[str], Any]] = {
    "node": values.nodes,
    "tasks_per_node": values.count,
    "total_tasks": values.count,
    "task_geometry": values.geometry,
    "bg_size": values.count,
    "resources": values.resources,
    "node_resources": values.resources,
    "parallel_threads": values.count,
    "task_affinity": values.affinity,
    "wall_clock_limit": values.limit,
    "environment": values.environment,
    "requirements": values.requirements,
    "startdate": values.startdate,
    "notification": values.choice(*values.NOTIFICATIONS),
    "node_usage": values.choice("shared", "not_shared", "slice_not_shared"),
    "restart": values.choice("yes", "no"),
    "hold": values.choice("user", "system", "usersys"),
    "job_type": values.choice("serial", "parallel", "mpich", "bluegene", "pvm3"),
    "comment": str,
    "arguments": str,
}
