"""A member: the queue that runs the jobs and says what becomes of them.

A module `ensemble_NAME` that is installed and has `MEMBER`, a subclass of Member, is one.
`ensemble.testing` has the contract that each must pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ensemble.document import JobGroup
from ensemble.events import Event


@dataclass(frozen=True, slots=True)
class Job:
    """One job to run: its name in this run, and the group that says what it does."""

    name: str
    group: JobGroup


@dataclass(frozen=True, slots=True)
class Options:
    """What a run gives its member.

    cores: how many cores of this machine may be used, None for all; for members that run on it.
    outputs: the folder for the jobs' output files, None where the user named none.
    """

    cores: int | None = None
    outputs: Path | None = None


class Member(ABC):
    """Runs jobs. All methods are called in the thread of one asyncio loop.

    Of each job it emits, in order: submit, alloc, start, finish and, last and once, clean, as
    `ensemble.events.Event` describes them; a job that never runs has an exception of severity 0
    instead of what it misses, and so has one that was cancelled or met its time limit.
    """

    takes_cores: ClassVar[bool] = False  # whether it heeds Options.cores

    def __init__(self, options: Options) -> None:
        self.options = options

    @classmethod
    @abstractmethod
    def unavailable(cls) -> str:
        """Why it can't be used here and now, in one line; empty where it can."""

    @abstractmethod
    async def open(self, emit: Callable[[Event], None], lost: Callable[[Exception], None]) -> None:
        """Get ready. `emit` takes events, `lost` the reason why no more will come. Raises MemberError."""

    @abstractmethod
    async def submit(self, jobs: Sequence[Job]) -> None:
        """Take jobs in, without waiting for them to run. One that is refused is an exception event."""

    @abstractmethod
    async def cancel(self, names: Sequence[str]) -> None:
        """Cancel jobs, pending or running; those that have ended are left alone."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything within seconds. What still runs here is ended."""

    @property
    def handle(self) -> Any:
        """What custom functions get as `handle`: the queue's own client, None where there is none."""
        return None

    @property
    def output(self) -> str:
        """The folder that has the output of the jobs, empty where there is none."""
        return str(self.options.outputs or "")

    def where(self, name: str) -> str:
        """Where a job's output is, for people; empty where that is not known."""
        return ""
