"""The agent: stands beside a queue, connects to a server, and lets it use the queue through real members.

There is one member for each run, in a folder of its own, so that tokens and adoption are as they are without a service.
A member's life is a session: it ends when the stream breaks, and what goes on then is learned again by adoption.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from ensemble.errors import MemberError, ServiceError
from ensemble.events import Event
from ensemble.job import Job, Known
from ensemble.member import READ_LIMIT, Member, Unreachable
from ensemble.service.convert import (
    KNOWN_EVENTS,
    MOST_BYTES,
    MOST_ITEMS,
    NAME,
    RUN,
    error_message,
    event_message,
    job_of,
    known_of,
    parts,
    unicode,
)
from ensemble.service.v1 import ensemble_pb2 as pb

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # seconds between two tries to connect
WELCOME_WITHIN = 30.0
LET_GO_WITHIN = 4.0  # seconds, when the agent is stopped
# Events of a run that may wait for the server, beside those that its adoption has told at once. Beyond it the agent
# lets go of the run, to adopt when the server takes events again: the queue remembers them better than our memory.
MOST_EVENTS = 100_000
# Answers of the server after which it makes no sense to try again.
FINAL = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
)


class Outbox:
    """What is to be said on one stream, in order. Events are packed as they are taken out."""

    def __init__(self) -> None:
        self.closed = False
        self._items: deque[pb.AgentMessage | tuple[Hosted, int, pb.JobEvent]] = deque()
        self._news = asyncio.Event()

    def say(self, message: pb.AgentMessage) -> None:
        if not self.closed:
            self._items.append(message)
            self._news.set()

    def event(self, hosted: Hosted, session: int, event: pb.JobEvent) -> None:
        if not self.closed:
            hosted.unsent += 1
            self._items.append((hosted, session, event))
            self._news.set()

    async def messages(self) -> AsyncIterator[pb.AgentMessage]:
        """Without an end."""
        while True:
            while not self._items:
                self._news.clear()
                await self._news.wait()
            item = self._items.popleft()
            yield item if isinstance(item, pb.AgentMessage) else self._packed(*item)

    def _packed(self, hosted: Hosted, session: int, first: pb.JobEvent) -> pb.AgentMessage:
        """An event, and those that follow it of the same session, as far as they fit."""
        batch, total = [first], first.ByteSize()
        while self._items and len(batch) < MOST_ITEMS and total < MOST_BYTES:
            item = self._items[0]
            if isinstance(item, pb.AgentMessage) or item[0] is not hosted or item[1] != session:
                break
            self._items.popleft()
            batch.append(item[2])
            total += item[2].ByteSize() + 8
        hosted.unsent -= len(batch)
        calls = hosted.calls()
        return pb.AgentMessage(events=pb.Events(run=hosted.run, session=session, events=batch, calls=calls))


class Hosted:
    """A run's member here. Its calls come one after the other; a session is over before the next begins."""

    def __init__(self, run: str, make: Callable[[str], Member]) -> None:
        self.run = run
        self.session = 0
        self.unsent = 0  # events that wait
        self._most = MOST_EVENTS
        self._make = make
        self._member: Member | None = None
        self._outbox = Outbox()
        self._lock = asyncio.Lock()

    def calls(self) -> dict[str, int]:
        return dict(self._member.calls) if self._member else {}

    async def open(self, session: int, outbox: Outbox) -> pb.Answer:
        async with self._lock:
            await self._close(leave=True)
            member = self._make(self.run)
            self._member, self.session = member, session
            self._outbox, self.unsent, self._most = outbox, 0, MOST_EVENTS
            try:
                await member.open(lambda event: self._emit(session, event), lambda error: self._lost(session, error))
            except BaseException:
                self._member, self.session = None, 0
                raise
            return pb.Answer(size=_size(member), output=unicode(member.output))

    async def submit(self, session: int, jobs: list[Job]) -> pb.Answer:
        async with self._lock:
            member = self._of(session)
            await member.submit(jobs)
            return pb.Answer()

    async def adopt(self, session: int, known: list[Known]) -> pb.Answer:
        async with self._lock:
            member = self._of(session)
            self._most = sys.maxsize
            absent = await member.adopt(known)
            self._most = MOST_EVENTS + self.unsent
            return pb.Answer(absent=sorted(absent))

    async def cancel(self, session: int, names: list[str]) -> pb.Answer:
        async with self._lock:
            await self._of(session).cancel(names)
            return pb.Answer()

    async def resize(self, session: int, nodes: int) -> pb.Answer:
        async with self._lock:
            member = self._of(session)
            await member.resize(nodes)
            return pb.Answer(size=_size(member))

    async def read(self, session: int, read: pb.Read) -> pb.Answer:
        member = self._of(session)
        limit = min(read.limit or READ_LIMIT, READ_LIMIT)
        if read.file:
            return pb.Answer(data=await member.read_file(read.file, read.offset, limit))
        if not NAME.fullmatch(read.job) or read.stream not in ("out", "err"):
            raise ServiceError(f"there is no stream {read.stream[:20]!r} of job {read.job[:80]!r}")
        return pb.Answer(data=await member.read(read.job, read.stream, read.offset, limit))

    async def close(self, session: int, *, leave: bool) -> pb.Answer:
        async with self._lock:
            if session != self.session:
                return pb.Answer()
            calls = self.calls()
            await self._close(leave=leave)
            return pb.Answer(calls=calls)

    async def release(self) -> None:
        """The stream is gone: leave everything to the queue, when the call that is being made has returned."""
        async with self._lock:
            await self._close(leave=True)

    async def _close(self, *, leave: bool) -> None:
        try:
            if self._member:
                await self._member.close(leave=leave)
        finally:
            self._member, self.session = None, 0

    def _of(self, session: int) -> Member:
        if self._member is None or session != self.session:
            raise Unreachable("agent", f"the session of run {self.run} is over")
        return self._member

    def _emit(self, session: int, event: Event) -> None:
        if session != self.session or self._member is None:
            return
        if event.name not in KNOWN_EVENTS or not NAME.fullmatch(event.job):
            return
        bad = event.name == "exception" or (event.name == "finish" and event.context.get("status") != 0)
        self._outbox.event(self, session, event_message(event, self._member.where(event.job) if bad else ""))
        if self.unsent > self._most:
            self._lost(session, Unreachable("agent", f"{self.unsent} events wait for the server"))

    def _lost(self, session: int, error: Exception) -> None:
        if session == self.session:
            self.session = 0  # no more events; the member is closed by the server's next call, or with the stream
            lost = pb.Lost(run=self.run, session=session, error=error_message(error))
            self._outbox.say(pb.AgentMessage(lost=lost))


