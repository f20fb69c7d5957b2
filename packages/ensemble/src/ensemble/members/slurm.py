"""Jobs on a Slurm cluster, through its own commands: sbatch, squeue, scancel, scontrol, and sacct where it works.

Jobs that need the same are submitted as arrays. Each job writes down its own start and end in the run's folder, which
all nodes must see; squeue, asked once an interval for all jobs together, says what jobs can't say themselves: that they
wait, were cancelled, preempted, or lost their node. In an interval where jobs are missing from its reply, sacct is
asked for them in place of squeue, so that there is never more than one question an interval.

What is not seen is unknown. A job is lost only where several good replies in a row do not have it, the accounting
(where there is one) knows no end of it, its own record stays away longer than a network file system may hide it, and
slurmctld answers that there is no such job. While commands fail nothing is concluded at all: the member goes on asking,
less and less often (at most a minute apart), and never calls `lost`, since jobs go on without slurmctld.

A job that a person holds waits, and an exception of severity 1 says so once. One that Slurm holds after its launch
failed (JobLaunchFailure, REQUEUE_HOLD, SPECIAL_EXIT), or that is larger than any limit, will never start: that is an
exception of severity 0, and it is taken out of the queue.

Attributes of jobs are long options of sbatch (`attributes: {partition: gpu, qos: low, constraint: [a]}`); what is
said below `member` beside `name` (and `interval`, seconds) is the same for all jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

from ensemble.errors import MemberError, SpecError
from ensemble.events import COURSE, Event
from ensemble.job import Job, Known
from ensemble.member import READ_LIMIT, Emit, Lost, Member, Options, SubmitLimit, Unreachable
from ensemble.slurmqueue import commands, options, script, states
from ensemble.slurmqueue.records import PACK, Batch, Store
from ensemble.slurmqueue.track import Patience, Track

LOOK = 0.5  # seconds between two looks at what the jobs wrote
BACKOFF = 60.0  # seconds, the longest pause between two questions while Slurm does not answer
SUBMIT_PATIENCE = 100.0  # seconds for one sbatch; it tries again by itself for some of them
SLEEPING = "sleeping and retrying"  # sbatch would wait for minutes: the queue is full, and it says so
ASKED = 500  # jobs or arrays in one question to the accounting

log = logging.getLogger(__name__)


class SlurmMember(Member):
    """Runs jobs by sbatch. See the module for how it knows what becomes of them."""

    name: ClassVar[str] = "slurm"
    no_resize: ClassVar[str] = (
        "Slurm's nodes belong to all users; submit more or fewer jobs, or resize inside an allocation with member flux"
    )

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.patience = Patience()
        self._commands = commands.Commands(os.environ)
        settings = dict(options.settings)
        self._interval = _interval(settings.pop("interval", options.interval))
        try:
            self._defaults = _options(settings)
        except SpecError as error:
            raise MemberError(self.name, str(error)) from None
        self._user = str(os.getuid())
        self._cwd = str(Path.cwd())
        self._folder = options.folder
        self._store: Store | None = None
        self._emit: Emit = lambda event: None
        self._tracks: dict[str, Track] = {}
        self._by_id: dict[str, Track] = {}
        self._places: dict[tuple[str, int], Track] = {}
        self._cut: dict[str, float] = {}  # submissions in doubt, and when sbatch ended
        self._to_cancel: set[str] = set()  # jobs that should end, of which it is not known whether they arrived
        self._tasks: list[asyncio.Task[None]] = []
        self._busy = asyncio.Event()
        self._reading = asyncio.Lock()
        self._array = PACK  # how many jobs an array has at most
        self._room = PACK  # how many the queue took lately
        self._config: dict[str, str] = {}
        self._accounting = False
        self._failures = 0
        self._tried = False  # the last question was one for such a job
        self._absent = 0.0  # when slurmctld denied last to know a job that was missing

    @classmethod
    def unavailable(cls) -> str:
        found = commands.Commands(os.environ)
        if missing := [name for name in ("sbatch", "squeue", "scancel", "scontrol") if name not in found.paths]:
            return f"there is no {missing[0]} on PATH: Slurm's commands are needed"
        return found.ping()

    # Opening and closing

    async def open(self, emit: Emit, lost: Lost) -> None:
        if "sbatch" not in self._commands.paths:
            raise MemberError(self.name, "there is no sbatch on PATH")
        answer = await self._run("scontrol", "show", "config")
        if answer.code != 0:
            raise Unreachable(self.name, f"slurmctld does not answer: {answer.said}")
        self._config = commands.config(answer.out)
        largest = self._config.get("MaxArraySize", "")
        self._array = self._room = max(min(PACK, int(largest) - 1), 1) if largest.isdigit() else PACK
        kind = self._config.get("AccountingStorageType", "")
        self._accounting = "sacct" in self._commands.paths and not kind.endswith("none")
        if self._folder is None:
            home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
            home.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f"ensemble-{self.options.run}-", dir=home))
        self._store = Store(self._folder.resolve())
        try:
            await asyncio.to_thread(self._store.open)
        except (OSError, ValueError, KeyError) as error:
            raise MemberError(self.name, f"what is kept in {self._folder} can't be read: {error}") from None
        await asyncio.to_thread(self._store.new_records, {batch.pack for batch in self._store.batches.values()})
        self._emit = emit
        self._failures = 0
        self._tasks = [asyncio.create_task(self._watch(self._look, LOOK)), asyncio.create_task(self._watch(self._ask))]

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()):
                lost(error if isinstance(error, Exception) else MemberError(self.name, repr(error)))

        for task in self._tasks:
            task.add_done_callback(ended)

    async def close(self, *, leave: bool = False) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if not leave and self._store:
            live = [track.id for track in self._tracks.values() if not track.over]
            names = [
                batch.name
                for batch in self._store.batches.values()
                if not batch.id and not batch.void and self._doubt(batch)
            ]
            try:
                async with asyncio.timeout(10.0):
                    while not (await self._scancel(live) and await self._scancel_named(names)):
                        await asyncio.sleep(1.0)
            except TimeoutError:
                log.warning("slurm: scancel does not answer; %d jobs were not cancelled", len(live))
        for found in (self._tracks, self._by_id, self._places):
            found.clear()
        if self._store:
            self._store.close()
            self._store = None
        if self.options.folder is None and self._folder and not leave:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _doubt(self, batch: Batch) -> bool:
        return any(job not in self._tracks for job in batch.jobs)

    @property
    def _kept(self) -> Store:
        if self._store is None:
            raise MemberError(self.name, "it is not open")
        return self._store

    # Submission

    async def submit(self, jobs: Sequence[Job]) -> None:
        alike: dict[tuple[str, ...], list[Job]] = {}
        for job in jobs:
            try:
                key = options.arguments(job, self._defaults)
                script.check(job)
            except SpecError as error:
                self._refuse([job], "submit", str(error))
            else:
                alike.setdefault(key, []).append(job)
        for key, group in alike.items():
            while group:
                group = group[await self._submit_some(key, group) :]

    async def _submit_some(self, key: tuple[str, ...], jobs: Sequence[Job]) -> int:
        """Submit the first of these jobs, as many as there is room for; how many that are. Raises as submit does."""
        while True:
            batch, name, text = self._batch(jobs[: self._room])
            some = jobs[: len(batch.jobs)]
            arguments = ["--parsable", f"--job-name={name}", "--export=ALL", "--output=/dev/null", *key]
            arguments += [f"--array=0-{len(some) - 1}"] if batch.array else []
            self._kept.intend(batch)
            answer = await self._run("sbatch", *arguments, stdin=text, stop=SLEEPING, patience=SUBMIT_PATIENCE)
            job_id = _job_id(answer)
            if job_id:
                self._kept.arrived(batch.name, job_id)
                self._arrived(batch, {job.name: job for job in some}, job_id, batch.time)
                self._room = min(self._room * 2, self._array)
                return len(some)
            kind = states.refusal(answer.err) if answer.err else "unreachable"
            if kind == "unreachable" or (answer.code is None and SLEEPING not in answer.err):
                self._cut[batch.name] = time.time()
                raise Unreachable(self.name, f"sbatch did not say whether it submitted: {answer.said}")
            self._kept.refused(batch.name)
            if kind == "policy":  # it passes where jobs are there that count
                kind = "limit" if batch.array or self._tracks else "alloc"
            if kind != "limit":
                self._refuse(some, kind, f"sbatch: {answer.said}")
                return len(some)
            # Half as many may still fit. The next time starts with as few, so that little is written for nothing.
            self._room = max(len(some) // 2, 1)
            if not batch.array:
                raise SubmitLimit(self.name, f"Slurm takes no more jobs now: {self._why(answer.said)}")

    def _batch(self, jobs: Sequence[Job]) -> tuple[Batch, str, bytes]:
        """What is submitted at once: the record of it, its job name, and its script."""
        store, unique = self._kept, uuid.uuid4().hex[:8]
        while True:
            array, token = len(jobs) > 1, jobs[0].token
            name = f"{token[:180]}-{unique}" if array else token
            batch = Batch(
                f"{name}-{unique}", store.next_pack(len(jobs)), [job.name for job in jobs], time.time(), array
            )
            if array:
                batch.name = name
            batch.outputs = {job.name: str(own) for job in jobs if (own := script.own_output(job, self._cwd))}
            text = script.script(jobs, store.folder, batch.name, batch.pack, self._cwd)
            if len(text) < script.MOST or not array:
                break
            jobs = jobs[: len(jobs) // 2]
        for folder in {Path(own).parent for own in batch.outputs.values()}:
            with contextlib.suppress(OSError):  # the job itself says what is wrong with it
                folder.mkdir(parents=True, exist_ok=True)
        return batch, name, text.encode(errors="surrogateescape")  # as names of files are

    def _why(self, said: str) -> str:
        most = self._config.get("MaxJobCount")
        return f"{said} (MaxJobCount is {most})" if most and "temporarily unable" in said else said

    def _refuse(self, jobs: Iterable[Job], cause: str, note: str) -> None:
        now = time.time()
        for job in jobs:
            context = {"type": cause, "severity": 0, "note": note}
            self._emit(Event("exception", now, job.name, context))
            self._emit(Event("clean", now, job.name))

    def _arrived(
        self, batch: Batch, jobs: dict[str, Job], job_id: str, at: float, told: dict[str, int] | None = None
    ) -> None:
        """Follow jobs of a batch from now on, and tell their submit."""
        now = time.time()
        wanted: list[str] = []
        for index, name in enumerate(batch.jobs):
            if name not in jobs or name in self._tracks:
                continue
            own_id = f"{job_id}_{index}" if batch.array else job_id
            track = Track(jobs[name], own_id, batch.name, index, _job_name(batch), time.monotonic())
            track.where = self.where
            track.told = (told or {}).get(name, 0)
            track.restarts = self._kept.restarts.get(name, 0)
            self._tracks[name] = self._by_id[track.id] = self._places[batch.name, index] = track
            self._tell(track, track.submitted(at, now))
            if name in self._to_cancel:
                self._to_cancel.discard(name)
                track.cancelling, track.cancelled_at = True, time.monotonic()
                wanted.append(track.id)
        self._busy.set()
        if wanted:
            self._tasks.append(asyncio.create_task(self._scancel_soon(wanted)))

    async def _scancel_soon(self, ids: list[str]) -> None:
        await self._scancel(ids)

    # Adoption

    async def adopt(self, known: Sequence[Known]) -> Collection[str]:
        store = self._kept
        wanted = {one.job.name: one for one in known if one.job.name not in self._tracks}
        if not wanted:
            return []
        told = {name: COURSE.index(one.seen) + 1 if one.seen else 0 for name, one in wanted.items()}
        jobs = {name: one.job for name, one in wanted.items()}
        rows = await self._rows_now()
        absent: set[str] = set()
        doubtful: list[Batch] = []
        for name, one in wanted.items():
            batches = [store.batches[batch] for batch in store.of_job.get(name, [])]
            here = [batch for batch in batches if batch.id] or [batch for batch in batches if not batch.void]
            if not here and (stranger := self._stranger(one, rows)):
                here = [stranger]
            if not here:
                absent.add(name)
            elif here[-1].id:
                batch = here[-1]
                self._arrived(batch, {name: jobs[name]}, batch.id, batch.time, told)
            elif here[-1] not in doubtful:
                doubtful.append(here[-1])
        if doubtful:
            absent |= await self._settle(doubtful, jobs, told)
            rows = await self._rows_now()
        store.forget_read()
        await self._look()
        self._apply(rows, time.monotonic())
        if self._accounting and any(track.missing for track in self._tracks.values()):
            await self._account()
        self._judge()
        return absent

    def _stranger(self, one: Known, rows: list[commands.Row]) -> Batch | None:
        """A job that the folder does not know, by the id that the journal has or by its token in the queue."""
        found = one.id or next((row.id for row in rows if row.name == one.job.token and "_" not in row.id), "")
        if not found:
            return None
        base, _, index = found.partition("_")
        # Its place in the array is all that is known of the others.
        size = int(index) + 1 if index.isdigit() else 1
        names = [""] * (size - 1) + [one.job.name]
        return Batch("", 0, names, 0.0, bool(index), id=base)

    async def _settle(self, batches: list[Batch], jobs: dict[str, Job], told: dict[str, int]) -> set[str]:
        """Find out whether submissions arrived of which nobody saw the end. Jobs of those that did not."""
        while True:
            rows = await self._rows_now()
            store = self._kept
            store.forget_read()
            packs = {batch.pack for batch in batches}
            wrote = {
                record.batch: record.id
                for record in await asyncio.to_thread(store.new_records, packs)
                if record.kind != "end"
            }
            queued = {row.name: row.id.partition("_")[0] for row in rows}
            left = []
            for batch in batches:
                if found := wrote.get(batch.name) or queued.get(_job_name(batch)):
                    store.arrived(batch.name, found)
                    self._arrived(store.batches[batch.name], jobs, found, batch.time, told)
                else:
                    left.append(batch)
            latest = max((self._cut.get(batch.name, batch.time) for batch in left), default=0.0)
            waits = latest + self.patience.settle - time.time()
            batches = left
            if not batches or waits <= 0:
                break
            await asyncio.sleep(min(waits, 2.0, max(self._interval, 0.2)))
        names = {_job_name(batch): batch for batch in batches}
        if still := [name for name in names if commands.orphan(name)]:
            raise Unreachable(self.name, f"an sbatch of this run still works on {still[0]}")
        if names and self._accounting and (accounts := await self._sacct(names=names)):
            for row in accounts:
                if row.name in names:
                    batch, found = names.pop(row.name), row.id.partition("_")[0]
                    self._kept.arrived(batch.name, found)
                    self._arrived(self._kept.batches[batch.name], jobs, found, batch.time, told)
        absent: set[str] = set()
        for batch in names.values():
            self._kept.refused(batch.name)
            absent |= set(batch.jobs) & jobs.keys()
        return absent

    async def _rows_now(self) -> list[commands.Row]:
        rows = await self._squeue()
        if rows is None:
            raise Unreachable(self.name, "squeue does not answer")
        return rows

    # Cancelling

    async def cancel(self, names: Sequence[str]) -> None:
        ids = []
        for name in names:
            track = self._tracks.get(name)
            if track and not track.over:
                track.cancelling = True
                track.cancelled_at = time.monotonic()
                ids.append(track.id)
            elif (
                self._store
                and track is None
                and any(not self._store.batches[batch].void for batch in self._store.of_job.get(name, []))
            ):
                self._to_cancel.add(name)  # it may have arrived: adoption tells
        await self._scancel(ids)  # where that fails it is tried again with the next replies

    async def _scancel(self, ids: Sequence[str]) -> bool:
        words = commands.compress(ids) if ids else []
        done = True
        for at in range(0, len(words), 100):
            answer = await self._run("scancel", *words[at : at + 100])
            done = done and (answer.code == 0 or states.refusal(answer.err) != "unreachable")
        return done

    async def _scancel_named(self, names: Sequence[str]) -> bool:
        done = True
        for at in range(0, len(names), 50):
            answer = await self._run("scancel", f"--user={self._user}", f"--name={','.join(names[at : at + 50])}")
            done = done and answer.code == 0
        return done

    # What becomes of jobs

    async def _watch(self, look: Callable[[], Awaitable[None]], pause: float = 0.0) -> None:
        """Look again and again, as long as there is a job to look for."""
        while True:
            await self._busy.wait()
            await asyncio.sleep(pause or min(self._interval * 2**self._failures, max(BACKOFF, self._interval)))
            try:
                await look()
            except OSError as error:  # no memory for a process, a file system that is away: later it may be better
                log.warning("slurm: %s", error)

    async def _look(self) -> None:
        """Read what jobs wrote: one file for about a thousand of them."""
        async with self._reading:
            await self._read_records()

    async def _read_records(self) -> None:
        store = self._kept
        packs = {store.batches[track.batch].pack for track in self._tracks.values() if track.batch in store.batches}
        now = time.time()
        for record in await asyncio.to_thread(store.new_records, packs):
            track = self._places.get((record.batch, record.index))
            if track:
                self._tell(track, track.on_record(record, now))
                self._tell(track, track.events(time.time(), self.patience))
        late = self.patience.verdict
        for track in [one for one in self._tracks.values() if one.end and now - one.end_seen > late]:
            self._tell(track, track.events(now, self.patience))

    async def _ask(self) -> None:
        """One question to Slurm: squeue for all, or sacct or scontrol for those that squeue does not show."""
        gone = [track for track in self._tracks.values() if track.missing and not track.asked]
        patient = self.patience
        lost = [
            track
            for track in self._tracks.values()
            if track.missing >= patient.absent and time.time() - track.missing_since >= patient.visible
        ]
        if self._accounting and gone:
            await self._account()
        elif lost and not self._denied(lost[0]) and not self._tried:
            self._tried = True
            await self._deny(lost[0])
        else:
            asked, self._tried = time.monotonic(), False
            rows = await self._squeue()
            if rows is None:
                self._failures = min(self._failures + 1, 10)
                return
            self._failures = 0
            self._apply(rows, asked)
        if any(track.missing for track in self._tracks.values()):
            await self._look()  # the job's own word goes first
        self._judge()
        await self._tidy()

    def _apply(self, rows: Sequence[commands.Row], asked: float) -> None:
        now = time.time()
        found = {row.id: row for row in rows}
        for track in list(self._tracks.values()):
            # An array that was cancelled before any element ran has one row, of the array itself.
            row = found.get(track.id) or found.get(track.id.partition("_")[0])
            if row and track.is_of(row):
                self._tell(track, track.on_row(row, now))
            elif track.since < asked:
                track.on_missing(now)

    def _judge(self) -> None:
        now = time.time()
        for track in list(self._tracks.values()):
            self._tell(track, track.events(now, self.patience, absent=self._denied(track)))

    def _denied(self, track: Track) -> bool:
        """Whether slurmctld denied knowing a job after this one was missing, so that the empty replies were true."""
        return track.missing_since != 0 and self._absent >= track.missing_since

    async def _tidy(self) -> None:
        """Cancel once more what still is there, and take out what will never start."""
        again = [
            track
            for track in self._tracks.values()
            if track.cancelling and track.row and not track.missing and time.monotonic() - track.cancelled_at > 30.0
        ]
        for track in again:
            track.cancelled_at = time.monotonic()
        hopeless = [track for track in self._by_id.values() if track.hopeless]
        if again or hopeless:
            done = await self._scancel([track.id for track in (*again, *hopeless)])
            for track in hopeless if done else ():
                self._by_id.pop(track.id, None)

    async def _account(self) -> None:
        gone = [track for track in self._tracks.values() if track.missing and not track.asked]
        bases = list(dict.fromkeys(track.id.partition("_")[0] for track in gone))[:ASKED]
        rows = await self._sacct(ids=bases)
        known = {row.id: row for row in rows or []}
        for track in gone:
            if track.id.partition("_")[0] in bases:
                track.asked = True
                row = known.get(track.id)
                track.account = row if row and track.is_of(row) else None

    async def _deny(self, track: Track) -> None:
        """Ask slurmctld for one of the jobs that are missing: an empty reply is one thing, `no such job` another."""
        self.calls["scontrol"] += 1
        answer = await self._run("scontrol", "show", "job", track.id)
        if answer.code is not None and states.denies(answer.code, answer.err + answer.out, track.called):
            self._absent = max(time.time(), track.missing_since)
        elif answer.code == 0:
            track.missing = 0

    async def _squeue(self) -> list[commands.Row] | None:
        """All of this user's jobs; None where the reply is none, which says nothing about any job."""
        self.calls["squeue"] += 1
        answer = await self._run("squeue", *commands.squeue_arguments(self._user))
        rows = commands.squeue_rows(answer.out) if answer.code == 0 else None
        if rows is None and not self._failures:
            log.warning("slurm: squeue does not answer (%s); jobs stay as they are", answer.said)
        return rows

    async def _sacct(self, *, ids: Iterable[str] = (), names: Iterable[str] = ()) -> list[commands.Row] | None:
        self.calls["sacct"] += 1
        first = min((batch.time for batch in self._kept.batches.values()), default=time.time())
        since = (datetime.fromtimestamp(first) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
        answer = await self._run("sacct", *commands.sacct_arguments(since, ids=ids, names=names))
        if "accounting storage is disabled" in answer.err:
            self._accounting = False
        return commands.sacct_rows(answer.out) if answer.code == 0 else None

    def _tell(self, track: Track, events: Iterable[Event]) -> None:
        for event in events:
            if event.name == "requeue":
                self._kept.restarted(track.batch, track.job.name, track.restarts)
            self._emit(event)
        if track.over and self._tracks.get(track.job.name) is track:
            del self._tracks[track.job.name]
            if not track.hopeless:
                self._by_id.pop(track.id, None)
            self._places.pop((track.batch, track.index), None)
            if not self._by_id:
                self._busy.clear()

    async def _run(
        self, name: str, *arguments: str, stdin: bytes = b"", stop: str = "", patience: float = 0.0
    ) -> commands.Answer:
        patience = patience or self.patience.answer
        return await _ask(self._commands, name, *arguments, stdin=stdin, stop=stop, patience=patience)

    # Output

    async def read(self, name: str, stream: str, offset: int, limit: int = READ_LIMIT) -> bytes:
        return await asyncio.to_thread(self._read, name, stream, offset, limit)

    def _read(self, name: str, stream: str, offset: int, limit: int) -> bytes:
        if self._store is None or (piece := self._store.piece(name, stream)) is None:
            return b""
        path, start, length = piece
        try:
            with path.open("rb") as file:
                size = length if length is not None else file.seek(0, os.SEEK_END)
                at = max(size + offset, 0) if offset < 0 else offset
                file.seek(start + at)
                return file.read(max(min(limit, size - at), 0))
        except OSError:
            return b""

    @property
    def output(self) -> str:
        return str(self._folder or "")

    def where(self, name: str) -> str:
        if self._store is None:
            return ""
        piece = self._store.piece(name, "err") or self._store.piece(name, "out")
        if piece is None:
            return ""
        path, start, length = piece
        return str(path) if length is None else f"tail -c +{start + 1} {path} | head -c {length}"


def _job_id(answer: commands.Answer) -> str:
    """What `sbatch --parsable` answers, `ID` or `ID;CLUSTER`; empty where it did not."""
    lines = answer.out.split()
    found = lines[-1].partition(";")[0] if lines else ""
    return found if answer.code == 0 and found.isdigit() else ""


def _job_name(batch: Batch) -> str:
    """The name that a batch has in the queue: a single job's is its token. Empty where only its id is known."""
    return batch.name if batch.array else batch.name.rpartition("-")[0]


def _interval(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 86400:
        raise MemberError(SlurmMember.name, f"interval: seconds are expected, not {value!r}")
    return float(value)


def _options(settings: dict[str, object]) -> dict[str, str | bool]:
    return options.attributes(settings, "member")


async def _ask(
    found: commands.Commands,
    name: str,
    *arguments: str,
    stdin: bytes = b"",
    stop: str = "",
    patience: float = commands.PATIENCE,
) -> commands.Answer:
    try:
        return await found.run(name, *arguments, stdin=stdin, stop=stop, patience=patience)
    except OSError as error:
        return commands.Answer(None, "", f"{name}: {error}")


MEMBER = SlurmMember
