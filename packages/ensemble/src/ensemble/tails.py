"""The last lines of what failed jobs wrote, kept with the run."""

from __future__ import annotations

import asyncio
from collections import deque

from ensemble.errors import MemberError
from ensemble.journal import MOST_TAILS, Journal
from ensemble.member import Member

BYTES = 4096
LINES = 20
FINISH_WITHIN = 5.0  # seconds at the end of a run


class Tails:
    """Reads, one after the other, the output of the first MOST_TAILS jobs that failed."""

    def __init__(self, member: Member, journal: Journal | None) -> None:
        self.found: dict[str, tuple[str, str]] = {}
        self._member = member
        self._journal = journal
        self._queue: deque[str] = deque()
        self._wake = asyncio.Event()
        self._wanted: set[str] = set()

    def find(self, name: str) -> tuple[str, str] | None:
        """The last lines of stdout and stderr that were read of a job, now or by an earlier process."""
        return self.found.get(name) or (self._journal.tail_of(name) if self._journal else None)

    def want(self, name: str) -> None:
        if len(self._wanted) < MOST_TAILS and name not in self._wanted:
            self._wanted.add(name)
            self._queue.append(name)
            self._wake.set()

    async def work(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._read_all()

    async def finish(self) -> None:
        """Read what is still to be read, within seconds."""
        try:
            async with asyncio.timeout(FINISH_WITHIN):
                await self._read_all()
        except TimeoutError:
            return

    async def _read_all(self) -> None:
        while self._queue:
            name = self._queue[0]
            out, err = [await self._read(name, stream) for stream in ("out", "err")]
            if self._queue and self._queue[0] == name:
                self._queue.popleft()
            if out or err:
                self.found[name] = (out, err)
                if self._journal:
                    self._journal.tail(name, out, err)

    async def _read(self, name: str, stream: str) -> str:
        try:
            data = await self._member.read(name, stream, -BYTES, BYTES)
        except (MemberError, OSError):
            return ""
        lines = data.decode(errors="replace").splitlines()
        return "\n".join(lines[-LINES:])
