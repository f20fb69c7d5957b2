"""Reads the application's metrics from what jobs write, while they run and once more at their end."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from resources.plugins import Registry

from ensemble.document.reader import Reader
from ensemble.engine import Engine
from ensemble.errors import MemberError
from ensemble.events import Event
from ensemble.jobs import JobState
from ensemble.lines import Lines
from ensemble.member import READ_LIMIT, Member, Unreachable
from ensemble.plugins import Plugin
from ensemble.readers import Feed, line_reader

EVERY = 1.0  # seconds between two looks at the output of the jobs that run
SHARE = 4.0  # a look that took long is followed by a pause that is so many times as long
AT_ONCE = 16  # jobs that are read side by side
PIECE = 16384  # bytes that are taken in at a time: the others' turn comes after each
LAST_WITHIN = 30.0  # seconds for a read to be answered, and for a job's last values to be got hold of
AGAIN = 0.5  # seconds between two tries at the last values
MOST_TOLD = 10  # troubles that are told of


class _Source:
    """One stream or file of a job, read line by line.

    known: values up to here have been taken by an earlier process. anew: how often the file was begun anew.
    """

    __slots__ = ("anew", "feeds", "file", "known", "lines", "node", "readers", "stream")

    def __init__(self, stream: str, file: str, read: Mapping[str, int]) -> None:
        self.stream = stream
        self.file = file
        self.readers: dict[str, Reader] = {}
        self.feeds: dict[str, Feed] = {}
        self.lines = Lines()
        self.node = 0  # the inode of the file, 0 while it was not there
        self.anew = max((int(key.rpartition("#")[2]) for key in read if key.startswith(f"{file}#")), default=0)
        self.known = read.get(self.key, 0)

    @property
    def key(self) -> str:
        """What the engine knows it by."""
        if not self.file:
            return self.stream
        return f"{self.file}#{self.anew}" if self.anew else self.file


class _Watched:
    """A job that is watched. requeued: a queue's own new start, by the number of those before it."""

    __slots__ = ("group", "lock", "name", "requeued", "sources")

    def __init__(self, name: str, job: JobState) -> None:
        self.name = name
        self.group = job.group
        self.requeued = job.rescued
        self.sources: list[_Source] = []
        self.lock = asyncio.Lock()