class Agent:
    """`make` gives the member of a run, by its name; `say` is told what people should know."""

    def __init__(self, hello: pb.Hello, make: Callable[[str], Member], say: Callable[[str], None]) -> None:
        self._hello = hello
        self._make = make
        self._say = say
        self._hosted: dict[str, Hosted] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def work(self, stub: Any, metadata: tuple[tuple[str, str], ...], address: str) -> None:
        """Serve, through broken streams, until cancelled. Raises ServiceError where it makes no sense to go on."""
        pause = FIRST_PAUSE
        told = ""
        try:
            while True:
                why = ""
                try:
                    async for _ in self._stream(stub, metadata):
                        self._say(f"connected to {address} as {self._hello.cluster}")
                        pause, told = FIRST_PAUSE, ""
                    why = "the server ended the stream"
                except grpc.aio.AioRpcError as error:
                    why = error.details() or error.code().name
                    if error.code() in FINAL:
                        raise ServiceError(f"{address}: {why}") from None
                except TimeoutError:
                    why = "no answer"
                if why != told:
                    self._say(f"{address}: {why}; trying again")
                    told = why
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            await self._stop()

    async def _stream(self, stub: Any, metadata: tuple[tuple[str, str], ...]) -> AsyncIterator[None]:
        """One stream, from hello to its end; yields once, when the server has answered."""
        outbox = Outbox()
        call = stub.Connect(metadata=metadata)
        writer: asyncio.Task[None] | None = None
        parts_: dict[int, list[pb.Call]] = {}
        try:
            async with asyncio.timeout(WELCOME_WITHIN):
                await call.write(pb.AgentMessage(hello=self._hello))
                first = await call.read()
            if first is grpc.aio.EOF:
                return
            yield
            writer = asyncio.create_task(_write(call, outbox))
            while (message := await call.read()) is not grpc.aio.EOF:
                if message.WhichOneof("message") == "call":
                    self._take(message.call, parts_, outbox)
        finally:
            outbox.closed = True
            call.cancel()
            if writer:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
            for hosted in self._hosted.values():
                self._start(_quietly(hosted.release()))

    def _take(self, call: pb.Call, unfinished: dict[int, list[pb.Call]], outbox: Outbox) -> None:
        got = unfinished.setdefault(call.id, [])
        got.append(call)
        if not call.more:
            del unfinished[call.id]
            self._start(self._answer(got, outbox))

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, calls: list[pb.Call], outbox: Outbox) -> None:
        try:
            answer = await self._do(calls, outbox)
        except (MemberError, ServiceError, OSError) as error:
            answer = pb.Answer(error=error_message(error))
        except Exception as error:  # noqa: BLE001 - of a plugin's member: the server is told, and the agent goes on
            import traceback

            traceback.print_exception(error, file=sys.stderr)
            answer = pb.Answer(error=error_message(error))
        number = calls[0].id
        rest = parts(answer.absent, len)
        for names, more in rest:
            if more:
                outbox.say(pb.AgentMessage(answer=pb.Answer(id=number, more=True, absent=names)))
                continue
            del answer.absent[:]
            answer.absent.extend(names)
            answer.id = number
            outbox.say(pb.AgentMessage(answer=answer))

    async def _do(self, calls: list[pb.Call], outbox: Outbox) -> pb.Answer:
        """Raises MemberError, ServiceError and OSError."""
        run, session = calls[0].run, calls[0].session
        command = calls[0].WhichOneof("command")
        if not RUN.fullmatch(run) or any(
            (c.run, c.session, c.WhichOneof("command")) != (run, session, command) for c in calls
        ):
            raise ServiceError("a call that makes no sense")
        hosted = self._hosted.get(run)
        if command == "open":
            if hosted is None:
                hosted = self._hosted[run] = Hosted(run, self._make)
            return await hosted.open(session, outbox)
        if hosted is None:
            raise Unreachable("agent", f"run {run} was not opened")
        match command:
            case "submit":
                return await hosted.submit(session, [job_of(job) for call in calls for job in call.submit.jobs])
            case "adopt":
                return await hosted.adopt(session, [known_of(one) for call in calls for one in call.adopt.known])
            case "cancel":
                return await hosted.cancel(session, [name for call in calls for name in call.cancel.names])
            case "resize":
                return await hosted.resize(session, calls[0].resize.nodes)
            case "read":
                return await hosted.read(session, calls[0].read)
            case "close":
                return await hosted.close(session, leave=calls[0].close.leave)
        raise ServiceError(f"a call that this agent does not know: {command}; update it")

    async def _stop(self) -> None:
        for hosted in self._hosted.values():
            self._start(_quietly(hosted.release()))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LET_GO_WITHIN)


async def _write(call: Any, outbox: Outbox) -> None:
    """Each write returns when the stream has room for the next (HTTP/2 flow control): a slow server is waited for."""
    try:
        async for message in outbox.messages():
            await call.write(message)
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return  # the reader says why


async def _quietly(work: Any) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - nobody is left who could do something about it
        sys.stderr.write(f"while letting go: {type(error).__name__}: {error}\n")


def _size(member: Member) -> int:
    return -1 if member.size is None else member.size
