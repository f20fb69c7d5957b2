"""Laws of the engine, on queues that do anything that a queue may do."""

from __future__ import annotations

import json
import random
from collections import Counter

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from ensemble.document import Action, Rule
from ensemble.engine import Engine, returned_event, start_event
from ensemble.errors import FileError
from ensemble.events import CAUSES, Event
from ensemble.load import parse

TEXT = """
logging: {heartbeat: 7}
variables: {x: 0}
jobs:
  - {name: a, command: "true", count: 3, retries: {max: 2, infrastructure: 1, on: [failed, exception]}}
  - {name: b, command: "true", count: 2, timeout: 5}
  - {name: c, command: "true", depends_on: [a]}
rules:
  - {trigger: start, action: {name: submit, label: a}}
  - {trigger: start, action: {name: submit, label: c}}
  - {trigger: job-failed, name: a, action: {name: submit, label: b, repetitions: 2}}
  - {trigger: job-start, name: b, action: {name: cancel, label: b}}
  - {trigger: metric, name: count.a.finished, when: 2, action: {name: submit, label: b, value: {count: 1}}}
  - trigger: metric
    name: mean.a-duration
    when: "> 1.5"
    action: {name: submit, label: a, repetitions: 2, backoff: 1}
  - trigger: metric
    name: max.a-duration
    when: "> 1"
    on: crossing
    action: {name: set, label: x, value: "var.x + 1"}
  - {trigger: metric, when: "var.x >= 1 and count.b.cancelled >= 1", action: {name: submit, label: b}}
  - {trigger: heartbeat, action: {name: message, value: "x is {var.x}", repetitions: unlimited}}
  - {trigger: every, when: 20, action: {name: submit, label: b, repetitions: 2}}
  - {trigger: idle, action: {name: submit, label: a, repetitions: 1}}
  - {trigger: end, action: {name: message, value: over}}
"""
DOCUMENT = parse(TEXT, "laws.yaml")
# All that a run may meet: functions that return rules, values of the application, requests, sizes, foreign jobs.
WILD = parse(
    TEXT.replace(
        '  - {name: b, command: "true", count: 2, timeout: 5}',
        """
  - {name: b, command: "true", count: 2, timeout: 5, metrics: {t: {json: t}}}
  - {name: d, command: "true", count: 2, depends_on: {b: finished}}""",
    )
    + """
  - {trigger: job-cancelled, action: {name: cancel, label: d, repetitions: unlimited}}
  - {trigger: job-clean, name: a, action: {name: custom, label: f, repetitions: 3}}
  - {trigger: metric, name: count.b.success, when: 1, action: {name: submit, label: d, repetitions: 2}}
  - trigger: metric
    name: max.b-t
    when: "> 5"
    per: job
    action: {name: cancel, backoff: 1, repetitions: 2}
  - {trigger: job-node-lost-is-none, action: {name: grow}}
  - {trigger: job-requeue, action: {name: grow, repetitions: 3}}
  - {trigger: metric, when: "var.x >= 3 and count.a.success > 2", action: {name: terminate, value: leave}}
  - trigger: metric
    name: max.a-age
    when: "> 4"
    action: {name: message, value: "{rate[20s].a.success} {max[20s].b-duration}", repetitions: unlimited}
custom: |
  def f(**known): pass
""".replace("  - {trigger: job-node-lost-is-none, action: {name: grow}}\n", ""),
    "wild.yaml",
)
DOCUMENTS = [DOCUMENT, WILD]
STOPPING = parse(TEXT.replace("{name: message, value: over}", "{name: submit, label: b}").replace(
    "{trigger: job-start, name: b, action: {name: cancel, label: b}}",
    "{trigger: job-timeout, action: {name: terminate}}"), "laws.yaml")  # fmt: skip
DOCUMENTS.append(STOPPING)
RETURNED = [
    ([Action(name="submit", label="b", value={"count": 1})], []),
    ([], [Rule(trigger="job-alloc", name="b", action=Action(name="cancel"))]),
    ([], [Rule(trigger="every", interval=3, action=Action(name="submit", label="a", repetitions=1))]),
    ([Action(name="set", label="x", value=3), Action(name="cancel", label="a", value="pending")], []),
    ([], []),
]
KINDS = [*CAUSES, "never-heard-of"]


