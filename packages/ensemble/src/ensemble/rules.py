"""The rules of a run, indexed by what can fire them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

from ensemble.document import Action, Rule
from ensemble.expressions.compiled import COMPARE
from ensemble.metrics import OF_EACH_GROUP, MetricName, Metrics

_SELDOM: tuple[Slot, ...] = ()


class Slot:
    """A rule with what is left of it.

    number: its place in the file, or after those of the file. left: None for unlimited. was: whether its condition
    held when it was last looked at. firing: its action is being done: what that leads to does not fire it again.
    get: the value of its own metric.
    """

    __slots__ = (
        "compare",
        "condition",
        "edge",
        "fired",
        "firing",
        "get",
        "left",
        "limit",
        "number",
        "rule",
        "skip",
        "was",
    )

    def __init__(self, rule: Rule, number: int) -> None:
        self.rule = rule
        self.number = number
        self.left = rule.action.repetitions
        self.skip = 0
        self.fired = 0
        self.firing = False
        self.was = False
        self.edge = rule.on == "crossing"
        self.get: Callable[[], float | None] | None = None
        self.condition: Callable[[float | None], bool | None] | None = None
        self.compare: Callable[[float, float], bool] = operator.ge
        self.limit = 0.0

    def holds(self) -> bool:
        """Whether its condition holds now; what is unknown does not."""
        if self.condition is None:
            return True
        return self.condition(self.get() if self.get else None) is True


class _Band:
    """The rules that compare one metric with a number and wait for the crossing.

    Between the two numbers that are next to the present value nothing can change, so nothing is looked at.
    """

    __slots__ = ("_get", "_high", "_low", "slots")

    def __init__(self, get: Callable[[], float | None]) -> None:
        self._get = get
        self._low, self._high = inf, -inf
        self.slots: list[Slot] = []

    def add(self, slot: Slot) -> None:
        self.slots.append(slot)
        self._low, self._high = inf, -inf

    def crossed(self) -> Sequence[Slot]:
        value = self._get()
        if value is None:  # a window is empty: what is unknown does not hold
            for slot in self.slots:
                slot.was = False
            self._low, self._high = inf, -inf
            return _SELDOM
        if self._low < value < self._high:
            return _SELDOM
        low, high = -inf, inf
        found = []
        self.slots = [slot for slot in self.slots if slot.left != 0]
        for slot in self.slots:
            limit = slot.limit
            holds = slot.compare(value, limit)
            if holds and not slot.was:
                found.append(slot)
            slot.was = holds
            if limit < value:
                low = max(low, limit)
            elif limit > value:
                high = min(high, limit)
            else:
                low = high = value
        self._low, self._high = low, high
        return found


class _Watch:
    """All rules that an update of one metric can fire."""

    __slots__ = ("bands", "others")

    def __init__(self) -> None:
        self.bands: dict[str, _Band] = {}  # by statistic
        self.others: list[Slot] = []

    def eligible(self) -> list[Slot]:
        found: list[Slot] = []
        for band in self.bands.values():
            if crossed := band.crossed():
                found += crossed
        if self.others:
            for slot in self.others:
                holds = slot.left != 0 and slot.holds()
                if holds and not (slot.edge and slot.was):
                    found.append(slot)
                slot.was = holds
            if any(slot.left == 0 for slot in self.others):
                self.others = [slot for slot in self.others if slot.left != 0]
        if len(found) > 1:
            found.sort(key=_number)
        return found


class Rules:
    """`on` gives the rules of an event, `updated` those that the update of a metric makes eligible."""

    def __init__(self, metrics: Metrics, variables: Mapping[str, float]) -> None:
        self.slots: list[Slot] = []
        self.on: dict[str, list[Slot]] = {}
        self.job_events: set[str] = set()  # what rules on jobs wait for
        self.per_job: dict[str, list[Slot]] = {}  # series key -> rules about each job's own, none: kept for others
        self.watches: dict[str, _Watch] = {}
        self.timed: dict[str, MetricName] = {}  # what changes with time alone, by key
        self._metrics = metrics
        self._variables = variables
        self._job = ""  # whose metrics are looked at

    def add(self, rule: Rule) -> Slot:
        slot = Slot(rule, len(self.slots))
        self.slots.append(slot)
        self._keep(rule)
        if rule.per and rule.metric:
            self.per_job.setdefault(rule.metric.key, []).append(slot)
            lookup = self._of_job(rule.metric.group)
            slot.get = lookup(rule.metric)
            slot.condition = rule.when.compile(lookup) if rule.when else None
            return slot
        if rule.metric:
            slot.get = self._metrics.getter(rule.metric)
        if rule.when:
            slot.condition = rule.when.compile(self.lookup)
        if rule.trigger == "metric":
            self._watch(slot)
        else:
            if rule.trigger.startswith("job-"):
                self.job_events.add(rule.trigger.removeprefix("job-"))
            self.on.setdefault(f"{rule.trigger} {rule.name}".strip(), []).append(slot)
        return slot

    def _keep(self, rule: Rule) -> None:
        """Have what it names kept from now on, not from when it is first asked for."""
        told = [name for expression in rule.action.expressions for name in expression.metrics]
        for name in told if rule.per else (*rule.metrics, *told):
            self._metrics.watch(name)
        for name in (*rule.metrics, *told):
            if name.series == "age" or name.window.endswith("s"):
                self.timed[name.key] = name

    def updated(self, key: str) -> Sequence[Slot]:
        """The rules that may fire now that a metric was updated, in their order."""
        watch = self.watches.get(key)
        return watch.eligible() if watch else _SELDOM

    def lookup(self, name: MetricName | str) -> Callable[[], float | None]:
        """The value of a metric, or of a variable by its name, at the time of the call."""
        if isinstance(name, str):
            variables, key = self._variables, name.removeprefix("var.")
            return lambda: variables.get(key)
        self._metrics.watch(name)
        return self._metrics.getter(name)

    def holds_for(self, slot: Slot, job: str) -> bool:
        """Whether the condition of a rule holds for the metrics of one job."""
        self._job = job
        return slot.holds()

    def value(self, action: Action, own: float | None) -> float | None:
        """The number that a `set` action gives, None where it can't be known. own: the rule's metric."""
        expression = action.expression
        return expression.compile(self.lookup)(own) if expression else None

    def text(self, action: Action, own: float | None) -> str:
        """The text of a `message` action, with the values of the metrics and variables in it."""
        return action.render(self.lookup, own)

    def state(self, given: int) -> dict[str, Any]:
        """What is left of every rule, and the rules that came after the `given` ones of the file."""
        return {
            "added": [slot.rule.as_dict() for slot in self.slots[given:]],
            "slots": [[slot.left, slot.skip, slot.fired, slot.was] for slot in self.slots],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for rule in state["added"]:
            self.add(Rule(rule))
        for slot, kept in zip(self.slots, state["slots"], strict=True):
            slot.left, slot.skip, slot.fired, slot.was = kept

    def _of_job(self, group: str) -> Callable[[MetricName | str], Callable[[], float | None]]:
        """As `lookup`, but the application's series of the group are those of the job that is looked at alone."""

        def lookup(name: MetricName | str) -> Callable[[], float | None]:
            if isinstance(name, str) or name.group != group or not name.series or name.series in OF_EACH_GROUP:
                return self.lookup(name)
            self.per_job.setdefault(name.key, [])
            self._metrics.watch(name, per_job=True)
            return lambda: self._metrics.of_job(self._job).get(name)

        return lookup

    def _watch(self, slot: Slot) -> None:
        rule = slot.rule
        simple = rule.when.simple if rule.when else None
        if rule.metric and simple and slot.edge:
            sign, slot.limit = simple
            slot.compare = COMPARE[sign]
            watch = self.watches.setdefault(rule.metric.key, _Watch())
            statistic = f"{rule.metric.statistic} {rule.metric.window}"
            if statistic not in watch.bands:
                watch.bands[statistic] = _Band(self._metrics.getter(rule.metric))
            watch.bands[statistic].add(slot)
            return
        keys = [rule.metric.key] if rule.metric else []
        if rule.when:
            keys += [name.key for name in rule.when.metrics]
            keys += [f"var.{name}" for name in rule.when.variables]
        for key in dict.fromkeys(keys):
            self.watches.setdefault(key, _Watch()).others.append(slot)


def _number(slot: Slot) -> int:
    return slot.number
