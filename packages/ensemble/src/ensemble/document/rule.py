"""When something is done: a trigger, a condition, and an action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ensemble.document.action import Action
from ensemble.errors import SpecError
from ensemble.events import JOB_EVENTS
from ensemble.faults import Fields, interval
from ensemble.metrics import OF_EACH_GROUP, MetricName, did_you_mean, parse_metric
from ensemble.when import Condition, parse_when

JOB_TRIGGERS = tuple(f"job-{name}" for name in JOB_EVENTS)
TRIGGERS = ("start", "metric", "every", "heartbeat", "idle", "end", *JOB_TRIGGERS)
RULE_KEYS = ("trigger", "name", "group", "when", "on", "per", "interval", "action")
ON = ("crossing", "update")
FAILURES = ("failed", "cancelled", "timeout", "exception", "lost", "retried", "requeued")


@dataclass(frozen=True, slots=True, init=False)
class Rule:
    """trigger: one of TRIGGERS. name: the metric, or for job-EVENT the group (empty: any).

    metric: that of `name`, None for a metric rule whose condition names its metrics. when: must hold at that moment.
    on: `crossing` fires when the condition becomes true, `update` at each update for which it holds; empty for other
    triggers. per: `job` where the metric is each job's own series, else empty. interval: seconds of `every`, else 0.
    """

    trigger: str
    name: str
    metric: MetricName | None
    when: Condition | None
    on: str
    per: str
    interval: float
    action: Action

    def __init__(self, spec: Mapping[str, Any] | None = None, /, **fields_: Any) -> None:
        given: Any = {**(spec or {}), **fields_} if spec is None or isinstance(spec, Mapping) else spec
        fields = Fields(given, "a rule", RULE_KEYS)
        trigger = fields.text("trigger", None)
        if trigger and trigger not in TRIGGERS:
            fields.wrong(("trigger",), f"unknown trigger {trigger!r}{_meant(trigger)}")
        action = _action(fields)
        read: dict[str, Any] = {"trigger": trigger, "action": action, "metric": None, "on": "", "per": ""}
        read |= {"interval": 0.0, "name": fields.text("name"), "when": None}
        when_key = "when"
        if trigger == "every":
            key = "interval" if "interval" in fields else "when"
            when_key = "when" if key == "interval" else ""
            if key not in fields:
                fields.wrong(("interval",), "interval: it is missing (how often: 30s, 15m)")
            else:
                read["interval"] = fields.attempt((key,), lambda: interval(fields.given[key], key), 1.0)
        elif "interval" in fields:
            fields.wrong(("interval",), "interval is for rules on every", at_key=True)
        if when_key and "when" in fields:
            if trigger == "start":
                fields.wrong(("when",), "a start rule has no when: there is nothing to compare yet")
            else:
                read["when"] = fields.attempt(("when",), lambda: parse_when(fields.given["when"]), None)
        if trigger == "metric":
            _metric(fields, read)
        elif trigger in TRIGGERS:
            _other(fields, read)
        if action and action.name == "cancel" and not action.label and not read["per"] and trigger not in JOB_TRIGGERS:
            fields.wrong(("action", "label"), "label: it is missing (the group or the job to cancel)")
        fields.finish()
        for key, value in read.items():
            object.__setattr__(self, key, value)  # the class is frozen

    @property
    def shown(self) -> str:
        """What a run prints as the trigger."""
        if self.trigger == "metric":
            return self.name or str(self.when)
        if self.trigger == "every":
            return f"every {self.interval:g}s"
        return f"{self.trigger} {self.name}".strip()

    @property
    def metrics(self) -> tuple[MetricName, ...]:
        """Every metric that its condition looks at, its own first."""
        own = (self.metric,) if self.metric else ()
        return tuple(dict.fromkeys((*own, *(self.when.metrics if self.when else ()))))

    @property
    def expected(self) -> bool:
        """Whether a run that never fired it missed something.

        True of metric rules that would have gone on. Those that end things, wait for failures or
        for single events are guards.
        """
        failure = any(metric.what in FAILURES for metric in self.metrics)
        return self.trigger == "metric" and not failure and self.action.name in ("submit", "custom")

    def groups(self) -> list[tuple[str, str]]:
        """The groups that it speaks of, each with the place of the key: `name`, `when`, `action.label`."""
        found = []
        if self.metric:
            found.append(("name", self.metric.group))
        elif self.name:
            found.append(("name", self.name))
        found += [("when", metric.group) for metric in (self.when.metrics if self.when else ())]
        action = self.action
        if action.label and action.name in ("submit", "cancel", "grow", "shrink"):
            group = action.label.partition(".")[0] if action.name == "cancel" else action.label
            found.append(("action.label", group))
        return found

    def as_dict(self) -> dict[str, Any]:
        said = {"trigger": self.trigger, "name": self.name, "when": str(self.when) if self.when else ""}
        said |= {"on": self.on if self.on != _usually(self.when is not None, self.action) else "", "per": self.per}
        timed = {"interval": self.interval} if self.interval else {}
        return {key: value for key, value in said.items() if value} | timed | {"action": self.action.as_dict()}


def _action(fields: Fields) -> Action | None:
    if "action" not in fields:
        fields.wrong(("action",), "action: it is missing")
        return None
    action = fields.given["action"]
    if isinstance(action, Action):
        return action
    return fields.attempt(("action",), lambda: Action({} if action is None else action), None)


def _metric(fields: Fields, read: dict[str, Any]) -> None:
    when: Condition | None = read["when"]
    if "name" in fields:
        read["metric"] = fields.attempt(("name",), lambda: _parse(read["name"]), None)
    elif "when" not in fields:
        fields.wrong(("name",), "name: it is missing (the metric, or a when that names metrics)")
    elif when and when.own:
        fields.wrong(("when",), f"the value of which metric? Give name, or write it in when instead of value: {when}")
    elif when and not when.metrics:
        fields.wrong(("when",), f"{when} names no metric, so no metric would ever trigger it")
    read["per"] = "job" if "per" in fields and fields.choice("per", ("job",), "job") else ""
    metric: MetricName | None = read["metric"]
    if read["per"] and "name" not in fields:
        fields.wrong(("per",), "per: job needs name, the metric of each job")
    elif read["per"] and metric and not metric.series:
        fields.wrong(("name",), "per: job is of a series, such as mean.GROUP-temperature; a count is a group's")
    elif read["per"] and metric and metric.series in OF_EACH_GROUP:
        why = f"{metric.series} is one value of a job: per: job is of what its application writes while it runs"
        fields.wrong(("name",), why)
    group = fields.text("group")
    if group and metric and metric.group != group:
        fields.wrong(("group",), f"the metric is one of the group {metric.group!r}, not of {group!r}")
    default = _usually("when" in fields, read["action"])
    read["on"] = fields.choice("on", ON, default)
    if read["on"] == "crossing" and "when" not in fields:
        fields.wrong(("on",), "a crossing is that of a condition: it needs when")


def _usually(has_when: bool, action: Action | None) -> str:
    """What `on` is where nothing is said: with repetitions or a backoff each update that holds counts."""
    plainly = action is None or (action.repetitions == 1 and not action.backoff)
    return "crossing" if has_when and plainly else "update"


def _other(fields: Fields, read: dict[str, Any]) -> None:
    trigger = read["trigger"]
    for key in ("on", "per"):
        if key in fields:
            fields.wrong((key,), f"{key} is for metric rules", at_key=True)
    of_job = trigger in JOB_TRIGGERS
    for key in ("name", "group"):
        if key in fields and fields.given[key] and not of_job:
            fields.wrong((key,), f"a rule on {trigger} has no {key}")
    if of_job and "group" in fields:
        if read["name"] and read["name"] != fields.given["group"]:
            fields.wrong(("group",), "name and group are the same here: give one")
        read["name"] = fields.text("group")
    when: Condition | None = read["when"]
    if when and when.own:
        fields.wrong(("when",), f"a rule on {trigger} has no value of its own: name the metric that is compared")
    elif when and not when.metrics and not when.variables:
        fields.wrong(("when",), f"{when} names no metric and no variable")


def _parse(name: str) -> MetricName:
    try:
        return parse_metric(name)
    except SpecError as error:
        raise SpecError(error.message) from None


def _meant(trigger: str) -> str:
    known = list(TRIGGERS)
    if f"job-{trigger}" in TRIGGERS:
        return f"; did you mean 'job-{trigger}'?"
    hint = did_you_mean(trigger, known)
    return hint if "did you mean" in hint else f"; there are: {', '.join(known[:6])} and job-EVENT"
