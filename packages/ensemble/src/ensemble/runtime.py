"""The runtime of one run: events from the member to the engine, the engine's commands to the member, all journalled.

What a batch of events leads to is written down before any of it is done.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import signal
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from resources.plugins import Registry

from ensemble.calls import Caller
from ensemble.custom import Functions
from ensemble.dispatch import Dispatcher
from ensemble.document import Document
from ensemble.engine import Engine, start_event
from ensemble.errors import CustomError, EnsembleError, MemberError
from ensemble.events import Event
from ensemble.job import Job, Spec
from ensemble.jobs import JobState
from ensemble.journal import Journal
from ensemble.member import Member, Unreachable
from ensemble.plugins import Plugin
from ensemble.requests import Requests
from ensemble.results import Command, Result
from ensemble.tails import Tails
from ensemble.watcher import Watcher

STOP_WITHIN = 1.0  # seconds for what is under way to let go after a stop
CLOSE_WITHIN = 2.5  # and then for the member
AT_ONCE = 10_000  # events that are taken in, and written down, together: a stop waits for no more
END_WITHIN = 10.0  # and after the run's own end, when nothing runs any more


class Reporter(Protocol):
    """Is told what happens, as it happens."""

    def event(self, event: Event) -> None: ...
    def command(self, command: Command) -> None: ...
    def custom_failed(self, error: CustomError) -> None: ...
    def say(self, kind: str, text: str) -> None: ...


class Runtime:
    """One run of a document on a member.

    signals: whether SIGINT, SIGTERM and SIGHUP stop it; a process with several runs has its own way.
    stopped: why it was stopped before its end (the name of a signal), empty where it was not.
    """

    def __init__(
        self,
        document: Document,
        member: Member,
        plugins: Registry[Plugin],
        *,
        engine: Engine | None = None,
        journal: Journal | None = None,
        signals: bool = True,
    ) -> None:
        self.document = document
        self.member = member
        self.engine = engine or Engine(document)
        self.stopped = ""
        self._wants_signals = signals
        self._plugins = plugins
        self._functions = Functions(document, plugins)
        self._journal = journal
        self._changed: dict[str, JobState] = {}
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._taken: list[asyncio.Future[None]] = []
        self._stop = asyncio.Event()
        self._callback_error: MemberError | None = None
        self._specs: dict[tuple[str, int, int], tuple[int, int]] = {}
        self._wanted: dict[str, bool] = {}

    async def run(self, reporter: Reporter) -> Result:
        """Returns when nothing runs and no rule can fire any more, or after a stop on SIGINT, SIGTERM or SIGHUP.

        Raises MemberError where the member can't be used, or is lost for good.
        """
        self._reporter = reporter
        self._dispatcher = Dispatcher(self.member, self.engine, self, self._job, self._say)
        self._caller = Caller(self._functions, self.engine, self.member, self.feed, reporter.custom_failed)
        self._watcher = Watcher(self.engine, self.member, self._plugins, self.feed, self._say)
        self._tails = Tails(self.member, self._journal)
        self._requests = Requests(self._journal.folder if self._journal else None, self.feed, self.settled)
        if self._journal:
            self.engine.changed = self._changed
            self.engine.on_value = self._value
        with self._signals():
            try:
                await self._first_done(asyncio.create_task(self._all()))
            except EnsembleError:
                raise
            except Exception as error:
                raise self._whose(error) from error
            finally:
                await self._close()
        result = self.engine.result()
        for failure in result.failures:
            if found := self._tails.find(failure["job"]):
                failure["stderr"] = found[1]
        return result

    # What the dispatcher and the others call

    def feed(self, event: Event) -> None:
        """Give an event to the engine, in its turn."""
        self._events.append(event)
        self._news.set()

    async def settled(self) -> None:
        """Returns when all that was fed before has been taken in."""
        if self._events:
            taken = asyncio.get_running_loop().create_future()
            self._taken.append(taken)
            await taken

    # The work

    async def _all(self) -> None:
        """The work and its helpers, until the work is done; what ends one of the others ends it all."""
        await self.member.open(self.feed, self._dispatcher.lost)
        helpers = (self._dispatcher, self._watcher, self._tails, self._requests)
        tasks = [asyncio.create_task(self._work()), *(asyncio.create_task(helper.work()) for helper in helpers)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=STOP_WITHIN)

    async def _work(self) -> None:
        if self.engine.started:
            if not self.engine.done:  # else it was killed before it could say so
                await self._go_on()
        else:
            # A rule on the start may ask for more nodes than there are: how many that is comes first.
            self._take([*self._size(), *self._drain(), start_event(time.time())])
        while not self.engine.done:
            await self._wait()
            self._turn()
            await asyncio.sleep(0)  # the others' turn, however fast the events come
        await self._dispatcher.finish()
        self._take(list(self._drain()))
        await self._tails.finish()

    async def _go_on(self) -> None:
        """After a resume: what was under way is looked up, and what was not done yet is done."""
        jobs = [name for name, job in self.engine.jobs.items() if not (job.held or job.foreign)]
        self._dispatcher.resume(jobs)
        for name in jobs:
            if self.engine.jobs[name].started is not None:
                self._watcher.started(name)
        self._watcher.wake()
        adoption = asyncio.create_task(self._dispatcher.adopt())
        while not adoption.done():
            await asyncio.wait([adoption], timeout=0.01)
            self._turn()
        try:
            await adoption
        except Unreachable as error:
            self._dispatcher.lost(error)  # it tries again, and adopts then
        for failure in self.engine.result().failures:
            if not self._tails.find(failure["job"]):
                self._tails.want(failure["job"])
        for call in list(self.engine.calls.values()):
            self._caller.call(call)
        for event in self._size():
            self.feed(event)

    def _turn(self) -> None:
        """Take in all that has come, and the tick if it is due."""
        batch = list(islice(self._drain(), AT_ONCE))
        due = self.engine.next_timer
        if due is not None and time.time() >= due:
            batch.append(Event("tick", time.time()))
        if batch:
            self._take(batch)
        if not self._events:
            for taken in self._taken:
                if not taken.done():
                    taken.set_result(None)
            self._taken.clear()

    def _drain(self) -> Iterator[Event]:
        while self._events:
            yield self._events.popleft()

    async def _wait(self) -> None:
        """Until there are events, or a timer is due."""
        if self._events:
            return
        self._news.clear()
        due = self.engine.next_timer
        with suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(0.0, due - time.time())):
                await self._news.wait()

    def _take(self, batch: Iterable[Event]) -> None:
        """Feed the engine, write it all down, and then do what follows."""
        commands: list[Command] = []
        for event in batch:
            if event.job and self._watcher.holds_back(event):
                continue
            self._reporter.event(event)
            if self._journal and self._matters(event):
                self._journal.add(event)
            followed = self.engine.handle(event)
            if followed:
                commands += followed
            if event.job:
                self._after(event)
            elif event.name == "custom":
                self._wanted.clear()  # a rule that it returned may wait for other events than those so far
        if self._journal:
            for command in commands:
                self._journal.decide(command, command.event.time if command.event else time.time())
            self._journal.commit((name, job, self._amounts(job)) for name, job in self._changed.items())
            if self._journal.wants_snapshot:
                self._journal.snapshot(self.engine.state())
        for name, job in self._changed.items():
            if job.ended and not job.foreign and job.outcome not in ("success", "cancelled"):
                self._tails.want(name)
        self._changed.clear()
        for command in commands:
            self._reporter.command(command)
            self._do(command)

    def _matters(self, event: Event) -> bool:
        """Whether a replay needs the event: most of what Flux tells of a job changes nothing."""
        if not event.job:
            return True
        wanted = self._wanted.get(event.name)
        if wanted is None:
            wanted = self._wanted[event.name] = self.engine.wants(event.name)
        return wanted and (event.job in self.engine.jobs or "foreign" in event.context)

    def _after(self, event: Event) -> None:
        if event.name == "start":
            self._watcher.started(event.job)
            self._watcher.wake()
        elif event.name == "clean":
            self._dispatcher.ended(event.job)

    def _do(self, command: Command) -> None:
        match command.kind:
            case "submit":
                self._dispatcher.submit(command.jobs)
            case "cancel":
                self._dispatcher.cancel(command.jobs)
            case "terminate":
                if not command.leave:
                    self._dispatcher.cancel(command.jobs)
            case "resize":
                self._dispatcher.resize(command.nodes)
            case "custom":
                self._caller.call(command)

    def _job(self, name: str) -> Job:
        job = self.engine.jobs[name]
        spec = self._spec(name, job)
        return Job(name, f"{self.member.options.run}-{name}", spec, tuple(self.engine.suspects.avoided))

    def _spec(self, name: str, job: JobState) -> Spec:
        overrides = self.engine.overrides[job.overrides]
        return self.document.jobs[job.group].spec(name, job.index, job.attempt, overrides, escalation=job.retried)

    def _amounts(self, job: JobState) -> tuple[int, int]:
        """How many nodes and cores an attempt asks for; of a foreign one nobody knows."""
        if job.foreign:
            return 0, 0
        key = (job.group, job.overrides, job.retried)  # what an attempt asks for grows with those
        if key not in self._specs:
            spec = self._spec(job.group, job)
            self._specs[key] = (spec.nodes, spec.tasks * spec.cores)
        return self._specs[key]

    def _value(self, key: str, at: float, value: float) -> None:
        if self._journal:
            self._journal.point(key, at, value, self.engine.metrics.get(f"mean.{key}"))

    def _size(self) -> list[Event]:
        """How many nodes the member has, where it knows: what grow and shrink count from."""
        size = self.member.size
        return [] if size is None else [Event("size", time.time(), context={"nodes": size})]

    def _say(self, kind: str, text: str) -> None:
        self._reporter.say(kind, text)

    # The end

    async def _first_done(self, work: asyncio.Task[None]) -> None:
        """Until the work is done, a signal stops it, or a callback of the member's fails."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._failed_callback)
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([work, stop], return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()  # a member that will not be cancelled is left behind
                await asyncio.wait([work], timeout=2 * STOP_WITHIN)
        finally:
            stop.cancel()
            work.cancel()
        if self._callback_error is not None:
            raise self._callback_error
        if work.done() and not work.cancelled():
            work.result()

    def _failed_callback(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What asyncio has to tell of callbacks: one of the member's that failed may have swallowed events."""
        error = context.get("exception")
        if isinstance(error, Exception) and (place := self._place(error)):
            self._callback_error = self._callback_error or self._fault(error, place)
            self._stop.set()
        elif error is not None:
            self._say("member", f"{type(error).__name__}: {error}")

    def _whose(self, error: Exception) -> Exception:
        """An error that nobody expected: a fault of the member, where it passed through its code."""
        place = self._place(error)
        return self._fault(error, place) if place else error

    def _place(self, error: Exception) -> str:
        """The last line of the member's own code that an error came through, empty where there is none."""
        files = {
            inspect.getfile(kind) for kind in type(self.member).__mro__ if kind is not Member and kind is not object
        }
        files.discard(inspect.getfile(Member))
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""

    def _fault(self, error: Exception, place: str) -> MemberError:
        name = self.member.name or type(self.member).__module__.rpartition(".")[2].removeprefix("ensemble_")
        told = " ".join(f"{type(error).__name__}: {error}".split())
        failed = MemberError(name, f"it failed where it must not: {told} ({place})")
        failed.__cause__ = error
        return failed

    async def _close(self) -> None:
        unfinished = not self.engine.done
        closing = asyncio.create_task(self.member.close(leave=unfinished or bool(self.engine.jobs)))
        try:
            done, _ = await asyncio.wait([closing], timeout=CLOSE_WITHIN if unfinished else END_WITHIN)
            if not done:
                closing.cancel()
                self._say("member", "the member did not close in time")
            elif not closing.cancelled() and (error := closing.exception()):
                self._say("member", f"the member did not close in order: {error}")
        finally:
            if self._journal and not self._journal.broken:
                self._take_down(self._journal)

    def _take_down(self, journal: Journal) -> None:
        """The last words: what came while closing is for the engine too, but nothing is done about it any more."""
        for event in self._drain():
            if event.job and self._matters(event):
                journal.add(event)
                for command in self.engine.handle(event):
                    journal.decide(command, event.time)
                    self._reporter.command(command)
        journal.commit((name, job, self._amounts(job)) for name, job in self._changed.items())
        calls = Counter(json.loads(journal.meta.get("calls", "{}")))
        journal.note({"calls": json.dumps(calls + self.member.calls), "owner": ""})

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """A signal ends the work; only the main thread has signals."""
        if not self._wants_signals or threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        wanted = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            wanted.append(signal.SIGHUP)

        def stop(name: str) -> None:
            self.stopped = self.stopped or name
            self._stop.set()

        def hurry(*_: object) -> None:
            """At once, also while the loop waits for a database that another program holds."""
            if self._journal:
                self._journal.hurry = True

        for number in wanted:
            loop.add_signal_handler(number, stop, number.name)
            signal.signal(number, hurry)  # the loop's own handler does nothing: it is woken by a descriptor
            signal.siginterrupt(number, False)
        try:
            yield
        finally:
            for number in wanted:
                loop.remove_signal_handler(number)


def replay(document: Document, journal: Journal, tell: Callable[[int], None] | None = None) -> Engine:
    """The engine of a run as its journal has it. Raises JournalError where that can't be read."""
    state, events = journal.restored()
    engine = Engine.restore(document, state) if state else Engine(document)
    handle = engine.handle
    count = 0
    for event in events:
        handle(event)
        count += 1
    if tell:
        tell(count)
    return engine
