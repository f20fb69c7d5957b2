"""The clusters as the server sees them: each has one agent's stream, and the members of the runs that use it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ensemble.errors import MemberError, ServiceError
from ensemble.member import Unreachable
from ensemble.service.convert import error_of
from ensemble.service.remote import RemoteMember
from ensemble.service.share import share
from ensemble.service.v1 import ensemble_pb2 as pb

MOST_OUTGOING = 16  # messages that wait for the stream; who has more to say waits
SETTLE_WITHIN = 15.0  # seconds after an agent came, for all runs to find out what they have in the queue


@dataclass(slots=True)
class Answered:
    """The answer to a call, its parts put together."""

    size: int = -1
    output: str = ""
    data: bytes = b""
    absent: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)


class Link:
    """The server's end of one agent's stream. What it is told goes to `members`, by run."""

    def __init__(self, hello: pb.Hello) -> None:
        self.hello = hello
        self.cluster = hello.cluster
        self.members: dict[str, RemoteMember] = {}
        self.since = time.time()
        self.closed: MemberError | None = None
        self._outgoing: deque[pb.ServerMessage] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._pending: dict[int, tuple[asyncio.Future[Answered], Answered]] = {}
        self._last = 0

    async def call(
        self, run: str, session: int, commands: Iterable[tuple[Mapping[str, Any], bool]], within: float
    ) -> Answered:
        """Have the agent do something, given in parts (a command, and whether more follow).

        Raises Unreachable where no answer comes, and what the agent's member raised.
        """
        self._last += 1
        number = self._last
        future: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._pending[number] = future, Answered()
        try:
            async with asyncio.timeout(within):
                for command, more in commands:
                    call = pb.Call(id=number, run=run, session=session, more=more, **command)
                    await self._send(pb.ServerMessage(call=call))
                return await future
        except TimeoutError:
            raise Unreachable(self.cluster, f"its agent gave no answer within {within:g} s") from None
        finally:
            del self._pending[number]
            if future.done() and not future.cancelled():
                future.exception()  # it may come when nobody waits any more

    async def _send(self, message: pb.ServerMessage) -> None:
        while len(self._outgoing) >= MOST_OUTGOING and not self.closed:
            self._room.clear()
            await self._room.wait()
        if self.closed:
            raise self.closed
        self._outgoing.append(message)
        self._news.set()

    async def next(self) -> pb.ServerMessage | None:
        """What is to be sent next; None when the link is closed."""
        while not self._outgoing and not self.closed:
            self._news.clear()
            await self._news.wait()
        if self.closed:
            return None
        self._room.set()
        return self._outgoing.popleft()

    def take(self, message: pb.AgentMessage) -> None:
        """The agent says something. Raises ServiceError where it makes no sense."""
        match message.WhichOneof("message"):
            case "events":
                events = message.events
                if member := self.members.get(events.run):
                    member.take(events.session, events.events, dict(events.calls))
            case "answer":
                self._answer(message.answer)
            case "lost":
                lost = message.lost
                if member := self.members.get(lost.run):
                    member.broken(error_of(lost.error, self.cluster), lost.session)
            case other:
                raise ServiceError(f"a message that makes no sense here: {other or 'an unknown one'}")

    def close(self, why: str) -> None:
        if self.closed:
            return
        self.closed = Unreachable(self.cluster, why)
        self._outgoing.clear()
        self._news.set()
        self._room.set()
        for future, _ in self._pending.values():
            if not future.done():
                future.set_exception(Unreachable(self.cluster, why))
        for member in list(self.members.values()):
            member.broken(Unreachable(self.cluster, why))
        self.members.clear()

    def _answer(self, answer: pb.Answer) -> None:
        if answer.id not in self._pending:
            return  # it took longer than anybody waited
        future, whole = self._pending[answer.id]
        whole.absent += answer.absent
        whole.data += answer.data
        if answer.more or future.done():
            return
        if answer.HasField("error"):
            future.set_exception(error_of(answer.error, self.cluster))
            return
        whole.size, whole.output, whole.calls = answer.size, answer.output, dict(answer.calls)
        future.set_result(whole)


class Cluster:
    """One cluster by name. identity: of the agent that its jobs are known to."""

    def __init__(self, name: str, identity: str = "", member: str = "", host: str = "") -> None:
        self.name = name
        self.identity = identity
        self.member = member
        self.host = host
        self.members: dict[str, RemoteMember] = {}  # by run, of those that have not ended
        self.link: Link | None = None
        self.since = 0.0
        self.capacity = 0
        self._came = asyncio.Event()
        self._settled_at = 0.0
        self._woken = False
        self._session = 0

    def attach(self, link: Link) -> None:
        """An agent has come; an older stream of it is over."""
        if self.link:
            self.link.close("its agent has connected again")
        self.link = link
        self.since = link.since
        self.identity = link.hello.identity
        self.member, self.host, self.capacity = link.hello.member, link.hello.host, link.hello.capacity
        self._settled_at = asyncio.get_running_loop().time() + SETTLE_WITHIN
        self._came.set()

    def detach(self, link: Link, why: str) -> None:
        link.close(why)
        if self.link is link:
            self.link = None
            self.since = time.time()
            self._came.clear()

    async def connected(self) -> Link:
        """The link, waited for."""
        while self.link is None:
            await self._came.wait()
        return self.link

    def next_session(self) -> int:
        """A number larger than any before, also those of an earlier server: it is made from the time."""
        self._session = max(self._session + 1, time.time_ns() // 1000)
        return self._session

    def wake(self) -> None:
        """Places have become free, or there are jobs to send."""
        if not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._share)

    def _share(self) -> None:
        self._woken = False
        if self.link is None:
            return
        loop = asyncio.get_running_loop()
        late = self._settled_at - loop.time()
        if late > 0 and not all(member.settled for member in self.members.values()):
            loop.call_later(late, self.wake)
            return  # as each settles it wakes us as well
        share(self.members.values(), self.capacity)

    def message(self) -> pb.Cluster:
        return pb.Cluster(
            name=self.name,
            member=self.member,
            connected=self.link is not None,
            since=self.since,
            capacity=self.capacity,
            in_queue=sum(member.in_queue for member in self.members.values()),
            held=sum(member.held for member in self.members.values()),
            runs=len(self.members),
            host=self.host,
        )
