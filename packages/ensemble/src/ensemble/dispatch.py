"""Keeps a member at what the engine wants: submits, cancels and resizes, through limits and lost connections.

One task does one thing at a time, what is most urgent first: connect again, cancel, resize, submit. What it could not
finish stays in its queues. A job whose submission is in doubt is looked up by its token before it is submitted again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from ensemble.engine import Engine
from ensemble.errors import MemberError
from ensemble.events import COURSE, Event
from ensemble.job import Job, Known
from ensemble.member import Member, SubmitLimit, Unreachable

BATCH = 1000  # jobs that are handed over at a time: a cancellation waits for no more
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between two tries
FINISH_WITHIN = 10.0  # seconds for the last cancellations and a resize, at the end of a run
_NEVER = float("inf")


class Feed(Protocol):
    """Gives events to the engine; `settled` returns when all that was given before has been taken in."""

    def feed(self, event: Event) -> None: ...
    async def settled(self) -> None: ...


class Dispatcher:
    """`job` makes what a member is given from a name. `say` is told (kind, text) of what goes wrong and right again."""

    def __init__(
        self, member: Member, engine: Engine, feed: Feed, job: Callable[[str], Job], say: Callable[[str, str], None]
    ) -> None:
        self.member = member
        self._engine = engine
        self._feed = feed
        self._job = job
        self._say = say
        self._waiting: deque[str] = deque()
        self._withdrawn: set[str] = set()  # cancelled before they were handed over
        self._handed: set[str] = set()
        self._cancels: dict[str, None] = {}
        self._strangers: list[str] = []  # foreign jobs of a connection that is gone
        self._nodes: int | None = None
        self._broken: Exception | None = None
        self._wake = asyncio.Event()
        self._paused_until = 0.0
        self._pause = FIRST_PAUSE
        self._tried = self._told = -_NEVER  # when a limit was last met, and told of
        self._one = asyncio.Lock()  # one thing at a time

    # What the runtime asks for; nothing here waits.

    def submit(self, names: Iterable[str]) -> None:
        self._waiting.extend(names)
        self._wake.set()

    def cancel(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._handed:
                self._cancels[name] = None
            else:
                self._withdrawn.add(name)
                self._withdraw(name)
        self._wake.set()

    def resize(self, nodes: int) -> None:
        self._nodes = nodes
        self._wake.set()

    def lost(self, error: Exception) -> None:
        """The member says that no more events will come until it is opened again."""
        self._broken = self._broken or error
        self._wake.set()

    def ended(self, name: str) -> None:
        """A job has left the queue: there is room for another. Many that end together are one reason to try again."""
        self._handed.discard(name)
        self._cancels.pop(name, None)
        if self._paused_until:
            self._paused_until = min(self._paused_until, self._tried + FIRST_PAUSE)
            self._wake.set()

    def resume(self, names: Iterable[str]) -> None:
        """Jobs of an earlier process: whether they were submitted is for the queue to tell."""
        self._handed.update(names)
        self._strangers = self._foreign()
        self._broken = None

    # The task

    async def work(self) -> None:
        """Runs until it is cancelled. Raises MemberError where the member can't go on."""
        while True:
            await self._wait()
            async with self._one:
                await self._step()

    async def _step(self) -> None:
        try:
            if self._broken is not None:
                await self._reconnect(self._broken)
            elif self._cancels:
                names = list(self._cancels)
                await self.member.cancel(names)
                for name in names:
                    self._cancels.pop(name, None)
            elif self._nodes is not None:
                await self._resize(self._nodes)
            elif self._waiting and time.monotonic() >= self._paused_until:
                await self._submit()
        except Unreachable as error:
            self._broken = error

    async def adopt(self) -> None:
        """After a resume: as `_adopt`, while nothing else is done. Raises Unreachable."""
        async with self._one:
            await self._adopt()

    async def finish(self) -> None:
        """At the end of a run: wait, within seconds, for what is still to be cancelled or resized."""
        until = time.monotonic() + FINISH_WITHIN
        while self._cancels or self._nodes is not None:
            if time.monotonic() > until:
                what = f"cancel {len(self._cancels)} jobs" if self._cancels else f"resize to {self._nodes} nodes"
                self._say("member", f"the run has ended, and it could not {what} within {FINISH_WITHIN:g} s")
                return
            await asyncio.sleep(0.01)

    async def _adopt(self) -> None:
        """Ask the queue for every job that was handed over; those that it has no record of are submitted, or lost."""
        known = [self._known(name) for name in self._handed if name in self._engine.jobs]
        absent = set(await self.member.adopt(known)) if known else set()
        await self._feed.settled()
        again = []
        for name in [name for name in self._engine.jobs if name in absent]:
            job = self._engine.jobs[name]
            if not job.seen and not job.cancelling:
                again.append(name)
                continue
            if job.seen:
                self._over(name, "lost", "the queue has no record of it")
            else:
                self._withdraw(name)
        for name in self._strangers:
            if name in self._engine.jobs:  # their end may have come while nobody listened, and is not told again
                self._over(name, "lost", "the connection that told of it is gone")
        self._strangers = []
        self._handed.difference_update(again)
        self._waiting.extendleft(reversed(again))
        self._cancels.update((name, None) for name in self._handed if self._is_cancelling(name))
        if self._engine.target is not None:
            self._nodes = self._engine.target
        self._wake.set()

    async def _wait(self) -> None:
        """Until there is something that can be done."""
        while not (self._broken or self._cancels or self._nodes is not None):
            pause = self._paused_until - time.monotonic() if self._waiting else _NEVER
            if pause <= 0:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(None if pause == _NEVER else pause):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def _submit(self) -> None:
        jobs: list[Job] = []
        while self._waiting and len(jobs) < BATCH:
            name = self._waiting.popleft()
            if name in self._withdrawn:
                self._withdrawn.discard(name)
            elif name in self._engine.jobs and name not in self._handed:
                self._handed.add(name)
                jobs.append(self._job(name))
        try:
            await self.member.submit(jobs)
        except SubmitLimit as limit:
            await self._feed.settled()
            left = [job.name for job in jobs if self._is_new(job.name)]
            self._handed.difference_update(left)
            for name in [name for name in left if name in self._cancels]:  # cancelled while they were handed over
                del self._cancels[name]
                left.remove(name)
                self._withdraw(name)
            self._waiting.extendleft(reversed(left))
            self._tried = time.monotonic()
            self._paused_until = self._tried + self._pause
            if self._tried - self._told >= LONGEST_PAUSE:
                self._told = self._tried
                waits = f"{len(self._waiting)} jobs wait, next try in {self._pause:g} s or when one ends"
                self._say("limit", f"{limit}; {waits}")
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        else:
            self._pause, self._paused_until = FIRST_PAUSE, 0.0

    async def _resize(self, nodes: int) -> None:
        try:
            await self.member.resize(nodes)
        except Unreachable:
            raise
        except MemberError as error:
            self._say("resize", str(error))
            self._feed.feed(Event("resize-failed", time.time(), context={"error": str(error)}))
        if self._nodes == nodes:
            self._nodes = None
        if self.member.size is not None:
            self._feed.feed(Event("size", time.time(), context={"nodes": self.member.size}))

    async def _reconnect(self, error: Exception) -> None:
        pause = FIRST_PAUSE
        self._strangers = self._foreign()
        while True:
            self._say("lost", f"{error}; trying again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                await self.member.close(leave=True)
                self._broken = None
                await self.member.open(self._feed.feed, self.lost)
                await self._adopt()
            except Unreachable as again:
                error = again
                continue
            self._say("found", "connected again")
            return

    def _foreign(self) -> list[str]:
        return [name for name, job in self._engine.jobs.items() if job.foreign]

    def _withdraw(self, name: str) -> None:
        self._over(name, "cancel", "cancelled before it was submitted")

    def _over(self, name: str, kind: str, note: str) -> None:
        now = time.time()
        self._feed.feed(Event("exception", now, name, {"type": kind, "severity": 0, "note": note}))
        self._feed.feed(Event("clean", now, name))

    def _known(self, name: str) -> Known:
        job = self._engine.jobs[name]
        return Known(self._job(name), job.id, COURSE[job.seen - 1] if job.seen else "")

    def _is_new(self, name: str) -> bool:
        job = self._engine.jobs.get(name)
        return job is not None and not job.seen and not job.ended

    def _is_cancelling(self, name: str) -> bool:
        job = self._engine.jobs.get(name)
        return job is not None and bool(job.cancelling) and not job.ended
