"""The member of a run in the server: its queue is where the agent is, at the other end of a stream.

Jobs that wait for their share of the cluster are held here. To the runtime they are handed over, but have no `submit`
event yet; when the server dies they are absent for the queue, and are submitted by the resumed run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from ensemble.errors import MemberError
from ensemble.events import Event
from ensemble.job import Job, Known
from ensemble.member import READ_LIMIT, Emit, Lost, Member, Options, SubmitLimit, Unreachable
from ensemble.service.convert import KNOWN_EVENTS, event_of, job_message, parts, size_of
from ensemble.service.v1 import ensemble_pb2 as pb

if TYPE_CHECKING:
    from ensemble.service.cluster import Cluster, Link

OPEN_WITHIN = 120.0  # seconds for the agent to answer; a call of the session before may have to end first
ANSWER_WITHIN = 600.0
READ_WITHIN = 30.0
CLOSE_WITHIN = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds, after the queue took no more
MOST_PLACES = 1_000  # jobs of which it is known where their output is


class RemoteMember(Member):
    """One run's use of a cluster. `say` is told (kind, text) of limits, as the runtime's reporter is.

    settled: whether all that may be in the queue is counted in `in_queue`; the cluster waits for that.
    """

    name: ClassVar[str] = "remote"
    no_resize: ClassVar[str] = ""

    def __init__(self, options: Options, cluster: Cluster, weight: int, say: Callable[[str, str], None]) -> None:
        super().__init__(options)
        self.cluster = cluster
        self.weight = weight
        self.settled = True
        self.limit = ""  # why the queue takes no more, while it does not
        self._say = say
        self._link: Link | None = None
        self._session = 0
        self._size: int | None = None
        self._output = ""
        self._where: dict[str, str] = {}
        self._told_calls: dict[str, int] = {}
        # A job is in one of these, in this order: they are dicts because cancelling takes out of the middle.
        self._held: dict[str, bytes] = {}
        self._granted: dict[str, bytes] = {}
        self._flight: dict[str, bytes] = {}
        self._live: set[str] = set()
        self._unsent: set[str] = set()  # held when the session ended: the agent has never heard of them
        self._cancelled: set[str] = set()  # while in flight
        self._sender: asyncio.Task[None] | None = None
        self._paused = False
        self._pause = FIRST_PAUSE
        self._timer: asyncio.TimerHandle | None = None
        cluster.members[options.run] = self

    @classmethod
    def unavailable(cls) -> str:
        return "it is for the service: ensemble-server submit"

    # Share

    @property
    def in_queue(self) -> int:
        return len(self._granted) + len(self._flight) + len(self._live)

    @property
    def held(self) -> int:
        return len(self._held)

    @property
    def waiting(self) -> int:
        return 0 if self._paused or self._link is None else len(self._held)

    def grant(self, count: int) -> None:
        for name in list(islice(self._held, count)):
            self._granted[name] = self._held.pop(name)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())

    # The contract

    async def open(self, emit: Emit, lost: Lost) -> None:
        """Waits for the agent, however long that takes: nothing else can be done without it."""
        link = await self.cluster.connected()
        self._emit, self._lost = emit, lost
        self._told_calls = {}
        self._session = self.cluster.next_session()
        link.members[self.options.run] = self
        try:
            answer = await link.call(self.options.run, self._session, [({"open": pb.Open()}, False)], OPEN_WITHIN)
        except BaseException:
            self._session = 0
            raise
        if not self._session:
            raise Unreachable(self.cluster.name, "the connection to its agent broke")
        self._link = link
        self._size = answer.size if answer.size >= 0 else None
        self._output = answer.output

    async def submit(self, jobs: Sequence[Job]) -> None:
        self._live_link()
        for job in jobs:
            try:
                self._held[job.name] = job_message(job).SerializeToString()
            except ValueError as error:
                self._end(job.name, "submit", f"it can't be sent: {error}")
        self.cluster.wake()

    async def adopt(self, known: Sequence[Known]) -> Collection[str]:
        link = self._live_link()
        absent = {one.job.name for one in known if one.job.name in self._unsent}
        asked = [one for one in known if one.job.name not in absent]
        messages = []
        for one in asked:
            try:
                messages.append(pb.Known(job=job_message(one.job), id=one.id, seen=one.seen))
            except ValueError:  # it was never sent either
                absent.add(one.job.name)
        self._live = {message.job.name for message in messages}
        commands = (({"adopt": pb.Adopt(known=part)}, more) for part, more in parts(messages, size_of))
        if messages:
            answer = await link.call(self.options.run, self._session, commands, ANSWER_WITHIN)
            absent |= set(answer.absent) & self._live
        self._live -= absent
        self._unsent.clear()
        self.settled = True
        self.cluster.wake()
        return absent

    async def cancel(self, names: Sequence[str]) -> None:
        link = self._live_link()
        sent = []
        for name in names:
            if self._held.pop(name, None) is not None or self._granted.pop(name, None) is not None:
                self._end(name, "cancel", "cancelled before it was submitted")
                continue
            if name in self._flight:
                self._cancelled.add(name)
            sent.append(name)
        self.cluster.wake()
        if sent:
            commands = (({"cancel": pb.CancelJobs(names=part)}, more) for part, more in parts(sent, len))
            await link.call(self.options.run, self._session, commands, ANSWER_WITHIN)

    async def resize(self, nodes: int) -> None:
        link = self._live_link()
        command = {"resize": pb.Resize(nodes=nodes)}
        answer = await link.call(self.options.run, self._session, [(command, False)], ANSWER_WITHIN)
        self._size = answer.size if answer.size >= 0 else None

    async def close(self, *, leave: bool = False) -> None:
        link, session = self._link, self._session
        if link is not None and session:
            self._let_go(keep=True)  # events still come while it closes
            with suppress(Unreachable):  # where the stream broke the agent lets go by itself
                command = {"close": pb.Close(leave=leave)}
                answer = await link.call(self.options.run, session, [(command, False)], CLOSE_WITHIN)
                self._count(answer.calls)
            if link.members.get(self.options.run) is self:
                del link.members[self.options.run]
        self._let_go()

    @property
    def size(self) -> int | None:
        return self._size

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        return await self._read(pb.Read(job=name, stream=stream, offset=offset, limit=min(limit, READ_LIMIT)))

    async def read_file(self, path: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        return await self._read(pb.Read(file=path, offset=offset, limit=min(limit, READ_LIMIT)))

    @property
    def output(self) -> str:
        return f"{self.cluster.name}:{self._output}" if self._output else ""

    def where(self, name: str) -> str:
        place = self._where.get(name, "")
        return f"{self.cluster.name}: {place}" if place else ""

    # What the link calls

    def take(self, session: int, messages: Iterable[pb.JobEvent], calls: dict[str, int]) -> None:
        """Events have come. Raises ServiceError where they are none."""
        if session != self._session:
            return
        self._count(calls)
        ended = False
        for message in messages:
            if message.name not in KNOWN_EVENTS:
                continue  # of a queue that is newer than this server
            event = event_of(message)
            name = event.job
            if self._flight.pop(name, None) is not None:
                self._live.add(name)
            if event.name == "clean":
                self._live.discard(name)
                ended = True
            if message.where and len(self._where) < MOST_PLACES:
                self._where[name] = message.where[:1000]
            self._emit(event)
        if ended:
            self._go_on()
            self.cluster.wake()

    def broken(self, error: MemberError, session: int = 0) -> None:
        """The stream or the agent's queue is lost; session 0 is whichever there is."""
        if self._session and session in (0, self._session):
            self._let_go(keep=session != 0)
            self._lost(error)

    # Sending

    async def _send(self) -> None:
        """Hand over what was granted, one part after the other."""
        try:
            while self._granted and (link := self._link):
                part, _ = next(parts(self._granted.items(), lambda item: len(item[1])))
                for name, _ in part:
                    self._flight[name] = self._granted.pop(name)
                command = {"submit": pb.Submit(jobs=[pb.Job.FromString(data) for _, data in part])}
                try:
                    await link.call(self.options.run, self._session, [(command, False)], ANSWER_WITHIN)
                except SubmitLimit as limit:
                    self._limited(limit)
                else:
                    self._pause = FIRST_PAUSE
                self._live.update(self._flight)  # a member may take a job now, and tell of it later
                self._flight.clear()
                self._cancelled.clear()
        except MemberError as error:
            self._sender = None
            self.broken(error, self._session)
        finally:
            if self._sender is asyncio.current_task():
                self._sender = None

    def _limited(self, limit: SubmitLimit) -> None:
        """What was not taken waits, at the front, until a job ends or some time is over."""
        left = {**self._flight, **self._granted}
        self._flight.clear()
        self._granted.clear()
        for name in self._cancelled & left.keys():
            del left[name]
            self._end(name, "cancel", "cancelled before it was submitted")
        self._held = left | self._held
        self._paused = True
        self.limit = f"{limit}; {self.held} jobs wait, next try in {self._pause:g} s or when one ends"
        self._say("limit", self.limit)
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._go_on)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self.limit = ""
            if self._timer:
                self._timer.cancel()
            self.cluster.wake()

    # Little things

    def _live_link(self) -> Link:
        if self._link is None or not self._session:
            raise Unreachable(self.cluster.name, "its agent is not connected")
        return self._link

    def _let_go(self, *, keep: bool = False) -> None:
        """The session is over: what was sent is in doubt until it is adopted. keep: the agent has still to be told."""
        self._unsent |= self._held.keys() | self._granted.keys()
        self._live |= self._flight.keys()  # in doubt: they count until that is known
        for kind in (self._held, self._granted, self._flight):
            kind.clear()
        self._cancelled.clear()
        self.settled = not self._live
        self._paused = False
        self.limit = ""
        if self._timer:
            self._timer.cancel()
        if self._sender:
            self._sender.cancel()
            self._sender = None
        if not keep:
            self._session = 0
            self._link = None

    def _end(self, name: str, kind: str, note: str) -> None:
        now = time.time()
        self._emit(Event("exception", now, name, {"type": kind, "severity": 0, "note": note}))
        self._emit(Event("clean", now, name))

    def _count(self, calls: dict[str, int]) -> None:
        for name, number in calls.items():
            self.calls[name] += max(0, number - self._told_calls.get(name, 0))
            self._told_calls[name] = number

    async def _read(self, command: pb.Read) -> bytes:
        link = self._live_link()
        answer = await link.call(self.options.run, self._session, [({"read": command}, False)], READ_WITHIN)
        return answer.data
