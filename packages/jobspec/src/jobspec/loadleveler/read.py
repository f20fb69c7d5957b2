"""LoadLeveler's job command files, read as llsubmit reads them.

Source: Tivoli Workload Scheduler LoadLeveler, Using and Administering, "Building a job command file" (syntax) and
"Job command file keyword descriptions".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobspec.errors import ScriptError
from jobspec.job import Dependency, Gpus, Job, Mail, Memory, Native, Nodes, Where
from jobspec.loadleveler import values
from jobspec.loadleveler.keywords import KEYWORDS, PLAIN
from jobspec.profile import Profile
from jobspec.reading import Directive, Reading
from jobspec.templates import meant

_LINE = re.compile(r"^#[ \t]*@[ \t]*([^\n]*)$", re.MULTILINE)
_KEYWORD = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,100})[ \t]*(=?)[ \t]*", re.ASCII)
_MORE = re.compile(r"[ \t]*#?[ \t]*@?[ \t]*")


@dataclass(slots=True)
class Statement:
    """A keyword with its value; column: that of the keyword."""

    name: str
    value: str
    line: int
    column: int
    last: int
    fields: tuple[str, ...] = ()


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
    job = _Step(asked, last).job()
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
        yield Statement(name, body[word.end() :].strip() if word[2] else "", number, column, last)


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
        elif one.fields:
            yield Directive(one.line, one.column, text, one.name, one.fields)
        else:
            yield Directive(one.line, one.column, text, one.name, (), "inert", "it is what the job has anyhow")
    yield Directive(queue.line, queue.column, "queue", "queue", (), "inert", "it ends the job step")
    for one in rest:
        why = "no '# @ queue' follows it"
        yield Directive(one.line, one.column, f"{one.name} = {one.value}", one.name, (), "ignored", why)


class _Step:
    """The job of one step."""

    def __init__(self, asked: dict[str, Any], last: Mapping[str, Statement]) -> None:
        self.asked = asked
        self.last = last
        self.fields: dict[str, Any] = {}
        self.where: dict[str, Where] = {}
        self.native: list[Native] = []

    def hold(self, name: str, *fields: str) -> None:
        one = self.last[name]
        one.fields = (*one.fields, *(field for field in fields if field not in one.fields))
        for field in fields:
            if field != "native":
                self.where.setdefault(field, Where(one.line, one.column))

    def put(self, name: str, field: str, value: Any) -> None:
        self.fields[field] = value
        self.hold(name, field)

    def keep(self, name: str) -> None:
        self.native.append(Native(name, self.last[name].value))
        self.hold(name, "native")

    def job(self) -> Job:
        asked = self.asked
        for name, field in PLAIN.items():
            if name in asked:
                self.put(name, field, asked[name])
        for name, field in (("environment", "environment"), ("requirements", "constraint"), ("startdate", "begin")):
            if name in asked:
                self.put(name, field, asked[name])
        if "dependency" in asked:
            self.put("dependency", "dependency", Dependency(asked["dependency"]))
        self._size()
        self._each()
        if "wall_clock_limit" in asked:
            hard, soft = asked["wall_clock_limit"]
            self.put("wall_clock_limit", "walltime_s", hard)
            if soft is not None:
                self.keep("wall_clock_limit")
        if asked.get("hold"):
            self.put("hold", "hold", True)
        if "restart" in asked:
            self.put("restart", "requeue", asked["restart"] == "yes")
        if "node_usage" in asked:
            self.put("node_usage", "exclusive", asked["node_usage"] != "shared")
        types = asked.get("notification", "complete")
        if "notification" in asked or "notify_user" in asked:
            self.fields["mail"] = Mail(asked.get("notify_user"), values.NOTIFICATIONS[types])
            for name in ("notification", "notify_user"):
                if name in asked:
                    self.hold(name, "mail")
        for name, one in self.last.items():
            if not one.fields and name not in {"job_type", "executable", "arguments"}:
                self.keep(name)
        return Job(system="loadleveler", native=tuple(self.native), where=self.where, **self.fields)

    def _refuse(self, name: str, message: str) -> ScriptError:
        one = self.last[name]
        return ScriptError(message, one.line, one.column)

    def _size(self) -> None:
        """node, tasks_per_node, total_tasks, blocking, task_geometry and bg_size."""
        asked = self.asked
        if "task_geometry" in asked:
            for name in ("node", "tasks_per_node", "total_tasks", "blocking"):
                if name in asked:
                    raise self._refuse(name, f"{name} and task_geometry exclude each other")
            nodes, tasks, _ = asked["task_geometry"]
            self.fields |= {"nodes": Nodes(nodes, nodes), "tasks": tasks}
            self.put("task_geometry", "placement", self.last["task_geometry"].value)
            self.hold("task_geometry", "nodes", "tasks")
            return
        if "tasks_per_node" in asked and "total_tasks" in asked:
            raise self._refuse("total_tasks", "tasks_per_node and total_tasks exclude each other")
        if "bg_size" in asked:
            size = asked["bg_size"]
            self.fields["tasks"] = size
            self.put("bg_size", "nodes", Nodes(size, size))
            return
        least, most = asked.get("node", (1, 1))
        if "blocking" in asked:
            if "total_tasks" not in asked or "node" in asked:
                raise self._refuse("blocking", "blocking needs total_tasks, and no node")
            self.put("blocking", "placement", f"blocking={self.last['blocking'].value}")
        elif "total_tasks" in asked:
            if least != most:
                raise self._refuse("total_tasks", "total_tasks needs one number of nodes")
            if asked["total_tasks"] < least:
                raise self._refuse(
                    "total_tasks", f"{asked['total_tasks']} tasks are less than one on each of {least} nodes"
                )
        if "node" in asked:
            self.put("node", "nodes", Nodes(least, most))
        elif "tasks_per_node" in asked or ("total_tasks" in asked and "blocking" not in asked):
            self.fields["nodes"] = Nodes(1, 1)
        if "total_tasks" in asked:
            self.put("total_tasks", "tasks", asked["total_tasks"])
        elif "tasks_per_node" in asked:
            self.put("tasks_per_node", "tasks_per_node", asked["tasks_per_node"])
            self.fields["tasks"] = least * asked["tasks_per_node"]
        else:
            self.fields["tasks"] = least

    def _each(self) -> None:
        """What each task or node has: resources, node_resources, task_affinity, parallel_threads."""
        asked = self.asked
        for name, per in (("resources", "task"), ("node_resources", "node")):
            for resource, amount in asked.get(name, ()):
                kind = resource.lower()
                try:
                    if kind == "consumablecpus" and per == "task":
                        self.put(name, "cpus_per_task", values.count(amount))
                    elif kind == "consumablememory":
                        self.put(name, "memory", Memory(values.size(amount), per))  # type: ignore[arg-type]
                    elif kind in {"gpu", "gpus", "consumablegpus"}:
                        self.put(name, "gpus", (Gpus(values.count(amount), per),))  # type: ignore[arg-type]
                    else:
                        self.native.append(Native(name, f"{resource}({amount})"))
                        self.hold(name, "native")
                except ValueError as error:
                    raise self._refuse(name, f"{name}: {resource}: {error}") from None
        if (cores := asked.get("task_affinity")) and "cpus_per_task" not in self.fields:
            self.put("task_affinity", "cpus_per_task", cores)
        threads = asked.get("parallel_threads")
        if threads and self.fields.setdefault("cpus_per_task", threads) == threads:
            self.hold("parallel_threads", "cpus_per_task")


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
