"""Reads the application's metrics from what jobs write, while they run and once more at their end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from resources.errors import PluginError
from resources.plugins import Registry

from ensemble.engine import Engine
from ensemble.errors import MemberError
from ensemble.events import Event
from ensemble.member import READ_LIMIT, Member
from ensemble.plugins import Plugin
from ensemble.readers import Feed, line_reader

EVERY = 1.0  # seconds between two looks at a job's output
AT_ONCE = 16  # jobs that are read side by side
LAST_WITHIN = 30.0  # seconds for the last look at a job
MOST_READERS_TOLD = 10  # readers that fail are told of


class _Source:
    """One stream or file of a job: read up to `offset`; what stands after the last line's end is kept in `rest`."""

    __slots__ = ("feeds", "file", "known", "offset", "rest", "stream")

    def __init__(self, stream: str, file: str, known: int) -> None:
        self.stream = stream
        self.file = file
        self.known = known  # values up to here have been taken by an earlier process
        self.offset = 0
        self.rest = b""
        self.feeds: dict[str, Feed] = {}

    @property
    def key(self) -> str:
        return self.file or self.stream


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
        self._sources: dict[str, list[_Source]] = {}  # by the name of a job
        self._held: dict[str, list[Event]] = {}
        self._ending: deque[str] = deque()
        self._wake = asyncio.Event()
        self._told = 0

    def started(self, name: str) -> None:
        """A job runs: from now on its output is read, where its group has metrics."""
        job = self._engine.jobs.get(name)
        if job is None or name in self._sources:
            return
        group = self._engine.groups[job.group]
        if not group.metrics:
            return
        sources: dict[str, _Source] = {}
        overrides = self._engine.overrides[job.overrides]
        for metric, reader in group.metrics.items():
            file = ""
            if reader.file:
                spec = group.spec(name, job.index, job.attempt, overrides)
                path = group.metric_file(metric, name, job.index, job.attempt, overrides)
                file = str(Path(spec.workdir or ".") / path)
            known = (job.read or {}).get(file or reader.stream, 0)
            source = sources.setdefault(file or reader.stream, _Source(reader.stream, file, known))
            try:
                source.feeds[metric] = line_reader(reader, self._plugins)
            except PluginError as error:
                self._fails(f"{name}: {error}")
        self._sources[name] = list(sources.values())

    def holds_back(self, event: Event) -> bool:
        """Whether an event has to wait for the last values of its job; it is fed again then."""
        name = event.job
        if event.name == "metric":
            return False
        if name in self._held:
            self._held[name].append(event)
            return True
        if event.name not in ("finish", "clean") or name not in self._sources:
            return False
        self._held[name] = [event]
        self._ending.append(name)
        self._wake.set()
        return True

    async def work(self) -> None:
        """Runs until it is cancelled."""
        look = time.monotonic() + EVERY
        while True:
            try:
                async with asyncio.timeout(max(0.0, look - time.monotonic()) if self._sources else None):
                    await self._wake.wait()
            except TimeoutError:
                await self._side_by_side([name for name in self._sources if name not in self._held])
                look = time.monotonic() + EVERY
            self._wake.clear()
            ending = list(self._ending)
            self._ending.clear()
            await self._side_by_side(ending)
            for name in ending:
                self._sources.pop(name, None)
                for event in self._held.pop(name):
                    self._feed(event)

    def wake(self) -> None:
        """There is something to read now."""
        self._wake.set()

    async def _side_by_side(self, names: list[str]) -> None:
        for first in range(0, len(names), AT_ONCE):
            await asyncio.gather(*(self._read(name) for name in names[first : first + AT_ONCE]))

    async def _read(self, name: str) -> None:
        last = name in self._held
        try:
            async with asyncio.timeout(LAST_WITHIN):
                for source in self._sources.get(name, ()):
                    while data := await self._more(name, source):
                        self._take(name, source, data)
                        if len(data) < READ_LIMIT:
                            break
                    if last and source.rest:
                        self._take(name, source, b"\n")
        except (MemberError, OSError, TimeoutError):
            return  # the next look, if there is one, finds more

    async def _more(self, name: str, source: _Source) -> bytes:
        at = source.offset + len(source.rest)
        if not source.file:
            return await self._member.read(name, source.stream, at)
        return await self._member.read_file(source.file, at)

    def _take(self, name: str, source: _Source, data: bytes) -> None:
        """Feed the lines of some more output, and take down what they say."""
        *lines, source.rest = (source.rest + data).split(b"\n")
        values: list[list[str | float]] = []
        for line in lines:
            source.offset += len(line) + 1
            text = line.decode(errors="replace").rstrip("\r")
            for metric, feed in list(source.feeds.items()):
                try:
                    value = feed(text)
                except Exception as error:  # noqa: BLE001 - a plugin's reader: its failure is not that of the run
                    del source.feeds[metric]
                    self._fails(f"{name}: the reader of {metric} failed: {type(error).__name__}: {error}")
                    continue
                if value is not None and source.offset > source.known:
                    values.append([metric, float(value)])
        if values:
            context = {"values": values, "source": source.key, "offset": source.offset}
            self._feed(Event("metric", time.time(), name, context))

    def _fails(self, text: str) -> None:
        self._told += 1
        if self._told <= MOST_READERS_TOLD:
            self._say("metric", text)
