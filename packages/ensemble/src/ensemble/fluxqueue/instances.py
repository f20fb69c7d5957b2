"""Jobs in sub-instances of Flux: N jobs of the enclosing instance, each a Flux instance that idles and takes jobs.

One job manager serves some hundred jobs a second; N of them serve N times as many. To the enclosing instance each is
a job like another, submitted and found again as any job is (`Enclosing` is the member for one instance, and so is
`Inner`, one for each sub-instance); its broker has no initial program, as that of `flux alloc --bg` (flux-alloc(1)),
and posts its address as a memo to its job (RFC 21, "Memo Event").

A sub-instance takes its jobs along when it ends. Those that had not ended are then told to have an exception of the
machine's, `allocation-end` or `node-lost`; the other sub-instances go on. Which job went to which sub-instance is on
the disk before it is submitted (`fluxqueue.record`), so that also the next process can tell.

A run that is left leaves them running: they idle, and hold their nodes, until it is resumed or they reach their limit
or are cancelled. A run that ends cancels them. What a job wrote is kept by its sub-instance and goes with it: jobs
whose output is to stay name a file.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from ensemble.errors import MemberError
from ensemble.events import Event, status_text
from ensemble.fluxqueue import bindings
from ensemble.fluxqueue.connection import Connection
from ensemble.fluxqueue.jobspec import Writer
from ensemble.fluxqueue.journal import of_eventlog
from ensemble.fluxqueue.record import Record
from ensemble.job import Job, Known, Spec
from ensemble.member import READ_LIMIT, Emit, Lost, Member, Options, SubmitLimit, Unreachable
from ensemble.members.flux import CANCELLED, FluxMember

GROUP = "sub-instance"
COMMAND = ("flux", "broker", "-Sbroker.rc2_none=1")
WAIT = 120  # seconds within which sub-instances come up, where the file doesn't say
LOOK = 0.2  # seconds between two looks whether one is up
ENDING = 10.0  # seconds that a sub-instance which no longer answers has for ending, before it counts as out of reach
KEYS = ("nodes", "cores", "duration", "wait")
TAKEN = ("uri", "journal", "instances", "instance")


@dataclass(frozen=True, slots=True)
class Shape:
    """What `instances` and `instance` say: how many; each one's nodes, cores of each node, seconds (0: no limit)."""

    count: int
    nodes: int = 1
    cores: int = 1
    duration: int = 0
    wait: int = WAIT

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Shape:
        """Raises MemberError."""
        from resources import units

        for key in settings:
            if key not in TAKEN:
                raise MemberError("flux", f"with instances there is no setting {key!r}; there are: {', '.join(TAKEN)}")
        if "instances" not in settings:
            raise MemberError("flux", "instance says what each sub-instance is; `instances: N` how many there are")
        each = settings.get("instance", {})
        if not isinstance(each, Mapping):
            raise MemberError("flux", f"instance is a mapping of {', '.join(KEYS)}, not {each!r}")
        found = {"count": _count(settings["instances"], "instances")}
        for key, value in each.items():
            if key not in KEYS:
                raise MemberError("flux", f"instance has no {key!r}; it has: {', '.join(KEYS)}")
            if key in ("nodes", "cores"):
                found[key] = _count(value, f"instance: {key}")
                continue
            try:
                found[key] = units.seconds(value, f"instance: {key}")
            except ValueError as error:
                raise MemberError("flux", str(error)) from None
        return cls(**found)


