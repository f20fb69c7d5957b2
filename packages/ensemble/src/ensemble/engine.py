"""The engine: events in, commands out. It has no clock and does no I/O: the same events give the same commands.

It owns its state and updates it in place. It names the jobs (`sleep.0`, `sleep.1`, ...), so that
what was asked for is known before any queue has answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ensemble.document import Action, JobGroup, Rule
from ensemble.events import Event, outcome, status_text
from ensemble.metrics import Metrics

KEPT_FAILURES = 100  # what a result tells one by one; the counts tell them all


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be done or told.

    kind: trigger (a rule has fired), submit, cancel, terminate, or custom (call the function `label`
        and give what it returns back as an event).
    """

    kind: str
    label: str = ""
    jobs: tuple[str, ...] = ()
    action: Action | None = None
    rule: Rule | None = None
    event: Event | None = None


@dataclass(slots=True)
class _Job:
    group: str
    submitted: float | None = None
    started: float | None = None
    exception: str = ""
    note: str = ""
    cancelling: bool = False
    ended: bool = False


@dataclass(slots=True)
class _Slot:
    """A rule with what is left of it."""

    rule: Rule
    left: int
    skip: int = 0
    fired: bool = False


@dataclass(slots=True)
class Result:
    """How a run ended. `failures` has the first KEPT_FAILURES, `failed` is how many there were."""

    failed: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    never_met: list[Rule] = field(default_factory=list)
    ended_by: str = ""

    @property
    def met(self) -> bool:
        return not (self.failed or self.errors or self.never_met)


