"""A group of jobs: one command, what each job needs, and how it varies."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from resources import units
from resources.units import shown

from ensemble.document import template
from ensemble.document.reader import Reader, check_name, read_reader
from ensemble.document.retries import Retries, read_retries
from ensemble.errors import SpecError
from ensemble.faults import Fields, plain
from ensemble.job import Spec
from ensemble.parameters import RESERVED, Grid, Space, override, read_space, text_of

SIZES = ("count", "nodes", "tasks", "cores", "gpus")
# What the action `submit` may override.
OVERRIDES = (
    "command",
    *SIZES,
    "memory",
    "duration",
    "timeout",
    "workdir",
    "environment",
    "stdin",
    "output",
    "retries",
    "parameters",
    "attributes",
)
JOB_KEYS = ("name", *OVERRIDES, "depends_on", "metrics")
NEEDS = ("success", "finished")  # of a group that another depends on
LONGEST_NAME = 100  # of a group: its jobs' names are those of files, and queues cut longer ones
MOST_JOBS = 10_000_000  # of one submission
_MERGED = ("environment", "attributes")  # overriding adds to them
_SHELL_WORDS = {"&&", "||", "|", ";", "&", "<", ">", ">>", "2>"}


@dataclass(frozen=True, slots=True, init=False)
class JobGroup:
    """`count` jobs of one command for each point of its parameters.

    Units and the meaning of the amounts are those of ensemble.job.Spec: cores, gpus and memory are for each task; with
    tasks and no nodes, `nodes` is 0 and they are placed freely. timeout: seconds of running after which the ensemble
    ends the job, 0 for never. depends_on: a group -> what of all its jobs is waited for: `success` or `finished`.
    """

    name: str
    command: str
    argv: tuple[str, ...]
    count: int
    nodes: int
    tasks: int
    cores: int
    gpus: int
    memory: int
    duration: int
    timeout: int
    workdir: str
    environment: Mapping[str, str]
    stdin: str
    output: str
    retries: Retries
    parameters: Space
    depends_on: Mapping[str, str]
    attributes: Mapping[str, Any]
    metrics: Mapping[str, Reader]
    default_seed: int
    written: Mapping[str, Any] = field(repr=False, compare=False)  # as it was given: what overrides change
    _changed: list[tuple[Mapping[str, Any], JobGroup]] = field(repr=False, compare=False)
    _same: dict[int, Spec] | None = field(repr=False, compare=False)  # by escalation, where all jobs are alike

    def __init__(self, spec: Mapping[str, Any] | None = None, /, *, default_seed: int = 0, **fields_: Any) -> None:
        given: Any = {**(spec or {}), **fields_} if spec is None or isinstance(spec, Mapping) else spec
        fields = Fields(given, "a group of jobs", JOB_KEYS)
        name = fields.text("name", None)
        if len(name) > LONGEST_NAME:
            fields.wrong(("name",), f"a name has at most {LONGEST_NAME} characters, not {len(name)}")
        elif name and not _is_name(name):
            fields.wrong(("name",), f"a name has letters, digits, - and _ only, not {shown(name)}")
        argv = fields.attempt(("command",), lambda: _argv(fields.given.get("command")), ())
        nodes, tasks = _nodes_and_tasks(fields)
        space: Space = Grid()
        if fields.given.get("parameters") is not None:
            space = fields.attempt(("parameters",), lambda: read_space(fields.given["parameters"], default_seed), space)
        read: dict[str, Any] = {
            "name": name,
            "argv": argv,
            "command": fields.given["command"] if isinstance(fields.given.get("command"), str) else shlex.join(argv),
            "count": fields.count("count", 1, least=1),
            "nodes": nodes,
            "tasks": tasks,
            "cores": fields.count("cores", 1, least=1),
            "gpus": fields.count("gpus", 0),
            "memory": fields.memory("memory"),
            "duration": fields.seconds("duration"),
            "timeout": fields.seconds("timeout"),
            "workdir": fields.text("workdir"),
            "environment": _environment(fields),
            "stdin": fields.text("stdin"),
            "output": fields.text("output"),
            "retries": fields.attempt(("retries",), lambda: read_retries(fields.given.get("retries", 0)), Retries()),
            "parameters": space,
            "depends_on": _depends_on(fields, name),
            "attributes": fields.mapping("attributes"),
            "metrics": _metrics(fields),
            "default_seed": default_seed,
            "written": fields.given,
            "_changed": [],
            "_same": None,
        }
        if not plain(read["attributes"]):
            fields.wrong(("attributes",), "attributes are what JSON can say: numbers, texts, lists and mappings")
        _check_escalation(fields, read)
        _check_names(fields, space.names)
        if not fields.faults and space.size * read["count"] > MOST_JOBS:
            fields.wrong(("count",), f"{space.size * read['count']} jobs at once are more than {MOST_JOBS}")
        fields.finish()
        texts = (*argv, read["workdir"], read["stdin"], read["output"], *read["environment"].values())
        if not any("{" in text for text in texts):
            read["_same"] = {}
        for key, value in read.items():
            object.__setattr__(self, key, value)  # the class is frozen

    def total(self, overrides: Mapping[str, Any] | None = None) -> int:
        """How many jobs one submission has: each point `count` times."""
        group = self.overridden(overrides)
        return group.parameters.size * group.count

    def overridden(self, overrides: Mapping[str, Any] | None = None) -> JobGroup:
        """The group with some fields set anew. Raises SpecError where they don't fit.

        Parameters as a grid replace those that they name, other forms replace all; environment and attributes are
        added to; the other fields are replaced.
        """
        if not overrides:
            return self
        for known, group in self._changed:
            if known is overrides or known == overrides:
                return group
        given = {**self.written, **overrides}
        for key in _MERGED:
            if isinstance(overrides.get(key), Mapping):
                given[key] = {**(self.written.get(key) or {}), **overrides[key]}
        changed = JobGroup(given, default_seed=self.default_seed)
        if "parameters" in overrides:
            object.__setattr__(changed, "parameters", override(self.parameters, changed.parameters))
        del self._changed[:-7]  # few submissions differ; functions may make up many
        self._changed.append((overrides, changed))
        return changed

    def spec(
        self,
        name: str,
        index: int,
        attempt: int = 0,
        overrides: Mapping[str, Any] | None = None,
        *,
        escalation: int | None = None,
    ) -> Spec:
        """What one attempt of one job runs.

        name: the job's. index: which job of its submission, from 0; jobs n apart, where there are n points, have
        the same point. attempt: 0 is the first. escalation: how many times the amounts have grown, where that
        is not `attempt`.
        """
        group = self.overridden(overrides)
        steps = attempt if escalation is None else escalation
        if group._same is not None:
            if steps not in group._same:
                group._same[steps] = group._filled({}, steps)
            return group._same[steps]
        point = group.parameters.point(index % group.parameters.size)
        values = {key: text_of(value) for key, value in point.items()}
        values |= {"job": name, "index": str(index), "group": self.name, "attempt": str(attempt)}
        return group._filled(values, steps)

    def point(self, index: int, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The parameters of one job of a submission."""
        space = self.overridden(overrides).parameters
        return space.point(index % space.size)

    def limit(self, attempt: int = 0, overrides: Mapping[str, Any] | None = None) -> int:
        """Seconds of running after which the ensemble ends an attempt, 0 for never."""
        group = self.overridden(overrides)
        grows = group.retries.escalate.get("timeout")
        return grows.at(group.timeout, attempt) if grows else group.timeout

    def metric_file(self, metric: str, name: str, index: int, attempt: int = 0, overrides: Any = None) -> str:
        """The file that a metric of a job is read from, parameters filled in; empty where it is the output."""
        file = self.metrics[metric].file
        values = {key: text_of(value) for key, value in self.point(index, overrides).items()}
        return template.fill(
            file, values | {"job": name, "index": str(index), "group": self.name, "attempt": str(attempt)}
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything that is said or follows from it, as JSON data."""
        shown = {key: getattr(self, key) for key in JOB_KEYS if key not in ("retries", "parameters", "metrics")}
        shown |= {"environment": dict(self.environment), "depends_on": dict(self.depends_on)}
        shown["memory"] = units.memory_text(self.memory) if self.memory else 0
        shown |= {"retries": self.retries.as_dict(), "parameters": self.written.get("parameters") or {}}
        return shown | {"metrics": {name: reader.as_dict() for name, reader in self.metrics.items()}}

    def _filled(self, values: Mapping[str, str], steps: int) -> Spec:
        fill = template.fill
        return Spec(
            group=self.name,
            argv=tuple([fill(word, values) for word in self.argv]),
            **self._amounts(steps),
            workdir=fill(self.workdir, values),
            environment={key: fill(value, values) for key, value in self.environment.items()},
            stdin=fill(self.stdin, values),
            output=fill(self.output, values),
            attributes=self.attributes,
            metrics=bool(self.metrics),
        )

    def _amounts(self, steps: int) -> dict[str, int]:
        amounts = {key: getattr(self, key) for key in ("nodes", "tasks", "cores", "gpus", "memory", "duration")}
        if not steps:
            return amounts
        for key, grows in self.retries.escalate.items():
            if key in amounts:
                amounts[key] = grows.at(amounts[key], steps)
        if "nodes" in self.retries.escalate and "tasks" not in self.retries.escalate:
            if "tasks" not in self.written:
                amounts["tasks"] = amounts["nodes"]
            amounts["nodes"] = min(amounts["nodes"], amounts["tasks"])
        return amounts


def check_overrides(given: object) -> dict[str, Any]:
    """The `value` of a submit action, where it stands alone. Raises SpecError with every fault."""
    fields = Fields(given, "the value of submit", OVERRIDES)
    if not plain(fields.given):
        fields.wrong((), "value is what JSON can say: numbers, texts, lists and mappings")
    # With what every group has, so that the fields are looked at; how they fit the group is seen with the group.
    trial = {key: value for key, value in fields.given.items() if key in OVERRIDES}
    if "tasks" in trial:
        units_of_nodes = trial.pop("nodes", None)
        fields.attempt(("nodes",), lambda: _whole(units_of_nodes), None)
    if isinstance(trial.get("retries"), Mapping):
        trial["retries"] = {key: value for key, value in trial["retries"].items() if key != "escalate"}
    fields.attempt((), lambda: JobGroup({"name": "x", "command": "x", **trial}), None)
    fields.finish()
    return fields.given


def _whole(nodes: object) -> None:
    if nodes is not None:
        units.count(nodes, "nodes", least=1)


def _is_name(name: str) -> bool:
    return name.isascii() and all(c.isalnum() or c in "-_" for c in name)


def _argv(command: object) -> tuple[str, ...]:
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        return tuple(command)
    if command is None:
        raise SpecError("command: it is missing (a command line, or a list of words)")
    if not isinstance(command, str) or not command.strip():
        raise SpecError(f"command is a command line, or a list of words, not {shown(command)}")
    try:
        words = shlex.split(command)
        unquoted = shlex.shlex(command, posix=False, punctuation_chars=True)
        unquoted.whitespace_split = True
        shell = _SHELL_WORDS.intersection(unquoted)
    except ValueError as error:
        raise SpecError(f"command can't be split into words: {error}") from None
    if shell:
        hint = f"write command: [sh, -c, {shown(command)}]"
        raise SpecError(f"{sorted(shell)[0]!r} needs a shell, and commands run without one; {hint}")
    return tuple(words)


def _nodes_and_tasks(fields: Fields) -> tuple[int, int]:
    """Nodes without tasks: one task each. Tasks without nodes: placed freely, 0. Neither: one."""
    tasks = fields.count("tasks", 0, least=1)
    nodes = fields.count("nodes", 0 if tasks else 1, least=1)
    if "tasks" in fields and tasks and tasks < nodes:
        fields.wrong(("tasks",), f"{tasks} tasks can't be spread over {nodes} nodes")
    return nodes, tasks or nodes


def _environment(fields: Fields) -> dict[str, str]:
    found = {}
    for key, value in fields.mapping("environment").items():
        if not isinstance(key, str) or not key or "=" in key or "\0" in key:
            fields.wrong(("environment", key), f"no name of a variable: {shown(key)}", at_key=True)
        elif isinstance(value, bool) or not isinstance(value, (str, int, float)):
            fields.wrong(("environment", key), f"the value of {key} is a text, not {shown(value)} (put it in quotes)")
        else:
            found[key] = str(value)
    return found


def _depends_on(fields: Fields, name: str) -> dict[str, str]:
    given = fields.given.get("depends_on")
    found: dict[str, str] = {}
    entries: list[tuple[tuple[str | int, ...], Any, Any]]
    if given is None:
        entries = []
    elif isinstance(given, Mapping):
        entries = [(("depends_on", group), group, need) for group, need in given.items()]
    elif isinstance(given, list):
        entries = [(("depends_on", index), group, NEEDS[0]) for index, group in enumerate(given)]
    else:
        entries = [(("depends_on",), given, NEEDS[0])]
    for place, group, need in entries:
        if not isinstance(group, str) or not group:
            fields.wrong(place, f"depends_on has names of groups, not {shown(group)}")
        elif need not in NEEDS:
            fields.wrong(place, f"of {group} it can wait for {' or '.join(NEEDS)}, not {shown(need)}")
        elif group == name:
            fields.wrong(place, f"{name} can't wait for itself")
        else:
            found[group] = need
    return found


def _metrics(fields: Fields) -> dict[str, Reader]:
    found = {}
    for name, spec in fields.mapping("metrics").items():
        if why := check_name(name):
            fields.wrong(("metrics", name), why, at_key=True)
            continue
        read = fields.attempt(("metrics", name), lambda n=name, s=spec: read_reader(n, s), None)  # type: ignore[misc]
        if read is not None:
            found[name] = read
    return found


def _check_escalation(fields: Fields, read: Mapping[str, Any]) -> None:
    for key, grows in read["retries"].escalate.items():
        place = ("retries", "escalate", key)
        if not read[key]:
            fields.wrong(place, f"the group says no {key} that could escalate", at_key=True)
        elif grows.cap and grows.cap < read[key]:
            fields.wrong((*place, "max"), f"the first attempt has more {key} than this")


def _check_names(fields: Fields, parameters: tuple[str, ...]) -> None:
    """Names in braces that nearly are those of parameters."""
    names = (*parameters, *(RESERVED if parameters else ()))
    if not names:
        return
    places: list[tuple[tuple[str | int, ...], object]] = [
        ((key,), fields.given.get(key)) for key in ("command", "workdir", "stdin", "output")
    ]
    command = fields.given.get("command")
    if isinstance(command, list):
        places[:1] = [(("command", index), word) for index, word in enumerate(command)]
    places += [(("environment", key), value) for key, value in fields.mapping("environment").items()]
    for place, text in places:
        for name, meant in template.near_misses(text, names) if isinstance(text, str) else ():
            fields.wrong(place, f"no parameter {{{name}}}; did you mean {{{meant}}}? ({{{{{name}}}}} is left alone)")
