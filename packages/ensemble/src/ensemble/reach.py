"""Which rules can fire at all, and whether the ensemble can end. It errs on the side of what could work."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ensemble.document import JobGroup, Rule
from ensemble.errors import SpecError
from ensemble.expressions.nodes import Compare, Own
from ensemble.expressions.ranges import ANY, INFINITE, Range, could_hold
from ensemble.faults import Path
from ensemble.metrics import MetricName

TIMED = ("every", "heartbeat", "idle", "end")
# Events that every job has which nobody stops, again and again if it is submitted again and again.
COURSE = ("submit", "alloc", "start", "finish", "success", "clean", "validate", "depend", "priority", "release", "free")
_POSITIVE = ("duration", "pending", "age")
_SPREAD = ("variance", "iqr", "mad", "rate")


@dataclass(slots=True)
class Reach:
    """What the rules can lead to. jobs, attempts: how many of each group at most, which may be infinite.

    open: something that can't be foreseen may submit jobs, set variables or end the run.
    """

    groups: Mapping[str, JobGroup]
    rules: Sequence[Rule]
    heartbeat: bool
    open: bool = False
    fires: set[int] = field(default_factory=set)
    jobs: dict[str, float] = field(default_factory=dict)
    attempts: dict[str, float] = field(default_factory=dict)

    def explore(self) -> None:
        """Find every rule that can fire: from those that the start fires, on to those that their jobs fire."""
        waiting = list(range(len(self.rules)))
        found = True
        while found:
            found = False
            for index in [index for index in waiting if self._could_fire(self.rules[index])]:
                waiting.remove(index)
                self.fires.add(index)
                self._count(self.rules[index])
                found = True

    def submitted(self, group: str) -> float:
        """How many jobs of a group there can be."""
        return INFINITE if self.open else self.jobs.get(group, 0)

    def bounds(self, rule: Rule, metric: MetricName | None) -> Range | None:
        """What a metric (None: the rule's own) can be; None where it never has a value."""
        metric = metric or rule.metric
        if metric is None or metric.group not in self.groups:
            return ANY
        jobs = self.submitted(metric.group)
        attempts = INFINITE if self.open else self.attempts.get(metric.group, 0)
        if metric.what and metric.statistic == "count":
            # Each job counts once, however many attempts it has.
            most = {"retried": attempts, "requeued": INFINITE if jobs else 0}.get(metric.what, jobs)
            return Range(0, most, whole=True)
        if not jobs and metric.series:
            return Range(0, 0, whole=True) if metric.statistic == "count" else None
        if metric.statistic == "count":
            return Range(0, INFINITE, whole=True)
        positive = metric.series in _POSITIVE or metric.statistic in _SPREAD or not metric.series
        return Range(0, INFINITE) if positive else ANY

    def why_never(self, rule: Rule) -> tuple[Path, str]:
        """Why a rule can't fire: where it is said, and a line."""
        if rule.trigger == "heartbeat" and not self.heartbeat:
            return ("trigger",), "it would never fire: set logging: {heartbeat: SECONDS}"
        missing = [(place, group) for place, group in self._needs(rule) if not self.submitted(group)]
        if missing and not any(self.submitted(group) for _, group in self._needs(rule)):
            place, group = missing[0]
            return (place,), f"it can never fire: no rule that can fire submits {group!r}"
        if rule.when and not self._could_hold(rule):
            known = []
            for metric in rule.metrics:
                bound = self.bounds(rule, metric)
                if bound and metric.what and math.isfinite(bound.high):
                    known.append(f"{metric.statistic}.{metric.group}.{metric.what} is at most {bound.high:g}")
            held = f"{rule.name} {rule.when}" if rule.name and rule.when.simple else rule.when
            return ("when",), "; ".join([f"it can never fire: {held} can't hold", *dict.fromkeys(known)])
        if rule.trigger == "job-retry" and rule.name:
            return ("trigger",), f"it can never fire: {rule.name} has no retries"
        return ("trigger",), "it can never fire: no rule that can fire submits a job"

    def endless(self) -> Iterator[tuple[int, str]]:
        """Rules that submit for ever while nothing could end the run, each with why."""
        firing = [self.rules[index] for index in sorted(self.fires)]
        if self.open or any(rule.action.name in ("terminate", "custom") for rule in firing):
            return
        hint = "give repetitions a number, or add a rule that terminates"
        for index in sorted(self.fires):
            rule = self.rules[index]
            unlimited = rule.action.name == "submit" and rule.action.repetitions is None
            if unlimited and rule.trigger in TIMED and not rule.when:
                yield index, f"the ensemble can never end: this submits on {rule.shown} for ever; {hint}"
        if any(rule.action.name == "cancel" for rule in firing):
            return
        for index, group in self._loops():
            yield index, f"the ensemble can never end: {group!r} leads to {group!r} again, for ever; {hint}"

    def _could_fire(self, rule: Rule) -> bool:
        if rule.trigger == "heartbeat" and not self.heartbeat:
            return False
        needs = self._needs(rule)
        if needs and not any(self.submitted(group) for _, group in needs):
            return False
        if rule.trigger.startswith("job-"):
            if not needs and not any(map(self.submitted, self.groups)):
                return False
            if rule.trigger == "job-retry" and rule.name and not self.open:
                return self.attempts.get(rule.name, 0) > self.jobs.get(rule.name, 0) and self._could_hold(rule)
        return self._could_hold(rule)

    def _needs(self, rule: Rule) -> list[tuple[str, str]]:
        """The groups of which at least one must have jobs for it to be fired, each with the place of its key."""
        if rule.trigger == "metric":
            named = [("name", rule.metric.group)] if rule.metric else []
            return named + [("when", metric.group) for metric in (rule.when.metrics if rule.when else ())]
        return [("name", rule.name)] if rule.name else []

    def _could_hold(self, rule: Rule) -> bool:
        return rule.when is None or could_hold(rule.when.node, lambda metric: self.bounds(rule, metric))

    def _count(self, rule: Rule) -> None:
        action = rule.action
        if action.name == "custom":
            self.open = True
        if action.name != "submit" or action.label not in self.groups:
            self.open = self.open or action.name == "submit"
            return
        group = self.groups[action.label]
        try:
            changed = group.overridden(action.overrides)
            jobs: float = group.total(action.overrides)
        except SpecError:
            self.open = True
            return
        times = 1 if rule.trigger == "start" else INFINITE if action.repetitions is None else action.repetitions
        more = 1 + changed.retries.max + changed.retries.infrastructure
        self.jobs[group.name] = self.jobs.get(group.name, 0) + jobs * times
        self.attempts[group.name] = self.attempts.get(group.name, 0) + jobs * times * more

    def _loops(self) -> Iterator[tuple[int, str]]:
        """Unlimited submissions that lead back to themselves by events that each job has."""
        edges: dict[str, set[str]] = {}
        leading: list[tuple[int, tuple[str, ...], str]] = []
        for index in sorted(self.fires):
            rule = self.rules[index]
            if rule.action.name == "submit" and rule.action.repetitions is None and (source := self._source(rule)):
                leading.append((index, source, rule.action.label))
                for group in source:
                    edges.setdefault(group, set()).add(rule.action.label)
        told: set[str] = set()
        for index, source, label in leading:
            reached = _reached(label, edges)
            if label not in told and any(group in reached for group in source):
                told |= reached
                yield index, label

    def _source(self, rule: Rule) -> tuple[str, ...]:
        """The groups whose every job fires a rule, however many there have been; empty where that is not certain."""
        if rule.trigger.startswith("job-"):
            certain = rule.trigger.removeprefix("job-") in COURSE and not rule.when
            return ((rule.name,) if rule.name else tuple(self.groups)) if certain else ()
        metric = rule.metric
        if rule.trigger != "metric" or metric is None or rule.on != "update" or rule.per:
            return ()
        counts = metric.statistic == "count" and metric.what in ("submitted", "finished", "success")
        match rule.when.node if rule.when else None:
            case None:
                certain = counts or metric.series in ("duration", "pending")
            case Compare(">" | ">=", Own(), _):
                certain = counts and rule.when is not None and rule.when.simple is not None
            case _:
                certain = False
        return (metric.group,) if certain else ()


def _reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        group = todo.pop()
        if group not in found:
            found.add(group)
            todo += edges.get(group, ())
    return found


def cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Names that need each other in a ring, the first twice; empty where there is none."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, Iterator[str]]] = [(start, iter(needs.get(start, ())))] if start not in done else []
        if stack:
            path, on_path = [start], {start}
        while stack:
            name, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                stack.pop()
                path.pop()
                on_path.discard(name)
                done.add(name)
            elif step in on_path:
                return [*path[path.index(step) :], step]
            elif step not in done:
                stack.append((step, iter(needs.get(step, ()))))
                path.append(step)
                on_path.add(step)
    return []
