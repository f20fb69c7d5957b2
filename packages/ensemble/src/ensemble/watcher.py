"""Reads the application's metrics from the output of jobs, while they run and once more at their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ensemble.document import Document
from ensemble.engine import Engine
from ensemble.events import Event
from ensemble.member import Member


class Watcher:
    """Feeds `metric` events. The end of a job is held back until its last values are in."""

    def __init__(self, document: Document, member: Member, engine: Engine, feed: Callable[[Event], None]) -> None:
        self._document = document
        self._member = member
        self._engine = engine
        self._feed = feed

    def started(self, name: str) -> None:
        """A job has started: from now on its output is read, where its group has metrics."""

    def resume(self, name: str) -> None:
        """A job of an earlier process may be running."""

    def holds_back(self, event: Event) -> bool:
        """Whether an event has to wait for the last values of its job; it is fed again then."""
        return False

    async def work(self) -> None:
        """Runs until it is cancelled."""
        await asyncio.Event().wait()
