"""Drive an engine with a simulated queue, in virtual time from 0: no clock, no processes, no waiting.

What is asked of the engine is `Decider`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ensemble.custom import Functions
from ensemble.document import Document
from ensemble.engine import Engine, returned_event, start_event
from ensemble.errors import CustomError
from ensemble.events import Event
from ensemble.job import Spec
from ensemble.results import Command
from ensemble.sim.models import Models, Recipe
from ensemble.sim.queue import Need, SimQueue

YEAR = 365 * 86400.0
MOST_EVENTS = 50_000_000  # of a simulation; a million jobs have five million
MOST_FIRINGS = 2_000_000  # of its rules: what has no end fires one for ever
MOST_SIZES = 1000  # changes of the number of nodes that a summary tells

Call = Callable[[Command], Event]
SpecOf = Callable[[str], Spec]
Listener = Callable[[Command, float], None]  # is told each command with its virtual time


class Decider(Protocol):
    """What a simulation asks of an engine: it is fed `tick` at `next_timer`, and `size` whenever that changes."""

    def handle(self, event: Event) -> Sequence[Command]: ...
    @property
    def done(self) -> bool: ...
    @property
    def next_timer(self) -> float | None: ...


@dataclass(slots=True)
class Summary:
    """What a simulation came to. Times are virtual seconds.

    ended: `done` (nothing runs and no rule can fire), `time` or `events` (endless, as far as the limits on time,
        events and firings of rules show), or `stuck` (nothing will ever happen, but something is waited for).
    sizes: when the number of nodes changed, and to what.
    """

    ended: str = "done"
    makespan: float = 0.0
    events: int = 0
    firings: int = 0
    waiting: int = 0
    running: int = 0
    stuck: int = 0
    longest_queue: int = 0
    usage: dict[str, float] = field(default_factory=dict)
    utilisation: float = 0.0
    wait: dict[str, float] = field(default_factory=dict)
    sizes: list[tuple[float, int]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def need_of(spec: Spec, avoid: Iterable[str] = ()) -> Need:
    """What the simulated queue is asked for."""
    return Need(spec.nodes, spec.tasks, spec.cores, spec.gpus, spec.memory, frozenset(avoid))


def machine_for(specs: Iterable[Spec]) -> tuple[int, int, int]:
    """The least number of nodes, and cores and GPUs of each, that holds any one of these jobs."""
    nodes = cores = 1
    gpus = 0
    for spec in specs:
        nodes = max(nodes, spec.nodes)
        tasks = -(-spec.tasks // spec.nodes) if spec.nodes else 1
        cores, gpus = max(cores, spec.cores * tasks), max(gpus, spec.gpus * tasks)
    for spec in specs:
        if not spec.nodes:
            on_one = max(1, min(cores // max(spec.cores, 1), gpus // spec.gpus if spec.gpus else spec.tasks))
            nodes = max(nodes, -(-spec.tasks // on_one))
    return nodes, cores, gpus


class Simulation:
    """One simulated run of a document.

    engine: decides. spec_of: the spec of an attempt by its name. call: runs a custom function and gives the event with
    what it returned. avoided: names of the nodes that jobs should not run on now. pause: called with how many virtual
    seconds pass before the next event; None lets them pass at once.
    """

    def __init__(
        self,
        engine: Decider,
        queue: SimQueue,
        models: Models,
        spec_of: SpecOf,
        call: Call,
        *,
        avoided: Callable[[], Iterable[str]] = tuple,
        listener: Listener | None = None,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        self.engine, self.queue, self.models = engine, queue, models
        self.now = 0.0
        self.events = self.firings = 0
        self._spec_of, self._call, self._listener, self._pause = spec_of, call, listener, pause
        self._avoided = avoided
        self._recipes: dict[int, tuple[Spec, Need, Recipe]] = {}

    def run(self, limit: float = YEAR, most_events: int = MOST_EVENTS, most_firings: int = MOST_FIRINGS) -> Summary:
        """Run until nothing is left to happen, or to `limit` (virtual seconds), or until there were that many."""
        engine, queue, now = self.engine, self.queue, 0.0
        handle, obey = engine.handle, self._obey
        self._tell_size()
        self._feed(start_event(now))
        ended = "done"
        events = 0
        while not engine.done:
            happens, timer = queue.next_time(now), engine.next_timer
            then = timer if happens is None else happens if timer is None else min(happens, timer)
            if then is None:
                ended = "stuck"
                break
            if then > limit:
                ended, self.now = "time", limit
                break
            if events > most_events or self.firings > most_firings:
                ended = "events"
                break
            if self._pause and then > now:
                self._pause(then - now)
            self.now = now = max(now, then)
            if timer is not None and timer <= now and (happens is None or timer < happens):
                self._feed(Event("tick", now))
                events += 1
                continue
            told = queue.advance(now)
            events += len(told)
            for event in told:
                if commands := handle(event):
                    obey(commands)
        self.events = events
        return self._summary(ended)

    def _feed(self, event: Event) -> None:
        self._obey(self.engine.handle(event))

    def _obey(self, commands: Sequence[Command]) -> None:
        # Custom functions come after the other commands of their event, as in a run.
        todo: deque[Command] = deque(commands)
        later: deque[Command] = deque()
        while todo or later:
            if not todo:
                todo.extend(self.engine.handle(self._call(later.popleft())))
                continue
            command = todo.popleft()
            if self._listener:
                self._listener(command, self.now)
            match command.kind:
                case "trigger":
                    self.firings += 1
                case "submit":
                    self.queue.submit(self._jobs(command), self.now)
                case "cancel" | "terminate" if not command.leave:
                    self.queue.cancel(command.jobs, self.now)
                case "resize":
                    self._resize(command.nodes)
                case "custom":
                    later.append(command)

    def _jobs(self, command: Command) -> Iterator[tuple[str, Need, Recipe]]:
        """The jobs of a command; those that share a spec share what is worked out from it."""
        known, avoid = self._recipes, frozenset(self._avoided())
        for name in command.jobs:
            spec = self._spec_of(name)
            found = known.get(id(spec))
            if found is None or found[0] is not spec:
                if len(known) > 10_000:
                    known.clear()
                found = known[id(spec)] = (spec, need_of(spec), self.models.recipe(spec))
            yield name, found[1]._replace(avoid=avoid) if avoid else found[1], found[2]

    def _resize(self, nodes: int) -> None:
        if most := self.queue.most:
            if nodes > most:
                error = f"the simulated queue has at most {most} nodes, not {nodes}"
                self._feed(Event("resize-failed", self.now, context={"error": error}))
            nodes = min(nodes, most)
        self.queue.resize(nodes, self.now)
        self._tell_size()

    def _tell_size(self) -> None:
        self._feed(Event("size", self.now, context={"nodes": self.queue.size}))

    def _summary(self, ended: str) -> Summary:
        queue = self.queue
        usage = queue.usage(self.now)
        cores = usage["node_hours"] * queue.cores
        return Summary(
            ended=ended,
            makespan=self.now,
            events=self.events,
            firings=self.firings,
            waiting=queue.waiting,
            running=queue.running,
            stuck=queue.stuck() if ended != "done" else 0,
            longest_queue=queue.longest,
            usage=usage,
            utilisation=usage["core_hours"] / cores if cores else 0.0,
            wait=_waits(queue.waits),
            sizes=queue.sizes[:MOST_SIZES],
        )


def specs_of(document: Document, engine: Engine) -> SpecOf:
    """The specs of attempts by name; those of a group whose jobs are all the same share one."""
    shared: dict[tuple[str, int, int, int], Spec | None] = {}

    def spec_of(name: str) -> Spec:
        job = engine.jobs[name]
        key = (job.group, job.overrides, job.attempt, job.retried)
        spec = shared.get(key)
        if spec is not None:
            return spec
        group, overrides = document.jobs[job.group], engine.overrides[job.overrides]
        spec = group.spec(name, job.index, job.attempt, overrides, escalation=job.retried)
        if key not in shared:
            # Another name and index, the same spec: neither they nor parameters are in it.
            other = group.spec("", job.index + 1, job.attempt, overrides, escalation=job.retried)
            same = other == spec and group.overridden(overrides).parameters.size == 1
            shared[key] = spec if same else None
        return spec

    return spec_of


def caller(
    engine: Engine, functions: Functions, failed: Callable[[CustomError], None], now: Callable[[], float]
) -> Call:
    """Runs the document's own functions, as a run does; there is no queue's client, so `handle` is None."""

    def call(command: Command) -> Event:
        arguments = {
            "metrics": engine.metrics,
            "event": command.event,
            "rule": command.rule,
            "action": command.action,
            "handle": None,
        }
        try:
            returned = functions.call(command.label, arguments)
        except CustomError as error:
            failed(error)
            return returned_event(now(), command.call, error=str(error))
        return returned_event(now(), command.call, returned.actions, returned.rules)

    return call


def _waits(waits: Iterable[float]) -> dict[str, float]:
    ordered = sorted(waits)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {"median": ordered[last // 2], "p90": ordered[round(last * 0.9)], "max": ordered[-1]}
