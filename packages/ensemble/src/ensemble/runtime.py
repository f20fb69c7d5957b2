"""The runtime: takes events from a member to the engine, and the engine's commands to the member."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from ensemble.custom import Functions, Returned
from ensemble.document import Document
from ensemble.engine import Command, Engine, Result, returned_event, start_event
from ensemble.errors import CustomError
from ensemble.events import Event
from ensemble.member import Job, Member

STOP_WITHIN = 3.5  # seconds from a signal until no more is waited for, whatever still runs
CLOSE_WITHIN = 1.0  # and then for the member to let go


class Reporter(Protocol):
    """Is told what happens, as it happens."""

    def event(self, event: Event) -> None: ...
    def command(self, command: Command) -> None: ...
    def custom_failed(self, error: CustomError) -> None: ...
    def stopping(self, why: str) -> None: ...


class Runtime:
    """One run of a document on a member."""

    def __init__(self, document: Document, member: Member, functions: Functions) -> None:
        self.document = document
        self.member = member
        self.engine = Engine(document.jobs, document.rules)
        self._functions = functions
        self._why_stopped = ""

    async def run(self, reporter: Reporter) -> Result:
        """Returns when nothing runs and no rule can fire any more, or after a stop on SIGINT, SIGTERM or SIGHUP.

        Raises MemberError where the member can't be used, or is lost.
        """
        self._reporter = reporter
        self._events: asyncio.Queue[Event | Exception] = asyncio.Queue()
        self._beat = time.monotonic() + self.document.heartbeat
        try:
            await self.member.open(self._events.put_nowait, self._events.put_nowait)
            work = asyncio.create_task(self._work())
            with self._signals(work):
                try:
                    await work
                except asyncio.CancelledError:
                    if not self._why_stopped:
                        raise
                    await self._stop()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN if self._why_stopped else None):
                    await self.member.close()
        while not self._events.empty():  # what closing still told
            await self._take(self._events.get_nowait())
        return self.engine.result()

    async def _work(self) -> None:
        await self._handle(start_event(time.time()))
        while not self.engine.done:
            await self._take(await self._next())

    async def _stop(self) -> None:
        self._reporter.stopping(self._why_stopped)
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await self._handle(Event("stop", time.time(), context={"reason": self._why_stopped}))
                while self.engine.jobs:
                    await self._take(await self._events.get())
        except TimeoutError:
            return

    async def _take(self, event: Event | Exception) -> None:
        if isinstance(event, Exception):
            raise event
        await self._handle(event)

    async def _next(self) -> Event | Exception:
        """The next event: a member's, or the heartbeat's when it is due."""
        if not self.document.heartbeat:
            return await self._events.get()
        try:
            async with asyncio.timeout(self._beat - time.monotonic()):
                return await self._events.get()
        except TimeoutError:
            # From now, not from when it was due: after a long pause they don't come all at once.
            self._beat = time.monotonic() + self.document.heartbeat
            return Event("heartbeat", time.time())

    async def _handle(self, event: Event) -> None:
        # Custom functions come after the other commands of their event: they may take long, and a
        # stop meanwhile must not leave a job that the engine knows and the member does not.
        pending: deque[Event | Command] = deque([event])
        while pending:
            item = pending.popleft()
            if isinstance(item, Command):
                pending.append(await self._custom(item))
                continue
            self._reporter.event(item)
            for command in self.engine.handle(item):
                self._reporter.command(command)
                match command.kind:
                    case "submit":
                        await self.member.submit(
                            [Job(name, self.document.jobs[command.label]) for name in command.jobs]
                        )
                    case "cancel" | "terminate":
                        await self.member.cancel(command.jobs)
                    case "custom":
                        pending.append(command)

    async def _custom(self, command: Command) -> Event:
        """Call the function in a thread of its own, so that a slow one does not hold up a stop."""
        arguments = {
            "metrics": self.engine.metrics,
            "event": command.event,
            "rule": command.rule,
            "action": command.action,
            "handle": self.member.handle,
        }
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Returned | CustomError] = loop.create_future()

        def call() -> None:
            result: Returned | CustomError
            try:
                result = self._functions.call(command.label, arguments)
            except CustomError as error:
                result = error
            loop.call_soon_threadsafe(settle, result)

        def settle(result: Returned | CustomError) -> None:
            if not answer.done():
                answer.set_result(result)

        threading.Thread(target=call, name="custom", daemon=True).start()
        result = await answer
        if isinstance(result, CustomError):
            self._reporter.custom_failed(result)
            return returned_event(time.time(), error=str(result))
        return returned_event(time.time(), result.actions, result.rules)

    @contextmanager
    def _signals(self, work: asyncio.Task[None]) -> Iterator[None]:
        """A signal ends the work; only the main thread has signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        wanted = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            wanted.append(signal.SIGHUP)

        def stop(name: str) -> None:
            self._why_stopped = self._why_stopped or name
            work.cancel()

        for number in wanted:
            loop.add_signal_handler(number, stop, number.name)
        try:
            yield
        finally:
            for number in wanted:
                loop.remove_signal_handler(number)
