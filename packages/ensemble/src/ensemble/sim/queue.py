"""A cluster of equal nodes in virtual time: first come, first served, and what does not fit lets smaller ones pass.

Pure and synchronous: no clock, no I/O. Times are seconds. Nothing is scanned for each job: nodes that are free to the
same extent share a bucket, and waiting jobs that need the same share a line.

The order: jobs start in the order in which they came. While the first one waits for room, later ones that fit start
before it (backfill), for at most PATIENCE seconds from when it became the first; then nothing starts before it.
Of the nodes that can hold a job the fullest is taken. Nodes are shared between jobs.
"""

from __future__ import annotations

import heapq
from array import array
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ensemble.events import Event
from ensemble.sim.models import Course, Recipe

PATIENCE = 3600.0
CHUNK = 10_000  # arrivals that are told at a time: a million jobs come with little memory
_ARRIVING, _WAITING, _GONE = -1, -2, -3  # where a job is; from 0 on it is the node that it runs on
_SPREAD = -4  # it runs on several nodes
_START = -1  # steps of a job in the agenda; from 0 on they are its points
_END = 1 << 60
_NOTHING: Mapping[str, Any] = {}
_FINISH: dict[int, Mapping[str, Any]] = {}

Free = tuple[int, int, int]  # cores, GPUs and bytes of memory that a node has left


class Need(NamedTuple):
    """What a job takes. nodes: 0 places the tasks freely. cores, gpus, memory (bytes): for each task.

    avoid: names of nodes that it must not run on.
    """

    nodes: int = 1
    tasks: int = 1
    cores: int = 1
    gpus: int = 0
    memory: int = 0
    avoid: frozenset[str] = frozenset()


class _Job:
    __slots__ = ("course", "name", "need", "place", "recipe", "sequence", "since", "spread")

    def __init__(self, name: str, need: Need, recipe: Recipe, sequence: int, since: float) -> None:
        self.name, self.need, self.recipe, self.sequence = name, need, recipe, sequence
        self.since = since  # when it was submitted; from alloc on, when that was
        self.place = _ARRIVING
        self.course: Course | None = None
        self.spread: list[tuple[int, int]] | None = None  # nodes and how many tasks each has


