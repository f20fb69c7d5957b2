"""Jobs on a simulated cluster, in virtual time: nothing is run. For trying out rules, and for tests of them.

Settings: nodes, cores, gpus, memory (of each node; 1 node with 1 core where they are not said), max_nodes, seed,
speed (`max`, or how many virtual seconds pass in a second), models (how the jobs of each group behave), like (the
directory of a run whose durations are drawn from).

Event times start at the moment when the run does, and go on in virtual time. With speed `max` the queue gives rules
some turns to answer, but does not wait for slow ones: what they ask for takes effect at the virtual time at which it
arrives. Rules on counts decide the same as anywhere; exact times are what `ensemble simulate` is for.

The simulation is a function of what it was asked for and when. That, and how far the virtual time got, is in a log
in the run's folder; after a resume it is computed once more from there.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ensemble.errors import EnsembleError, MemberError, SpecError
from ensemble.events import COURSE, Event
from ensemble.job import Job, Known
from ensemble.member import Emit, Lost, Member, Options
from ensemble.sim.models import Recipe, read_recipe
from ensemble.sim.queue import Need, SimQueue
from ensemble.sim.settings import read_settings
from ensemble.sim.simulate import need_of

FORMAT = 1  # of the log
NAME = "sim.jsonl"
TURNS = 20  # of the loop, between two moments at speed `max`: as many as rules need to answer, as a rule


class SimMember(Member):
    """See above."""

    name = "sim"
    remote = False
    no_resize = ""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        try:
            self._settings = read_settings(options.settings)
            self._models = self._settings.build()
        except SpecError as error:
            raise MemberError(self.name, str(error)) from None
        except EnsembleError as error:
            raise MemberError(self.name, f"like: {error}") from None
        self._task: asyncio.Task[None] | None = None
        self._log: IO[str] | None = None

    @classmethod
    def unavailable(cls) -> str:
        return ""

    async def open(self, emit: Emit, lost: Lost) -> None:
        self._emit = emit
        settings = self._settings
        self._queue = SimQueue(
            settings.nodes or 1, settings.cores or 1, settings.gpus or 0, settings.memory or 0, most=settings.max_nodes
        )
        self._now = 0.0
        self._origin = time.time()
        self._kinds: dict[tuple[Need, Recipe], int] = {}
        # Events of jobs that the log knows and the run has not asked for yet.
        self._held: dict[str, list[Event]] = {}
        self._wake = asyncio.Event()
        folder = self.options.folder
        if folder is not None:
            try:
                self._resume(folder / NAME)
            except OSError as error:
                raise MemberError(self.name, f"{folder / NAME}: {error.strerror}") from None
        self._task = asyncio.create_task(self._pass_time())
        self._task.add_done_callback(lambda task: _tell(task, lost))

    async def submit(self, jobs: Sequence[Job]) -> None:
        self._catch_up()
        fresh = [(job.name, *self._kind(job)) for job in jobs if job.name not in self._queue]
        if self._log:
            # Logged first: whoever is killed before its events are told finds it again.
            self._write(submit=[[name, self._number(need, recipe)] for name, need, recipe in fresh])
        self._queue.submit(fresh, self._now)
        self._wake.set()

    async def adopt(self, known: Sequence[Known]) -> Collection[str]:
        self._catch_up()
        absent = []
        told: list[Event] = []
        for one in known:
            events = self._held.pop(one.job.name, None)
            if events is None:
                absent.append(one.job.name)
            else:
                told += _after(events, one.seen)
        self._held.clear()  # of the rest the run knows the end
        for event in sorted(told, key=lambda event: event.time):
            self._emit(event)
        return absent

    async def cancel(self, names: Sequence[str]) -> None:
        self._catch_up()
        self._write(cancel=list(names))
        self._queue.cancel(names, self._now)
        self._wake.set()

    async def resize(self, nodes: int) -> None:
        if nodes < 0 or (self._queue.most and nodes > self._queue.most):
            raise MemberError(self.name, f"it has from 0 to {self._queue.most or 'any number of'} nodes, not {nodes}")
        self._catch_up()
        self._write(resize=nodes)
        self._queue.resize(nodes, self._now)
        self._wake.set()

    @property
    def size(self) -> int | None:
        return self._queue.size

    async def close(self, *, leave: bool = False) -> None:
        if self._task:
            task, self._task = self._task, None
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if not leave:
                names = list(self._queue.names)
                self._write(cancel=names)
                self._queue.cancel(names, self._now)
                self._advance_due()
        if self._log:
            self._log.close()
            self._log = None

    async def _pass_time(self) -> None:
        """Let virtual time pass, as fast as the settings say."""
        speed = self._settings.speed
        while True:
            self._wake.clear()
            then = self._queue.next_time(self._now)
            if then is None:
                await self._wake.wait()
            elif math.isinf(speed):
                self._advance(then)
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            elif (delay := (then - self._clock()) / speed) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await self._wake.wait()
            else:
                self._advance(then)
                await asyncio.sleep(0)

    def _clock(self) -> float:
        """The virtual time now; with speed `max` it stands until something happens."""
        if math.isinf(self._settings.speed):
            return self._now
        return max(self._now, (time.time() - self._origin) * self._settings.speed)

    def _catch_up(self) -> None:
        """What was due before now happens before anything new is asked for."""
        now = self._clock()
        while (then := self._queue.next_time(self._now)) is not None and then < now:
            self._advance(then)
        self._now = now

    def _advance_due(self) -> None:
        while self._queue.next_time(self._now) == self._now:
            self._advance(self._now)

    def _advance(self, then: float) -> None:
        if then > self._now:
            self._now = then
            if math.isinf(self._settings.speed):
                self._write()
        for event in self._queue.advance(self._now):
            # Events are told in the time of the run, not of the simulation.
            told = replace(event, time=self._origin + event.time)
            if (held := self._held.get(event.job)) is not None:
                held.append(told)
            else:
                self._emit(told)

    def _kind(self, job: Job) -> tuple[Need, Recipe]:
        return need_of(job.spec, job.avoid), self._models.recipe(job.spec)

    def _number(self, need: Need, recipe: Recipe) -> int:
        """The number of a kind of jobs in the log."""
        number = self._kinds.get((need, recipe))
        if number is None:
            number = self._kinds[need, recipe] = len(self._kinds)
            self._write(kind={"need": need[:-1], "avoid": sorted(need.avoid), "recipe": recipe.as_dict()})
        return number

    def _write(self, **entry: Any) -> None:
        """One line of the log, with the virtual time; it has left this process before anybody is told of it."""
        if self._log:
            self._log.write(json.dumps({"at": self._now, **entry}) + "\n")
            self._log.flush()

    def _resume(self, path: Path) -> None:
        """Take up the log, or begin one."""
        settings = self._settings
        machine = [settings.nodes or 1, settings.cores or 1, settings.gpus or 0, settings.memory or 0]
        entries, size = _read(path)
        # Opened first: what is computed again isn't logged again.
        log = path.open("r+" if entries else "w", encoding="utf-8")
        path.chmod(0o600)
        if not entries:
            self._log = log
            begun = {"format": FORMAT, "origin": self._origin, "machine": machine, "most": settings.max_nodes}
            log.write(json.dumps(begun) + "\n")
            log.flush()
            return
        log.seek(size)
        log.truncate()  # a line that was being written when the process ended
        head, *rest = entries
        if head.get("format") != FORMAT:
            raise MemberError(self.name, f"{path} is no log of this version")
        self._origin = float(head["origin"])
        self._queue = SimQueue(*head["machine"], most=head["most"])
        kinds: list[tuple[Need, Recipe]] = []
        for entry in rest:
            self._replay(float(entry["at"]))
            if kind := entry.get("kind"):
                need = Need(*kind["need"])._replace(avoid=frozenset(kind["avoid"]))
                kinds.append((need, read_recipe(kind["recipe"])))
            if jobs := entry.get("submit"):
                self._held |= {name: [] for name, _ in jobs}
                self._queue.submit(((name, *kinds[number]) for name, number in jobs), self._now)
            if names := entry.get("cancel"):
                self._queue.cancel(names, self._now)
            if "resize" in entry:
                self._queue.resize(entry["resize"], self._now)
        self._replay(self._clock())
        self._kinds = {kind: number for number, kind in enumerate(kinds)}
        self._log = log

    def _replay(self, until: float) -> None:
        while (then := self._queue.next_time(self._now)) is not None and then <= until:
            self._advance(then)
        self._now = max(self._now, until)


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The whole lines of a log, and how many bytes they are."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    size = data.rfind(b"\n") + 1
    try:
        return [json.loads(line) for line in data[:size].splitlines()], size
    except ValueError as error:
        raise MemberError("sim", f"{path} is damaged: {error}") from None


def _after(events: Iterable[Event], seen: str) -> list[Event]:
    """The events of a job after the last one of COURSE that was seen."""
    events = list(events)
    if seen in COURSE:
        places = [place for place, event in enumerate(events) if event.name == seen]
        return events[places[0] + 1 :] if places else events
    return events


def _tell(task: asyncio.Task[None], lost: Lost) -> None:
    if not task.cancelled() and isinstance(error := task.exception(), Exception):
        lost(error)


MEMBER = SimMember