class Watcher:
    """Feeds `metric` events. The end of a job is held back until its last values are in.

    After a resume a job's output is read from its beginning again, because a reader may need to see its head; values
    that were taken before are not fed again.
    """

    def __init__(
        self,
        engine: Engine,
        member: Member,
        plugins: Registry[Plugin],
        feed: Callable[[Event], None],
        say: Callable[[str, str], None],
    ) -> None:
        self._engine = engine
        self._member = member
        self._plugins = plugins
        self._feed = feed
        self._say = say
        self._jobs: dict[str, _Watched] = {}
        self._held: dict[str, list[Event]] = {}
        self._ending: list[str] = []
        self._some = asyncio.Event()
        self._end = asyncio.Event()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._told: set[tuple[str, str]] = set()

    def started(self, name: str) -> None:
        """A job runs: from now on its output is read, where its group has metrics."""
        job = self._engine.jobs.get(name)
        if job is None or job.foreign or name in self._jobs:
            return
        group = self._engine.groups.get(job.group)
        if group is None or not group.metrics:
            return
        watched = _Watched(name, job)
        sources: dict[str, _Source] = {}
        overrides = self._engine.overrides[job.overrides]
        for metric, reader in group.metrics.items():
            file = ""
            if reader.file:
                spec = group.spec(name, job.index, job.attempt, overrides)
                path = group.metric_file(metric, name, job.index, job.attempt, overrides)
                file = str(Path(spec.workdir or ".") / path)
            source = sources.setdefault(file or reader.stream, _Source(reader.stream, file, job.read or {}))
            source.readers[metric] = reader
        watched.sources += sources.values()
        for source in watched.sources:
            self._begin(watched, source)
        self._jobs[name] = watched

    def holds_back(self, event: Event) -> bool:
        """Whether an event has to wait for the last values of its job; it is fed again then."""
        name = event.job
        if event.name == "metric" or name not in self._jobs:
            return False
        if name in self._held:
            self._held[name].append(event)
            return True
        if event.name == "requeue":  # it writes everything once more
            del self._jobs[name]
        if event.name not in ("finish", "clean"):
            return False
        self._held[name] = [event]
        self._ending.append(name)
        self._end.set()
        return True

    async def work(self) -> None:
        """Runs until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look())
            while True:
                await self._end.wait()
                self._end.clear()
                for name in self._ending:
                    tasks.create_task(self._finish(name))
                self._ending.clear()

    def wake(self) -> None:
        """There is something to watch now."""
        if self._jobs:
            self._some.set()

    async def _look(self) -> None:
        """At all that run, again and again."""
        while True:
            await self._some.wait()
            began = time.monotonic()
            jobs = [watched for name, watched in self._jobs.items() if name not in self._held]
            for first in range(0, len(jobs), AT_ONCE):
                await asyncio.gather(*(self._glance(watched) for watched in jobs[first : first + AT_ONCE]))
            if not self._jobs:
                self._some.clear()
            await asyncio.sleep(max(EVERY, SHARE * (time.monotonic() - began)))

    async def _glance(self, watched: _Watched) -> None:
        async with watched.lock:
            for source in watched.sources:
                try:
                    await self._catch_up(watched, source)
                except (MemberError, TimeoutError):
                    return  # the next look, or the last one, finds more
                except OSError as error:
                    self._tell(watched.group, str(error.strerror), f"{watched.name}: {error}")

    async def _finish(self, name: str) -> None:
        """Get a job's last values, then let its end go on."""
        watched = self._jobs[name]
        async with self._at_once, watched.lock:
            for source in watched.sources:
                if why := await self._last(watched, source):
                    text = f"{name}: the last values of {', '.join(source.readers)} are missing: {why}"
                    self._tell(watched.group, source.key, text)
                self._take(watched, source, None)
                if source.file and not source.node:
                    text = f"{name}: there is no file {source.file}, which has {', '.join(source.readers)}"
                    self._tell(watched.group, ", ".join(source.readers), text)
        del self._jobs[name]
        for event in self._held.pop(name):
            self._feed(event)

    async def _last(self, watched: _Watched, source: _Source) -> str:
        """Read to the end; why that is not possible, empty where it was."""
        until = time.monotonic() + LAST_WITHIN
        while True:
            try:
                await self._catch_up(watched, source)
            except Unreachable as error:
                if time.monotonic() > until:
                    return str(error)
                await asyncio.sleep(AGAIN)
            except TimeoutError:
                return f"no answer within {LAST_WITHIN:g} s"
            except (MemberError, OSError) as error:
                return str(error)
            else:
                return ""

    async def _catch_up(self, watched: _Watched, source: _Source) -> None:
        """Take in what was written since the last time. Raises MemberError, OSError and TimeoutError."""
        while True:
            async with asyncio.timeout(LAST_WITHIN):
                data = await self._read(watched, source)
            for first in range(0, len(data), PIECE):
                self._take(watched, source, data[first : first + PIECE])
                await asyncio.sleep(0)
            if len(data) < READ_LIMIT:
                return

    async def _read(self, watched: _Watched, source: _Source) -> bytes:
        if not source.file:
            try:
                return await self._member.read(watched.name, source.stream, source.lines.position)
            except (MemberError, OSError):
                raise
            except Exception as error:
                raise MemberError(
                    self._member.name, f"it can't read output: {type(error).__name__}: {error}"
                ) from error
        found = await asyncio.to_thread(_read_file, source.file, source.lines.position, source.node)
        if found is None:
            return b""
        data, node, size = found
        if (source.node and node != source.node) or size < max(source.lines.position, source.known):
            source.lines, source.known = Lines(), 0
            source.anew += 1
            self._begin(watched, source)
        source.node = node
        return data

    def _begin(self, watched: _Watched, source: _Source) -> None:
        """Make the readers of a source that is read from its beginning."""
        source.feeds.clear()
        for metric, reader in source.readers.items():
            try:
                source.feeds[metric] = line_reader(reader, self._plugins)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's: its failure is not that of the run
                self._reader_failed(watched, metric, error)

    def _take(self, watched: _Watched, source: _Source, data: bytes | None) -> None:
        """Feed the lines of some more output, None for its end, and take down what they say."""
        values: list[list[str | float]] = []
        for line in source.lines.add(data) if data is not None else source.lines.end():
            text = line.decode(errors="replace")
            for metric, feed in list(source.feeds.items()):
                try:
                    value = feed(text)
                    number = None if value is None else float(value)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - see above
                    del source.feeds[metric]
                    self._reader_failed(watched, metric, error)
                    continue
                if number is not None and source.lines.offset > source.known:
                    values.append([metric, number])
        if values and self._jobs.get(watched.name) is watched:
            context = {"values": values, "source": source.key, "offset": source.lines.offset}
            context |= {"requeued": watched.requeued} if watched.requeued else {}
            self._feed(Event("metric", time.time(), watched.name, context))

    def _reader_failed(self, watched: _Watched, metric: str, error: BaseException) -> None:
        why = f"{type(error).__name__}: {error}"
        self._tell(watched.group, metric, f"{watched.name}: the reader of {metric} failed and is left out: {why}")

    def _tell(self, group: str, what: str, text: str) -> None:
        """Once for all jobs of a group."""
        if (group, what) not in self._told and len(self._told) < MOST_TOLD:
            self._told.add((group, what))
            self._say("reader", text)


def _read_file(path: str, offset: int, node: int) -> tuple[bytes, int, int] | None:
    """Of a file: the bytes from an offset on, its inode and its size; None where there is none (yet).

    From its beginning where it is another file than the one of inode `node`, or shorter than `offset`.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for its writer
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(0, "it is no regular file", path)
        if about.st_size < offset or (node and about.st_ino != node):
            offset = 0
        return os.pread(fd, READ_LIMIT, offset), about.st_ino, about.st_size
    finally:
        os.close(fd)