class SimQueue:
    """nodes of `cores`, `gpus` and `memory` (bytes; 0: not counted) each. most: how many nodes it may grow to, 0: any.

    `next_time` says when something happens next; `advance` makes it happen and gives the events. `waits` has the
    seconds that each job waited, in the order of their starts.
    """

    def __init__(self, nodes: int, cores: int, gpus: int = 0, memory: int = 0, *, most: int = 0) -> None:
        self.cores, self.gpus, self.memory, self.most = cores, gpus, memory, max(most, nodes) if most else 0
        self.waits = array("d")
        self.waiting = self.running = 0
        self.longest = 0  # the longest that the queue of waiting jobs ever was
        self._full: Free = (cores, gpus, memory)
        self._free: dict[int, Free] = {}
        self._buckets: dict[Free, dict[int, None]] = {}
        self._leaving: set[int] = set()  # nodes that take no more jobs
        self._removed: list[int] = []
        self._names: dict[int, Mapping[str, Any]] = {}
        self._jobs: dict[str, _Job] = {}
        self._arrivals: deque[_Job] = deque()
        self._lines: dict[Need, deque[_Job]] = {}
        self._blocked: set[Need] = set()
        self._fits: dict[Need, bool] = {}
        self._agenda: list[tuple[float, int, int, _Job]] = []
        self._out: list[Event] = []
        self._counter = self._sequence = 0
        self._look = False  # whether something changed that may let a job start
        self._first: _Job | None = None
        self._first_since = 0.0
        # Integrals over time, up to _at: of nodes that are there, and of those that are in use.
        self._at = self._there = self._used = self._core_seconds = 0.0
        self._busy = 0
        self.sizes: list[tuple[float, int]] = []
        self.resize(nodes, 0.0)

    @property
    def size(self) -> int:
        """How many nodes there are, those that only wait for their jobs to end left out."""
        return len(self._free) - len(self._leaving)

    def __contains__(self, name: str) -> bool:
        return name in self._jobs

    @property
    def names(self) -> Sequence[str]:
        """The jobs that have not ended."""
        return tuple(self._jobs)

    def submit(self, jobs: Iterable[tuple[str, Need, Recipe]], now: float) -> None:
        """Take jobs in, by name; those that are in it already are left alone. Their events come from `advance`."""
        known, arrivals, number = self._jobs, self._arrivals, self._sequence
        for name, need, recipe in jobs:
            if name not in known:
                number += 1
                known[name] = job = _Job(name, need, recipe, number, now)
                arrivals.append(job)
        self._sequence = number

    def cancel(self, names: Iterable[str], now: float) -> None:
        """End jobs, waiting or running; names that are not there are left alone."""
        for name in names:
            if job := self._jobs.get(name):
                if job.place == _ARRIVING:
                    self._submitted(job, now)
                elif job.place == _WAITING:
                    self.waiting -= 1
                context = {"type": "cancel", "severity": 0, "note": "cancelled"}
                self._out.append(Event("exception", now, name, context))
                self._leave(job, now, 15)

    def resize(self, nodes: int, now: float) -> None:
        """Make it `nodes` nodes; those that go are idle ones, then others as soon as their jobs have ended."""
        self._count(now)
        while self.size < nodes and self._leaving:
            node = min(self._leaving)
            self._leaving.remove(node)
            self._buckets.setdefault(self._free[node], {})[node] = None
        grown: list[int] = []
        while self.size + len(grown) < nodes:
            grown.append(heapq.heappop(self._removed) if self._removed else len(self._free) + len(grown))
        for node in reversed(grown):  # the last one of a bucket is taken first
            self._free[node] = self._full
            self._buckets.setdefault(self._full, {})[node] = None
        for key in sorted(self._buckets, reverse=True):
            while self.size > nodes and (bucket := self._buckets.get(key)):
                node = next(iter(bucket))  # the one that was to be used last
                self._take(node, key)
                self._leaving.add(node)
                if key == self._full:
                    self._remove(node)
        self._fits.clear()
        self._blocked.clear()
        self._look = True
        if not self.sizes or self.sizes[-1][1] != nodes:
            self.sizes.append((now, nodes))

    def next_time(self, now: float) -> float | None:
        """When something happens next, `now` where it is due; None where nothing will."""
        if self._out or self._arrivals or (self._look and self.waiting):
            return now
        agenda = self._agenda
        while agenda and agenda[0][3].place == _GONE:
            heapq.heappop(agenda)
        return agenda[0][0] if agenda else None

    def advance(self, now: float) -> list[Event]:
        """What happens at `now`, in order. More may be due at the same time: ask `next_time`.

        now: no later than `next_time` said, so that nothing starts before what came first has ended.
        """
        if self._arrivals:
            self._arrive(now)
            if self._arrivals:
                return self._told()
        agenda, pop = self._agenda, heapq.heappop
        if self._look:
            self._schedule(now)
        while agenda and (time := agenda[0][0]) <= now:
            while agenda and agenda[0][0] == time:
                _, _, step, job = pop(agenda)
                if job.place != _GONE:
                    self._step(job, step, time)
            if self._look:
                self._schedule(time)
        return self._told()

    def usage(self, now: float) -> dict[str, float]:
        """Up to `now`: node-hours that were there and in use (by one job or more), and core-hours of jobs."""
        self._count(now)
        jobs = (job for job in self._jobs.values() if job.place >= 0 or job.place == _SPREAD)
        running = sum(job.need.cores * job.need.tasks * (now - job.since) for job in jobs)
        return {
            "node_hours": self._there / 3600,
            "busy_node_hours": self._used / 3600,
            "core_hours": (self._core_seconds + running) / 3600,
        }

    def stuck(self) -> int:
        """How many of the waiting jobs need more than there is, so that they wait for it to grow."""
        return sum(
            sum(job.place == _WAITING for job in line) for need, line in self._lines.items() if not self._can(need)
        )

    def hosts(self, job: str) -> list[str]:
        """The names of the nodes that a job runs on."""
        found = self._jobs[job]
        nodes = [node for node, _ in found.spread or ()] if found.place == _SPREAD else [found.place]
        return [f"n{node}" for node in nodes if node >= 0]

    def _told(self) -> list[Event]:
        out, self._out = self._out, []
        return out

    def _arrive(self, now: float) -> None:
        arrivals = self._arrivals
        for _ in range(min(CHUNK, len(arrivals))):
            job = arrivals.popleft()
            if job.place != _ARRIVING:  # cancelled before anybody was told of it
                continue
            self._submitted(job, now)
            if not self._can(job.need, ever=True):
                note = f"no {self.most or self.size} nodes of this kind can hold it"
                self._out.append(Event("exception", now, job.name, {"type": "alloc", "severity": 0, "note": note}))
                self._leave(job, now, None)
                continue
            job.place = _WAITING
            line = self._lines.get(job.need)
            if line is None:
                line = self._lines[job.need] = deque()
            line.append(job)
            self.waiting += 1
            if job.need not in self._blocked:
                self._look = True
        if not arrivals and not self._look:
            self.longest = max(self.longest, self.waiting)

    def _submitted(self, job: _Job, now: float) -> None:
        self._out.append(Event("submit", now, job.name, {"id": str(job.sequence)}))

    def _schedule(self, now: float) -> None:
        """Start what fits, in order."""
        self._look = False
        lines, blocked = self._lines, self._blocked
        heads: list[tuple[int, int, deque[_Job]]] = []
        for number, (need, line) in enumerate(list(lines.items())):
            while line and line[0].place != _WAITING:
                line.popleft()
            if not line:
                del lines[need]
            else:
                heads.append((line[0].sequence, number, line))
        heapq.heapify(heads)
        oldest = True
        while heads:
            _, number, line = heads[0]
            job = line[0]
            need = job.need
            if need in blocked or not self._start(job, now):
                blocked.add(need)
                heapq.heappop(heads)
                if oldest and self._can(need):
                    if self._first is not job:
                        self._first, self._first_since = job, now
                    elif now - self._first_since >= PATIENCE:
                        break
                    oldest = False
                continue
            line.popleft()
            while line and line[0].place != _WAITING:
                line.popleft()
            if line:
                heapq.heapreplace(heads, (line[0].sequence, number, line))
            else:
                heapq.heappop(heads)
                del lines[need]
        if self.waiting > self.longest:
            self.longest = self.waiting

    def _start(self, job: _Job, now: float) -> bool:
        """Give a waiting job its nodes; False where there is no room now."""
        need = job.need
        if need.nodes == 1 and not need.avoid:
            tasks = need.tasks
            amounts = (need.cores * tasks, need.gpus * tasks, need.memory * tasks if self.memory else 0)
            key = self._best(amounts)
            if key is None:
                return False
            node = next(reversed(self._buckets[key]))
            self._move(node, key, (key[0] - amounts[0], key[1] - amounts[1], key[2] - amounts[2]), now)
            job.place = node
            context = self._names.get(node)
            if context is None:
                context = self._names[node] = {"hosts": [f"n{node}"]}
        else:
            spread = self._spread(need)
            if spread is None:
                return False
            for node, tasks in spread:
                key = self._free[node]
                amounts = (need.cores * tasks, need.gpus * tasks, need.memory * tasks if self.memory else 0)
                self._move(node, key, (key[0] - amounts[0], key[1] - amounts[1], key[2] - amounts[2]), now)
            job.place, job.spread = _SPREAD, spread
            context = {"hosts": [f"n{node}" for node, _ in spread]}
        self.waiting -= 1
        self.running += 1
        self.waits.append(now - job.since)
        job.since = now
        job.course = course = job.recipe.draw(job.name)
        self._out.append(Event("alloc", now, job.name, context))
        if course.startup:
            self._plan(now + course.startup, _START, job)
        else:
            self._step(job, _START, now)
        return True

    def _step(self, job: _Job, step: int, now: float) -> None:
        course = job.course or job.recipe.draw(job.name)
        if step == _END:
            if course.exception:
                note = course.note if not course.exception.startswith("node") else f"{self.hosts(job.name)[0]} was lost"
                context = {"type": course.exception, "severity": 0, "note": note}
                self._out.append(Event("exception", now, job.name, context))
            self._leave(job, now, course.status)
            return
        if step == _START:
            self._out.append(Event("start", now, job.name, _NOTHING))
            self._plan(now + course.seconds, _END, job)
            if not course.points:
                return
            begun, step = now, 0
        else:
            point = course.points[step]
            begun, step = job.since + course.startup, step + 1
            context = {"values": [[point.name, point.value]], "source": "sim", "offset": step}
            self._out.append(Event("metric", now, job.name, context))
        if step < len(course.points):
            self._plan(begun + course.points[step].offset, step, job)

    def _plan(self, time: float, step: int, job: _Job) -> None:
        # What a job prints at its very end comes before the end.
        self._counter += 1
        heapq.heappush(self._agenda, (time, self._counter if step != _END else self._counter + _END, step, job))

    def _leave(self, job: _Job, now: float, status: int | None) -> None:
        """The last events of a job, and its nodes given back."""
        name, place = job.name, job.place
        del self._jobs[name]
        job.place = _GONE
        if place >= 0 or place == _SPREAD:
            if status is not None:
                context = _FINISH.get(status)
                if context is None:
                    context = _FINISH[status] = {"status": status}
                # Cancelled between alloc and start, it never ran.
                if job.course and now >= job.since + job.course.startup:
                    self._out.append(Event("finish", now, name, context))
            self._release(job, place, now)
        self._out.append(Event("clean", now, name, _NOTHING))

    def _release(self, job: _Job, place: int, now: float) -> None:
        need = job.need
        for node, tasks in job.spread if job.spread is not None else ((place, need.tasks),):
            key = self._free[node]
            memory = need.memory * tasks if self.memory else 0
            free = (key[0] + need.cores * tasks, key[1] + need.gpus * tasks, key[2] + memory)
            if node in self._leaving:
                self._free[node] = free
                if free == self._full:
                    self._count(now)
                    self._busy -= 1
                    self._remove(node)
            else:
                self._move(node, key, free, now)
        self.running -= 1
        self._core_seconds += need.cores * need.tasks * (now - job.since)
        self._blocked.clear()
        self._look = True

    def _best(self, amounts: Free) -> Free | None:
        """The fullest bucket whose nodes have room."""
        cores, gpus, memory = amounts
        best: Free | None = None
        for key in self._buckets:
            if key[0] >= cores and key[1] >= gpus and key[2] >= memory and (best is None or key < best):
                best = key
        return best

    def _spread(self, need: Need) -> list[tuple[int, int]] | None:
        """Nodes and tasks on each for a job that does not go on any one node; None where there is no room now."""
        least, more = divmod(need.tasks, need.nodes) if need.nodes else (1, 0)
        wanted = need.nodes or need.tasks
        found: list[tuple[int, int]] = []
        rooms = [(self._room(key, need), key) for key in self._buckets]
        # Fullest first, but where some nodes get a task more than others, most room first, so that these find some.
        order = sorted(rooms, reverse=True) if more else sorted(rooms, key=lambda pair: pair[1])
        for room, key in order:
            if room < least:
                continue
            for node in reversed(self._buckets[key]):
                if need.avoid and f"n{node}" in need.avoid:
                    continue
                if need.nodes:
                    tasks = least + (len(found) < more)
                    if room < tasks:
                        return None  # from here on there is less room
                    found.append((node, tasks))
                    wanted -= 1
                else:
                    found.append((node, min(room, wanted)))
                    wanted -= min(room, wanted)
                if not wanted:
                    return found
        return None

    def _room(self, free: Free, need: Need) -> int:
        """How many tasks a node that has this left can hold."""
        room = need.tasks
        memory = need.memory if self.memory else 0
        for have, want in zip(free, (need.cores, need.gpus, memory), strict=True):
            if want:
                room = min(room, have // want)
        return room

    def _can(self, need: Need, *, ever: bool = False) -> bool:
        """Whether it would fit if nothing ran; ever: with as many nodes as there may be."""
        if ever and self.most:
            return self._holds(need, self.most)
        known = self._fits.get(need)
        if known is None:
            known = self._fits[need] = self._holds(need, self.size)
        return known

    def _holds(self, need: Need, nodes: int) -> bool:
        nodes -= sum(f"n{node}" in need.avoid for node in self._free) if need.avoid else 0
        room = self._room(self._full, need)
        if not need.nodes:
            return room * nodes >= need.tasks
        return need.nodes <= nodes and room >= -(-need.tasks // need.nodes)

    def _take(self, node: int, key: Free) -> None:
        bucket = self._buckets[key]
        del bucket[node]
        if not bucket:
            del self._buckets[key]

    def _move(self, node: int, before: Free, after: Free, now: float) -> None:
        """A node has more or less left than before."""
        buckets, full = self._buckets, self._full
        bucket = buckets[before]
        del bucket[node]
        if not bucket:
            del buckets[before]
        if after in buckets:
            buckets[after][node] = None
        else:
            buckets[after] = {node: None}
        self._free[node] = after
        if before == full or after == full:
            self._count(now)
            self._busy += (after != full) - (before != full)

    def _remove(self, node: int) -> None:
        del self._free[node]
        self._leaving.discard(node)
        heapq.heappush(self._removed, node)

    def _count(self, now: float) -> None:
        """Bring the integrals up to now; called before what they count changes."""
        if now > self._at:
            passed = now - self._at
            self._there += len(self._free) * passed
            self._used += self._busy * passed
            self._at = now
