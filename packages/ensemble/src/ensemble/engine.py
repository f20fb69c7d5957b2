"""The engine: events in, commands out. It has no clock and does no I/O: the same events give the same commands.

It owns its state and updates it in place. It names the jobs (`sleep.0`, `sleep.1`, ...; `sleep.1.1` is the
second attempt of `sleep.1`), so that what was asked for is known before any queue has answered. `state` gives
all of it as JSON data, and `restore` takes it back.

Beside the events of jobs (`ensemble.events`) it takes these of the ensemble, all with a time:

- start: the first one, once.
- tick: time has passed; wanted at `next_timer`.
- custom: what a custom function returned, `returned_event`.
- metric (with a job): `values`, a list of names and values that were read from the job's output, and where it was read:
  `source` up to `offset`; what lies before that is not taken twice. `requeued`: how often the queue had started the
  job over by then, where it had.
- size: `nodes` that the member has; resize-failed: `error`.
- request: what somebody asks of the run, `cancel` (names of jobs or groups) or `stop` (why).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ensemble.document import Action, Document, JobGroup, Rule
from ensemble.events import COURSE, Cause, Event, cause, status_text
from ensemble.jobs import Jobs, JobState, attempt_name
from ensemble.metrics import Metrics
from ensemble.results import KEPT_FAILURES, Command, Result
from ensemble.rules import Rules, Slot
from ensemble.suspects import Suspects
from ensemble.timers import Timers

_PLACES = {name: place for place, name in enumerate(COURSE, 1)}
_SUBMIT, _ALLOC, _START, _FINISH, _CLEAN = _PLACES.values()
_NO_COMMANDS: list[Command] = []
_LOOK_EVERY = 10.0  # seconds between two looks at what changes with time alone: ages, rates, windows of time
_DEEPEST = 50  # rules that make each other fire, at one event
_SUSPICIOUS = ("node-lost", "boot")  # exceptions that speak against a host


class Engine:
    """`handle` takes one event and gives the commands that follow from it.

    changed: where it is a mapping, every attempt that an event has changed is put into it, also those that are gone.
    on_value: is told of each value of a series, as (key, time, value).
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.groups: Mapping[str, JobGroup] = document.jobs
        self.metrics = Metrics()
        self.jobs = Jobs()
        self.submitted: dict[str, int] = {}  # how many of each group, ever
        self.variables: dict[str, float] = dict(document.variables)
        self.overrides: list[Mapping[str, Any]] = [{}]
        self._override_numbers: dict[str, int] = {}
        self.calls: dict[int, Command] = {}  # custom functions that have not returned
        self.size: int | None = None  # nodes, as far as the member tells
        self.target: int | None = None  # nodes that a rule has asked for
        self.suspects = Suspects()
        self.changed: dict[str, JobState] | None = None
        self.on_value: Callable[[str, float, float], None] | None = None
        self.done = False
        self.live: dict[str, int] = {}  # attempts of each group that have not ended
        self._held = 0  # of these, how many wait for other groups
        self._dependents: dict[str, list[JobGroup]] = {}
        for group in self.groups.values():
            for other in group.depends_on:
                self._dependents.setdefault(other, []).append(group)
        self._ended: dict[str, list[int]] = {}  # group -> [ended in success, ended otherwise], for what depends on it
        self._called = 0
        self._unsent: set[str] = set()  # left by a terminate, but not yet in the queue
        self._depth = 0  # rules that fired because one fired
        self.started = self._stopping = False
        self._had_jobs = False
        self._result = Result()
        self._timers = Timers()
        self._rules = Rules(self.metrics, self.variables)
        for rule in document.rules:
            self._rules.add(rule)
        self._steps: dict[str, Callable[[JobState, Event, list[Command]], None]] = {
            "submit": self._on_submit,
            "alloc": self._on_alloc,
            "start": self._on_start,
            "finish": self._on_finish,
            "clean": self._on_clean,
            "exception": self._on_exception,
            "requeue": self._on_requeue,
            "metric": self._on_metric,
        }

    # What others read

    @property
    def running(self) -> dict[str, int]:
        """How many jobs of each group have been submitted and not ended."""
        return {group: number for group, number in self.live.items() if number}

    @property
    def slots(self) -> Sequence[Slot]:
        """Every rule, with what is left of it."""
        return self._rules.slots

    @property
    def next_timer(self) -> float | None:
        """When a tick is wanted; None where none is."""
        return self._timers.next

    def wants(self, name: str) -> bool:
        """Whether an event of a job of that name changes anything here."""
        return name in self._steps or name in self._rules.job_events

    def result(self) -> Result:
        """How it ended; rules count as never met only where nothing ended the run before its time."""
        if not self._result.ended_by:
            self._result.never_met = [slot.rule for slot in self.slots if slot.rule.expected and not slot.fired]
        self._result.left = sum(self.running.values())
        return self._result

    # Events

    def handle(self, event: Event) -> list[Command]:
        """The commands that follow from an event. One of an unknown job, or one seen before, gives none."""
        name = event.name
        if event.job:
            job = self.jobs.get(event.job)
            if job is None:
                if not (name == "submit" and event.context.get("foreign")):
                    return _NO_COMMANDS
                job = self._foreign(event)
            place = _PLACES.get(name)
            if (job.seen >= place) if place is not None else _told_before(job, event):
                return _NO_COMMANDS
            step = self._steps.get(name)
            out: list[Command] = []
            if name in self._rules.job_events:
                self._job_rules(name, job, event, out)
            if step is not None:
                step(job, event, out)
                if self.changed is not None:
                    self.changed[event.job] = job
            if self._unsent and (job.seen or job.ended):
                self._unsent.discard(event.job)
                self.done = not self._unsent
            if len(self.jobs) == self._held:
                self._settle(event, out)
            return out
        out = []
        match name:
            case "start" if not self.started:
                self._start(event, out)
            case "tick":
                self._tick(event, out)
            case "custom":
                self._returned(event, out)
            case "size":
                self.size = int(event.context["nodes"])
            case "resize-failed":
                self._error(str(event.context["error"]))
                self.target = None
            case "request" if not self.done:
                self._request(event, out)
        if len(self.jobs) == self._held:
            self._settle(event, out)
        return out

    def _start(self, event: Event, out: list[Command]) -> None:
        self.started = True
        for slot in self.slots:
            if slot.rule.trigger == "every":
                self._timers.set(event.time + slot.rule.interval, "every", str(slot.number))
        if self.document.heartbeat:
            self._timers.set(event.time + self.document.heartbeat, "heartbeat")
        self._look_later(event)
        self._fire_on("start", event, out)

    def _tick(self, event: Event, out: list[Command]) -> None:
        while due := self._timers.due(event.time):
            _, kind, key = due
            match kind:
                case "every":
                    slot = self.slots[int(key)]
                    # From now, not from when it was due: after a pause they don't come all at once.
                    if slot.left != 0 and not self._stopping:
                        self._timers.set(event.time + slot.rule.interval, kind, key)
                        self._refresh(event)
                        self._fire_if(slot, event, out)
                case "heartbeat":
                    self._timers.set(event.time + self.document.heartbeat, kind)
                    self._look(event, out)
                    self._fire_on("heartbeat", event, out)
                case "look":
                    self._look_later(event)
                    self._look(event, out)
                case "timeout":
                    self._time_out(key, event, out)
                case "avoided":
                    self.suspects.avoided.pop(key, None)

    def _look_later(self, event: Event) -> None:
        if self._rules.timed:
            self._timers.set(event.time + _LOOK_EVERY, "look")

    def _look(self, event: Event, out: list[Command]) -> None:
        """Take in what changes with time alone, where a rule asks for it."""
        self._refresh(event)
        for key in self._rules.timed:
            self._updated(key, event, out)

    def _refresh(self, event: Event) -> None:
        self.metrics.advance(event.time)
        for name in self._rules.timed.values():
            if name.series == "age":
                ages = [
                    event.time - job.submitted
                    for job in self.jobs.values()
                    if job.group == name.group and job.submitted is not None and job.started is None and not job.ended
                ]
                self.metrics.ages(name.group, ages, event.time)

    def _request(self, event: Event, out: list[Command]) -> None:
        if "stop" in event.context:
            self.calls.clear()  # who ends the run does not wait for functions
            self._terminate("request", event, out, reason=str(event.context["stop"]))
            return
        wanted = set(event.context.get("cancel", ()))
        names = [
            name
            for name, job in self.jobs.items()
            if name in wanted or job.group in wanted or attempt_name(job.group, job.index, 0) in wanted
        ]
        out.append(Command("cancel", ", ".join(sorted(wanted)), self._cancel(names, "request", event, out)))

    # Rules

    def _job_rules(self, name: str, job: JobState, event: Event, out: list[Command]) -> None:
        self._fire_on(f"job-{name}", event, out)
        self._fire_on(f"job-{name} {job.group}", event, out)

    def _fire_on(self, key: str, event: Event, out: list[Command]) -> None:
        slots = self._rules.on.get(key)
        if slots:
            for slot in slots:
                self._fire_if(slot, event, out)

    def _fire_if(self, slot: Slot, event: Event, out: list[Command]) -> None:
        if slot.left != 0 and slot.holds():
            self._fire(slot, event, out)

    def _updated(self, key: str, event: Event, out: list[Command]) -> None:
        if key and key in self._rules.watches:
            for slot in self._rules.updated(key):
                self._fire(slot, event, out)

    def _fire(self, slot: Slot, event: Event, out: list[Command]) -> None:
        if self._stopping or slot.left == 0 or slot.firing:
            return
        if self._depth >= _DEEPEST:
            slot.left = 0
            self._error(f"more than {_DEEPEST} rules make each other fire; {slot.rule.shown} is switched off")
            return
        self._depth += 1
        slot.firing = True
        self._fire_now(slot, event, out)
        slot.firing = False
        self._depth -= 1

    def _fire_now(self, slot: Slot, event: Event, out: list[Command]) -> None:
        action = slot.rule.action
        if slot.skip:
            slot.skip -= 1
            return
        if slot.left is not None and not slot.rule.per:
            slot.left -= 1
        slot.skip = action.backoff
        slot.fired += 1
        out.append(Command("trigger", slot.rule.shown, rule=slot.rule, event=event, number=slot.number))
        self._act(action, slot, event, out)

    # Actions

    def _act(self, action: Action, slot: Slot | None, event: Event, out: list[Command]) -> None:
        rule, number = (slot.rule, slot.number) if slot else (None, -1)

        def command(kind: str, label: str = action.label, jobs: tuple[str, ...] = (), **more: Any) -> None:
            out.append(Command(kind, label, jobs, action, rule, event, number, **more))

        match action.name:
            case "submit":
                self._submit(action, event, command, out)
            case "cancel":
                jobs = self._cancel(self._chosen(action, event), "rule", event, out)
                command("cancel", action.label or event.job, jobs)
            case "terminate":
                self._terminate("terminate", event, out, action, slot)
            case "grow" | "shrink":
                step = int(action.value or 1)
                now = self.target if self.target is not None else self.size
                self.target = max(0, (now or 0) + (step if action.name == "grow" else -step))
                command("resize", nodes=self.target)
            case "set":
                value = self._rules.value(action, slot.get() if slot and slot.get else None)
                if value is not None:
                    self.variables[action.label] = value
                    command("set", reason=f"{value:g}")
                    self._updated(f"var.{action.label}", event, out)
            case "message":
                command("message", self._rules.text(action, slot.get() if slot and slot.get else None))
            case "custom":
                self._called += 1
                call = Command("custom", action.label, (), action, rule, event, number, self._called)
                self.calls[self._called] = call
                out.append(call)

    def _submit(self, action: Action, event: Event, command: Callable[..., None], out: list[Command]) -> None:
        group = self.groups[action.label]
        overrides = self._overrides(action.overrides)
        first = self.submitted.get(group.name, 0)
        count = group.total(action.overrides)
        self.submitted[group.name] = first + count
        broken = self._broken(group)
        held = bool(broken) or not self._depends(group)
        names = []
        for index in range(first, first + count):
            name = attempt_name(group.name, index, 0)
            job = self.jobs[name] = JobState(group.name, index, overrides)
            job.held = held
            self._held += held
            if self.changed is not None:
                self.changed[name] = job
            names.append(name)
        self.live[group.name] = self.live.get(group.name, 0) + count
        for _ in range(count):
            self.metrics.increment(group.name, "submitted", event.time)
        command("submit", jobs=() if held else tuple(names), reason="held" if held else "")
        for name in names if broken and self._depends(group) else ():
            if name in self.jobs and self.jobs[name].held:
                self._give_up(name, "dependency", f"{', '.join(broken)} did not succeed", event, out)

    def _overrides(self, overrides: Mapping[str, Any]) -> int:
        if not overrides:
            return 0
        key = json.dumps(overrides, sort_keys=True)
        number = self._override_numbers.get(key)
        if number is None:
            number = self._override_numbers[key] = len(self.overrides)
            self.overrides.append(dict(overrides))
        return number

    def _chosen(self, action: Action, event: Event) -> Iterable[str]:
        """The jobs that a cancel action means: a group's, one by name, or the one that the event is of."""
        label = action.label or event.job
        which = action.value or "all"
        # Where it is one that is there, the others need not be looked at.
        among = {label: self.jobs[label]} if label in self.jobs else self.jobs
        for name, job in among.items():
            if (job.group == label or name == label or attempt_name(job.group, job.index, 0) == label) and (
                which == "all" or (which == "running") == (job.started is not None)
            ):
                yield name

    def _cancel(self, names: Iterable[str], why: str, event: Event, out: list[Command]) -> tuple[str, ...]:
        """The jobs that the queue must be asked to cancel; those that it never saw end here."""
        asked: list[str] = []
        held: list[str] = []
        for name in names:
            job = self.jobs[name]
            if not job.ended:
                if job.cancelling in ("", "timeout"):  # what was asked for ends it; there is no other attempt
                    job.cancelling = why
                (held if job.held else asked).append(name)
        for name in held:
            if name in self.jobs and self.jobs[name].held:  # a rule on the end of another may have been quicker
                self._give_up(name, "cancel", "cancelled before it was submitted", event, out)
        return tuple(asked)

    def _terminate(
        self,
        why: str,
        event: Event,
        out: list[Command],
        action: Action | None = None,
        slot: Slot | None = None,
        reason: str = "",
    ) -> None:
        self._stopping = True
        self.calls.clear()  # whatever they return, nothing would be done about it
        self._result.ended_by = self._result.ended_by or why
        leave = bool(action and action.value == "leave")
        left = [name for name, job in self.jobs.items() if job.held or not (leave or job.foreign)]
        jobs = self._cancel(left, "terminate", event, out)
        if leave:
            jobs = tuple(name for name, job in self.jobs.items() if not (job.ended or job.foreign))
            # What is asked for is left in the queue, which some of it has yet to reach.
            self._unsent = {name for name in jobs if not self.jobs[name].seen}
            self.done = not self._unsent
        else:
            self._unsent = set()  # of an earlier one that was to leave them: now they end
        rule, number = (slot.rule, slot.number) if slot else (None, -1)
        out.append(Command("terminate", "", jobs, action, rule, event, number, leave=leave, reason=reason))

    def _returned(self, event: Event, out: list[Command]) -> None:
        """What a custom function returned: actions are done now, rules wait for their trigger."""
        if self.calls.pop(int(event.context.get("call", 0)), None) is None:
            return
        if error := event.context.get("error"):
            self._error(str(error))
            if self.document.stop_on_custom_error:
                self._terminate("custom", event, out, reason=str(error))
        looks = bool(self._rules.timed)
        for rule in event.context.get("rules", ()):
            slot = self._rules.add(Rule(rule))
            if slot.rule.trigger == "every":
                self._timers.set(event.time + slot.rule.interval, "every", str(slot.number))
        if not looks:
            self._look_later(event)
        for action in event.context.get("actions", ()):
            if not self._stopping:
                self._act(Action(action), None, event, out)

    # The course of a job

    def _foreign(self, event: Event) -> JobState:
        group = str(event.context["group"])
        index = self.submitted.get(group, 0)
        self.submitted[group] = index + 1
        job = self.jobs[event.job] = JobState(group, index)
        job.foreign = True
        self.live[group] = self.live.get(group, 0) + 1
        self.metrics.increment(group, "submitted", event.time)
        return job

    def _on_submit(self, job: JobState, event: Event, out: list[Command]) -> None:
        job.seen = _SUBMIT
        job.submitted = event.time
        job.id = str(event.context.get("id", ""))

    def _on_alloc(self, job: JobState, event: Event, out: list[Command]) -> None:
        job.seen = _ALLOC
        hosts = event.context.get("hosts")
        if hosts:
            job.hosts = tuple(hosts)
            self.suspects.hosts.update(hosts)

    def _on_start(self, job: JobState, event: Event, out: list[Command]) -> None:
        job.seen = _START
        job.started = event.time
        if job.submitted is not None:
            self._value(job.group, "pending", max(0.0, event.time - job.submitted), event, out)
        if timeout := self._limit(job):
            self._timers.set(event.time + timeout, "timeout", event.job)
            self._timers.thin(len(self.jobs), self._is_past)

    def _limit(self, job: JobState) -> int:
        group = self.groups.get(job.group)
        if group is None or job.foreign or not (group.timeout or job.overrides):
            return 0
        return group.limit(job.retried, self.overrides[job.overrides])

    def _on_exception(self, job: JobState, event: Event, out: list[Command]) -> None:
        if event.context.get("severity", 0) == 0 and not (job.exception or job.ended):
            job.exception = str(event.context.get("type", "")) or "exception"
            job.note = str(event.context.get("note", ""))

    def _on_finish(self, job: JobState, event: Event, out: list[Command]) -> None:
        job.seen = _FINISH
        self._end(event.job, job, event, int(event.context.get("status", 0)), out)

    def _on_clean(self, job: JobState, event: Event, out: list[Command]) -> None:
        job.seen = _CLEAN
        if not job.ended:
            self._end(event.job, job, event, None, out)
        self._drop(event.job, job)

    def _on_requeue(self, job: JobState, event: Event, out: list[Command]) -> None:
        """The queue starts it over, under the same id: an attempt that its infrastructure has cost."""
        if job.ended:
            return
        job.requeued, job.told = event.time, ()
        self._suspect(event.job, job, str(event.context.get("type", "")), event, out)
        job.rescued += 1
        job.seen, job.started, job.hosts = _SUBMIT, None, ()
        if job.cancelling != "timeout":
            job.exception = job.note = ""
        job.read = job.fired = None  # it writes everything once more
        self.metrics.forget(event.job)
        self._count(job.group, "requeued", event, out)
        group = self.groups.get(job.group)
        if group and not job.foreign and job.rescued > group.retries.infrastructure and not job.cancelling:
            job.cancelling = "infrastructure"
            job.exception, job.note = "preempted", f"it was requeued {job.rescued} times, more than it may be"
        if job.cancelling:  # also where that was asked for before: it runs once more
            out.append(Command("cancel", event.job, (event.job,), event=event, reason=job.note))

    def _on_metric(self, job: JobState, event: Event, out: list[Command]) -> None:
        context = event.context
        if context.get("requeued", 0) != job.rescued:
            return  # of what the queue has started over since
        if "source" in context:
            read = job.read or {}
            if context["offset"] <= read.get(context["source"], 0):
                return
            job.read = {**read, context["source"]: context["offset"]}
        for name, value in context["values"]:
            self._value(job.group, name, value, event, out)
            slots = self._rules.per_job.get(f"{job.group}-{name}")
            if slots is not None and not job.ended:
                own = self.metrics.of_job(event.job)
                own.add(job.group, name, value, event.time)
                for slot in slots:
                    self._fire_for(slot, job, event, out)

    def _fire_for(self, slot: Slot, job: JobState, event: Event, out: list[Command]) -> None:
        """Fire a rule about each job's own metrics; its repetitions are those of each job."""
        fired, skip, was = (job.fired or {}).get(slot.number, (0, 0, False))
        holds = self._rules.holds_for(slot, event.job)
        eligible = holds and not (slot.edge and was) and (slot.left is None or fired < slot.left)
        fires = eligible and not skip
        if fires:
            fired, skip = fired + 1, slot.rule.action.backoff
        elif eligible:
            skip -= 1
        job.fired = {**(job.fired or {}), slot.number: (fired, skip, holds)}
        if fires:
            slot.skip = 0
            self._fire(slot, event, out)

    def _end(self, name: str, job: JobState, event: Event, status: int | None, out: list[Command]) -> None:
        """An attempt has ended, once: by finishing, or cleaned up without ever having run."""
        job.ended = True
        self.live[job.group] -= 1
        job.finished, job.status = event.time, status
        why = cause(status, job.exception)
        job.outcome = how = why.outcome
        again = self._again(name, job, why, event, out)
        if job.started is not None and how in ("success", "failed"):  # else it was cut short
            self._value(job.group, "duration", max(0.0, event.time - job.started), event, out)
        if not again:
            self._ended.setdefault(job.group, [0, 0])[0 if how == "success" else 1] += 1
            if how != "lost":
                self._count(job.group, "finished", event, out)
            self._count(job.group, how, event, out)
        if how != "exception":  # that one has fired when it happened
            self._job_rules(how, job, event, out)
        if again:
            return
        if not job.foreign and how != "success" and not (job.cancelling and how == "cancelled"):
            self._fail(name, job, how, status)
        self._release(job.group, event, out)

    def _again(self, name: str, job: JobState, why: Cause, event: Event, out: list[Command]) -> bool:
        """Whether there is another attempt: on the infrastructure's own budget, or on the application's."""
        if why.blame == "infrastructure":
            self._suspect(name, job, job.exception, event, out)
        if job.foreign or self._stopping or (job.cancelling and job.cancelling != "timeout"):
            return False
        retries = self.groups[job.group].retries  # of a foreign job there may be none
        infrastructure = why.blame == "infrastructure"
        if infrastructure and job.rescued >= retries.infrastructure:
            return False
        if not infrastructure and (job.retried >= retries.max or why.outcome not in retries.on):
            return False
        if why.blame == "request":  # it would be refused again
            return False
        new = JobState(job.group, job.index, job.overrides, job.attempt + 1)
        new.retried = job.retried + (not infrastructure)
        new.rescued = job.rescued + infrastructure
        again = attempt_name(job.group, job.index, new.attempt)
        self.jobs[again] = new
        self.live[job.group] += 1
        if self.changed is not None:
            self.changed[again] = new
        reason = f"{name} {why.outcome}: {_reason(job, job.status)}"
        out.append(Command("retry", job.group, (again,), event=event, reason=reason))
        out.append(Command("submit", job.group, (again,), event=event, reason="retry"))
        self._count(job.group, "retried", event, out)
        self._job_rules("retry", new, event, out)
        return True

    def _suspect(self, name: str, job: JobState, kind: str, event: Event, out: list[Command]) -> None:
        if kind not in _SUSPICIOUS:
            return
        for host in job.hosts:
            if self.suspects.failed(host, attempt_name(job.group, job.index, 0), event.time):
                until = self.suspects.avoided[host]
                self._timers.set(until, "avoided", host)
                reason = f"several jobs failed there ({kind}); it is avoided for {until - event.time:g} s"
                out.append(Command("avoid", host, event=event, reason=reason))

    def _is_past(self, kind: str, key: str) -> bool:
        return kind == "timeout" and key not in self.jobs

    def _time_out(self, name: str, event: Event, out: list[Command]) -> None:
        job = self.jobs.get(name)
        if job is None or job.ended or job.started is None or job.cancelling:
            return
        if event.time < job.started + self._limit(job):
            return  # the queue has started it over since this was set
        job.exception = job.exception or "timeout"
        job.note = job.note or f"it ran longer than {self._limit(job)} s"
        job.cancelling = "timeout"
        out.append(Command("cancel", name, (name,), event=event, reason=job.note))

    def _error(self, text: str) -> None:
        if len(self._result.errors) < KEPT_FAILURES:
            self._result.errors.append(text)

    def _fail(self, name: str, job: JobState, how: str, status: int | None) -> None:
        self._result.failed += 1
        self._result.lost += how == "lost"
        if len(self._result.failures) < KEPT_FAILURES:
            failure: dict[str, Any] = {"job": name, "group": job.group, "outcome": how, "reason": _reason(job, status)}
            if job.id:
                failure["id"] = job.id
            if job.hosts:
                failure["hosts"] = list(job.hosts)
            self._result.failures.append(failure)

    def _drop(self, name: str, job: JobState) -> None:
        if self._rules.per_job:
            self.metrics.forget(name)
        if self.changed is not None:
            self.changed[name] = job
        self.jobs.pop(name, None)
        self._had_jobs = True

    # Metrics

    def _count(self, group: str, what: str, event: Event, out: list[Command]) -> None:
        self._updated(self.metrics.increment(group, what, event.time), event, out)

    def _value(self, group: str, series: str, value: float, event: Event, out: list[Command]) -> None:
        key = self.metrics.add(group, series, value, event.time)
        if key:
            if self.on_value is not None:
                self.on_value(key, event.time, value)
            self._updated(key, event, out)

    # Groups that depend on others

    def _depends(self, group: JobGroup) -> bool:
        """Whether all that a group depends on has ended."""
        return all(self.submitted.get(other) and not self.live[other] for other in group.depends_on)

    def _broken(self, group: JobGroup) -> list[str]:
        """The groups that had to succeed for it, and of which a job did not."""
        wanted = [other for other, how in group.depends_on.items() if how == "success"]
        return [other for other in wanted if self._ended.get(other, [0, 0])[1]]

    def _release(self, ended: str, event: Event, out: list[Command]) -> None:
        """Let those jobs go that waited for a group, where it was the last that they waited for."""
        for group in self._dependents.get(ended, ()):
            if not self._held or self.live[ended] or not self._depends(group):
                continue
            held = [name for name, job in self.jobs.items() if job.group == group.name and job.held]
            if broken := self._broken(group):
                for name in held:
                    if name in self.jobs and self.jobs[name].held:
                        self._give_up(name, "dependency", f"{', '.join(broken)} did not succeed", event, out)
            elif held:
                for name in held:
                    self.jobs[name].held = False
                self._held -= len(held)
                out.append(Command("submit", group.name, tuple(held), event=event, reason="released"))

    def _give_up(self, name: str, kind: str, why: str, event: Event, out: list[Command]) -> None:
        """A job that was never submitted ends."""
        job = self.jobs[name]
        job.exception, job.note, job.held = kind, why, False
        self._held -= 1
        self._end(name, job, event, None, out)
        self._drop(name, job)

    # The end

    def _settle(self, event: Event, out: list[Command]) -> None:
        """Nothing is in the queue: idle, and where nothing could fire any more, the end."""
        if not self.started or self.done:
            return
        if self._had_jobs:
            self._had_jobs = False
            self._fire_on("idle", event, out)
        if len(self.jobs) != self._held or self.calls:
            return
        if not self._stopping and self._goes_on():
            return
        for name in list(self.jobs):
            if name in self.jobs:
                group = self.groups[self.jobs[name].group]
                why = f"it waits for {', '.join(group.depends_on)}, which was never submitted"
                self._give_up(name, "dependency", why, event, out)
        if not (self.jobs or self.calls or self._stopping):
            self._fire_on("end", event, out)
        self.done = not (self.jobs or self.calls)

    def _goes_on(self) -> bool:
        """Whether time alone can bring new jobs, and the run waits for it: by a rule that submits or calls a function,
        or by one that sets a variable for which such a rule waits. One that only tells or ends things does not.
        """
        live = [slot.rule for slot in self.slots if slot.left != 0]
        waits = [rule for rule in live if rule.trigger == "metric" and rule.action.name in ("submit", "custom", "set")]
        variables = {name for rule in waits if rule.when for name in rule.when.variables}
        return any(
            rule.action.name in ("submit", "custom") or (rule.action.name == "set" and rule.action.label in variables)
            for rule in live
            if rule.trigger in ("every", "heartbeat")
        )

    # State

    def state(self) -> dict[str, Any]:
        """Everything, as JSON data."""
        return {
            "metrics": self.metrics.state(),
            "jobs": {name: job.state() for name, job in self.jobs.items()},
            "submitted": self.submitted,
            "variables": self.variables,
            "overrides": [dict(one) for one in self.overrides],
            "calls": [_call_state(call) for call in self.calls.values()],
            "called": self._called,
            "size": self.size,
            "target": self.target,
            "suspects": self.suspects.state(),
            "ended": self._ended,
            "live": self.live,
            "unsent": sorted(self._unsent),
            "flags": [self.started, self._stopping, self._had_jobs, self.done],
            "result": self._result.state(),
            "timers": self._timers.state(),
            "rules": self._rules.state(len(self.document.rules)),
        }

    @classmethod
    def restore(cls, document: Document, state: Mapping[str, Any]) -> Engine:
        """The engine of a document in the state that `state` gave."""
        engine = cls(document)
        engine._rules.restore(state["rules"])
        engine.metrics.restore(state["metrics"])
        engine.jobs.update((name, JobState.restore(job)) for name, job in state["jobs"].items())
        engine.submitted.update(state["submitted"])
        engine.variables.update(state["variables"])
        for one in state["overrides"]:
            engine._overrides(one)
        engine.calls = {call["call"]: _call_restored(call, engine.slots) for call in state["calls"]}
        engine._called, engine.size, engine.target = state["called"], state["size"], state["target"]
        engine.suspects.restore(state["suspects"])
        engine._ended = {group: list(ends) for group, ends in state["ended"].items()}
        engine.started, engine._stopping, engine._had_jobs, engine.done = state["flags"]
        engine._result = Result.restore(state["result"])
        engine._timers.restore(state["timers"])
        engine._unsent = set(state["unsent"])
        engine.live.update(state["live"])
        engine._held = sum(job.held for job in engine.jobs.values())
        return engine


