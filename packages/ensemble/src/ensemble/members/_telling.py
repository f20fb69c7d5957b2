"""Telling the events of attempts that are put together from looks at a queue: each once, and in the order of time."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Any, Generic, Protocol, TypeVar

from ensemble.events import Event
from ensemble.job import Job
from ensemble.member import Emit, Member


class Entry(Protocol):
    """An attempt that has not ended. told: the events that were emitted. last: when the last of them was."""

    job: Job
    told: set[str]
    last: float


E = TypeVar("E", bound=Entry)


class Telling(Member, Generic[E]):
    """`_emit_event` is what `open` was given."""

    _emit_event: Emit

    @abstractmethod
    def _clean(self, entry: E) -> None:
        """Tell the last event, and forget the attempt."""

    def _fail(self, entry: E, kind: str, note: str) -> None:
        self._emit(entry, "exception", time.time(), type=kind, severity=0, note=note)
        self._clean(entry)

    def _once(self, entry: E, name: str, when: float, **context: Any) -> None:
        if name not in entry.told:
            entry.told.add(name)
            self._emit(entry, name, when, **context)

    def _emit(self, entry: E, name: str, when: float, **context: Any) -> None:
        # There are several clocks, some of whole seconds, and a job may start before its submission is answered.
        entry.last = max(entry.last, when)
        self._emit_event(Event(name, entry.last, entry.job.name, context))