class Engine:
    """`handle` takes one event and gives the commands that follow from it."""

    def __init__(self, groups: Mapping[str, JobGroup], rules: Iterable[Rule]) -> None:
        self.groups = dict(groups)
        self.metrics = Metrics()
        self.jobs: dict[str, _Job] = {}  # those that have not been cleaned up yet
        self.submitted: dict[str, int] = {}  # how many of each group, ever
        self._slots: list[_Slot] = []
        self._index: dict[str, list[_Slot]] = {}
        self._calls = 0
        self._stopping = False
        self._result = Result()
        for rule in rules:
            self._add(rule)

    def handle(self, event: Event) -> list[Command]:
        """The commands that follow from an event. One of an unknown job, or one seen before, gives none."""
        out: list[Command] = []
        if event.job:
            self._job_event(event, out)
        elif event.name == "custom":
            self._returned(event, out)
        elif event.name == "stop":
            self._terminate(str(event.context.get("reason", "stop")), out)
        else:
            self._fire(event.name, event, out)
        return out

    @property
    def done(self) -> bool:
        """Nothing runs, and nothing that could still happen would fire a rule."""
        if self.jobs or self._calls:
            return False
        return self._stopping or not any(slot.left for slot in self._index.get("heartbeat", ()))

    @property
    def running(self) -> dict[str, int]:
        """How many jobs of each group have been submitted and not ended."""
        running: dict[str, int] = {}
        for job in self.jobs.values():
            if not job.ended:
                running[job.group] = running.get(job.group, 0) + 1
        return running

    def result(self) -> Result:
        """How it ended; rules count as never met only where nothing ended the run before its time."""
        if not self._result.ended_by:
            self._result.never_met = [slot.rule for slot in self._slots if slot.rule.expected and not slot.fired]
        return self._result

    def _add(self, rule: Rule) -> None:
        slot = _Slot(rule, rule.action.repetitions)
        self._slots.append(slot)
        if rule.metric:
            key = rule.metric.key
        else:
            key = f"{rule.trigger} {rule.name}".strip()
        self._index.setdefault(key, []).append(slot)

    def _fire(self, key: str, event: Event, out: list[Command]) -> None:
        for slot in self._index.get(key, ()):
            if self._stopping or not slot.left:
                continue
            rule = slot.rule
            if rule.when and rule.metric:
                value = self.metrics.get(rule.metric)
                if value is None or not rule.when.holds(value):
                    continue
            if slot.skip:
                slot.skip -= 1
                continue
            slot.left -= 1
            slot.skip = rule.action.backoff
            slot.fired = True
            out.append(Command("trigger", rule.shown, rule=rule, event=event))
            self._act(rule.action, rule, event, out)

    def _act(self, action: Action, rule: Rule | None, event: Event, out: list[Command]) -> None:
        match action.name:
            case "submit":
                out.append(
                    Command("submit", action.label, self._new_jobs(self.groups[action.label]), action, rule, event)
                )
            case "cancel":
                jobs = self._cancel(name for name, job in self.jobs.items() if job.group == action.label)
                out.append(Command("cancel", action.label, jobs, action, rule, event))
            case "terminate":
                self._terminate("terminate", out, action, rule, event)
            case "custom":
                self._calls += 1
                out.append(Command("custom", action.label, (), action, rule, event))

    def _new_jobs(self, group: JobGroup) -> tuple[str, ...]:
        first = self.submitted.get(group.name, 0)
        self.submitted[group.name] = first + group.count
        names = tuple(f"{group.name}.{number}" for number in range(first, first + group.count))
        for name in names:
            self.jobs[name] = _Job(group.name)
        return names

    def _cancel(self, names: Iterable[str]) -> tuple[str, ...]:
        chosen = tuple(name for name in names if not self.jobs[name].ended)
        for name in chosen:
            self.jobs[name].cancelling = True
        return chosen

    def _terminate(
        self,
        why: str,
        out: list[Command],
        action: Action | None = None,
        rule: Rule | None = None,
        event: Event | None = None,
    ) -> None:
        self._stopping = True
        self._result.ended_by = self._result.ended_by or why
        out.append(Command("terminate", "", self._cancel(self.jobs), action, rule, event))

    def _returned(self, event: Event, out: list[Command]) -> None:
        """What a custom function returned: actions are done now, rules wait for their trigger."""
        self._calls -= 1
        if error := event.context.get("error"):
            self._result.errors.append(str(error))
        for rule in event.context.get("rules", ()):
            self._add(Rule(rule))
        for action in event.context.get("actions", ()):
            if not self._stopping:
                self._act(Action(action), None, event, out)

    def _job_event(self, event: Event, out: list[Command]) -> None:
        job = self.jobs.get(event.job)
        if job is None or (job.ended and event.name != "clean"):
            return
        self._job_fire(event.name, job, event, out)
        match event.name:
            case "submit":
                job.submitted = event.time
            case "start":
                job.started = event.time
                if job.submitted is not None:
                    self._fire(self.metrics.add(job.group, "pending", event.time - job.submitted), event, out)
            case "exception" if event.context.get("severity", 0) == 0 and not job.exception:
                job.exception = str(event.context.get("type", "")) or "exception"
                job.note = str(event.context.get("note", ""))
            case "finish":
                self._end(job, event, int(event.context.get("status", 0)), out)
            case "clean":
                if not job.ended:
                    self._end(job, event, None, out)
                del self.jobs[event.job]

    def _end(self, job: _Job, event: Event, status: int | None, out: list[Command]) -> None:
        """A job has ended, once: by finishing, or cleaned up without ever having run."""
        job.ended = True
        how = outcome(status, job.exception)
        updated = [self.metrics.increment(job.group, "finished"), self.metrics.increment(job.group, how)]
        if job.started is not None and how in ("success", "failed"):  # else it was cut short
            updated.append(self.metrics.add(job.group, "duration", event.time - job.started))
        if how != "success" and not (how == "cancelled" and job.cancelling):
            self._fail(event.job, job, how, status)
        if how != "exception":  # that one has fired when it happened
            self._job_fire(how, job, event, out)
        for key in updated:
            self._fire(key, event, out)

    def _job_fire(self, name: str, job: _Job, event: Event, out: list[Command]) -> None:
        self._fire(f"job-{name}", event, out)
        self._fire(f"job-{name} {job.group}", event, out)

    def _fail(self, name: str, job: _Job, how: str, status: int | None) -> None:
        self._result.failed += 1
        if len(self._result.failures) < KEPT_FAILURES:
            reason = job.note or job.exception or (status_text(status) if status is not None else "it never ran")
            self._result.failures.append({"job": name, "group": job.group, "outcome": how, "reason": reason})


def start_event(time: float) -> Event:
    """The event that starts an ensemble."""
    return Event("start", time)


def returned_event(time: float, actions: Iterable[Action] = (), rules: Iterable[Rule] = (), error: str = "") -> Event:
    """The event by which a custom function's result comes back, as plain data."""
    context: dict[str, Any] = {
        "actions": [action.as_dict() for action in actions],
        "rules": [r.as_dict() for r in rules],
    }
    return Event("custom", time, context=context | ({"error": error} if error else {}))