def _count(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise MemberError("flux", f"{what} is a number from 1, not {value!r}")
    return value


class BrokerWriter(Writer):
    """Jobspecs of sub-instances: their shells have no MPI to set up, and wait for as long as the brokers leave."""

    def text(self, job: Job) -> str:
        jobspec = json.loads(super().text(job))
        attributes = jobspec["attributes"]
        attributes["user"]["ensemble"]["instance"] = _place(job.name)[0]
        options = attributes["system"].setdefault("shell", {}).setdefault("options", {})
        options |= {"mpi": "none", "exit-timeout": "none"}
        return json.dumps(jobspec)


def _name(number: int, generation: int) -> str:
    return f"{GROUP}.{number}.{generation}" if generation else f"{GROUP}.{number}"


def _place(name: str) -> tuple[int, int]:
    """Which of the sub-instances a name is of, and how many there were before in its place."""
    number, _, generation = name.removeprefix(f"{GROUP}.").partition(".")
    return int(number), int(generation or 0)


class Enclosing(FluxMember):
    """The instance in which the sub-instances are jobs."""

    writer = BrokerWriter

    async def address(self, name: str) -> str:
        """The URI that a sub-instance has posted; empty: none yet. Raises Unreachable."""
        if name not in self._ids:
            return ""
        reactor, _ = self._open
        kept = await self._lookup(reactor, self._ids[name], "eventlog")
        for event in of_eventlog(kept["eventlog"]) if kept else ():
            if event["name"] == "memo" and (uri := (event.get("context") or {}).get("uri")):
                return bindings.nearest(str(uri))
        return ""


class Inner(FluxMember):
    """A sub-instance, as the instance that jobs are submitted to."""

    @property
    def hosts(self) -> Collection[str]:
        return self._writer.hosts

    def has_ended(self, name: str) -> bool:
        return self._journal is not None and name in self._journal.ended

    def has(self, name: str) -> bool:
        return name in self._ids

    async def state(self) -> str:
        """The broker's: `run` until it begins to end (flux-broker(1)). Raises Unreachable, OSError."""
        reactor, _ = self._open

        def look(connection: Connection, answer: Callable[[Any], None]) -> None:
            def heard(future: Any) -> None:
                try:
                    answer(str(future.get()["state"]))
                except OSError as error:
                    answer(error)

            connection.rpc("state-machine.get", None, heard)

        return str(await reactor.ask(look))


class Instance:
    """One sub-instance: how its own job does, and the jobs in it."""

    def __init__(self, job: Job, id: str, owner: Instances) -> None:
        self.job, self.id = job, id
        self.number = _place(job.name)[0]
        self.submitted = False  # by this process
        self.member: Inner | None = None
        self.ready = False  # to take jobs
        self.ended = asyncio.Event()
        self.kind = ""  # the exception that its jobs have, once it is known to end
        self.note = ""
        self.load = 0  # cores of the jobs in it
        self.cores: dict[str, int] = {}
        self._seen = "submit" if id else ""
        self._live: dict[str, bool] = {}  # jobs that have not left, and whether it was told how they ended
        self._held: dict[str, list[Event]] = {}  # events of jobs that somebody else cancelled
        self._owner = owner

    def __str__(self) -> str:
        return f"sub-instance {self.number}" + (f" ({self.id})" if self.id else "")

    @property
    def known(self) -> Known:
        return Known(self.job, self.id, self._seen)

    @property
    def started(self) -> bool:
        return self._seen == "start"

    # Its own job

    def told(self, event: Event) -> None:
        """An event of its own job."""
        if event.name == "submit":
            self.id = str(event.context["id"])
            self._seen = self._seen or "submit"
        elif event.name == "start":
            self._seen = "start"
        elif event.name == "finish":
            self._doom("allocation-end", f"its broker ended with {status_text(int(event.context['status']))}")
        elif event.name == "exception" and event.context["severity"] == 0:
            kind, note = event.context["type"], str(event.context.get("note") or event.context["type"])
            kept = kind if kind == "node-lost" or (kind == "cancel" and note == CANCELLED) else "allocation-end"
            self._doom(kept, note)
        elif event.name == "clean":
            self.end("it ended")

    def end(self, why: str) -> None:
        self._doom("allocation-end", why)
        self.ended.set()

    def _doom(self, kind: str, note: str) -> None:
        if not self.kind:
            self.kind, self.note = kind, note

    # The jobs in it

    def begin(self, member: Inner) -> None:
        self.member, self.ready = member, True
        if self._held:  # from a connection before this one
            self._owner.do(self._judge())

    def take(self, job: Job) -> None:
        self._live[job.name] = False
        self.cores[job.name] = cores = max(1, job.spec.tasks * job.spec.cores)
        self.load += cores

    def drop(self, name: str) -> None:
        self._live.pop(name, None)
        self._held.pop(name, None)
        self.load -= self.cores.pop(name, 0)

    def heard(self, event: Event) -> None:
        """An event of a job in it. A job that nobody of ours cancelled may be one that goes down with it."""
        name = event.job
        if name in self._held:
            self._held[name].append(event)
            return
        context = event.context
        if (event.name, context.get("type"), context.get("severity")) == ("exception", "cancel", 0):
            if context.get("note") == CANCELLED:
                self._pass(event)
                return
            self._held[name] = [event]
            if len(self._held) == 1:
                self._owner.do(self._judge())
            return
        self._pass(event)

    def _pass(self, event: Event) -> None:
        name = event.job
        if event.name == "clean":
            self.drop(name)
        elif event.name == "finish" or (event.name == "exception" and event.context["severity"] == 0):
            self._live[name] = True
        self._owner.emit(event)

    async def _judge(self) -> None:
        """A broker that ends cancels all jobs first, in its state `cleanup`; one that runs was not the cause."""
        while self._held:
            names = list(self._held)
            state = ""
            if not self.kind and self.member:
                with suppress(MemberError, OSError):
                    state = await self.member.state()
            if state != "run":
                if not self.kind:  # how, its own job will tell
                    with suppress(TimeoutError):
                        async with asyncio.timeout(ENDING):
                            await self.ended.wait()
                self._doom("allocation-end", "it was shut down")
            for name in names:
                events = self._held.pop(name, [])
                if events and state != "run":
                    events[0] = Event("exception", events[0].time, name, self.exception)
                for event in events:
                    self._pass(event)

    @property
    def exception(self) -> dict[str, Any]:
        """What its end means for the jobs in it."""
        note = self.note if self.kind == "cancel" else f"{self} has ended: {self.note}"
        return {"type": self.kind or "allocation-end", "severity": 0, "note": note}

    async def adopt(self, known: Sequence[Known]) -> set[str]:
        """Those of `known` that it has. Raises Unreachable."""
        if self.member is None:
            return set()
        absent = set(await self.member.adopt(known))
        found = {each.job.name for each in known} - absent
        for each in known:
            if each.job.name in found and not self.member.has_ended(each.job.name):
                if each.job.name not in self._live:
                    self.take(each.job)
                self._live[each.job.name] |= each.seen == "finish"
        for name in absent:
            self.drop(name)
        return found

    async def bury(self) -> None:
        """After its end: let go of it, then tell the end of the jobs that were in it."""
        if self.member:
            with suppress(MemberError):
                await self.member.close(leave=True)
        await asyncio.sleep(0)  # what the connection had told before is taken in
        for name, told in list(self._live.items()):
            if name not in self._held:
                self.drop(name)
                self._owner.tell_end(name, self, told=told)


class Instances(Member):
    """The Flux member where the file sets `instances`: jobs go to sub-instances, the least loaded first."""

    name = "flux"
    no_resize = FluxMember.no_resize

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._shape = Shape.read(options.settings)
        kept = {key: value for key, value in options.settings.items() if key in ("uri", "journal")}
        self._enclosing = Enclosing(Options(run=options.run, interval=options.interval, settings=kept))
        self.calls = self._enclosing.calls
        self._record = Record(options.folder)
        self._instances: dict[str, Instance] = {}
        self._places: dict[str, Instance] = {}  # by the names of jobs
        self._opened = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = 0

    @classmethod
    def unavailable(cls) -> str:
        return FluxMember.unavailable()

    @property
    def handle(self) -> Any:
        return self._enclosing.handle

    @property
    def size(self) -> int | None:
        return sum(each.member.size or 0 for each in self._up if each.member) if self._opened else None

    def where(self, name: str) -> str:
        instance = self._places.get(name)
        return instance.member.where(name) if instance and instance.member else ""

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        instance = self._places.get(name)
        if instance is None or instance.member is None:
            return b""
        try:
            return await instance.member.read(name, stream, offset, limit)
        except Unreachable:
            if instance.ended.is_set():  # it took what it kept along
                return b""
            raise

    # To come and go

    async def open(self, emit: Emit, lost: Lost) -> None:
        await self._leave()
        self.emit, self._lost = emit, lost
        await self._enclosing.open(self._told, lost)
        try:
            async with asyncio.timeout(self._shape.wait) as limit:
                await self._find()
                await asyncio.gather(*(self._connect(each) for each in self._instances.values()))
        except TimeoutError:
            if not limit.expired():
                raise
            why = await self._why_not_up()
            await self._give_up()
            raise (Unreachable if self._opened else MemberError)("flux", why) from None
        except BaseException:
            await self._give_up()
            raise
        last = self._last
        failed = [each for each in last if each.ended.is_set()]
        if failed and (not self._opened or len(failed) == len(last)):
            why = await self._why_ended(failed)
            await self._give_up()
            raise MemberError("flux", why)
        self._opened = True

    async def close(self, *, leave: bool = False) -> None:
        members = [each.member for each in self._up if each.member]
        await asyncio.gather(*(member.close(leave=leave) for member in members), return_exceptions=True)
        await self._leave()
        await self._enclosing.close(leave=leave)

    async def _leave(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in self._instances.values():
            each.ready = False
            if each.member:
                await each.member.close(leave=True)

    async def _give_up(self) -> None:
        """Take back what an open that fails has submitted."""
        new = [each.job.name for each in self._instances.values() if each.submitted and not self._opened]
        with suppress(MemberError, OSError, TimeoutError):
            async with asyncio.timeout(4):
                await self._enclosing.cancel(new)
        await self._leave()
        await self._enclosing.close(leave=True)

    @property
    def _last(self) -> list[Instance]:
        """The latest in each place."""
        return list({each.number: each for each in self._instances.values()}.values())

    @property
    def _up(self) -> list[Instance]:
        return [each for each in self._instances.values() if each.ready and not each.kind]

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The sub-instances

    async def _find(self) -> None:
        """Those that a process before this one left, or that were in doubt; what is missing is submitted.

        In the place of one that has ended a run that is resumed gets another one; a run that goes on does not.
        """
        asked = [each for each in self._instances.values() if not each.ended.is_set()]
        if not self._opened:
            self._record.read()
            self._instances = {}
            for name in self._record.instances:
                self._add(name)
            for number in range(self._shape.count):
                if not any(each.number == number for each in self._instances.values()):
                    self._add(_name(number, 0))
            asked = self._last
        missing = []
        while asked:
            new = [each for each in asked if self.options.folder and each.job.name not in self._record.instances]
            missing += new
            asked = [each for each in asked if each not in new]
            absent = set(await self._enclosing.adopt([each.known for each in asked]))
            again = []
            for each in asked:
                if each.job.name in absent and each.id:
                    each.end("the enclosing instance has no record of it any more")
                if each.kind:
                    await each.ended.wait()
                    if not self._opened:
                        number, generation = _place(each.job.name)
                        again.append(self._add(_name(number, generation + 1)))
                elif each.job.name in absent:
                    missing.append(each)
            asked = again
        if missing:
            self._record.note_instances((each.job.name, "") for each in missing)
            for each in missing:
                each.submitted = True
            await self._enclosing.submit([each.job for each in missing])

    def _add(self, name: str) -> Instance:
        shape = self._shape
        spec = Spec(GROUP, COMMAND, nodes=shape.nodes, tasks=shape.nodes, cores=shape.cores, duration=shape.duration)
        job = Job(name, f"{self.options.run}-{name}", spec)
        instance = self._instances[name] = Instance(job, self._record.instances.get(name, ""), self)
        return instance

    def _told(self, event: Event) -> None:
        instance = self._instances.get(event.job)
        if instance is None:
            return
        before = instance.ended.is_set()
        instance.told(event)
        if event.name == "submit" and self._record.instances.get(event.job) != instance.id:
            with suppress(MemberError):  # the token finds it, too
                self._record.note_instances([(event.job, instance.id)])
        if instance.ended.is_set() and not before:
            self.do(self._bury(instance))

    async def _bury(self, instance: Instance) -> None:
        await instance.bury()
        if self._opened and not self._up:
            self._lost(self._none_left())

    def _none_left(self) -> Unreachable:
        return Unreachable("flux", "; ".join(f"{each} has ended: {each.note}" for each in self._last))

    async def _connect(self, instance: Instance) -> None:
        """Wait until it can take jobs, or has ended. What it can't do yet it may be able to do in a moment."""
        while not instance.ended.is_set():
            if uri := await self._enclosing.address(instance.job.name):
                if (member := instance.member) is None:
                    member = Inner(Options(self.options.run, interval=self.options.interval, settings={"uri": uri}))
                    member.calls = self.calls
                with suppress(Unreachable, OSError):
                    await member.open(instance.heard, partial(self._broken, instance))
                    if await member.state() == "run":
                        instance.begin(member)
                        return
                await member.close(leave=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await instance.ended.wait()

    def _broken(self, instance: Instance, error: Exception) -> None:
        """The connection to it has ended: so has it, as a rule."""
        self.do(self._see_whether_it_ends(instance, error))

    async def _see_whether_it_ends(self, instance: Instance, error: Exception) -> None:
        if not await self._ends(instance):
            self._lost(Unreachable("flux", f"{instance} can't be reached: {error}"))

    async def _ends(self, instance: Instance) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING):
                await instance.ended.wait()
        return instance.ended.is_set()

    async def _why_not_up(self) -> str:
        told = []
        for each in self._instances.values():
            if each.ended.is_set() or each.ready:
                continue
            what = "started, but takes no jobs" if each.started else "waits for resources"
            if each.kind:
                what = f"is about to end: {each.note}"
            told.append(f"{each} {what}{await self._stderr(each)}")
        return f"not up within {self._shape.wait} s: {'; '.join(told) or 'the enclosing instance does not answer'}"

    async def _why_ended(self, failed: Sequence[Instance]) -> str:
        return "; ".join([f"{each} has ended: {each.note}{await self._stderr(each)}" for each in failed])

    async def _stderr(self, instance: Instance) -> str:
        with suppress(MemberError, TimeoutError):
            async with asyncio.timeout(2):
                text = (await self._enclosing.read(instance.job.name, "err", -500)).decode(errors="replace")
                return f" ({' '.join(text.split())})" if text.strip() else ""
        return ""

    # The jobs

    async def submit(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        up = self._up
        if not up:
            raise self._none_left()
        shares: dict[Instance, list[Job]] = defaultdict(list)
        for job in jobs:
            if before := self._places.get(job.name):
                before.drop(job.name)
            instance = self._choose(job, up)
            instance.take(job)
            self._places[job.name] = instance
            shares[instance].append(job)
        self._record.note_jobs((job.name, self._places[job.name].job.name) for job in jobs)
        failures = await asyncio.gather(*(self._give(*share) for share in shares.items()))
        found = [failure for failure in failures if failure]
        for failure in sorted(found, key=lambda error: isinstance(error, SubmitLimit)):  # a doubt comes first
            raise failure

    def _choose(self, job: Job, up: Sequence[Instance]) -> Instance:
        """The least loaded of those with enough hosts that are not to be avoided."""
        self._turn += 1
        if job.avoid:
            need, avoid = max(1, job.spec.nodes), set(job.avoid)
            up = [each for each in up if each.member and len(set(each.member.hosts) - avoid) >= need] or up
        start = self._turn % len(up)
        return min((*up[start:], *up[:start]), key=lambda each: each.load)

    async def _give(self, instance: Instance, jobs: Sequence[Job]) -> MemberError | None:
        if instance.member is None:
            return Unreachable("flux", f"{instance} is not open")
        try:
            await instance.member.submit(jobs)
        except SubmitLimit as limit:
            for job in jobs:
                if not instance.member.has(job.name):
                    instance.drop(job.name)
            return limit
        except MemberError as error:
            # Where it ended, the end of its jobs is told; else they are in doubt.
            return None if await self._ends(instance) else error
        return None

    async def adopt(self, known: Sequence[Known]) -> Collection[str]:
        """Every sub-instance is asked. Absent is what all that run deny, and none that has ended was given."""
        if not known:
            return ()
        up = self._up
        if not up:
            raise self._none_left()
        left = {each.job.name: each for each in known}
        for instance, found in zip(up, await asyncio.gather(*(each.adopt(known) for each in up)), strict=True):
            for name in found:
                self._places[name] = instance
                left.pop(name, None)
        for name, each in list(left.items()):
            place = self._given(each)
            if place is not None and place not in up:
                if not await self._ends(place):
                    raise Unreachable("flux", f"{place} does not answer, and has not ended")
                del left[name]
                place.drop(name)
                if each.seen != "clean":
                    self.tell_end(name, place, told=each.seen == "finish")
        return list(left)

    def _given(self, known: Known) -> Instance | None:
        """The sub-instance that a job was given to, as far as that is known."""
        name = known.job.name
        if place := self._places.get(name):
            return place
        if recorded := self._record.jobs.get(name):
            return self._instances.get(recorded)
        if (
            known.seen or self.options.folder is None
        ):  # nothing is recorded; it was in one that has ended, if there is one
            return next((each for each in self._instances.values() if each.ended.is_set()), None)
        return None

    def tell_end(self, name: str, instance: Instance, *, told: bool) -> None:
        """The end of a job whose sub-instance has ended. told: it is known already how the job itself ended."""
        now = time.time()
        if not told:
            self.emit(Event("exception", now, name, instance.exception))
        self.emit(Event("clean", now, name))

    async def cancel(self, names: Sequence[str]) -> None:
        shares: dict[Instance, list[str]] = defaultdict(list)
        for name in names:
            instance = self._places.get(name)
            if instance and instance.member and not instance.ended.is_set():
                shares[instance].append(name)
        failures = await asyncio.gather(*(self._revoke(*share) for share in shares.items()))
        for failure in failures:
            if failure:
                raise failure

    async def _revoke(self, instance: Instance, names: Sequence[str]) -> MemberError | None:
        try:
            if instance.member:
                await instance.member.cancel(names)
        except MemberError as error:
            return None if await self._ends(instance) else error
        return None
