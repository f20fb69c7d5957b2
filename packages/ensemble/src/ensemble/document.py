"""What an ensemble is made of: groups of jobs, and rules with a trigger and an action.

The classes take the mappings of the file (`Action({"name": "submit", "label": "echo"})`), so that
custom functions write them the same way. All raise SpecError that names the key.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resources import units
from resources.errors import InputError

from ensemble.errors import SpecError
from ensemble.events import JOB_EVENTS
from ensemble.metrics import MetricName, did_you_mean, parse_metric
from ensemble.when import When, parse_when

TRIGGERS = ("start", "metric", "heartbeat", *(f"job-{name}" for name in JOB_EVENTS))
ACTIONS = ("submit", "custom", "cancel", "terminate")
LATER = {  # known names that this version does not do: said, not ignored
    "trigger": ("every", "idle", "end"),
    "action": ("grow", "shrink", "scale-up", "scale-down", "set", "message"),
}
ACTION_KEYS = ("name", "label", "value", "repetitions", "backoff")
RULE_KEYS = ("trigger", "name", "when", "action")
JOB_KEYS = ("name", "command", "count", "nodes", "tasks", "duration", "workdir")
_SHELL_WORDS = {"&&", "||", "|", ";", "&", "<", ">", ">>", "2>"}


@dataclass(frozen=True, slots=True, init=False)
class Action:
    """name: one of ACTIONS. label: the group, or the function of a custom action. value: handed to that function.

    repetitions: how often it runs in all. backoff: how many eligible firings are skipped between two.
    """

    name: str
    label: str
    value: Any
    repetitions: int
    backoff: int

    def __init__(self, spec: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        given = _mapping(spec or {}, "an action") | fields
        _known_keys(given, ACTION_KEYS)
        name = _one_of(_text(given, "name"), ACTIONS, "action", "name")
        label = _text(given, "label", optional=name == "terminate")
        if name == "terminate" and label:
            raise SpecError("terminate ends the whole ensemble; to end one group write cancel", "label")
        if "value" in given and name != "custom":
            raise SpecError(f"value is for custom actions; {name} takes none", "value")
        try:
            json.dumps(given.get("value"), allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise SpecError("value is what JSON can say: numbers, texts, lists and mappings", "value") from None
        _set(self, name=name, label=label, value=given.get("value"))
        _set(self, repetitions=_count(given, "repetitions", 1, least=1), backoff=_count(given, "backoff", 0))

    def as_dict(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ACTION_KEYS if key != "value" or self.value is not None}


@dataclass(frozen=True, slots=True, init=False)
class Rule:
    """trigger: one of TRIGGERS. name: the metric, or for job-EVENT the group (empty: any). when: for metrics."""

    trigger: str
    name: str
    metric: MetricName | None
    when: When | None
    action: Action

    def __init__(self, spec: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        given = _mapping(spec or {}, "a rule") | fields
        _known_keys(given, RULE_KEYS)
        trigger = _one_of(_text(given, "trigger"), TRIGGERS, "trigger", "trigger")
        name = _text(given, "name", optional=trigger != "metric")
        if name and trigger in ("start", "heartbeat"):
            raise SpecError(f"a {trigger} rule has no name", "name")
        if "when" in given and trigger != "metric":
            raise SpecError("when is for metric rules", "when")
        if "action" not in given:
            raise SpecError("it is missing", "action")
        action = given["action"]
        _set(self, trigger=trigger, name=name, metric=parse_metric(name) if trigger == "metric" else None)
        _set(self, when=parse_when(given["when"]) if "when" in given else None)
        _set(self, action=action if isinstance(action, Action) else _nested(action))

    @property
    def shown(self) -> str:
        """What a run prints as the trigger."""
        return self.name if self.metric else f"{self.trigger} {self.name}".strip()

    @property
    def expected(self) -> bool:
        """Whether a run that never fired it missed something.

        True of metric rules that would have gone on. Those that end things, wait for failures or
        for single events are guards.
        """
        failures = ("failed", "cancelled", "timeout", "exception")
        return bool(self.metric and self.metric.what not in failures and self.action.name in ("submit", "custom"))

    def groups(self) -> list[tuple[str, str]]:
        """The groups that it speaks of, each with the place of the key: `name`, `action.label`."""
        found = []
        if self.metric:
            found.append(("name", self.metric.group))
        elif self.name:
            found.append(("name", self.name))
        if self.action.name in ("submit", "cancel"):
            found.append(("action.label", self.action.label))
        return found

    def as_dict(self) -> dict[str, Any]:
        shown = {"trigger": self.trigger, "name": self.name, "when": str(self.when) if self.when else ""}
        return {**{key: value for key, value in shown.items() if value}, "action": self.action.as_dict()}


@dataclass(frozen=True, slots=True, init=False)
class JobGroup:
    """count jobs of one command, each with `nodes`, `tasks` (a core each), at most `duration` seconds (0: no limit)."""

    name: str
    command: str
    argv: tuple[str, ...]
    count: int
    nodes: int
    tasks: int
    duration: int
    workdir: str

    def __init__(self, spec: Mapping[str, Any] | None = None, /, **fields: Any) -> None:
        given = _mapping(spec or {}, "a group of jobs") | fields
        _known_keys(given, JOB_KEYS)
        name = _text(given, "name")
        if not all(c.isalnum() or c in "-_" for c in name) or not name.isascii():
            raise SpecError(f"a name has letters, digits, - and _ only, not {units.shown(name)}", "name")
        argv = _argv(given.get("command"))
        nodes = _count(given, "nodes", 1, least=1)
        tasks = _count(given, "tasks", nodes, least=1)
        if tasks < nodes:
            raise SpecError(f"{tasks} tasks can't be spread over {nodes} nodes", "tasks")
        try:
            duration = units.seconds(given.get("duration", 0), "duration")
        except InputError as error:
            raise SpecError(error.message, "duration") from None
        _set(
            self,
            name=name,
            argv=argv,
            command=given["command"] if isinstance(given["command"], str) else shlex.join(argv),
        )
        _set(self, count=_count(given, "count", 1, least=1), nodes=nodes, tasks=tasks, duration=duration)
        _set(self, workdir=_text(given, "workdir", optional=True))

    def as_dict(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in JOB_KEYS}


@dataclass(frozen=True, slots=True)
class Document:
    """A whole file. heartbeat: seconds between two (0: none). custom: Python source, from line `custom_line` on."""

    file: str
    jobs: Mapping[str, JobGroup]
    rules: tuple[Rule, ...]
    member: str = ""
    custom: str = ""
    custom_line: int = 1
    debug: bool = False
    heartbeat: float = 0.0


def seconds_of_heartbeat(value: object) -> float:
    """A number of seconds; true is one a minute, false none."""
    if isinstance(value, bool):
        return 60.0 if value else 0.0
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise SpecError(f"heartbeat is a number of seconds, or true for 60, not {units.shown(value)}", "heartbeat")
    return float(value)


def _argv(command: object) -> tuple[str, ...]:
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        return tuple(command)
    if not isinstance(command, str) or not command.strip():
        raise SpecError("it is a command line, or a list of words", "command")
    try:
        words = shlex.split(command)
        unquoted = shlex.shlex(command, posix=False, punctuation_chars=True)
        unquoted.whitespace_split = True
        shell = _SHELL_WORDS.intersection(unquoted)
    except ValueError as error:
        raise SpecError(f"it can't be split into words: {error}", "command") from None
    if shell:
        hint = f"write command: [sh, -c, {units.shown(command)}]"
        raise SpecError(f"{sorted(shell)[0]!r} needs a shell, and commands run without one; {hint}", "command")
    return tuple(words)


def _set(target: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(target, name, value)  # the classes are frozen


def _nested(action: object) -> Action:
    try:
        return Action(_mapping(action, "an action"))
    except SpecError as error:
        raise SpecError(error.message, f"action.{error.key}".rstrip(".")) from None


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise SpecError(f"{what} is a mapping of keys to values, not {units.shown(value)}")
    return dict(value)


def _known_keys(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            raise SpecError(f"unknown key{did_you_mean(str(key), known)}", str(key))


def _text(given: Mapping[str, Any], key: str, *, optional: bool = False) -> str:
    value = given.get(key, "" if optional else None)
    if value is None and key not in given:
        raise SpecError("it is missing", key)
    if not isinstance(value, str) or not (value or optional):
        raise SpecError(f"it is a text, not {units.shown(value)}", key)
    return value


def _count(given: Mapping[str, Any], key: str, default: int, *, least: int = 0) -> int:
    try:
        return units.count(given.get(key, default), "it", least=least)
    except InputError as error:
        raise SpecError(error.message, key) from None


def _one_of(value: str, known: tuple[str, ...], what: str, key: str) -> str:
    if value in LATER[what]:
        raise SpecError(f"{what} {value!r} is not built in this version; there are: {', '.join(known)}", key)
    if value not in known:
        raise SpecError(f"unknown {what} {value!r}{did_you_mean(value, known)}", key)
    return value
