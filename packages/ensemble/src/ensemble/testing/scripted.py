"""A queue that does what it is told to do wrong: the scripted member of the tests of the runtime.

The queue outlives its members, as a real one does. Faults are taken one for each call:

- submit: ("after", n) creates n jobs, then the connection breaks; ("limit", n) takes n, then no more for now.
- adopt: "unreachable"; "empty" is what a queue answers that shows jobs late (the member must not believe it).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence

from ensemble.events import COURSE, Event
from ensemble.job import Job, Known
from ensemble.member import Emit, Lost, Member, Options, SubmitLimit, Unreachable


class Queue:
    """ends: name -> what becomes of a job, taken one by one: success, fail, hold, or the type of an exception."""

    def __init__(self, *, hosts: int = 4) -> None:
        self.jobs: dict[str, list[Event]] = {}  # token -> its events so far
        self.made: Counter[str] = Counter()  # how often a job was created for a token
        self.avoided: dict[str, tuple[str, ...]] = {}
        self.ends: dict[str, deque[str]] = {}
        self.default = "success"
        self.submit_faults: deque[tuple[str, int]] = deque()
        self.adopt_faults: deque[str] = deque()
        self.open_faults: deque[str] = deque()
        self.hosts = [f"n{number}" for number in range(hosts)]
        self.cancelled: list[str] = []
        self.sizes: list[int] = []
        self.calls: Counter[str] = Counter()
        self.member: FakeMember | None = None
        self._next = 0

    def create(self, job: Job) -> None:
        self.made[job.token] += 1
        self.avoided[job.name] = job.avoid
        self._next += 1
        self.tell(job, "submit", id=f"q{self._next}")

    def tell(self, job: Job, name: str, **context: object) -> None:
        event = Event(name, time.time(), job.name, context)
        self.jobs.setdefault(job.token, []).append(event)
        if self.member is not None:
            self.member.tell(event)

    def run(self, job: Job) -> None:
        """The rest of its course."""
        ends = self.ends.get(job.name) or self.ends.get(job.spec.group)
        end = ends.popleft() if ends else self.default
        if end == "hold" or self.jobs[job.token][-1].name != "submit":
            return
        usable = [host for host in self.hosts if host not in job.avoid]
        if end == "alloc":
            self.tell(job, "exception", type="alloc", severity=0, note="it never fits")
            self.tell(job, "clean")
            return
        self.tell(job, "alloc", hosts=[usable[0]])
        self.tell(job, "start")
        if end == "requeue":
            self.tell(job, "requeue", type="preempted", note="made room")
            self.tell(job, "alloc", hosts=[usable[-1]])
            self.tell(job, "start")
            end = "success"
        if end in ("success", "fail"):
            self.tell(job, "finish", status=0 if end == "success" else 256)
        elif end != "run":
            self.tell(job, "exception", type=end, severity=0, note=f"told so: {end}")
        if end != "run":
            self.tell(job, "clean")

    def release(self, job: Job) -> None:
        self.tell(job, "alloc", hosts=[self.hosts[0]])
        self.tell(job, "start")
        self.tell(job, "finish", status=0)
        self.tell(job, "clean")


class FakeMember(Member):
    """One connection to a Queue."""

    name = "fake"
    no_resize = ""

    def __init__(self, options: Options, queue: Queue) -> None:
        super().__init__(options)
        self.queue = queue
        self.emit: Emit | None = None
        self.lost: Lost | None = None

    @classmethod
    def unavailable(cls) -> str:
        return ""

    @property
    def size(self) -> int | None:
        return self.queue.sizes[-1] if self.queue.sizes else 2

    def tell(self, event: Event) -> None:
        if self.emit:
            self.emit(event)

    async def open(self, emit: Emit, lost: Lost) -> None:
        if self.queue.open_faults and (fault := self.queue.open_faults.popleft()):
            raise Unreachable("fake", fault)
        self.emit, self.lost, self.queue.member = emit, lost, self

    async def submit(self, jobs: Sequence[Job]) -> None:
        self.queue.calls["submit"] += 1
        fault, number = self.queue.submit_faults.popleft() if self.queue.submit_faults else ("", len(jobs))
        if fault == "after":
            self.emit = None  # the answers get lost as well
        for job in jobs[:number]:
            self.queue.create(job)
            asyncio.get_running_loop().call_soon(self.queue.run, job)
        if fault == "after":
            raise Unreachable("fake", "the connection broke")
        if fault == "limit":
            raise SubmitLimit("fake", "no more than that")

    async def adopt(self, known: Sequence[Known]) -> set[str]:
        self.queue.calls["adopt"] += 1
        if self.queue.adopt_faults:
            raise Unreachable("fake", self.queue.adopt_faults.popleft())
        absent = set()
        for one in known:
            events = self.queue.jobs.get(one.job.token)
            if events is None:
                absent.add(one.job.name)
                continue
            last = COURSE.index(one.seen) if one.seen else -1
            for event in events:
                if event.name not in COURSE or COURSE.index(event.name) > last:
                    self.tell(event)
            if events[-1].name == "submit":  # its turn came while nobody was there
                asyncio.get_running_loop().call_soon(self.queue.run, one.job)
        return absent

    async def cancel(self, names: Sequence[str]) -> None:
        run = self.options.run
        for name in names:
            self.queue.cancelled.append(name)
            events = self.queue.jobs.get(f"{run}-{name}")
            if events and events[-1].name != "clean":
                job = Job(name, f"{run}-{name}", None)  # type: ignore[arg-type]
                self.queue.tell(job, "exception", type="cancel", severity=0, note="")
                self.queue.tell(job, "clean")

    async def resize(self, nodes: int) -> None:
        self.queue.sizes.append(nodes)

    async def close(self, *, leave: bool = False) -> None:
        self.emit = None
        if self.queue.member is self:
            self.queue.member = None
