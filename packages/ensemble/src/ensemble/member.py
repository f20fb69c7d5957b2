"""A member: the queue that runs the jobs and says what becomes of them.

A module `ensemble_NAME` that is installed and has `MEMBER`, a subclass of Member, is one.
`ensemble.testing` has the contract that each must pass.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ensemble.errors import MemberError
from ensemble.events import Event
from ensemble.job import Job, Known

Emit = Callable[[Event], None]
Lost = Callable[[Exception], None]
READ_LIMIT = 1 << 20  # bytes of a job's output that are read at a time


@dataclass(frozen=True, slots=True)
class Options:
    """What a run gives its member.

    run: the name of the run, unique anywhere (letters and digits).
    folder: a folder of the run's for this member alone, which exists, is private (0700) and is the same after a resume;
        it may lie on a network file system. None where a run keeps nothing.
    cores: how many cores of this machine may be used, None for all; for members that take it.
    interval: seconds between two looks at a queue that must be polled.
    settings: what the file says below `member`, beside `name`, as plain data. A member raises MemberError for
        a setting that it does not know.
    """

    run: str = "run"
    folder: Path | None = None
    cores: int | None = None
    interval: float = 5.0
    settings: Mapping[str, Any] = field(default_factory=dict)


class Unreachable(MemberError):
    """The queue can't be reached now; trying again later may help. What was being submitted is in doubt."""


class SubmitLimit(MemberError):
    """The queue takes no more jobs now, and why. Those that have no `submit` event yet were not taken."""


class Member(ABC):
    """Runs jobs. All methods are called in the thread of one asyncio loop, and `emit` must be too.

    Of each job it emits, in order: submit, alloc, start, finish and, last and once, clean, as
    `ensemble.events.Event` describes them; a job that never runs has an exception of severity 0
    instead of what it misses, and so has one that was cancelled, met its time limit or lost its node. An event
    may be told twice after a reconnect: the engine takes it once. What a member can't see is
    unknown, never an event: a job is lost only when the queue is known to have no record of it.

    calls: how often it asked the queue for the state of jobs, by the name of the call; part of the report.
    """

    name: ClassVar[str] = ""  # what errors call it; the module's name where it is empty
    takes_cores: ClassVar[bool] = False  # whether it heeds Options.cores
    remote: ClassVar[bool] = (
        True  # whether its jobs outlive this machine, so that the journal must reach the disk first
    )
    # Why it can't grow and shrink, in one line that says what to do instead; empty where it can.
    no_resize: ClassVar[str] = "it has no way to add or remove nodes"

    def __init__(self, options: Options) -> None:
        self.options = options
        self.calls: Counter[str] = Counter()

    @classmethod
    @abstractmethod
    def unavailable(cls) -> str:
        """Why it can't be used here and now, in one line; empty where it can."""

    @abstractmethod
    async def open(self, emit: Emit, lost: Lost) -> None:
        """Get ready, or connect again after `lost` was called: a member may be opened again after `close`.

        `emit` takes events; `lost` the reason why no more will come until it is opened again. Raises MemberError,
        and Unreachable where trying again may help.
        """

    @abstractmethod
    async def submit(self, jobs: Sequence[Job]) -> None:
        """Take jobs in, without waiting for them to run. One that is refused is an exception event, then clean.

        A job is in the queue when its `submit` event is emitted. Raises SubmitLimit, and Unreachable: the jobs
        without an event are then in doubt, `adopt` finds out, and those that are absent are submitted once more.
        """

    @abstractmethod
    async def adopt(self, known: Sequence[Known]) -> Collection[str]:
        """Look up jobs of this run that may be in the queue, by id or by token, and tell their events from then on.

        For those that are there or have been there it emits the events after `seen`, in order (also those that
        came while nobody listened), and goes on emitting. Returns the names of those that the queue for certain has
        no record of. Raises Unreachable where that can't be told now. One call must do for thousands of jobs.
        """

    @abstractmethod
    async def cancel(self, names: Sequence[str]) -> None:
        """Cancel jobs, pending or running, by name; those that have ended, and strangers, are left alone."""

    @abstractmethod
    async def close(self, *, leave: bool = False) -> None:
        """Let go of everything within seconds. What still runs is cancelled, or left running for `adopt`."""

    async def resize(self, nodes: int) -> None:
        """Make it `nodes` nodes (or workers) in all; the same call twice changes nothing. Raises MemberError."""
        raise MemberError(self.name, self.no_resize)

    @property
    def size(self) -> int | None:
        """How many nodes (or workers) it has now, None where that is not known."""
        return None

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        """Bytes of a job's output from `offset` on, at most `limit`; `stream` is `out` or `err`. Empty: none (yet).

        A negative offset counts from the end, as far as there is one. It works while the job runs, where
        Spec.metrics was set, and after its end.
        """
        return b""

    async def read_file(self, path: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        """Bytes of a file that a job writes; as `read`. This machine's, unless the jobs share no files with it."""

        def work() -> bytes:
            try:
                with open(path, "rb") as file:  # noqa: PTH123 - the path as the job has it
                    file.seek(offset)
                    return file.read(limit)
            except FileNotFoundError:
                return b""

        return await asyncio.to_thread(work)

    @property
    def handle(self) -> Any:
        """What custom functions get as `handle`: the queue's own client, None where there is none."""
        return None

    @property
    def output(self) -> str:
        """The folder that has the output of the jobs, empty where there is none."""
        return ""

    def where(self, name: str) -> str:
        """Where a job's output is, for people (a path, or the command that shows it); empty where that is not known."""
        return ""
