"""What a job was given: hosts, ids and amounts, a deadline; at hand in the job itself, here or in a child process."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from resources import idset
from resources.errors import AllocationError, InputError, TimeLimitExceeded
from resources.language import resources_from_json, resources_to_json
from resources.resource import Resource
from resources.strictjson import loads, take
from resources.units import LARGEST, count, shown

if TYPE_CHECKING:
    from contextvars import Token as ContextToken
    from types import TracebackType

    from resources.pool import Pool

VARIABLE = "RESOURCES_ALLOCATION"
"""The environment variable that tells a child process, as JSON, what it was given."""


class Part(NamedTuple):
    """What was given on one host: `tasks` of the job's tasks run there, with `resources` in all."""

    host: str
    rank: int
    tasks: int
    resources: Resource


class Granted:
    """What a job may use. Where it has one host, it shows the attributes of what it holds: `.c`, `.M`, `.g` ...

    start: Unix time at which it was granted. deadline: Unix time at which the job must be over, or None.
    """

    __slots__ = ("_clock", "_deadline", "_job", "_made", "_start")
    _made: tuple[Part, ...] | None
    _job: Resource
    _start: float
    _deadline: float | None
    _clock: Callable[[], float]

    def __init__(self, parts: tuple[Part, ...], job: Resource, start: float, deadline: float | None) -> None:
        self._made, self._job, self._start, self._deadline = parts, job, start, deadline
        self._clock = time.time

    @property
    def parts(self) -> tuple[Part, ...]:
        """What was given, host by host."""
        return self._made or ()

    @property
    def job(self) -> Resource:
        """What belongs to the job as a whole: its time limit, licenses."""
        return self._job

    @property
    def host(self) -> str:
        """The (first) host's name."""
        return self.parts[0].host

    @property
    def hosts(self) -> list[str]:
        """The hosts' names, one for each part."""
        return [part.host for part in self.parts]

    @property
    def rank(self) -> int:
        """The (first) host's rank."""
        return self.parts[0].rank

    @property
    def start(self) -> float:
        return self._start

    @property
    def deadline(self) -> float | None:
        return self._deadline

    def remaining(self) -> float | None:
        """Seconds until the deadline, never negative; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    @property
    def resources(self) -> Resource:
        """All of it as one resource, which can be a request elsewhere or a provider of its own.

        Raises AttributeError where it spans hosts: then `parts` has one for each.
        """
        return self._all()

    def _all(self) -> Resource:
        if len(self.parts) != 1:
            raise AttributeError(f"the allocation spans {len(self.parts)} hosts; see .parts")
        return self.parts[0].resources & self._job

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if hasattr(self._job, name):
            return getattr(self._job, name)
        return getattr(self._all(), name)

    @asynccontextmanager
    async def time_limit(self) -> AsyncIterator[None]:
        """Cancel the body of an `async with` at the deadline. Raises TimeLimitExceeded."""
        import asyncio

        try:
            async with asyncio.timeout(self.remaining()) as scope:
                yield
        except TimeoutError:
            if not scope.expired():
                raise  # the body's own
            raise TimeLimitExceeded(f"the time limit of {self._job} is reached") from None

    def cpus(self) -> set[int]:
        """The logical CPUs of this machine that it may run on; all of the process's where it names no ids."""
        from resources.machine import cpus_of

        return cpus_of(self.resources)

    def bind(self, pid: int = 0) -> set[int]:
        """Bind a process (0: this one) to its logical CPUs, and return them. Raises OSError."""
        import os

        cpus = self.cpus()
        os.sched_setaffinity(pid, cpus)
        return cpus

    def to_json(self) -> dict[str, Any]:
        """The JSON document that a child process finds in RESOURCES_ALLOCATION."""
        return {
            "type": "allocation",
            "version": 1,
            "parts": [
                {"host": p.host, "rank": p.rank, "tasks": p.tasks, "resources": resources_to_json(p.resources)}
                for p in self.parts
            ],
            "job": resources_to_json(self._job),
            "start": self._start,
            "deadline": self._deadline,
        }

    @classmethod
    def from_json(cls, document: str | dict[str, Any]) -> Granted:
        """Read the JSON document. Raises InputError with the dotted path."""
        if isinstance(document, str):
            document = loads(document, "allocation")
        keys = ("type", "version", "parts", "job", "start", "deadline")
        body = take(document, "", keys, keys)
        if body["type"] != "allocation" or body["version"] is True or body["version"] != 1:
            raise InputError("expected an allocation document of version 1")
        if not isinstance(body["parts"], list) or not body["parts"]:
            raise InputError("an allocation has a list of parts, at least one", "parts")
        parts = []
        for at, row in enumerate(body["parts"]):
            names = ("host", "rank", "tasks", "resources")
            one = take(row, f"parts[{at}]", names, names)
            if not isinstance(one["host"], str):
                raise InputError(f"host is a text, not {shown(one['host'])}", f"parts[{at}]")
            given = resources_from_json(one["resources"], f"parts[{at}].resources")
            parts.append(Part(one["host"], count(one["rank"], "rank"), count(one["tasks"], "tasks"), given))
        times = [body["start"], body["deadline"]]
        for value in times:
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST:
                raise InputError(f"start and deadline are Unix times, not {shown(value)}")
        return Granted(tuple(parts), resources_from_json(body["job"], "job"), times[0] or 0.0, times[1])

    def environ(self, part: int = 0) -> dict[str, str]:
        """The variables that tell a child process, on the host of one part, what it may use.

        RESOURCES_ALLOCATION holds all of it as JSON. CUDA_VISIBLE_DEVICES holds the GPU ids of the part; where
        the provider counts GPUs and gave none it is empty, so that a job does not see the GPUs of others.
        """
        made = {VARIABLE: json.dumps(self.to_json(), separators=(",", ":"))}
        gpus = self.parts[part].resources.get("gpus")
        if gpus is not None or self._counts_gpus(part):
            made["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, gpus.g)) if gpus is not None else ""
        return made

    def _counts_gpus(self, part: int) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {' '.join(f'{p.host}:{p.resources}' for p in self.parts)} {self._job}>"


class Allocation(Granted):
    """What a pool granted. It knows its owner, is freed once, and frees itself as a context manager.

    Inside the `with` block `resources.current()` is this allocation.
    """

    __slots__ = ("_entered", "_held", "_live", "_pool", "_shape", "_shared")

    def __init__(self, pool: Pool, shape: Any, held: list[Any], start: float, deadline: float | None) -> None:
        self._pool, self._shape, self._held = pool, shape, held
        self._start, self._deadline = start, deadline
        self._job, self._clock = shape.job, pool.clock
        self._live = True
        self._made = None
        self._shared: Resource | None = None  # what it holds of the pool's shared resources

    # Filled in when asked for: a scheduler that only counts never pays for it.

    @property
    def parts(self) -> tuple[Part, ...]:
        if self._made is None:
            self._made = self._pool._parts(self)
        return self._made

    @property
    def c(self) -> list[int]:
        """The ids of the allocated cores, ascending."""
        held = self._held
        if len(held) == 1 and (at := self._shape.cores) is not None:
            return idset.ids_of(held[0][2][at])
        cores: list[int] = self._all().c  # type: ignore[attr-defined]
        return cores

    def _counts_gpus(self, part: int) -> bool:
        return self._pool.of_host[self._held[part][0]].get("gpus") is not None

    @property
    def live(self) -> bool:
        """Whether it is still held."""
        return self._live

    def __enter__(self) -> Allocation:
        from resources.context import CURRENT

        if not self._live:
            raise AllocationError(f"{self!r} was freed already")
        self._entered: ContextToken[Granted | None] = CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from resources.context import CURRENT

        CURRENT.reset(self._entered)
        if self._live:
            self._pool.dealloc(self, counts=error is None)