class Queue:
    """Takes the engine's commands and does with each job what the dice say, and tells some things twice."""

    def __init__(self, engine: Engine, dice: random.Random) -> None:
        self.engine, self.dice = engine, dice
        self.live: dict[str, str] = {}
        self.now = 1000.0
        self.told: list[Event] = []
        self.commands: list[object] = []
        self.submitted: Counter[str] = Counter()
        self.cancelled: set[str] = set()
        self.calls: list[int] = []
        self.strangers = 0

    def feed(self, event: Event) -> None:
        self.told.append(event)
        for command in self.engine.handle(event):
            self.commands.append(command)
            if command.kind == "submit":
                self.live |= dict.fromkeys(command.jobs, "new")
                self.submitted.update(command.jobs)
            elif command.kind == "cancel" or (command.kind == "terminate" and not command.leave):
                self.cancelled.update(command.jobs)
            elif command.kind == "custom":
                self.calls.append(command.call)

    def job(self, name: str, event: str, **context: object) -> None:
        self.feed(Event(event, self.now, name, context))
        if self.dice.random() < 0.2:
            self.feed(Event(event, self.now, name, context))

    def exception(self, name: str, kind: str) -> None:
        self.job(name, "exception", type=kind, severity=0, note="")

    def step(self) -> None:
        self.now += self.dice.random() * 3
        if self.calls and self.dice.random() < 0.5:
            actions, rules = self.dice.choice(RETURNED)
            error = "oh" if self.dice.random() < 0.1 else ""
            self.feed(returned_event(self.now, self.calls.pop(0), actions, rules, error))
            return
        if self.engine.document is WILD and self.dice.random() < 0.1:
            self.surprise()
            return
        due = self.engine.next_timer
        if due is not None and (due <= self.now or not self.live):
            self.now = max(self.now, due)
            self.feed(Event("tick", self.now))
            return
        if not self.live:
            return
        name = self.dice.choice(list(self.live))
        at = self.live[name]
        if at == "running" and self.dice.random() < 0.3:
            values = [["t", self.dice.choice([1.0, 7.0, float("nan")])]]
            context = {"values": values, "source": "out", "offset": int(self.now * 1000)}
            self.feed(Event("metric", self.now, name, context))
        if name in self.cancelled and self.dice.random() < 0.7:
            self.exception(name, "cancel")
            at = "ending"
        if at == "new":
            self.job(name, "submit", id="q")
            self.live[name] = "submitted"
        elif at == "submitted":
            if self.dice.random() < 0.1:
                self.exception(name, self.dice.choice(KINDS))
                self.live[name] = "ending"
                return
            self.job(name, "alloc", hosts=[f"n{self.dice.randrange(3)}"])
            self.job(name, "start")
            self.live[name] = "running"
        elif at == "running":
            fate = self.dice.random()
            if fate < 0.1:
                self.job(name, "requeue", type="node-lost", note="")
                self.live[name] = "submitted"
            elif fate < 0.25:
                self.exception(name, self.dice.choice(KINDS))
                self.live[name] = "ending"
            else:
                self.job(name, "finish", status=self.dice.choice([0, 0, 256]))
                self.live[name] = "ending"
        else:
            del self.live[name]
            self.job(name, "clean")

    def surprise(self) -> None:
        """Something from outside."""
        match self.dice.randrange(4):
            case 0:
                names = [*self.live, "a", "b", "nobody", "d.0"]
                self.feed(Event("request", self.now, context={"cancel": [self.dice.choice(names)]}))
            case 1:
                self.feed(Event("size", self.now, context={"nodes": self.dice.randrange(9)}))
            case 2:
                self.feed(Event("resize-failed", self.now, context={"error": "no"}))
            case _ if self.strangers < 3:
                self.strangers += 1
                name = f"stranger{self.strangers}"
                context = {"foreign": True, "group": self.dice.choice(["b", "theirs"]), "id": "f"}
                self.feed(Event("submit", self.now, name, context))
                if name in self.engine.jobs:
                    self.live[name] = "submitted"


def played(seed: int, document=DOCUMENT, most: int = 400) -> Queue:
    queue = Queue(Engine(document), random.Random(seed))
    queue.feed(start_event(1000.0))
    for _ in range(most):
        if queue.engine.done:
            break
        queue.step()
    return queue


SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.sampled_from(DOCUMENTS))
@settings(max_examples=150, deadline=None)
def test_what_was_submitted_has_ended_or_is_running(seed, document):
    """submitted = finished + running + lost, and each job ends once."""
    queue = played(seed, document)
    for group, counts in queue.engine.metrics.counts.items():
        ended = sum(counts.get(what, 0) for what in ("success", "failed", "cancelled", "timeout", "exception"))
        assert counts.get("finished", 0) == ended
        assert counts["submitted"] == ended + counts.get("lost", 0) + queue.engine.running.get(group, 0)
        assert counts["submitted"] == queue.engine.submitted[group]
    assert set(queue.submitted.values()) <= {1}
    live = Counter(job.group for job in queue.engine.jobs.values() if not job.ended)
    assert live == Counter(queue.engine.running)


@given(SEEDS, st.sampled_from(DOCUMENTS))
@settings(max_examples=50, deadline=None)
def test_the_same_events_give_the_same_commands(seed, document):
    queue = played(seed, document)
    engine, commands = Engine(document), []
    for event in queue.told:
        commands += engine.handle(event)
    assert commands == queue.commands
    assert engine.state() == queue.engine.state()


NAMES = [
    "count.a.success",
    "count[9s].a.success",
    "rate[9s].b.finished",
    "mean.a-duration",
    "mean[9s].a-duration",
    "median[3].a-pending",
    "last[4s].b-duration",
    "max.a-age",
    "count.b-age",
]


def watching(condition: str, names: list[str], more: str) -> str:
    text = f'{{trigger: metric, name: "{{name}}", when: "{condition}", {more}}}'
    return TEXT + "".join(f"  - {text.replace('{name}', name)}\n" for name in names)


@given(
    SEEDS,
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.sampled_from([0, 0.25, 1, 2, 4]),
    st.sampled_from(["on: crossing", "on: update"]),
    st.sampled_from(["", ", repetitions: 2", ", repetitions: unlimited", ", repetitions: 4, backoff: 1"]),
)
@settings(max_examples=150, deadline=None)
def test_how_a_condition_is_written_changes_nothing(seed, names, sign, limit, on, often):
    """A comparison with a number is looked up among others of its metric; the same one as a sum is worked out."""
    more = f"{on}, action: {{name: message, value: '{{value}}'{often}}}"
    simple, other = (watching(one, names, more) for one in (f"{sign} {limit}", f"value + 0 {sign} {limit}"))
    try:
        documents = [parse(text, "x.yaml") for text in (simple, other)]
    except FileError:
        reject()  # it could never hold
    queue, engine = played(seed, documents[0]), Engine(documents[1])
    commands = [command for event in queue.told for command in engine.handle(event)]
    assert [(one.kind, one.jobs, one.number, one.reason) for one in commands] == [
        (one.kind, one.jobs, one.number, one.reason) for one in queue.commands
    ]
    assert [one.label for one in commands if one.kind == "message"] == [
        one.label for one in queue.commands if one.kind == "message"
    ]


@given(SEEDS, st.floats(0, 1), st.sampled_from(DOCUMENTS))
@settings(max_examples=100, deadline=None)
def test_state_and_restore_change_nothing(seed, cut, document):
    """Restored from JSON in the middle, it does the rest as if nothing had been."""
    queue = played(seed, document)
    middle = int(cut * len(queue.told))
    engine = Engine(document)
    before = [command for event in queue.told[:middle] for command in engine.handle(event)]
    again = Engine.restore(document, json.loads(json.dumps(engine.state())))
    after = [command for event in queue.told[middle:] for command in again.handle(event)]
    assert before + after == queue.commands
    assert json.dumps(again.state()) == json.dumps(queue.engine.state())


@given(SEEDS, st.sampled_from(DOCUMENTS))
@settings(max_examples=50, deadline=None)
def test_a_run_whose_jobs_all_end_comes_to_its_end(seed, document):
    queue = played(seed, document, most=5000)
    engine = queue.engine
    assert engine.done
    left = [job for job in engine.jobs.values() if not job.foreign]
    result = engine.result()
    assert not left or result.ended_by == "terminate"  # which waits for no `clean`
    assert all(job.ended for job in left) or result.left
    assert all(job.seen and not job.held for job in left)
