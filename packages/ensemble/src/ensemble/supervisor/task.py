"""A job as the supervisor knows it until its end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ensemble.job import Spec
from ensemble.supervisor.lines import line

WAITING, RUNNING, ENDED = range(3)


@dataclass(slots=True, eq=False)
class Task:
    """One job. Times are seconds since the epoch.

    number: its place in line. pids: its processes that have not ended. leader: of their process group.
    watched: pidfd -> pid, of processes that an earlier supervisor started: not our children.
    environment: what it inherits, None until somebody tells (after a supervisor was killed).
    """

    number: int
    name: str
    token: str
    spec: Spec
    submitted: float
    state: int = WAITING
    allocated: float | None = None
    started: float | None = None
    exceptions: list[list[Any]] = field(default_factory=list)
    place: list[str] | None = None
    granted: Any = None
    leader: int = 0
    pids: set[int] = field(default_factory=set)
    watched: dict[int, int] = field(default_factory=dict)
    status: int | None = None
    finished: float = 0.0
    ending: bool = False
    home: Home | None = None

    @property
    def cores(self) -> int:
        return self.spec.cores * self.spec.tasks

    def course(self) -> bytes:
        """Line "C": all that has happened so far."""
        return line("C", *self._facts(), None, None)

    def end(self, time: float, place: list[Any] | None) -> bytes:
        """Line "F"."""
        if place is None and not self.exceptions and self.started is not None and self.status is not None:
            facts = (
                f'"{self.name}","{self.token}","{self.number}",{self.submitted!r},{self.allocated!r},{self.started!r}'
            )
            return f'["F",{facts},[],{time!r},{self.status},null]\n'.encode()
        return line("F", *self._facts(), time, self.status, place)

    def _facts(self) -> tuple[Any, ...]:
        number = str(self.number)
        return (self.name, self.token, number, self.submitted, self.allocated, self.started, self.exceptions)


@dataclass(frozen=True, slots=True)
class Home:
    """What jobs inherit from the run that submitted them."""

    environment: Mapping[str, str]
    workdir: str


def ended_with(statuses: int | None, status: int) -> int:
    """Of several tasks the largest wait status counts, as Flux tells it."""
    return status if statuses is None else max(statuses, status)


def group_of(pid: int) -> int | None:
    """The process group of a process, None where there is none."""
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return None