def _told_before(job: JobState, event: Event) -> bool:
    """Whether an exception or a requeue is one that has been told: after a reconnect, some are told again."""
    if event.name == "requeue":
        return job.requeued is not None and event.time <= job.requeued
    if event.name != "exception":
        return False
    what = f"{event.context.get('severity', 0)} {event.context.get('type', '')}"
    if what in job.told:
        return True
    job.told = (*job.told, what)
    return False


def _reason(job: JobState, status: int | None) -> str:
    return job.note or job.exception or (status_text(status) if status is not None else "it never ran")


def _call_state(call: Command) -> dict[str, Any]:
    return {
        "call": call.call,
        "action": call.action.as_dict() if call.action else None,
        "number": call.number,
        "event": call.event.as_dict() if call.event else None,
    }


def _call_restored(state: Mapping[str, Any], slots: Sequence[Slot]) -> Command:
    action = Action(state["action"])
    rule = slots[state["number"]].rule if state["number"] >= 0 else None
    event = Event(**state["event"])
    return Command("custom", action.label, (), action, rule, event, state["number"], state["call"])


def start_event(time: float) -> Event:
    """The event that starts an ensemble."""
    return Event("start", time)


def returned_event(
    time: float, call: int, actions: Iterable[Action] = (), rules: Iterable[Rule] = (), error: str = ""
) -> Event:
    """The event by which a custom function's result comes back, as plain data."""
    context: dict[str, Any] = {
        "call": call,
        "actions": [action.as_dict() for action in actions],
        "rules": [r.as_dict() for r in rules],
    }
    return Event("custom", time, context=json.loads(json.dumps(context | ({"error": error} if error else {}))))
